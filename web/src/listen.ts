// Listening live: a stream of the list, or one by link ("#/listen?url=…", for people without an account). hls.js where Media Source
// Extensions exist, the browser's own HLS elsewhere. How far behind the speaker one is comes from the playlist's dates.
import type { default as Hls, ErrorData } from 'hls.js';
import { api, ApiError } from './api';
import { byId, htmlById, setText, show } from './dom';
import { loadHls } from './hls';

const LOOK_MS = 200;
const STREAMS_MS = 5000;
const RETRY_MAX_MS = 8000;

type State = 'idle' | 'waiting' | 'playing' | 'reconnecting' | 'done' | 'failed';
const SAID: Record<State, string> = {
	idle: '',
	waiting: 'Waiting for something to listen to',
	playing: 'Listening',
	reconnecting: 'The connection broke; trying again',
	done: 'The stream has ended',
	failed: 'Ended',
};

export class Listen {
	private readonly section = htmlById('listen');
	private readonly audio = byId('listen-audio', HTMLAudioElement);
	private readonly choice = byId('listen-stream', HTMLSelectElement);
	private hls: Hls | null = null;
	private url = '';
	private linked = '';
	private context: AudioContext | null = null;
	private analyser: AnalyserNode | null = null;
	private looking = 0;
	private refreshing = 0;
	private again = 0;
	private tries = 0;
	private reconnects = 0;

	constructor() {
		byId('listen-form', HTMLFormElement).addEventListener('submit', (event) => {
			event.preventDefault();
			this.start();
		});
		htmlById('listen-stop').addEventListener('click', () => this.end('idle'));
		htmlById('listen-link').addEventListener('click', () => void this.giveLink());
		this.audio.addEventListener('playing', () => {
			this.tries = 0;
			this.state('playing');
		});
		this.audio.addEventListener('ended', () => this.end('done'));
		this.audio.addEventListener('error', () => {
			if (!this.hls && this.url) this.retry();
		});
	}

	/** The view is shown or left; leaving ends what plays. `link`: a signed address, instead of the list. */
	open(link: string): void {
		this.linked = link;
		show(this.section, true);
		show(htmlById('listen-choice'), !link);
		show(htmlById('listen-link'), !link);
		setText(htmlById('listen-name'), link ? streamOf(link) : '–');
		if (!link) {
			void this.refresh();
			window.clearInterval(this.refreshing);
			this.refreshing = window.setInterval(() => void this.refresh(), STREAMS_MS);
		}
	}

	close(): void {
		show(this.section, false);
		window.clearInterval(this.refreshing);
		if (this.url) this.end('idle');
	}

	private async refresh(): Promise<void> {
		if (document.hidden || this.url) return;
		try {
			const { streams } = await api.listStreams();
			const options = streams
				.sort((a, b) => Number(b.live) - Number(a.live) || b.created_at.localeCompare(a.created_at))
				.map((stream) => new Option(stream.live ? `${stream.name} (live)` : stream.name, stream.name));
			const same = options.length === this.choice.options.length && options.every((o, i) => o.text === this.choice.options[i]?.text);
			if (same) return;
			const before = this.choice.value;
			this.choice.replaceChildren(...options);
			if (options.some((option) => option.value === before)) this.choice.value = before;
		} catch (error) {
			if (!(error instanceof ApiError)) throw error;
		}
	}

	private state(now: State): void {
		this.section.dataset['state'] = now;
		setText(htmlById('listen-state'), SAID[now]);
		const running = now === 'waiting' || now === 'playing' || now === 'reconnecting';
		show(htmlById('listen-start'), !running);
		show(htmlById('listen-stop'), running);
		this.choice.disabled = running;
	}

	private start(): void {
		setText(htmlById('listen-error'), '');
		this.url = this.linked || (this.choice.value ? `/api/streams/${encodeURIComponent(this.choice.value)}/live.m3u8` : '');
		if (!this.url) {
			setText(htmlById('listen-error'), 'There is no stream yet.');
			return;
		}
		setText(htmlById('listen-name'), streamOf(this.url));
		this.reconnects = 0;
		setText(htmlById('listen-reconnects'), '0');
		this.state('waiting');
		this.meter();
		void this.load();
	}

	private async load(): Promise<void> {
		const { url } = this;
		const library = await loadHls().catch(() => null);
		if (!url || url !== this.url) return;
		if (library?.default.isSupported()) {
			const { default: Hls, Events, ErrorTypes } = library;
			this.hls?.destroy();
			// Two segments behind the edge: what is listed can be fetched at once.
			const hls = new Hls({ enableWorker: false, lowLatencyMode: false, liveSyncDurationCount: 2, maxLiveSyncPlaybackRate: 1.05, backBufferLength: 30 });
			this.hls = hls;
			hls.on(Events.ERROR, (_event, data) => this.trouble(hls, data, data.type === ErrorTypes.MEDIA_ERROR));
			hls.loadSource(this.url);
			hls.attachMedia(this.audio);
		} else {
			this.audio.src = this.url;
		}
		await this.audio.play().catch(() => undefined);
	}

	private trouble(hls: Hls, data: ErrorData, ofMedia: boolean): void {
		if (!data.fatal || hls !== this.hls) return;
		const status = data.response?.code ?? 0;
		if (ofMedia && this.tries < 3) {
			this.tries++;
			hls.recoverMediaError();
		} else if (status === 401 || status === 403 || status === 410 || status === 415) {
			setText(htmlById('listen-error'), status === 415 ? 'This stream has no sound.' : 'This stream cannot be listened to, or the link has expired.');
			this.end('failed');
		} else {
			this.retry(status === 404);
		}
	}

	private retry(nothingYet = false): void {
		if (!nothingYet) {
			setText(htmlById('listen-reconnects'), String(++this.reconnects));
			this.state('reconnecting');
		}
		window.clearTimeout(this.again);
		const delay = nothingYet ? 1000 : Math.min(RETRY_MAX_MS, 500 * 2 ** this.tries++);
		this.again = window.setTimeout(() => void this.load(), delay);
	}

	/** The level of what is heard, and how long ago it was said. */
	private meter(): void {
		if (!this.context) {
			this.context = new AudioContext();
			this.analyser = this.context.createAnalyser();
			this.context.createMediaElementSource(this.audio).connect(this.analyser).connect(this.context.destination);
		}
		void this.context.resume();
		window.clearInterval(this.looking);
		this.looking = window.setInterval(() => this.look(), LOOK_MS);
	}

	private look(): void {
		const bar = htmlById('listen-level');
		if (!this.analyser) return;
		const samples = new Float32Array(this.analyser.fftSize);
		this.analyser.getFloatTimeDomainData(samples);
		const square = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
		const level = Math.max(0, Math.min(100, Math.round((10 * Math.log10(square + 1e-9) + 60) * (100 / 54))));
		bar.style.setProperty('--value', String(level));
		bar.setAttribute('aria-valuenow', String(level));
		const said = this.hls?.playingDate;
		setText(htmlById('listen-behind'), said ? `${((Date.now() - said.getTime()) / 1000).toFixed(1)} s` : '–');
		setText(htmlById('listen-date'), said ? said.toLocaleTimeString() : '–');
	}

	private end(state: State): void {
		window.clearTimeout(this.again);
		window.clearInterval(this.looking);
		this.hls?.destroy();
		this.hls = null;
		this.url = '';
		this.tries = 0;
		this.audio.removeAttribute('src');
		htmlById('listen-level').style.setProperty('--value', '0');
		this.state(state);
	}

	private async giveLink(): Promise<void> {
		const field = byId('listen-address', HTMLInputElement);
		if (!this.choice.value) return;
		try {
			field.value = (await api.streamLink(this.choice.value)).page_url;
			show(htmlById('listen-given'), true);
			field.select();
			await navigator.clipboard?.writeText(field.value).catch(() => undefined);
		} catch (error) {
			setText(htmlById('listen-error'), error instanceof Error ? error.message : String(error));
		}
	}
}

function streamOf(url: string): string {
	const name = /\/api\/streams\/([^/]+)\//.exec(url)?.[1] ?? '';
	try {
		return decodeURIComponent(name);
	} catch {
		return name;
	}
}
