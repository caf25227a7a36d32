// Speaking live: microphone, level, recorder, and what has become of it (live-socket.ts sends it).
import { byId, htmlById, setText, show } from './dom';
import { LiveSocket } from './live-socket';

const CHUNK_MS = 250;
const LEVEL_MS = 80;
// As it is: what listens at the other end is a machine as often as not, and what is taken away here nobody can give back.
const SOUND = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const MIME = 'audio/webm;codecs=opus';

type State = 'idle' | 'asking' | 'connecting' | 'live' | 'reconnecting' | 'storing' | 'done' | 'failed';
const SAID: Record<State, string> = {
	idle: '',
	asking: 'Waiting for the microphone',
	connecting: 'Connecting',
	live: 'Live',
	reconnecting: 'The connection broke; what you say is kept and sent later',
	storing: 'Storing the rest',
	done: 'Everything is stored',
	failed: 'Ended',
};

export class Live {
	private readonly section = htmlById('live');
	private readonly session = byId('live-session', HTMLInputElement);
	private socket: LiveSocket | null = null;
	private recorder: MediaRecorder | null = null;
	private microphone: MediaStream | null = null;
	private context: AudioContext | null = null;
	private meter = 0;
	private reconnects = 0;
	private queue: Promise<void> = Promise.resolve();

	constructor() {
		this.session.value = `talk-${Math.random().toString(36).slice(2, 8)}`;
		byId('live-form', HTMLFormElement).addEventListener('submit', (event) => {
			event.preventDefault();
			void this.start();
		});
		htmlById('live-stop').addEventListener('click', () => this.stop());
	}

	/** The view is shown or left; leaving ends what runs. */
	set visible(on: boolean) {
		show(this.section, on);
		if (!on && this.recorder) this.stop();
	}

	private state(now: State): void {
		this.section.dataset.state = now;
		setText(htmlById('live-state'), SAID[now]);
		const running = now !== 'idle' && now !== 'done' && now !== 'failed';
		show(htmlById('live-start'), !running);
		show(htmlById('live-stop'), running);
		this.session.disabled = running;
	}

	private async start(): Promise<void> {
		setText(htmlById('live-error'), '');
		this.count(0, 0);
		this.reconnects = 0;
		setText(htmlById('live-reconnects'), '0');
		this.state('asking');
		try {
			this.microphone = await navigator.mediaDevices.getUserMedia({ audio: SOUND });
			this.recorder = new MediaRecorder(this.microphone, { mimeType: MIME });
		} catch (error) {
			this.fail(error instanceof Error ? error.message : String(error));
			return;
		}
		this.state('connecting');
		setText(htmlById('live-stream'), `session-${this.session.value}`);
		this.showLevel(this.microphone);
		const events = {
			connected: (again: boolean) => {
				if (again) setText(htmlById('live-reconnects'), String(++this.reconnects));
				this.state(this.recorder ? 'live' : 'storing');
			},
			reconnecting: () => this.state('reconnecting'),
			fragment: (stored: number, waiting: number) => this.count(stored, waiting),
			finished: () => this.end('done'),
			failed: (message: string) => this.fail(message),
		};
		const binary = new URLSearchParams(location.search).get('chunks') === 'binary';
		const socket = new LiveSocket(this.session.value, events, binary);
		this.socket = socket;
		this.recorder.addEventListener('dataavailable', (event) => {
			// One after the other: a blob's bytes come when they like.
			this.queue = this.queue.then(async () => {
				socket.add(new Uint8Array(await event.data.arrayBuffer()));
				setText(htmlById('live-waiting'), String(socket.waiting));
			});
		});
		this.recorder.addEventListener('stop', () => {
			this.queue = this.queue.then(() => socket.stop());
		});
		this.recorder.start(CHUNK_MS);
	}

	private stop(): void {
		if (!this.recorder) return;
		this.state('storing');
		this.recorder.stop();
		this.quiet();
	}

	private count(stored: number, waiting: number): void {
		setText(htmlById('live-fragments'), String(stored));
		setText(htmlById('live-waiting'), String(waiting));
	}

	private showLevel(microphone: MediaStream): void {
		const bar = htmlById('live-level');
		this.context = new AudioContext();
		const analyser = this.context.createAnalyser();
		const samples = new Float32Array(analyser.fftSize);
		this.context.createMediaStreamSource(microphone).connect(analyser);
		this.meter = window.setInterval(() => {
			analyser.getFloatTimeDomainData(samples);
			let square = 0;
			for (const sample of samples) square += sample * sample;
			const db = 10 * Math.log10(square / samples.length + 1e-9);
			const level = Math.max(0, Math.min(100, Math.round((db + 60) * (100 / 54))));
			bar.style.setProperty('--value', String(level));
			bar.setAttribute('aria-valuenow', String(level));
		}, LEVEL_MS);
	}

	/** The microphone is let go. */
	private quiet(): void {
		window.clearInterval(this.meter);
		void this.context?.close();
		this.context = null;
		for (const track of this.microphone?.getTracks() ?? []) track.stop();
		this.microphone = null;
		this.recorder = null;
		htmlById('live-level').style.setProperty('--value', '0');
	}

	private end(state: State): void {
		this.socket = null;
		this.state(state);
	}

	private fail(message: string): void {
		if (this.recorder && this.recorder.state !== 'inactive') this.recorder.stop();
		this.socket?.close();
		this.quiet();
		setText(htmlById('live-error'), message);
		this.end('failed');
	}
}
