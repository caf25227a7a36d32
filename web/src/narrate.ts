// A script spoken over music: an editor that says how long it will be, a voice, a file with music, one button. The job's view plays it
// from its first segment on. What is being written survives a reload.
import { ApiError, api, type Job } from './api';
import { announce, byId, htmlById, setText, show } from './dom';
import * as format from './format';
import { outline, type Outline } from './script';
import { keep, recall } from './storage';
import { VoicePreview } from './voice-preview';

const DRAFT_KEY = 'millrace.script';

function described({ sentences, pauses, pauseSeconds, seconds }: Outline): string {
	if (!sentences) return '';
	const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
	const held = pauses ? `  ·  ${count(pauses, 'pause')}, ${format.number(Math.round(pauseSeconds * 10) / 10)} s` : '';
	return `About ${format.clock(Math.max(1, seconds))}  ·  ${count(sentences, 'sentence')}${held}`;
}

export class Narrate {
	private readonly form = byId('narrate-form', HTMLFormElement);
	private readonly script = byId('narrate-script', HTMLTextAreaElement);
	private readonly voice = byId('narrate-voice', HTMLSelectElement);
	private readonly music = byId('narrate-music', HTMLInputElement);
	private readonly button = byId('narrate-start', HTMLButtonElement);
	private readonly preview = new VoicePreview(() => ({ voice: this.voice.value, text: outline(this.script.value).first }));
	/** The music that was sent last, so that another try doesn't send it again. */
	private sent: { file: File; id: string } | null = null;

	constructor(private readonly made: (job: Job) => void) {
		this.form.addEventListener('submit', (event) => {
			event.preventDefault();
			void this.start();
		});
		this.script.value = recall(DRAFT_KEY) ?? '';
		this.script.addEventListener('input', () => this.changed());
		for (const button of this.form.querySelectorAll<HTMLButtonElement>('[data-pause]')) {
			button.addEventListener('click', () => this.insert(`[pause ${button.dataset['pause'] ?? ''}]`));
		}
		this.changed();
	}

	open(): void {
		show(htmlById('narrate'), true);
		void this.fillVoices();
	}

	close(): void {
		this.preview.stop();
		show(htmlById('narrate'), false);
	}

	private changed(): void {
		keep(DRAFT_KEY, this.script.value);
		setText(htmlById('narrate-length'), described(outline(this.script.value)));
	}

	/** At the caret, with a space where there is none; it can be undone as if it had been typed. */
	private insert(text: string): void {
		const { script } = this;
		const before = script.value.slice(0, script.selectionStart);
		const after = script.value.slice(script.selectionEnd);
		const whole = `${/(^|\s)$/.test(before) ? '' : ' '}${text}${/^\s/.test(after) ? '' : ' '}`;
		script.focus();
		if (!document.execCommand('insertText', false, whole)) {
			script.setRangeText(whole, script.selectionStart, script.selectionEnd, 'end');
			this.changed();
		}
	}

	/** Once. */
	private async fillVoices(): Promise<void> {
		if (this.voice.options.length) return;
		const known = await api.voices().catch(() => null);
		if (!known || this.voice.options.length) return;
		for (const name of known.voices) this.voice.add(new Option(name, name, name === known.default, name === known.default));
	}

	private async musicId(): Promise<string | undefined> {
		const file = this.music.files?.[0];
		if (!file) return undefined;
		if (this.sent?.file !== file) {
			setText(htmlById('narrate-state'), 'Sending the music…');
			this.sent = { file, id: (await api.sendFile(file)).file_id };
		}
		return this.sent.id;
	}

	private async start(): Promise<void> {
		const problem = htmlById('narrate-error');
		show(problem, false);
		this.preview.stop();
		this.button.disabled = true;
		try {
			const music = await this.musicId();
			const job = await api.createNarration(this.script.value, this.voice.value || undefined, music);
			announce('The narration has begun');
			this.made(job);
		} catch (error) {
			setText(problem, error instanceof ApiError ? error.message : 'The narration could not be started.');
			show(problem, true);
		} finally {
			setText(htmlById('narrate-state'), '');
			this.button.disabled = false;
		}
	}
}
