// Hearing a voice before a narration is made of it: one sentence, spoken by the server as it will be in the narration.
import { ApiError, api } from './api';
import { byId, setText, htmlById } from './dom';

const SAYS = 'This is how I sound.';

export class VoicePreview {
	private readonly button = byId('narrate-preview', HTMLButtonElement);
	private readonly audio = new Audio();
	private asked = 0;

	/** `wanted`: the voice, and what it says; '' for a sentence of ours. */
	constructor(private readonly wanted: () => { voice: string; text: string }) {
		this.button.addEventListener('click', () => {
			if (this.audio.paused) void this.hear();
			else this.stop();
		});
		for (const name of ['play', 'pause', 'ended']) {
			this.audio.addEventListener(name, () => setText(this.button, this.audio.paused ? 'Hear the voice' : 'Stop'));
		}
		this.audio.addEventListener('error', () => this.say('The voice could not be played.'));
	}

	stop(): void {
		this.asked++;
		this.audio.pause();
	}

	private say(text: string): void {
		setText(htmlById('narrate-preview-state'), text);
	}

	private async hear(): Promise<void> {
		const mine = ++this.asked;
		const { voice, text } = this.wanted();
		this.button.disabled = true;
		this.say('Speaking…');
		try {
			const { url, text: said } = await api.previewVoice(voice || undefined, text || SAYS);
			if (mine !== this.asked) return;
			this.audio.src = url;
			await this.audio.play();
			this.say(`“${said}”`);
		} catch (error) {
			if (mine === this.asked) this.say(error instanceof ApiError ? error.message : 'The voice could not be played.');
		} finally {
			this.button.disabled = false;
		}
	}
}
