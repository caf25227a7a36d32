// Speaks through the page with a file as microphone, for tests/scenario/test_live_page.py:
//
//   node live.js SERVER SESSION WAV SECONDS
//
// Speaks for so long, stops, and prints what the page says then as JSON.
import { watch } from './drive.js'
import { chromium } from 'playwright-core'

const [server, session, wav, seconds] = process.argv.slice(2)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const browser = await chromium.launch({
	executablePath: process.env.MILLRACE_CHROMIUM ?? '/usr/bin/chromium',
	args: [
		'--no-sandbox', '--disable-quic', '--disable-background-networking', '--autoplay-policy=no-user-gesture-required',
		'--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${wav}%noloop`,
	],
})
try {
	const context = await browser.newContext({ permissions: ['microphone'] })
	const page = await context.newPage()
	const troubles = watch(page)
	await page.goto(`${server}/#/live`)
	await page.waitForSelector('#live:not([hidden])')
	await page.fill('#live-session', session)
	await page.click('#live-start')
	await page.waitForSelector('#live[data-state="live"]')
	await pause(Number(seconds) * 1000)
	const level = Number(await page.getAttribute('#live-level', 'aria-valuenow'))
	await page.click('#live-stop')
	await page.waitForSelector('#live[data-state="done"]')
	const text = (id) => page.textContent(`#${id}`)
	console.log(JSON.stringify({
		level, troubles,
		fragments: Number(await text('live-fragments')),
		waiting: Number(await text('live-waiting')),
		reconnects: Number(await text('live-reconnects')),
		stream: await text('live-stream'),
	}))
} finally {
	await browser.close()
}
