// Every view, in both colour schemes (light on a desk, dark on a phone): without a violation that axe-core finds, without a request
// to elsewhere, without anything that moves once it stands, and the whole page within its weight.
//
//     MILLRACE_URL=http://127.0.0.1:8080 MILLRACE_SAMPLE=film.mp4 node --test views.test.js
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { baseUrl, launch, sample, watch } from './drive.js';

const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const PAGE_BYTES_MAX = 250_000;
/** The document, its style, its script, its icon; who one is, the files, the jobs, their events; and what can be made. */
const FIRST_VIEW_REQUESTS_MAX = 10;

/** Nothing is being made, by whichever test before. */
async function isQuiet() {
	const { files } = await (await fetch(`${baseUrl}/api/files?limit=100`)).json();
	const { jobs } = await (await fetch(`${baseUrl}/api/jobs?limit=100`)).json();
	const ended = ['completed', 'failed', 'canceled'];
	return files.every(({ analysis }) => analysis.status !== 'pending') && jobs.every(({ status }) => ended.includes(status));
}

let browser;
let axe = '';
const made = { file: '', job: '' };

before(async () => {
	axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
	browser = await launch();
	const answer = await fetch(`${baseUrl}/api/files?filename=views.mp4`, {
		method: 'POST',
		body: await readFile(sample),
		headers: { 'Content-Type': 'video/mp4' },
	});
	made.file = (await answer.json()).file_id;
	const job = await fetch(`${baseUrl}/api/jobs`, {
		method: 'POST',
		body: JSON.stringify({ kind: 'convert', file_id: made.file, params: { format: 'mp3', end: 2 } }),
		headers: { 'Content-Type': 'application/json' },
	});
	made.job = (await job.json()).job_id;
	// What comes while the page is looked at would move it, and have it ask again.
	while (!(await isQuiet())) await new Promise((resolve) => setTimeout(resolve, 200));
});
after(() => browser?.close());

const VIEWS = () => [
	['#/', '#library .file-card'],
	[`#/files/${made.file}`, '#file-view:not([hidden])'],
	['#/narrate', '#narrate-voice option'],
	['#/live', '#listen:not([hidden])'],
	['#/jobs', '#jobs-list .job-row'],
	[`#/jobs/${made.job}`, '#job:not([hidden])[data-status="completed"]'],
	['#/monitor', '#monitor[data-state="shown"]'],
	['#/jobs/none-such', '#missing:not([hidden])'],
];

/** Notes every shift of the layout from the first moment on. */
function recordShifts() {
	window.millraceShifts = [];
	new PerformanceObserver((list) => {
		for (const { value, sources } of list.getEntries()) {
			window.millraceShifts.push([value, ...sources.map(({ node }) => node?.id || node?.className || node?.nodeName)].join(' '));
		}
	}).observe({ type: 'layout-shift', buffered: true });
}

const DEVICES = { light: { viewport: { width: 1280, height: 800 } }, dark: PHONE };
for (const [colorScheme, options] of Object.entries(DEVICES)) {
	test(`every view is accessible and fits: ${colorScheme}`, { timeout: 300_000 }, async () => {
		const context = await browser.newContext({ ...options, colorScheme, reducedMotion: 'reduce' });
		try {
			const page = await context.newPage();
			page.setDefaultTimeout(60_000);
			await page.goto(baseUrl);
			await page.evaluate(axe);
			for (const [hash, ready] of VIEWS()) {
				await page.evaluate((to) => (location.hash = to), hash);
				await page.waitForSelector(ready, { state: 'attached' });
				await page.waitForSelector('h1:visible'); // a view is filled before it is shown
				const { violations } = await page.evaluate(() => window.axe.run());
				const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
				assert.deepEqual(found, [], hash);
				const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
				assert.ok(overflow <= 0, `${hash} scrolls sideways`);
			}
		} finally {
			await context.close();
		}
	});
}

test('the page stays within its weight, asks nobody else, and stands still', { timeout: 300_000 }, async () => {
	const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
	try {
		const page = await context.newPage();
		page.setDefaultTimeout(60_000);
		const troubles = watch(page);
		const requests = [];
		page.on('request', (request) => requests.push(request.url()));
		await page.addInitScript(recordShifts);
		const answer = await page.goto(baseUrl);
		await page.waitForSelector('#library .file-card');
		await page.waitForSelector('#recent-list li:visible');
		const first = requests.filter((url) => !url.includes('/media/'));
		assert.ok(first.length <= FIRST_VIEW_REQUESTS_MAX, `${first.length} requests: ${first.join(' ')}`);

		for (const [hash, ready] of VIEWS().slice(0, -1)) {
			await page.goto(`${baseUrl}/${hash}`);
			await page.reload();
			await page.waitForSelector(ready, { state: 'attached' });
			await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
			assert.deepEqual(await page.evaluate(() => window.millraceShifts), [], `${hash}: what stands moves`);
		}
		assert.deepEqual(requests.filter((url) => !/^(data|blob):/.test(url) && new URL(url).origin !== new URL(baseUrl).origin), []);
		assert.deepEqual(troubles, []);

		const policy = answer.headers()['content-security-policy'];
		for (const part of ["default-src 'self'", "style-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"]) {
			assert.ok(policy.includes(part), policy);
		}
		assert.doesNotMatch(policy, /unsafe|https?:|\*/);
	} finally {
		await context.close();
	}
	let bytes = 0;
	for (const path of ['/', '/app.js', '/chunk.js', '/hls.js', '/app.css', '/icon.svg']) {
		const answer = await fetch(baseUrl + path, { headers: { 'Accept-Encoding': 'gzip' } });
		assert.equal(answer.headers.get('content-encoding'), 'gzip', path);
		bytes += Number(answer.headers.get('content-length'));
	}
	assert.ok(bytes > 0 && bytes <= PAGE_BYTES_MAX, `${bytes} bytes`);
});
