// Where files go in: chosen, or dropped anywhere on the page.
import { byId, htmlById } from './dom';
import { keep, recall } from './storage';
import type { Then } from './upload-memory';

const THEN_KEY = 'millrace.then';

export class Intake {
	private readonly input = byId('file', HTMLInputElement);
	private readonly then = byId('then', HTMLSelectElement);

	constructor(private readonly take: (files: File[], then: Then) => void) {
		const kept = recall(THEN_KEY);
		if (kept === 'ladder' || kept === 'keep') this.then.value = kept;
		this.then.addEventListener('change', () => keep(THEN_KEY, this.then.value));
		this.input.addEventListener('change', () => {
			const files = [...(this.input.files ?? [])];
			this.input.value = '';
			this.hand(files);
		});
		this.listenForDrops();
	}

	choose(): void {
		this.input.click();
	}

	/** The gate's water stands as high as what has arrived. */
	setLevel(percent: number): void {
		htmlById('gate').style.setProperty('--level', String(percent));
	}

	private hand(files: File[]): void {
		if (files.length) this.take(files, this.then.value === 'keep' ? 'keep' : 'ladder');
	}

	private listenForDrops(): void {
		let depth = 0;
		const over = (on: boolean): void => void document.body.classList.toggle('dropping', on);
		const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
		document.addEventListener('dragenter', (event) => {
			if (hasFiles(event)) over(++depth > 0);
		});
		document.addEventListener('dragleave', (event) => {
			if (hasFiles(event)) over(--depth > 0);
		});
		document.addEventListener('dragover', (event) => {
			if (hasFiles(event)) event.preventDefault();
		});
		document.addEventListener('drop', (event) => {
			depth = 0;
			over(false);
			const files = [...(event.dataTransfer?.files ?? [])];
			if (!files.length) return;
			event.preventDefault();
			location.hash = '#/';
			this.hand(files);
		});
	}
}
