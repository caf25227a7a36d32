/* Encoding single pictures. Runs in a sandboxed child of millrace-task. */
#include "media/still.h"

#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>

#include "media/averror.h"

AVFrame *still_frame(enum AVPixelFormat format, int width, int height)
{
	AVFrame *f = av_frame_alloc();
	if (!f)
		return NULL;
	f->format = format;
	f->width = width;
	f->height = height;
	if (av_frame_get_buffer(f, 0) < 0)
		av_frame_free(&f);
	return f;
}

static int encode(AVCodecContext *c, const AVFrame *frame, AVPacket *packet, struct buf *out)
{
	int r = avcodec_send_frame(c, frame);
	if (r >= 0)
		r = avcodec_send_frame(c, NULL);
	if (r >= 0)
		r = avcodec_receive_packet(c, packet);
	if (r >= 0 && !buf_append(out, packet->data, (size_t)packet->size))
		r = AVERROR(ENOSPC);
	return r;
}

static int encode_with(enum AVCodecID id, const AVFrame *frame, int quality, struct buf *out, struct err *e)
{
	const AVCodec *codec = avcodec_find_encoder(id);
	AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
	AVPacket *packet = av_packet_alloc();
	int r = c && packet ? 0 : AVERROR(ENOMEM);
	if (r >= 0) {
		c->width = frame->width;
		c->height = frame->height;
		c->pix_fmt = frame->format;
		c->time_base = (AVRational){ 1, 25 };
		c->thread_count = 1;
		c->flags |= AV_CODEC_FLAG_BITEXACT;
		if (quality) {
			c->flags |= AV_CODEC_FLAG_QSCALE;
			c->global_quality = FF_QP2LAMBDA * quality;
		}
		r = avcodec_open2(c, codec, NULL);
	}
	if (r >= 0)
		r = encode(c, frame, packet, out);
	av_packet_free(&packet);
	avcodec_free_context(&c);
	return r < 0 ? averror_internal(e, r, "encode a picture") : 0;
}

static int to_full_range(const AVFrame *in, enum AVColorSpace space, AVFrame *out)
{
	struct SwsContext *sws = sws_getContext(in->width, in->height, AV_PIX_FMT_YUV420P, out->width, out->height,
						AV_PIX_FMT_YUVJ420P, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT, NULL,
						NULL, NULL);
	if (!sws)
		return AVERROR(ENOMEM);
	int r = sws_setColorspaceDetails(sws, sws_getCoefficients((int)space), 0, sws_getCoefficients(SWS_CS_ITU601), 1, 0,
					 1 << 16, 1 << 16);
	if (r >= 0)
		r = sws_scale(sws, (const uint8_t *const *)in->data, in->linesize, 0, in->height, out->data, out->linesize);
	sws_freeContext(sws);
	return r;
}

int still_jpeg(const AVFrame *yuv420p, enum AVColorSpace space, int quality, struct buf *out, struct err *e)
{
	AVFrame *full = still_frame(AV_PIX_FMT_YUVJ420P, yuv420p->width, yuv420p->height);
	int r = full ? to_full_range(yuv420p, space, full) : AVERROR(ENOMEM);
	if (r >= 0) {
		full->pts = 0;
		full->color_range = AVCOL_RANGE_JPEG;
		full->quality = FF_QP2LAMBDA * quality;
		r = encode_with(AV_CODEC_ID_MJPEG, full, quality, out, e);
	} else {
		r = averror_internal(e, r, "convert a picture");
	}
	av_frame_free(&full);
	return r;
}

int still_png(const AVFrame *rgba, struct buf *out, struct err *e)
{
	return encode_with(AV_CODEC_ID_PNG, rgba, 0, out, e);
}
