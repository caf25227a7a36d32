// The list of recent jobs, newest first. Read again while any of them runs and the page is visible.
import { ApiError, api, isActive, type Job } from './api';
import { htmlById, setProgress, setText, show } from './dom';
import * as format from './format';

const LIMIT = 20;
const REFRESH_MS = 4000;

interface Row {
	item: HTMLLIElement;
	link: HTMLAnchorElement;
	name: HTMLSpanElement;
	when: HTMLSpanElement;
	badge: HTMLSpanElement;
	bar: HTMLDivElement;
	percent: number;
}

function makeRow(job: Job): Row {
	const item = document.createElement('li');
	const link = document.createElement('a');
	link.href = `#/jobs/${job.job_id}`;
	const [name, when, badge] = ['name', 'when muted', 'badge'].map((className) => {
		const span = document.createElement('span');
		span.className = className;
		return span;
	}) as [HTMLSpanElement, HTMLSpanElement, HTMLSpanElement];
	const bar = document.createElement('div');
	bar.className = 'bar thin';
	bar.setAttribute('role', 'progressbar');
	bar.setAttribute('aria-label', 'Progress');
	const fill = document.createElement('div');
	fill.className = 'bar-fill';
	bar.append(fill);
	link.append(name, when, badge, bar);
	item.append(link);
	return { item, link, name, when, badge, bar, percent: 0 };
}

export class Recent {
	private readonly list = htmlById('recent-list');
	private readonly rows = new Map<string, Row>();
	private timer = 0;
	private current = '';

	constructor() {
		document.addEventListener('visibilitychange', () => {
			if (!document.hidden && !htmlById('recent').hidden) void this.refresh();
		});
	}

	/** Marks the job that is open. */
	setCurrent(jobId: string): void {
		this.current = jobId;
		for (const [id, row] of this.rows) this.mark(id, row);
	}

	async refresh(): Promise<void> {
		window.clearTimeout(this.timer);
		let active = false;
		try {
			const jobs = await api.listJobs(LIMIT);
			this.draw(jobs);
			active = jobs.some((job) => isActive(job.status));
			show(htmlById('recent-error'), false);
		} catch (error) {
			if (error instanceof ApiError && error.status === 401) return;
			setText(htmlById('recent-error'), error instanceof ApiError ? error.message : String(error));
			show(htmlById('recent-error'), true);
			active = true;
		}
		window.clearTimeout(this.timer);
		if (active && !document.hidden) this.timer = window.setTimeout(() => void this.refresh(), REFRESH_MS);
	}

	stop(): void {
		window.clearTimeout(this.timer);
	}

	private draw(jobs: Job[]): void {
		const known = new Set(jobs.map((job) => job.job_id));
		for (const [id, row] of this.rows) {
			if (known.has(id)) continue;
			row.item.remove();
			this.rows.delete(id);
		}
		jobs.forEach((job, position) => {
			let row = this.rows.get(job.job_id);
			if (!row) {
				row = makeRow(job);
				this.rows.set(job.job_id, row);
			}
			this.fill(row, job);
			// Moving a node that is in place already would take the focus away.
			if (this.list.children[position] !== row.item) this.list.insertBefore(row.item, this.list.children[position] ?? null);
		});
		show(htmlById('recent-empty'), jobs.length === 0);
	}

	private fill(row: Row, job: Job): void {
		row.percent = Math.max(row.percent, job.progress.percent);
		setText(row.name, format.jobName(job));
		setText(row.when, format.ago(job.created_at, Date.now()));
		setText(row.badge, format.statusName(job.status));
		row.badge.dataset['status'] = job.status;
		show(row.bar, isActive(job.status));
		setProgress(row.bar, row.percent, `${Math.floor(row.percent)} %`);
		this.mark(job.job_id, row);
	}

	private mark(jobId: string, row: Row): void {
		if (jobId === this.current) row.link.setAttribute('aria-current', 'page');
		else row.link.removeAttribute('aria-current');
	}
}
