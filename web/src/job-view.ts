// One job's view: its player, its progress (which never goes back), and what can be done with it.
import { ApiError, api, isActive, type FileRecord, type Job } from './api';
import { Convert } from './convert';
import { announce, byId, confirmAction, htmlById, setProgress, setText, show } from './dom';
import { facts } from './facts';
import * as format from './format';
import { JobFeed, type FeedState } from './job-feed';
import { Mp3 } from './mp3';
import { Player } from './player';

const connectionTexts: Record<FeedState, string> = {
	live: '',
	polling: 'Live updates are not available; asking every second instead.',
	offline: 'The server does not answer. Trying again…',
};

/** By-products are made when no job has anything to do: asked for again, ever more rarely. */
const ANALYSIS_FIRST_MS = 1500;
const ANALYSIS_LAST_MS = 60_000;

export interface JobViewHooks {
	changed(job: Job): void;
	deleted(jobId: string): void;
	missing(): void;
}

export class JobView {
	private readonly section = htmlById('job');
	private readonly race = htmlById('race');
	private readonly retryButton = byId('job-retry', HTMLButtonElement);
	private readonly cancelButton = byId('job-cancel', HTMLButtonElement);
	private readonly deleteButton = byId('job-delete', HTMLButtonElement);
	private readonly copyButton = byId('copy-link', HTMLButtonElement);
	private readonly player: Player;
	private readonly convert = new Convert();
	private readonly mp3 = new Mp3();
	private feed: JobFeed | null = null;
	private jobId = '';
	private job: Job | null = null;
	private file: FileRecord | null = null;
	private percent = 0;
	private segments = 0;
	private analysisTimer = 0;
	/** Called when the job is shown, or turns out not to be there. */
	private stands: () => void = () => undefined;

	constructor(private readonly hooks: JobViewHooks) {
		this.player = new Player({ freshUrl: async () => (await api.getJob(this.jobId)).streaming?.playlist_url ?? null });
		this.retryButton.addEventListener('click', () => void this.retry());
		this.cancelButton.addEventListener('click', () => void this.cancel());
		this.deleteButton.addEventListener('click', () => void this.remove());
		this.copyButton.addEventListener('click', () => void this.copyLink());
	}

	/** Resolves when there is something to see. */
	open(jobId: string): Promise<void> {
		if (this.jobId === jobId && this.feed) return Promise.resolve();
		this.close();
		this.jobId = jobId;
		setText(htmlById('job-title'), 'Opening…');
		setText(htmlById('job-facts'), '');
		setText(htmlById('job-badge'), '');
		setProgress(this.race, 0, '');
		const standing = new Promise<void>((resolve) => (this.stands = resolve));
		this.follow();
		return standing;
	}

	close(): void {
		this.feed?.stop();
		this.feed = null;
		window.clearTimeout(this.analysisTimer);
		this.player.detach();
		this.convert.offer('');
		this.mp3.offer(null);
		this.jobId = '';
		this.job = null;
		this.file = null;
		this.percent = 0;
		this.segments = 0;
		show(this.section, false);
	}

	private follow(): void {
		this.feed?.stop();
		this.feed = new JobFeed(this.jobId, {
			job: (job) => this.update(job),
			segment: (index) => this.sawSegment(index),
			state: (state) => setText(htmlById('job-connection'), connectionTexts[state]),
			gone: () => {
				this.close();
				this.hooks.missing();
				this.stands();
			},
		});
		this.feed.start();
	}

	private update(job: Job): void {
		const before = this.job;
		this.job = job;
		this.percent = job.status === 'completed' ? 100 : Math.max(this.percent, Math.min(100, job.progress.percent));
		this.segments = Math.max(this.segments, job.streaming?.segments_completed ?? 0);
		this.section.dataset['status'] = job.status;
		document.title = `${format.jobName(job)} – Millrace`;
		setText(htmlById('job-title'), format.jobName(job));
		if (!isActive(job.status)) setText(htmlById('job-connection'), '');
		this.drawProgress(job);
		this.drawError(job);
		this.drawActions(job);
		this.mp3.offer(job);
		this.feedPlayer(job, before !== null && isActive(before.status));
		if (before?.status !== job.status) {
			announce(`${format.jobName(job)}: ${format.statusName(job.status)}`);
			this.hooks.changed(job);
		}
		if (before === null) void this.show(job);
	}

	/** With what is known of its file, so that nothing that stands moves. */
	private async show(job: Job): Promise<void> {
		if (job.file_id && job.kind !== 'narration') await this.loadFile(job.file_id);
		if (job.job_id !== this.jobId) return;
		show(this.section, true);
		this.stands();
	}

	private drawProgress(job: Job): void {
		const badge = htmlById('job-badge');
		badge.dataset['status'] = job.status;
		setText(badge, format.statusName(job.status));
		const running = job.status === 'processing' || job.status === 'streaming';
		const { speed, eta_seconds: eta } = job.progress;
		const shown = `${Math.floor(this.percent)} %`;
		setProgress(this.race, this.percent, `${shown}, ${format.stage(job)}`);
		this.race.classList.toggle('running', running);
		setText(htmlById('job-percent'), shown);
		setText(htmlById('job-stage'), format.stage(job));
		setText(htmlById('job-speed'), speed ? `${speed.toFixed(1)}×` : '–');
		setText(htmlById('job-eta'), running && eta !== null ? format.remaining(eta) : '–');
		setText(htmlById('job-created'), format.ago(job.created_at, Date.now()));
		this.drawSegments();
	}

	private drawSegments(): void {
		const total = this.job?.streaming?.segments_total ?? null;
		setText(htmlById('job-segments'), total === null ? String(this.segments || '–') : `${Math.min(this.segments, total)} of ${total}`);
		// A board in the channel for each segment, as long as they can be told apart.
		const boards = total !== null && total <= 80 ? total : 0;
		this.race.classList.toggle('boards', boards > 1);
		this.race.style.setProperty('--boards', String(Math.max(1, boards)));
	}

	private sawSegment(index: number): void {
		this.segments = Math.max(this.segments, index + 1);
		this.drawSegments();
	}

	private drawError(job: Job): void {
		const error = job.error;
		show(htmlById('job-error'), error !== null);
		if (!error) return;
		setText(htmlById('job-error-text'), error.message ?? 'The job failed without saying why.');
		setText(htmlById('job-error-code'), format.errorReference(error));
	}

	private drawActions(job: Job): void {
		const active = isActive(job.status);
		show(this.retryButton, job.status === 'failed');
		show(this.cancelButton, active);
		show(this.deleteButton, !active);
		this.section.classList.toggle('file-only', job.kind === 'convert');
		const link = byId('job-file', HTMLAnchorElement);
		show(link, job.kind === 'convert' && job.status === 'completed' && job.download?.available !== false);
		link.href = api.filePath(job.job_id);
		setText(link, `Download (${format.bytes(job.result?.bytes ?? 0)})`);
		show(this.copyButton, Boolean(job.streaming?.playlist_url) && navigator.clipboard !== undefined);
	}

	/** Who saw the job at work wants to watch; who opens a finished one may want to look around first. */
	private feedPlayer(job: Job, wasActive: boolean): void {
		const url = job.streaming?.playlist_url;
		const active = isActive(job.status);
		this.player.setGrowing(active);
		if (url && !this.player.isAttached) this.player.attach(job.job_id, url, active || wasActive);
		if (!url && !active) this.player.detach();
		this.drawPictures(job);
		const cover: Partial<Record<Job['status'], string>> = {
			pending: 'In the queue',
			failed: 'Nothing to play',
			canceled: 'Canceled before it could play',
		};
		setText(htmlById('player-cover-text'), url ? 'Opening the stream' : (cover[job.status] ?? 'Waiting for the first segment'));
		htmlById('player-cover').classList.toggle('turning', job.status === 'processing' || Boolean(url));
	}

	/** By-products show what the source shows, so they fit a stream of all of it. */
	private drawPictures(job: Job): void {
		const analysis = this.file?.analysis;
		this.player.setPictures({
			storyboardUrl: analysis?.storyboard_url ?? null,
			waveformUrl: analysis?.waveform_url ?? null,
			duration: job.duration ?? 0,
		});
	}

	private async loadFile(fileId: string): Promise<void> {
		const jobId = this.jobId;
		const file = await api.getFile(fileId).catch(() => null);
		if (!file || jobId !== this.jobId) return;
		this.file = file;
		if (this.job) this.drawPictures(this.job);
		this.awaitAnalysis(file, ANALYSIS_FIRST_MS);
		this.convert.offer(file.probe?.streams?.some((stream) => stream.kind === 'audio') ? fileId : '');
		setText(htmlById('job-facts'), facts(file).join('  ·  '));
	}

	private awaitAnalysis(file: FileRecord, delayMs: number): void {
		if (file.analysis?.status !== 'pending') return;
		const jobId = this.jobId;
		this.analysisTimer = window.setTimeout(async () => {
			const now = await api.getFile(file.file_id).catch(() => file);
			if (jobId !== this.jobId) return;
			this.file = now;
			if (this.job) this.drawPictures(this.job);
			this.awaitAnalysis(now, Math.min(2 * delayMs, ANALYSIS_LAST_MS));
		}, delayMs);
	}

	private async act(button: HTMLButtonElement, what: () => Promise<unknown>): Promise<boolean> {
		button.disabled = true;
		try {
			await what();
			return true;
		} catch (error) {
			const body = error instanceof ApiError ? error : new ApiError(0, {});
			setText(htmlById('job-error-text'), body.message);
			setText(htmlById('job-error-code'), format.errorReference(body));
			show(htmlById('job-error'), true);
			return false;
		} finally {
			button.disabled = false;
		}
	}

	private async retry(): Promise<void> {
		if (await this.act(this.retryButton, () => api.retryJob(this.jobId))) this.follow();
	}

	private async cancel(): Promise<void> {
		const sure = await confirmAction('Cancel this job?', 'What has been made so far stops growing.', 'Cancel the job');
		if (sure && (await this.act(this.cancelButton, () => api.deleteJob(this.jobId)))) this.follow();
	}

	private async remove(): Promise<void> {
		const sure = await confirmAction('Delete this job?', 'Its stream is removed, and its link stops working.', 'Delete');
		const jobId = this.jobId;
		if (sure && (await this.act(this.deleteButton, () => api.deleteJob(jobId)))) this.hooks.deleted(jobId);
	}

	private async copyLink(): Promise<void> {
		const url = this.job?.streaming?.playlist_url;
		if (!url) return;
		const done = await navigator.clipboard.writeText(new URL(url, location.href).href).then(
			() => true,
			() => false,
		);
		setText(this.copyButton, done ? 'Copied' : 'Copying was refused');
		announce(done ? 'Stream link copied' : 'Copying was refused');
		window.setTimeout(() => setText(this.copyButton, 'Copy stream link'), 2000);
	}
}
