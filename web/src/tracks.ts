// Which sound and which subtitles play: two menus, shown where there is a choice. They follow the player as it leads them. What is
// chosen can be read from the video element: data-sound and data-subtitles, the track's name ("" for no subtitles).
import type Hls from 'hls.js';
import type { HlsLibrary } from './hls';
import { byId, htmlById, show } from './dom';

const OFF = '-1';

interface Track {
	name: string;
}

function fill(select: HTMLSelectElement, first: HTMLOptionElement[], tracks: Track[]): void {
	select.replaceChildren(...first, ...tracks.map((track, index) => new Option(track.name, String(index))));
}

export class TrackMenus {
	private readonly video = byId('video', HTMLVideoElement);
	private readonly sound = byId('sound-track', HTMLSelectElement);
	private readonly subtitles = byId('subtitle-track', HTMLSelectElement);
	private hls: Hls | null = null;

	constructor() {
		this.sound.addEventListener('change', () => {
			if (this.hls) this.hls.audioTrack = Number(this.sound.value);
		});
		this.subtitles.addEventListener('change', () => {
			if (this.hls) this.hls.subtitleTrack = Number(this.subtitles.value);
		});
	}

	follow(hls: Hls, Events: HlsLibrary['Events']): void {
		this.hls = hls;
		hls.on(Events.AUDIO_TRACKS_UPDATED, () => this.fillSounds(hls));
		hls.on(Events.AUDIO_TRACK_SWITCHED, () => this.showSound(hls));
		hls.on(Events.SUBTITLE_TRACKS_UPDATED, () => this.fillSubtitles(hls));
		hls.on(Events.SUBTITLE_TRACK_SWITCH, () => this.showSubtitles(hls));
	}

	clear(): void {
		this.hls = null;
		for (const id of ['sound-track-box', 'subtitle-track-box']) show(htmlById(id), false);
		for (const name of ['sound', 'subtitles']) delete this.video.dataset[name];
	}

	private fillSounds(hls: Hls): void {
		fill(this.sound, [], hls.audioTracks);
		show(htmlById('sound-track-box'), hls.audioTracks.length > 1);
		this.showSound(hls);
	}

	private showSound(hls: Hls): void {
		const track = hls.audioTracks[hls.audioTrack];
		if (!track) return;
		this.sound.value = String(hls.audioTrack);
		this.video.dataset['sound'] = track.name;
	}

	private fillSubtitles(hls: Hls): void {
		fill(this.subtitles, [new Option('Off', OFF)], hls.subtitleTracks);
		show(htmlById('subtitle-track-box'), hls.subtitleTracks.length > 0);
		this.showSubtitles(hls);
	}

	private showSubtitles(hls: Hls): void {
		this.subtitles.value = String(hls.subtitleTrack);
		this.video.dataset['subtitles'] = hls.subtitleTracks[hls.subtitleTrack]?.name ?? '';
	}
}
