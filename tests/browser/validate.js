// Shows a stream to parsers that others wrote: hls-parser (strict), m3u8-parser, and mux.js for what the segments hold.
//
//     node validate.js [--ended] URL_OR_FOLDER_OR_PLAYLIST...
//
// Walks a multivariant playlist (a folder's is master.m3u8) and everything it names; a media playlist works, too. Prints a JSON
// summary of each in a line of its own; exits 1 if there is any complaint. --ended: a playlist without EXT-X-ENDLIST is one.
// It is a second opinion beside the project's own checker, not a replacement: it knows nothing of growth between versions.
import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);
const HLS = require('hls-parser');
const { Parser: M3u8Parser } = require('m3u8-parser');
const muxjs = require('mux.js');

HLS.setOptions({ strictMode: true });

const TS_CLOCK = 90000;
const TS_PACKET_BYTES = 188;
// Renditions may differ by an audio frame and a video frame at their ends.
const RENDITION_SKEW_S = 0.1;

const complaints = [];
const complain = (where, text) => complaints.push(`${where}: ${text}`);
/** An address without its signature, for people. */
const short = (url) => decodeURIComponent(url.pathname);

async function load(url, expectType) {
	if (url.protocol === 'file:') return new Uint8Array(await readFile(url));
	const response = await fetch(url);
	if (!response.ok) throw new Error(`HTTP ${response.status}`);
	const type = (response.headers.get('content-type') ?? '').split(';')[0];
	if (expectType && type !== expectType) complain(short(url), `content type ${type || '(none)'} where ${expectType} is due`);
	return new Uint8Array(await response.arrayBuffer());
}

async function loadPlaylist(url) {
	const bytes = await load(url, 'application/vnd.apple.mpegurl');
	const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
	const parser = new M3u8Parser();
	parser.on('warn', (event) => complain(short(url), `m3u8-parser: ${event.message}`));
	parser.push(text);
	parser.end();
	try {
		const playlist = HLS.parse(text);
		crossCheck(url, playlist, parser.manifest);
		return playlist;
	} catch (error) {
		complain(short(url), `hls-parser: ${error.message}`);
		return null;
	}
}

/** Two parsers must have understood the same. */
function crossCheck(url, playlist, manifest) {
	if (playlist.isMasterPlaylist) {
		const variants = playlist.variants.filter((variant) => !variant.isIFrameOnly).length;
		if (variants !== (manifest.playlists ?? []).length) complain(short(url), 'the parsers count different variants');
		return;
	}
	if (playlist.segments.length !== manifest.segments.length) complain(short(url), 'the parsers count different segments');
	if (playlist.targetDuration !== manifest.targetDuration) complain(short(url), 'the parsers read different target durations');
	if (playlist.endlist !== Boolean(manifest.endList)) complain(short(url), 'the parsers differ on the end of the list');
}

const child = (boxes, type) => (boxes ?? []).find((box) => box.type === type);

function readInit(bytes, where) {
	checkBoxes(bytes, where);
	const tracks = muxjs.mp4.probe.tracks(bytes);
	const mvex = child(child(muxjs.mp4.tools.inspect(bytes), 'moov')?.boxes, 'mvex');
	if (!tracks || tracks.length === 0) complain(where, 'mux.js finds no track in the init segment');
	if (!mvex) complain(where, 'the init segment has no mvex');
	const init = new Map();
	for (const track of tracks ?? []) {
		const trex = (mvex?.boxes ?? []).find((box) => box.type === 'trex' && box.trackId === track.id);
		if (!(track.timescale > 0)) complain(where, `track ${track.id} has no timescale`);
		init.set(track.id, { ...track, defaultDuration: trex?.defaultSampleDuration ?? 0, nextTick: null });
	}
	return init;
}

/** Duration of one fragment's track in ticks, and whether it begins with a sync sample. */
function readTraf(traf, track) {
	const tfhd = child(traf.boxes, 'tfhd');
	const runs = traf.boxes.filter((box) => box.type === 'trun');
	const samples = runs.flatMap((run) => run.samples);
	const fallback = tfhd.defaultSampleDuration ?? track.defaultDuration;
	const ticks = samples.reduce((sum, sample) => sum + (sample.duration ?? fallback), 0);
	const flags = samples[0]?.flags;
	const sync = flags ? !flags.isNonSyncSample : ((tfhd.defaultSampleFlags ?? 0) & 0x10000) === 0;
	return { ticks, sync, count: samples.length, longest: Math.max(0, ...samples.map((s) => s.duration ?? fallback)) };
}

/** The top-level boxes fill the file exactly, so nothing is cut off. */
function checkBoxes(bytes, where) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	let at = 0;
	while (at + 8 <= bytes.length) {
		const small = view.getUint32(at);
		const size = small === 1 && at + 16 <= bytes.length ? Number(view.getBigUint64(at + 8)) : small;
		if (size < 8) break;
		at += size;
	}
	if (at !== bytes.length) complain(where, `its boxes end at byte ${at} of ${bytes.length}`);
}

function readFragment(bytes, init, segment, where) {
	checkBoxes(bytes, where);
	const fragments = muxjs.mp4.tools.inspect(bytes).filter((box) => box.type === 'moof');
	if (fragments.length === 0) complain(where, 'no moof box');
	const spans = new Map();
	for (const moof of fragments) {
		for (const traf of moof.boxes.filter((box) => box.type === 'traf')) {
			const track = init.get(child(traf.boxes, 'tfhd')?.trackId);
			const tfdt = child(traf.boxes, 'tfdt');
			if (!track || !tfdt) {
				complain(where, track ? 'a track fragment without tfdt' : 'a track that the init segment does not have');
				continue;
			}
			const { ticks, sync, count, longest } = readTraf(traf, track);
			const start = Number(tfdt.baseMediaDecodeTime);
			if (count === 0) complain(where, 'a track fragment without samples');
			if (track.nextTick !== null && start !== track.nextTick) {
				complain(where, `track ${track.id} goes on at tick ${start}, but the samples before it end at ${track.nextTick}`);
			}
			if (!spans.has(track.id) && track.type === 'video' && !sync) complain(where, 'does not begin with a keyframe');
			track.nextTick = start + ticks;
			const span = spans.get(track.id) ?? { ticks: 0, longest: 0 };
			spans.set(track.id, { ticks: span.ticks + ticks, longest: Math.max(span.longest, longest) });
		}
	}
	for (const [id, span] of spans) {
		const { timescale } = init.get(id);
		const seconds = span.ticks / timescale;
		// EXTINF has six decimals; a track may end up to a frame earlier or later than its segment.
		if (Math.abs(seconds - segment.duration) > span.longest / timescale + 1e-5) {
			complain(where, `holds ${seconds.toFixed(4)} s of track ${id}, EXTINF says ${segment.duration}`);
		}
	}
	if (spans.size === 0) complain(where, 'mux.js finds no samples');
	return muxjs.mp4.probe.startTime(Object.fromEntries([...init].map(([id, t]) => [id, t.timescale])), bytes);
}

/** Continuity counters run on over segments (ISO 13818-1, 2.4.3.3: they count packets with a payload). */
function readContinuity(bytes, counters, where) {
	if (bytes.length % TS_PACKET_BYTES !== 0) complain(where, 'not a whole number of TS packets');
	for (let at = 0; at + TS_PACKET_BYTES <= bytes.length; at += TS_PACKET_BYTES) {
		if (bytes[at] !== 0x47) {
			complain(where, `no sync byte at ${at}`);
			return;
		}
		const pid = ((bytes[at + 1] & 0x1f) << 8) | bytes[at + 2];
		const hasPayload = (bytes[at + 3] & 0x10) !== 0;
		const counter = bytes[at + 3] & 0x0f;
		if (pid === 0x1fff || !hasPayload) continue;
		const expected = counters.has(pid) ? (counters.get(pid) + 1) & 0x0f : counter;
		if (counter !== expected) complain(where, `continuity counter of PID ${pid} is ${counter}, ${expected} is due`);
		counters.set(pid, counter);
	}
}

function readTs(bytes, state, segment, where) {
	readContinuity(bytes, state.counters, where);
	const found = muxjs.mp2t.tools.inspect(bytes, state.first === null ? undefined : state.first * TS_CLOCK);
	const track = found?.video ?? found?.audio;
	if (!track || track.length === 0) {
		complain(where, 'mux.js finds neither video nor audio');
		return null;
	}
	if (found.video && !found.firstKeyFrame && !found.video.some((frame) => frame.type === 'video')) complain(where, 'no video frame');
	const start = track[0].dtsTime;
	if (state.first === null) state.first = start;
	else if (Math.abs(start - state.first - state.sum) > 0.12) {
		complain(where, `starts at ${(start - state.first).toFixed(3)} s, the durations before it say ${state.sum.toFixed(3)} s`);
	}
	state.sum += segment.duration;
	return start;
}

const seconds = (text) => text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);

/** A WebVTT segment: its header, the map to the media's clock (RFC 8216, 3.5), and cues that are shown within the segment. */
function readVtt(bytes, state, segment, where) {
	const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
	const [head, ...blocks] = text.trimEnd().split('\n\n');
	const map = /^WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:(\d+),LOCAL:00:00:00\.000$/.exec(head.trimEnd());
	if (!map) complain(where, `no WebVTT header with a time stamp map: ${JSON.stringify(head)}`);
	state.map ??= map?.[1];
	if (map && map[1] !== state.map) complain(where, 'another time stamp map than before');
	for (const block of blocks) {
		const cue = /^(\d{2,}:\d\d:\d\d\.\d{3}) --> (\d{2,}:\d\d:\d\d\.\d{3})\n(.+)/.exec(block);
		if (!cue) complain(where, `no cue: ${JSON.stringify(block)}`);
		else if (!(seconds(cue[1]) < seconds(cue[2]))) complain(where, `it ends before it begins: ${cue[0]}`);
		else if (seconds(cue[2]) <= state.sum || seconds(cue[1]) >= state.sum + segment.duration) complain(where, `a cue of another segment: ${cue[0]}`);
	}
	state.sum += segment.duration;
	return 0;
}

async function checkMedia(url, playlist, options) {
	const row = { uri: short(url), segments: playlist.segments.length, ended: playlist.endlist, type: playlist.playlistType ?? null };
	row.duration = Number(playlist.segments.reduce((sum, segment) => sum + segment.duration, 0).toFixed(6));
	if (options.ended && !playlist.endlist) complain(row.uri, 'has no EXT-X-ENDLIST');
	if (playlist.segments.length === 0) complain(row.uri, 'is empty');
	const ts = { counters: new Map(), first: null, sum: 0 };
	let init = null;
	let initUri = '';
	row.bytes = 0;
	for (const segment of playlist.segments) {
		const segmentUrl = new URL(segment.uri, url);
		const where = short(segmentUrl);
		try {
			// hls-parser carries a MAP on to the segments after it only by its presence on the first one.
			if (segment.map && segment.map.uri !== initUri) {
				initUri = segment.map.uri;
				const mapUrl = new URL(initUri, url);
				init = readInit(await load(mapUrl, null), short(mapUrl));
				row.container = 'fmp4';
				row.tracks = [...init.values()].map((track) => `${track.type} ${track.codec}`);
			}
			const bytes = await load(segmentUrl, null);
			row.bytes += bytes.length;
			if (!init) row.container = segmentUrl.pathname.endsWith('.vtt') ? 'vtt' : 'ts';
			const start = row.container === 'vtt' ? readVtt(bytes, ts, segment, where) : init ? readFragment(bytes, init, segment, where) : readTs(bytes, ts, segment, where);
			row.start ??= start;
		} catch (error) {
			complain(where, error.message);
		}
	}
	return row;
}

/** Each entry of a list of I-frames is a range that lies in its segment and begins what a decoder needs: moof, or PAT. */
async function checkIframes(url, playlist, options) {
	const row = { uri: short(url), iframes: playlist.segments.length, ended: playlist.endlist };
	row.duration = Number(playlist.segments.reduce((sum, segment) => sum + segment.duration, 0).toFixed(6));
	if (!playlist.isIFrame) complain(row.uri, 'is not I-frames only');
	if (options.ended && !playlist.endlist) complain(row.uri, 'has no EXT-X-ENDLIST');
	const objects = new Map();
	for (const segment of playlist.segments) {
		const segmentUrl = new URL(segment.uri, url);
		const { offset, length } = segment.byterange ?? {};
		if (!objects.has(segment.uri)) objects.set(segment.uri, await load(segmentUrl, null));
		const bytes = objects.get(segment.uri).subarray(offset, offset + length);
		const where = `${short(segmentUrl)} ${length}@${offset}`;
		if (!(length > 0) || bytes.length !== length) complain(where, 'is no range of its segment');
		else if (playlist.segments[0].map) {
			if (String.fromCharCode(...bytes.subarray(4, 8)) !== 'moof') complain(where, 'does not begin with a moof box');
		} else if (bytes[0] !== 0x47 || (((bytes[1] & 0x1f) << 8) | bytes[2]) !== 0 || length % TS_PACKET_BYTES !== 0) {
			complain(where, 'does not begin with a PAT, or is not whole packets');
		}
	}
	return row;
}

async function checkAll(root, options) {
	const summary = { root: short(root), variants: 0, playlists: [] };
	const top = await loadPlaylist(root);
	if (!top) return summary;
	if (!top.isMasterPlaylist) {
		summary.playlists.push(await checkMedia(root, top, options));
		return summary;
	}
	const variants = top.variants.filter((variant) => !variant.isIFrameOnly);
	summary.variants = variants.length;
	summary.iframes = [];
	const uris = new Set(variants.map((variant) => variant.uri));
	for (const variant of top.variants.filter((one) => one.isIFrameOnly)) {
		const url = new URL(variant.uri, root);
		try {
			const media = await loadPlaylist(url);
			if (media) summary.iframes.push(await checkIframes(url, media, options));
		} catch (error) {
			complain(short(url), error.message);
		}
	}
	for (const variant of variants) {
		if (!variant.codecs) complain(summary.root, `variant ${variant.uri} has no CODECS`);
		for (const rendition of [...(variant.audio ?? []), ...(variant.subtitles ?? [])]) if (rendition.uri) uris.add(rendition.uri);
	}
	for (const uri of uris) {
		const url = new URL(uri, root);
		try {
			const media = await loadPlaylist(url);
			if (media) summary.playlists.push(await checkMedia(url, media, options));
		} catch (error) {
			complain(short(url), error.message);
		}
	}
	const ended = summary.playlists.filter((row) => row.ended).map((row) => row.duration);
	if (ended.length > 1 && Math.max(...ended) - Math.min(...ended) > RENDITION_SKEW_S) {
		complain(summary.root, `renditions last ${ended.join(', ')} s`);
	}
	return summary;
}

async function rootUrl(argument) {
	if (/^https?:/.test(argument)) return new URL(argument);
	const path = resolve(argument);
	return pathToFileURL((await stat(path)).isDirectory() ? join(path, 'master.m3u8') : path);
}

const args = process.argv.slice(2);
const places = args.filter((arg) => !arg.startsWith('--'));
if (places.length === 0 || args.some((arg) => arg.startsWith('--') && arg !== '--ended')) {
	console.error('usage: node validate.js [--ended] URL_OR_FOLDER_OR_PLAYLIST...');
	process.exit(2);
}
let complained = false;
for (const place of places) {
	complaints.length = 0;
	let summary = { root: place };
	try {
		summary = await checkAll(await rootUrl(place), { ended: args.includes('--ended') });
	} catch (error) {
		complain(place, error.message);
	}
	console.log(JSON.stringify({ ...summary, complaints }));
	complained ||= complaints.length > 0;
}
process.exit(complained ? 1 : 0);
