// Every job of the user as this page knows it, newest first: pages of the list, kept up to date by one stream of events. Whoever shows jobs
// asks here. Events are a hint: after a break of the stream the newest page is read again.
import { ApiError, api, type Job } from './api';

const PAGE = 100;
const REOPEN_MS = 10_000;

export type JobsListener = (changed: { order: boolean }) => void;

export class AllJobs {
	private readonly byId = new Map<string, Job>();
	private sorted: Job[] = [];
	private cursor: string | null = '';
	private source: EventSource | null = null;
	private reading: Promise<void> | null = null;
	private reopening = 0;
	private again = 0;
	private readonly listeners: JobsListener[] = [];
	private problem: ApiError | null = null;

	listen(listener: JobsListener): void {
		this.listeners.push(listener);
	}

	start(): void {
		if (this.source) return;
		void this.readNewest();
		this.open();
	}

	stop(): void {
		window.clearTimeout(this.reopening);
		window.clearTimeout(this.again);
		this.source?.close();
		this.source = null;
		this.byId.clear();
		this.sorted = [];
		this.cursor = '';
	}

	/** Newest first. */
	get list(): readonly Job[] {
		return this.sorted;
	}

	/** Whether the server has older ones. */
	get more(): boolean {
		return this.cursor !== null;
	}

	/** Why the list could not be read, if it couldn't. */
	get error(): ApiError | null {
		return this.problem;
	}

	/** Reads the next page of older ones. */
	readMore(): Promise<void> {
		this.reading ??= this.read(this.cursor ?? '').finally(() => (this.reading = null));
		return this.reading;
	}

	/** Takes a job that somebody has just made or read. */
	take(job: Job): void {
		if (this.put(job)) this.tell(true);
		else this.tell(false);
	}

	private async readNewest(): Promise<void> {
		try {
			const page = await api.listJobs(PAGE, '');
			if (this.cursor === '') this.cursor = page.cursor;
			this.problem = null;
			let order = false;
			for (const job of page.jobs) order = this.put(job) || order;
			this.tell(order);
		} catch (error) {
			this.fail(error);
		}
	}

	private async read(cursor: string): Promise<void> {
		try {
			const page = await api.listJobs(PAGE, cursor);
			this.cursor = page.cursor;
			for (const job of page.jobs) this.put(job);
			this.tell(true);
		} catch (error) {
			this.fail(error);
		}
	}

	private fail(error: unknown): void {
		this.problem = error instanceof ApiError ? error : new ApiError(0, {});
		// The stream of events may be well while a page of the list couldn't be read.
		window.clearTimeout(this.again);
		if (this.problem.status !== 401) this.again = window.setTimeout(() => this.source && void this.readNewest(), REOPEN_MS);
		this.tell(false);
	}

	private open(): void {
		const source = new EventSource(api.allEventsPath);
		this.source = source;
		source.addEventListener('job', (event) => this.take(JSON.parse((event as MessageEvent<string>).data) as Job));
		source.addEventListener('deleted', (event) => {
			const { job_id: id } = JSON.parse((event as MessageEvent<string>).data) as { job_id: string };
			if (!this.byId.delete(id)) return;
			this.sorted = this.sorted.filter((job) => job.job_id !== id);
			this.tell(true);
		});
		source.addEventListener('open', () => {
			if (this.problem) void this.readNewest();
		});
		source.addEventListener('error', () => {
			this.fail(new ApiError(0, {}));
			// A CONNECTING source comes back by itself, with what has changed since; a CLOSED one never does.
			if (source.readyState !== EventSource.CLOSED || this.source !== source) return;
			this.reopening = window.setTimeout(() => {
				if (this.source !== source) return;
				void this.readNewest();
				this.open();
			}, REOPEN_MS);
		});
	}

	/** Whether it is new, so that the order has changed. What is older than what is known is dropped; progress never falls. */
	private put(job: Job): boolean {
		const known = this.byId.get(job.job_id);
		if (known && job.updated_at < known.updated_at) return false;
		if (known) job.progress.percent = Math.max(job.progress.percent, known.progress.percent);
		this.byId.set(job.job_id, job);
		if (known) {
			this.sorted[this.place(known)] = job;
			return false;
		}
		this.sorted.splice(this.place(job), 0, job);
		return true;
	}

	/** Ids are UUIDs of version 7: they sort by the time when they were made. */
	private place(job: Job): number {
		let [from, to] = [0, this.sorted.length];
		while (from < to) {
			const middle = (from + to) >> 1;
			if ((this.sorted[middle]?.job_id ?? '') > job.job_id) from = middle + 1;
			else to = middle;
		}
		return from;
	}

	private tell(order: boolean): void {
		for (const listener of this.listeners) listener({ order });
	}
}
