// A video's storyboard: WebVTT whose cues name a sprite and the tile in it ("…sprite_000.jpg?…#xywh=160,0,160,90").

export interface Tile {
	url: string;
	x: number;
	y: number;
	width: number;
	height: number;
}

interface Cue extends Tile {
	from: number;
}

const TIMES = /^(\d+):(\d\d):(\d\d\.\d+) -->/;
const PLACE = /^(.*)#xywh=(\d+),(\d+),(\d+),(\d+)$/;

export class Storyboard {
	private constructor(private readonly cues: Cue[]) {}

	/** null: there is none, or it can't be read. It is a convenience, so nobody is told. */
	static async load(url: string): Promise<Storyboard | null> {
		const answer = await fetch(url, { credentials: 'same-origin' }).catch(() => null);
		return answer?.ok ? Storyboard.parse(await answer.text()) : null;
	}

	static parse(text: string): Storyboard | null {
		const cues: Cue[] = [];
		for (const block of text.split(/\r?\n\r?\n/)) {
			const lines = block.split(/\r?\n/);
			const at = lines.findIndex((line) => TIMES.test(line));
			const times = TIMES.exec(lines[at] ?? '');
			const place = PLACE.exec(lines[at + 1] ?? '');
			if (!times || !place) continue;
			const [x, y, width, height] = place.slice(2).map(Number) as [number, number, number, number];
			cues.push({ from: Number(times[1]) * 3600 + Number(times[2]) * 60 + Number(times[3]), url: place[1] ?? '', x, y, width, height });
		}
		return cues.length ? new Storyboard(cues) : null;
	}

	/** The picture that shows what is there at a time. */
	tile(seconds: number): Tile | null {
		let found: Cue | null = null;
		for (const cue of this.cues) {
			if (cue.from > seconds && found) break;
			found = cue;
		}
		return found;
	}
}
