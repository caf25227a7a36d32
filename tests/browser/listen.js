// One listener of a job, in a browser: opens its page, plays it to the end and says what that was like, as JSON.
//
//     node listen.js http://127.0.0.1:8080 JOB
//
// {"status": of the job when the first sound was heard, "played": seconds, "stalls": how often it ran dry, "troubles": […]}
import { launch, watch } from './drive.js';

const [url, job] = process.argv.slice(2);
const browser = await launch();
try {
	const page = await browser.newPage();
	const troubles = watch(page);
	await page.goto(`${url}/#/jobs/${job}`);
	await page.waitForSelector('#job[data-status="streaming"], #job[data-status="completed"]', { timeout: 60_000 });
	await page.click('body');
	const said = await page.$eval('#video', async (video) => {
		const ended = new Promise((resolve) => {
			video.addEventListener('ended', resolve, { once: true });
		});
		let status = '';
		let stalls = 0;
		const heard = new Promise((resolve) => {
			const check = () => {
				if (video.currentTime === 0) return;
				video.removeEventListener('timeupdate', check);
				status = document.querySelector('#job').dataset.status;
				video.addEventListener('waiting', () => {
					if (!video.ended && video.duration - video.currentTime > 0.5) stalls += 1;
				});
				resolve();
			};
			video.addEventListener('timeupdate', check);
		});
		await video.play();
		await heard;
		await ended;
		return { status, stalls, played: video.currentTime };
	});
	console.log(JSON.stringify({ ...said, troubles }));
} finally {
	await browser.close();
}
