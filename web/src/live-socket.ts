// One recording's chunks to the server (docs/API.md, Live): each is kept until a stored fragment holds it, and sent again after a
// reconnect, so that a network that breaks loses nothing. As JSON, or, a third smaller, as binary messages: these follow on the one
// before, so the recording's first chunk and what is sent again say their numbers as JSON in either mode.

export interface LiveEvents {
	/** A connection is there (`again`: not the first), or has gone and is tried anew. */
	connected(again: boolean): void;
	reconnecting(): void;
	fragment(stored: number, waiting: number): void;
	/** Everything is stored and the connection closed. */
	finished(): void;
	failed(message: string): void;
}

interface ServerMessage {
	type: string;
	code?: string;
	message?: string;
	fatal?: boolean;
	chunkIndex?: number;
	storedChunkIndex?: number;
}

const FIRST_RETRY_MS = 300;
const LAST_RETRY_MS = 5000;
const KEPT_CHUNKS_MAX = 2400; // ten minutes of chunks of 250 ms

/** In pieces, since the arguments of one call are limited. */
function base64(bytes: Uint8Array): string {
	let text = '';
	for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
	return btoa(text);
}

export class LiveSocket {
	private socket: WebSocket | null = null;
	private readonly kept = new Map<number, Uint8Array<ArrayBuffer>>();
	private next = 0;
	private stored = 0;
	private open = false;
	private connections = 0;
	private stopping = false;
	private over = false;
	private retryMs = FIRST_RETRY_MS;
	private timer = 0;

	constructor(
		private readonly session: string,
		private readonly events: LiveEvents,
		private readonly binary = false,
	) {
		this.connect();
	}

	get waiting(): number {
		return this.kept.size;
	}

	add(chunk: Uint8Array<ArrayBuffer>): void {
		const index = this.next++;
		this.kept.set(index, chunk);
		if (this.kept.size > KEPT_CHUNKS_MAX) this.kept.delete(this.kept.keys().next().value ?? 0);
		if (!this.open) return;
		if (this.binary && index) this.socket?.send(chunk);
		else this.send(index, chunk);
	}

	/** Nothing more will be added. */
	stop(): void {
		this.stopping = true;
		if (this.open) this.socket?.send(JSON.stringify({ action: 'stop', sessionId: this.session }));
	}

	/** Gives everything up. */
	close(): void {
		this.over = true;
		window.clearTimeout(this.timer);
		this.socket?.close(1000);
	}

	private connect(): void {
		const url = new URL(`/api/live?session_id=${encodeURIComponent(this.session)}`, location.href);
		url.protocol = url.protocol.replace('http', 'ws');
		const socket = new WebSocket(url);
		this.socket = socket;
		socket.addEventListener('message', (event) => this.hear(JSON.parse(String(event.data)) as ServerMessage));
		socket.addEventListener('close', () => this.lost());
	}

	private send(index: number, chunk: Uint8Array): void {
		const audioData = base64(chunk);
		this.socket?.send(
			JSON.stringify({ action: 'audioChunk', sessionId: this.session, audioData, chunkIndex: index, timestamp: Date.now(), format: 'webm-opus' }),
		);
	}

	private forget(upTo: number): void {
		for (const index of this.kept.keys()) if (index <= upTo) this.kept.delete(index);
	}

	private hear(message: ServerMessage): void {
		switch (message.type) {
			case 'session':
				this.open = true;
				this.retryMs = FIRST_RETRY_MS;
				// The first time what is stored is of an earlier recording, whose numbers are not ours.
				if (this.connections++) this.forget(message.storedChunkIndex ?? -1);
				for (const [index, chunk] of this.kept) this.send(index, chunk);
				this.events.connected(this.connections > 1);
				if (this.stopping) this.stop();
				break;
			case 'fragment':
				this.forget(message.chunkIndex ?? -1);
				this.events.fragment(++this.stored, this.kept.size);
				break;
			case 'closed':
				this.kept.clear();
				this.over = true;
				this.events.fragment(this.stored, 0);
				this.events.finished();
				break;
			case 'error':
				if (!message.fatal) break;
				this.over = true;
				this.events.failed(message.message ?? message.code ?? 'The server ended the session.');
				break;
			default:
				break;
		}
	}

	private lost(): void {
		this.open = false;
		if (this.over) return;
		this.events.reconnecting();
		this.timer = window.setTimeout(() => this.connect(), this.retryMs * (0.75 + Math.random() / 2));
		this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
	}
}
