/* The probe: what a file holds, whether it can be decoded, how long it is, and whether chunks may seek in it. Runs in the task.
 *
 * A duration is taken from the index of a plain MP4, which lists every sample; of everything else the packets are counted up to
 * SCAN_LIKELY_MAX bytes, and beyond that wherever the header doesn't tell or can't be believed. Decoders of the best candidates
 * have to show a first picture or sound, so that a job fails here, in a second, and not in its first chunk.
 */
#include <libavutil/avstring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/input.h"
#include "media/probe_stream.h"
#include "media/probe_walk.h"
#include "media/subtitle_reader.h"
#include "media/video_look.h"

#define SCAN_LIKELY_MAX (64ull << 20)	  /* counted even though the header tells */
#define SCAN_UNCERTAIN_MAX (256ull << 20) /* counted if the header is doubtful or times may jump; without it always */
#define VIDEO_CANDIDATES_MAX 4		  /* streams whose decoder is tried */
#define AUDIO_CANDIDATES_MAX TASK_AUDIOS_MAX
#define BITS_PER_SECOND_MIN 100		  /* less than that over the whole file: the header lies */
#define NS_PER_SECOND 1000000000

struct probe {
	struct media_input *in;
	AVFormatContext *f;
	uint64_t size_bytes;
	bool plain_mp4; /* every sample is in the index, and in the file */
	struct probe_walk walk;
	struct probe_result r;
};

/* ---- what the container is ---- */

static bool format_is(const struct probe *p, const char *names)
{
	return av_match_list(p->f->iformat->name, names, ',');
}

/* An MP4 whose moov lists all samples, and whose samples lie within the file. A fragmented one has (nearly) none in its moov. */
static bool index_is_complete(const struct probe *p)
{
	if (!format_is(p, "mp4"))
		return false;
	for (unsigned i = 0; i < p->f->nb_streams; i++) {
		AVStream *st = p->f->streams[i];
		const enum AVMediaType type = st->codecpar->codec_type;
		if (type != AVMEDIA_TYPE_VIDEO && type != AVMEDIA_TYPE_AUDIO)
			continue;
		const int n = avformat_index_get_entries_count(st);
		if (st->disposition & AV_DISPOSITION_ATTACHED_PIC)
			continue;
		if (n <= 0 || st->nb_frames <= 0 || st->duration <= 0)
			return false;
		const AVIndexEntry *last = avformat_index_get_entry(st, n - 1);
		if (last->pos < 0 || last->size < 0 || (uint64_t)last->pos + (uint64_t)last->size > p->size_bytes)
			return false;
	}
	return true;
}

static bool header_is_believable(const struct probe *p)
{
	const int64_t us = p->f->duration;
	if (us <= 0 || p->f->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE)
		return false;
	return (double)p->size_bytes * 8 / ((double)us / AV_TIME_BASE) >= BITS_PER_SECOND_MIN;
}

static bool should_scan(const struct probe *p)
{
	if (p->plain_mp4 || media_input_forward(p->in))
		return false;
	if (p->f->duration <= 0 || format_is(p, "mp4"))
		return true;
	const bool may_jump = p->f->iformat->flags & AVFMT_TS_DISCONT;
	return p->size_bytes <= (header_is_believable(p) && !may_jump ? SCAN_LIKELY_MAX : SCAN_UNCERTAIN_MAX);
}

/* ---- streams ---- */

static bool is_candidate(const struct probe_stream *s, enum stream_kind kind)
{
	return s->kind == kind && !s->attached_picture;
}

/* Larger is better: the one that is marked, then the larger picture or the more channels, then the first. */
static uint64_t merit(const struct probe_stream *s)
{
	uint64_t size = s->kind == STREAM_VIDEO ? (uint64_t)s->width * s->height : s->channels;
	return (s->is_default ? 1ull << 48 : 0) + (size << 6) + (TASK_STREAMS_MAX - s->index);
}

/* The best stream of a kind below `below` in merit, or -1. */
static int32_t next_best(const struct probe_result *r, enum stream_kind kind, uint64_t below)
{
	int32_t best = -1;
	for (uint32_t i = 0; i < r->stream_count; i++)
		if (is_candidate(&r->streams[i], kind) && merit(&r->streams[i]) < below &&
		    (best < 0 || merit(&r->streams[i]) > merit(&r->streams[best])))
			best = (int32_t)i;
	return best;
}

static void try_candidates(struct probe *p, enum stream_kind kind, int max)
{
	uint64_t below = UINT64_MAX;
	for (int i = 0; i < max; i++) {
		const int32_t index = next_best(&p->r, kind, below);
		if (index < 0)
			return;
		below = merit(&p->r.streams[index]);
		probe_walk_try(&p->walk, (uint32_t)index);
	}
}

static int32_t best_decodable(const struct probe_result *r, enum stream_kind kind)
{
	uint64_t below = UINT64_MAX;
	int32_t index;
	while ((index = next_best(r, kind, below)) >= 0) {
		if (r->streams[index].decodable)
			return index;
		below = merit(&r->streams[index]);
	}
	return -1;
}

static bool complete(const struct probe_stream *s)
{
	return s->kind == STREAM_VIDEO ? s->width && s->height : s->sample_rate && s->channels;
}

/* ---- regularity ---- */

/* From an MP4's index, which a walk of a few packets doesn't show. */
static void index_steps(AVStream *st, struct step_stats *ret)
{
	const int n = avformat_index_get_entries_count(st);
	step_stats_init(ret);
	for (int i = 0; i < n; i++)
		step_stats_add(ret, avformat_index_get_entry(st, i)->timestamp);
}

static bool near(double a, double b)
{
	return a > b * 0.98 && a < b * 1.02;
}

/* The rate that frames have where none is missing: libav's base rate if most steps are of it, else the header's average, unless
 * counting shows another. */
static void judge_cadence(struct probe_stream *s, const AVStream *st, const struct step_stats *steps)
{
	if (steps->count < 2 || steps->last <= steps->first)
		return;
	/* time stamps of coarse clocks (milliseconds) differ by one unit from frame to frame */
	s->constant_frame_rate = steps->min > 0 && steps->max - steps->min <= 1;
	const double tick = av_q2d(st->time_base), told = (double)s->fps_num / s->fps_den;
	const double counted = (double)steps->count / ((double)(steps->last - steps->first) * tick);
	const bool majority = steps->usual > 0 && (double)steps->votes > (double)steps->count * 0.5;
	AVRational rate = st->r_frame_rate;
	if (!(majority && rate.num > 0 && rate.den > 0 && near(av_q2d(rate), 1 / ((double)steps->usual * tick)))) {
		if (near(told, counted) || counted > 1000)
			return;
		rate = av_d2q(counted, 60000);
	}
	if (rate.num <= 0 || rate.den <= 0)
		return;
	s->fps_num = (uint32_t)rate.num;
	s->fps_den = (uint32_t)rate.den;
}

/* A base rate above that is a clock's resolution. */
#define BASE_RATE_MAX 120.0

/* How many frames a second there are at most, in thousandths: of a variable rate where they come fastest. What wasn't counted is
 * judged by libav's base rate. */
static uint32_t fastest_milli(const struct probe_stream *s, const AVStream *st, const struct step_stats *steps, bool counted_all)
{
	const double told = s->fps_num ? (double)s->fps_num / s->fps_den : 0;
	const double base = st->r_frame_rate.den > 0 ? av_q2d(st->r_frame_rate) : 0;
	double fastest = told;
	if (!s->constant_frame_rate && steps->min_span < INT64_MAX)
		fastest = STEP_WINDOW / ((double)steps->min_span * av_q2d(st->time_base));
	if (!s->constant_frame_rate && !counted_all && !s->interlaced && base > fastest && base <= BASE_RATE_MAX)
		fastest = base;
	if (near(base, fastest)) /* but for the clock's rounding */
		fastest = base;
	if (fastest < told || near(told, fastest) || fastest > 1000)
		fastest = told;
	return (uint32_t)(fastest * 1000 + 0.5);
}

/* Codecs whose packets all hold as many samples; encoders of the others choose as they go. */
static bool has_constant_frames(enum AVCodecID id)
{
	switch (id) {
	case AV_CODEC_ID_AAC:
	case AV_CODEC_ID_AAC_LATM:
	case AV_CODEC_ID_AC3:
	case AV_CODEC_ID_EAC3:
	case AV_CODEC_ID_MP2:
	case AV_CODEC_ID_MP3:
	case AV_CODEC_ID_OPUS:
	case AV_CODEC_ID_AMR_NB:
	case AV_CODEC_ID_AMR_WB:
		return true;
	default:
		return false;
	}
}

static uint32_t frame_samples(const AVStream *st, const struct walked_stream *w)
{
	const int rate = st->codecpar->sample_rate;
	if (!has_constant_frames(st->codecpar->codec_id) || rate <= 0 || w->max_duration <= 0 ||
	    w->max_duration - w->min_duration > 1)
		return 0;
	static const uint32_t sizes[] = { 120, 160, 240, 256, 320, 480, 512, 576, 768, 960, 1024, 1152, 1536, 1920, 2048, 2880 };
	const int64_t n = av_rescale_q(w->max_duration, st->time_base, (AVRational){ 1, rate });
	/* a coarse clock (milliseconds) shows a number nearby */
	const int64_t tick = av_rescale_q(1, st->time_base, (AVRational){ 1, rate });
	uint32_t best = sizes[0];
	for (size_t i = 1; i < MR_ARRAY_SIZE(sizes); i++)
		if (llabs(n - sizes[i]) < llabs(n - best))
			best = sizes[i];
	return llabs(n - best) <= tick ? best : 0;
}

/* ---- times ---- */

static int64_t samples_ns(uint32_t samples, uint32_t rate)
{
	return rate ? av_rescale(samples, NS_PER_SECOND, rate) : 0;
}

/* ends_short: the demuxer has shortened the last packet by what is trimmed (Ogg); others leave that to the decoder. */
static void take_walked_times(struct probe_stream *s, const AVStream *st, const struct walked_stream *w, bool ends_short)
{
	int64_t first = probe_ns(w->first, st->time_base), end = probe_ns(w->end, st->time_base);
	if (first == TICKS_UNKNOWN || end == TICKS_UNKNOWN) { /* an elementary stream without time stamps */
		const int64_t sum = probe_ns(w->durations, st->time_base);
		if (w->packets == 0 || sum == TICKS_UNKNOWN)
			return;
		first = 0;
		end = sum;
	}
	/* what precedes the first frame is priming, or refers to pictures before the cut */
	const int64_t presented = probe_ns(w->decoded_ts, st->time_base);
	if (presented != TICKS_UNKNOWN && presented < end)
		first = presented;
	if (!ends_short)
		end -= samples_ns(w->trim_samples, s->sample_rate);
	s->start_ns = first;
	s->duration_ns = end > first ? end - first : 0;
}

static void fill_from_walk(struct probe *p, uint32_t i)
{
	struct probe_stream *s = &p->r.streams[i];
	const struct walked_stream *w = &p->walk.streams[i];
	AVStream *st = p->f->streams[i];
	s->decodable = s->kind == STREAM_SUBTITLE ? subtitle_is_text(st->codecpar->codec_id)
						  : w->decoded && !w->encrypted && complete(s) && !video_look_unsupported(st);
	if (p->walk.scan_all)
		take_walked_times(s, st, w, format_is(p, "ogg"));
	else if (media_input_forward(p->in) && probe_ns(w->decoded_ts, st->time_base) != TICKS_UNKNOWN)
		s->start_ns = probe_ns(w->decoded_ts, st->time_base);
	if (s->kind == STREAM_VIDEO) {
		s->interlaced = s->interlaced || w->interlaced;
		struct step_stats all;
		if (p->plain_mp4)
			index_steps(st, &all);
		const struct step_stats *steps = p->plain_mp4 ? &all : &w->steps;
		judge_cadence(s, st, steps);
		if (s->decodable && s->fps_num == 0) {
			s->fps_num = 25; /* one picture, or nothing to count by */
			s->fps_den = 1;
		}
		s->max_fps_milli = fastest_milli(s, st, steps, p->plain_mp4 || p->walk.scan_all);
	} else if (s->kind == STREAM_AUDIO) {
		s->frame_samples = frame_samples(st, w);
	}
}

static bool in_program(const AVProgram *g, uint32_t index)
{
	for (unsigned i = 0; i < g->nb_stream_indexes; i++)
		if (g->stream_index[i] == index)
			return true;
	return false;
}

/* A broadcast carries programmes, each with a clock of its own. */
static void mark_other_programs(struct probe *p)
{
	const uint32_t main = (uint32_t)(p->r.best_video >= 0 ? p->r.best_video : p->r.best_audio);
	bool ours[TASK_STREAMS_MAX] = { false }, theirs[TASK_STREAMS_MAX] = { false };
	for (unsigned g = 0; g < p->f->nb_programs; g++)
		for (uint32_t i = 0; i < p->r.stream_count; i++) {
			bool *list = in_program(p->f->programs[g], main) ? ours : theirs;
			list[i] = list[i] || in_program(p->f->programs[g], i);
		}
	for (uint32_t i = 0; i < p->r.stream_count; i++)
		p->r.streams[i].other_program = theirs[i] && !ours[i];
}

/* One of those that a ladder is made of unless somebody chooses otherwise. */
static bool is_used(const struct probe *p, uint32_t i)
{
	const struct probe_stream *s = &p->r.streams[i];
	if ((int32_t)i == p->r.best_video || (int32_t)i == p->r.best_audio)
		return true;
	return s->kind == STREAM_AUDIO && s->decodable && !s->attached_picture && !s->other_program;
}

/* From the first sample that is presented to the end of the longest stream. */
static void fill_duration(struct probe *p)
{
	int64_t start = INT64_MAX, end = INT64_MIN;
	for (uint32_t i = 0; i < p->r.stream_count; i++) {
		const struct probe_stream *s = &p->r.streams[i];
		if (!is_used(p, i) || s->duration_ns == TICKS_UNKNOWN)
			continue;
		const int64_t from = s->start_ns == TICKS_UNKNOWN ? 0 : s->start_ns;
		start = from < start ? from : start;
		end = from + s->duration_ns > end ? from + s->duration_ns : end;
	}
	if (start == INT64_MAX) { /* the streams don't tell: the container does, or it would have been scanned */
		start = probe_ns(p->f->start_time, AV_TIME_BASE_Q);
		start = start == TICKS_UNKNOWN ? 0 : start;
		const int64_t whole = probe_ns(p->f->duration, AV_TIME_BASE_Q);
		end = start + (whole > 0 ? whole : 0);
	}
	p->r.start_ns = start;
	p->r.duration_ns = end - start;
	p->r.scanned = p->walk.scan_all;
	if (p->r.duration_ns > 0 && !media_input_forward(p->in))
		p->r.bit_rate_bps = (uint64_t)((double)p->size_bytes * 8 * NS_PER_SECOND / (double)p->r.duration_ns);
}

/* ---- seeking ---- */

static bool is_pcm(const struct probe_stream *s)
{
	return strncmp(s->codec, "pcm_", 4) == 0;
}

/* Whether positions after a seek are those of a run from the start: the time stamps are exact to the sample, or coarse but of
 * frames of one size, so that they snap to a grid. */
static bool positions_are_exact(const struct probe *p)
{
	const struct probe_stream *audio = p->r.best_audio >= 0 ? &p->r.streams[p->r.best_audio] : NULL;
	const bool video = p->r.best_video >= 0;
	bool all_on_grids = true;
	for (uint32_t i = 0; i < p->r.stream_count; i++)
		if (p->r.streams[i].kind == STREAM_AUDIO && is_used(p, i) && !p->r.streams[i].frame_samples)
			all_on_grids = false;
	if (format_is(p, "mp4"))
		return true;
	if (format_is(p, "matroska,webm,mpegts"))
		return all_on_grids;
	if (video || !audio)
		return false;
	if (format_is(p, "wav,w64,aiff,caf,au"))
		return is_pcm(audio);
	return format_is(p, "flac,mp3,aac,ogg");
}

/* The claim is put to the test once, in the middle: a fragmented file without an index, or one that lies, fails it. */
static bool seeking_works(struct probe *p)
{
	if (format_is(p, "mp3")) /* it has nothing that could lie: libav counts */
		return true;
	const int32_t index = p->r.best_video >= 0 ? p->r.best_video : p->r.best_audio;
	AVStream *st = p->f->streams[index];
	const int64_t middle_ns = p->r.start_ns + p->r.duration_ns / 2;
	const int64_t target = av_rescale_q(middle_ns, (AVRational){ 1, NS_PER_SECOND }, st->time_base);
	if (av_seek_frame(p->f, index, target, AVSEEK_FLAG_BACKWARD) < 0)
		return false;
	for (int i = 0; i < 10000; i++) {
		if (av_read_frame(p->f, p->walk.packet) < 0)
			return false;
		const bool ours = p->walk.packet->stream_index == index;
		const int64_t ts = p->walk.packet->dts != AV_NOPTS_VALUE ? p->walk.packet->dts : p->walk.packet->pts;
		av_packet_unref(p->walk.packet);
		if (ours)
			return ts != AV_NOPTS_VALUE && ts <= target;
	}
	return false;
}

/* ---- what can't be used ---- */

static void list_streams(const struct probe *p, char *out, size_t size)
{
	static const char *const names[] = { "", "video", "audio", "subtitle", "data" };
	size_t used = 0;
	out[0] = '\0';
	for (uint32_t i = 0; i < p->r.stream_count && used < size; i++) {
		const struct probe_stream *s = &p->r.streams[i];
		int n = snprintf(out + used, size - used, "%s%s %s", i ? ", " : "",
				 s->attached_picture ? "picture" : names[s->kind], s->codec);
		used += n > 0 ? (size_t)n : 0;
	}
	if (p->r.stream_count == 0)
		(void)snprintf(out, size, "no stream at all");
}

static int refuse_unusable(const struct probe *p, struct err *e)
{
	char found[200];
	bool candidates = false, packets = false, encrypted = false;
	const struct err *why = NULL;
	list_streams(p, found, sizeof(found));
	for (uint32_t i = 0; i < p->r.stream_count; i++) {
		const struct walked_stream *w = &p->walk.streams[i];
		if (!is_candidate(&p->r.streams[i], STREAM_VIDEO) && !is_candidate(&p->r.streams[i], STREAM_AUDIO))
			continue;
		candidates = true;
		packets = packets || w->packets || w->tried_packets;
		encrypted = encrypted || w->encrypted || probe_stream_encrypted(p->f->streams[i]);
		why = w->why_not.kind && !why ? &w->why_not : why;
	}
	if (!candidates)
		return err_set_code(e, ERR_MEDIA, "NO_MEDIA_STREAMS", "neither video nor audio in it, but: %s", found);
	if (encrypted)
		return err_set_code(e, ERR_MEDIA, "ENCRYPTED_MEDIA", "it is encrypted (%s)", found);
	if (!packets)
		return err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "it has a header (%s), but nothing after it", found);
	return err_set_code(e, ERR_MEDIA, "UNDECODABLE", "nothing in it can be decoded (%s)%s%.150s", found, why ? ": " : "",
			    why ? why->message : "");
}

/* Sound that can be decoded doesn't make up for a picture that is locked, or would come out in false colours, or whose codec
 * nobody here knows. (A picture that is merely damaged is another matter: the sound is what is left of the file.) */
static int refuse_hidden_picture(const struct probe *p, struct err *e)
{
	for (uint32_t i = 0; p->r.best_video < 0 && i < p->r.stream_count; i++) {
		const struct walked_stream *w = &p->walk.streams[i];
		const AVStream *st = p->f->streams[i];
		if (!is_candidate(&p->r.streams[i], STREAM_VIDEO))
			continue;
		if (w->encrypted || probe_stream_encrypted(st))
			return err_set_code(e, ERR_MEDIA, "ENCRYPTED_MEDIA", "stream %u (video %s) is encrypted", i,
					    p->r.streams[i].codec);
		if (video_look_unsupported(st))
			return err_set_code(e, ERR_MEDIA, "UNSUPPORTED_HDR",
					    "stream %u is Dolby Vision profile 5, whose colours only Dolby's own decoders know", i);
		if (w->packets && !avcodec_find_decoder(st->codecpar->codec_id))
			return err_set_code(e, ERR_MEDIA, "UNDECODABLE", "stream %u: no decoder for video of codec %s (%s)", i,
					    p->r.streams[i].codec, av_fourcc2str(st->codecpar->codec_tag));
	}
	return 0;
}

/* ---- the whole ---- */

static int walk(struct probe *p, struct err *e)
{
	int r = probe_walk_init(&p->walk, p->in, should_scan(p), e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < p->r.stream_count; i++)
		if (!is_candidate(&p->r.streams[i], STREAM_VIDEO) && !is_candidate(&p->r.streams[i], STREAM_AUDIO))
			p->f->streams[i]->discard = AVDISCARD_ALL;
	try_candidates(p, STREAM_VIDEO, VIDEO_CANDIDATES_MAX);
	try_candidates(p, STREAM_AUDIO, AUDIO_CANDIDATES_MAX);
	r = probe_walk_run(&p->walk, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < p->r.stream_count; i++)
		fill_from_walk(p, i);
	return 0;
}

static int find_keyframes(struct probe *p, const struct task_spec *spec, const struct media_io *io, struct err *e)
{
	const int32_t index = p->r.best_video;
	if (index < 0 || !p->r.seekable)
		return 0;
	const struct probe_copy_source s = {
		.spec = spec,
		.io = io,
		.in = p->in,
		.told = &p->r.streams[index],
		.stream = p->f->streams[index],
		.walked = p->walk.streams[index].gops,
		.indexed = p->plain_mp4,
		.origin_ns = p->r.start_ns,
		.duration_ns = p->r.duration_ns,
	};
	return probe_copy_find(&s, &p->r.copy, e);
}

static int assess(struct probe *p, struct err *e)
{
	for (unsigned i = 0; i < p->f->nb_streams && i < TASK_STREAMS_MAX; i++) {
		probe_stream_fill(p->f, p->f->streams[i], &p->r.streams[i]);
		p->r.stream_count++;
	}
	int r = walk(p, e);
	if (r < 0)
		return r;
	p->r.best_video = best_decodable(&p->r, STREAM_VIDEO);
	p->r.best_audio = best_decodable(&p->r, STREAM_AUDIO);
	r = refuse_hidden_picture(p, e);
	if (r < 0)
		return r;
	if (p->r.best_video < 0 && p->r.best_audio < 0)
		return refuse_unusable(p, e);
	mark_other_programs(p);
	fill_duration(p);
	if (p->r.duration_ns <= 0 && !media_input_forward(p->in))
		return err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "it plays for no time at all");
	p->r.seekable = !media_input_forward(p->in) && p->walk.join.jumps == 0 && positions_are_exact(p) && seeking_works(p);
	if (media_input_failed(p->in)) /* libav may have taken it for the end of the file */
		return media_input_error(p->in, 0, e, "try to seek");
	return 0;
}

int media_probe(const struct task_spec *spec, const struct media_io *io, struct probe_result *ret, struct err *e)
{
	_cleanup_media_input_ struct media_input *in = NULL;
	int r = media_input_open(spec, 0, io, &in, e);
	if (r < 0)
		return r;
	struct probe *p = mr_calloc(1, sizeof(*p)); /* too large for a stack */
	p->in = in;
	p->f = media_input_format(in);
	p->size_bytes = spec->inputs[0].size_bytes;
	p->plain_mp4 = index_is_complete(p);
	probe_text(p->r.format, sizeof(p->r.format), p->f->iformat->name);
	const AVDictionaryEntry *title = av_dict_get(p->f->metadata, "title", NULL, 0);
	probe_text(p->r.title, sizeof(p->r.title), title ? title->value : NULL);
	r = assess(p, e);
	if (r == 0)
		r = find_keyframes(p, spec, io, e);
	if (r == 0)
		*ret = p->r;
	probe_walk_release(&p->walk);
	free(p);
	return r;
}
