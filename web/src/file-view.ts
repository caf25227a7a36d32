// One file: what is in it, and what can be made of it. A form for a stream, one for a file of its sound; each offers what the file allows.
import { ApiError, api, type ConvertParams, type FileRecord, type Job, type LadderParams, type ProbeStream } from './api';
import { announce, byId, confirmAction, htmlById, make, setText, show } from './dom';
import { facts } from './facts';
import * as format from './format';

/** Shorter sides that the server makes by itself, the largest first (docs/API.md, `rungs`). */
const RUNGS = [1080, 720, 480, 360, 240];
const KINDS: Record<string, string> = { video: 'Picture', audio: 'Sound', subtitle: 'Subtitles' };

export interface FileViewHooks {
	made(job: Job): void;
	deleted(): void;
	missing(): void;
}

export class FileView {
	private readonly section = htmlById('file-view');
	private readonly ladderForm = byId('make-ladder', HTMLFormElement);
	private readonly convertForm = byId('make-convert', HTMLFormElement);
	private readonly formatSelect = byId('make-format', HTMLSelectElement);
	private fileId = '';

	constructor(private readonly hooks: FileViewHooks) {
		this.formatSelect.replaceChildren(...format.FORMATS.map(([value, name]) => new Option(name, value)));
		this.ladderForm.addEventListener('submit', (event) => {
			event.preventDefault();
			void this.start(this.ladderForm, () => api.createJob('ladder', this.fileId, this.ladderParams()));
		});
		this.convertForm.addEventListener('submit', (event) => {
			event.preventDefault();
			void this.start(this.convertForm, () => api.createJob('convert', this.fileId, this.convertParams()));
		});
		htmlById('file-delete').addEventListener('click', () => void this.remove());
	}

	async open(fileId: string): Promise<void> {
		if (this.fileId === fileId) return;
		this.close();
		this.fileId = fileId;
		try {
			const file = await api.getFile(fileId);
			if (this.fileId === fileId) this.draw(file);
		} catch (error) {
			if (this.fileId !== fileId) return;
			if (error instanceof ApiError && error.status === 404) this.hooks.missing();
			else this.say(error);
		}
	}

	close(): void {
		this.fileId = '';
		setText(htmlById('make-error'), '');
		show(this.section, false);
	}

	private draw(file: FileRecord): void {
		const streams = file.probe?.streams ?? [];
		const name = file.filename || 'Without a name';
		document.title = `${name} – Millrace`;
		setText(htmlById('file-title'), name);
		setText(htmlById('file-facts'), facts(file).join('  ·  '));
		const picture = file.analysis?.poster_url ?? file.analysis?.waveform_image_url;
		const image = byId('file-image', HTMLImageElement);
		if (picture) image.src = picture;
		show(image, Boolean(picture));
		byId('file-download', HTMLAnchorElement).href = api.contentPath(file.file_id);
		htmlById('file-streams').replaceChildren(...streams.filter(({ kind }) => kind && KINDS[kind]).map((stream) => this.streamItem(stream)));
		this.offerRungs(streams.find((stream) => stream.kind === 'video' && stream.width && stream.height));
		show(this.convertForm, streams.some((stream) => stream.kind === 'audio'));
		show(this.section, true);
	}

	private streamItem(stream: ProbeStream): HTMLLIElement {
		const item = make('li');
		const words = [
			stream.codec ?? '',
			stream.width && stream.height ? `${stream.width} × ${stream.height}` : '',
			stream.frame_rate && stream.frame_rate[1] ? `${format.number(stream.frame_rate[0] / stream.frame_rate[1])} frames/s` : '',
			stream.sample_rate ? `${format.number(stream.sample_rate / 1000)} kHz` : '',
			stream.channel_layout ?? '',
			stream.language && stream.language !== 'und' ? stream.language : '',
			stream.title ?? '',
		];
		item.append(make('span', 'muted', KINDS[stream.kind ?? ''] ?? ''), make('span', '', words.filter(Boolean).join(', ')));
		return item;
	}

	/** Those that are no larger than the picture; the server leaves out the others anyway. */
	private offerRungs(picture: ProbeStream | undefined): void {
		const side = picture ? Math.min(picture.width ?? 0, picture.height ?? 0) : 0;
		const rungs = RUNGS.filter((rung) => rung <= side);
		const box = htmlById('make-rungs');
		box.replaceChildren(
			...rungs.map((rung) => {
				const label = make('label', 'check', `${rung}p`);
				const input = make('input');
				input.type = 'checkbox';
				input.name = 'rung';
				input.value = `${rung}p`;
				input.checked = true;
				label.prepend(input);
				return label;
			}),
		);
		show(htmlById('make-picture'), rungs.length > 0);
	}

	private ladderParams(): LadderParams {
		const data = new FormData(this.ladderForm);
		const rungs = data.getAll('rung').map(String);
		const all = this.ladderForm.querySelectorAll('[name="rung"]').length;
		return {
			container: data.get('container') === 'ts' ? 'ts' : 'fmp4',
			segment_seconds: Number(data.get('segment')),
			...(rungs.length && rungs.length < all ? { rungs } : {}),
			...(data.get('hevc') && all > 0 ? { codecs: ['h264', 'hevc'] } : {}),
		};
	}

	private convertParams(): ConvertParams {
		const data = new FormData(this.convertForm);
		const seconds = (name: string): number | undefined => (String(data.get(name) ?? '') === '' ? undefined : Number(data.get(name)));
		const [start, end] = [seconds('start'), seconds('end')];
		return {
			format: this.formatSelect.value,
			quality: String(data.get('quality')),
			...(start === undefined ? {} : { start }),
			...(end === undefined ? {} : { end }),
			...(data.get('normalize') ? { normalize: true } : {}),
		};
	}

	private async start(form: HTMLFormElement, create: () => Promise<Job>): Promise<void> {
		const button = form.querySelector('button');
		if (button) button.disabled = true;
		setText(htmlById('make-error'), '');
		try {
			const job = await create();
			announce('The job has begun');
			this.hooks.made(job);
		} catch (error) {
			this.say(error);
		} finally {
			if (button) button.disabled = false;
		}
	}

	private async remove(): Promise<void> {
		const fileId = this.fileId;
		if (!(await confirmAction('Delete this file?', 'Streams that were made of it stay.', 'Delete'))) return;
		try {
			await api.deleteFile(fileId);
			announce('The file is deleted');
			this.hooks.deleted();
		} catch (error) {
			this.say(error);
		}
	}

	private say(error: unknown): void {
		setText(htmlById('make-error'), error instanceof ApiError ? error.message : 'That did not work.');
		show(this.section, true);
	}
}
