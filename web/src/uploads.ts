// Files on their way: a row each, two sent at a time. An upload that a reload has interrupted shows up again and goes on: by itself where the
// browser has kept its file (upload-files.ts), else once it is chosen again. States of a row: waiting → sending → checking → starting (its job is made) → gone; interrupted; failed.
import { ApiError, api, type Job } from './api';
import { announce, htmlById, make, setProgress, setText, show } from './dom';
import * as format from './format';
import { Transfer, storedOffset } from './transfer';
import { dropFile, dropFilesBut, keepFile, keptFile } from './upload-files';
import { forget, interrupted, newKey, remember, unfinished, type Then, type Unfinished } from './upload-memory';

const SENDING_MAX = 2;
const REMEMBER_EVERY_MS = 5000;

type State = 'waiting' | 'sending' | 'checking' | 'starting' | 'interrupted' | 'failed';

export interface UploadHooks {
	/** A file has arrived; `job`: what was made of it; `alone`: nothing else is under way. */
	arrived(job: Job | null, alone: boolean): void;
	/** The part that has arrived of all that is under way, 0 to 100. */
	level(percent: number): void;
}

interface Row {
	item: HTMLLIElement;
	name: HTMLElement;
	bar: HTMLElement;
	detail: HTMLElement;
	error: HTMLElement;
	code: HTMLElement;
	again: HTMLButtonElement;
	stop: HTMLButtonElement;
}

interface Entry {
	known: Omit<Unfinished, 'tab' | 'at'>;
	file: File | null;
	/** The browser has a copy: it goes on by itself after a reload. */
	kept: boolean;
	fileId: string;
	state: State;
	sent: number;
	transfer: Transfer | null;
	notedAt: number;
	row: Row;
}

function makeRow(name: string, size: number): Row {
	const item = make('li', 'upload-row');
	const head = make('p', 'upload-head');
	const title = make('strong', '', name);
	head.append(title, make('span', 'muted', format.bytes(size)));
	const bar = make('div', 'bar');
	for (const [key, value] of Object.entries({ role: 'progressbar', 'aria-label': `Upload of ${name}`, 'aria-valuemin': '0', 'aria-valuemax': '100' })) {
		bar.setAttribute(key, value);
	}
	bar.append(make('div', 'bar-fill'));
	const detail = make('p', 'muted upload-detail');
	const error = make('p', 'bad-text upload-error');
	error.setAttribute('role', 'alert');
	const code = make('p', 'hint upload-code');
	const actions = make('div', 'actions');
	const again = make('button', 'button small primary upload-again');
	const stop = make('button', 'button small quiet upload-stop');
	again.type = stop.type = 'button';
	actions.append(again, stop);
	item.append(head, bar, detail, error, code, actions);
	return { item, name: title, bar, detail, error, code, again, stop };
}

export class Uploads {
	private readonly list = htmlById('uploads');
	private entries: Entry[] = [];

	/** `choose`: opens the file chooser. */
	constructor(
		private readonly choose: () => void,
		private readonly hooks: UploadHooks,
	) {
		window.addEventListener('beforeunload', (event) => {
			if (this.entries.some((entry) => entry.transfer !== null && !entry.kept)) event.preventDefault();
		});
	}

	/** Shows what a reload has interrupted, where the server still has its beginning, and goes on with what is at hand. */
	async restore(): Promise<void> {
		for (const known of interrupted()) {
			if (this.entries.some((entry) => entry.known.url === known.url)) continue;
			const offset = await storedOffset(known.url).catch(() => undefined);
			if (offset === null) this.forget(known.url);
			const file = typeof offset === 'number' ? await keptFile(known.url) : null;
			if (typeof offset !== 'number' || this.entries.some((entry) => entry.known.url === known.url)) continue;
			const entry = this.enter(known, file);
			entry.kept = file !== null;
			this.showSent(entry, offset, 0);
			this.enterState(entry, file ? 'waiting' : 'interrupted');
		}
		this.pump();
		void dropFilesBut(unfinished().map(({ url }) => url));
	}

	add(files: File[], then: Then): void {
		for (const file of files) {
			const same = this.entries.find(
				({ state, known }) =>
					state === 'interrupted' && known.name === file.name && known.size === file.size && known.modified === file.lastModified,
			);
			if (same) same.file = file;
			const entry = same ?? this.enter({ url: '', name: file.name, size: file.size, modified: file.lastModified, then, key: newKey() }, file);
			this.enterState(entry, 'waiting');
		}
		this.pump();
	}

	private enter(known: Entry['known'], file: File | null): Entry {
		const row = makeRow(known.name, known.size);
		const entry: Entry = { known, file, kept: false, fileId: '', state: 'waiting', sent: 0, transfer: null, notedAt: 0, row };
		row.again.addEventListener('click', () => this.again(entry));
		row.stop.addEventListener('click', () => this.drop(entry));
		this.entries.push(entry);
		this.list.append(row.item);
		return entry;
	}

	private pump(): void {
		for (const entry of this.entries) {
			if (this.entries.filter((other) => other.transfer).length >= SENDING_MAX) return;
			if (entry.state === 'waiting' && entry.file) this.send(entry, entry.file);
		}
	}

	private send(entry: Entry, file: File): void {
		const { known } = entry;
		entry.transfer = new Transfer(file, known.url, {
			address: (url) => {
				known.url = url;
				remember(known);
				void keepFile(url, file).then((kept) => (entry.kept = kept));
			},
			sent: (bytes, speed) => this.showSent(entry, bytes, speed),
			checking: () => this.enterState(entry, 'checking'),
			done: (fileId) => {
				entry.fileId = fileId;
				void this.finish(entry);
			},
			failed: (error) => this.fail(entry, error),
		});
		this.enterState(entry, 'sending');
		this.showSent(entry, entry.sent, 0);
		entry.transfer.start();
	}

	/** The file has arrived: its job is made, if it is to be. */
	private async finish(entry: Entry): Promise<void> {
		entry.transfer = null;
		this.enterState(entry, 'starting');
		this.pump();
		try {
			const job = entry.known.then === 'ladder' ? await api.createLadder(entry.fileId, entry.known.key) : null;
			announce(`${entry.known.name} has arrived`);
			this.remove(entry);
			this.hooks.arrived(job, this.entries.length === 0);
		} catch (error) {
			this.fail(entry, error instanceof ApiError ? error : new ApiError(0, {}));
		}
	}

	private fail(entry: Entry, error: ApiError): void {
		entry.transfer = null;
		// What the server has refused it won't take at another time.
		if (!error.retriable) this.forget(entry.known.url);
		this.enterState(entry, 'failed');
		setText(entry.row.error, error.message);
		setText(entry.row.code, format.errorReference(error));
		show(entry.row.again, error.retriable);
		this.pump();
	}

	private again(entry: Entry): void {
		if (entry.state === 'interrupted') this.choose();
		else if (entry.fileId) void this.finish(entry);
		else {
			this.enterState(entry, 'waiting');
			this.pump();
		}
	}

	/** Stopped by hand: what has arrived is thrown away. */
	private drop(entry: Entry): void {
		if (entry.transfer) entry.transfer.stop(true);
		else if (entry.known.url && !entry.fileId) void api.endUpload(entry.known.url).catch(() => undefined);
		entry.transfer = null;
		announce(`${entry.known.name}: stopped`);
		this.remove(entry);
		this.pump();
	}

	private forget(url: string): void {
		forget(url);
		if (url) void dropFile(url);
	}

	private remove(entry: Entry): void {
		this.forget(entry.known.url);
		entry.row.item.remove();
		this.entries = this.entries.filter((other) => other !== entry);
		this.tellLevel();
	}

	private showSent(entry: Entry, sent: number, speed: number): void {
		entry.sent = Math.max(entry.sent, sent);
		if (entry.known.url && entry.transfer && Date.now() - entry.notedAt > REMEMBER_EVERY_MS) {
			entry.notedAt = Date.now();
			remember(entry.known);
		}
		const { size } = entry.known;
		const parts = [`${format.bytes(entry.sent)} of ${format.bytes(size)}`];
		if (speed > 0) parts.push(`${format.bytes(speed)}/s`, `${format.remaining((size - sent) / speed)} left`);
		this.showPercent(entry, size > 0 ? (entry.sent / size) * 100 : 0, parts.join('  ·  '));
	}

	private showPercent(entry: Entry, percent: number, text: string): void {
		setProgress(entry.row.bar, percent, text);
		setText(entry.row.detail, text);
		this.tellLevel();
	}

	private tellLevel(): void {
		const under = this.entries.filter(({ state }) => state !== 'failed' && state !== 'interrupted');
		const total = under.reduce((sum, { known }) => sum + known.size, 0);
		const arrived = under.reduce((sum, { sent, state, known }) => sum + (state === 'starting' || state === 'checking' ? known.size : sent), 0);
		this.hooks.level(total > 0 ? (arrived / total) * 100 : 0);
	}

	private enterState(entry: Entry, state: State): void {
		const { row } = entry;
		entry.state = state;
		row.item.dataset['state'] = state;
		setText(row.error, '');
		setText(row.code, '');
		if (state === 'waiting') setText(row.detail, 'Waiting for its turn');
		if (state === 'checking') this.showPercent(entry, 100, 'Looking at what is in it');
		if (state === 'starting') this.showPercent(entry, 100, entry.known.then === 'ladder' ? 'Starting the job' : 'Arrived');
		if (state === 'interrupted') setText(row.detail, `${row.detail.textContent ?? ''}  ·  interrupted: choose the file again, and it goes on`);
		show(row.bar, state !== 'failed');
		show(row.detail, state !== 'failed');
		show(row.again, state === 'interrupted');
		setText(row.again, state === 'interrupted' ? 'Choose it again' : 'Try again');
		show(row.stop, state !== 'starting');
		setText(row.stop, state === 'failed' ? 'Remove from the list' : 'Stop the upload');
		this.tellLevel();
	}
}
