// Where somebody stopped watching, for each of the last jobs; kept in this browser alone.
import { keep, recallList } from './storage';

const KEY = 'millrace.positions';
const JOBS_MAX = 100;
/** So close to an end it is no place to come back to. */
const EDGE_S = 5;

type Position = [jobId: string, seconds: number];

export function rememberPosition(jobId: string, seconds: number, duration: number): void {
	const others = recallList<Position>(KEY).filter(([id]) => id !== jobId);
	const worth = seconds > EDGE_S && seconds < duration - EDGE_S;
	keep(KEY, JSON.stringify(worth ? [[jobId, Math.round(seconds * 10) / 10], ...others].slice(0, JOBS_MAX) : others));
}

/** Seconds; 0: nothing is remembered. */
export function rememberedPosition(jobId: string): number {
	const found = recallList<Position>(KEY).find(([id]) => id === jobId);
	return typeof found?.[1] === 'number' ? found[1] : 0;
}
