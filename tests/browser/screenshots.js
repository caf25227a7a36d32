// Takes the README's picture: the page at work, a video playing while its job runs.
//
//     MILLRACE_URL=… [MILLRACE_SAMPLE=film.mp4] node screenshots.js [OUTPUT.png]
//
// With a sample it uploads that; without, it opens the newest job of the server. Writes docs/page.png by default.
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { baseUrl, jobStatus, launch, playedPast, sample, seek, upload } from './drive.js';

const PICTURE_AT_S = 2;

const output = process.argv[2] ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../docs/page.png');
if (!baseUrl) {
	console.error('MILLRACE_URL must be set');
	process.exit(2);
}
const browser = await launch();
try {
	const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5, colorScheme: 'light' });
	await page.goto(baseUrl);
	if (sample) {
		await upload(page, sample);
	} else {
		await page.click('#recent-list a');
		await page.waitForSelector('#player[data-state="ready"], #player[data-state="playing"]');
		if ((await jobStatus(page)) === 'completed') await seek(page, PICTURE_AT_S);
		await page.evaluate(() => document.querySelector('#video').play());
	}
	const { status } = await playedPast(page, PICTURE_AT_S);
	if (await page.isVisible('#player-sound')) await page.click('#player-sound');
	await page.screenshot({ path: output });
	console.log(`${output} (job ${status})`);
} finally {
	await browser.close();
}
