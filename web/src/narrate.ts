// A script spoken over music: text, a voice, a file with music, one button. The job's view plays it from its first segment on.
import { ApiError, api, type Job } from './api';
import { announce, byId, htmlById, setText, show } from './dom';

export class Narrate {
	private readonly form = byId('narrate-form', HTMLFormElement);
	private readonly script = byId('narrate-script', HTMLTextAreaElement);
	private readonly voice = byId('narrate-voice', HTMLSelectElement);
	private readonly music = byId('narrate-music', HTMLInputElement);
	private readonly button = byId('narrate-start', HTMLButtonElement);
	/** The music that was sent last, so that another try doesn't send it again. */
	private sent: { file: File; id: string } | null = null;

	constructor(private readonly made: (job: Job) => void) {
		this.form.addEventListener('submit', (event) => {
			event.preventDefault();
			void this.start();
		});
	}

	open(): void {
		show(htmlById('narrate'), true);
		void this.fillVoices();
	}

	close(): void {
		show(htmlById('narrate'), false);
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
