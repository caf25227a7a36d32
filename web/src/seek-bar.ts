// The bar that one seeks with: what is loaded, what is made already, a picture of what is there (storyboard) or, of sound, its shape.
import { byId, htmlById, setText, show } from './dom';
import * as format from './format';
import { Storyboard, type Tile } from './storyboard';
import { Waveform } from './waveform';

/** What the server knows of the file that plays; nothing of it is needed. */
export interface Pictures {
	storyboardUrl: string | null;
	waveformUrl: string | null;
	/** Seconds of the whole, also of what isn't made yet; 0: not known. */
	duration: number;
}

const NO_PICTURES: Pictures = { storyboardUrl: null, waveformUrl: null, duration: 0 };
/** A sought place this far before the end of what is made still plays at once. */
const MARGIN_S = 0.5;

export class SeekBar {
	private readonly box = htmlById('seek-box');
	private readonly slider = byId('seek', HTMLInputElement);
	private readonly canvas = byId('seek-wave', HTMLCanvasElement);
	private readonly preview = htmlById('seek-preview');
	private readonly picture = htmlById('seek-picture');
	private pictures = NO_PICTURES;
	private storyboard: Storyboard | null = null;
	private waveform: Waveform | null = null;
	private held = false;

	constructor(private readonly video: HTMLVideoElement) {
		this.slider.addEventListener('input', () => {
			this.held = true;
			this.label(Number(this.slider.value));
		});
		this.slider.addEventListener('change', () => {
			this.held = false;
			this.seek(Number(this.slider.value));
		});
		this.box.addEventListener('pointermove', (event) => this.hover(event));
		this.box.addEventListener('pointerleave', () => show(this.preview, false));
		for (const name of ['timeupdate', 'durationchange', 'progress', 'seeking', 'seeked', 'emptied']) {
			video.addEventListener(name, () => this.draw());
		}
		new ResizeObserver(() => this.draw()).observe(this.box);
		window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
	}

	/** What is known of the file; may come at any time, also while it plays. */
	async setPictures(pictures: Pictures): Promise<void> {
		const before = this.pictures;
		this.pictures = pictures;
		if (pictures.storyboardUrl !== before.storyboardUrl) {
			const storyboard = pictures.storyboardUrl ? await Storyboard.load(pictures.storyboardUrl) : null;
			if (this.pictures !== pictures) return;
			this.storyboard = storyboard;
		}
		if (pictures.waveformUrl !== before.waveformUrl) {
			const waveform = pictures.waveformUrl ? await Waveform.load(pictures.waveformUrl) : null;
			if (this.pictures !== pictures) return;
			this.waveform = waveform;
		}
		this.draw();
	}

	clear(): void {
		this.pictures = NO_PICTURES;
		this.storyboard = null;
		this.waveform = null;
		this.held = false;
		show(this.preview, false);
		this.draw();
	}

	/** Goes there, or to the end of what is made so far. */
	seek(seconds: number): void {
		const last = this.end;
		const beyond = this.total > last + MARGIN_S;
		this.video.currentTime = Math.max(0, Math.min(seconds, beyond ? last - MARGIN_S : last));
	}

	/** Seconds of the whole. */
	get total(): number {
		return Math.max(this.pictures.duration, this.end);
	}

	/** Seconds that are made. */
	private get end(): number {
		const { duration, seekable } = this.video;
		if (Number.isFinite(duration)) return duration;
		return seekable.length ? seekable.end(seekable.length - 1) : 0;
	}

	private get loaded(): number {
		const { buffered, currentTime } = this.video;
		for (let i = 0; i < buffered.length; i++) {
			if (buffered.start(i) <= currentTime + 0.1 && currentTime <= buffered.end(i)) return buffered.end(i);
		}
		return currentTime;
	}

	private draw(): void {
		const total = this.total;
		const part = (seconds: number): string => String(total > 0 ? Math.min(100, (seconds / total) * 100) : 0);
		this.slider.max = String(total);
		if (!this.held) {
			this.slider.value = String(this.video.currentTime);
			this.label(this.video.currentTime);
		}
		this.box.style.setProperty('--played', part(this.held ? Number(this.slider.value) : this.video.currentTime));
		this.box.style.setProperty('--loaded', part(this.loaded));
		this.box.style.setProperty('--made', part(this.end));
		const wave = this.waveform !== null && this.video.videoWidth === 0;
		this.box.classList.toggle('with-wave', wave);
		show(this.canvas, wave);
		if (wave) this.waveform?.draw(this.canvas, total, this.video.currentTime);
	}

	private label(seconds: number): void {
		const text = `${format.clock(seconds)} / ${format.clock(this.total)}`;
		setText(htmlById('time'), text);
		this.slider.setAttribute('aria-valuetext', `${format.clock(seconds)} of ${format.clock(this.total)}`);
	}

	private hover(event: PointerEvent): void {
		const { left, width } = this.slider.getBoundingClientRect();
		const part = Math.max(0, Math.min(1, (event.clientX - left) / width));
		const seconds = part * this.total;
		if (event.pointerType === 'touch' || !(this.total > 0)) return;
		const tile = this.video.videoWidth ? (this.storyboard?.tile(seconds) ?? null) : null;
		this.showTile(tile);
		setText(htmlById('seek-time'), format.clock(seconds));
		show(this.preview, true);
		const half = this.preview.offsetWidth / 2;
		this.preview.style.left = `${Math.max(half, Math.min(width - half, part * width))}px`;
	}

	private showTile(tile: Tile | null): void {
		show(this.picture, tile !== null);
		if (!tile) return;
		this.picture.style.width = `${tile.width}px`;
		this.picture.style.height = `${tile.height}px`;
		this.picture.style.backgroundImage = `url(${JSON.stringify(tile.url)})`;
		this.picture.style.backgroundPosition = `-${tile.x}px -${tile.y}px`;
	}
}
