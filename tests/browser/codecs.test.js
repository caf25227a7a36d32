// A ladder of H.264 and HEVC in a browser that may or may not know HEVC: it plays to its end, and what it doesn't know is never
// asked for.
//
//     MILLRACE_URL=http://127.0.0.1:8080 MILLRACE_TRACKS=tracks.mkv node --test codecs.test.js
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { baseUrl, inPage, launch, playedPast, seek, upload, waitForStatus, watch } from './drive.js';

const film = process.env.MILLRACE_TRACKS;
let browser;

before(async () => {
	assert.ok(baseUrl && film, 'MILLRACE_URL and MILLRACE_TRACKS must be set');
	browser = await launch();
});
after(() => browser?.close());

/** Asks for a job of both codecs as a script would; resolves with its id. */
const startJob = (page, fileId) =>
	inPage(
		page,
		'a job of two codecs',
		async (file_id) => {
			const body = JSON.stringify({ kind: 'ladder', file_id, params: { codecs: ['h264', 'hevc'], rungs: ['144p'], segment_seconds: 2 } });
			const answer = await fetch('/api/jobs', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
			return (await answer.json()).job_id;
		},
		fileId,
	);

test('a master playlist with HEVC beside H.264 plays', { timeout: 300_000 }, async () => {
	const context = await browser.newContext();
	try {
		const page = await context.newPage();
		const troubles = watch(page);
		page.setDefaultTimeout(60_000);
		const fetched = [];
		page.on('request', (request) => fetched.push(new URL(request.url()).pathname));
		await page.goto(baseUrl);
		const { file_id } = await upload(page, film);
		const job = await startJob(page, file_id);
		await page.goto(`${baseUrl}/#/jobs/${job}`);
		await page.waitForSelector(`#job[data-status]`);
		await waitForStatus(page, 'completed', 240_000);
		await page.evaluate(() => void document.querySelector('#video').play());
		await playedPast(page, 1.5);
		await seek(page, 12);
		await playedPast(page, 13);
		const knows = await page.evaluate(() => MediaSource.isTypeSupported('video/mp4; codecs="hvc1.1.6.L60.90"'));
		const of = (folder) => fetched.filter((path) => path.includes(`/${job}/${folder}/`));
		assert.ok(knows || of('144p-hevc').length === 0, 'HEVC was fetched by a browser that has no decoder for it');
		assert.ok(of('144p').length + of('144p-hevc').length > 3);
		assert.deepEqual(troubles, []);
	} finally {
		await context.close();
	}
});
