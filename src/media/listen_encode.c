/* See listen_encode.h. */
#include "media/listen_encode.h"

#include <assert.h>
#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>
#include <string.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/input.h"
#include "media/memory_input.h"
#include "media/video_encode.h"

#define BITRATE_BPS 64000			  /* a channel */
#define EXACT (3 * LISTEN_RATE / 2000)		  /* 1.5 ms: times are rounded to milliseconds */
#define STRETCH_MAX (30 * LISTEN_RATE / 1000)	  /* 1.5 % of two seconds */
#define SAMPLE_MAX 4.0F				  /* decoders go a little beyond full scale */
#define READ_ERRORS_MAX 64			  /* so many in a row without a packet are the end */

struct listen_encode {
	struct listen_encode_sink sink;
	AVCodecContext *decoder, *encoder;
	AVCodecParameters *decoded; /* what the decoder was made for */
	SwrContext *swr;
	int in_rate, in_format;
	AVChannelLayout in_layout;
	AVFrame *frame, *out;
	AVPacket *packet;
	float *samples[2];
	int capacity; /* of samples */
	int channels;
	int64_t from, next; /* frames: the first that is wanted, and the one that is being filled */
	int fill;
	int64_t drop; /* samples of what comes that lie before what is there already */
};

struct listen_encode *listen_encode_new(const struct listen_encode_sink *sink)
{
	struct listen_encode *l = mr_calloc(1, sizeof(*l));
	l->sink = *sink;
	return l;
}

static void reset(struct listen_encode *l)
{
	avcodec_free_context(&l->decoder);
	avcodec_free_context(&l->encoder);
	avcodec_parameters_free(&l->decoded);
	swr_free(&l->swr);
	av_channel_layout_uninit(&l->in_layout);
	av_frame_free(&l->frame);
	av_frame_free(&l->out);
	av_packet_free(&l->packet);
	l->fill = 0;
	l->drop = 0;
}

void listen_encode_free(struct listen_encode *l)
{
	if (!l)
		return;
	reset(l);
	for (int c = 0; c < 2; c++)
		av_freep(&l->samples[c]);
	free(l);
}

/* ---- encoding ---- */

static int open_encoder(struct listen_encode *l, int channels, struct err *e)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("aac");
	AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
	l->frame = av_frame_alloc();
	l->out = av_frame_alloc();
	l->packet = av_packet_alloc();
	if (!c || !l->frame || !l->out || !l->packet)
		return err_set(e, ERR_INTERNAL, "no AAC encoder, or no memory for it");
	l->encoder = c;
	l->channels = channels > 1 ? 2 : 1;
	c->sample_fmt = AV_SAMPLE_FMT_FLTP;
	c->sample_rate = LISTEN_RATE;
	av_channel_layout_default(&c->ch_layout, l->channels);
	c->bit_rate = BITRATE_BPS * l->channels;
	c->time_base = av_make_q(1, LISTEN_RATE);
	c->thread_count = 1;
	c->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
	int r = avcodec_open2(c, codec, NULL);
	if (r < 0)
		return averror_internal(e, r, "open the AAC encoder");
	l->out->format = AV_SAMPLE_FMT_FLTP;
	l->out->sample_rate = LISTEN_RATE;
	l->out->nb_samples = LISTEN_FRAME_SAMPLES;
	av_channel_layout_default(&l->out->ch_layout, l->channels);
	r = av_frame_get_buffer(l->out, 0);
	return r < 0 ? averror_internal(e, r, "make an audio frame") : 0;
}

static int take_packet(void *ctx, AVPacket *packet, struct err *e)
{
	struct listen_encode *l = ctx;
	const int64_t index = packet->pts / LISTEN_FRAME_SAMPLES;
	int r = 0;
	if (packet->pts % LISTEN_FRAME_SAMPLES != 0)
		r = err_set(e, ERR_INTERNAL, "an AAC packet off its grid");
	else if (index >= l->from) /* not the encoder's priming */
		r = l->sink.frame(l->sink.ctx, index, (uint32_t)l->channels, packet->data, (size_t)packet->size, e);
	av_packet_free(&packet);
	return r;
}

/* On NaN and on huge numbers AAC's search for scale factors runs for minutes. */
static float sane(float v)
{
	if (v != v)
		return 0;
	return v > SAMPLE_MAX ? SAMPLE_MAX : v < -SAMPLE_MAX ? -SAMPLE_MAX : v;
}

/* `planes` NULL: silence. */
static int add_samples(struct listen_encode *l, float *const *planes, int64_t count, struct err *e)
{
	int r = 0;
	for (int64_t done = 0; r == 0 && done < count;) {
		const int64_t room = LISTEN_FRAME_SAMPLES - l->fill;
		const int n = (int)(count - done < room ? count - done : room);
		if (l->fill == 0 && av_frame_make_writable(l->out) < 0)
			return averror_internal(e, AVERROR(ENOMEM), "encode sound");
		for (int c = 0; c < l->channels; c++) {
			assert(!planes || planes[c]);
			float *to = (float *)(void *)l->out->extended_data[c] + l->fill;
			for (int i = 0; i < n; i++)
				to[i] = planes ? sane(planes[c][done + i]) : 0;
		}
		l->fill += n;
		done += n;
		if (l->fill < LISTEN_FRAME_SAMPLES)
			continue;
		l->fill = 0;
		l->out->pts = l->next++ * LISTEN_FRAME_SAMPLES;
		r = encoder_send(l->encoder, l->out, take_packet, l, e);
	}
	return r;
}

/* ---- resampling ---- */

static int drop_and_add(struct listen_encode *l, int count, struct err *e)
{
	float *planes[2] = { NULL, NULL };
	const int64_t drop = l->drop < count ? l->drop : count;
	l->drop -= drop;
	for (int c = 0; c < l->channels; c++)
		planes[c] = l->samples[c] + drop;
	return add_samples(l, planes, count - drop, e);
}

/* `f` NULL: what the resampler holds. */
static int convert(struct listen_encode *l, const AVFrame *f, struct err *e)
{
	const int room = swr_get_out_samples(l->swr, f ? f->nb_samples : 0);
	if (room > l->capacity) {
		for (int c = 0; c < 2; c++) {
			float *p = av_realloc_array(l->samples[c], (size_t)room, sizeof(float));
			if (!p)
				return averror_internal(e, AVERROR(ENOMEM), "resample the sound");
			l->samples[c] = p;
		}
		l->capacity = room;
	}
	if (room <= 0)
		return room < 0 ? averror_internal(e, room, "resample the sound") : 0;
	const int n = swr_convert(l->swr, (uint8_t **)(void *)l->samples, room,
				  f ? (const uint8_t **)(void *)f->extended_data : NULL, f ? f->nb_samples : 0);
	return n < 0 ? averror_internal(e, n, "resample the sound") : drop_and_add(l, n, e);
}

static int make_resampler(struct listen_encode *l, const AVFrame *f, struct err *e)
{
	AVChannelLayout from = { 0 }, to;
	int r = l->swr ? convert(l, NULL, e) : 0;
	if (r < 0)
		return r;
	swr_free(&l->swr);
	av_channel_layout_uninit(&l->in_layout);
	av_channel_layout_default(&to, l->channels);
	r = av_channel_layout_copy(&from, &f->ch_layout);
	if (r >= 0 && from.order == AV_CHANNEL_ORDER_UNSPEC)
		av_channel_layout_default(&from, from.nb_channels);
	if (r >= 0)
		r = swr_alloc_set_opts2(&l->swr, &to, AV_SAMPLE_FMT_FLTP, LISTEN_RATE, &from, f->format, f->sample_rate, 0, NULL);
	if (r >= 0)
		r = swr_init(l->swr);
	if (r >= 0)
		r = av_channel_layout_copy(&l->in_layout, &f->ch_layout);
	av_channel_layout_uninit(&from);
	if (r < 0) {
		swr_free(&l->swr);
		return averror_internal(e, r, "resample the sound");
	}
	l->in_rate = f->sample_rate;
	l->in_format = f->format;
	return 0;
}

static int take_frame(struct listen_encode *l, struct err *e)
{
	const AVFrame *f = l->frame;
	if (f->nb_samples < 1 || f->sample_rate < 1 || f->ch_layout.nb_channels < 1)
		return 0;
	const bool same = l->swr && l->in_rate == f->sample_rate && l->in_format == f->format &&
			  av_channel_layout_compare(&l->in_layout, &f->ch_layout) == 0;
	int r = same ? 0 : make_resampler(l, f, e);
	return r < 0 ? r : convert(l, f, e);
}

/* ---- decoding ---- */

static bool goes_on(const struct listen_encode *l, const AVCodecParameters *p)
{
	const AVCodecParameters *d = l->decoded;
	return l->decoder && d->codec_id == p->codec_id && d->sample_rate == p->sample_rate &&
	       av_channel_layout_compare(&d->ch_layout, &p->ch_layout) == 0 && d->extradata_size == p->extradata_size &&
	       (!p->extradata_size || memcmp(d->extradata, p->extradata, (size_t)p->extradata_size) == 0);
}

static int open_decoder(struct listen_encode *l, const AVStream *st, struct err *e)
{
	if (goes_on(l, st->codecpar))
		return 0;
	avcodec_free_context(&l->decoder);
	avcodec_parameters_free(&l->decoded);
	l->decoded = avcodec_parameters_alloc();
	if (!l->decoded || avcodec_parameters_copy(l->decoded, st->codecpar) < 0)
		return averror_internal(e, AVERROR(ENOMEM), "open a decoder");
	int r = media_decoder_open(st, 1, &l->decoder, e);
	/* Nothing is left out at the start: each fragment's file would have that of the codec's delay (Opus) once more. So
	 * sound is later by this delay throughout, some 7 ms. */
	if (r == 0)
		l->decoder->flags2 |= AV_CODEC_FLAG2_SKIP_MANUAL;
	return r;
}

static int decode_packet(struct listen_encode *l, struct err *e)
{
	int r = 0;
	if (avcodec_send_packet(l->decoder, l->packet) < 0)
		return 0; /* damaged: what is missing is filled with silence */
	while (r == 0 && avcodec_receive_frame(l->decoder, l->frame) >= 0) {
		r = take_frame(l, e);
		av_frame_unref(l->frame);
	}
	return r;
}

static int decode_all(struct listen_encode *l, AVFormatContext *f, int stream, struct err *e)
{
	int r = 0;
	for (unsigned errors = 0; r == 0 && errors < READ_ERRORS_MAX;) {
		const int got = av_read_frame(f, l->packet);
		if (got == AVERROR_EOF)
			break;
		errors = got < 0 ? errors + 1 : 0;
		if (got < 0)
			continue;
		if (l->packet->stream_index == stream)
			r = decode_packet(l, e);
		av_packet_unref(l->packet);
	}
	return r;
}

/* ---- where it is, and where it should be ---- */

static int64_t place(const struct listen_encode *l)
{
	return l->next * LISTEN_FRAME_SAMPLES + l->fill + (l->swr ? swr_get_delay(l->swr, LISTEN_RATE) : 0);
}

static int begin(struct listen_encode *l, const struct listen_order *o, int channels, struct err *e)
{
	int r = open_encoder(l, channels, e);
	l->from = l->next = o->position / LISTEN_FRAME_SAMPLES;
	return r < 0 ? r : add_samples(l, NULL, o->position % LISTEN_FRAME_SAMPLES, e);
}

static int keep_time(struct listen_encode *l, const struct listen_order *o, struct err *e)
{
	const int64_t ahead = o->position - place(l);
	l->drop = 0;
	if (ahead >= -EXACT && ahead <= EXACT)
		return 0;
	/* Errors of compensation are no errors of ours: then it is off by 30 ms at most, until that is cut. */
	if (l->swr && ahead >= -STRETCH_MAX && ahead <= STRETCH_MAX && o->length >= LISTEN_RATE &&
	    swr_set_compensation(l->swr, (int)ahead, (int)o->length) >= 0)
		return 0;
	if (ahead > 0)
		return add_samples(l, NULL, ahead < LISTEN_LENGTH_MAX ? ahead : LISTEN_LENGTH_MAX, e);
	l->drop = -ahead;
	return 0;
}

/* ---- orders ---- */

static int run(struct listen_encode *l, const struct listen_order *o, AVFormatContext *f, struct err *e)
{
	const int stream = av_find_best_stream(f, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
	if (stream < 0)
		return err_set_code(e, ERR_UNSUPPORTED, "NO_SOUND", "the stream has no sound that can be listened to");
	for (unsigned i = 0; i < f->nb_streams; i++)
		f->streams[i]->discard = (int)i == stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
	const AVCodecParameters *p = f->streams[stream]->codecpar;
	int r = l->encoder ? keep_time(l, o, e) : begin(l, o, p->ch_layout.nb_channels, e);
	struct err ignored;
	if (r == 0 && open_decoder(l, f->streams[stream], &ignored) == 0)
		r = decode_all(l, f, stream, e);
	return r;
}

int listen_encode_fragment(struct listen_encode *l, const struct listen_order *o, const void *data, size_t len, struct err *e)
{
	struct memory_input m;
	struct media_input *in = NULL;
	struct err ignored;
	if (o->restart)
		reset(l);
	memory_input_init(&m, "fragment", data, len);
	int r = media_input_open(m.spec, 0, &m.io, &in, &ignored);
	if (r == 0)
		r = run(l, o, media_input_format(in), e);
	else
		r = l->encoder ? keep_time(l, o, e) : begin(l, o, 1, e); /* damaged: silence */
	media_input_close(&in);
	memory_input_release(&m);
	const int64_t missing = r == 0 ? o->position + o->length - place(l) : 0;
	return missing > LISTEN_SHORT ? add_samples(l, NULL, missing, e) : r;
}

int listen_encode_pad(struct listen_encode *l, const struct listen_order *o, struct err *e)
{
	if (!l->encoder)
		return 0;
	int r = l->swr ? convert(l, NULL, e) : 0;
	const int64_t missing = o->position + o->length - place(l);
	return r == 0 && missing > 0 ? add_samples(l, NULL, missing < LISTEN_LENGTH_MAX ? missing : LISTEN_LENGTH_MAX, e) : r;
}
