/* A narration's voice alone, at the narration's times, as MP3. Runs in a sandboxed child of millrace-task; one thread.
 *
 * Guarantees: the same bytes for the same specification and sounds; memory is that of one sentence and one part, however long it
 * is.
 */
#include <errno.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>

#include "base/buf.h"
#include "media/averror.h"
#include "media/media_io.h"
#include "media/narrate_order.h"
#include "media/voice.h"

#define BITRATE 64000
#define EFFORT 7 /* LAME's quality, 0 best to 9: a voice at this rate sounds the same, in half the time */
#define PART_BYTES (256u << 10)

struct track {
	const struct media_io *io;
	AVCodecContext *encoder;
	AVFrame *frame;
	AVPacket *packet;
	int fill;	 /* samples in the frame */
	int64_t samples; /* so far */
	struct buf part;
	uint32_t part_count;
	uint64_t bytes;
};

static int open_encoder(struct track *t, struct err *e)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("libmp3lame");
	AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
	t->encoder = c;
	t->frame = av_frame_alloc();
	t->packet = av_packet_alloc();
	if (!c || !t->frame || !t->packet)
		return err_set(e, ERR_INTERNAL, codec ? "no memory for an encoder" : "libavcodec has no MP3 encoder");
	c->sample_fmt = AV_SAMPLE_FMT_FLTP;
	c->sample_rate = NARRATE_RATE;
	c->bit_rate = BITRATE;
	c->compression_level = EFFORT;
	c->time_base = av_make_q(1, NARRATE_RATE);
	c->thread_count = 1;
	c->flags |= AV_CODEC_FLAG_BITEXACT;
	av_channel_layout_default(&c->ch_layout, 1);
	int r = avcodec_open2(c, codec, NULL);
	if (r < 0)
		return averror_internal(e, r, "open the MP3 encoder");
	t->frame->format = AV_SAMPLE_FMT_FLTP;
	t->frame->sample_rate = NARRATE_RATE;
	t->frame->nb_samples = c->frame_size;
	av_channel_layout_default(&t->frame->ch_layout, 1);
	r = av_frame_get_buffer(t->frame, 0);
	return r < 0 ? averror_internal(e, r, "make a frame") : 0;
}

static void close_encoder(struct track *t)
{
	av_packet_free(&t->packet);
	av_frame_free(&t->frame);
	avcodec_free_context(&t->encoder);
	buf_release(&t->part);
}

static int send_part(struct track *t, struct err *e)
{
	if (!t->part.len)
		return 0;
	const struct task_object o = { .kind = TASK_OBJECT_PART, .index = t->part_count++, .size_bytes = t->part.len };
	int r = t->io->object(t->io->ctx, &o, t->part.data, e);
	t->bytes += t->part.len;
	buf_clear(&t->part);
	return r;
}

/* `frame` NULL: there are no more. */
static int encode(struct track *t, const AVFrame *frame, struct err *e)
{
	int r = avcodec_send_frame(t->encoder, frame);
	while (r >= 0 && (r = avcodec_receive_packet(t->encoder, t->packet)) >= 0) {
		buf_append(&t->part, t->packet->data, (size_t)t->packet->size);
		av_packet_unref(t->packet);
		if (buf_finish(&t->part, e) < 0 || (t->part.len >= PART_BYTES && send_part(t, e) < 0))
			return -(int)e->kind;
	}
	return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : averror_internal(e, r, "encode the voice");
}

static int next_frame(struct track *t, struct err *e)
{
	const int size = t->frame->nb_samples;
	t->frame->pts = t->samples - size;
	int r = encode(t, t->frame, e);
	if (r == 0 && av_frame_make_writable(t->frame) < 0)
		r = err_set(e, ERR_INTERNAL, "no memory for a frame");
	t->fill = 0;
	return r;
}

/* `samples` NULL: silence. */
static int put(struct track *t, const float *samples, int64_t count, struct err *e)
{
	int r = 0;
	while (r == 0 && count > 0) {
		const int room = t->frame->nb_samples - t->fill, n = count < room ? (int)count : room;
		float *to = (float *)(void *)t->frame->data[0] + t->fill;
		if (samples)
			memcpy(to, samples, (size_t)n * sizeof(*to));
		else
			memset(to, 0, (size_t)n * sizeof(*to));
		samples = samples ? samples + n : NULL;
		t->fill += n;
		t->samples += n;
		count -= n;
		if (t->fill == t->frame->nb_samples)
			r = next_frame(t, e);
	}
	return r;
}

static int finish(struct track *t, struct err *e)
{
	int r = t->fill ? put(t, NULL, t->frame->nb_samples - t->fill, e) : 0;
	if (r == 0)
		r = encode(t, NULL, e);
	return r < 0 ? r : send_part(t, e);
}

static int speak_all(struct track *t, const struct narrate_spec *spec, struct err *e)
{
	struct narrate_order o;
	int r = 0;
	narrate_order_init(&o, spec);
	while (r == 0 && narrate_order_next(&o)) {
		struct voice v = { 0 };
		r = put(t, NULL, o.at - t->samples, e);
		if (r == 0)
			r = voice_load(t->io, o.sentence, spec->target_mlufs, &v, e);
		if (r == 0)
			r = put(t, v.samples, v.count, e);
		o.at = t->samples;
		voice_release(&v);
	}
	return r < 0 ? r : put(t, NULL, o.at - t->samples, e);
}

int media_voice(const struct task_spec *task, const struct media_io *io, struct voice_result *ret, struct err *e)
{
	struct track t = { .io = io };
	struct err why = { 0 };
	buf_init(&t.part, 2 * PART_BYTES);
	int r = open_encoder(&t, &why);
	if (r == 0)
		r = speak_all(&t, &task->narrate, &why);
	int64_t samples = t.samples;
	if (r == 0)
		r = finish(&t, &why);
	close_encoder(&t);
	if (r < 0)
		return err_copy(e, &why);
	*ret = (struct voice_result){ .samples = samples, .bytes = t.bytes };
	return 0;
}
