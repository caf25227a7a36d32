// The player as somebody uses it who watches a finished film: keys, speed, a picture of what is there on the seek bar, a sound's
// shape, full screen, and that it goes on where it was left.
//
//     MILLRACE_URL=http://127.0.0.1:8080 MILLRACE_SAMPLE=film.mp4 node --test player.test.js
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { baseUrl, inPage, launch, playedPast, sample, seek, upload, waitForStatus, watch } from './drive.js';

const JOB_TIMEOUT_MS = 240_000;

let browser;
before(async () => {
	browser = await launch();
});
after(() => browser?.close());

/** Resolves when a check in the page is true; it is made again whenever the video tells of anything. */
const until = (page, what, check) =>
	inPage(
		page,
		what,
		(name) =>
			new Promise((resolve) => {
				const video = document.querySelector('#video');
				const checks = {
					paused: () => video.paused,
					playing: () => !video.paused && video.currentTime > 0,
					muted: () => video.muted,
					fast: () => video.playbackRate === 1.25,
					full: () => document.fullscreenElement?.id === 'player',
					small: () => document.fullscreenElement === null,
					wave: () => !document.querySelector('#seek-wave').hidden,
				};
				const look = () => (checks[name]() ? resolve() : setTimeout(look, 50));
				look();
			}),
		check,
	);

/** The tile that the seek bar shows for a part of the film, as its position in the sprite. */
async function tileAt(page, part) {
	const box = await page.locator('#seek').boundingBox();
	await page.mouse.move(box.x + box.width * part, box.y + box.height / 2);
	await page.waitForSelector('#seek-picture:visible');
	return page.evaluate(() => {
		const { backgroundImage, backgroundPosition } = document.querySelector('#seek-picture').style;
		return { url: /"(.*)"/.exec(backgroundImage)[1], place: backgroundPosition, time: document.querySelector('#seek-time').textContent };
	});
}

test('keys, speed, pictures on the seek bar, and the place where one stopped', { timeout: JOB_TIMEOUT_MS + 120_000 }, async () => {
	const context = await browser.newContext();
	try {
		const page = await context.newPage();
		const troubles = watch(page);
		await page.goto(baseUrl);
		const { file_id: fileId } = await upload(page, sample);
		await waitForStatus(page, 'completed', JOB_TIMEOUT_MS);
		const hash = new URL(page.url()).hash;
		if (await page.isVisible('#player-sound')) await page.click('#player-sound');

		await page.focus('#video');
		await page.keyboard.press('Home');
		await page.keyboard.press('ArrowRight');
		await playedPast(page, 4.9);
		await page.keyboard.press('k');
		await until(page, 'a pause by key', 'paused');
		await page.keyboard.press('m');
		await until(page, 'silence by key', 'muted');
		await page.keyboard.press('>');
		await until(page, 'more speed by key', 'fast');
		assert.equal(await page.inputValue('#speed'), '1.25');
		await page.keyboard.press('f');
		await until(page, 'the full screen', 'full');
		await page.keyboard.press('f');
		await until(page, 'the page again', 'small');

		// By-products come when the server has nothing else to do.
		await inPage(
			page,
			'a storyboard',
			async (id) => {
				while (!(await (await fetch(`/api/files/${id}`)).json()).analysis.storyboard_url) {
					await new Promise((resolve) => setTimeout(resolve, 200));
				}
			},
			fileId,
			JOB_TIMEOUT_MS,
		);
		await page.reload();
		await page.waitForSelector('#player[data-state="ready"]');
		const early = await tileAt(page, 0.05);
		const late = await tileAt(page, 0.95);
		assert.notDeepEqual(early.place, late.place);
		assert.match(late.time, /^0:2\d$/);
		const sprite = await page.evaluate(async (url) => (await fetch(url)).headers.get('content-type'), late.url);
		assert.equal(sprite, 'image/jpeg');

		await seek(page, 12);
		// A change of the address's fragment returns before the page has heard of it: the old player must be gone first.
		await page.goto(`${baseUrl}/#/`);
		await page.waitForSelector('#player[data-state="empty"]', { state: 'attached' });
		await page.goto(`${baseUrl}/${hash}`);
		await page.waitForSelector('#player[data-state="ready"]');
		const at = await page.evaluate(() => document.querySelector('#video').currentTime);
		assert.ok(Math.abs(at - 12) < 0.3, `it goes on at ${at}`);
		assert.equal(await page.textContent('#player-note'), 'Going on at 0:12.');
		assert.deepEqual(troubles, []);
	} finally {
		await context.close();
	}
});

test('a stream that breaks says so, and goes on by hand; picture in picture is asked for', { timeout: JOB_TIMEOUT_MS + 120_000 }, async () => {
	const page = await browser.newPage();
	page.setDefaultTimeout(90_000);
	// Headless, there is no other window for the picture to go to: that it is asked for has to do.
	await page.addInitScript(() => {
		Object.defineProperty(Document.prototype, 'pictureInPictureEnabled', { get: () => true });
		HTMLVideoElement.prototype.requestPictureInPicture = async function () {
			this.dataset.asked = 'yes';
		};
	});
	const { jobs } = await (await fetch(`${baseUrl}/api/jobs?kind=ladder&status=completed&limit=1`)).json();
	assert.ok(jobs.length, 'the test before leaves a film');
	let broken = true;
	await page.route('**/media/hls/**', (route) => (broken ? route.abort() : route.continue()));
	await page.goto(`${baseUrl}/#/jobs/${jobs[0].job_id}`);
	await page.waitForSelector('#player-error:visible');
	assert.match(await page.textContent('#player-error-text'), /^Playing stopped: /);
	broken = false;
	await page.click('#player-retry');
	await page.waitForSelector('#player-error', { state: 'hidden' });
	await playedPast(page, 0.5);
	await page.click('#pip');
	await page.waitForSelector('#video[data-asked="yes"]');

	await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => (window.copied = text) } }));
	await page.click('#copy-link');
	await page.waitForSelector('#copy-link:has-text("Copied")');
	assert.match(await page.evaluate(() => window.copied), /\/hls\/[\w-]+\/master\.m3u8\?/);
	await page.close();
});

test('a player that cannot be fetched says so, and is fetched by hand', { timeout: 300_000 }, async () => {
	const page = await browser.newPage();
	page.setDefaultTimeout(90_000);
	// Of a browser that plays HLS by itself nobody would notice.
	await page.addInitScript(() => {
		HTMLMediaElement.prototype.canPlayType = () => '';
	});
	const { jobs } = await (await fetch(`${baseUrl}/api/jobs?kind=ladder&status=completed&limit=1`)).json();
	assert.ok(jobs.length, 'the first test leaves a film');
	// However long the server takes to answer, what failed is gone as soon as one tries again.
	await page.route(`**/api/jobs/${jobs[0].job_id}`, async (route) => {
		await new Promise((resolve) => setTimeout(resolve, 500));
		await route.continue();
	});
	let away = true;
	await page.route('**/hls.js*', (route) => (away ? route.abort() : route.continue()));
	await page.goto(`${baseUrl}/#/jobs/${jobs[0].job_id}`);
	await page.waitForSelector('#player-error:visible');
	assert.equal(await page.textContent('#player-error-text'), 'The player cannot be loaded right now.');
	await page.click('#player-retry');
	assert.equal(await page.isVisible('#player-error'), false);
	assert.equal(await page.textContent('#player-note'), 'Trying again…');
	await page.waitForSelector('#player-error:visible');
	assert.equal(await page.textContent('#player-note'), '');
	away = false;
	await page.click('#player-retry');
	await page.waitForSelector('#player-error', { state: 'hidden' });
	await playedPast(page, 0.5);
	assert.equal(await page.textContent('#player-note'), '');
	await page.close();
});
