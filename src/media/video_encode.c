/* libx264 set up for chunks, and what all encoders have in common: see video_encode.h. */
#include "media/video_encode.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/opt.h>
#include <stdio.h>

#include "media/averror.h"
#include "media/video_hevc.h"

/* keyint=infinite: every IDR is one that was asked for (cadence.c). cpu-independent: the same decisions on every CPU.
 * vbv: capped by maxrate and bufsize; no HRD parameters, whose initial delays would make the headers differ. */
#define X264_PARAMS "keyint=infinite:min-keyint=1:scenecut=0:open-gop=0:nal-hrd=none:cpu-independent=1"
/* Pictures above this size are encoded by one thread whatever the plan says: each thread of x264 keeps pictures of its own,
 * and four of them are 100 MB at 1080p. The smaller rungs' threads and decoding still share the work of a chunk. (Threads
 * that share each picture, sliced-threads, would need no more memory, but their output differs from run to run.) */
#define THREADS_MAX_PIXELS (1280 * 720)

static int threads_of(const struct ladder_spec *spec, const struct ladder_rung *rung)
{
	if (spec->video_threads == 0 || rung->width * rung->height > THREADS_MAX_PIXELS)
		return 1;
	return (int)spec->video_threads;
}

static int set_h264(AVCodecContext *c, const struct ladder_spec *spec, const struct ladder_rung *rung)
{
	c->level = (int)rung->level_x10;
	c->thread_count = threads_of(spec, rung);
	int r = av_opt_set(c->priv_data, "preset", "veryfast", 0);
	if (r >= 0)
		r = av_opt_set_double(c->priv_data, "crf", rung->crf_x10 / 10.0, 0);
	if (r >= 0)
		r = av_opt_set(c->priv_data, "profile", rung->profile, 0);
	if (r >= 0)
		r = av_opt_set_int(c->priv_data, "forced-idr", 1, 0);
	if (r >= 0)
		r = av_opt_set_int(c->priv_data, "a53cc", 0, 0);
	if (r >= 0)
		r = av_opt_set(c->priv_data, "x264-params", X264_PARAMS, 0);
	return r;
}

int video_encoder_open(const struct ladder_spec *spec, uint32_t rung_index, const struct video_color *color, AVCodecContext **ret,
		       struct err *e)
{
	const struct ladder_rung *rung = &spec->rungs[rung_index];
	const bool hevc = rung->codec == VIDEO_HEVC;
	const char *name = hevc ? "libx265" : "libx264";
	const AVCodec *codec = avcodec_find_encoder_by_name(name);
	AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
	if (!c)
		return codec ? err_set(e, ERR_INTERNAL, "no memory for an encoder")
			     : err_set(e, ERR_INTERNAL, "libavcodec has no %s", name);
	c->width = (int)rung->width;
	c->height = (int)rung->height;
	c->pix_fmt = AV_PIX_FMT_YUV420P;
	c->sample_aspect_ratio = (AVRational){ 1, 1 };
	c->time_base = av_make_q(1, (int)VIDEO_TIMESCALE);
	const uint32_t frame_ticks = rung->frame_ticks ? rung->frame_ticks : spec->frame_ticks;
	c->framerate = av_make_q((int)VIDEO_TIMESCALE, frame_ticks > 0 ? (int)frame_ticks : 3600);
	c->color_range = AVCOL_RANGE_MPEG;
	c->colorspace = color->space;
	c->color_primaries = color->primaries;
	c->color_trc = color->transfer;
	c->chroma_sample_location = AVCHROMA_LOC_LEFT;
	c->rc_max_rate = rung->maxrate_bps;
	c->rc_buffer_size = (int)rung->bufsize_bits;
	c->flags |= (int)(AV_CODEC_FLAG_CLOSED_GOP | AV_CODEC_FLAG_BITEXACT);
	if (spec->container == CONTAINER_FMP4)
		c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	int r = hevc ? video_hevc_set(c, rung) : set_h264(c, spec, rung);
	if (r >= 0)
		r = avcodec_open2(c, codec, NULL);
	if (r < 0) {
		avcodec_free_context(&c);
		return averror_internal(e, r, hevc ? "open the HEVC encoder" : "open the H.264 encoder");
	}
	*ret = c;
	return 0;
}

static int receive_all(AVCodecContext *enc, encoder_sink *sink, void *ctx, struct err *e)
{
	for (;;) {
		AVPacket *p = av_packet_alloc();
		if (!p)
			return averror_internal(e, AVERROR(ENOMEM), "encode");
		int r = avcodec_receive_packet(enc, p);
		if (r < 0) {
			av_packet_free(&p);
			if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
				return 0;
			return averror_internal(e, r, "encode");
		}
		r = sink(ctx, p, e);
		if (r < 0)
			return r;
	}
}

int encoder_send(AVCodecContext *enc, const AVFrame *frame, encoder_sink *sink, void *ctx, struct err *e)
{
	int r = avcodec_send_frame(enc, frame);
	if (r < 0)
		return averror_internal(e, r, "encode a frame");
	return receive_all(enc, sink, ctx, e);
}

int video_codec_string(enum AVCodecID codec, const uint8_t *headers, size_t len, char *out, size_t out_size,
		       struct err *e)
{
	const uint8_t *b = headers;
	if (codec == AV_CODEC_ID_HEVC)
		return video_hevc_codec_string(b, len, out, out_size, e);
	if (len > 4 && b[0] == 1) { /* an avcC record has the same three bytes at its beginning */
		(void)snprintf(out, out_size, "avc1.%02X%02X%02X", b[1], b[2], b[3]);
		return 0;
	}
	for (size_t i = 0; i + 6 < len; i++) {
		if (b[i] != 0 || b[i + 1] != 0 || b[i + 2] != 1 || (b[i + 3] & 0x1f) != 7)
			continue;
		/* profile_idc, constraint flags and level_idc follow the NAL unit's header */
		(void)snprintf(out, out_size, "avc1.%02X%02X%02X", b[i + 4], b[i + 5], b[i + 6]);
		return 0;
	}
	return err_set(e, ERR_INTERNAL, "the encoder gave no sequence parameters");
}
