// What this browser keeps for the page between visits. Storage may be switched off, full, or written by somebody else: then nothing is
// kept, and the page works all the same.

export function recall(key: string): string | null {
	try {
		return localStorage.getItem(key);
	} catch {
		return null;
	}
}

export function keep(key: string, value: string): void {
	try {
		localStorage.setItem(key, value);
	} catch {
		// Then it begins anew next time.
	}
}

/** A list that was kept as JSON; empty where there is none. */
export function recallList<T>(key: string): T[] {
	try {
		const known: unknown = JSON.parse(recall(key) ?? '[]');
		return Array.isArray(known) ? (known as T[]) : [];
	} catch {
		return [];
	}
}
