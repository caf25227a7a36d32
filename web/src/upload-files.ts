// The files of uploads that are under way, kept by the browser (IndexedDB, which copies them) so that after a reload they go on by
// themselves: a page may not open somebody's file again. Where nothing can be kept, or a file is very large, it is chosen again.

const NAME = 'millrace';
const STORE = 'uploads';
/** The browser makes a copy on the disk. */
const BYTES_MAX = 1 << 30;

function done<T>(request: IDBRequest<T>): Promise<T> {
	return new Promise((resolve, reject) => {
		request.addEventListener('success', () => resolve(request.result));
		request.addEventListener('error', () => reject(request.error ?? new Error('IndexedDB')));
	});
}

async function inStore<T>(mode: IDBTransactionMode, run: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
	let database: IDBDatabase | null = null;
	try {
		const opening = indexedDB.open(NAME, 1);
		opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(STORE));
		database = await done(opening);
		return await done(run(database.transaction(STORE, mode).objectStore(STORE)));
	} catch {
		// Switched off, full, or a private window: then it isn't kept.
		return undefined;
	} finally {
		database?.close();
	}
}

/** Whether it is kept now. */
export async function keepFile(url: string, file: File): Promise<boolean> {
	if (file.size > BYTES_MAX) return false;
	return (await inStore('readwrite', (store) => store.put(file, url))) !== undefined;
}

export async function keptFile(url: string): Promise<File | null> {
	const file: unknown = await inStore('readonly', (store) => store.get(url) as IDBRequest<unknown>);
	return file instanceof File ? file : null;
}

export async function dropFile(url: string): Promise<void> {
	await inStore('readwrite', (store) => store.delete(url));
}

/** Drops those that no upload needs any more. */
export async function dropFilesBut(urls: string[]): Promise<void> {
	const keys = (await inStore('readonly', (store) => store.getAllKeys())) ?? [];
	for (const key of keys) if (!urls.includes(String(key))) await dropFile(String(key));
}
