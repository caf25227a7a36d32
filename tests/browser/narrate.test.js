// A script over music, from the page: it plays before the job is complete, plays on, and its MP3 can be fetched.
//
//     MILLRACE_URL=http://127.0.0.1:8080 MILLRACE_SAMPLE=film.mp4 node --test narrate.test.js
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { baseUrl, launch, sample, watch } from './drive.js';

const JOB_TIMEOUT_MS = 240_000;

let browser;
before(async () => {
	browser = await launch();
});
after(() => browser?.close());

test('an editor says how long it will be, and the voice can be heard first', async () => {
	const page = await browser.newPage();
	page.setDefaultTimeout(60_000);
	const troubles = watch(page);
	await page.goto(`${baseUrl}/#/narrate`);
	await page.waitForSelector('#narrate-voice option', { state: 'attached' });
	await page.fill('#narrate-script', 'Close your eyes.');
	await page.focus('#narrate-script');
	await page.keyboard.press('End');
	await page.click('[data-pause="10s"]');
	await page.keyboard.type('Breathe in. Breathe out.\n\nOpen them.');
	assert.equal(await page.inputValue('#narrate-script'), 'Close your eyes. [pause 10s] Breathe in. Breathe out.\n\nOpen them.');
	assert.equal(await page.textContent('#narrate-length'), 'About 0:16  ·  4 sentences  ·  2 pauses, 11.2 s');

	await page.selectOption('#narrate-voice', 'awb');
	const answer = page.waitForResponse((response) => response.url().endsWith('/api/voices/preview'));
	const sound = page.waitForResponse((response) => response.url().includes('/media/speech/'));
	await page.click('#narrate-preview');
	assert.equal((await (await answer).json()).voice, 'awb');
	assert.equal((await sound).headers()['content-type'], 'audio/wav');
	await page.waitForSelector('#narrate-preview-state:has-text("“Close your eyes.”")');
	await page.reload();
	await page.waitForSelector('#narrate-voice option', { state: 'attached' });
	assert.match(await page.inputValue('#narrate-script'), /^Close your eyes\. \[pause 10s\]/, 'what was written is still there');
	assert.deepEqual(troubles, []);
	await page.close();
});

test('a narration is heard at once', async () => {
	const page = await browser.newPage();
	page.setDefaultTimeout(120_000);
	const troubles = watch(page);
	// As it was at that moment, however late it is asked for.
	await page.addInitScript(() => {
		document.addEventListener('playing', () => (window.heardWhile ??= document.querySelector('#job').dataset.status), true);
	});
	await page.goto(`${baseUrl}/#/narrate`);
	await page.waitForSelector('#narrate-voice option', { state: 'attached' });
	const lines = Array.from({ length: 150 }, (_, i) => `This is sentence number ${i}, and it takes a while to say.`);
	await page.fill('#narrate-script', lines.join(' '));
	await page.selectOption('#narrate-voice', 'slt');
	await page.setInputFiles('#narrate-music', sample);
	await page.click('#narrate-start');
	await page.waitForSelector('#player[data-state="playing"]', { timeout: JOB_TIMEOUT_MS });
	const heardWhile = await page.evaluate(() => window.heardWhile);
	assert.equal(heardWhile, 'streaming', 'it plays before the job is complete');
	await page.waitForSelector('#job[data-status="completed"]', { timeout: JOB_TIMEOUT_MS });
	const at = await page.$eval('#video', (video) => video.currentTime);
	assert.ok(at > 0);
	// To the end: the last seconds are played.
	await page.$eval('#video', (video) => {
		video.currentTime = video.duration - 1;
	});
	await page.$eval('#video', (video) => new Promise((resolve) => {
		if (video.ended) resolve();
		else video.addEventListener('ended', () => resolve(), { once: true });
	}));
	const answer = page.waitForResponse((response) => response.url().endsWith('/download') && response.status() === 200);
	const file = page.waitForEvent('download');
	await page.click('#mp3');
	assert.ok((await (await answer).json()).download_url.includes('/media/downloads/'));
	assert.equal((await file).suggestedFilename(), 'narration.mp3');
	assert.deepEqual(troubles, []);
	await page.close();
});
