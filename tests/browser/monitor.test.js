// The monitor as who runs the server sees it: what was just made stands in its figures and charts, which follow by themselves.
//
//     MILLRACE_URL=http://127.0.0.1:8080 MILLRACE_SAMPLE=film.mp4 node --test monitor.test.js
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { baseUrl, launch, sample, watch } from './drive.js';

let browser;
before(async () => {
	browser = await launch();
});
after(() => browser?.close());

const figure = async (page, id) => Number.parseInt(await page.textContent(`#${id}`), 10);

test('what is made shows up in the monitor', { timeout: 300_000 }, async () => {
	const page = await browser.newPage({ reducedMotion: 'reduce' });
	page.setDefaultTimeout(90_000);
	const troubles = watch(page);
	await page.goto(`${baseUrl}/#/`);
	await page.click('#tab-monitor');
	await page.waitForSelector('#monitor[data-state="shown"]');
	const before = await figure(page, 'monitor-ended');

	const upload = await fetch(`${baseUrl}/api/files?filename=monitor.mp4`, { method: 'POST', body: await readFile(sample) });
	const { file_id: file } = await upload.json();
	const order = { kind: 'convert', file_id: file, params: { format: 'wav', end: 1 } };
	const headers = { 'Content-Type': 'application/json' };
	await fetch(`${baseUrl}/api/jobs`, { method: 'POST', body: JSON.stringify(order), headers });
	await page.evaluate(
		(least) =>
			new Promise((resolve) => {
				const timer = setInterval(() => {
					if (Number.parseInt(document.querySelector('#monitor-ended').textContent, 10) > least) resolve(clearInterval(timer));
				}, 100);
			}),
		before,
	);
	const summary = await page.getAttribute('#chart-ended svg', 'aria-label');
	assert.match(summary, /^Jobs that ended: [1-9]\d* completed/);
	assert.ok((await page.locator('#chart-ended rect.flow').count()) > 0);
	assert.ok((await page.locator('#chart-speed circle').count()) > 0);
	assert.ok((await page.locator('#monitor-workers .worker[data-alive="true"]').count()) >= 1);
	assert.ok((await page.locator('#monitor-health .probe').count()) >= 3);
	assert.match(await page.textContent('#monitor-storage'), /Uploads/);

	await page.waitForSelector('#monitor-requests:text-matches("^[0-9]")');
	await page.selectOption('#monitor-span', 'week');
	await page.waitForSelector('#chart-ended text:has-text("AM"), #chart-ended text:has-text("PM")');
	assert.deepEqual(troubles, []);
	await page.close();
});
