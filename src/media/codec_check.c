/* Whether the codecs that jobs need work here: see media_io.h. What a distribution leaves out of libav, or what fails
 * in this machine's sandbox, shows before a job does. */
#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavutil/opt.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "media/media_io.h"

#define SIDE 128
#define RATE 48000
#define FRAMES 24 /* of pictures or sound: more than any encoder holds back */

/* A codec's way there and back. */
struct trip {
	AVCodecContext *encoder, *decoder;
	AVFrame *frame;
	AVPacket *packet;
	int frames; /* that came back */
};

static void trip_close(struct trip *t)
{
	avcodec_free_context(&t->encoder);
	avcodec_free_context(&t->decoder);
	av_frame_free(&t->frame);
	av_packet_free(&t->packet);
}

static int open_encoder(struct trip *t, const AVCodec *codec)
{
	AVCodecContext *c = t->encoder = avcodec_alloc_context3(codec);
	if (!c)
		return AVERROR(ENOMEM);
	c->time_base = (AVRational) { 1, 25 };
	c->thread_count = 1;
	c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	if (codec->type == AVMEDIA_TYPE_VIDEO) {
		c->width = c->height = SIDE;
		c->pix_fmt = codec->pix_fmts ? codec->pix_fmts[0] : AV_PIX_FMT_YUV420P;
	} else {
		c->sample_rate = RATE;
		c->time_base = (AVRational) { 1, RATE };
		c->sample_fmt = codec->sample_fmts ? codec->sample_fmts[0] : AV_SAMPLE_FMT_FLTP;
		av_channel_layout_default(&c->ch_layout, 2);
	}
	/* x265 alone has it: threads that a task may not have. */
	(void)av_opt_set(c->priv_data, "x265-params", "pools=none:frame-threads=1:wpp=0:log-level=none", 0);
	return avcodec_open2(c, codec, NULL);
}

static int open_decoder(struct trip *t)
{
	const AVCodec *codec = avcodec_find_decoder(t->encoder->codec_id);
	AVCodecParameters *p = avcodec_parameters_alloc();
	int r = codec && p ? avcodec_parameters_from_context(p, t->encoder) : AVERROR_DECODER_NOT_FOUND;
	if (r >= 0) {
		t->decoder = avcodec_alloc_context3(codec);
		r = t->decoder ? avcodec_parameters_to_context(t->decoder, p) : AVERROR(ENOMEM);
	}
	if (r >= 0) {
		t->decoder->thread_count = 1;
		r = avcodec_open2(t->decoder, codec, NULL);
	}
	avcodec_parameters_free(&p);
	return r;
}

/* A green picture, silence. */
static int make_frame(struct trip *t)
{
	AVFrame *f = t->frame = av_frame_alloc();
	t->packet = av_packet_alloc();
	if (!f || !t->packet)
		return AVERROR(ENOMEM);
	f->width = t->encoder->width;
	f->height = t->encoder->height;
	f->format =
		t->encoder->codec_type == AVMEDIA_TYPE_VIDEO ? (int)t->encoder->pix_fmt : (int)t->encoder->sample_fmt;
	f->sample_rate = t->encoder->sample_rate;
	f->nb_samples = t->encoder->frame_size;
	int r = av_channel_layout_copy(&f->ch_layout, &t->encoder->ch_layout);
	if (r >= 0)
		r = av_frame_get_buffer(f, 0);
	for (int i = 0; r >= 0 && i < AV_NUM_DATA_POINTERS && f->buf[i]; i++)
		memset(f->buf[i]->data, 0, f->buf[i]->size);
	return r;
}

static int decode(struct trip *t, const AVPacket *packet)
{
	AVFrame *out = av_frame_alloc();
	int r = out ? avcodec_send_packet(t->decoder, packet) : AVERROR(ENOMEM);
	while (r >= 0 && (r = avcodec_receive_frame(t->decoder, out)) >= 0)
		t->frames++;
	av_frame_free(&out);
	return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : r;
}

static int encode(struct trip *t, const AVFrame *frame)
{
	int r = avcodec_send_frame(t->encoder, frame);
	while (r >= 0 && (r = avcodec_receive_packet(t->encoder, t->packet)) >= 0) {
		r = decode(t, t->packet);
		av_packet_unref(t->packet);
	}
	return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : r;
}

/* What is wrong, or NULL. */
static const char *go_there_and_back(struct trip *t, const char *name)
{
	const AVCodec *codec = avcodec_find_encoder_by_name(name);
	if (!codec)
		return "libavcodec has no such encoder";
	if (open_encoder(t, codec) < 0)
		return "the encoder can't be opened";
	if (open_decoder(t) < 0)
		return "there is no decoder for what it makes";
	if (make_frame(t) < 0)
		return "no memory for a frame";
	int r = 0;
	for (int i = 0; r >= 0 && i < FRAMES; i++) {
		t->frame->pts = t->encoder->codec_type == AVMEDIA_TYPE_VIDEO ? i : (int64_t)i * t->encoder->frame_size;
		r = av_frame_make_writable(t->frame);
		if (r >= 0)
			r = encode(t, t->frame);
	}
	if (r >= 0)
		r = encode(t, NULL);
	if (r >= 0)
		r = decode(t, NULL);
	return r < 0 ? "encoding or decoding fails" : t->frames ? NULL : "nothing comes back";
}

static int check_encoders(media_finding_fn fn, void *ctx, struct err *e)
{
	static const char *const names[] = { "libx264",   "libx265", "aac",   "libmp3lame", "libopus",
					     "libvorbis", "flac",    "mjpeg", "png" };
	int r = 0;
	for (size_t i = 0; r == 0 && i < MR_ARRAY_SIZE(names); i++) {
		struct trip t = { 0 };
		const char *problem = go_there_and_back(&t, names[i]);
		trip_close(&t);
		r = fn(ctx, names[i], problem, e);
	}
	return r;
}

int media_check_codecs(media_finding_fn fn, void *ctx, struct err *e)
{
	static const enum AVCodecID decoders[] = {
		AV_CODEC_ID_VP8,        AV_CODEC_ID_VP9,    AV_CODEC_ID_AV1,       AV_CODEC_ID_MPEG4,
		AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_PRORES, AV_CODEC_ID_DNXHD,     AV_CODEC_ID_AC3,
		AV_CODEC_ID_EAC3,       AV_CODEC_ID_ALAC,   AV_CODEC_ID_PCM_S16LE, AV_CODEC_ID_WMAV2,
	};
	static const char *const filters[] = { "buffer", "buffersink", "bwdif", "zscale", "tonemap" };
	int r = check_encoders(fn, ctx, e);
	for (size_t i = 0; r == 0 && i < MR_ARRAY_SIZE(decoders); i++)
		r = fn(ctx, avcodec_get_name(decoders[i]),
		       avcodec_find_decoder(decoders[i]) ? NULL : "libavcodec has no such decoder", e);
	for (size_t i = 0; r == 0 && i < MR_ARRAY_SIZE(filters); i++)
		r = fn(ctx, filters[i], avfilter_get_by_name(filters[i]) ? NULL : "libavfilter has no such filter", e);
	return r;
}
