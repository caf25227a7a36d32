// Listens through the page, for tests/scenario/test_listen_page.py:
//
//   node hear.js PAGE_URL SECONDS [STREAM] [FOLDER]
//
// Listens to the STREAM of the list, or by the link that the address is, until so many seconds have sounded, and prints what the
// page shows then as JSON. With a FOLDER it leaves pictures of it there: desktop and phone, light and dark.
import { watch } from './drive.js'
import { chromium } from 'playwright-core'

const [address, seconds, stream, folder] = process.argv.slice(2)
const PATIENCE_MS = 60_000

const browser = await chromium.launch({
	executablePath: process.env.MILLRACE_CHROMIUM ?? '/usr/bin/chromium',
	args: ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--autoplay-policy=no-user-gesture-required'],
})
try {
	const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
	const troubles = watch(page)
	await page.goto(address)
	await page.waitForSelector('#listen:not([hidden])')
	if (stream) {
		await page.waitForSelector(`#listen-stream option[value="${stream}"]`, { state: 'attached' })
		await page.selectOption('#listen-stream', stream)
	}
	await page.click('#listen-start')
	await page.waitForSelector('#listen[data-state="playing"]', { timeout: PATIENCE_MS })
	const moved = await page.evaluate(([wanted, patience]) => new Promise((resolve) => {
		const audio = document.querySelector('#listen-audio')
		const from = audio.currentTime, began = performance.now()
		let level = 0
		const timer = setInterval(() => {
			level = Math.max(level, Number(document.querySelector('#listen-level').getAttribute('aria-valuenow')))
			if (audio.currentTime - from < wanted && performance.now() - began < patience) return
			clearInterval(timer)
			resolve({ seconds: audio.currentTime - from, level })
		}, 100)
	}), [Number(seconds), PATIENCE_MS])
	for (const colorScheme of folder ? ['light', 'dark'] : []) {
		await page.emulateMedia({ colorScheme })
		for (const [name, width, height] of [['desktop', 1280, 900], ['phone', 390, 844]]) {
			await page.setViewportSize({ width, height })
			await page.locator('#listen').scrollIntoViewIfNeeded()
			await page.screenshot({ path: `${folder}/listen-${name}-${colorScheme}.png`, fullPage: true })
		}
	}
	const text = (id) => page.textContent(`#${id}`)
	console.log(JSON.stringify({
		...moved, troubles,
		behind: parseFloat(await text('listen-behind')),
		name: await text('listen-name'),
		reconnects: Number(await text('listen-reconnects')),
		state: await page.getAttribute('#listen', 'data-state'),
	}))
} finally {
	await browser.close()
}
