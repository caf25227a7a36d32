/* Opening, reading and decoding the source: see source.h. Seeking is in source_seek.c. */
#include "media/source.h"

#include <errno.h>
#include <libavformat/avformat.h>
#include <libavutil/mathematics.h>

#include "base/mem.h"
#include "media/source_internal.h"

/* Damaged containers may report errors between packets; so many without a packet are the end. */
#define READ_ERRORS_MAX 64
/* How far to look for the first audio packet: what libav's own probing has read already. */
#define ANCHOR_MAX_BYTES (8u << 20)
/* So much before the place that is needed every picture is decoded: for filters that look at neighbours, and for places
 * that are rounded. */
#define CONTEXT_TICKS (2 * VIDEO_TIMESCALE / 5)
/* An opened range begins this much before what is needed (a seek's first five margins), and goes on this much behind. */
#define RANGE_BACK_TICKS (8 * (int64_t)VIDEO_TIMESCALE)
#define RANGE_BEYOND_TICKS (15 * (int64_t)VIDEO_TIMESCALE)

int64_t source_rescale(int64_t pts, AVRational time_base, int64_t origin_ns, int rate)
{
	if (pts == AV_NOPTS_VALUE || time_base.num <= 0 || time_base.den <= 0)
		return INT64_MIN;
	int64_t ns = av_rescale_q_rnd(pts, time_base, av_make_q(1, 1000000000), AV_ROUND_NEAR_INF);
	int64_t since;
	if (ns == INT64_MIN || ns == INT64_MAX || __builtin_sub_overflow(ns, origin_ns, &since))
		return INT64_MIN;
	/* a year either way is nonsense, and would overflow sums of ticks later */
	const int64_t year_ns = INT64_C(365) * 24 * 3600 * 1000000000;
	if (since > year_ns || since < -year_ns)
		return INT64_MIN;
	return av_rescale_rnd(since, rate, 1000000000, AV_ROUND_NEAR_INF);
}

AVRational source_time_base(const struct source *s, int track)
{
	return media_input_format(s->input)->streams[s->stream[track]]->time_base;
}

const AVCodecParameters *source_parameters(const struct source *s, int track)
{
	return s->decoder[track] ? media_input_format(s->input)->streams[s->stream[track]]->codecpar : NULL;
}

AVFormatContext *source_format(struct source *s)
{
	return media_input_format(s->input);
}

const AVStream *source_video_stream(const struct source *s)
{
	return s->decoder[SOURCE_VIDEO] ? media_input_format(s->input)->streams[s->stream[SOURCE_VIDEO]] : NULL;
}

int source_packet_track(const struct source *s, const AVPacket *p)
{
	for (int t = 0; t < SOURCE_TRACKS_MAX; t++)
		if (p->stream_index == s->stream[t])
			return t;
	return -1;
}

int64_t source_packet_ticks(const struct source *s, const AVPacket *p)
{
	int64_t pts = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;
	return source_rescale(pts, source_time_base(s, source_packet_track(s, p)), s->task->ladder.origin_ns, VIDEO_TIMESCALE);
}

static void note_latest(const struct source *s, const AVPacket *p, int64_t latest[SOURCE_TRACKS_MAX])
{
	int track = source_packet_track(s, p);
	int64_t ticks = source_packet_ticks(s, p);
	if (ticks == INT64_MIN)
		return;
	int64_t length = source_rescale(p->duration, source_time_base(s, track), 0, VIDEO_TIMESCALE);
	if (length > 0 && length < 10 * VIDEO_TIMESCALE)
		ticks += length;
	if (ticks > latest[track])
		latest[track] = ticks;
}

int64_t source_latest_sound(const struct source *s)
{
	int64_t latest = INT64_MIN;
	for (int t = SOURCE_AUDIO; t < SOURCE_TRACKS_MAX; t++)
		latest = s->latest_read[t] > latest ? s->latest_read[t] : latest;
	return latest;
}

static bool wanted(const struct source *s, const AVPacket *p)
{
	int track = source_packet_track(s, p);
	return track >= 0 && s->decoder[track];
}

static int left_range(struct err *e)
{
	return err_set_code(e, ERR_RANGE, SOURCE_LEFT_RANGE, "the source has to be read beyond the range that was opened");
}

int source_read(struct source *s, AVPacket **ret, struct err *e)
{
	*ret = NULL;
	AVPacket *p = av_packet_alloc();
	if (!p)
		return media_averror(e, AVERROR(ENOMEM), "read the source");
	while (!s->end_of_file) {
		int r = av_read_frame(media_input_format(s->input), p);
		if (r >= 0) {
			s->read_errors = 0;
			if (wanted(s, p)) {
				if (!media_input_holds(s->input, p, s->at_start)) {
					av_packet_free(&p);
					return left_range(e);
				}
				time_join_packet(&s->join, media_input_format(s->input)->streams[p->stream_index], p);
				note_latest(s, p, s->latest_read);
				*ret = p;
				return 0;
			}
			av_packet_unref(p);
			continue;
		}
		if (media_input_failed(s->input) || r == AVERROR(ENOMEM)) {
			av_packet_free(&p);
			return media_input_error(s->input, r, e, "read the source");
		}
		s->end_of_file = r == AVERROR_EOF || ++s->read_errors >= READ_ERRORS_MAX;
		if (s->end_of_file && !media_input_complete(s->input)) {
			av_packet_free(&p);
			return left_range(e);
		}
	}
	av_packet_free(&p);
	return 0;
}

void source_forget(struct source *s)
{
	packet_queue_clear(&s->ahead);
	for (int t = 0; t < SOURCE_TRACKS_MAX; t++) {
		if (s->decoder[t])
			avcodec_flush_buffers(s->decoder[t]);
		s->latest_read[t] = s->latest_decoded[t] = INT64_MIN;
	}
	s->last_before = INT64_MIN;
	s->end_of_file = false;
	s->read_errors = 0;
	s->current = -1;
	s->drained = 0;
}

static int open_decoder(struct source *s, int track, int32_t index, struct err *e)
{
	AVFormatContext *f = media_input_format(s->input);
	if (index < 0)
		return 0;
	enum AVMediaType type = track == SOURCE_VIDEO ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
	if ((unsigned)index >= f->nb_streams || f->streams[index]->codecpar->codec_type != type)
		return err_set_code(e, ERR_MEDIA, "DAMAGED_MEDIA", "the source has no stream %d any more", index);
	s->stream[track] = index;
	/* One thread: frame threads would let damaged sources decode differently from run to run. */
	return media_decoder_open(f->streams[index], 1, &s->decoder[track], e);
}

/* The first failure is told if there is no success. */
static int open_decoders(struct source *s, struct err *e)
{
	const struct ladder_spec *l = &s->task->ladder;
	struct err why = { 0 }, other = { 0 };
	bool any = false;
	for (int t = 0; t <= (int)l->audio_count; t++) {
		int32_t video = l->rung_count > 0 ? l->video_stream : -1;
		int r = open_decoder(s, t, t == SOURCE_VIDEO ? video : l->audios[t - SOURCE_AUDIO].stream,
				     why.kind ? &other : &why);
		any = any || (r == 0 && s->decoder[t]);
	}
	if (!any)
		return why.kind ? err_copy(e, &why) : err_set(e, ERR_INVALID, "no stream is asked for");
	AVFormatContext *f = media_input_format(s->input);
	for (unsigned i = 0; i < f->nb_streams; i++)
		f->streams[i]->discard = AVDISCARD_ALL;
	for (int t = 0; t < SOURCE_TRACKS_MAX; t++)
		if (s->decoder[t])
			f->streams[s->stream[t]]->discard = AVDISCARD_DEFAULT;
	return 0;
}

static int64_t ticks_to_ns(const struct source *s, int64_t ticks)
{
	return s->task->ladder.origin_ns + av_rescale(ticks, 1000000000, VIDEO_TIMESCALE);
}

/* What reading a chunk comes to touch: see source_seek.c for where it begins, and SOURCE_APART_TICKS for where it ends. */
static struct mp4_window_opts range_of(const struct source *s)
{
	const struct ladder_spec *l = &s->task->ladder;
	const bool video = l->rung_count > 0 && l->video_stream >= 0;
	int64_t from = video ? s->from.video_ticks : INT64_MAX;
	if (l->audio_count > 0 && s->from.audio_ticks - SOURCE_PREROLL_TICKS < from)
		from = s->from.audio_ticks - SOURCE_PREROLL_TICKS;
	const int64_t end = video ? l->video_ticks[l->segment_count]
				  : av_rescale(l->audio_frames[l->segment_count], (int64_t)AAC_FRAME_SAMPLES * VIDEO_TIMESCALE,
					       l->audio_rate);
	uint32_t audios = 0;
	for (uint32_t i = 0; i < l->audio_count; i++)
		audios |= l->audios[i].stream >= 0 && l->audios[i].stream < TASK_STREAMS_MAX ? 1u << l->audios[i].stream : 0;
	return (struct mp4_window_opts){
		.video = video ? l->video_stream : -1,
		.audios = audios,
		.from_ns = s->from.from_start ? INT64_MIN : ticks_to_ns(s, from - RANGE_BACK_TICKS),
		.end_ns = l->last ? INT64_MAX : ticks_to_ns(s, end),
		.to_ns = l->last ? INT64_MAX : ticks_to_ns(s, end + SOURCE_APART_TICKS + RANGE_BEYOND_TICKS),
		.index_min_bytes = MP4_WINDOW_INDEX_MIN_BYTES,
	};
}

static int open_input(struct source *s, bool whole, struct err *e)
{
	if (s->input)
		s->bytes_before += media_input_bytes_read(s->input);
	media_input_close(&s->input);
	for (int t = 0; t < SOURCE_TRACKS_MAX; t++) {
		avcodec_free_context(&s->decoder[t]);
		s->stream[t] = -1;
	}
	const struct mp4_window_opts range = range_of(s);
	int r = media_input_open_range(s->task, 0, s->io, whole ? NULL : &range, &s->input, e);
	if (r == 0)
		r = open_decoders(s, e);
	source_forget(s);
	if (r == 0)
		time_join_init(&s->join, media_input_format(s->input));
	s->at_start = true;
	return r;
}

/* Reads on to the first packet of every audio; what was read goes into the queue. */
static int find_first_sounds(struct source *s, struct err *e)
{
	bool found[SOURCE_TRACKS_MAX] = { false };
	int missing = 0;
	for (int t = 0; t < SOURCE_TRACKS_MAX; t++) {
		s->first_pts[t] = AV_NOPTS_VALUE;
		missing += t >= SOURCE_AUDIO && s->decoder[t];
	}
	while (missing > 0 && s->ahead.bytes < ANCHOR_MAX_BYTES) {
		AVPacket *p = NULL;
		int r = source_read(s, &p, e);
		if (r < 0 || !p)
			return r;
		int track = source_packet_track(s, p);
		if (!found[track]) {
			found[track] = true;
			s->first_pts[track] = p->pts;
			missing -= track >= SOURCE_AUDIO;
		}
		packet_queue_push(&s->ahead, p);
	}
	return 0;
}

int source_open(const struct task_spec *task, const struct media_io *io, const struct source_start *from, struct source **ret,
		struct err *e)
{
	struct source *s = mr_calloc(1, sizeof(*s));
	s->task = task;
	s->io = io;
	s->from = *from;
	int r = open_input(s, from->whole || task->ladder.sequential, e);
	if (r == 0)
		r = find_first_sounds(s, e);
	if (r == 0 && !from->from_start)
		r = source_position(s, e);
	if (r < 0) {
		source_close(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void source_close(struct source **s)
{
	if (!*s)
		return;
	packet_queue_clear(&(*s)->ahead);
	for (int t = 0; t < SOURCE_TRACKS_MAX; t++)
		avcodec_free_context(&(*s)->decoder[t]);
	media_input_close(&(*s)->input);
	free(*s);
	*s = NULL;
}

int source_rewind(struct source *s, struct err *e)
{
	return open_input(s, true, e);
}

/* Video of which only packets are wanted; sound long before the place that is needed isn't worth decoding either, where a
 * seek has made its positions absolute anyway. */
static bool skippable(const struct source *s, const AVPacket *p)
{
	if (source_packet_track(s, p) == SOURCE_VIDEO)
		return s->from.undecoded;
	if (s->at_start)
		return false;
	int64_t ticks = source_packet_ticks(s, p);
	return ticks != INT64_MIN && ticks < s->from.audio_ticks - 2 * SOURCE_PREROLL_TICKS;
}

/* Well before the place that is needed, a picture that another one will follow before the place (a B-picture: the
 * decoder has got the other already) is needed by nobody, unless others refer to it. */
static void pass_over_unseen(struct source *s, const AVPacket *p)
{
	int64_t ticks = p->pts == AV_NOPTS_VALUE ? INT64_MIN : source_packet_ticks(s, p);
	bool unseen = ticks != INT64_MIN && ticks < s->last_before && ticks < s->from.video_ticks - CONTEXT_TICKS;
	s->decoder[SOURCE_VIDEO]->skip_frame = unseen ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
	if (ticks > s->last_before && ticks <= s->from.video_ticks)
		s->last_before = ticks;
}

static int decode_packet(struct source *s, AVPacket *take_packet, struct err *e)
{
	AVPacket *p = take_packet;
	int track = source_packet_track(s, p);
	int r = 0;
	note_latest(s, p, s->latest_decoded);
	if (track == SOURCE_VIDEO)
		pass_over_unseen(s, p);
	if (track == SOURCE_VIDEO && s->sink)
		r = s->sink(s->sink_ctx, p, e);
	if (r < 0) {
		av_packet_free(&p);
		return r;
	}
	if (!s->stopped[track] && !skippable(s, p)) {
		r = avcodec_send_packet(s->decoder[track], p);
		s->current = track;
	}
	av_packet_free(&p);
	if (r == AVERROR(ENOMEM))
		return media_averror(e, r, "decode");
	if (r < 0)
		s->decode_errors++;
	return 0;
}

/* At the end of the file the decoders give what they hold back, video first. */
static bool drain_next(struct source *s)
{
	while (s->drained < SOURCE_TRACKS_MAX) {
		int track = s->drained++;
		if (s->decoder[track] && !s->stopped[track]) {
			(void)avcodec_send_packet(s->decoder[track], NULL);
			s->current = track;
			return true;
		}
	}
	return false;
}

/* *ret is what to tell if no decoder has anything to give after this. */
static int feed_decoder(struct source *s, int *ret, struct err *e)
{
	AVPacket *p = packet_queue_pop(&s->ahead);
	int r = p ? 0 : source_read(s, &p, e);
	if (r < 0)
		return r;
	*ret = SOURCE_PASSED;
	if (p)
		return decode_packet(s, p, e);
	if (!drain_next(s))
		*ret = SOURCE_END;
	return 0;
}

/* True with a frame of the decoder at work. */
static int receive(struct source *s, AVFrame *frame, bool *ret, struct err *e)
{
	*ret = false;
	while (s->current >= 0) {
		int r = avcodec_receive_frame(s->decoder[s->current], frame);
		*ret = r == 0;
		if (r == 0)
			return 0;
		if (r == AVERROR(ENOMEM))
			return media_averror(e, r, "decode");
		if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
			s->current = -1;
		else
			s->decode_errors++;
	}
	return 0;
}

int source_next(struct source *s, AVFrame *frame, int *ret_track, struct err *e)
{
	bool got = false;
	av_frame_unref(frame);
	int r = receive(s, frame, &got, e);
	if (r == 0 && !got) {
		r = feed_decoder(s, ret_track, e);
		if (r == 0)
			r = receive(s, frame, &got, e);
	}
	if (got)
		*ret_track = s->current;
	return r;
}

void source_tap(struct source *s, source_packet_sink *sink, void *ctx)
{
	s->sink = sink;
	s->sink_ctx = ctx;
}

void source_stop(struct source *s, int track)
{
	s->stopped[track] = true;
	if (s->current == track)
		s->current = -1;
}

int source_reaches(struct source *s, int64_t ticks, bool *ret, struct err *e)
{
	while (s->latest_read[SOURCE_VIDEO] <= ticks && source_latest_sound(s) <= ticks) {
		AVPacket *p = NULL;
		int r = source_read(s, &p, e);
		if (r < 0)
			return r;
		if (!p) {
			*ret = false;
			return 0;
		}
		packet_queue_push(&s->ahead, p);
		if (s->ahead.bytes > SOURCE_AHEAD_MAX_BYTES)
			break;
	}
	*ret = true;
	return 0;
}

void source_finish(struct source *s)
{
	packet_queue_clear(&s->ahead);
	s->end_of_file = true;
}

bool source_at_start(const struct source *s)
{
	return s->at_start;
}

int64_t source_frame_duration(const AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
	return f->duration;
#else
	return f->pkt_duration;
#endif
}

int64_t source_first_pts(const struct source *s, int track)
{
	return s->first_pts[track];
}

int64_t source_latest_ticks(const struct source *s, int track)
{
	return s->latest_decoded[track];
}

uint32_t source_decode_errors(const struct source *s)
{
	return s->decode_errors;
}

uint64_t source_bytes_read(const struct source *s)
{
	return s->bytes_before + media_input_bytes_read(s->input);
}
