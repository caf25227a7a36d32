/* Positions, mixing, resampling: see audio_pipe.h. */
#include "media/audio_pipe.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/mathematics.h>
#include <libavutil/mem.h>
#include <libavutil/samplefmt.h>
#include <libswresample/swresample.h>
#include <math.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/source.h"
#include "proto/task.h"

/* Output samples that a fresh resampler is given to fill its filter: more than its taps at any ratio that occurs. */
#define WARM_UP_SAMPLES 1024
#define SILENCE_BLOCK 4096
#define RATE_MAX 768000
#define CHANNELS_MAX 64

struct audio_pipe {
	struct audio_pipe_opts o;
	SwrContext *swr; /* NULL before the first frame */
	/* what it was set up for */
	int in_rate, in_format;
	AVChannelLayout in_layout;
	int64_t next_in;  /* the source sample that it is given next, at in_rate */
	int64_t next_out; /* the output sample that it gives next */
	int64_t delivered; /* the output sample that the sink gets next */
	int64_t expected; /* where the next frame begins if it follows on, at in_rate */
	int counted;	  /* frames since the last jump, up to 2; 0: `expected` isn't set */
	int64_t end_ticks, end_sample;
	float *out[AUDIO_CHANNELS_MAX];
	int out_capacity;
	uint8_t *silence[CHANNELS_MAX]; /* SILENCE_BLOCK samples in in_format; the planes are one block of zeros */
};

int audio_pipe_new(const struct audio_pipe_opts *opts, struct audio_pipe **ret, struct err *e)
{
	if (opts->rate <= 0 || opts->channels < 1 || opts->channels > AUDIO_CHANNELS_MAX)
		return err_set(e, ERR_INVALID, "audio output of %d Hz, %d channels", opts->rate, opts->channels);
	struct audio_pipe *p = mr_calloc(1, sizeof(*p));
	p->o = *opts;
	p->delivered = opts->start;
	p->end_ticks = p->end_sample = INT64_MIN;
	*ret = p;
	return 0;
}

void audio_pipe_free(struct audio_pipe **p)
{
	if (!*p)
		return;
	swr_free(&(*p)->swr);
	av_channel_layout_uninit(&(*p)->in_layout);
	av_freep(&(*p)->silence[0]);
	for (int c = 0; c < AUDIO_CHANNELS_MAX; c++)
		free((*p)->out[c]);
	free(*p);
	*p = NULL;
}

int64_t audio_pipe_position(const struct audio_pipe *p)
{
	return p->delivered;
}

int64_t audio_pipe_end_ticks(const struct audio_pipe *p)
{
	return p->end_ticks;
}

int64_t audio_pipe_end_sample(const struct audio_pipe *p)
{
	return p->end_sample;
}

int audio_layout(int channels, AVChannelLayout *ret)
{
	static const uint64_t masks[AUDIO_CHANNELS_MAX] = {
		AV_CH_LAYOUT_MONO,	    AV_CH_LAYOUT_STEREO,       AV_CH_LAYOUT_SURROUND, AV_CH_LAYOUT_QUAD,
		AV_CH_LAYOUT_5POINT0_BACK, AV_CH_LAYOUT_5POINT1_BACK, AV_CH_LAYOUT_6POINT1,  AV_CH_LAYOUT_7POINT1,
	};
	if (channels < 1 || channels > AUDIO_CHANNELS_MAX)
		return AVERROR(EINVAL);
	return av_channel_layout_from_mask(ret, masks[channels - 1]);
}

/* ---- Output ---- */

/* Mixing six channels into two may give more than full scale. Scaling all of it down to where that can't be would make every
 * film 8 dB quieter for the sake of a few peaks; so the mix keeps its loudness, and what exceeds the knee bends towards full
 * scale. Sample by sample, without a memory: chunks join. */
#define LIMIT_KNEE 0.9F

static void limit(struct audio_pipe *p, int count)
{
	if (p->in_layout.nb_channels <= p->o.channels)
		return;
	for (int c = 0; c < p->o.channels; c++)
		for (int i = 0; i < count; i++) {
			float v = p->out[c][i], over = (fabsf(v) - LIMIT_KNEE) / (1.0F - LIMIT_KNEE);
			if (over > 0.0F)
				p->out[c][i] = copysignf(LIMIT_KNEE + (1.0F - LIMIT_KNEE) * over / (1.0F + over), v);
		}
}

static int deliver(struct audio_pipe *p, int count, struct err *e)
{
	int64_t skip = p->delivered - p->next_out;
	p->next_out += count;
	if (skip >= count)
		return 0;
	if (skip < 0)
		return err_set(e, ERR_INTERNAL, "a gap of %lld samples behind the resampler", (long long)-skip);
	const float *planes[AUDIO_CHANNELS_MAX] = { NULL };
	for (int c = 0; c < p->o.channels; c++)
		planes[c] = p->out[c] + skip;
	p->delivered = p->next_out;
	return p->o.sink(p->o.ctx, planes, count - (int)skip, e);
}

static void reserve_output(struct audio_pipe *p, int count)
{
	if (count <= p->out_capacity)
		return;
	for (int c = 0; c < p->o.channels; c++)
		p->out[c] = mr_reallocarray(p->out[c], (size_t)count, sizeof(float));
	p->out_capacity = count;
}

static int resample(struct audio_pipe *p, const uint8_t **planes, int count, struct err *e)
{
	int room = swr_get_out_samples(p->swr, count);
	if (room < 0)
		return averror_internal(e, room, "resample");
	reserve_output(p, room > 0 ? room : 1);
	uint8_t *out[AUDIO_CHANNELS_MAX] = { NULL };
	for (int c = 0; c < p->o.channels; c++)
		out[c] = (uint8_t *)p->out[c];
	int got = swr_convert(p->swr, out, room, planes, count);
	if (got < 0)
		return averror_internal(e, got, "resample");
	p->next_in += count;
	limit(p, got);
	return deliver(p, got, e);
}

static int feed_silence(struct audio_pipe *p, int64_t count, struct err *e)
{
	int r = 0;
	while (r == 0 && count > 0) {
		int n = count < SILENCE_BLOCK ? (int)count : SILENCE_BLOCK;
		const uint8_t *planes[CHANNELS_MAX];
		for (int c = 0; c < CHANNELS_MAX; c++)
			planes[c] = p->silence[c];
		r = resample(p, planes, n, e);
		count -= n;
	}
	return r;
}

/* Zeros where no sound has ever been decoded. */
static int deliver_zeros(struct audio_pipe *p, int64_t end, struct err *e)
{
	reserve_output(p, SILENCE_BLOCK);
	for (int c = 0; c < p->o.channels; c++)
		for (int i = 0; i < SILENCE_BLOCK; i++)
			p->out[c][i] = 0.0f;
	int r = 0;
	while (r == 0 && p->delivered < end) {
		int64_t n = end - p->delivered < SILENCE_BLOCK ? end - p->delivered : SILENCE_BLOCK;
		p->next_out = p->delivered;
		r = deliver(p, (int)n, e);
	}
	return r;
}

int audio_pipe_finish(struct audio_pipe *p, int64_t end, struct err *e)
{
	if (!p->swr)
		return deliver_zeros(p, end, e);
	int r = 0;
	while (r == 0 && p->delivered < end)
		r = feed_silence(p, SILENCE_BLOCK, e);
	return r;
}

/* ---- Setting up for a kind of frames ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int set_silence(struct audio_pipe *p)
{
	av_freep(&p->silence[0]);
	int channels = p->in_layout.nb_channels;
	uint8_t *planes[CHANNELS_MAX] = { 0 };
	int r = av_samples_alloc(planes, NULL, channels, SILENCE_BLOCK, p->in_format, 0);
	if (r < 0)
		return r;
	for (int c = 0; c < CHANNELS_MAX; c++)
		p->silence[c] = planes[c];
	return av_samples_set_silence(p->silence, 0, SILENCE_BLOCK, channels, p->in_format);
}

static int frame_layout(const AVFrame *f, int out_channels, AVChannelLayout *ret)
{
	if (f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC || !av_channel_layout_check(&f->ch_layout)) {
		if (f->ch_layout.nb_channels == out_channels)
			return audio_layout(out_channels, ret);
		av_channel_layout_default(ret, f->ch_layout.nb_channels);
		return 0;
	}
	return av_channel_layout_copy(ret, &f->ch_layout);
}

static int open_resampler(struct audio_pipe *p, const AVFrame *f)
{
	AVChannelLayout out = { 0 };
	av_channel_layout_uninit(&p->in_layout);
	int r = audio_layout(p->o.channels, &out);
	if (r >= 0)
		r = frame_layout(f, p->o.channels, &p->in_layout);
	if (r < 0)
		return r;
	p->in_rate = f->sample_rate;
	p->in_format = f->format;
	r = swr_alloc_set_opts2(&p->swr, &out, AV_SAMPLE_FMT_FLTP, p->o.rate, &p->in_layout, f->format, f->sample_rate, 0, NULL);
	if (r >= 0)
		r = swr_init(p->swr);
	if (r >= 0)
		r = set_silence(p);
	return r;
}

static bool same_kind(const struct audio_pipe *p, const AVFrame *f)
{
	return p->swr && p->in_rate == f->sample_rate && p->in_format == f->format &&
	       p->in_layout.nb_channels == f->ch_layout.nb_channels &&
	       (f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC || av_channel_layout_compare(&p->in_layout, &f->ch_layout) == 0);
}

/* The frames' kind has changed (or is the first): what the old resampler holds comes out, and the new one starts
 * before the next sample that is needed, at a position where input and output samples coincide. */
static int set_kind(struct audio_pipe *p, const AVFrame *f, struct err *e)
{
	if (p->swr) {
		int r = feed_silence(p, swr_get_delay(p->swr, p->in_rate), e);
		if (r < 0)
			return r;
		swr_free(&p->swr);
	}
	int r = open_resampler(p, f);
	if (r < 0) {
		swr_free(&p->swr);
		return err_set_code(e, ERR_MEDIA, "UNDECODABLE", "its sound turns into %d channels at %d Hz, which can't be used",
				    f->ch_layout.nb_channels, f->sample_rate);
	}
	int64_t common = av_gcd(p->in_rate, p->o.rate);
	int64_t periods = floor_div(p->delivered - WARM_UP_SAMPLES, p->o.rate / common);
	p->next_in = periods * (p->in_rate / common);
	p->next_out = periods * (p->o.rate / common);
	p->counted = 0;
	return 0;
}

/* ---- Positions ---- */

/* The place on the codec's frame grid for a time stamp's position; false if the container doesn't round, or none is
 * near enough. */
static bool on_grid(const struct audio_pipe *p, int64_t position, int own_size, int64_t *ret)
{
	AVRational tb = p->o.time_base;
	if (p->o.frame_samples < 0 || p->o.first_pts == AV_NOPTS_VALUE || tb.den % ((int64_t)p->in_rate * tb.num) == 0)
		return false;
	int64_t first = source_rescale(p->o.first_pts, tb, p->o.origin_ns, p->in_rate);
	int64_t frame = own_size;
	if (p->o.frame_samples > 0 && p->o.codec_rate > 0)
		frame = av_rescale(p->o.frame_samples, p->in_rate, p->o.codec_rate);
	if (first == INT64_MIN || frame <= 0)
		return false;
	int64_t snapped = first + floor_div(position - first + frame / 2, frame) * frame;
	/* one and a half units of the time base, and the parser's accumulated rounding within a PES packet */
	int64_t tolerance = (int64_t)p->in_rate * tb.num * 3 / (2 * (int64_t)tb.den) + 8;
	if (tolerance > frame / 4)
		tolerance = frame / 4;
	int64_t off = position - snapped;
	if (off > tolerance || off < -tolerance)
		return false;
	*ret = snapped;
	return true;
}

static int64_t position_of(const struct audio_pipe *p, const AVFrame *f)
{
	int64_t pts = f->pts != AV_NOPTS_VALUE ? f->pts : f->best_effort_timestamp;
	int64_t position = source_rescale(pts, p->o.time_base, p->o.origin_ns, p->in_rate);
	if (position == INT64_MIN)
		return p->counted > 0 ? p->expected : 0;
	bool snapped = on_grid(p, position, f->nb_samples, &position);
	int64_t tolerance = p->in_rate / 25 > f->nb_samples / 2 ? p->in_rate / 25 : f->nb_samples / 2;
	int64_t off = position - p->expected;
	if (p->counted == 0 || off > tolerance || off < -tolerance)
		return position;
	/* The file's first frame may have lost its encoder's delay and with it its place on the grid: the second one
	 * decides. */
	return p->counted == 1 && snapped ? position : p->expected;
}

/* ---- Input ---- */

static int feed_frame(struct audio_pipe *p, const AVFrame *f, int skip, struct err *e)
{
	const uint8_t *planes[CHANNELS_MAX] = { 0 };
	int channels = f->ch_layout.nb_channels;
	int sample = av_get_bytes_per_sample(f->format);
	bool planar = av_sample_fmt_is_planar(f->format);
	for (int c = 0; c < (planar ? channels : 1); c++)
		planes[c] = f->extended_data[c] + (size_t)skip * (size_t)sample * (size_t)(planar ? 1 : channels);
	return resample(p, planes, f->nb_samples - skip, e);
}

static bool usable(const AVFrame *f)
{
	return f->nb_samples > 0 && f->sample_rate > 0 && f->sample_rate <= RATE_MAX && f->ch_layout.nb_channels > 0 &&
	       f->ch_layout.nb_channels <= CHANNELS_MAX && av_get_bytes_per_sample(f->format) > 0;
}

int audio_pipe_push(struct audio_pipe *p, const AVFrame *f, struct err *e)
{
	if (!usable(f))
		return 0;
	int r = same_kind(p, f) ? 0 : set_kind(p, f, e);
	if (r < 0)
		return r;
	int64_t begin = position_of(p, f);
	int64_t end = begin + f->nb_samples;
	p->counted = p->counted == 0 ? 1 : 2;
	p->expected = end;
	int64_t ticks = av_rescale(end, VIDEO_TIMESCALE, p->in_rate);
	if (ticks > p->end_ticks) {
		p->end_ticks = ticks;
		p->end_sample = av_rescale(end, p->o.rate, p->in_rate);
	}
	int64_t from = begin > 0 ? begin : 0; /* what is before the presentation's zero is silence */
	if (from < p->next_in)
		from = p->next_in;
	if (from >= end)
		return 0;
	r = feed_silence(p, from - p->next_in, e);
	return r < 0 ? r : feed_frame(p, f, (int)(from - begin), e);
}
