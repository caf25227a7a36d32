// The job lists: the newest few beside whatever else is shown, and all of them in a view of their own, of which only the rows on the
// screen exist: 5,000 jobs scroll like fifty.
import type { Job, JobStatus } from './api';
import type { AllJobs } from './all-jobs';
import { byId, htmlById, setText, show } from './dom';
import { JobRow } from './job-row';

const RECENT = 6;
/** Pixels; as in lists.css. */
const ROW_HEIGHT = 64;
/** Rows beyond the screen's edges, so that a quick flick doesn't show gaps. */
const MARGIN_ROWS = 8;
const TICK_MS = 30_000;

type Filter = 'all' | 'active' | JobStatus;

function matches(job: Job, filter: Filter): boolean {
	if (filter === 'all') return true;
	if (filter === 'active') return job.status === 'pending' || job.status === 'processing' || job.status === 'streaming';
	return job.status === filter;
}

export class RecentJobs {
	private readonly list = htmlById('recent-list');
	private readonly rows: JobRow[] = [];
	private current = '';

	constructor(private readonly jobs: AllJobs) {
		jobs.listen(() => this.draw());
		window.setInterval(() => this.draw(), TICK_MS);
	}

	/** Marks the job that is open. */
	setCurrent(jobId: string): void {
		this.current = jobId;
		this.draw();
	}

	private draw(): void {
		if (htmlById('recent').hidden) return;
		const jobs = this.jobs.list.slice(0, RECENT);
		while (this.rows.length < jobs.length) {
			const row = new JobRow();
			this.rows.push(row);
			this.list.append(row.item);
		}
		this.rows.forEach((row, index) => {
			const job = jobs[index];
			show(row.item, job !== undefined);
			if (job) row.show(job, job.job_id === this.current);
		});
		show(htmlById('recent-empty'), jobs.length === 0 && !this.jobs.error);
	}
}

export class JobList {
	private readonly section = htmlById('jobs');
	private readonly list = htmlById('jobs-list');
	private readonly filter = byId('jobs-filter', HTMLSelectElement);
	private readonly rows = new Map<string, JobRow>();
	private shown: Job[] = [];
	private drawing = 0;

	constructor(private readonly jobs: AllJobs) {
		jobs.listen(() => this.later());
		this.filter.addEventListener('change', () => this.later());
		window.addEventListener('scroll', () => this.later(), { passive: true });
		window.addEventListener('resize', () => this.later());
		window.setInterval(() => this.later(), TICK_MS);
	}

	open(): void {
		show(this.section, true);
		this.later();
	}

	close(): void {
		show(this.section, false);
	}

	/** Draws once a frame at the most, however many events come. */
	private later(): void {
		if (this.section.hidden || this.drawing) return;
		this.drawing = window.requestAnimationFrame(() => {
			this.drawing = 0;
			this.draw();
		});
	}

	private draw(): void {
		const filter = this.filter.value as Filter;
		this.shown = filter === 'all' ? [...this.jobs.list] : this.jobs.list.filter((job) => matches(job, filter));
		const above = Math.max(0, -this.list.getBoundingClientRect().top);
		const first = Math.max(0, Math.floor(above / ROW_HEIGHT) - MARGIN_ROWS);
		const last = Math.min(this.shown.length, Math.ceil((above + window.innerHeight) / ROW_HEIGHT) + MARGIN_ROWS);
		this.list.style.height = `${this.shown.length * ROW_HEIGHT}px`;
		this.place(first, last);
		const { error, more } = this.jobs;
		show(htmlById('jobs-empty'), this.shown.length === 0 && !error && !more);
		setText(htmlById('jobs-count'), `${this.shown.length}${more ? '+' : ''}`);
		setText(htmlById('jobs-error'), error?.message ?? '');
		show(htmlById('jobs-error'), error !== null);
		if (more && !error && last >= this.shown.length - MARGIN_ROWS) void this.jobs.readMore();
	}

	private place(first: number, last: number): void {
		const wanted = new Set(this.shown.slice(first, last).map((job) => job.job_id));
		const free: JobRow[] = [];
		for (const [id, row] of this.rows) {
			if (wanted.has(id)) continue;
			this.rows.delete(id);
			free.push(row);
		}
		for (let index = first; index < last; index++) {
			const job = this.shown[index];
			if (!job) continue;
			let row = this.rows.get(job.job_id) ?? free.pop();
			if (!row) {
				row = new JobRow();
				this.list.append(row.item);
			}
			this.rows.set(job.job_id, row);
			row.item.style.transform = `translateY(${index * ROW_HEIGHT}px)`;
			row.item.setAttribute('aria-posinset', String(index + 1));
			row.item.setAttribute('aria-setsize', this.jobs.more ? '-1' : String(this.shown.length));
			row.show(job, false);
		}
		for (const row of free) row.item.remove();
	}
}
