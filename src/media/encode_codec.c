/* libavcodec's encoders for conversions: see encode_codec.h. */
#include "media/encode_codec.h"

#include <errno.h>
#include <libavutil/opt.h>
#include <string.h>

#include "media/aac_search.h"
#include "media/averror.h"

#define OPUS_MAX_BPS_A_CHANNEL 256000
/* Of LAME's algorithms, 0 (best) to 9: none that shapes noise, which is half of its work; its psychoacoustics stay. */
#define MP3_QUICK 7
#define FRAME_MAX ((int)MR_ARRAY_SIZE(((struct encode_codec *)0)->planes[0]))

static const char *encoder_name(enum convert_format format)
{
	switch (format) {
	case CONVERT_MP3:
		return "libmp3lame";
	case CONVERT_OGG:
		return "libvorbis";
	case CONVERT_OPUS:
		return "libopus";
	case CONVERT_FLAC:
		return "flac";
	case CONVERT_AAC:
	case CONVERT_M4A:
	case CONVERT_WAV:
		break;
	}
	return "aac";
}

static enum AVSampleFormat encoder_format(const struct convert_spec *s)
{
	if (s->format == CONVERT_FLAC)
		return s->sample == SAMPLE_S16 ? AV_SAMPLE_FMT_S16 : AV_SAMPLE_FMT_S32;
	return s->format == CONVERT_OPUS ? AV_SAMPLE_FMT_FLT : AV_SAMPLE_FMT_FLTP;
}

static void set_rate(AVCodecContext *c, const struct convert_spec *s)
{
	if (s->format == CONVERT_OPUS && s->bitrate_bps > s->channels * OPUS_MAX_BPS_A_CHANNEL) {
		c->bit_rate = (int64_t)s->channels * OPUS_MAX_BPS_A_CHANNEL;
	} else if (s->bitrate_bps) {
		c->bit_rate = s->bitrate_bps;
	} else if (s->format != CONVERT_FLAC) {
		c->flags |= AV_CODEC_FLAG_QSCALE;
		c->global_quality = (int)s->quality * FF_QP2LAMBDA;
	}
}

static int set_up(AVCodecContext *c, const struct convert_spec *s)
{
	c->sample_fmt = encoder_format(s);
	c->sample_rate = (int)s->rate;
	c->time_base = av_make_q(1, c->sample_rate);
	c->thread_count = 1;
	/* bitexact: no version in the stream */
	c->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
	set_rate(c, s);
	if (s->format == CONVERT_FLAC) {
		c->frame_size = (int)convert_grid_samples(s->format, s->rate);
		c->bits_per_raw_sample = s->sample == SAMPLE_S16 ? 16 : 24;
	}
	if (s->quick)
		c->compression_level = MP3_QUICK;
	/* The reservoir refers back over a joint. */
	int r = s->format == CONVERT_MP3 ? av_opt_set_int(c, "reservoir", 0, AV_OPT_SEARCH_CHILDREN) : 0;
	if (s->format == CONVERT_AAC || s->format == CONVERT_M4A)
		r = aac_search_quick(c);
	return r < 0 ? r : audio_layout((int)s->channels, &c->ch_layout);
}

int encode_codec_encoder(const struct convert_spec *s, AVCodecContext **ret, struct err *e)
{
	const char *name = encoder_name(s->format);
	const AVCodec *codec = avcodec_find_encoder_by_name(name);
	AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
	if (!c)
		return err_set(e, ERR_INTERNAL, codec ? "no memory for an encoder" : "libavcodec has no encoder %s", name);
	int r = set_up(c, s);
	if (r >= 0)
		r = avcodec_open2(c, codec, NULL);
	if (r >= 0) {
		*ret = c;
		return 0;
	}
	avcodec_free_context(&c);
	if (r == AVERROR(ENOMEM))
		return averror_internal(e, r, "open an encoder");
	return err_set_code(e, ERR_UNSUPPORTED, "UNSUPPORTED_PARAMETERS",
			    "%s has no encoding of %u channels at %u Hz with this bit rate or quality", name, s->channels, s->rate);
}

static int make_frame(struct encode_codec *c)
{
	const AVCodecContext *enc = c->encoder;
	AVFrame *f = av_frame_alloc();
	if (!f)
		return AVERROR(ENOMEM);
	c->frame = f;
	f->format = enc->sample_fmt;
	f->sample_rate = enc->sample_rate;
	f->nb_samples = enc->frame_size;
	int r = av_channel_layout_copy(&f->ch_layout, &enc->ch_layout);
	return r < 0 ? r : av_frame_get_buffer(f, 0);
}

int encode_codec_open(struct encode_codec *c, const struct encode_job *job, encoder_sink *sink, void *ctx, struct err *e)
{
	const struct convert_spec *s = job->spec;
	memset(c, 0, sizeof(*c));
	c->sink = sink;
	c->ctx = ctx;
	c->next = job->from;
	c->store = (struct sample_store){ STORE_F32, (int)s->channels, job->dither };
	if (s->format == CONVERT_FLAC)
		c->store.kind = s->sample == SAMPLE_S16 ? STORE_S16 : STORE_S24_HIGH;
	int r = encode_codec_encoder(s, &c->encoder, e);
	if (r < 0)
		return r;
	if (c->encoder->frame_size < 1 || c->encoder->frame_size > FRAME_MAX)
		return err_set(e, ERR_INTERNAL, "an encoder with frames of %d samples", c->encoder->frame_size);
	r = make_frame(c);
	return r < 0 ? averror_internal(e, r, "make an audio frame") : 0;
}

static int encode_frame(struct encode_codec *c, struct err *e)
{
	AVFrame *f = c->frame;
	const float *planes[AUDIO_CHANNELS_MAX];
	f->nb_samples = c->encoder->frame_size; /* what its buffers have, for copying */
	int r = av_frame_make_writable(f);
	if (r < 0)
		return averror_internal(e, r, "encode sound");
	for (int i = 0; i < AUDIO_CHANNELS_MAX; i++)
		planes[i] = c->planes[i];
	if (av_sample_fmt_is_planar(f->format))
		for (int i = 0; i < c->store.channels; i++)
			memcpy(f->extended_data[i], planes[i], (size_t)c->fill * sizeof(float));
	else
		sample_store(&c->store, planes, c->fill, c->next, f->extended_data[0]);
	f->nb_samples = c->fill;
	f->pts = c->next;
	c->next += c->fill;
	c->fill = 0;
	return encoder_send(c->encoder, f, c->sink, c->ctx, e);
}

int encode_codec_samples(struct encode_codec *c, const float *const *planes, int count, struct err *e)
{
	const int size = c->encoder->frame_size;
	int r = 0;
	for (int done = 0; r == 0 && done < count;) {
		int n = size - c->fill < count - done ? size - c->fill : count - done;
		for (int i = 0; i < c->store.channels; i++)
			memcpy(c->planes[i] + c->fill, planes[i] + done, (size_t)n * sizeof(float));
		c->any = true;
		c->fill += n;
		done += n;
		if (c->fill == size)
			r = encode_frame(c, e);
	}
	return r;
}

int encode_codec_finish(struct encode_codec *c, struct err *e)
{
	int r = c->fill ? encode_frame(c, e) : 0;
	return r < 0 || !c->any ? r : encoder_send(c->encoder, NULL, c->sink, c->ctx, e);
}

void encode_codec_release(struct encode_codec *c)
{
	avcodec_free_context(&c->encoder);
	av_frame_free(&c->frame);
}
