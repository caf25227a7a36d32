// The player's buttons and keys. Letters work wherever the focus is, but in a field: K plays, J and L seek by ten seconds, M is the
// sound, < and > the speed, F the full screen, P the picture in picture, 0 to 9 tenths of the whole. Keys that a page scrolls by
// (space, arrows, home, end) are the player's while the focus is in it.
import { announce, byId, htmlById, show } from './dom';
import type { SeekBar } from './seek-bar';
import { keep, recall } from './storage';

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
const VOLUME_KEY = 'millrace.volume';
const VOLUME_STEP = 0.1;
const SCROLL_KEYS = new Set([' ', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End']);

type IPhoneVideo = HTMLVideoElement & { webkitEnterFullscreen?: () => void };

export class Controls {
	private readonly box = htmlById('player');
	private readonly playButton = byId('play', HTMLButtonElement);
	private readonly muteButton = byId('mute', HTMLButtonElement);
	private readonly volume = byId('volume', HTMLInputElement);
	private readonly speed = byId('speed', HTMLSelectElement);
	private readonly pip = byId('pip', HTMLButtonElement);
	private readonly fullscreen = byId('fullscreen', HTMLButtonElement);

	constructor(
		private readonly video: HTMLVideoElement,
		private readonly seekBar: SeekBar,
	) {
		this.speed.replaceChildren(...SPEEDS.map((rate) => new Option(`${rate}×`, String(rate), rate === 1, rate === 1)));
		this.playButton.addEventListener('click', () => this.toggle());
		video.addEventListener('click', () => this.toggle());
		video.addEventListener('dblclick', () => this.toggleFullscreen());
		this.muteButton.addEventListener('click', () => (video.muted = !video.muted));
		this.volume.addEventListener('input', () => this.setVolume(Number(this.volume.value)));
		this.speed.addEventListener('change', () => (video.playbackRate = Number(this.speed.value)));
		this.pip.addEventListener('click', () => void this.togglePip());
		this.fullscreen.addEventListener('click', () => this.toggleFullscreen());
		for (const name of ['play', 'pause', 'ended', 'emptied']) video.addEventListener(name, () => this.drawPlay());
		video.addEventListener('volumechange', () => this.drawVolume());
		video.addEventListener('loadedmetadata', () => this.drawPip());
		document.addEventListener('fullscreenchange', () => this.label(this.fullscreen, this.isFull ? 'Leave full screen' : 'Full screen', this.isFull));
		document.addEventListener('keydown', (event) => this.key(event));
		const kept = Number(recall(VOLUME_KEY) ?? '1');
		if (kept >= 0 && kept <= 1) video.volume = kept;
		this.drawPlay();
		this.drawVolume();
	}

	/** A new stream keeps the speed that was chosen: media elements forget it. */
	loaded(): void {
		this.video.playbackRate = Number(this.speed.value);
		this.drawPip();
	}

	private get isFull(): boolean {
		return document.fullscreenElement === this.box;
	}

	private toggle(): void {
		if (this.video.paused) void this.video.play().catch(() => undefined);
		else this.video.pause();
	}

	private setVolume(volume: number): void {
		this.video.muted = false;
		this.video.volume = Math.max(0, Math.min(1, volume));
		keep(VOLUME_KEY, String(this.video.volume));
	}

	private stepSpeed(by: 1 | -1): void {
		const next = SPEEDS[SPEEDS.indexOf(this.video.playbackRate) + by];
		if (next === undefined) return;
		this.speed.value = String(next);
		this.video.playbackRate = next;
		announce(`Speed ${next}`);
	}

	private async togglePip(): Promise<void> {
		if (document.pictureInPictureElement) await document.exitPictureInPicture();
		else await this.video.requestPictureInPicture().catch(() => undefined);
	}

	private toggleFullscreen(): void {
		const video: IPhoneVideo = this.video;
		if (this.isFull) void document.exitFullscreen();
		else if (document.fullscreenEnabled) void this.box.requestFullscreen().catch(() => undefined);
		else video.webkitEnterFullscreen?.();
	}

	private label(button: HTMLButtonElement, text: string, pressed: boolean): void {
		button.setAttribute('aria-label', text);
		button.title = text;
		button.classList.toggle('on', pressed);
	}

	private drawPlay(): void {
		this.label(this.playButton, this.video.paused ? 'Play' : 'Pause', !this.video.paused);
	}

	private drawVolume(): void {
		const { muted, volume } = this.video;
		this.label(this.muteButton, muted ? 'Turn the sound on' : 'Turn the sound off', muted);
		this.volume.value = String(muted ? 0 : volume);
	}

	private drawPip(): void {
		show(this.pip, document.pictureInPictureEnabled && this.video.videoWidth > 0);
	}

	private key(event: KeyboardEvent): void {
		const target = event.target instanceof HTMLElement ? event.target : document.body;
		if (event.ctrlKey || event.altKey || event.metaKey || htmlById('job').hidden || document.querySelector('dialog[open]')) return;
		if (target.id !== 'seek' && target.matches('input, select, textarea')) return;
		if (SCROLL_KEYS.has(event.key) && !this.box.contains(target)) return;
		if (event.key === ' ' && target.matches('button')) return;
		if (this.act(event.key)) event.preventDefault();
	}

	/** Whether the key means something. */
	private act(key: string): boolean {
		const { video } = this;
		if (/^[0-9]$/.test(key)) {
			this.seekBar.seek((Number(key) / 10) * this.seekBar.total);
			return true;
		}
		const seek = (seconds: number): void => this.seekBar.seek(video.currentTime + seconds);
		const keys: Record<string, () => void> = {
			' ': () => this.toggle(),
			k: () => this.toggle(),
			arrowleft: () => seek(-5),
			arrowright: () => seek(5),
			j: () => seek(-10),
			l: () => seek(10),
			home: () => this.seekBar.seek(0),
			end: () => this.seekBar.seek(this.seekBar.total),
			arrowup: () => this.setVolume(video.volume + VOLUME_STEP),
			arrowdown: () => this.setVolume(video.volume - VOLUME_STEP),
			m: () => (video.muted = !video.muted),
			f: () => this.toggleFullscreen(),
			p: () => void this.togglePip(),
			'<': () => this.stepSpeed(-1),
			'>': () => this.stepSpeed(1),
		};
		const act = keys[key.toLowerCase()];
		act?.();
		return act !== undefined;
	}
}
