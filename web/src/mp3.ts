// A finished narration as an MP3: a button that has it made (once), then downloads it.
import { ApiError, api, type Job } from './api';
import { byId, htmlById, setText, show } from './dom';

const AGAIN_MS = 1000;

export class Mp3 {
	private readonly button = byId('mp3', HTMLButtonElement);
	private jobId = '';

	constructor() {
		this.button.addEventListener('click', () => void this.download());
	}

	/** Offers it where the job is a narration that is complete; null: for none. */
	offer(job: Job | null): void {
		this.jobId = job?.kind === 'narration' && job.status === 'completed' ? job.job_id : '';
		show(this.button, this.jobId !== '');
	}

	private async download(): Promise<void> {
		const jobId = this.jobId;
		this.button.disabled = true;
		setText(htmlById('mp3-state'), 'Making the MP3…');
		try {
			let address: string | null = null;
			while (!address && jobId === this.jobId) {
				address = await api.downloadUrl(jobId);
				if (!address) await new Promise((resolve) => window.setTimeout(resolve, AGAIN_MS));
			}
			setText(htmlById('mp3-state'), '');
			if (address && jobId === this.jobId) location.assign(address);
		} catch (error) {
			setText(htmlById('mp3-state'), error instanceof ApiError ? error.message : 'The MP3 could not be made.');
		} finally {
			this.button.disabled = false;
		}
	}
}
