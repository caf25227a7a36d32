// What a file is, in a few words. Pure.
import type { FileRecord } from './api';
import * as format from './format';

export function facts(file: FileRecord): string[] {
	const picture = file.probe?.streams?.find((stream) => stream.kind === 'video' && stream.width && stream.height);
	return [
		file.probe?.duration ? format.clock(file.probe.duration) : '',
		picture ? `${picture.width} × ${picture.height}` : '',
		file.size ? format.bytes(file.size) : '',
	].filter(Boolean);
}
