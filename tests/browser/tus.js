// Uploads a file with tus-js-client as an application would, for tests/scenario/test_resumable.py:
//
//   node tus.js SERVER/api/uploads FILE [--chunk BYTES] [--resume URL] [--pause-at BYTES] [--abort-at BYTES]
//
// Prints a JSON line for each event (url, progress, paused, success, error). Retries with short delays, for ever shorter than
// the test's own limit. --pause-at stops and goes on; --abort-at terminates the upload (DELETE).
import { openSync, statSync, createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { Upload } from 'tus-js-client'

const [endpoint, path, ...rest] = process.argv.slice(2)
const option = (name) => {
	const at = rest.indexOf(name)
	return at < 0 ? undefined : rest[at + 1]
}
const say = (event, more = {}) => process.stdout.write(JSON.stringify({ event, ...more }) + '\n')
const pauseAt = Number(option('--pause-at') ?? Infinity)
const abortAt = Number(option('--abort-at') ?? Infinity)
let paused = false

openSync(path, 'r')
const upload = new Upload(createReadStream(path), {
	endpoint,
	uploadUrl: option('--resume'),
	uploadSize: statSync(path).size,
	chunkSize: Number(option('--chunk') ?? 4 * 1024 * 1024),
	retryDelays: Array(200).fill(100),
	metadata: { filename: basename(path), filetype: 'audio/wav' },
	onUploadUrlAvailable: () => say('url', { url: upload.url }),
	onProgress: async (sent, total) => {
		say('progress', { sent, total })
		if (sent >= abortAt) {
			await upload.abort(true)
			say('aborted')
		} else if (sent >= pauseAt && !paused) {
			paused = true
			await upload.abort()
			say('paused')
			setTimeout(() => upload.start(), 50)
		}
	},
	onSuccess: () => say('success', { url: upload.url }),
	onError: (error) => {
		say('error', { message: String(error), status: error.originalResponse?.getStatus() })
		process.exitCode = 1
	},
})
upload.start()
