/* Reading and decoding text subtitles: see subtitle_reader.h. */
#include "media/subtitle_reader.h"

#include <libavformat/avformat.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>

#include "base/mem.h"
#include "media/input.h"
#include "media/source.h"
#include "media/subtitle_text.h"

/* A subtitle may come this much behind the sound that it belongs to. */
#define INTERLEAVE_TICKS (5 * (int64_t)VIDEO_TIMESCALE)
/* Seeking aims that much before the place, and has to arrive before the place itself. */
#define SEEK_MARGIN_TICKS (2 * (int64_t)VIDEO_TIMESCALE)
/* Of subtitles that don't tell how long they are shown. */
#define UNTOLD_MS 3000
#define READ_ERRORS_MAX 64

struct track {
	int stream;
	AVRational time_base;
	AVCodecContext *decoder; /* NULL: it can't be decoded */
	struct subtitle_cues cues;
};

struct subtitle_reader {
	const struct task_spec *task;
	const struct media_io *io;
	struct media_input *input;
	AVPacket *packet;
	int clock;	     /* the stream that tells how far it has read */
	AVRational clock_base;
	int64_t clock_ticks; /* INT64_MIN before its first packet */
	int64_t from;
	bool at_start;	 /* nothing has been sought */
	bool whole;	 /* with the source's whole index, however long it is */
	bool left_range; /* of the part of the index that is held: what was read last isn't to be believed */
	bool ended;
	uint32_t read_errors;
	struct track tracks[TASK_SUBTITLES_MAX];
};

bool subtitle_is_text(enum AVCodecID id)
{
	switch (id) {
	case AV_CODEC_ID_SUBRIP:
	case AV_CODEC_ID_ASS:
	case AV_CODEC_ID_SSA:
	case AV_CODEC_ID_MOV_TEXT:
	case AV_CODEC_ID_WEBVTT:
	case AV_CODEC_ID_TEXT:
		return true;
	default:
		return false;
	}
}

struct subtitle_cues *subtitle_reader_cues(struct subtitle_reader *r, uint32_t i)
{
	return &r->tracks[i].cues;
}

/* ---- Opening ---- */

static AVStream *stream(const struct subtitle_reader *r, int index)
{
	AVFormatContext *f = media_input_format(r->input);
	return index >= 0 && (unsigned)index < f->nb_streams ? f->streams[index] : NULL;
}

static bool begins_at_start(const struct subtitle_reader *r)
{
	return r->task->ladder.sequential || r->from <= SEEK_MARGIN_TICKS;
}

static int64_t ticks_to_ns(const struct subtitle_reader *r, int64_t ticks)
{
	return r->task->ladder.origin_ns + av_rescale(ticks, 1000000000, VIDEO_TIMESCALE);
}

static void close_input(struct subtitle_reader *r)
{
	for (uint32_t i = 0; i < TASK_SUBTITLES_MAX; i++) {
		avcodec_free_context(&r->tracks[i].decoder);
		subtitle_cues_release(&r->tracks[i].cues);
	}
	media_input_close(&r->input);
}

/* What is read of the index of a long MP4: from some seconds before the place where reading begins to behind where it ends. */
static struct mp4_window_opts range_of(const struct subtitle_reader *r)
{
	const struct ladder_spec *l = &r->task->ladder;
	const bool video = l->video_stream >= 0;
	const int64_t end = l->video_ticks ? l->video_ticks[l->segment_count]
					   : av_rescale(l->audio_frames[l->segment_count],
							(int64_t)AAC_FRAME_SAMPLES * VIDEO_TIMESCALE, l->audio_rate);
	uint32_t others = l->audio_count > 0 ? 1u << l->audios[0].stream : 0;
	for (uint32_t i = 0; i < l->subtitle_count; i++)
		others |= 1u << l->subtitle_streams[i];
	return (struct mp4_window_opts){
		.video = video ? l->video_stream : -1,
		.audios = others,
		.from_ns = begins_at_start(r) ? INT64_MIN : ticks_to_ns(r, r->from - 2 * SEEK_MARGIN_TICKS),
		.end_ns = l->last ? INT64_MAX : ticks_to_ns(r, end),
		.to_ns = l->last ? INT64_MAX : ticks_to_ns(r, end + SOURCE_APART_TICKS),
		.index_min_bytes = MP4_WINDOW_INDEX_MIN_BYTES,
	};
}

static int open_input(struct subtitle_reader *r, struct err *e)
{
	const struct ladder_spec *l = &r->task->ladder;
	const struct mp4_window_opts range = range_of(r);
	close_input(r);
	int rc = media_input_open_range(r->task, 0, r->io, r->whole ? NULL : &range, &r->input, e);
	if (rc < 0)
		return rc;
	r->at_start = true;
	r->left_range = false;
	AVFormatContext *f = media_input_format(r->input);
	for (unsigned i = 0; i < f->nb_streams; i++)
		f->streams[i]->discard = AVDISCARD_ALL;
	/* Sound is the smaller of the two to read. */
	r->clock = l->audio_count ? l->audios[0].stream : l->video_stream;
	AVStream *clock = stream(r, r->clock);
	if (clock) {
		clock->discard = AVDISCARD_DEFAULT;
		r->clock_base = clock->time_base;
	}
	for (uint32_t i = 0; i < l->subtitle_count; i++) {
		struct track *t = &r->tracks[i];
		t->stream = l->subtitle_streams[i];
		t->cues.from_ticks = r->from;
		AVStream *st = stream(r, t->stream);
		if (!st || !subtitle_is_text(st->codecpar->codec_id) || media_decoder_open(st, 1, &t->decoder, NULL) < 0)
			continue;
		st->discard = AVDISCARD_DEFAULT;
		t->time_base = st->time_base;
	}
	r->clock_ticks = INT64_MIN;
	r->ended = false;
	r->read_errors = 0;
	return 0;
}

/* ---- Reading ---- */

static void take_rect(struct track *t, const AVSubtitleRect *rect, int64_t start_ms, int64_t end_ms)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, 2 * SUBTITLE_TEXT_MAX_BYTES);
	if (rect->type == SUBTITLE_ASS && rect->ass && subtitle_text(rect->ass, &text) && !text.failed)
		subtitle_cues_add(&t->cues, start_ms, end_ms, text.data, text.len);
}

/* Such a cue would be found or not by where reading began. */
static bool far_from_clock(const struct subtitle_reader *r, int64_t start_ms)
{
	const int64_t ticks = start_ms * (VIDEO_TIMESCALE / 1000), far = SUBTITLE_SECONDS / 2 * (int64_t)VIDEO_TIMESCALE;
	return r->clock_ticks != INT64_MIN && (ticks > r->clock_ticks + far || ticks < r->clock_ticks - far);
}

static void decode(struct subtitle_reader *r, struct track *t, AVPacket *p)
{
	AVRational tb = t->time_base;
	int64_t origin_ns = r->task->ladder.origin_ns, end_pts;
	int64_t start_ms = source_rescale(p->pts, tb, origin_ns, 1000), end_ms = INT64_MIN;
	if (p->duration > 0 && p->pts != AV_NOPTS_VALUE && !__builtin_add_overflow(p->pts, p->duration, &end_pts))
		end_ms = source_rescale(end_pts, tb, origin_ns, 1000);
	if (start_ms == INT64_MIN || far_from_clock(r, start_ms))
		return;
	AVSubtitle sub = { 0 };
	int got = 0;
	if (avcodec_decode_subtitle2(t->decoder, &sub, &got, p) < 0 || !got)
		return;
	if (end_ms == INT64_MIN)
		end_ms = start_ms + UNTOLD_MS;
	for (unsigned i = 0; i < sub.num_rects; i++)
		take_rect(t, sub.rects[i], start_ms, end_ms);
	avsubtitle_free(&sub);
}

static void take_packet(struct subtitle_reader *r, AVPacket *p)
{
	if (p->stream_index == r->clock) {
		int64_t pts = p->dts != AV_NOPTS_VALUE ? p->dts : p->pts;
		int64_t ticks = source_rescale(pts, r->clock_base, r->task->ladder.origin_ns, VIDEO_TIMESCALE);
		r->clock_ticks = ticks > r->clock_ticks ? ticks : r->clock_ticks;
		return;
	}
	for (uint32_t i = 0; i < r->task->ladder.subtitle_count; i++)
		if (r->tracks[i].stream == p->stream_index && r->tracks[i].decoder)
			decode(r, &r->tracks[i], p);
}

static int read_packet(struct subtitle_reader *r, struct err *e)
{
	int rc = av_read_frame(media_input_format(r->input), r->packet);
	if (rc >= 0) {
		r->read_errors = 0;
		r->left_range = !media_input_holds(r->input, r->packet, r->at_start);
		if (!r->left_range)
			take_packet(r, r->packet);
		av_packet_unref(r->packet);
		return 0;
	}
	if (media_input_failed(r->input) || rc == AVERROR(ENOMEM))
		return media_input_error(r->input, rc, e, "read subtitles");
	r->ended = rc == AVERROR_EOF || ++r->read_errors >= READ_ERRORS_MAX;
	r->left_range = r->ended && !media_input_complete(r->input);
	return 0;
}

/* ---- The place to begin at ---- */

/* Containers index their pictures, and seek by them. *ret_there is false where that didn't lead before the place. */
static int seek(struct subtitle_reader *r, int64_t from, bool *ret_there, struct err *e)
{
	const struct ladder_spec *l = &r->task->ladder;
	int index = l->video_stream >= 0 ? l->video_stream : r->clock;
	const AVStream *st = stream(r, index);
	*ret_there = false;
	if (!st)
		return 0;
	int64_t ts = av_rescale_q(ticks_to_ns(r, from - SEEK_MARGIN_TICKS), av_make_q(1, 1000000000), st->time_base);
	r->at_start = false;
	if (av_seek_frame(media_input_format(r->input), index, ts, AVSEEK_FLAG_BACKWARD) < 0)
		return 0;
	int rc = 0;
	while (rc == 0 && !r->ended && !r->left_range && r->clock_ticks == INT64_MIN)
		rc = read_packet(r, e);
	*ret_there = !r->ended && r->clock_ticks <= from;
	return rc;
}

static int begin(struct subtitle_reader *r, struct err *e)
{
	bool there = begins_at_start(r);
	int rc = open_input(r, e);
	if (rc < 0 || there)
		return rc;
	rc = seek(r, r->from, &there, e);
	return rc == 0 && !there && !r->left_range ? open_input(r, e) : rc;
}

int subtitle_reader_until(struct subtitle_reader *r, int64_t ticks, struct err *e)
{
	int rc = 0;
	int64_t goal = ticks > INT64_MAX - INTERLEAVE_TICKS ? INT64_MAX : ticks + INTERLEAVE_TICKS;
	while (rc == 0 && (r->left_range || (!r->ended && r->clock_ticks < goal))) {
		if (!r->left_range) {
			rc = read_packet(r, e);
			continue;
		}
		r->whole = true;
		rc = begin(r, e);
	}
	return rc;
}

int subtitle_reader_open(const struct task_spec *task, const struct media_io *io, int64_t from, struct subtitle_reader **ret,
			 struct err *e)
{
	struct subtitle_reader *r = mr_calloc(1, sizeof(*r));
	r->task = task;
	r->io = io;
	r->from = from;
	r->packet = av_packet_alloc();
	if (!r->packet) {
		subtitle_reader_close(&r);
		return media_averror(e, AVERROR(ENOMEM), "read subtitles");
	}
	int rc = begin(r, e);
	if (rc < 0) {
		subtitle_reader_close(&r);
		return rc;
	}
	*ret = r;
	return 0;
}

void subtitle_reader_close(struct subtitle_reader **r)
{
	if (!*r)
		return;
	close_input(*r);
	av_packet_free(&(*r)->packet);
	free(*r);
	*r = NULL;
}
