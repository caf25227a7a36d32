// One job as a row of a list: a link with its name, kind, age, state and, while it runs, its progress.
import { isActive, type Job } from './api';
import { make, setProgress, setText, show } from './dom';
import * as format from './format';

export class JobRow {
	readonly item = make('li', 'job-row');
	private readonly link = make('a');
	private readonly name = make('span', 'name');
	private readonly when = make('span', 'when muted');
	private readonly badge = make('span', 'badge');
	private readonly bar = make('div', 'bar thin');

	constructor() {
		this.bar.setAttribute('role', 'progressbar');
		this.bar.setAttribute('aria-label', 'Progress');
		this.bar.append(make('div', 'bar-fill'));
		this.link.append(this.name, this.when, this.badge, this.bar);
		this.item.append(this.link);
	}

	show(job: Job, current: boolean): void {
		const href = `#/jobs/${job.job_id}`;
		// Another job's bar would glide to this one's place.
		if (this.link.getAttribute('href') !== href) this.bar.classList.add('still');
		else this.bar.classList.remove('still');
		this.link.href = href;
		setText(this.name, format.jobName(job));
		const { eta_seconds: eta } = job.progress;
		const running = isActive(job.status) && eta !== null ? `  ·  ${format.remaining(eta)} left` : '';
		const why = job.status === 'failed' && job.error?.message ? `  ·  ${job.error.message}` : '';
		setText(this.when, `${format.jobKind(job)}  ·  ${format.ago(job.created_at, Date.now())}${running}${why}`);
		this.when.title = why ? (job.error?.message ?? '') : '';
		setText(this.badge, format.statusName(job.status));
		this.badge.dataset['status'] = job.status;
		show(this.bar, isActive(job.status));
		setProgress(this.bar, job.progress.percent, `${Math.floor(job.progress.percent)} %`);
		if (current) this.link.setAttribute('aria-current', 'page');
		else this.link.removeAttribute('aria-current');
	}
}
