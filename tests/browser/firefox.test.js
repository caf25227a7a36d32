// The page in Debian's Firefox: a film is sent and plays, every view opens, nothing is complained of.
//
//     MILLRACE_URL=http://127.0.0.1:8080 MILLRACE_SAMPLE=film.mp4 node --test firefox.test.js
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Firefox } from './bidi.js';
import { baseUrl, sample } from './drive.js';

let firefox;
before(async () => {
	firefox = await Firefox.launch();
});
after(() => firefox?.close());

const visible = (selector) => {
	const element = document.querySelector(selector);
	return element !== null && element.getClientRects().length > 0;
};

test('a film is sent and plays in Firefox', { timeout: 300_000 }, async () => {
	const page = await firefox.open(`${baseUrl}/#/`);
	await page.until('the gate', visible, '#gate');
	await page.setFiles('#file', [sample]);
	await page.until('the job', visible, '#job');
	await page.until('a picture that moves', () => {
		const video = document.querySelector('#video');
		return video.currentTime > 0.5 && video.videoWidth > 0;
	});
	await page.until('the job to be ready', () => document.querySelector('#job').dataset.status === 'completed');
	assert.equal(await page.evaluate(() => document.querySelector('#race').getAttribute('aria-valuenow')), '100');

	for (const [hash, shown] of [['#/narrate', '#narrate'], ['#/live', '#listen'], ['#/jobs', '#jobs-list .job-row'], ['#/', '#library .file-card']]) {
		await page.evaluate((to) => {
			location.hash = to;
		}, hash);
		await page.until(hash, visible, shown);
	}
	assert.deepEqual(firefox.troubles, []);
});
