/* Single pictures of a video. Runs in a sandboxed child of millrace-task. */
#include "media/keyframes.h"

#include "base/mem.h"
#include "media/averror.h"
#include "media/input.h"
#include "media/source.h"

#define READ_ERRORS_MAX 64
/* What is read for one keyframe after a seek: a long GOP of a fat film. */
#define SEARCH_MAX_BYTES (32u << 20)
#define SEARCH_MAX_PACKETS 4000
/* What FRAMES_READ looks through. */
#define FRAMES_MAX 1500
#define FRAMES_MAX_BYTES (64u << 20)

struct keyframes {
	const struct task_spec *task;
	enum keyframes_mode mode;
	struct media_input *input;
	AVCodecContext *decoder;
	AVPacket *packet;
	const AVStream *stream;
	int64_t last_ticks; /* of the last picture given; INT64_MIN: none yet */
	uint32_t frames;
	bool draining, end;
};

const AVStream *keyframes_stream(const struct keyframes *k)
{
	return k->stream;
}

static int64_t ticks_of(const struct keyframes *k, int64_t pts)
{
	return source_rescale(pts, k->stream->time_base, k->task->analyze.origin_ns, VIDEO_TIMESCALE);
}

/* The next packet of the stream in k->packet: 1, 0 at the end (or after too many errors), or an error of io->read. */
static int read_packet(struct keyframes *k, struct err *e)
{
	unsigned errors = 0;
	for (;;) {
		int r = av_read_frame(media_input_format(k->input), k->packet);
		if (media_input_failed(k->input) || r == AVERROR(ENOMEM))
			return media_input_error(k->input, r, e, "read the pictures");
		if (r == AVERROR_EOF || (r < 0 && ++errors >= READ_ERRORS_MAX))
			return 0;
		if (r < 0)
			continue;
		errors = 0;
		if (k->packet->stream_index == k->stream->index)
			return 1;
		av_packet_unref(k->packet);
	}
}

/* ---- by seeking ---- */

/* The next keyframe's packet: 1; 0 where none comes soon. */
static int find_keyframe(struct keyframes *k, struct err *e)
{
	uint64_t until = media_input_bytes_read(k->input) + SEARCH_MAX_BYTES;
	for (int i = 0; i < SEARCH_MAX_PACKETS && media_input_bytes_read(k->input) < until; i++) {
		int r = read_packet(k, e);
		if (r <= 0)
			return r;
		if (k->packet->flags & AV_PKT_FLAG_KEY)
			return 1;
		av_packet_unref(k->packet);
	}
	return 0;
}

/* One packet in, one picture out, the decoder empty afterwards. */
static bool decode_alone(struct keyframes *k, AVFrame *frame)
{
	bool got = avcodec_send_packet(k->decoder, k->packet) >= 0 && avcodec_send_packet(k->decoder, NULL) >= 0 &&
		   avcodec_receive_frame(k->decoder, frame) >= 0;
	avcodec_flush_buffers(k->decoder);
	return got;
}

static int seek_keyframe(struct keyframes *k, int64_t ticks, AVFrame *frame, int64_t *ret_ticks, bool *ret_found,
			 struct err *e)
{
	int64_t ns = k->task->analyze.origin_ns + av_rescale(ticks, 1000000000, VIDEO_TIMESCALE);
	int64_t ts = av_rescale_q(ns, av_make_q(1, 1000000000), k->stream->time_base);
	int r = av_seek_frame(media_input_format(k->input), k->stream->index, ts, AVSEEK_FLAG_BACKWARD);
	if (media_input_failed(k->input))
		return media_input_error(k->input, r, e, "seek a picture");
	if (r < 0)
		return 0;
	r = find_keyframe(k, e);
	if (r <= 0)
		return r;
	/* decode times are enough to know it again, and there is one where there is no other */
	int64_t at = ticks_of(k, k->packet->pts != AV_NOPTS_VALUE ? k->packet->pts : k->packet->dts);
	if (at != INT64_MIN && (k->last_ticks == INT64_MIN || at > k->last_ticks) && decode_alone(k, frame)) {
		*ret_ticks = k->last_ticks = at;
		*ret_found = true;
	}
	av_packet_unref(k->packet);
	return 0;
}

/* ---- by reading ---- */

static bool exhausted(const struct keyframes *k)
{
	return k->mode == FRAMES_READ &&
	       (k->frames >= FRAMES_MAX || media_input_bytes_read(k->input) >= FRAMES_MAX_BYTES);
}

/* A frame that is later than the last and not before `ticks`: true. Without a time it takes the place that was asked for. */
static bool accept(struct keyframes *k, int64_t ticks, const AVFrame *frame, int64_t *ret_ticks)
{
	int64_t at = ticks_of(k, frame->best_effort_timestamp);
	k->frames++;
	if (at == INT64_MIN)
		at = ticks;
	if (at < ticks || at <= k->last_ticks)
		return false;
	*ret_ticks = k->last_ticks = at;
	return true;
}

static int read_on(struct keyframes *k, int64_t ticks, AVFrame *frame, int64_t *ret_ticks, bool *ret_found, struct err *e)
{
	while (!k->end && !exhausted(k)) {
		av_frame_unref(frame);
		int r = avcodec_receive_frame(k->decoder, frame);
		if (r >= 0 && accept(k, ticks, frame, ret_ticks)) {
			*ret_found = true;
			return 0;
		}
		if (r >= 0)
			continue;
		k->end = k->draining;
		if (k->draining)
			continue;
		r = read_packet(k, e);
		if (r < 0)
			return r;
		k->draining = r == 0;
		/* what the decoder refuses is passed over */
		if (k->draining || k->mode == FRAMES_READ || (k->packet->flags & AV_PKT_FLAG_KEY))
			(void)!avcodec_send_packet(k->decoder, k->draining ? NULL : k->packet);
		av_packet_unref(k->packet);
	}
	return 0;
}

int keyframes_at(struct keyframes *k, int64_t ticks, AVFrame *frame, int64_t *ret_ticks, bool *ret_found, struct err *e)
{
	bool found = false;
	av_frame_unref(frame);
	int r = k->mode == KEYFRAMES_SEEK ? seek_keyframe(k, ticks, frame, ret_ticks, &found, e)
					  : read_on(k, ticks, frame, ret_ticks, &found, e);
	if (r == 0)
		*ret_found = found;
	return r;
}

/* ---- life ---- */

static int open_stream(struct keyframes *k, struct err *e)
{
	AVFormatContext *f = media_input_format(k->input);
	int32_t index = k->task->analyze.video_stream;
	if (index < 0 || (unsigned)index >= f->nb_streams)
		return err_set_code(e, ERR_MEDIA, "DAMAGED_MEDIA", "the source has no stream %d any more", index);
	k->stream = f->streams[index];
	for (unsigned i = 0; i < f->nb_streams; i++)
		f->streams[i]->discard = (int32_t)i == index ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
	int r = media_decoder_open(k->stream, 1, &k->decoder, e);
	if (r == 0 && k->mode != FRAMES_READ) {
		k->decoder->skip_frame = AVDISCARD_NONKEY;
		/* open GOPs: a picture whose leading ones are missing is whole itself */
		k->decoder->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT;
	}
	return r;
}

int keyframes_open(const struct task_spec *task, const struct media_io *io, enum keyframes_mode mode, struct keyframes **ret,
		   struct err *e)
{
	struct keyframes *k = mr_calloc(1, sizeof(*k));
	*k = (struct keyframes){ .task = task, .mode = mode, .last_ticks = INT64_MIN, .packet = av_packet_alloc() };
	int r = k->packet ? media_input_open(task, 0, io, &k->input, e)
			  : averror_internal(e, AVERROR(ENOMEM), "read the pictures");
	if (r == 0)
		r = open_stream(k, e);
	if (r < 0) {
		keyframes_close(&k);
		return r;
	}
	*ret = k;
	return 0;
}

void keyframes_close(struct keyframes **k)
{
	if (!*k)
		return;
	avcodec_free_context(&(*k)->decoder);
	av_packet_free(&(*k)->packet);
	media_input_close(&(*k)->input);
	free(*k);
	*k = NULL;
}
