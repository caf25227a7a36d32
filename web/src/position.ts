// Where somebody stopped watching, for each of the last jobs; kept in this browser alone.

const KEY = 'millrace.positions';
const JOBS_MAX = 100;
/** So close to an end it is no place to come back to. */
const EDGE_S = 5;

type Positions = [jobId: string, seconds: number][];

function read(): Positions {
	try {
		const known: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
		return Array.isArray(known) ? (known as Positions) : [];
	} catch {
		// Storage is switched off, or somebody else wrote there.
		return [];
	}
}

export function rememberPosition(jobId: string, seconds: number, duration: number): void {
	const others = read().filter(([id]) => id !== jobId);
	const worth = seconds > EDGE_S && seconds < duration - EDGE_S;
	try {
		localStorage.setItem(KEY, JSON.stringify(worth ? [[jobId, Math.round(seconds * 10) / 10], ...others].slice(0, JOBS_MAX) : others));
	} catch {
		// Full or switched off: then it begins at the start next time.
	}
}

/** Seconds; 0: nothing is remembered. */
export function rememberedPosition(jobId: string): number {
	const found = read().find(([id]) => id === jobId);
	return typeof found?.[1] === 'number' ? found[1] : 0;
}
