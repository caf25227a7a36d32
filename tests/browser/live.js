// Speaks through the page with a file as microphone, for tests/scenario/test_live_page.py:
//
//   node live.js SERVER SESSION WAV SECONDS json|binary
//
// Speaks for so long, and until there is a line on standard input; stops, and prints what the page says then as JSON. `recording` is
// what its recorder made, in base64.
import { watch } from './drive.js'
import { chromium } from 'playwright-core'

const [server, session, wav, seconds, chunks] = process.argv.slice(2)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const told = new Promise((resolve) => process.stdin.once('data', resolve))

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
	const sent = { text: 0, binary: 0 }
	page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => {
		if (typeof payload !== 'string') sent.binary += 1
		else if (payload.includes('audioChunk')) sent.text += 1
	}))
	await page.addInitScript(() => {
		const start = MediaRecorder.prototype.start
		window.blobs = []
		MediaRecorder.prototype.start = function (...how) {
			this.addEventListener('dataavailable', (event) => window.blobs.push(event.data))
			return start.apply(this, how)
		}
	})
	await page.goto(`${server}/?chunks=${chunks}#/live`)
	await page.waitForSelector('#live:not([hidden])')
	await page.fill('#live-session', session)
	await page.click('#live-start')
	await page.waitForSelector('#live[data-state="live"]')
	await pause(Number(seconds) * 1000)
	await told
	const level = Number(await page.getAttribute('#live-level', 'aria-valuenow'))
	await page.click('#live-stop')
	await page.waitForSelector('#live[data-state="done"]')
	const text = (id) => page.textContent(`#${id}`)
	const recording = await page.evaluate(async () => {
		const bytes = new Uint8Array(await new Blob(window.blobs).arrayBuffer())
		return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
	})
	console.log(JSON.stringify({
		level, troubles, sent, recording,
		fragments: Number(await text('live-fragments')),
		waiting: Number(await text('live-waiting')),
		reconnects: Number(await text('live-reconnects')),
		stream: await text('live-stream'),
	}))
} finally {
	await browser.close()
	process.stdin.destroy()
}
