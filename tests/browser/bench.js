// What the page costs, for bench/page.py: prints one JSON object.
//
//     node bench.js SERVER EVENTS
//
// The server has many jobs and makes none. `first`: milliseconds to the first view on a processor slowed down four times; `frames`:
// milliseconds from frame to frame while all jobs scroll by; `heap`: megabytes of JavaScript's heap, and `nodes` of the document, before
// and while EVENTS updates of jobs arrive as fast as the page takes them.
import { createServer, request } from 'node:http';
import { launch } from './drive.js';

const RUNS = 5;
const SLOWER = 4;
const LOOKS = 6;
const [server, count] = [process.argv[2], Number(process.argv[3])];

const browser = await launch();

async function withPage(run) {
	const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
	try {
		const page = await context.newPage();
		page.setDefaultTimeout(120_000);
		return await run(page, await context.newCDPSession(page));
	} finally {
		await context.close();
	}
}

/** Until files and jobs stand there. */
function recordFirstView() {
	const look = () => {
		const there = ['#gate', '#library-list .file-card', '#recent-list a'].every((each) => document.querySelector(each)?.getClientRects().length);
		if (there) window.millraceFirst = performance.now();
		else requestAnimationFrame(look);
	};
	requestAnimationFrame(look);
}

const firstView = () =>
	withPage(async (page, cdp) => {
		await cdp.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
		await page.addInitScript(recordFirstView);
		await page.goto(`${server}/`);
		await page.waitForSelector('#recent-list a');
		return page.evaluate(
			() => new Promise((resolve) => setInterval(() => window.millraceFirst && resolve(window.millraceFirst), 20)),
		);
	});

const scrolling = () =>
	withPage(async (page) => {
		await page.goto(`${server}/#/jobs`);
		await page.waitForSelector('#jobs-list .job-row');
		const down = (step) =>
			page.evaluate(
				(by) =>
					new Promise((resolve) => {
						const times = [];
						let before = 0;
						let still = 0;
						scrollTo(0, 0);
						const frame = (now) => {
							if (before) times.push(now - before);
							before = now;
							const at = scrollY;
							scrollBy(0, by);
							still = scrollY === at ? still + 1 : 0;
							if (still < 60) requestAnimationFrame(frame);
							else resolve({ times: times.slice(0, -60), jobs: document.querySelector('#jobs-count').textContent });
						};
						requestAnimationFrame(frame);
					}),
				step,
			);
		await down(4000); // reads all pages of the list
		return down(400);
	});

/** The server, but that its stream of events is ours. */
function proxy(jobs) {
	const far = new URL(server);
	const state = { sent: 0 };
	const near = createServer((from, to) => {
		if (from.url !== '/api/events') {
			const on = request({ host: far.hostname, port: far.port, path: from.url, method: from.method, headers: from.headers }, (answer) => {
				to.writeHead(answer.statusCode, answer.headers);
				answer.pipe(to);
			});
			from.pipe(on);
			return;
		}
		to.writeHead(200, { 'Content-Type': 'text/event-stream' });
		const send = () => {
			while (state.sent < count) {
				const job = jobs[state.sent % jobs.length];
				job.status = 'processing';
				job.progress = { percent: (100 * state.sent) / count, stage: 'encoding', speed: 4, eta_seconds: 30 };
				job.updated_at = new Date(Date.parse('2030-01-01T00:00:00Z') + state.sent).toISOString();
				state.sent++;
				if (!to.write(`event: job\ndata: ${JSON.stringify(job)}\n\n`)) return to.once('drain', send);
				if (state.sent % 100 === 0) return setTimeout(send, 10);
			}
		};
		setTimeout(send, 2000);
	});
	return { near, state };
}

const updating = () =>
	withPage(async (page, cdp) => {
		const { jobs } = await (await fetch(`${server}/api/jobs?limit=30`)).json();
		const { near, state } = proxy(jobs);
		await new Promise((resolve) => near.listen(0, '127.0.0.1', resolve));
		try {
			await page.goto(`http://127.0.0.1:${near.address().port}/#/jobs`);
			await page.waitForSelector('#jobs-list .job-row');
			await cdp.send('Performance.enable');
			const looks = [];
			for (let i = 0; i < LOOKS; i++) {
				while (state.sent < (count * i) / (LOOKS - 1)) await new Promise((resolve) => setTimeout(resolve, 50));
				await cdp.send('HeapProfiler.collectGarbage');
				const { metrics } = await cdp.send('Performance.getMetrics');
				const value = (name) => metrics.find((each) => each.name === name).value;
				looks.push({ heap: value('JSHeapUsedSize') / 1e6, nodes: value('Nodes') });
			}
			return looks;
		} finally {
			near.closeAllConnections();
			near.close();
		}
	});

try {
	const first = [];
	for (let i = 0; i < RUNS; i++) first.push(await firstView());
	const { times, jobs } = await scrolling();
	const looks = await updating();
	console.log(JSON.stringify({ first, frames: times, jobs, heap: looks.map(({ heap }) => heap), nodes: looks.map(({ nodes }) => nodes) }));
} finally {
	await browser.close();
}
