// The page's frame: sign-in if asked for, then views by address: "#/" (upload), "#/jobs/ID" (one job), "#/live" (speak and listen),
// "#/listen?url=…" (listen by a signed link, signed in or not).
import { ApiError } from './api';
import { htmlById, setText, show } from './dom';
import { JobView } from './job-view';
import { Listen } from './listen';
import { Live } from './live';
import { Narrate } from './narrate';
import { Recent } from './recent';
import { SignIn } from './session';
import { Upload } from './upload';

const recent = new Recent();
const jobView = new JobView({
	changed: () => void recent.refresh(),
	deleted: () => go('#/'),
	missing: () => {
		show(htmlById('missing'), true);
		void recent.refresh();
	},
});
new Upload((job) => {
	const watching = !htmlById('intake').hidden;
	if (watching) go(`#/jobs/${job.job_id}`);
	else void recent.refresh();
});
const live = new Live();
const listen = new Listen();
const narrate = new Narrate((job) => go(`#/jobs/${job.job_id}`));
const signIn = new SignIn(route, leave);

function go(hash: string): void {
	if (location.hash === hash) route();
	else location.hash = hash;
}

function leave(): void {
	jobView.close();
	recent.stop();
	live.visible = false;
	listen.close();
	for (const id of ['intake', 'narrate', 'missing', 'recent', 'new-upload', 'to-live']) show(htmlById(id), false);
}

function route(): void {
	const jobId = /^#\/jobs\/([\w-]+)$/.exec(location.hash)?.[1] ?? '';
	show(htmlById('missing'), false);
	const speaking = location.hash === '#/live';
	live.visible = speaking;
	if (speaking) listen.open('');
	else listen.close();
	show(htmlById('intake'), !jobId && !speaking);
	show(htmlById('narrate'), !jobId && !speaking);
	if (!jobId && !speaking) void narrate.open();
	show(htmlById('new-upload'), Boolean(jobId) || speaking);
	show(htmlById('to-live'), !speaking);
	show(htmlById('recent'), true);
	recent.setCurrent(jobId);
	void recent.refresh();
	if (jobId) {
		jobView.open(jobId);
	} else {
		jobView.close();
		document.title = 'Millrace';
	}
}

/** The signed address of a link to listen by, or ''. */
function linked(): string {
	return new URLSearchParams(/^#\/listen\?(.*)$/.exec(location.hash)?.[1] ?? '').get('url') ?? '';
}

async function start(): Promise<void> {
	const problem = htmlById('page-error');
	if (linked()) {
		listen.open(linked());
		window.addEventListener('hashchange', () => location.reload());
		return;
	}
	try {
		const ready = await signIn.check();
		show(problem, false);
		window.addEventListener('hashchange', () => {
			if (!htmlById('sign-in').hidden) return;
			route();
			window.scrollTo(0, 0);
			htmlById('main').focus({ preventScroll: true });
		});
		if (ready) route();
	} catch (error) {
		setText(problem, error instanceof ApiError ? error.message : String(error));
		show(problem, true);
		window.setTimeout(() => void start(), 3000);
	}
}

void start();
