// The monitor's lists: failures by reason, workers, what the server stands on, what the store holds, jobs at work.
import type { ActiveJob, Health, Stats, WorkerState } from './admin';
import { htmlById, make, setProgress, show } from './dom';
import * as format from './format';

const STORAGE: Record<string, string> = {
	uploads: 'Uploads',
	ladders: 'Streams of files',
	narrations: 'Narrations',
	conversions: 'Conversions',
	downloads: 'MP3s of narrations',
	streams: 'Live',
	speech: 'Spoken sentences',
	parts: 'Parts',
	doomed: 'To be removed',
};
const CHECKS: Record<string, string> = {
	database: 'Database',
	store: 'Object store',
	bus: 'Hints',
	speech: 'Speech',
	tasks: 'Tasks',
	queue: 'Queue',
	cpu: 'Processor',
	memory: 'Memory',
	disk: 'Disk',
	descriptors: 'Open files',
};
const STATES = { ok: 'well', warn: 'strained', fail: 'failing' };

function bar(percent: number, label: string, spoken: string): HTMLElement {
	const box = make('div', 'bar thin');
	for (const [name, value] of Object.entries({ role: 'meter', 'aria-label': label, 'aria-valuemin': '0', 'aria-valuemax': '100' })) {
		box.setAttribute(name, value);
	}
	box.append(make('div', 'bar-fill'));
	setProgress(box, Math.max(0, Math.min(100, percent)), spoken);
	return box;
}

function fill(id: string, items: HTMLElement[]): void {
	htmlById(id).replaceChildren(...items);
	show(htmlById(`${id}-empty`), items.length === 0);
}

export function showFailures({ failures, now }: Stats): void {
	const most = Math.max(...failures.map(({ count }) => count), 1);
	fill(
		'monitor-failures',
		failures.slice(0, 8).map((failure) => {
			const item = make('li', 'failure');
			const head = make('p', 'monitor-line');
			head.append(make('strong', '', failure.code), make('span', '', String(failure.count)));
			const when = failure.last_at ? `, ${format.ago(failure.last_at, Date.parse(now))}` : '';
			item.append(
				head,
				bar((failure.count / most) * 100, `${failure.code} in ${format.kindName(failure.kind)}`, String(failure.count)),
				make('p', 'hint', `${format.kindName(failure.kind)}${when}`),
			);
			return item;
		}),
	);
}

function worker(state: WorkerState): HTMLElement {
	const item = make('li', 'worker');
	item.dataset['alive'] = String(state.alive);
	const name = make('p', 'monitor-line');
	const seen = state.alive ? `seen ${Math.max(0, Math.round(state.last_seen_seconds))} s ago` : `silent for ${format.remaining(state.last_seen_seconds)}`;
	const beat = make('span', 'beat', state.alive ? 'alive' : 'gone');
	name.append(make('strong', '', `${state.host}:${state.pid}`), beat);
	const numbers = [
		state.role === 'serve' ? 'server' : 'worker',
		seen,
		state.cpu_percent === null ? '' : `${Math.round(state.cpu_percent)} % CPU`,
		state.memory_bytes === null ? '' : format.bytes(state.memory_bytes),
		state.speed === null ? '' : `${state.speed.toFixed(1)}×`,
		`${state.chunks_done} chunks`,
		state.chunks_failed ? `${state.chunks_failed} failed` : '',
	];
	const slots = make('p', 'hint', `${state.busy} of ${state.slots} busy`);
	item.append(name, make('p', 'hint', numbers.filter(Boolean).join('  ·  ')));
	if (state.slots > 0) item.append(bar((state.busy / state.slots) * 100, `${state.host}:${state.pid}, busy`, `${state.busy} of ${state.slots}`));
	const kinds = new Map<string, number>();
	for (const { kind } of state.doing) kinds.set(format.kindName(kind), (kinds.get(format.kindName(kind)) ?? 0) + 1);
	const doing = [...kinds].map(([kind, count]) => (count > 1 ? `${count} × ${kind}` : kind));
	if (state.slots > 0) slots.textContent += doing.length ? `  ·  ${doing.join(', ')}` : '';
	else slots.textContent = 'makes nothing itself';
	item.append(slots);
	return item;
}

export function showWorkers({ workers }: Stats): void {
	fill('monitor-workers', [...workers].sort((a, b) => Number(b.alive) - Number(a.alive) || a.host.localeCompare(b.host)).map(worker));
}

export function showHealth({ checks }: Health): void {
	fill(
		'monitor-health',
		checks.map((check) => {
			const item = make('li', 'probe');
			item.dataset['status'] = check.status;
			const facts = [
				STATES[check.status],
				check.unit === 'ratio' && check.value != null ? `${Math.round(check.value * 100)} %` : '',
				check.unit === 'seconds' && check.value != null && check.latency_ms == null ? `${format.number(check.value)} s` : '',
				check.latency_ms != null ? `${check.latency_ms < 10 ? check.latency_ms.toFixed(1) : Math.round(check.latency_ms)} ms` : '',
				check.message ?? '',
			];
			item.append(make('span', 'check-name', CHECKS[check.name] ?? check.name), make('span', 'muted', facts.filter(Boolean).join('  ·  ')));
			return item;
		}),
	);
}

export function showStorage({ storage }: Stats): void {
	const held = storage.filter(({ objects }) => objects > 0).sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
	const total = held.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
	fill(
		'monitor-storage',
		held.map(({ kind, objects, bytes }) => {
			const item = make('li', 'stored');
			const head = make('p', 'monitor-line');
			head.append(make('strong', '', STORAGE[kind] ?? kind), make('span', '', bytes === null ? '–' : format.bytes(bytes)));
			const share = total > 0 ? ((bytes ?? 0) / total) * 100 : 0;
			item.append(head, bar(share, STORAGE[kind] ?? kind, `${Math.round(share)} %`), make('p', 'hint', `${objects} object${objects === 1 ? '' : 's'}`));
			return item;
		}),
	);
	htmlById('monitor-storage-total').textContent = total > 0 ? format.bytes(total) : '';
}

export function showActive({ total, jobs }: { total: number; jobs: ActiveJob[] }): void {
	fill(
		'monitor-active',
		jobs.map((job) => {
			const item = make('li', 'active-job');
			const head = make('p', 'monitor-line');
			const name = make('strong', '', job.source_name || `${format.kindName(job.kind)} ${job.job_id.slice(0, 8)}`);
			head.append(name, make('span', '', `${Math.floor(job.percent)} %`));
			const facts = [
				format.kindName(job.kind),
				job.user_id,
				job.stage ? job.stage.replace(/_/g, ' ') : 'waiting',
				job.speed ? `${job.speed.toFixed(1)}×` : '',
				job.eta_seconds === null ? '' : `${format.remaining(job.eta_seconds)} left`,
				job.waiting_seconds === null || job.percent > 0 ? '' : `waits for ${format.remaining(job.waiting_seconds)}`,
			];
			item.append(head, bar(job.percent, `Progress of ${name.textContent ?? ''}`, `${Math.floor(job.percent)} %`));
			item.append(make('p', 'hint', facts.filter(Boolean).join('  ·  ')));
			return item;
		}),
	);
	htmlById('monitor-active-more').textContent = total > jobs.length ? `and ${total - jobs.length} more` : '';
}
