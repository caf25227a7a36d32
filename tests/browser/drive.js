// What the browser tests and the screenshot share: a browser, a page that is watched for trouble, and waiting inside the
// page for what the player does. The page's CSP forbids eval, so nothing here uses page.waitForFunction.
import { chromium } from 'playwright-core';

const PATIENCE_MS = 60_000;
const RATE = 44100; // of wav(), in Hz

export const baseUrl = process.env.MILLRACE_URL;
export const sample = process.env.MILLRACE_SAMPLE;

export function launch() {
	return chromium.launch({
		executablePath: process.env.MILLRACE_CHROMIUM ?? '/usr/bin/chromium',
		args: ['--no-sandbox', '--disable-quic', '--disable-background-networking'],
	});
}

/** Collects what a page must not have: console errors, exceptions, failed requests and refused ones. */
export function watch(page) {
	const troubles = [];
	page.on('console', (message) => {
		if (message.type() === 'error') troubles.push(`console: ${message.text()}`);
	});
	page.on('pageerror', (error) => troubles.push(`exception: ${error.message}`));
	page.on('requestfailed', (request) => {
		// A closed event stream and a fetch that a rung switch made useless end as aborted; that is no failure.
		const reason = request.failure()?.errorText ?? '';
		if (reason !== 'net::ERR_ABORTED') troubles.push(`request: ${request.url()} ${reason}`);
	});
	page.on('response', (response) => {
		if (response.status() >= 400) troubles.push(`response: ${response.status()} ${response.url()}`);
	});
	return troubles;
}

/** Sends a file through the page's input; resolves with the server's answer to the upload once the job's view is open. */
export async function upload(page, file) {
	const answer = page.waitForResponse((response) => /\/api\/files\/[^/]+$/.test(response.url()));
	await page.setInputFiles('#file', file);
	const record = await (await answer).json();
	await page.waitForSelector('#job:not([hidden])');
	return record;
}

/** A WAV file: a tone that rises, in stereo, 16 bits. */
export function wav(seconds) {
	const bytes = Buffer.alloc(44 + RATE * seconds * 4);
	bytes.write('RIFF', 0);
	bytes.writeUInt32LE(bytes.length - 8, 4);
	bytes.write('WAVEfmt ', 8);
	bytes.writeUInt32LE(16, 16);
	bytes.writeUInt16LE(1, 20);
	bytes.writeUInt16LE(2, 22);
	bytes.writeUInt32LE(RATE, 24);
	bytes.writeUInt32LE(RATE * 4, 28);
	bytes.writeUInt16LE(4, 32);
	bytes.writeUInt16LE(16, 34);
	bytes.write('data', 36);
	bytes.writeUInt32LE(bytes.length - 44, 40);
	for (let i = 0, phase = 0; i < RATE * seconds; i++) {
		phase += 0.03 + (0.05 * i) / (RATE * seconds);
		const value = Math.round(9000 * Math.sin(phase));
		bytes.writeInt16LE(value, 44 + 4 * i);
		bytes.writeInt16LE(-value, 46 + 4 * i);
	}
	return bytes;
}

/** Runs a function in the page that resolves when something has happened there; fails if it does not. */
export async function inPage(page, what, run, argument, patienceMs = PATIENCE_MS) {
	let timer;
	const tooLate = new Promise((_resolve, reject) => {
		timer = setTimeout(() => reject(new Error(`waited ${patienceMs} ms in vain: ${what}`)), patienceMs);
	});
	try {
		return await Promise.race([page.evaluate(run, argument), tooLate]);
	} finally {
		clearTimeout(timer);
	}
}

/** Resolves with the video's state at its first moment past `seconds`. */
export function playedPast(page, seconds) {
	return inPage(
		page,
		`playing past ${seconds} s`,
		(target) =>
			new Promise((resolve) => {
				const video = document.querySelector('#video');
				const check = () => {
					if (video.currentTime <= target || video.seeking) return;
					video.removeEventListener('timeupdate', check);
					const status = document.querySelector('#job').dataset.status;
					resolve({ status, currentTime: video.currentTime, duration: video.duration });
				};
				video.addEventListener('timeupdate', check);
				check();
			}),
		seconds,
	);
}

/** Seeks, and resolves when the picture there is on the screen. */
export function seek(page, seconds) {
	return inPage(
		page,
		`seeking to ${seconds} s`,
		(target) =>
			new Promise((resolve) => {
				const video = document.querySelector('#video');
				video.addEventListener('seeked', () => resolve(video.currentTime), { once: true });
				video.currentTime = target;
			}),
		seconds,
	);
}

export const jobStatus = (page) => page.getAttribute('#job', 'data-status');

export async function waitForStatus(page, status, timeoutMs) {
	await page.waitForSelector(`#job[data-status="${status}"]`, { timeout: timeoutMs });
}
