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

AVRational source_time_base(const struct source *s, enum source_kind kind)
{
	return media_input_format(s->input)->streams[s->stream[kind]]->time_base;
}

const AVCodecParameters *source_parameters(const struct source *s, enum source_kind kind)
{
	return s->decoder[kind] ? media_input_format(s->input)->streams[s->stream[kind]]->codecpar : NULL;
}

enum source_kind source_packet_kind(const struct source *s, const AVPacket *p)
{
	return p->stream_index == s->stream[SOURCE_VIDEO] ? SOURCE_VIDEO : SOURCE_AUDIO;
}

int64_t source_packet_ticks(const struct source *s, const AVPacket *p)
{
	int64_t pts = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;
	return source_rescale(pts, source_time_base(s, source_packet_kind(s, p)), s->task->ladder.origin_ns, VIDEO_TIMESCALE);
}

static void note_latest(const struct source *s, const AVPacket *p, int64_t latest[2])
{
	enum source_kind kind = source_packet_kind(s, p);
	int64_t ticks = source_packet_ticks(s, p);
	if (ticks == INT64_MIN)
		return;
	int64_t length = source_rescale(p->duration, source_time_base(s, kind), 0, VIDEO_TIMESCALE);
	if (length > 0 && length < 10 * VIDEO_TIMESCALE)
		ticks += length;
	if (ticks > latest[kind])
		latest[kind] = ticks;
}

static bool selected(const struct source *s, const AVPacket *p)
{
	return p->stream_index == s->stream[SOURCE_VIDEO] || p->stream_index == s->stream[SOURCE_AUDIO];
}

static bool wanted(const struct source *s, const AVPacket *p)
{
	return selected(s, p) && s->decoder[source_packet_kind(s, p)];
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
	}
	av_packet_free(&p);
	return 0;
}

void source_forget(struct source *s)
{
	packet_queue_clear(&s->ahead);
	for (int k = SOURCE_VIDEO; k <= SOURCE_AUDIO; k++) {
		if (s->decoder[k])
			avcodec_flush_buffers(s->decoder[k]);
		s->latest_read[k] = s->latest_decoded[k] = INT64_MIN;
	}
	s->last_before = INT64_MIN;
	s->end_of_file = false;
	s->read_errors = 0;
	s->current = -1;
	s->drained = 0;
}

static int open_decoder(struct source *s, enum source_kind kind, int32_t index, struct err *e)
{
	AVFormatContext *f = media_input_format(s->input);
	if (index < 0)
		return 0;
	if ((unsigned)index >= f->nb_streams)
		return err_set_code(e, ERR_MEDIA, "DAMAGED_MEDIA", "the source has no stream %d any more", index);
	s->stream[kind] = index;
	/* One thread: frame threads would let damaged sources decode differently from run to run. */
	return media_decoder_open(f->streams[index], 1, &s->decoder[kind], e);
}

static int open_decoders(struct source *s, struct err *e)
{
	const struct ladder_spec *l = &s->task->ladder;
	int v = open_decoder(s, SOURCE_VIDEO, l->rung_count > 0 ? l->video_stream : -1, e);
	int a = open_decoder(s, SOURCE_AUDIO, l->audio_stream, e);
	if (!s->decoder[SOURCE_VIDEO] && !s->decoder[SOURCE_AUDIO])
		return a < 0 ? a : v < 0 ? v : err_set(e, ERR_INVALID, "no stream is asked for");
	AVFormatContext *f = media_input_format(s->input);
	for (unsigned i = 0; i < f->nb_streams; i++)
		if ((int)i != s->stream[SOURCE_VIDEO] && (int)i != s->stream[SOURCE_AUDIO])
			f->streams[i]->discard = AVDISCARD_ALL;
	return 0;
}

static int open_input(struct source *s, struct err *e)
{
	if (s->input)
		s->bytes_before += media_input_bytes_read(s->input);
	media_input_close(&s->input);
	for (int k = SOURCE_VIDEO; k <= SOURCE_AUDIO; k++) {
		avcodec_free_context(&s->decoder[k]);
		s->stream[k] = -1;
	}
	int r = media_input_open(s->task, 0, s->io, &s->input, e);
	if (r == 0)
		r = open_decoders(s, e);
	source_forget(s);
	s->at_start = true;
	return r;
}

/* Reads on to the first audio packet, which goes into the queue with those before it. */
static int find_first_audio(struct source *s, struct err *e)
{
	s->first_audio_pts = AV_NOPTS_VALUE;
	while (s->decoder[SOURCE_AUDIO] && s->ahead.bytes < ANCHOR_MAX_BYTES) {
		AVPacket *p = NULL;
		int r = source_read(s, &p, e);
		if (r < 0 || !p)
			return r;
		bool found = source_packet_kind(s, p) == SOURCE_AUDIO;
		if (found)
			s->first_audio_pts = p->pts;
		packet_queue_push(&s->ahead, p);
		if (found)
			return 0;
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
	int r = open_input(s, e);
	if (r == 0)
		r = find_first_audio(s, e);
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
	for (int k = SOURCE_VIDEO; k <= SOURCE_AUDIO; k++)
		avcodec_free_context(&(*s)->decoder[k]);
	media_input_close(&(*s)->input);
	free(*s);
	*s = NULL;
}

int source_rewind(struct source *s, struct err *e)
{
	return open_input(s, e);
}

/* Sound long before the place that is needed isn't worth decoding, where a seek has made its positions absolute
 * anyway. */
static bool skippable(const struct source *s, const AVPacket *p)
{
	if (s->at_start || source_packet_kind(s, p) != SOURCE_AUDIO)
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
	enum source_kind kind = source_packet_kind(s, p);
	int r = 0;
	note_latest(s, p, s->latest_decoded);
	if (kind == SOURCE_VIDEO)
		pass_over_unseen(s, p);
	if (!s->stopped[kind] && !skippable(s, p)) {
		r = avcodec_send_packet(s->decoder[kind], p);
		s->current = (int)kind;
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
	while (s->drained <= SOURCE_AUDIO) {
		int kind = s->drained++;
		if (s->decoder[kind] && !s->stopped[kind]) {
			(void)avcodec_send_packet(s->decoder[kind], NULL);
			s->current = kind;
			return true;
		}
	}
	return false;
}

/* *ret is what to tell if no decoder has anything to give after this. */
static int feed_decoder(struct source *s, enum source_kind *ret, struct err *e)
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

int source_next(struct source *s, AVFrame *frame, enum source_kind *ret, struct err *e)
{
	bool got = false;
	av_frame_unref(frame);
	int r = receive(s, frame, &got, e);
	if (r == 0 && !got) {
		r = feed_decoder(s, ret, e);
		if (r == 0)
			r = receive(s, frame, &got, e);
	}
	if (got)
		*ret = (enum source_kind)s->current;
	return r;
}

void source_stop(struct source *s, enum source_kind kind)
{
	s->stopped[kind] = true;
	if (s->current == (int)kind)
		s->current = -1;
}

int source_reaches(struct source *s, int64_t ticks, bool *ret, struct err *e)
{
	while (s->latest_read[SOURCE_VIDEO] <= ticks && s->latest_read[SOURCE_AUDIO] <= ticks) {
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

int64_t source_first_audio_pts(const struct source *s)
{
	return s->first_audio_pts;
}

int64_t source_latest_ticks(const struct source *s, enum source_kind kind)
{
	return s->latest_decoded[kind];
}

uint32_t source_decode_errors(const struct source *s)
{
	return s->decode_errors;
}

uint64_t source_bytes_read(const struct source *s)
{
	return s->bytes_before + media_input_bytes_read(s->input);
}
