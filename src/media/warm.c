/* What libav does once per process, done in the zygote: log callback, tables, CPU detection. Children inherit the result, and none
 * of them needs to open a file or load a library for it later, which its sandbox would refuse. */
#include <stdbool.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <libswscale/swscale.h>

#include "base/mem.h"
#include "media/media_io.h"

/* libav's messages quote the media and would go to stderr; errors travel as values instead. */
static void no_log(void *ctx, int level, const char *fmt, va_list ap)
{
	(void)ctx;
	(void)level;
	(void)fmt;
	(void)ap;
}

void media_init(void)
{
	av_log_set_level(AV_LOG_QUIET);
	av_log_set_callback(no_log);
}

static void warm_decoder(enum AVCodecID id)
{
	const AVCodec *codec = avcodec_find_decoder(id);
	AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
	if (c && avcodec_open2(c, codec, NULL) < 0)
		avcodec_free_context(&c); /* some want parameters first; their tables are made by then */
	avcodec_free_context(&c);
}

static void run_encoder(AVCodecContext *c)
{
	AVFrame *f = av_frame_alloc();
	AVPacket *p = av_packet_alloc();
	if (f && p) {
		if (c->codec_type == AVMEDIA_TYPE_VIDEO) {
			f->width = c->width;
			f->height = c->height;
			f->format = c->pix_fmt;
		} else {
			f->nb_samples = c->frame_size;
			f->sample_rate = c->sample_rate;
			f->format = c->sample_fmt;
			(void)av_channel_layout_copy(&f->ch_layout, &c->ch_layout);
		}
		f->pts = 0;
		bool ready = av_frame_get_buffer(f, 0) >= 0;
		/* Silence, a green picture: chance bytes read as floats can keep AAC's search for scale factors busy
		 * for seconds. */
		for (int i = 0; ready && i < AV_NUM_DATA_POINTERS && f->buf[i]; i++)
			memset(f->buf[i]->data, 0, f->buf[i]->size);
		if (ready && avcodec_send_frame(c, f) >= 0 && avcodec_send_frame(c, NULL) >= 0)
			while (avcodec_receive_packet(c, p) >= 0)
				av_packet_unref(p);
	}
	av_packet_free(&p);
	av_frame_free(&f);
}

static void warm_encoder(const char *name)
{
	const AVCodec *codec = avcodec_find_encoder_by_name(name);
	AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
	if (!c)
		return;
	if (codec->type == AVMEDIA_TYPE_VIDEO) {
		c->width = c->height = 64;
		c->pix_fmt = AV_PIX_FMT_YUV420P;
	} else {
		c->sample_rate = 48000;
		c->sample_fmt = codec->sample_fmts ? codec->sample_fmts[0] : AV_SAMPLE_FMT_FLTP;
		av_channel_layout_default(&c->ch_layout, 2);
	}
	c->time_base = (AVRational){ 1, 25 };
	c->thread_count = 1;
	if (avcodec_open2(c, codec, NULL) >= 0)
		run_encoder(c);
	avcodec_free_context(&c);
}

void media_warm_up(void)
{
	static const enum AVCodecID decoders[] = {
		AV_CODEC_ID_H264,   AV_CODEC_ID_HEVC,	 AV_CODEC_ID_VP8,  AV_CODEC_ID_VP9,    AV_CODEC_ID_AV1, AV_CODEC_ID_MPEG4,
		AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MJPEG, AV_CODEC_ID_AAC,  AV_CODEC_ID_MP3,  AV_CODEC_ID_AC3, AV_CODEC_ID_OPUS,
		AV_CODEC_ID_VORBIS, AV_CODEC_ID_FLAC,
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(decoders); i++)
		warm_decoder(decoders[i]);
	warm_encoder("libx264");
	warm_encoder("aac");
	warm_encoder("libmp3lame");
	warm_encoder("libopus");
	struct SwsContext *scale = sws_getContext(64, 64, AV_PIX_FMT_YUV420P, 32, 32, AV_PIX_FMT_YUV420P, SWS_BICUBIC,
						  NULL, NULL, NULL);
	sws_freeContext(scale);
}

void media_warm_up_rest(void)
{
	warm_encoder("libvorbis");
	warm_encoder("flac");
}
