// Pictures of every view, on a desk and on a phone, light and dark; tools/screenshots.sh (make screenshots) starts a server and makes
// the media.
//
//     MILLRACE_URL=… MILLRACE_MEDIA=FOLDER node screenshots.js OUTPUT-FOLDER
//
// Writes VIEW-DEVICE-SCHEME.png. All is real: files are sent, jobs run, a microphone (the browser's own beeps) speaks.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { baseUrl, playedPast, seek } from './drive.js';

const DEVICES = {
	desktop: { viewport: { width: 1280, height: 860 }, deviceScaleFactor: 1.5 },
	phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
};
const SCRIPT = `Close your eyes. Listen to the water, how it comes down the race and turns the wheel.

[pause 3s] Breathe in. [pause 4s] Breathe out.

Nothing has to be done at once. What goes in as grain comes out as flour.`;

const out = process.argv[2];
const media = process.env.MILLRACE_MEDIA;
if (!baseUrl || !media || !out) {
	console.error('MILLRACE_URL, MILLRACE_MEDIA and an output folder are needed');
	process.exit(2);
}

const send = async (path, body, type) =>
	(await fetch(baseUrl + path, { method: 'POST', body: type ? body : JSON.stringify(body), headers: { 'Content-Type': type ?? 'application/json' } })).json();
const make = async (order) => (await send('/api/jobs', order)).job_id;

async function until(check) {
	for (;;) {
		const found = await check();
		if (found) return found;
		await new Promise((resolve) => setTimeout(resolve, 200));
	}
}
const get = async (path) => (await fetch(baseUrl + path)).json();
const ended = (id) => until(async () => ['completed', 'failed'].includes((await get(`/api/jobs/${id}`)).status));

/** Files, and a day's work on them. */
async function prepare() {
	const files = {};
	for (const name of (await readdir(media)).filter((each) => /\.(mp4|mkv|mov|flac|wav)$/.test(each)).sort()) {
		const record = await send(`/api/files?filename=${encodeURIComponent(name)}`, await readFile(join(media, name)), 'application/octet-stream');
		files[name] = record.file_id;
	}
	const [film, song] = [files['Morning at the weir.mp4'], files['Song of the stream.flac']];
	const jobs = { film: await make({ kind: 'ladder', file_id: film }), convert: await make({ kind: 'convert', file_id: song, params: { format: 'mp3' } }) };
	for (const name of Object.keys(files).filter((each) => /\.(mkv|mov)$/.test(each))) await make({ kind: 'ladder', file_id: files[name] });
	for (const format of ['wav', 'm4a', 'opus', 'mp3']) await make({ kind: 'convert', file_id: files['Interview.wav'], params: { format } });
	jobs.song = await make({ kind: 'ladder', file_id: song });
	jobs.narration = await make({ kind: 'narration', params: { script: SCRIPT, music_file_id: song } });
	for (const id of Object.values(jobs)) await ended(id);
	for (const id of Object.values(files)) await until(async () => (await get(`/api/files/${id}`)).analysis.status !== 'pending');
	return { files, jobs, film, song };
}

const standing = { film: null };
const VIEWS = {
	files: { hash: () => '#/', ready: '#library .file-picture img' },
	file: { hash: ({ film }) => `#/files/${film}`, ready: '#file-view:not([hidden])' },
	narrate: {
		hash: () => '#/narrate',
		ready: '#narrate-voice option',
		act: async (page) => {
			await page.fill('#narrate-script', SCRIPT);
			await page.click('#narrate-preview');
			await page.waitForSelector('#narrate-preview-state:has-text("“")');
		},
	},
	player: {
		hash: ({ jobs }) => `#/jobs/${jobs.film}`,
		ready: '#player[data-state="ready"], #player[data-state="playing"]',
		act: async (page, device) => {
			await seek(page, 14);
			if (device !== 'desktop') return;
			const box = await page.locator('#seek').boundingBox();
			await page.mouse.move(box.x + box.width * 0.62, box.y + box.height / 2);
			await page.waitForSelector('#seek-preview:visible');
		},
	},
	sound: { hash: ({ jobs }) => `#/jobs/${jobs.song}`, ready: '#seek-wave:visible', act: (page) => seek(page, 48) },
	making: {
		hash: async ({ film }) => {
			if (standing.film) await fetch(`${baseUrl}/api/jobs/${standing.film}`, { method: 'DELETE' });
			standing.film = await make({ kind: 'ladder', file_id: film, params: { codecs: ['h264', 'hevc'] } });
			return `#/jobs/${standing.film}`;
		},
		ready: '#player[data-state="playing"]',
		act: (page) => playedPast(page, 1),
	},
	convert: { hash: ({ jobs }) => `#/jobs/${jobs.convert}`, ready: '#job[data-status="completed"]' },
	jobs: { hash: () => '#/jobs', ready: '#jobs-list .job-row' },
	live: {
		hash: () => '#/live',
		ready: '#live:not([hidden])',
		act: async (page) => {
			await page.click('#live-start');
			await page.waitForSelector('#live[data-state="live"]');
			await until(async () => Number(await page.textContent('#live-fragments')) >= 2);
		},
		end: async (page) => {
			await page.click('#live-stop');
			await page.waitForSelector('#live[data-state="done"]');
		},
	},
	monitor: { hash: () => '#/monitor', ready: '#monitor[data-state="shown"]', act: (page) => page.waitForTimeout(3500), full: true },
	'sign-in': {
		hash: () => '#/jobs',
		session: { authenticated: false, required: true, sign_in: { authorize_url: 'https://login.example/', token_url: '', client_id: '', scope: '' } },
		ready: '#sign-in:not([hidden])',
	},
	missing: { hash: () => '#/jobs/none', ready: '#missing:not([hidden])' },
};

const known = await prepare();
const browser = await chromium.launch({
	executablePath: process.env.MILLRACE_CHROMIUM ?? '/usr/bin/chromium',
	args: [
		'--no-sandbox', '--disable-quic', '--disable-background-networking', '--autoplay-policy=no-user-gesture-required',
		'--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
	],
});
try {
	const wanted = process.argv[3] ? process.argv[3].split(',') : Object.keys(VIEWS);
	for (const [device, options] of Object.entries(DEVICES)) {
		for (const colorScheme of ['light', 'dark']) {
			for (const name of wanted) {
				const { hash, ready, act, end, session, full } = VIEWS[name];
				const context = await browser.newContext({ ...options, colorScheme, permissions: ['microphone'] });
				const page = await context.newPage();
				page.setDefaultTimeout(60_000);
				if (session) await page.route('**/api/session', (route) => route.fulfill({ json: session }));
				await page.goto(`${baseUrl}/${await hash(known)}`);
				await page.waitForSelector(ready, { state: 'attached' });
				await act?.(page, device);
				await page.waitForTimeout(500); // fonts, pictures, transitions
				await page.screenshot({ path: join(out, `${name}-${device}-${colorScheme}.png`), fullPage: Boolean(full) });
				await end?.(page);
				await context.close();
			}
		}
	}
	if (standing.film) await fetch(`${baseUrl}/api/jobs/${standing.film}`, { method: 'DELETE' });
} finally {
	await browser.close();
}
console.log(`${(await readdir(out)).length} pictures in ${out}`);
