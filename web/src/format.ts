// Numbers and states in words that people read. Pure.
import type { ApiError, ErrorBody, Job, JobStatus } from './api';

export function bytes(n: number): string {
	const units = ['B', 'KB', 'MB', 'GB', 'TB'];
	let i = 0;
	while (n >= 1000 && i < units.length - 1) {
		n /= 1000;
		i++;
	}
	return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[i]}`;
}

/** What sound can be converted to, as the server and as people call it. */
export const FORMATS: readonly [value: string, name: string][] = [
	['mp3', 'MP3'],
	['m4a', 'M4A'],
	['aac', 'AAC'],
	['ogg', 'Ogg Vorbis'],
	['opus', 'Opus'],
	['flac', 'FLAC'],
	['wav', 'WAV'],
];

/** 25 → "25", 23.976 → "23.98". */
export const number = (n: number): string => String(Math.round(n * 100) / 100);

/** 75 → "1:15", 3700 → "1:01:40". */
export function clock(seconds: number): string {
	const s = Math.max(0, Math.round(seconds));
	const two = (n: number): string => String(n).padStart(2, '0');
	const hours = Math.floor(s / 3600);
	const minutes = Math.floor((s % 3600) / 60);
	return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

/** How long something will still take, coarse as such a guess is. */
export function remaining(seconds: number): string {
	if (seconds < 1.5) return 'about a second';
	if (seconds < 60) return `${Math.round(seconds)} s`;
	if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
	if (seconds >= 172_800) return `${Math.floor(seconds / 86_400)} d ${Math.round((seconds % 86_400) / 3600)} h`;
	return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

export function ago(iso: string, nowMs: number): string {
	const seconds = (nowMs - Date.parse(iso)) / 1000;
	if (!Number.isFinite(seconds)) return '';
	if (seconds < 45) return 'just now';
	if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
	if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
	return new Date(iso).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
}

const statusNames: Record<JobStatus, string> = {
	pending: 'Waiting',
	processing: 'Working',
	streaming: 'Streaming',
	completed: 'Ready',
	failed: 'Failed',
	canceled: 'Canceled',
};
export const statusName = (status: JobStatus): string => statusNames[status] ?? status;

const kindNames: Record<string, string> = { ladder: 'Stream', convert: 'Conversion', narration: 'Narration' };
export const kindName = (kind: string): string => kindNames[kind] ?? kind;

/** "Conversion to MP3". */
export function jobKind(job: Job): string {
	const made = FORMATS.find(([value]) => value === job.params?.format)?.[1];
	return kindName(job.kind) + (job.kind === 'convert' && made ? ` to ${made}` : '');
}

/** What the job is doing, as a short sentence. */
export function stage(job: Job): string {
	switch (job.status) {
		case 'pending':
			return 'Waiting for a free worker';
		case 'completed':
			return job.kind === 'convert' ? 'Ready to download' : 'Ready to play';
		case 'failed':
			return 'Stopped';
		case 'canceled':
			return 'Canceled';
		default: {
			const words = (job.progress.stage || 'working').replace(/_/g, ' ');
			return words.charAt(0).toUpperCase() + words.slice(1);
		}
	}
}

export const jobName = (job: Job): string => (job.kind !== 'narration' && job.filename) || `${kindName(job.kind)} ${job.job_id.slice(0, 8)}`;

/** "VIDEO_BROKEN, request 0195…": for whoever has to look it up in a log. */
export function errorReference(error: ErrorBody | ApiError): string {
	const request = 'requestId' in error ? error.requestId : (error as ErrorBody).request_id;
	return [error.code, request && `request ${request}`].filter(Boolean).join(', ');
}
