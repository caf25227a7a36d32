// The operations API as the monitor reads it (docs/API.md, "Operations"): what this page uses of it.
import { get } from './api';

export interface Bucket {
	start: string;
	completed: number;
	failed: number;
	canceled: number;
	media_seconds: number;
	speed: number | null;
	waited_seconds: number | null;
}

export interface WorkerState {
	id: string;
	host: string;
	pid: number;
	role: string;
	version: string;
	slots: number;
	busy: number;
	alive: boolean;
	last_seen_seconds: number;
	doing: { job_id: string; kind: string; stage: string | null; percent: number | null }[];
	cpu_percent: number | null;
	memory_bytes: number | null;
	chunks_done: number;
	chunks_failed: number;
	speed: number | null;
}

export interface Stats {
	now: string;
	version: string;
	jobs: Record<'pending' | 'processing' | 'streaming' | 'completed' | 'failed' | 'canceled', number>;
	queue: { ready: number; waiting: number; running: number; oldest_waiting_seconds: number | null };
	buckets: { seconds: number; list: Bucket[] };
	failures: { kind: string; code: string; count: number; last_at: string | null }[];
	workers: WorkerState[];
	alerts: { alert: string; host: string; message: string; since: string | null }[];
	storage: { kind: string; objects: number; bytes: number | null }[];
}

export interface ActiveJob {
	job_id: string;
	user_id: string;
	kind: string;
	status: string;
	stage: string | null;
	percent: number;
	speed: number | null;
	eta_seconds: number | null;
	source_name: string | null;
	waiting_seconds: number | null;
}

export interface Check {
	name: string;
	status: 'ok' | 'warn' | 'fail';
	latency_ms?: number | null;
	value?: number | null;
	unit?: string;
	message?: string;
}

export interface Health {
	status: 'ok' | 'warn' | 'fail';
	uptime_seconds: number;
	checks: Check[];
}

export type Span = 'hour' | 'day' | 'week';

export const admin = {
	stats: (span: Span) => get<Stats>(`/api/admin/stats?window=${span}`),
	active: (limit: number) => get<{ total: number; jobs: ActiveJob[] }>(`/api/admin/active?limit=${limit}`),
	/** Also where something has failed: that is what it is asked for. */
	health: () => get<Health>('/api/health', [503]),
	/** Of Prometheus' text format: the samples of one name added up; null where there is none. */
	async metric(name: string): Promise<number | null> {
		const answer = await fetch('/metrics', { credentials: 'same-origin' }).catch(() => null);
		if (!answer?.ok) return null;
		let sum: number | null = null;
		for (const line of (await answer.text()).split('\n')) {
			if (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) sum = (sum ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1));
		}
		return sum;
	},
};
