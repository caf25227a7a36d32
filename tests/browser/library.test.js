// The files as somebody keeps them: dropped together, found by name, fetched again, deleted; an upload goes on by itself after a reload.
//
//     MILLRACE_URL=http://127.0.0.1:8080 MILLRACE_SAMPLE=film.mp4 node --test library.test.js
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { baseUrl, launch, sample, watch, wav } from './drive.js';

let browser;
before(async () => {
	browser = await launch();
});
after(() => browser?.close());

/** As if the files had been dragged onto the page's heading. */
async function drop(page, files) {
	const data = await page.evaluateHandle(
		(list) => {
			const transfer = new DataTransfer();
			for (const { name, text } of list) {
				transfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name, { type: 'audio/wav' }));
			}
			return transfer;
		},
		files.map(({ name, bytes }) => ({ name, text: bytes.toString('base64') })),
	);
	await page.dispatchEvent('body', 'dragenter', { dataTransfer: data });
	assert.equal(await page.evaluate(() => document.body.classList.contains('dropping')), true);
	await page.dispatchEvent('#main', 'drop', { dataTransfer: data });
}

const card = (name) => `.file-card:has-text("${name}")`;

test('files are dropped together, found, fetched and deleted', { timeout: 300_000 }, async () => {
	const page = await browser.newPage();
	page.setDefaultTimeout(60_000);
	const troubles = watch(page);
	await page.goto(`${baseUrl}/#/`);
	await page.waitForSelector('#gate:visible');
	await page.selectOption('#then', 'keep');
	await page.evaluate(() => (location.hash = '#/narrate'));
	await page.waitForSelector('#narrate:visible');
	const files = ['Wheel 50%.wav', 'wheel 500.wav', 'Stone.wav'].map((name, i) => ({ name, bytes: wav(1 + i) }));
	await drop(page, files);
	for (const { name } of files) await page.waitForSelector(card(name));

	await page.fill('#library-search', 'WHEEL 5');
	await page.waitForSelector(card('Stone.wav'), { state: 'detached' });
	assert.equal(await page.locator('.file-card').count(), 2);
	await page.fill('#library-search', '50%');
	await page.waitForSelector(card('wheel 500.wav'), { state: 'detached' });
	assert.deepEqual(await page.locator('.file-name').allTextContents(), ['Wheel 50%.wav']);

	await page.click('.file-name');
	await page.waitForSelector('#file-view:not([hidden])');
	const saved = page.waitForEvent('download');
	await page.click('#file-download');
	const download = await saved;
	assert.equal(download.suggestedFilename(), 'Wheel 50%.wav');
	assert.ok((await readFile(await download.path())).equals(files[0].bytes));
	await page.click('#file-delete');
	await page.click('#confirm-yes');
	await page.waitForSelector('#library-empty:visible');
	assert.match(await page.textContent('#library-empty'), /50%/);
	await page.fill('#library-search', '');
	await page.waitForSelector(card('Stone.wav'));
	assert.deepEqual(troubles, []);
	await page.close();
});

test('an upload goes on by itself after a reload', { timeout: 300_000 }, async () => {
	const context = await browser.newContext();
	const page = await context.newPage();
	page.setDefaultTimeout(90_000);
	const network = await context.newCDPSession(page);
	await network.send('Network.enable');
	await network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 1_000_000 });
	const made = [];
	page.on('request', (request) => {
		if (request.method() === 'POST' && request.url().endsWith('/api/uploads')) made.push(request.url());
	});
	await page.goto(`${baseUrl}/#/`);
	await page.waitForSelector('#gate:visible');
	await page.selectOption('#then', 'keep');
	await page.setInputFiles('#file', { name: 'river.wav', mimeType: 'audio/wav', buffer: wav(60) });
	await page.waitForSelector('.upload-row[data-state="sending"]');
	// Once the browser has its copy, leaving is no loss and is not asked about.
	await page.evaluate(async () => {
		const count = () =>
			new Promise((resolve) => {
				const opening = indexedDB.open('millrace');
				opening.onsuccess = () => {
					const database = opening.result;
					if (!database.objectStoreNames.contains('uploads')) return database.close(), resolve(0);
					const counting = database.transaction('uploads').objectStore('uploads').count();
					counting.onsuccess = () => (database.close(), resolve(counting.result));
				};
			});
		while (!(await count())) await new Promise((resolve) => setTimeout(resolve, 50));
	});
	await page.reload();
	await network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
	await page.waitForSelector('#gate:visible');
	await page.waitForSelector(card('river.wav'));
	assert.equal(made.length, 1, 'it is the same upload');
	await context.close();
});
