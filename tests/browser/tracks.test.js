// Several sounds and subtitles in a real browser: the menus that choose them, and that what is chosen is heard, and shown at its
// time.
//
//     MILLRACE_URL=http://127.0.0.1:8080 MILLRACE_TRACKS=tracks.mkv node --test tracks.test.js
//
// The film (tests/media: tracks.mkv) has three sines of 880, 440 and 1320 Hz, "English", "German" and a commentary in that order,
// and subtitles in French and English, the first of them 1.0 to 2.5 s after the film's beginning.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { baseUrl, inPage, launch, playedPast, seek, upload, waitForStatus, watch } from './drive.js';

const film = process.env.MILLRACE_TRACKS;
// The muxer has put the sound's priming before everything.
const SHIFT_S = 0.023;
const LEAD_S = 0.08;
let browser;

before(async () => {
	assert.ok(baseUrl && film, 'MILLRACE_URL and MILLRACE_TRACKS must be set');
	browser = await launch();
});
after(() => browser?.close());

/** The loudest frequency that the video element plays, in Hz, once it is near `wanted`. */
const heard = (page, wanted) =>
	inPage(
		page,
		`a tone of ${wanted} Hz`,
		(hertz) =>
			new Promise((resolve) => {
				const video = document.querySelector('#video');
				window.analyser ??= (() => {
					const context = new AudioContext();
					const node = context.createAnalyser();
					node.fftSize = 8192;
					context.createMediaElementSource(video).connect(node);
					node.connect(context.destination);
					return node;
				})();
				const { analyser } = window;
				const bins = new Float32Array(analyser.frequencyBinCount);
				const look = () => {
					analyser.getFloatFrequencyData(bins);
					const peak = (bins.indexOf(Math.max(...bins)) * analyser.context.sampleRate) / analyser.fftSize;
					if (Math.abs(peak - hertz) < 15) resolve(peak);
					else requestAnimationFrame(look);
				};
				look();
			}),
		wanted,
	);

/** All cues of the text track that is shown, once the one with this text is among them. */
const cues = (page, text) =>
	inPage(
		page,
		`a cue "${text}"`,
		(wanted) =>
			new Promise((resolve) => {
				const video = document.querySelector('#video');
				const look = () => {
					const track = [...video.textTracks].find((one) => one.mode === 'showing' && one.cues?.length);
					const all = [...(track?.cues ?? [])].map(({ startTime, endTime, text }) => ({ startTime, endTime, text }));
					if (all.some((cue) => cue.text.includes(wanted))) resolve(all);
					else requestAnimationFrame(look);
				};
				look();
			}),
		text,
	);

test('sounds and subtitles are chosen, heard and shown', { timeout: 300_000 }, async () => {
	const context = await browser.newContext();
	try {
		const page = await context.newPage();
		const troubles = watch(page);
		page.setDefaultTimeout(60_000);
		await page.goto(baseUrl);
		await upload(page, film);
		await waitForStatus(page, 'completed', 240_000);
		await page.waitForSelector('#sound-track-box:not([hidden])');
		assert.deepEqual(await page.locator('#sound-track option').allTextContents(), ['English', 'German', "The 'Maker'"]);
		assert.deepEqual(await page.locator('#subtitle-track option').allTextContents(), ['Off', 'French', 'Schilder für alle']);
		assert.equal(await page.getAttribute('#video', 'data-sound'), 'English');
		assert.equal(await page.getAttribute('#video', 'data-subtitles'), '');
		// A gesture, so that sound may be heard.
		await page.click('#job-title');
		await page.evaluate(() => {
			const video = document.querySelector('#video');
			video.muted = false;
			video.loop = true;
			return video.play();
		});
		await playedPast(page, 0.3);
		await heard(page, 880);

		// With the keyboard alone.
		await page.focus('#sound-track');
		await page.keyboard.press('ArrowDown');
		await page.waitForSelector('#video[data-sound="German"]');
		await heard(page, 440);
		await page.selectOption('#subtitle-track', { label: 'French' });
		await page.waitForSelector('#video[data-subtitles="French"]');
		const all = await cues(page, 'Bonjour');
		const first = all.find((cue) => cue.text.includes('Bonjour'));
		assert.equal(first.text, 'Bonjour <i>à tous</i> &amp; <b>merci</b>');
		assert.ok(Math.abs(first.startTime - (1 + SHIFT_S + LEAD_S)) < 0.002, `it begins at ${first.startTime}`);
		assert.ok(Math.abs(first.endTime - (2.5 + SHIFT_S + LEAD_S)) < 0.002, `it ends at ${first.endTime}`);

		// A cue that crosses the boundary of two segments is in both, and shown once.
		await page.evaluate(() => document.querySelector('#video').pause());
		await seek(page, 8.3);
		const over = await cues(page, 'deux');
		assert.equal(over.filter((cue) => cue.text.includes('deux')).length, 1);
		assert.equal(over.filter((cue) => cue.text.includes('longtemps')).length, 1);
		await page.selectOption('#subtitle-track', { label: 'Off' });
		await page.waitForSelector('#video[data-subtitles=""]');
		assert.deepEqual(troubles, []);
	} finally {
		await context.close();
	}
});
