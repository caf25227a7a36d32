// Firefox by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), as little of it as the smoke test needs: Debian's own, which
// Playwright doesn't drive.
//
//     const firefox = await Firefox.launch();
//     const page = await firefox.open('http://127.0.0.1:8080/');
//     await page.until('the gate', () => document.querySelector('#gate') !== null);
//     await page.setFiles('#file', ['/tmp/film.mp4']);
//     await firefox.close();
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';

const PATIENCE_MS = 120_000;
/** Nothing of its own: no first page, no reports, no updates; sound without a gesture, since nobody clicks. */
const PREFERENCES = {
	'app.normandy.enabled': false,
	'app.update.disabledForTesting': true,
	'browser.aboutwelcome.enabled': false,
	'browser.shell.checkDefaultBrowser': false,
	'browser.startup.page': 0,
	'datareporting.policy.dataSubmissionEnabled': false,
	'media.autoplay.default': 0,
	'remote.prefs.recommended': true,
	'toolkit.telemetry.enabled': false,
};

export class Firefox {
	#process;
	#profile;
	#socket;
	#next = 1;
	#waiting = new Map();
	/** Errors of the console, and exceptions. */
	troubles = [];

	static async launch() {
		const firefox = new Firefox();
		await firefox.#start();
		return firefox;
	}

	async #start() {
		this.#profile = await mkdtemp(join(tmpdir(), 'millrace-firefox-'));
		const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
		await writeFile(join(this.#profile, 'user.js'), lines.join('\n'));
		const program = process.env.MILLRACE_FIREFOX ?? '/usr/bin/firefox-esr';
		const options = ['--headless', '--no-remote', '--profile', this.#profile, '--remote-debugging-port', '0'];
		this.#process = spawn(program, options, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: '1' } });
		const address = await new Promise((resolve, reject) => {
			let said = '';
			this.#process.stderr.on('data', (data) => {
				said += data;
				const found = /WebDriver BiDi listening on (ws:\S+)/.exec(said);
				if (found) resolve(found[1]);
			});
			this.#process.on('exit', () => reject(new Error(`Firefox ended: ${said.slice(-2000)}`)));
		});
		this.#socket = new WebSocket(`${address}/session`);
		await new Promise((resolve, reject) => this.#socket.once('open', resolve).once('error', reject));
		this.#socket.on('message', (data) => this.#hear(JSON.parse(data)));
		await this.send('session.new', { capabilities: {} });
		await this.send('session.subscribe', { events: ['log.entryAdded'] });
	}

	#hear({ id, type, method, result, error, message, params }) {
		if (method === 'log.entryAdded' && params.level === 'error') this.troubles.push(params.text);
		const waiting = this.#waiting.get(id);
		if (!waiting) return;
		this.#waiting.delete(id);
		if (type === 'error') waiting.reject(new Error(`${error}: ${message}`));
		else waiting.resolve(result);
	}

	send(method, params) {
		const id = this.#next++;
		return new Promise((resolve, reject) => {
			this.#waiting.set(id, { resolve, reject });
			this.#socket.send(JSON.stringify({ id, method, params }));
		});
	}

	async open(url) {
		const { context } = await this.send('browsingContext.create', { type: 'tab' });
		await this.send('browsingContext.navigate', { context, url, wait: 'complete' });
		return new Page(this, context);
	}

	async close() {
		await Promise.race([this.send('browser.close', {}).catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 5000))]);
		this.#socket.terminate();
		if (this.#process.exitCode === null) {
			const ended = new Promise((resolve) => this.#process.once('exit', resolve));
			this.#process.kill();
			await ended;
		}
		await rm(this.#profile, { recursive: true, force: true });
	}
}

class Page {
	constructor(firefox, context) {
		this.firefox = firefox;
		this.context = context;
	}

	async #call(run, values, how = {}) {
		const { result, exceptionDetails } = await this.firefox.send('script.callFunction', {
			functionDeclaration: String(run),
			arguments: values.map((value) => ({ type: typeof value, value })),
			target: { context: this.context },
			awaitPromise: true,
			...how,
		});
		if (exceptionDetails) throw new Error(exceptionDetails.text);
		return result;
	}

	/** Runs a function in the page, with strings and numbers for arguments; its value is a string, number, boolean or nothing. */
	async evaluate(run, ...values) {
		return (await this.#call(run, values, { userActivation: true })).value;
	}

	/** Asks in the page, again and again, until it is so. */
	async until(what, check, ...values) {
		const end = Date.now() + PATIENCE_MS;
		for (;;) {
			const found = await this.evaluate(check, ...values);
			if (found) return found;
			if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	}

	async setFiles(selector, files) {
		const { sharedId } = await this.#call((wanted) => document.querySelector(wanted), [selector]);
		await this.firefox.send('input.setFiles', { context: this.context, element: { sharedId }, files });
	}
}
