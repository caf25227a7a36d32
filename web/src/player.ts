// The video element and what feeds it: hls.js where Media Source Extensions exist, the browser's own HLS elsewhere (Safari).
// Attached once per job, as soon as there is a playlist; the stream may still be growing. It begins where one stopped watching
// (position.ts). What plays can be read from the video element: data-level (hls.js's index), data-rung ("480p"), data-choice
// ("auto" or a rung).
import type { default as Hls, ErrorData, Level } from 'hls.js';
import { Controls } from './controls';
import { byId, htmlById, setText, show } from './dom';
import * as format from './format';
import { loadHls, type HlsLibrary } from './hls';
import { rememberPosition, rememberedPosition } from './position';
import { SeekBar, type Pictures } from './seek-bar';
import { TrackMenus } from './tracks';

const RECOVERIES_MAX = 3;
const REMEMBER_EVERY_MS = 3000;
const RESUMED_SAID_MS = 6000;

export interface PlayerHooks {
	/** A fresh signed address of the same playlist, or null when there is none any more. */
	freshUrl(): Promise<string | null>;
}

/** A rung is named by its shorter side; audio by its rate. */
function rungName(level: Level): string {
	const codec = level.videoCodec?.startsWith('hvc1') ? ' HEVC' : '';
	if (level.width && level.height) return `${Math.min(level.width, level.height)}p${codec}`;
	return `${Math.round(level.bitrate / 1000)} kbit/s`;
}

export class Player {
	private readonly box = htmlById('player');
	private readonly video = byId('video', HTMLVideoElement);
	private readonly quality = byId('quality', HTMLSelectElement);
	private readonly sound = byId('player-sound', HTMLButtonElement);
	private readonly tracks = new TrackMenus();
	private readonly seekBar = new SeekBar(this.video);
	private readonly controls = new Controls(this.video, this.seekBar);
	private jobId = '';
	private rememberedAt = 0;
	private resumedFrom = 0;
	private resumedTimer = 0;
	private hls: Hls | null = null;
	/** Counts streams: of one that waits for hls.js, whether it is still wanted. */
	private loads = 0;
	private attached = false;
	private growing = false;
	private recoveries = 0;
	/** Somebody asked for it, and nothing has come yet. */
	private tryingAgain = false;

	constructor(private readonly hooks: PlayerHooks) {
		this.quality.addEventListener('change', () => this.choose());
		this.sound.addEventListener('click', () => {
			this.video.muted = false;
			show(this.sound, false);
		});
		byId('player-retry', HTMLButtonElement).addEventListener('click', () => void this.reload(true));
		this.video.addEventListener('waiting', () => this.note());
		this.video.addEventListener('timeupdate', () => {
			if (Date.now() - this.rememberedAt > REMEMBER_EVERY_MS) this.remember();
		});
		for (const name of ['pause', 'ended', 'seeked']) this.video.addEventListener(name, () => this.remember());
		window.addEventListener('pagehide', () => this.remember());
		this.video.addEventListener('playing', () => {
			this.recoveries = 0;
			this.tryingAgain = false;
			this.box.dataset['state'] = 'playing';
			this.note();
		});
		this.video.addEventListener('loadeddata', () => {
			this.box.dataset['state'] = 'ready';
			this.box.classList.toggle('audio-only', this.video.videoWidth === 0);
			this.controls.loaded();
		});
		this.video.addEventListener('error', () => {
			if (!this.hls && this.attached) this.fail('The browser could not play this stream.');
		});
	}

	get isAttached(): boolean {
		return this.attached;
	}

	/** Begins where this job was left, else with its first segment; with `play` it starts by itself, silently if the browser insists. */
	attach(jobId: string, url: string, play: boolean): void {
		this.detach();
		this.attached = true;
		this.jobId = jobId;
		const position = rememberedPosition(jobId);
		show(htmlById('controls'), true);
		void this.load(url, position, play);
		if (position > 0) this.sayResumed(position);
	}

	/** What is known of the file that the stream is made of. */
	setPictures(pictures: Pictures): void {
		void this.seekBar.setPictures(pictures);
	}

	detach(): void {
		this.remember();
		this.jobId = '';
		window.clearTimeout(this.resumedTimer);
		this.resumedFrom = 0;
		this.seekBar.clear();
		show(htmlById('controls'), false);
		this.loads++;
		this.hls?.destroy();
		this.hls = null;
		if (this.attached) {
			this.video.pause();
			this.video.removeAttribute('src');
			this.video.load();
		}
		this.attached = false;
		this.recoveries = 0;
		this.tryingAgain = false;
		this.video.muted = false;
		this.box.dataset['state'] = 'empty';
		this.box.classList.remove('audio-only');
		for (const name of ['level', 'rung', 'choice']) delete this.video.dataset[name];
		this.tracks.clear();
		for (const id of ['quality-box', 'player-sound', 'player-error']) show(htmlById(id), false);
		this.note();
	}

	/** Whether more is still being made: a player that runs dry then waits rather than ends. */
	setGrowing(growing: boolean): void {
		this.growing = growing;
		this.note();
	}

	private remember(): void {
		const { currentTime, readyState } = this.video;
		if (!this.jobId || readyState < HTMLMediaElement.HAVE_METADATA) return;
		this.rememberedAt = Date.now();
		rememberPosition(this.jobId, currentTime, this.seekBar.total);
	}

	private sayResumed(position: number): void {
		this.resumedFrom = position;
		this.note();
		this.resumedTimer = window.setTimeout(() => {
			this.resumedFrom = 0;
			this.note();
		}, RESUMED_SAID_MS);
	}

	private async load(url: string, position: number, play: boolean): Promise<void> {
		show(htmlById('player-error'), false);
		const load = ++this.loads;
		const library = await loadHls().catch(() => null);
		if (load !== this.loads) return;
		if (library?.default.isSupported()) {
			this.loadHls(library, url, position);
		} else if (this.video.canPlayType('application/vnd.apple.mpegurl')) {
			this.video.src = url;
			if (position > 0) this.video.addEventListener('loadedmetadata', () => (this.video.currentTime = position), { once: true });
		} else {
			this.fail(library ? 'This browser can play neither HLS nor Media Source streams.' : 'The player cannot be loaded right now.');
			return;
		}
		if (play) await this.play();
	}

	private loadHls({ default: Hls, Events, ErrorTypes }: HlsLibrary, url: string, position: number): void {
		// Segments are fMP4 or TS; taking them apart on this thread costs little, and a worker would be 40 KB more to load.
		const hls = new Hls({ enableWorker: false, startPosition: position, lowLatencyMode: false, backBufferLength: 60 });
		this.hls = hls;
		hls.on(Events.MANIFEST_PARSED, () => this.fillQuality(hls));
		this.tracks.follow(hls, Events);
		hls.on(Events.LEVEL_SWITCHED, (_event, data) => this.levelSwitched(hls, data.level));
		hls.on(Events.ERROR, (_event, data) => this.hlsError(hls, data, data.type === ErrorTypes.MEDIA_ERROR));
		hls.loadSource(url);
		hls.attachMedia(this.video);
	}

	private async play(): Promise<void> {
		try {
			await this.video.play();
		} catch (error) {
			if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
			// Without a gesture a browser lets only silent video start.
			this.video.muted = true;
			await this.video.play().then(
				() => show(this.sound, true),
				() => (this.video.muted = false),
			);
		}
	}

	private fillQuality(hls: Hls): void {
		const wanted = this.quality.value;
		const rungs = hls.levels
			.map((level, index) => ({ index, name: rungName(level), bitrate: level.bitrate }))
			.sort((a, b) => b.bitrate - a.bitrate);
		this.quality.replaceChildren(new Option('Auto', 'auto'), ...rungs.map((rung) => new Option(rung.name, String(rung.index))));
		show(htmlById('quality-box'), rungs.length > 1);
		const again = this.attached && this.video.dataset['choice'] !== undefined && rungs.some((rung) => String(rung.index) === wanted);
		this.quality.value = again ? wanted : 'auto';
		this.choose();
	}

	private choose(): void {
		if (!this.hls) return;
		const value = this.quality.value;
		this.hls.nextLevel = value === 'auto' ? -1 : Number(value);
		this.video.dataset['choice'] = value === 'auto' ? 'auto' : (this.quality.selectedOptions[0]?.text ?? '');
		this.labelAuto();
	}

	private levelSwitched(hls: Hls, index: number): void {
		const level = hls.levels[index];
		if (!level) return;
		this.video.dataset['level'] = String(index);
		this.video.dataset['rung'] = rungName(level);
		this.labelAuto();
	}

	private labelAuto(): void {
		const auto = this.quality.options[0];
		const rung = this.video.dataset['rung'];
		if (auto) auto.text = this.quality.value === 'auto' && rung ? `Auto (${rung})` : 'Auto';
	}

	private note(): void {
		const dry = this.growing && this.attached && !this.video.paused && this.video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
		const resumed = this.resumedFrom ? `Going on at ${format.clock(this.resumedFrom)}.` : '';
		const waiting = dry ? 'Caught up. It goes on with the next segment.' : resumed;
		setText(htmlById('player-note'), this.tryingAgain ? 'Trying again…' : waiting);
	}

	private hlsError(hls: Hls, data: ErrorData, ofMedia: boolean): void {
		if (!data.fatal || hls !== this.hls) return;
		if (this.recoveries >= RECOVERIES_MAX) {
			const status = data.response?.code ? ` (HTTP ${data.response.code})` : '';
			this.fail(`Playing stopped: ${data.error.message || data.details}${status}`);
			return;
		}
		this.recoveries++;
		if (ofMedia) hls.recoverMediaError();
		else window.setTimeout(() => hls === this.hls && void this.reload(false), 500 * 2 ** this.recoveries);
	}

	/** Starts over at the same place with a fresh address: the old one may have expired. */
	private async reload(byHand: boolean): Promise<void> {
		if (byHand) {
			this.recoveries = 0;
			this.tryingAgain = true;
			show(htmlById('player-error'), false);
			this.note();
		}
		const position = this.video.currentTime;
		const play = byHand || !this.video.paused;
		const before = this.hls;
		const url = await this.hooks.freshUrl().catch(() => null);
		if (!this.attached || this.hls !== before) return;
		if (!url) {
			this.fail('The stream cannot be reached right now.');
			return;
		}
		this.hls?.destroy();
		this.hls = null;
		void this.load(url, position, play);
	}

	private fail(text: string): void {
		this.hls?.stopLoad();
		this.tryingAgain = false;
		this.note();
		setText(htmlById('player-error-text'), text);
		show(htmlById('player-error'), true);
	}
}
