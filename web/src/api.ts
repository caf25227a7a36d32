// The server's HTTP API as this page uses it (docs/API.md): types, one request function, and one error type.
// The CSRF token lives in memory only; GET /api/session hands it out again after a reload.

export type JobStatus = 'pending' | 'processing' | 'streaming' | 'completed' | 'failed' | 'canceled';

export interface ErrorBody {
	code?: string;
	message?: string;
	retriable?: boolean;
	request_id?: string;
}

export interface Job {
	job_id: string;
	kind: string;
	status: JobStatus;
	file_id?: string | null;
	filename?: string | null;
	params?: { format?: string } | null;
	/** Seconds of what is made; null until it is known. */
	duration?: number | null;
	progress: { percent: number; stage: string | null; speed: number | null; eta_seconds: number | null };
	streaming: {
		enabled: boolean;
		playlist_url: string | null;
		segments_completed: number;
		segments_total: number | null;
	} | null;
	download?: { available: boolean } | null;
	created_at: string;
	updated_at: string;
	error: ErrorBody | null;
	/** Of conversions alone. */
	result?: { bytes: number } | null;
}

export interface Stream {
	name: string;
	live: boolean;
	created_at: string;
}

export interface ProbeStream {
	kind?: string;
	codec?: string;
	width?: number | null;
	height?: number | null;
	frame_rate?: [number, number] | null;
	sample_rate?: number | null;
	channel_layout?: string | null;
	language?: string | null;
	title?: string | null;
}

/** docs/API.md, "Jobs" and "Conversions": what this page asks for. */
export interface LadderParams {
	container: 'fmp4' | 'ts';
	segment_seconds: number;
	rungs?: string[];
	codecs?: string[];
}

export interface ConvertParams {
	format: string;
	quality: string;
	start?: number;
	end?: number;
	normalize?: boolean;
}

/** By-products; the URLs are null where there are none (yet). */
export interface Analysis {
	status: 'pending' | 'done' | 'failed' | 'off';
	poster_url: string | null;
	storyboard_url: string | null;
	waveform_url: string | null;
	waveform_image_url: string | null;
}

export interface FileRecord {
	file_id: string;
	filename?: string | null;
	size?: number | null;
	status?: 'uploading' | 'ready';
	created_at?: string;
	probe?: { duration?: number | null; format?: string | null; streams?: ProbeStream[] } | null;
	analysis?: Analysis;
}

/** An OpenID provider, as the operator has named it. */
export interface SignInAt {
	authorize_url: string;
	token_url: string;
	client_id: string;
	scope: string;
}

export interface Session {
	authenticated: boolean;
	required: boolean;
	user_id?: string | null;
	csrf_token?: string | null;
	sign_in?: SignInAt | null;
	/** Whether the operations routes answer. */
	admin?: boolean;
}

/** A refused or failed request; `message` is fit for people. `status` 0: no answer came at all. */
export class ApiError extends Error {
	readonly status: number;
	readonly code: string;
	readonly retriable: boolean;
	readonly requestId: string;

	constructor(status: number, body: ErrorBody) {
		super(body.message || fallbackMessage(status));
		this.status = status;
		this.code = body.code ?? '';
		this.retriable = body.retriable ?? (status === 0 || status === 429 || status >= 500);
		this.requestId = body.request_id ?? '';
	}
}

function fallbackMessage(status: number): string {
	switch (status) {
		case 0:
			return 'The server does not answer. It may be restarting, or the network is down.';
		case 401:
			return 'That sign-in was not accepted.';
		case 404:
			return 'That does not exist any more.';
		case 413:
			return 'The file is larger than this server takes.';
		case 429:
			return 'The server is busy. Please try again in a moment.';
		case 503:
			return 'The server cannot do that right now. Please try again in a moment.';
		default:
			return `The server answered with HTTP status ${status}.`;
	}
}

let csrfToken = '';
let signedOut: () => void = () => undefined;

/** Called whenever a request is answered with 401. */
export function onSignedOut(callback: () => void): void {
	signedOut = callback;
}

export function setCsrfToken(token: string | null | undefined): void {
	csrfToken = token ?? '';
}

/** The headers that a state-changing request of this page carries. */
export function stateHeaders(): Record<string, string> {
	return csrfToken ? { 'X-CSRF-Token': csrfToken } : {};
}

/** Makes an error of an answer's text, whether or not it is the API's JSON. */
export function errorFrom(status: number, text: string): ApiError {
	let body: ErrorBody = {};
	try {
		const parsed = JSON.parse(text) as { error?: ErrorBody };
		body = parsed.error ?? {};
	} catch {
		// Not the API's JSON (a proxy's page, say): the status alone has to do.
	}
	if (status === 401) signedOut();
	return new ApiError(status, body);
}

/** `taken`: statuses beside those of success whose answer is one, too. */
async function request<T>(
	method: string,
	path: string,
	body?: unknown,
	headers: Record<string, string> = {},
	taken: number[] = [],
): Promise<T> {
	const init: RequestInit = { method, credentials: 'same-origin', headers: { Accept: 'application/json', ...headers } };
	if (method !== 'GET') init.headers = { ...init.headers, ...stateHeaders() };
	if (body !== undefined) {
		init.body = JSON.stringify(body);
		init.headers = { ...init.headers, 'Content-Type': 'application/json' };
	}
	let response: Response;
	let text: string;
	try {
		response = await fetch(path, init);
		text = await response.text();
	} catch {
		throw new ApiError(0, {});
	}
	if (!response.ok && !taken.includes(response.status)) throw errorFrom(response.status, text);
	return (text ? JSON.parse(text) : undefined) as T;
}

export const get = <T>(path: string, taken: number[] = []): Promise<T> => request<T>('GET', path, undefined, {}, taken);

const jobPath = (id: string): string => `/api/jobs/${encodeURIComponent(id)}`;

export const api = {
	getJob: (id: string) => request<Job>('GET', jobPath(id)),
	listJobs: (limit: number, cursor: string) =>
		request<{ jobs: Job[]; cursor: string | null }>('GET', `/api/jobs?limit=${limit}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`),
	createLadder: (fileId: string, idempotencyKey: string) =>
		request<Job>('POST', '/api/jobs', { kind: 'ladder', file_id: fileId }, { 'Idempotency-Key': idempotencyKey }),
	createJob: (kind: 'ladder' | 'convert', fileId: string, params: LadderParams | ConvertParams) =>
		request<Job>('POST', '/api/jobs', { kind, file_id: fileId, params }),
	createConversion: (fileId: string, format: string) =>
		request<Job>('POST', '/api/jobs', { kind: 'convert', file_id: fileId, params: { format } }),
	createNarration: (script: string, voice: string | undefined, musicFileId: string | undefined) =>
		request<Job>('POST', '/api/jobs', { kind: 'narration', params: { script, voice, music_file_id: musicFileId } }),
	voices: () => request<{ voices: string[]; default: string }>('GET', '/api/voices'),
	/** Has one sentence spoken; `text` of the answer is what was. */
	previewVoice: (voice: string | undefined, text: string) =>
		request<{ url: string; text: string }>('POST', '/api/voices/preview', { voice, text }),
	/** Where a narration's MP3 is; null while it is being made. */
	downloadUrl: async (id: string) =>
		(await request<{ download_url?: string }>('POST', `${jobPath(id)}/download`, {})).download_url ?? null,
	/** A small file, in one request. */
	async sendFile(file: File): Promise<FileRecord> {
		const response = await fetch(`/api/files?filename=${encodeURIComponent(file.name)}`, {
			method: 'POST',
			credentials: 'same-origin',
			headers: { 'Content-Type': file.type || 'application/octet-stream', ...stateHeaders() },
			body: file,
		}).catch(() => null);
		if (!response) throw new ApiError(0, {});
		const text = await response.text();
		if (!response.ok) throw errorFrom(response.status, text);
		return JSON.parse(text) as FileRecord;
	},
	listStreams: () => request<{ streams: Stream[] }>('GET', '/api/streams?limit=1000'),
	streamLink: (name: string) => request<{ page_url: string }>('POST', `/api/streams/${encodeURIComponent(name)}/link`, {}),
	filePath: (id: string) => `${jobPath(id)}/file`,
	retryJob: (id: string) => request<Job | undefined>('POST', `${jobPath(id)}/retry`),
	deleteJob: (id: string) => request<Job | undefined>('DELETE', jobPath(id)),
	allEventsPath: '/api/events',
	eventsPath: (id: string) => `${jobPath(id)}/events`,
	/** `named`: those alone whose name has this in it. */
	listFiles: (named: string, cursor: string) => {
		const query = new URLSearchParams({ limit: '48', ...(named ? { name: named } : {}), ...(cursor ? { cursor } : {}) });
		return request<{ files: FileRecord[]; cursor: string | null }>('GET', `/api/files?${query}`);
	},
	contentPath: (fileId: string) => `/api/files/${encodeURIComponent(fileId)}/content`,
	deleteFile: (id: string) => request<unknown>('DELETE', `/api/files/${encodeURIComponent(id)}`),
	/** Ends a resumable upload and throws away what has arrived. */
	async endUpload(url: string): Promise<void> {
		await fetch(url, { method: 'DELETE', credentials: 'same-origin', headers: { 'Tus-Resumable': '1.0.0', ...stateHeaders() } });
	},
	getFile: (id: string) => request<FileRecord>('GET', `/api/files/${encodeURIComponent(id)}`),

	/** Who the page acts for. A 401 is an answer here, too: sign-in is needed. */
	async getSession(): Promise<Session> {
		const response = await fetch('/api/session', { headers: { Accept: 'application/json' } }).catch(() => null);
		if (!response) throw new ApiError(0, {});
		const text = await response.text();
		if (response.status === 401) return { authenticated: false, required: true };
		if (!response.ok) throw errorFrom(response.status, text);
		return JSON.parse(text) as Session;
	},
	async signIn(token: string): Promise<void> {
		const answer = await request<{ csrf_token?: string }>('POST', '/api/session', { token });
		setCsrfToken(answer.csrf_token);
	},
	async signOut(): Promise<void> {
		await request<unknown>('DELETE', '/api/session');
		setCsrfToken(null);
	},
};

export function isActive(status: JobStatus): boolean {
	return status === 'pending' || status === 'processing' || status === 'streaming';
}
