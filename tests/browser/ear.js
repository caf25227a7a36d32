// Hears marks through the page, for bench/live.py, whose sound has a tone of 500 + 200 k Hz at 3 k + 1 seconds:
//
//   node ear.js PAGE_URL STREAM SECONDS
//
// Listens for so long from the first sound on, and prints which tones were heard when (milliseconds since 1970) and how far behind
// the speaker the page says it is, once a second: {"tones": [[k, at], …], "behind": [seconds, …]}
import { launch } from './drive.js'

const [address, stream, seconds] = process.argv.slice(2)
const PATIENCE_MS = 60_000
const FIRST_HZ = 500
const STEP_HZ = 200

const browser = await launch()
try {
	const page = await browser.newPage()
	// The page's own analyser hears what it plays; this one sees the same, quicker.
	await page.addInitScript(() => {
		const create = AudioContext.prototype.createMediaElementSource
		AudioContext.prototype.createMediaElementSource = function (element) {
			const source = create.call(this, element)
			window.ear = new AnalyserNode(this, { fftSize: 1024, smoothingTimeConstant: 0 })
			source.connect(window.ear)
			return source
		}
	})
	await page.goto(address)
	await page.waitForSelector(`#listen-stream option[value="${stream}"]`, { state: 'attached' })
	await page.selectOption('#listen-stream', stream)
	await page.click('#listen-start')
	await page.waitForSelector('#listen[data-state="playing"]', { timeout: PATIENCE_MS })
	const heard = await page.evaluate(([wanted, first, step]) => new Promise((resolve) => {
		const bins = new Float32Array(window.ear.frequencyBinCount)
		const hz = window.ear.context.sampleRate / window.ear.fftSize
		const tones = new Map(), behind = []
		const began = Date.now()
		const timer = setInterval(() => {
			const now = Date.now()
			window.ear.getFloatFrequencyData(bins)
			let peak = Math.floor((first - step) / hz)
			for (let i = peak; i < bins.length; i++) if (bins[i] > bins[peak]) peak = i
			const k = Math.round((peak * hz - first) / step)
			if (bins[peak] > -40 && !tones.has(k)) tones.set(k, now)
			if (now - began >= 1000 * (behind.length + 1)) {
				behind.push(parseFloat(document.querySelector('#listen-behind').textContent))
			}
			if (now - began < 1000 * wanted) return
			clearInterval(timer)
			resolve({ tones: [...tones], behind: behind.filter(Number.isFinite) })
		}, 10)
	}), [Number(seconds), FIRST_HZ, STEP_HZ])
	console.log(JSON.stringify(heard))
} finally {
	await browser.close()
}
