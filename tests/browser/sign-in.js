// Signs in at a provider through the page, for tests/scenario/test_page_sign_in.py:
//
//   node sign-in.js SERVER
//
// Goes to the page at some view, signs in, and prints as JSON where that led, who one is then, the policy, and what was said the
// second time, when the way back is one that this page didn't begin.
import { launch } from './drive.js';

const [server] = process.argv.slice(2);
const browser = await launch();
try {
	const context = await browser.newContext();
	const page = await context.newPage();
	page.setDefaultTimeout(60_000);
	const refused = [];
	page.on('console', (message) => message.type() === 'error' && /Content.Security/i.test(message.text()) && refused.push(message.text()));
	const answer = await page.goto(`${server}/#/jobs`);
	await page.waitForSelector('#sign-in-away:visible');
	const pasting = await page.isVisible('#token');
	await page.click('#sign-in-away');
	await page.waitForSelector('#jobs:visible');
	const said = { url: page.url(), who: await page.textContent('#who'), pasting, refused, policy: answer.headers()['content-security-policy'] };
	const kept = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]));

	await page.click('#sign-out');
	await page.waitForSelector('#sign-in-away:visible');
	await page.evaluate(() => sessionStorage.setItem('millrace.sign-in', JSON.stringify({ state: 'mine', nonce: 'n', verifier: 'v', hash: '' })));
	await page.goto(`${server}/?code=stolen&state=another`);
	await page.waitForSelector('#sign-in-error:not(:empty)');
	console.log(JSON.stringify({ ...said, kept, forged: await page.textContent('#sign-in-error'), after: page.url() }));
} finally {
	await browser.close();
}
