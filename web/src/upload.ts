// The upload box: takes one file, sends it with its progress shown, and makes a ladder job of it. Sent by tus (docs/API.md): after a
// cut of the network it goes on where it stopped.
// States: idle → sending → checking (all sent, the server probes) → starting (the job is created) → idle, or error from each.
import { DetailedError, Upload as Tus } from 'tus-js-client';
import { ApiError, api, errorFrom, stateHeaders, type FileRecord, type Job } from './api';
import { announce, byId, htmlById, setProgress, setText, show } from './dom';
import * as format from './format';

const SPEED_WINDOW_MS = 3000;
/** After these pauses it is tried again; any that got further starts them anew. */
const RETRY_DELAYS_MS = [200, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000];

function newKey(): string {
	// Not crypto.randomUUID(): that exists only on https and localhost.
	return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function sendError(error: Error): ApiError {
	const answer = error instanceof DetailedError ? error.originalResponse : null;
	if (answer) return errorFrom(answer.getStatus(), answer.getBody());
	return new ApiError(0, { message: 'The connection broke while the file was being sent.' });
}

interface Sample {
	atMs: number;
	sent: number;
}

export class Upload {
	private readonly gate = htmlById('gate');
	private readonly input = byId('file', HTMLInputElement);
	private readonly bar = htmlById('upload-bar');
	private file: File | null = null;
	private fileId = '';
	private key = '';
	private tus: Tus | null = null;
	private stop: () => void = () => undefined;
	private samples: Sample[] = [];
	private announced = 0;

	constructor(private readonly created: (job: Job) => void) {
		this.input.addEventListener('change', () => {
			const file = this.input.files?.[0];
			this.input.value = '';
			if (file) this.take(file);
		});
		byId('upload-cancel', HTMLButtonElement).addEventListener('click', () => this.cancel());
		byId('upload-retry', HTMLButtonElement).addEventListener('click', () => void this.run());
		byId('upload-other', HTMLButtonElement).addEventListener('click', () => {
			this.setState('idle');
			this.input.click();
		});
		window.addEventListener('beforeunload', (event) => {
			if (this.busy) event.preventDefault();
		});
		this.listenForDrops();
	}

	get busy(): boolean {
		return this.gate.dataset['state'] === 'busy';
	}

	/** Files may be dropped anywhere on the page. */
	private listenForDrops(): void {
		let depth = 0;
		const over = (on: boolean): void => void document.body.classList.toggle('dropping', on && !this.busy);
		const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
		document.addEventListener('dragenter', (event) => {
			if (hasFiles(event)) over(++depth > 0);
		});
		document.addEventListener('dragleave', (event) => {
			if (hasFiles(event)) over(--depth > 0);
		});
		document.addEventListener('dragover', (event) => {
			if (hasFiles(event)) event.preventDefault();
		});
		document.addEventListener('drop', (event) => {
			depth = 0;
			over(false);
			const file = event.dataTransfer?.files[0];
			if (!file) return;
			event.preventDefault();
			location.hash = '#/';
			this.take(file);
		});
	}

	private take(file: File): void {
		if (this.busy) return;
		this.file = file;
		this.fileId = '';
		this.key = newKey();
		void this.run();
	}

	/** From where it stopped: a file that has arrived is not sent again. */
	private async run(): Promise<void> {
		const file = this.file;
		if (!file || this.busy) return;
		this.setState('busy');
		htmlById('upload-cancel').focus({ preventScroll: true });
		setText(htmlById('upload-name'), file.name);
		setText(htmlById('upload-size'), format.bytes(file.size));
		try {
			if (!this.fileId) this.fileId = (await this.send(file)).file_id;
			this.showStep('Starting the job');
			show(htmlById('upload-cancel'), false);
			const job = await api.createLadder(this.fileId, this.key);
			this.file = null;
			this.setState('idle');
			this.created(job);
		} catch (error) {
			if (error instanceof DOMException && error.name === 'AbortError') this.setState('idle');
			else this.fail(error instanceof ApiError ? error : new ApiError(0, {}));
		}
	}

	private async send(file: File): Promise<FileRecord> {
		this.samples = [{ atMs: performance.now(), sent: 0 }];
		this.announced = 0;
		this.showSent(0, file.size);
		show(htmlById('upload-cancel'), true);
		const url = await new Promise<string>((resolve, reject) => {
			const tus = new Tus(file, {
				endpoint: '/api/uploads',
				retryDelays: RETRY_DELAYS_MS,
				storeFingerprintForResuming: false,
				metadata: { filename: file.name, filetype: file.type },
				headers: stateHeaders(),
				onProgress: (sent, total) => (sent < total ? this.showSent(sent, total) : this.showStep('Checking what is in it')),
				onSuccess: () => resolve(tus.url ?? ''),
				onError: (error) => reject(sendError(error)),
			});
			this.tus = tus;
			this.stop = () => reject(new DOMException('stopped', 'AbortError'));
			tus.start();
		});
		return api.getFile(url.slice(url.lastIndexOf('/') + 1));
	}

	private cancel(): void {
		void this.tus?.abort(true).catch(() => undefined);
		this.stop();
		this.input.focus();
		announce('Upload stopped');
	}

	/** Bytes per second over the last seconds. */
	private speed(sent: number): number {
		const now = performance.now();
		this.samples.push({ atMs: now, sent });
		while (this.samples.length > 2 && now - (this.samples[0]?.atMs ?? now) > SPEED_WINDOW_MS) this.samples.shift();
		const first = this.samples[0];
		return first && now > first.atMs ? ((sent - first.sent) * 1000) / (now - first.atMs) : 0;
	}

	private showSent(sent: number, total: number): void {
		const percent = total > 0 ? (sent * 100) / total : 0;
		const speed = this.speed(sent);
		const parts = [`${format.bytes(sent)} of ${format.bytes(total)}`];
		if (speed > 0) parts.push(`${format.bytes(speed)}/s`);
		if (speed > 0 && sent < total) parts.push(`${format.remaining((total - sent) / speed)} left`);
		this.showPercent(percent, parts.join('  ·  '));
		if (percent >= this.announced + 25) {
			this.announced = Math.floor(percent / 25) * 25;
			announce(`${this.announced} percent uploaded`);
		}
	}

	private showStep(text: string): void {
		this.showPercent(100, text);
		announce(text);
	}

	private showPercent(percent: number, text: string): void {
		setProgress(this.bar, percent, text);
		this.gate.style.setProperty('--level', String(percent));
		setText(htmlById('upload-percent'), `${Math.floor(percent)} %`);
		setText(htmlById('upload-detail'), text);
	}

	private fail(error: ApiError): void {
		this.setState('error');
		setText(htmlById('upload-error-title'), this.fileId ? 'The job could not be started' : 'That file was not taken');
		setText(htmlById('upload-error'), error.message);
		setText(htmlById('upload-error-code'), format.errorReference(error));
		const retry = htmlById('upload-retry');
		show(retry, error.retriable);
		htmlById(error.retriable ? 'upload-retry' : 'upload-other').focus({ preventScroll: true });
	}

	private setState(state: 'idle' | 'busy' | 'error'): void {
		this.gate.dataset['state'] = state;
		for (const name of ['idle', 'busy', 'error']) show(htmlById(`gate-${name}`), name === state);
		if (state !== 'busy') this.gate.style.setProperty('--level', '0');
	}
}
