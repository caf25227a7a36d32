// One file on its way to the server, by tus (docs/API.md): after a cut of the network, a restart of the server or a reload of the page it
// goes on where it stopped.
import { DetailedError, Upload as Tus } from 'tus-js-client';
import { ApiError, errorFrom, stateHeaders } from './api';

/** After these pauses it is tried again; any that got further starts them anew. */
const RETRY_DELAYS_MS = [200, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000];
const SPEED_WINDOW_MS = 3000;

export interface TransferEvents {
	/** Where it can be gone on with; once. */
	address(url: string): void;
	/** `speed`: bytes per second over the last seconds; 0: not known yet. */
	sent(bytes: number, speed: number): void;
	/** All is sent; the server looks at it. */
	checking(): void;
	done(fileId: string): void;
	failed(error: ApiError): void;
}

function transferError(error: Error): ApiError {
	const answer = error instanceof DetailedError ? error.originalResponse : null;
	if (answer) return errorFrom(answer.getStatus(), answer.getBody());
	return new ApiError(0, { message: 'The connection broke while the file was being sent.' });
}

/** Bytes that the server has of an upload; null: it knows nothing of it (any more). */
export async function storedOffset(url: string): Promise<number | null> {
	const answer = await fetch(url, { method: 'HEAD', credentials: 'same-origin', headers: { 'Tus-Resumable': '1.0.0' } }).catch(() => null);
	if (!answer) throw new ApiError(0, {});
	const offset = Number(answer.headers.get('Upload-Offset') ?? Number.NaN);
	return answer.ok && Number.isFinite(offset) ? offset : null;
}

export class Transfer {
	private readonly tus: Tus;
	private samples: { atMs: number; sent: number }[] = [];
	private stopped = false;

	/** `url`: where it was gone on with before; '': a new one. */
	constructor(file: File, url: string, events: TransferEvents) {
		let address = url;
		this.tus = new Tus(file, {
			endpoint: '/api/uploads',
			...(url ? { uploadUrl: url } : {}),
			retryDelays: RETRY_DELAYS_MS,
			storeFingerprintForResuming: false,
			metadata: { filename: file.name, filetype: file.type },
			headers: stateHeaders(),
			onUploadUrlAvailable: () => {
				if (!address && this.tus.url) events.address((address = this.tus.url));
			},
			onProgress: (sent, total) => {
				if (this.stopped) return;
				if (sent < total) events.sent(sent, this.speed(sent));
				else events.checking();
			},
			onSuccess: () => {
				const at = this.tus.url ?? '';
				if (!this.stopped) events.done(at.slice(at.lastIndexOf('/') + 1));
			},
			onError: (error) => {
				if (!this.stopped) events.failed(transferError(error));
			},
		});
	}

	start(): void {
		this.stopped = false;
		this.samples = [];
		this.tus.start();
	}

	/** Nothing more is told of it. `remove`: what was sent is thrown away, too. */
	stop(remove: boolean): void {
		this.stopped = true;
		void this.tus.abort(remove).catch(() => undefined);
	}

	private speed(sent: number): number {
		const now = performance.now();
		this.samples.push({ atMs: now, sent });
		while (this.samples.length > 2 && now - (this.samples[0]?.atMs ?? now) > SPEED_WINDOW_MS) this.samples.shift();
		const first = this.samples[0];
		return first && now > first.atMs ? Math.max(0, ((sent - first.sent) * 1000) / (now - first.atMs)) : 0;
	}
}
