// A large file through the page by tus, over a network that breaks in the middle; then its sound converted and fetched.
//
//     MILLRACE_URL=http://127.0.0.1:8080 MILLRACE_SAMPLE=film.mp4 node --test convert.test.js
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { baseUrl, launch, upload, wav } from './drive.js';

const SECONDS = 290; // 51 MB
const CUT_AFTER_BYTES = 25e6;

let browser;
before(async () => {
	browser = await launch();
});
after(() => browser?.close());

/** Passes connections on to the server, and breaks all of them once, when so many bytes went there. */
function breakingNetwork() {
	const server = new URL(baseUrl);
	const sockets = new Set();
	const state = { sent: 0, cuts: 0 };
	const proxy = createServer((near) => {
		const far = connect(Number(server.port), server.hostname);
		for (const socket of [near, far]) {
			sockets.add(socket);
			socket.on('error', () => undefined);
			socket.on('close', () => {
				sockets.delete(socket);
				near.destroy();
				far.destroy();
			});
		}
		near.on('data', (data) => {
			state.sent += data.length;
			if (!state.cuts && state.sent > CUT_AFTER_BYTES) {
				state.cuts++;
				for (const socket of sockets) socket.destroy();
			} else if (!far.write(data)) {
				near.pause();
				far.once('drain', () => near.resume());
			}
		});
		far.on('data', (data) => near.write(data));
	});
	return new Promise((resolve) => {
		proxy.listen(0, '127.0.0.1', () => resolve({ url: `http://127.0.0.1:${proxy.address().port}/`, state, close: () => proxy.close() }));
	});
}

test('50 MB over a network that breaks, converted and fetched', { timeout: 300_000 }, async () => {
	const network = await breakingNetwork();
	const context = await browser.newContext();
	try {
		const page = await context.newPage();
		page.setDefaultTimeout(120_000);
		await page.goto(network.url);
		await page.waitForSelector('#gate:visible');
		const data = wav(SECONDS);
		const folder = await mkdtemp('/tmp/millrace-browser-');
		let record;
		try {
			await writeFile(`${folder}/long.wav`, data);
			record = await upload(page, `${folder}/long.wav`);
		} finally {
			await rm(folder, { recursive: true });
		}
		assert.equal(network.state.cuts, 1);
		assert.equal(record.size, data.length);
		assert.ok(network.state.sent < data.length * 1.7, 'it went on where it was, and did not begin anew');
		await page.waitForSelector('#convert:not([hidden])');
		await page.selectOption('#convert-format', 'mp3');
		await page.click('#convert-start');
		await page.waitForSelector('#convert-link:not([hidden])');
		const saved = page.waitForEvent('download');
		await page.click('#convert-link');
		const download = await saved;
		assert.equal(download.suggestedFilename(), 'long.mp3');
		const bytes = await readFile(await download.path());
		assert.equal(bytes[0], 0xff, 'a frame of MPEG audio: there are no tags');
		assert.ok(bytes.length > 24000 * SECONDS * 0.95);
	} finally {
		await context.close();
		network.close();
	}
});
