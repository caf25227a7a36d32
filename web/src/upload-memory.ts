// Which uploads were under way when the page was left: what is needed to go on (their files: upload-files.ts). Kept in this browser
// alone.
import { keep, recallList } from './storage';

export type Then = 'ladder' | 'keep';

export interface Unfinished {
	url: string;
	name: string;
	size: number;
	/** The file's last change, as the browser says it: with name and size, how the same file is known again. */
	modified: number;
	then: Then;
	/** Of the job that is made at the end, so that trying again doesn't make two. */
	key: string;
	/** The tab that sends it; another one leaves it alone while `at` (ms) is fresh. */
	tab: string;
	at: number;
}

const KEY = 'millrace.uploads';
const TAB_KEY = 'millrace.tab';
const FRESH_MS = 20_000;
const KEPT_MAX = 50;

/** Not crypto.randomUUID(): that exists only on https and localhost. */
export function newKey(): string {
	return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function tabName(): string {
	try {
		const known = sessionStorage.getItem(TAB_KEY);
		if (known) return known;
		const name = newKey();
		sessionStorage.setItem(TAB_KEY, name);
		return name;
	} catch {
		return newKey();
	}
}

const tab = tabName();

const read = (): Unfinished[] => recallList<Unfinished>(KEY);
const write = (list: Unfinished[]): void => keep(KEY, JSON.stringify(list.slice(-KEPT_MAX)));

/** Notes an upload, or that it is still being sent by this tab. */
export function remember(upload: Omit<Unfinished, 'tab' | 'at'>): void {
	write([...read().filter((known) => known.url !== upload.url), { ...upload, tab, at: Date.now() }]);
}

export function forget(url: string): void {
	write(read().filter((known) => known.url !== url));
}

/** All that are known of, in whichever tab. */
export const unfinished = (): Unfinished[] => read();

/** Those that nobody sends at the moment. */
export function interrupted(): Unfinished[] {
	return read().filter((known) => known.tab === tab || Date.now() - known.at > FRESH_MS);
}
