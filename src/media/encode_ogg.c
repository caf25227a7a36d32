/* Vorbis and Opus in Ogg: the whole stream in one piece, pages as they come. Runs in a sandboxed child of millrace-task.
 *
 * The stream's first pages hold the tags, and the cover as a METADATA_BLOCK_PICTURE among them, as the formats'
 * specifications say. Granule positions tell of the encoder's delay and cut the last packet, so that as many samples come out
 * as went in.
 */
#include <errno.h>
#include <libavutil/base64.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/pixdesc.h>
#include <string.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/encode.h"
#include "media/encode_codec.h"
#include "media/mux_memory.h"
#include "media/tags.h"

#define PAGES_MAX_BYTES (64u << 20) /* the first pages with a cover; afterwards what one packet completes */

struct ogg {
	struct convert_out *out;
	struct encode_codec codec;
	AVFormatContext *muxer;
	struct buf pages;
};

static int pass_on(struct ogg *o, struct err *e)
{
	avio_flush(o->muxer->pb);
	int r = buf_finish(&o->pages, e);
	if (r == 0 && o->pages.len)
		r = convert_out_bytes(o->out, o->pages.data, o->pages.len, e);
	buf_clear(&o->pages);
	return r;
}

static int take_packet(void *ctx, AVPacket *packet, struct err *e)
{
	struct ogg *o = ctx;
	packet->stream_index = 0;
	av_packet_rescale_ts(packet, o->codec.encoder->time_base, o->muxer->streams[0]->time_base);
	int r = av_write_frame(o->muxer, packet);
	av_packet_free(&packet);
	return r < 0 ? averror_internal(e, r, "write an Ogg packet") : pass_on(o, e);
}

/* Bits of a pixel as it is shown, of a JPEG or PNG; 0: not known. */
static uint32_t depth_of(const AVCodecParameters *picture)
{
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)picture->format);
	if (picture->codec_id != AV_CODEC_ID_PNG || (d && d->flags & AV_PIX_FMT_FLAG_PAL))
		return 24;
	return d ? (uint32_t)av_get_bits_per_pixel(d) : 0;
}

/* FLAC's picture block (RFC 9639, 8.8) in base64: size and depth are told together, or not at all. */
static int picture_comment(const struct tags *t, char **ret)
{
	const char *mime = t->picture->codec_id == AV_CODEC_ID_PNG ? "image/png" : "image/jpeg";
	const size_t mime_len = strlen(mime), len = 32 + mime_len + (size_t)t->cover->size;
	_cleanup_free_ uint8_t *block = mr_calloc(1, len);
	const size_t text = AV_BASE64_SIZE(len);
	char *out = malloc(text);
	if (!out)
		return AVERROR(ENOMEM);
	AV_WB32(block, 3); /* front cover */
	AV_WB32(block + 4, (uint32_t)mime_len);
	memcpy(block + 8, mime, mime_len + 1); /* its end falls on a zero */
	uint8_t *p = block + 8 + mime_len;
	const uint32_t depth = depth_of(t->picture);
	if (t->picture->width > 1 && depth) {
		AV_WB32(p + 4, (uint32_t)t->picture->width);
		AV_WB32(p + 8, (uint32_t)t->picture->height);
		AV_WB32(p + 12, depth);
	}
	AV_WB32(p + 20, (uint32_t)t->cover->size);
	memcpy(p + 24, t->cover->data, (size_t)t->cover->size);
	(void)av_base64_encode(out, (int)text, block, (int)len);
	*ret = out;
	return 0;
}

static int set_tags(struct ogg *o, const struct encode_job *job)
{
	struct tags t = { 0 };
	int r = job->source ? tags_read(&t, job->source, job->spec->stream, job->spec->gain_mb != 0) : 0;
	if (r >= 0)
		r = tags_copy_text(&t, o->muxer);
	if (r >= 0 && t.cover) {
		char *picture = NULL;
		r = picture_comment(&t, &picture);
		if (r >= 0)
			r = av_dict_set(&o->muxer->metadata, "METADATA_BLOCK_PICTURE", picture, 0);
		free(picture);
	}
	tags_release(&t);
	return r;
}

static int open_muxer(struct ogg *o, const struct encode_job *job)
{
	AVCodecParameters *par = avcodec_parameters_alloc();
	int r = par ? avcodec_parameters_from_context(par, o->codec.encoder) : AVERROR(ENOMEM);
	const char *name = job->spec->format == CONVERT_OPUS ? "opus" : "ogg";
	if (r >= 0)
		r = mux_memory_open(name, par, o->codec.encoder->time_base, &o->pages, &o->muxer);
	if (r >= 0) {
		o->muxer->streams[0]->codecpar->initial_padding = par->initial_padding;
		r = set_tags(o, job);
	}
	avcodec_parameters_free(&par);
	return r < 0 ? r : avformat_write_header(o->muxer, NULL);
}

static void ogg_close(void *encoder)
{
	struct ogg *o = encoder;
	encode_codec_release(&o->codec);
	mux_memory_close(&o->muxer);
	buf_release(&o->pages);
	free(o);
}

static int ogg_open(const struct encode_job *job, void **ret, struct err *e)
{
	struct ogg *o = mr_calloc(1, sizeof(*o));
	o->out = job->out;
	buf_init(&o->pages, PAGES_MAX_BYTES);
	int r = encode_codec_open(&o->codec, job, take_packet, o, e);
	if (r == 0) {
		int averror = open_muxer(o, job);
		r = averror < 0 ? averror_internal(e, averror, "open the Ogg muxer") : 0;
	}
	if (r < 0) {
		ogg_close(o);
		return r;
	}
	*ret = o;
	return 0;
}

static int ogg_samples(void *encoder, const float *const *planes, int count, struct err *e)
{
	struct ogg *o = encoder;
	return encode_codec_samples(&o->codec, planes, count, e);
}

static int ogg_finish(void *encoder, int64_t total, struct err *e)
{
	struct ogg *o = encoder;
	(void)total;
	int r = encode_codec_finish(&o->codec, e);
	if (r < 0)
		return r;
	int averror = av_write_trailer(o->muxer);
	return averror < 0 ? averror_internal(e, averror, "finish the Ogg stream") : pass_on(o, e);
}

const struct encode_family encode_ogg = { ogg_open, ogg_samples, ogg_finish, ogg_close };
