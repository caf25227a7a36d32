/* AAC in runs: see audio_encode.h. */
#include "media/audio_encode.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <string.h>

#include "base/mem.h"
#include "media/aac_search.h"
#include "media/averror.h"
#include "media/video_encode.h"

/* Frames kept for the next run's encoder, which begins LEAD before its first one while this run's still wants AHEAD
 * more. */
#define HISTORY (AUDIO_ENCODE_LEAD + AUDIO_ENCODE_AHEAD + 1)

#define SAMPLE_MAX 4.0F

struct audio_encode {
	const struct ladder_spec *spec;
	const struct ladder_audio *track;
	const struct timeline *timeline;
	struct rendition *rendition;
	AVCodecContext *encoder;
	AVFrame *frame;
	uint32_t run;
	int64_t run_first, run_end; /* frames; run_end is INT64_MAX while the last run is open */
	int64_t next;		    /* the frame being filled */
	int fill;
	int64_t start;
	uint64_t frames_out;
	float history[HISTORY][2][AAC_FRAME_SAMPLES];
};

static float *slot(struct audio_encode *a, int64_t frame, int channel)
{
	int64_t i = (frame + AUDIO_ENCODE_LEAD + HISTORY) % HISTORY; /* frames begin at -LEAD */
	return a->history[i][channel];
}

static int open_encoder(struct audio_encode *a, struct err *e)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("aac");
	AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
	if (!c)
		return err_set(e, ERR_INTERNAL, codec ? "no memory for an encoder" : "libavcodec has no AAC encoder");
	c->sample_fmt = AV_SAMPLE_FMT_FLTP;
	c->sample_rate = (int)a->spec->audio_rate;
	av_channel_layout_default(&c->ch_layout, (int)a->track->channels);
	c->bit_rate = a->track->bitrate_bps;
	c->time_base = av_make_q(1, c->sample_rate);
	c->thread_count = 1;
	/* bitexact: no version string in the first packet; the header goes into extradata in either container */
	c->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
	int r = aac_search_quick(c);
	if (r >= 0)
		r = avcodec_open2(c, codec, NULL);
	if (r < 0) {
		avcodec_free_context(&c);
		return averror_internal(e, r, "open the AAC encoder");
	}
	a->encoder = c;
	return rendition_encoder(a->rendition, c, e);
}

static int make_frame(struct audio_encode *a)
{
	AVFrame *f = av_frame_alloc();
	if (!f)
		return AVERROR(ENOMEM);
	a->frame = f;
	f->format = AV_SAMPLE_FMT_FLTP;
	f->sample_rate = (int)a->spec->audio_rate;
	f->nb_samples = AAC_FRAME_SAMPLES;
	av_channel_layout_default(&f->ch_layout, (int)a->track->channels);
	return av_frame_get_buffer(f, 0);
}

static void set_run(struct audio_encode *a, uint32_t run)
{
	const struct ladder_spec *s = a->spec;
	bool last = run + 1 >= s->run_count;
	a->run = run;
	a->run_first = a->timeline->audio[run < s->run_count ? s->runs[run] - s->first_segment : 0];
	a->run_end = last ? INT64_MAX : a->timeline->audio[s->runs[run + 1] - s->first_segment];
}

int audio_encode_new(const struct ladder_spec *spec, const struct ladder_audio *track, const struct timeline *timeline,
		     struct rendition *rendition, struct audio_encode **ret, struct err *e)
{
	if (track->channels < 1 || track->channels > 2)
		return err_set(e, ERR_INVALID, "AAC with %u channels", track->channels);
	struct audio_encode *a = mr_calloc(1, sizeof(*a));
	a->spec = spec;
	a->track = track;
	a->timeline = timeline;
	a->rendition = rendition;
	set_run(a, 0);
	a->next = a->run_first - AUDIO_ENCODE_LEAD;
	a->start = a->next * AAC_FRAME_SAMPLES;
	int r = make_frame(a);
	r = r < 0 ? averror_internal(e, r, "make an audio frame") : open_encoder(a, e);
	if (r < 0) {
		audio_encode_free(&a);
		return r;
	}
	*ret = a;
	return 0;
}

void audio_encode_free(struct audio_encode **a)
{
	if (!*a)
		return;
	avcodec_free_context(&(*a)->encoder);
	av_frame_free(&(*a)->frame);
	free(*a);
	*a = NULL;
}

int64_t audio_encode_start(const struct audio_encode *a)
{
	return a->start;
}

uint64_t audio_encode_frames(const struct audio_encode *a)
{
	return a->frames_out;
}

static int64_t end_of_run(const struct audio_encode *a)
{
	int64_t end = timeline_end_frames(a->timeline);
	return a->run_end < end ? a->run_end : end;
}

static int take_packet(void *ctx, AVPacket *packet, struct err *e)
{
	struct audio_encode *a = ctx;
	if (packet->pts % AAC_FRAME_SAMPLES != 0) {
		av_packet_free(&packet);
		return err_set(e, ERR_INTERNAL, "an AAC packet off its grid");
	}
	int64_t frame = packet->pts / AAC_FRAME_SAMPLES;
	if (frame < a->run_first || frame >= end_of_run(a)) {
		av_packet_free(&packet);
		return 0;
	}
	a->frames_out++;
	return rendition_packet(a->rendition, packet, e);
}

static int encode(struct audio_encode *a, int64_t frame, struct err *e)
{
	int r = av_frame_make_writable(a->frame);
	if (r < 0)
		return averror_internal(e, r, "encode sound");
	for (uint32_t c = 0; c < a->track->channels; c++)
		memcpy(a->frame->extended_data[c], slot(a, frame, (int)c), AAC_FRAME_SAMPLES * sizeof(float));
	a->frame->pts = frame * AAC_FRAME_SAMPLES;
	return encoder_send(a->encoder, a->frame, take_packet, a, e);
}

/* The run is complete: the next one's encoder catches up from the frames at hand. */
static int next_run(struct audio_encode *a, int64_t frame, struct err *e)
{
	avcodec_free_context(&a->encoder);
	int r = rendition_flush(a->rendition, e);
	if (r < 0)
		return r;
	set_run(a, a->run + 1);
	r = open_encoder(a, e);
	for (int64_t f = a->run_first - AUDIO_ENCODE_LEAD; r == 0 && f <= frame; f++)
		r = encode(a, f, e);
	return r;
}

bool audio_encode_done(const struct audio_encode *a)
{
	int64_t end = timeline_end_frames(a->timeline);
	return end != INT64_MAX && a->next >= end + AUDIO_ENCODE_AHEAD;
}

static int frame_full(struct audio_encode *a, struct err *e)
{
	int64_t frame = a->next++;
	a->fill = 0;
	int r = encode(a, frame, e);
	if (r == 0 && a->run_end != INT64_MAX && frame == a->run_end + AUDIO_ENCODE_AHEAD - 1)
		r = next_run(a, frame, e);
	return r;
}

/* Floating-point sources may hold anything; on NaN and on huge numbers AAC's search for scale factors runs for minutes.
 * Full scale is 1; lossy decoders go a little beyond it, and that is kept. */
static void copy_sound(float *out, const float *in, int count)
{
	for (int i = 0; i < count; i++) {
		float v = in[i] == in[i] ? in[i] : 0.0F;
		out[i] = v > SAMPLE_MAX ? SAMPLE_MAX : v < -SAMPLE_MAX ? -SAMPLE_MAX : v;
	}
}

int audio_encode_samples(void *ctx, const float *const *planes, int count, struct err *e)
{
	struct audio_encode *a = ctx;
	for (int done = 0; done < count && !audio_encode_done(a);) {
		int n = AAC_FRAME_SAMPLES - a->fill < count - done ? AAC_FRAME_SAMPLES - a->fill : count - done;
		for (uint32_t c = 0; c < a->track->channels; c++)
			copy_sound(slot(a, a->next, (int)c) + a->fill, planes[c] + done, n);
		a->fill += n;
		done += n;
		if (a->fill == AAC_FRAME_SAMPLES) {
			int r = frame_full(a, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int audio_encode_flush(struct audio_encode *a, struct err *e)
{
	return rendition_flush(a->rendition, e);
}
