/* The source's sound for a conversion: see sound_feed.h. */
#include "media/sound_feed.h"

#include <libavutil/mathematics.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/source.h"

#define PROGRESS_TICKS (2 * (int64_t)VIDEO_TIMESCALE)
/* What the resampler is warmed up with, and some. */
#define LEAD_SAMPLES 2048
#define BLOCK 4096
#define LANES 16
#define CODED_MAX 4.0F
#define FLOAT_MAX 65536.0F
/* So much more than planned (and once as much) isn't a wrong duration but a time stamp far away. */
#define BEYOND_SECONDS 3600

struct sound_feed {
	const struct convert_spec *spec;
	const struct media_io *io;
	audio_sink *sink;
	void *ctx;
	struct task_spec view; /* what source.h wants to know: a ladder of this sound alone */
	int64_t frames[2];     /* its one segment */
	struct source *source;
	struct audio_pipe *pipe;
	AVFrame *frame, *held; /* held: until it is known whether another one follows */
	int64_t position, limit; /* output samples: the next one, and one past the last one wanted */
	int64_t total;
	float gain, max;
	int64_t reported_ticks, media_ticks;
	float block[AUDIO_CHANNELS_MAX][BLOCK];
};

/* ---- Samples ---- */

/* Hostile or damaged floats can be anything; on NaN and on huge numbers encoders run for minutes, or never recover. */
static float bounded(float v, float max)
{
	v = v == v ? v : 0.0F;
	v = v > max ? max : v;
	return v < -max ? -max : v;
}

static void copy_sound(const struct sound_feed *f, float *out, const float *in, int count)
{
	const float gain = f->gain, max = f->max;
	int i = 0;
	for (; i + LANES <= count; i += LANES) { /* so many at a time become vectors */
		float v[LANES];
		for (int j = 0; j < LANES; j++)
			v[j] = bounded(in[i + j] * gain, max);
		memcpy(out + i, v, sizeof(v));
	}
	for (; i < count; i++)
		out[i] = bounded(in[i] * gain, max);
}

static int take_samples(void *ctx, const float *const *planes, int count, struct err *e)
{
	struct sound_feed *f = ctx;
	const float *out[AUDIO_CHANNELS_MAX] = { NULL };
	for (int done = 0; done < count && f->position < f->limit;) {
		int n = count - done < BLOCK ? count - done : BLOCK;
		n = f->limit - f->position < n ? (int)(f->limit - f->position) : n;
		for (uint32_t c = 0; c < f->spec->channels; c++) {
			copy_sound(f, f->block[c], planes[c] + done, n);
			out[c] = f->block[c];
		}
		int r = f->sink(f->ctx, out, n, e);
		if (r < 0)
			return r;
		f->position += n;
		done += n;
	}
	const int64_t planned = f->spec->first_sample + f->spec->sample_count;
	const bool forward = f->view.inputs[0].size_bytes == TASK_INPUT_FORWARD; /* where it ends wasn't known */
	if (!forward && f->position > 2 * planned + (int64_t)BEYOND_SECONDS * f->spec->rate)
		return err_set_code(e, ERR_MEDIA, "DAMAGED_MEDIA", "its sound goes on far behind its end: a time stamp is wrong");
	return 0;
}

/* ---- Opening ---- */

static int open_source(struct sound_feed *f, const struct sound_feed_opts *o, struct err *e)
{
	const struct convert_spec *s = f->spec;
	const int64_t from = s->start_sample + o->from;
	const bool open = o->to == INT64_MAX && s->end_sample == CONVERT_TO_END;
	const int64_t to = open ? from + 1 : s->start_sample + f->limit;
	f->frames[0] = from / AAC_FRAME_SAMPLES;
	f->frames[1] = to / AAC_FRAME_SAMPLES + 1;
	f->view = *o->task;
	f->view.ladder = (struct ladder_spec){
		.video_stream = -1,
		.origin_ns = s->origin_ns,
		.sequential = s->sequential,
		.last = open,
		.audio_rate = s->rate,
		.audio_count = 1,
		.audios = { { s->stream, s->channels, s->bitrate_bps } },
		.segment_count = 1,
		.audio_frames = f->frames,
	};
	const struct source_start start = {
		.from_start = s->sequential || from == 0,
		.whole = o->whole,
		.audio_ticks = av_rescale(from - LEAD_SAMPLES, VIDEO_TIMESCALE, s->rate),
	};
	return source_open(&f->view, o->io, &start, &f->source, e);
}

static int open_pipe(struct sound_feed *f, int64_t from, struct err *e)
{
	const AVCodecParameters *par = source_parameters(f->source, SOURCE_AUDIO);
	const struct audio_pipe_opts o = {
		.rate = (int)f->spec->rate,
		.channels = (int)f->spec->channels,
		.start = f->spec->start_sample + from,
		.origin_ns = f->spec->origin_ns,
		.time_base = source_time_base(f->source, SOURCE_AUDIO),
		.first_pts = source_first_pts(f->source, SOURCE_AUDIO),
		/* Vorbis' blocks change in size */
		.frame_samples = par->codec_id == AV_CODEC_ID_VORBIS ? -1 : par->frame_size,
		.codec_rate = par->sample_rate,
		.sink = take_samples,
		.ctx = f,
	};
	return audio_pipe_new(&o, &f->pipe, e);
}

int sound_feed_open(const struct sound_feed_opts *opts, struct sound_feed **ret, struct err *e)
{
	struct sound_feed *f = mr_calloc(1, sizeof(*f));
	const struct convert_spec *s = &opts->task->convert;
	const int64_t wanted = s->end_sample == CONVERT_TO_END ? INT64_MAX : s->end_sample - s->start_sample;
	f->spec = s;
	f->io = opts->io;
	f->sink = opts->sink;
	f->ctx = opts->ctx;
	f->position = opts->from;
	f->limit = opts->to < wanted ? opts->to : wanted;
	f->total = f->limit == wanted && wanted != INT64_MAX ? wanted : -1;
	f->gain = powf(10.0F, (float)s->gain_mb / 2000.0F);
	f->max = s->sample == SAMPLE_F32 ? FLOAT_MAX : CODED_MAX;
	f->media_ticks = INT64_MIN / 2;
	f->frame = av_frame_alloc();
	f->held = av_frame_alloc();
	int r = f->frame && f->held ? open_source(f, opts, e) : averror_internal(e, AVERROR(ENOMEM), "read the sound");
	if (r == 0)
		r = open_pipe(f, opts->from, e);
	if (r < 0) {
		sound_feed_free(&f);
		return r;
	}
	*ret = f;
	return 0;
}

void sound_feed_free(struct sound_feed **f)
{
	if (!*f)
		return;
	av_frame_free(&(*f)->frame);
	av_frame_free(&(*f)->held);
	audio_pipe_free(&(*f)->pipe);
	source_close(&(*f)->source);
	free(*f);
	*f = NULL;
}

const AVCodecParameters *sound_feed_parameters(const struct sound_feed *f)
{
	return source_parameters(f->source, SOURCE_AUDIO);
}

AVFormatContext *sound_feed_format(struct sound_feed *f)
{
	return source_format(f->source);
}

int64_t sound_feed_total(const struct sound_feed *f)
{
	return f->total;
}

uint32_t sound_feed_decode_errors(const struct sound_feed *f)
{
	return source_decode_errors(f->source);
}

/* ---- Running ---- */

/* Also while nothing is wanted yet (decoding up to the range), so that nobody takes the task for dead. */
static int report(struct sound_feed *f, struct err *e)
{
	const struct convert_spec *s = f->spec;
	int64_t media = source_latest_ticks(f->source, SOURCE_AUDIO);
	int64_t end = s->first_sample + s->sample_count;
	int64_t at = f->position < end ? f->position : end;
	int64_t done = at > s->first_sample ? av_rescale(at - s->first_sample, VIDEO_TIMESCALE, s->rate) : 0;
	if (done - f->reported_ticks < PROGRESS_TICKS && media - f->media_ticks < PROGRESS_TICKS)
		return 0;
	f->media_ticks = media > f->media_ticks ? media : f->media_ticks;
	f->reported_ticks = done > f->reported_ticks ? done : f->reported_ticks;
	const struct task_progress p = { .done_ticks = f->reported_ticks, .bytes_read = source_bytes_read(f->source) };
	return f->io->progress(f->io->ctx, &p, e);
}

/* MP4 says by the last packet's duration (or the edit list, which libav turns into that) how much of the last frame is sound. */
static int push_last(struct sound_feed *f, struct err *e)
{
	AVFrame *last = f->held;
	const AVRational tb = source_time_base(f->source, SOURCE_AUDIO);
	const int64_t duration = source_frame_duration(last);
	if (strstr(source_format(f->source)->iformat->name, "mp4") && tb.num == 1 && tb.den == last->sample_rate &&
	    duration > 0 && duration < last->nb_samples)
		last->nb_samples = (int)duration;
	return last->nb_samples ? audio_pipe_push(f->pipe, last, e) : 0;
}

static int push(struct sound_feed *f, struct err *e)
{
	int r = f->held->nb_samples ? audio_pipe_push(f->pipe, f->held, e) : 0;
	av_frame_unref(f->held);
	av_frame_move_ref(f->held, f->frame);
	return r < 0 ? r : report(f, e);
}

/* The source has no more: what the resampler holds comes yet, up to the sound's end. */
static int finish(struct sound_feed *f, struct err *e)
{
	int r = push_last(f, e);
	if (r < 0)
		return r;
	int64_t end = audio_pipe_end_sample(f->pipe);
	if (end == INT64_MIN)
		return err_set_code(e, ERR_MEDIA, "UNDECODABLE", "stream %d: no sound could be decoded", f->spec->stream);
	end -= f->spec->start_sample;
	end = end > 0 ? end : 0;
	if (end < f->limit) {
		f->limit = end > f->position ? end : f->position;
		f->total = end;
	}
	return audio_pipe_finish(f->pipe, f->spec->start_sample + f->limit, e);
}

int sound_feed_run(struct sound_feed *f, struct err *e)
{
	bool seen = false;
	while (f->position < f->limit) {
		int track;
		int r = source_next(f->source, f->frame, &track, e);
		if (r < 0)
			return r;
		if (track == SOURCE_END) {
			if (seen || source_at_start(f->source))
				return finish(f, e);
			r = source_rewind(f->source, e); /* the place was a bad one: all that the file has is tried */
		} else if (track == SOURCE_AUDIO) {
			seen = true;
			r = push(f, e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}
