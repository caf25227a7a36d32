// A file's sound in another format: a menu, a button, how far it is, and a link once the file is there.
import { ApiError, api, isActive, type Job } from './api';
import { announce, byId, htmlById, setText, show } from './dom';
import * as format from './format';
import { JobFeed } from './job-feed';

export class Convert {
	private readonly section = htmlById('convert');
	private readonly select = byId('convert-format', HTMLSelectElement);
	private readonly button = byId('convert-start', HTMLButtonElement);
	private readonly link = byId('convert-link', HTMLAnchorElement);
	private fileId = '';
	private feed: JobFeed | null = null;
	private percent = 0;

	constructor() {
		this.select.replaceChildren(...format.FORMATS.map(([value, name]) => new Option(name, value)));
		this.button.addEventListener('click', () => void this.start());
	}

	/** Offers it for a file; '': for none. */
	offer(fileId: string): void {
		this.feed?.stop();
		this.feed = null;
		this.fileId = fileId;
		this.button.disabled = false;
		this.say('');
		show(this.link, false);
		show(this.section, fileId !== '');
	}

	private say(text: string): void {
		setText(htmlById('convert-state'), text);
	}

	private async start(): Promise<void> {
		const fileId = this.fileId;
		this.offer(fileId);
		this.button.disabled = true;
		this.percent = 0;
		this.say('0 %');
		try {
			const job = await api.createConversion(fileId, this.select.value);
			if (fileId !== this.fileId) return;
			this.feed = new JobFeed(job.job_id, {
				job: (now) => this.update(now),
				segment: () => undefined,
				state: () => undefined,
				gone: () => this.offer(fileId),
			});
			this.feed.start();
		} catch (error) {
			this.button.disabled = false;
			this.say(error instanceof ApiError ? error.message : 'The conversion could not be started.');
		}
	}

	private update(job: Job): void {
		if (isActive(job.status)) {
			this.percent = Math.max(this.percent, job.progress.percent);
			this.say(`${Math.floor(this.percent)} %`);
			return;
		}
		this.feed?.stop();
		this.feed = null;
		this.button.disabled = false;
		if (job.status !== 'completed') {
			this.say(job.error?.message ?? 'The conversion did not succeed.');
			return;
		}
		this.say('');
		this.link.href = api.filePath(job.job_id);
		setText(this.link, `Download ${this.select.selectedOptions[0]?.text ?? ''} (${format.bytes(job.result?.bytes ?? 0)})`);
		show(this.link, true);
		announce('The converted file is ready');
	}
}
