// The files that somebody has sent: cards with a picture, searched by name (by the server, so that all of them are). Pages of the list are
// read as they are asked for.
import { ApiError, api, type FileRecord } from './api';
import { announce, byId, confirmAction, htmlById, make, setText, show } from './dom';
import { facts } from './facts';

const SEARCH_DELAY_MS = 200;
/** A page of cards is full with so many. */
const FILL = 24;
/** By-products appear some time after their file. */
const REFRESH_MS = 5000;

function icon(name: string): SVGSVGElement {
	const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
	const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
	use.setAttribute('href', `#${name}`);
	svg.setAttribute('aria-hidden', 'true');
	svg.append(use);
	return svg;
}

export class Library {
	private readonly section = htmlById('library');
	private readonly list = htmlById('library-list');
	private readonly search = byId('library-search', HTMLInputElement);
	private readonly more = byId('library-more', HTMLButtonElement);
	private files: FileRecord[] = [];
	private cursor: string | null = '';
	private shown = FILL;
	private timer = 0;
	/** What was searched for when the list was begun; a list begun later makes an answer to an earlier one useless. */
	private wanted = '';
	private begun = 0;
	/** What is drawn for each file, so that it is drawn again only where something has changed. */
	private readonly cards = new Map<string, { item: HTMLLIElement; drawn: string }>();

	constructor() {
		this.search.addEventListener('input', () => {
			window.clearTimeout(this.timer);
			this.shown = FILL;
			this.timer = window.setTimeout(() => void this.refresh(), SEARCH_DELAY_MS);
		});
		this.more.addEventListener('click', () => {
			this.shown += FILL;
			void this.fill();
		});
	}

	open(): Promise<void> {
		show(this.section, true);
		return this.refresh();
	}

	close(): void {
		show(this.section, false);
		window.clearTimeout(this.timer);
	}

	/** Reads the list anew, from its newest file on. */
	refresh(): Promise<void> {
		this.files = [];
		this.cursor = '';
		this.wanted = this.search.value.trim();
		this.begun++;
		return this.fill();
	}

	/** Reads on until the page of cards is full or nothing is left. */
	private async fill(): Promise<void> {
		const mine = this.begun;
		show(htmlById('library-error'), false);
		try {
			while (this.cursor !== null && this.files.length < this.shown && !this.section.hidden) {
				const page = await api.listFiles(this.wanted, this.cursor);
				if (mine !== this.begun) return;
				this.files.push(...page.files);
				this.cursor = page.cursor;
			}
			this.draw();
		} catch (error) {
			if (!(error instanceof ApiError)) throw error;
			if (error.status !== 401) {
				setText(htmlById('library-error'), error.message);
				show(htmlById('library-error'), true);
			}
		}
	}

	private draw(): void {
		const found = this.files.slice(0, this.shown);
		const known = new Set(found.map((file) => file.file_id));
		for (const [id, card] of this.cards) {
			if (known.has(id)) continue;
			card.item.remove();
			this.cards.delete(id);
		}
		found.forEach((file, position) => {
			const item = this.card(file);
			if (this.list.children[position] !== item) this.list.insertBefore(item, this.list.children[position] ?? null);
		});
		setText(htmlById('library-empty'), this.wanted ? `No file's name has “${this.wanted}” in it.` : 'Nothing yet. What you send shows up here.');
		show(htmlById('library-empty'), found.length === 0);
		show(this.more, this.cursor !== null || this.files.length > this.shown);
		if (found.some((file) => file.analysis?.status === 'pending')) this.later();
	}

	/** Looks again at the files whose pictures are still to come. */
	private later(): void {
		window.clearTimeout(this.timer);
		this.timer = window.setTimeout(async () => {
			for (const file of this.files.filter(({ analysis }) => analysis?.status === 'pending').slice(0, FILL)) {
				const now = await api.getFile(file.file_id).catch(() => null);
				if (now) this.files = this.files.map((other) => (other.file_id === now.file_id ? now : other));
			}
			if (!this.section.hidden) this.draw();
		}, REFRESH_MS);
	}

	private card(file: FileRecord): HTMLLIElement {
		const picture = file.analysis?.poster_url ?? file.analysis?.waveform_image_url ?? '';
		const drawn = `${file.filename} ${picture}`;
		const before = this.cards.get(file.file_id);
		if (before?.drawn === drawn) return before.item;
		const item = before?.item ?? make('li', 'file-card');
		const box = make('div', 'file-picture');
		const image = make('img');
		image.alt = '';
		image.loading = 'lazy';
		image.src = picture;
		box.append(picture ? image : icon('i-wheel'));
		const name = make('a', 'file-name', file.filename || 'Without a name');
		name.href = `#/files/${file.file_id}`;
		name.title = file.filename ?? '';
		const text = make('div', 'file-text');
		text.append(name, make('p', 'file-facts', facts(file).join('  ·  ')));
		const remove = make('button', 'button small quiet', 'Delete');
		remove.type = 'button';
		remove.setAttribute('aria-label', `Delete ${file.filename ?? 'the file'}`);
		remove.addEventListener('click', () => void this.remove(file));
		const actions = make('div', 'actions');
		actions.append(remove);
		item.replaceChildren(box, text, actions);
		this.cards.set(file.file_id, { item, drawn });
		return item;
	}

	private async remove(file: FileRecord): Promise<void> {
		const sure = await confirmAction(`Delete ${file.filename ?? 'this file'}?`, 'Streams that were made of it stay.', 'Delete');
		if (!sure) return;
		try {
			await api.deleteFile(file.file_id);
			announce('The file is deleted');
			await this.refresh();
		} catch (error) {
			setText(htmlById('library-error'), error instanceof ApiError ? error.message : 'The file could not be deleted.');
			show(htmlById('library-error'), true);
		}
	}
}
