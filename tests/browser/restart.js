// A day on which the server is killed, for tests/scenario/test_page_restart.py:
//
//   node restart.js SERVER FILE FAILED-JOB
//
// Sends a file, watches what is made of it, then a job that has failed, and says on standard output, a line of JSON each, when it has
// come to a place where something is to happen: {"at": "sending" | "making" | "failed"}, waits for a line on standard input, and ends
// with what was on the screen: {"at": "end", "upload": […], "job": […], "reason": "…"}. Both bars are sampled ten times a second, as the
// numbers that are told to assistive technology and as the width that is drawn.
import { createInterface } from 'node:readline';
import { launch } from './drive.js';

const SLOW_BYTES_PER_S = 2_000_000;
const [server, file, failed] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function at(place, more = {}) {
	console.log(JSON.stringify({ at: place, ...more }));
	if (place !== 'end') await lines.next();
}

function record() {
	window.millrace = { upload: [], job: [] };
	const look = (list, bar, fill) => {
		if (!bar || !bar.getClientRects().length) return;
		const part = (100 * fill.getBoundingClientRect().width) / fill.parentElement.getBoundingClientRect().width;
		list.push([Number(bar.getAttribute('aria-valuenow')), Math.round(part * 10) / 10]);
	};
	document.addEventListener('DOMContentLoaded', () => {
		setInterval(() => {
			look(window.millrace.upload, document.querySelector('.upload-row .bar'), document.querySelector('.upload-row .bar-fill'));
			look(window.millrace.job, document.querySelector('#race'), document.querySelector('.race-water'));
		}, 100);
	});
}

/** Until a sample of the list is at least that much. */
const past = (page, list, percent) =>
	page.evaluate(
		([name, least]) =>
			new Promise((resolve) => {
				const timer = setInterval(() => {
					if ((window.millrace[name].at(-1)?.[0] ?? 0) >= least) resolve(clearInterval(timer));
				}, 20);
			}),
		[list, percent],
	);

const browser = await launch();
try {
	const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
	const page = await context.newPage();
	page.setDefaultTimeout(240_000);
	await page.addInitScript(record);
	const network = await context.newCDPSession(page);
	await network.send('Network.enable');
	await network.send('Network.emulateNetworkConditions', {
		offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: SLOW_BYTES_PER_S,
	});
	await page.goto(`${server}/#/`);
	await page.waitForSelector('#gate:visible');
	await page.setInputFiles('#file', file);
	await past(page, 'upload', 40);
	await at('sending');
	await network.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
	await page.waitForSelector('#job:not([hidden])');
	await past(page, 'job', 20);
	await at('making');
	await page.waitForSelector('#job[data-status="completed"]');
	await past(page, 'job', 100);
	await page.waitForTimeout(600);
	const { upload, job } = await page.evaluate(() => window.millrace);

	await page.goto(`${server}/#/jobs/${failed}`);
	await page.waitForSelector('#job[data-status="failed"]');
	const reason = await page.textContent('#job-error-text');
	await page.click('nav a[href="#/jobs"]');
	await page.selectOption('#jobs-filter', 'failed');
	const row = await page.textContent(`#jobs-list a[href="#/jobs/${failed}"]`);
	await page.click(`#jobs-list a[href="#/jobs/${failed}"]`);
	await page.waitForSelector('#job-retry:visible');
	await at('failed');
	await page.click('#job-retry');
	await page.waitForSelector('#job[data-status="completed"]');
	await at('end', { upload, job, reason, row, stillSaid: await page.isVisible('#job-error') });
	process.stdin.destroy();
} finally {
	await browser.close();
}
