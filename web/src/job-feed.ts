// Follows one job: Server-Sent Events first, polling whenever they fail. Events are a hint, the job is the truth: while the
// stream is silent the job is read again every now and then, and whatever arrives is dropped if it is older than what is known.
import { ApiError, api, isActive, type Job } from './api';

const POLL_MS = 1000;
const SILENCE_MS = 15000;
const REOPEN_MS = 10000;

export type FeedState = 'live' | 'polling' | 'offline';

export interface FeedHandlers {
	job(job: Job): void;
	segment(index: number): void;
	state(state: FeedState): void;
	gone(): void;
}

export class JobFeed {
	private source: EventSource | null = null;
	private timer = 0;
	private reopenAt = 0;
	private lastUpdate = '';
	private stopped = false;

	constructor(
		private readonly jobId: string,
		private readonly handlers: FeedHandlers,
	) {}

	/** Reads the job once, and opens the stream of events if it is still running. */
	start(): void {
		this.reopenAt = Date.now();
		void this.poll();
	}

	stop(): void {
		this.stopped = true;
		this.source?.close();
		window.clearTimeout(this.timer);
	}

	private get live(): boolean {
		return this.source?.readyState === EventSource.OPEN;
	}

	private open(): void {
		const source = new EventSource(api.eventsPath(this.jobId));
		this.source = source;
		source.addEventListener('open', () => {
			if (this.stopped) return;
			this.handlers.state('live');
			this.schedule(SILENCE_MS);
		});
		source.addEventListener('job', (event) => this.take(JSON.parse((event as MessageEvent<string>).data) as Job));
		source.addEventListener('segment', (event) => {
			const segment = JSON.parse((event as MessageEvent<string>).data) as { index: number };
			if (!this.stopped) this.handlers.segment(segment.index);
		});
		source.addEventListener('error', () => {
			if (this.stopped) return;
			// A CLOSED source never comes back by itself; a CONNECTING one does.
			this.reopenAt = source.readyState === EventSource.CLOSED ? Date.now() + REOPEN_MS : 0;
			this.schedule(POLL_MS);
		});
	}

	private schedule(ms: number): void {
		window.clearTimeout(this.timer);
		if (!this.stopped) this.timer = window.setTimeout(() => void this.poll(), ms);
	}

	private async poll(): Promise<void> {
		try {
			const job = await api.getJob(this.jobId);
			if (this.stopped) return;
			// The first reading only precedes the stream; later ones stand in for it.
			if (this.source && !this.live) this.handlers.state('polling');
			this.take(job);
		} catch (error) {
			if (this.stopped) return;
			if (error instanceof ApiError && error.status === 404) {
				this.stop();
				this.handlers.gone();
				return;
			}
			this.handlers.state('offline');
		}
		if (!this.stopped && this.reopenAt && Date.now() >= this.reopenAt) {
			this.reopenAt = 0;
			this.open();
		}
		this.schedule(this.live ? SILENCE_MS : POLL_MS);
	}

	private take(job: Job): void {
		if (this.stopped || job.updated_at < this.lastUpdate) return;
		this.lastUpdate = job.updated_at;
		if (this.live) this.schedule(SILENCE_MS);
		if (!isActive(job.status)) this.stop();
		this.handlers.job(job);
	}
}
