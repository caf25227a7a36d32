// The page in a real browser against a real server, driven as a person would.
//
//     MILLRACE_URL=http://127.0.0.1:8080 MILLRACE_SAMPLE=film.mp4 node --test browser.test.js
//
// The sample is a video of about 30 s whose ladder has at least two rungs, long enough that the server is still at work when it
// starts to play. Runs on Node 18.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { baseUrl, inPage, jobStatus, launch, playedPast, sample, seek, upload, waitForStatus, watch } from './drive.js';

const JOB_TIMEOUT_MS = 240_000;
const NUDGES_S = 0.5;
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

let browser;
let finishedJob = '';

before(async () => {
	assert.ok(baseUrl && sample, 'MILLRACE_URL and MILLRACE_SAMPLE must be set');
	browser = await launch();
});
after(() => browser?.close());

async function withPage(options, run) {
	const context = await browser.newContext(options);
	try {
		const page = await context.newPage();
		page.setDefaultTimeout(60_000);
		await run(page, watch(page));
	} finally {
		await context.close();
	}
}

/** Notes what the page went through from its first moment on: the state when playing began, every progress shown, how often the
 * video ran dry, and how far it jumped. */
function recordHistory() {
	const history = { firstPlaying: null, percents: [], jumps: [], waits: 0 };
	let at = 0;
	window.millraceHistory = history;
	const status = () => document.querySelector('#job').dataset.status;
	document.addEventListener('playing', () => (history.firstPlaying ??= status()), true);
	const stand = ({ target }) => {
		if (!target.seeking) at = target.currentTime;
	};
	document.addEventListener('timeupdate', stand, true);
	document.addEventListener(
		'waiting',
		(event) => {
			history.waits++;
			stand(event);
		},
		true,
	);
	document.addEventListener('seeking', ({ target }) => history.jumps.push(Math.abs(target.currentTime - at)), true);
	document.addEventListener('DOMContentLoaded', () => {
		const race = document.querySelector('#race');
		const note = () => history.percents.push(Number(race.getAttribute('aria-valuenow')));
		new MutationObserver(note).observe(race, { attributeFilter: ['aria-valuenow'] });
	});
}

const ended = (page) =>
	inPage(
		page,
		'the end of the film',
		() =>
			new Promise((resolve) => {
				const video = document.querySelector('#video');
				const result = () => {
					const played = Array.from({ length: video.played.length }, (_, i) => [video.played.start(i), video.played.end(i)]);
					resolve({ duration: video.duration, played });
				};
				if (video.ended) result();
				else video.addEventListener('ended', result, { once: true });
			}),
		undefined,
		JOB_TIMEOUT_MS,
	);

/** Chooses a rung in the menu and waits until its pictures are shown: resolves with the picture's shorter side. */
async function switchRung(page, name) {
	await page.selectOption('#quality', { label: name });
	await page.waitForSelector(`#video[data-rung="${name}"]`);
	return inPage(
		page,
		`a picture of ${name}`,
		(wanted) =>
			new Promise((resolve) => {
				const video = document.querySelector('#video');
				const check = () => {
					const side = Math.min(video.videoWidth, video.videoHeight);
					if (side !== wanted) return;
					video.removeEventListener('resize', check);
					resolve(side);
				};
				video.addEventListener('resize', check);
				check();
			}),
		parseInt(name, 10),
	);
}

test('a film plays while it is still being made, to its end', { timeout: JOB_TIMEOUT_MS + 180_000 }, async () => {
	await withPage({}, async (page, troubles) => {
		await page.addInitScript(recordHistory);
		await page.goto(baseUrl);
		const record = await upload(page, sample);
		await playedPast(page, 0.2);
		finishedJob = new URL(page.url()).hash;
		assert.match(finishedJob, /^#\/jobs\/[\w-]+$/);

		// A browser starts sound only after a gesture; the page then starts silently and says so.
		if (await page.isVisible('#player-sound')) await page.click('#player-sound');
		assert.equal(await page.evaluate(() => document.querySelector('#video').muted), false);

		const end = await ended(page);
		await waitForStatus(page, 'completed', JOB_TIMEOUT_MS);
		const history = await page.evaluate(() => window.millraceHistory);
		assert.equal(history.firstPlaying, 'streaming', 'playing began while the job was still running');
		// Where a busy machine makes the film too slowly, the video runs dry, and the player helps it over that by a nudge.
		const { jumps, waits } = history;
		assert.ok(jumps.length <= 1 + waits, `the player jumped ${jumps.length} times, and ran dry ${waits} times`);
		assert.ok(jumps.filter((far) => far > NUDGES_S).length <= 1, `the player jumped: ${jumps}`);
		const gaps = end.played.slice(1).map(([from], i) => from - end.played[i][1]);
		assert.ok(gaps.length <= waits && gaps.every((gap) => gap < NUDGES_S), `played in one run: ${JSON.stringify(end.played)}`);
		assert.ok(end.played[0][0] < 0.2 && end.played.at(-1)[1] > end.duration - 0.3, `played all: ${JSON.stringify(end)}`);
		assert.ok(Math.abs(end.duration - record.probe.duration) < 0.2, `${end.duration} s of ${record.probe.duration} s`);
		assert.deepEqual(history.percents, [...history.percents].sort((a, b) => a - b), 'progress never went back');

		const replayFrom = await seek(page, 1);
		await page.evaluate(() => document.querySelector('#video').play());
		await playedPast(page, replayFrom + 0.5);
		await seek(page, end.duration * 0.6);
		await playedPast(page, end.duration * 0.6 + 0.5);
		await seek(page, end.duration * 0.2);
		const back = await playedPast(page, end.duration * 0.2 + 0.5);
		assert.ok(back.currentTime < end.duration * 0.5, 'it went on from where it was sought to');

		const rungs = (await page.locator('#quality option').allTextContents()).filter((name) => /^\d+p$/.test(name));
		assert.ok(rungs.length >= 2, `the menu offers ${rungs}`);
		for (const name of [rungs[rungs.length - 1], rungs[0]]) {
			await seek(page, 0.5);
			assert.equal(await switchRung(page, name), parseInt(name, 10));
		}
		assert.equal(await page.getAttribute('#video', 'data-choice'), rungs[0]);

		await seek(page, end.duration - 1.5);
		await ended(page);
		assert.deepEqual(troubles, []);
	});
});

test('a finished job opens by its link and plays', { timeout: 300_000 }, async () => {
	await withPage({}, async (page, troubles) => {
		assert.ok(finishedJob, 'the first test leaves a finished job');
		await page.goto(`${baseUrl}/${finishedJob}`);
		await page.waitForSelector('#player[data-state="ready"]');
		assert.equal(await jobStatus(page), 'completed');
		assert.equal(await page.getAttribute('#race', 'aria-valuenow'), '100');
		await page.focus('#video');
		await page.keyboard.press('Space');
		await playedPast(page, 1);
		assert.deepEqual(troubles, []);
	});
});

test('nothing scrolls sideways on a phone, in either scheme', { timeout: 300_000 }, async () => {
	for (const colorScheme of ['light', 'dark']) {
		await withPage({ ...PHONE, colorScheme }, async (page, troubles) => {
			const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
			await page.goto(baseUrl);
			await page.waitForSelector('#recent-list li:visible');
			assert.equal(await overflow(), 0, 'the start page');
			await page.click('#recent-list a');
			await page.waitForSelector('#job:not([hidden])');
			assert.equal(await overflow(), 0, 'a job');
			assert.deepEqual(troubles, []);
		});
	}
});

test('a text file is refused in the words of the server', { timeout: 300_000 }, async () => {
	await withPage({}, async (page) => {
		await page.goto(baseUrl);
		const answer = page.waitForResponse((response) => response.url().includes('/api/uploads') && response.status() >= 400);
		await page.setInputFiles('#file', { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('This is no film.\n'.repeat(100)) });
		const response = await answer;
		assert.ok([415, 422].includes(response.status()), `HTTP ${response.status()}`);
		const { error } = await response.json();
		await page.waitForSelector('.upload-row[data-state="failed"]');
		assert.ok(error.message.length > 10);
		assert.equal(await page.textContent('.upload-error'), error.message);
		assert.ok((await page.textContent('.upload-code')).startsWith(error.code));
		assert.equal(await page.isVisible('.upload-again'), error.retriable);
		await page.click('.upload-stop');
		await page.waitForSelector('.upload-row', { state: 'detached' });
	});
});

test('the keyboard reaches the upload, and opens it', { timeout: 300_000 }, async () => {
	await withPage({}, async (page, troubles) => {
		await page.goto(baseUrl);
		await page.waitForSelector('#gate:visible');
		for (let i = 0; i < 10 && (await page.evaluate(() => document.activeElement.id)) !== 'file'; i++) await page.keyboard.press('Tab');
		assert.equal(await page.evaluate(() => document.activeElement.id), 'file');
		// On a busy machine the browser may still be preparing to tell of choosers when the first key comes.
		let opened = false;
		const chooser = page.waitForEvent('filechooser').then(() => (opened = true));
		for (let i = 0; i < 10 && !opened; i++) {
			await page.keyboard.press('Enter');
			await Promise.race([chooser, new Promise((resolve) => setTimeout(resolve, 3000))]);
		}
		assert.ok(opened, 'Enter opens the file chooser');
		assert.deepEqual(troubles, []);
	});
});

test('a job is followed without server-sent events, too', { timeout: JOB_TIMEOUT_MS + 60_000 }, async () => {
	await withPage({}, async (page) => {
		await page.route('**/api/jobs/*/events', (route) => route.abort());
		await page.goto(baseUrl);
		await upload(page, sample);
		await playedPast(page, 0.2);
		await waitForStatus(page, 'completed', JOB_TIMEOUT_MS);
		assert.equal(await page.getAttribute('#race', 'aria-valuenow'), '100');
	});
});

test('a running job is canceled, and a job deleted', { timeout: 300_000 }, async () => {
	await withPage({}, async (page) => {
		await page.goto(baseUrl);
		await upload(page, sample);
		const hash = new URL(page.url()).hash;
		await page.click('#job-cancel');
		await page.click('#confirm-yes');
		await waitForStatus(page, 'canceled', 60_000);

		await page.click('#job-delete');
		await page.click('#confirm-yes');
		await page.waitForSelector('#jobs:visible');
		await page.waitForSelector(`#jobs-list a[href="${hash}"]`, { state: 'detached' });
		await page.goto(`${baseUrl}/${hash}`);
		await page.waitForSelector('#missing:not([hidden])');
	});
});
