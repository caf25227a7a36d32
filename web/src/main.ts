// The page's frame: sign-in if asked for, then views by address:
//   #/            files: sending them, and those that are there      #/files/ID   one file, and what can be made of it
//   #/narrate     a script over music                                #/jobs       all jobs; #/jobs/ID: one, with its player
//   #/monitor     how the installation does
//   #/live        speak and listen                                   #/listen?url=…  listen by a signed link, signed in or not
import { AllJobs } from './all-jobs';
import { ApiError } from './api';
import { htmlById, setText, show } from './dom';
import { FileView } from './file-view';
import { loadHls } from './hls';
import { Intake } from './intake';
import { JobList, RecentJobs } from './job-list';
import { JobView } from './job-view';
import { Library } from './library';
import { Listen } from './listen';
import { Live } from './live';
import { Monitor } from './monitor';
import { Narrate } from './narrate';
import { SignIn } from './session';
import { Uploads } from './uploads';

interface View {
	/** Of the address; its first group is handed to open. */
	path: RegExp;
	/** In the navigation. */
	tab: string;
	title: string;
	/** Resolves when it stands: what is below it appears then, so that nothing moves. */
	open(argument: string): void | Promise<void>;
	close(): void;
	/** Whether the newest jobs stand below it. */
	recent: boolean;
}

/** The player is fetched so long after a view stands. */
const PLAYER_AFTER_MS = 500;

const jobs = new AllJobs();
const recent = new RecentJobs(jobs);
const jobList = new JobList(jobs);
const openJob = (id: string): void => go(`#/jobs/${id}`);
const jobView = new JobView({
	changed: (job) => jobs.take(job),
	deleted: () => go('#/jobs'),
	missing: () => sayMissing('job'),
});
const library = new Library();
const fileView = new FileView({
	made: (job) => openJob(job.job_id),
	deleted: () => go('#/'),
	missing: () => sayMissing('file'),
});
const intake = new Intake((files, then) => uploads.add(files, then));
const uploads = new Uploads(() => intake.choose(), {
	arrived: (job, alone) => {
		const watching = !htmlById('intake').hidden;
		if (job) jobs.take(job);
		if (job && alone && watching) openJob(job.job_id);
		else if (watching) void library.refresh();
	},
	level: (percent) => intake.setLevel(percent),
});
const live = new Live();
const listen = new Listen();
const narrate = new Narrate((job) => openJob(job.job_id));
const monitor = new Monitor();
const signIn = new SignIn(enter, leave);

const files: View = {
	path: /^#?\/?$/,
	tab: 'files',
	title: 'Millrace',
	recent: true,
	open: () => {
		show(htmlById('intake'), true);
		return library.open();
	},
	close: () => {
		show(htmlById('intake'), false);
		library.close();
	},
};
const views: View[] = [
	files,
	{ path: /^#\/files\/([\w-]+)$/, tab: 'files', title: 'Millrace', recent: false, open: (id) => fileView.open(id), close: () => fileView.close() },
	{ path: /^#\/narrate$/, tab: 'narrate', title: 'Narrate – Millrace', recent: true, open: () => narrate.open(), close: () => narrate.close() },
	{ path: /^#\/jobs$/, tab: 'jobs', title: 'Jobs – Millrace', recent: false, open: () => jobList.open(), close: () => jobList.close() },
	{
		path: /^#\/monitor$/,
		tab: 'monitor',
		title: 'Monitor – Millrace',
		recent: false,
		open: () => monitor.open(),
		close: () => monitor.close(),
	},
	{ path: /^#\/jobs\/([\w-]+)$/, tab: 'jobs', title: 'Millrace', recent: true, open: (id) => jobView.open(id), close: () => jobView.close() },
	{
		path: /^#\/live$/,
		tab: 'live',
		title: 'Live – Millrace',
		recent: false,
		open: () => {
			live.visible = true;
			listen.open('');
		},
		close: () => {
			live.visible = false;
			listen.close();
		},
	},
];
let current: View | null = null;

function sayMissing(what: string): void {
	setText(htmlById('missing-title'), `There is no such ${what}`);
	show(htmlById('missing'), true);
}

function go(hash: string): void {
	if (location.hash === hash) route();
	else location.hash = hash;
}

/** Somebody is signed in, or nobody needs to be. */
function enter(): void {
	show(htmlById('nav'), true);
	jobs.start();
	route();
	void uploads.restore();
}

function leave(): void {
	current?.close();
	current = null;
	jobs.stop();
	for (const id of ['nav', 'missing', 'recent']) show(htmlById(id), false);
}

function route(): void {
	const view = views.find(({ path }) => path.test(location.hash)) ?? files;
	const argument = view.path.exec(location.hash)?.[1] ?? '';
	show(htmlById('missing'), false);
	if (current !== view) current?.close();
	current = view;
	for (const link of htmlById('nav').querySelectorAll('a')) {
		if (link.dataset['tab'] === view.tab) link.setAttribute('aria-current', 'page');
		else link.removeAttribute('aria-current');
	}
	document.title = view.title;
	const address = location.hash;
	show(htmlById('recent'), false);
	void Promise.resolve(view.open(argument)).then(() => {
		window.setTimeout(() => void loadHls().catch(() => undefined), PLAYER_AFTER_MS);
		if (current !== view || location.hash !== address) return;
		show(htmlById('recent'), view.recent);
		recent.setCurrent(argument);
	});
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
		if (ready) enter();
	} catch (error) {
		setText(problem, error instanceof ApiError ? error.message : String(error));
		show(problem, true);
		window.setTimeout(() => void start(), 3000);
	}
}

void start();
