// How the whole installation does, for who runs it: figures, charts over an hour, a day or a week, workers, dependencies, the store.
// Asked for every few seconds while somebody looks; the server keeps answers as long as they cost.
import { admin, type Bucket, type Health, type Span, type Stats } from './admin';
import { ApiError } from './api';
import { ChartBox, type Chart } from './chart';
import { byId, htmlById, make, setText, show } from './dom';
import * as format from './format';
import { showActive, showFailures, showHealth, showStorage, showWorkers } from './monitor-lists';

const EVERY_MS = 3000;
const ACTIVE_SHOWN = 8;
const HTTP_REQUESTS = 'millrace_http_requests_total';
const STATES = { ok: 'All is well', warn: 'Strained', fail: 'Something is failing' };

const minutes = (seconds: number): string => (seconds >= 60 ? `${format.number(Math.round(seconds / 60))} min` : `${Math.round(seconds)} s`);

export class Monitor {
	private readonly section = htmlById('monitor');
	private readonly span = byId('monitor-span', HTMLSelectElement);
	private readonly charts = {
		ended: new ChartBox(htmlById('chart-ended')),
		media: new ChartBox(htmlById('chart-media')),
		speed: new ChartBox(htmlById('chart-speed')),
		waited: new ChartBox(htmlById('chart-waited')),
	};
	private timer = 0;
	private requests: { count: number; atMs: number } | null = null;

	constructor() {
		this.span.addEventListener('change', () => void this.look());
		document.addEventListener('visibilitychange', () => {
			if (!document.hidden && !this.section.hidden) void this.look();
		});
	}

	async open(): Promise<void> {
		await this.look();
	}

	close(): void {
		window.clearTimeout(this.timer);
		show(this.section, false);
		this.timer = 0;
		this.requests = null;
		delete this.section.dataset['state'];
	}

	private async look(): Promise<void> {
		window.clearTimeout(this.timer);
		const mine = (this.timer = window.setTimeout(() => void this.look(), EVERY_MS));
		if (document.hidden && this.section.dataset['state']) return;
		try {
			const asked = this.span.value as Span;
			const [stats, active, health, requests] = await Promise.all([
				admin.stats(asked),
				admin.active(ACTIVE_SHOWN),
				admin.health(),
				admin.metric(HTTP_REQUESTS),
			]);
			if (mine !== this.timer) return;
			show(this.section, true);
			this.draw(stats, health, asked);
			showActive(active);
			setText(htmlById('monitor-requests'), this.rate(requests));
			show(htmlById('monitor-error'), false);
			this.section.dataset['state'] = 'shown';
		} catch (error) {
			if (mine !== this.timer) return;
			if (!(error instanceof ApiError)) throw error;
			show(this.section, true);
			setText(htmlById('monitor-error'), error.status === 403 ? 'This is for those who run the server.' : error.message);
			show(htmlById('monitor-error'), error.status !== 401);
			if (error.status === 403) window.clearTimeout(this.timer);
		}
	}

	/** Requests a second since it was looked last. */
	private rate(count: number | null): string {
		const before = this.requests;
		const now = performance.now();
		this.requests = count === null ? null : { count, atMs: now };
		if (count === null || !before || now - before.atMs < EVERY_MS / 2) return '–';
		const rate = Math.max(0, count - before.count) / ((now - before.atMs) / 1000);
		return rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
	}

	private draw(stats: Stats, health: Health, span: Span): void {
		const { jobs, queue } = stats;
		const list = stats.buckets.list;
		const sum = (of: (bucket: Bucket) => number): number => list.reduce((total, bucket) => total + of(bucket), 0);
		const [ended, failed, media] = [sum((b) => b.completed), sum((b) => b.failed), sum((b) => b.media_seconds)];
		const status = htmlById('monitor-status');
		const worst = stats.alerts.length && health.status === 'ok' ? 'warn' : health.status;
		status.dataset['status'] = worst;
		setText(status, STATES[worst]);
		setText(htmlById('monitor-facts'), `Millrace ${stats.version}  ·  up for ${format.remaining(health.uptime_seconds)}`);
		setText(htmlById('monitor-jobs'), String(jobs.pending + jobs.processing + jobs.streaming));
		setText(htmlById('monitor-jobs-more'), `${jobs.processing + jobs.streaming} at work, ${jobs.pending} waiting`);
		setText(htmlById('monitor-queue'), String(queue.ready + queue.waiting));
		const oldest = queue.oldest_waiting_seconds;
		setText(htmlById('monitor-queue-more'), oldest === null ? `${queue.running} running` : `oldest for ${format.remaining(oldest)}`);
		setText(htmlById('monitor-ended'), String(ended));
		setText(htmlById('monitor-ended-more'), `${minutes(media)} of media`);
		setText(htmlById('monitor-failed'), String(failed));
		const ran = sum((b) => (b.speed ? b.media_seconds / b.speed : 0));
		setText(htmlById('monitor-speed'), ran > 0 ? `${(media / ran).toFixed(1)}×` : '–');
		const share = ended + failed > 0 ? `${format.number(Math.round((1000 * failed) / (ended + failed)) / 10)} %` : 'none ended';
		setText(htmlById('monitor-failed-more'), share);
		htmlById('monitor-alerts').replaceChildren(
			...stats.alerts.map(({ alert, host, message }) => make('li', 'notice', `${host}: ${message || alert.replace(/_/g, ' ')}`)),
		);
		this.drawCharts(list, span);
		showFailures(stats);
		showWorkers(stats);
		showHealth(health);
		showStorage(stats);
	}

	private drawCharts(list: Bucket[], span: Span): void {
		const starts = list.map(({ start }) => new Date(start));
		const time = (date: Date): string =>
			span === 'week'
				? date.toLocaleDateString(undefined, { weekday: 'short', hour: '2-digit' })
				: date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
		const whole = (n: number): string => format.number(n);
		const all = (of: (bucket: Bucket) => number | null): (number | null)[] => list.map(of);
		const total = (values: (number | null)[]): number => values.reduce<number>((sum, value) => sum + (value ?? 0), 0);
		const last = (values: (number | null)[]): number | null => values.reduce((found, value) => value ?? found, null);
		const base: Pick<Chart, 'starts' | 'time'> = { starts, time };
		const [done, failed, canceled] = [all((b) => b.completed), all((b) => b.failed), all((b) => b.canceled)];
		this.charts.ended.show({
			...base,
			kind: 'columns',
			series: [
				{ name: 'flow', label: 'Completed', values: done },
				{ name: 'bad', label: 'Failed', values: failed },
				{ name: 'off', label: 'Canceled', values: canceled },
			],
			say: whole,
			short: whole,
			summary: `Jobs that ended: ${total(done)} completed, ${total(failed)} failed, ${total(canceled)} canceled.`,
		});
		const media = all((b) => b.media_seconds / 60);
		this.charts.media.show({
			...base,
			kind: 'columns',
			series: [{ name: 'flow', label: 'Media', values: media }],
			say: (n) => minutes(60 * n),
			short: (n) => `${format.number(n)} m`,
			summary: `Media made: ${minutes(60 * total(media))}.`,
		});
		const speed = all((b) => b.speed);
		this.charts.speed.show({
			...base,
			kind: 'line',
			series: [{ name: 'flow', label: 'Speed', values: speed }],
			say: (n) => `${n.toFixed(1)}×`,
			short: (n) => `${format.number(n)}×`,
			summary: `Speed against real time: ${last(speed) === null ? 'nothing was made' : `${(last(speed) ?? 0).toFixed(1)} times at last`}.`,
		});
		const waited = all((b) => b.waited_seconds);
		this.charts.waited.show({
			...base,
			kind: 'line',
			series: [{ name: 'warm', label: 'Waited', values: waited }],
			say: (n) => `${n.toFixed(n < 10 ? 2 : 0)} s`,
			short: (n) => `${format.number(n)} s`,
			summary: `Jobs waited before they began: ${last(waited) === null ? 'none did' : `${(last(waited) ?? 0).toFixed(1)} seconds at last`}.`,
		});
	}
}
