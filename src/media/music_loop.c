/* Looped music: see music_loop.h. */
#include "media/music_loop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/audio_pipe.h"
#include "media/averror.h"
#include "media/loudness.h"
#include "media/source.h"

#define CHANNELS 2
#define LEAST_SAMPLES (NARRATE_RATE / 10)
#define MEASURE_BLOCK 4096
#define SAMPLE_MAX 4.0F
/* What counts as silence at the music's head and tail: so far below its loudness, within bounds. */
#define QUIET_BELOW_DB 36.0
#define QUIET_LEAST_DBFS (-80.0)
#define QUIET_MOST_DBFS (-45.0)
#define QUIET_UNKNOWN_DBFS (-60.0) /* where its loudness isn't known */
#define QUIET_MAX_SAMPLES (30 * (size_t)NARRATE_RATE) /* what is longer is meant to be heard */
#define PASS_LEAST_SAMPLES ((size_t)NARRATE_RATE)     /* no pass is made shorter than that */

/* One pass over the source. */
struct pass {
	struct source *source;
	struct audio_pipe *pipe;
	bool ended;
	int64_t decoded; /* samples, so far */
	int64_t total;	 /* of them that are played */
	float *ring[CHANNELS]; /* decoded and not read yet; begins at `first` */
	size_t first, count, capacity;
	float silence; /* no sample of it is above */
	bool heard;    /* the head's silence is over */
	size_t quiet;  /* silence at the ring's end: only the tail's, unless sound follows */
};

struct music_loop {
	const struct media_io *io;
	struct task_spec view; /* what source.h wants to know: a ladder of this sound alone */
	int64_t frames[2];
	AVFrame *frame;
	size_t fade; /* samples of the cross-fade */
	float silence;
	struct pass now;
	float *tail[CHANNELS]; /* of the pass before, under the beginning of this one */
	size_t tail_count, tail_at;
	uint32_t decode_errors; /* of passes before */
};

static float clean(float v)
{
	v = v == v ? v : 0.0F;
	return v > SAMPLE_MAX ? SAMPLE_MAX : v < -SAMPLE_MAX ? -SAMPLE_MAX : v;
}

static bool is_silent(const struct pass *p, size_t at)
{
	return fabsf(p->ring[0][at]) <= p->silence && fabsf(p->ring[1][at]) <= p->silence;
}

static void drop_head(struct pass *p, size_t count)
{
	p->first += count;
	p->count -= count;
	p->total -= (int64_t)count;
}

/* Looks at the last `count` samples, which have just come. */
static void tell_silence(struct pass *p, size_t count)
{
	const size_t end = p->first + p->count;
	size_t behind = 0;
	while (behind < count && is_silent(p, end - 1 - behind))
		behind++;
	if (behind == count) {
		p->quiet += count;
		if (p->quiet > QUIET_MAX_SAMPLES) {
			p->heard = true;
			p->quiet = 0;
		}
		return;
	}
	size_t head = p->heard ? 0 : p->quiet;
	while (!p->heard && is_silent(p, end - count + (head - p->quiet)))
		head++;
	drop_head(p, head);
	p->heard = true;
	p->quiet = behind;
}

static void make_room(struct pass *p, size_t count)
{
	if (p->first && p->first + p->count + count > p->capacity) {
		for (int c = 0; c < CHANNELS; c++)
			memmove(p->ring[c], p->ring[c] + p->first, p->count * sizeof(float));
		p->first = 0;
	}
	if (p->count + count > p->capacity) {
		p->capacity = 2 * (p->count + count);
		for (int c = 0; c < CHANNELS; c++)
			p->ring[c] = mr_reallocarray(p->ring[c], p->capacity, sizeof(float));
	}
}

static int take(void *ctx, const float *const *planes, int count, struct err *e)
{
	struct pass *p = ctx;
	(void)e;
	make_room(p, (size_t)count);
	for (int c = 0; c < CHANNELS; c++)
		for (int i = 0; i < count; i++)
			p->ring[c][p->first + p->count + (size_t)i] = clean(planes[c][i]);
	p->count += (size_t)count;
	p->decoded += count;
	p->total += count;
	tell_silence(p, (size_t)count);
	return 0;
}

static void pass_close(struct music_loop *m)
{
	struct pass *p = &m->now;
	if (p->source)
		m->decode_errors += source_decode_errors(p->source);
	audio_pipe_free(&p->pipe);
	source_close(&p->source);
	for (int c = 0; c < CHANNELS; c++)
		free(mr_steal(p->ring[c]));
	*p = (struct pass){ 0 };
}

static int pass_open(struct music_loop *m, struct err *e)
{
	const struct source_start start = { .from_start = true, .whole = true };
	struct pass *p = &m->now;
	p->silence = m->silence;
	int r = source_open(&m->view, m->io, &start, &p->source, e);
	if (r < 0)
		return r;
	const AVCodecParameters *par = source_parameters(p->source, SOURCE_AUDIO);
	const struct audio_pipe_opts o = {
		.rate = NARRATE_RATE,
		.channels = CHANNELS,
		.origin_ns = m->view.narrate.music_origin_ns,
		.time_base = source_time_base(p->source, SOURCE_AUDIO),
		.first_pts = source_first_pts(p->source, SOURCE_AUDIO),
		.frame_samples = par->codec_id == AV_CODEC_ID_VORBIS ? -1 : par->frame_size, /* Vorbis' blocks change in size */
		.codec_rate = par->sample_rate,
		.sink = take,
		.ctx = p,
	};
	return audio_pipe_new(&o, &p->pipe, e);
}

/* Without the silence at its end, but never so short that it would buzz. */
static void drop_tail(struct pass *p)
{
	size_t quiet = p->heard && (size_t)p->total - p->quiet >= PASS_LEAST_SAMPLES ? p->quiet : 0;
	p->count -= quiet;
	p->total -= (int64_t)quiet;
	p->quiet = 0;
	if ((size_t)p->total >= PASS_LEAST_SAMPLES)
		return;
	size_t missing = PASS_LEAST_SAMPLES - (size_t)p->total;
	make_room(p, missing);
	for (int c = 0; c < CHANNELS; c++)
		memset(p->ring[c] + p->first + p->count, 0, missing * sizeof(float));
	p->count += missing;
	p->total += (int64_t)missing;
}

static int pass_end(struct pass *p, struct err *e)
{
	p->ended = true;
	int64_t end = audio_pipe_end_sample(p->pipe);
	int r = end == INT64_MIN ? 0 : audio_pipe_finish(p->pipe, end, e);
	if (r == 0 && p->decoded < LEAST_SAMPLES)
		return err_set_code(e, ERR_MEDIA, "UNDECODABLE", "the music: %lld samples could be decoded",
				    (long long)p->decoded);
	if (r == 0)
		drop_tail(p);
	return r;
}

/* Decodes until so many samples are there that are sure to be played, or the source has ended. */
static int fill(struct music_loop *m, size_t wanted, struct err *e)
{
	struct pass *p = &m->now;
	int r = 0;
	while (r == 0 && !p->ended && p->count - p->quiet < wanted) {
		int track;
		r = source_next(p->source, m->frame, &track, e);
		if (r == 0 && track == SOURCE_AUDIO)
			r = audio_pipe_push(p->pipe, m->frame, e);
		else if (r == 0 && track == SOURCE_END)
			r = pass_end(p, e);
	}
	return r < 0 ? err_wrap(e, "the music") : 0;
}

static float silence_of(int32_t mlufs)
{
	double db = mlufs == NARRATE_GAIN_UNKNOWN ? QUIET_UNKNOWN_DBFS : mlufs / 1000.0 - QUIET_BELOW_DB;
	db = db < QUIET_LEAST_DBFS ? QUIET_LEAST_DBFS : db > QUIET_MOST_DBFS ? QUIET_MOST_DBFS : db;
	return (float)pow(10, db / 20);
}

int music_loop_open(const struct task_spec *task, const struct media_io *io, struct music_loop **ret, struct err *e)
{
	struct music_loop *m = mr_calloc(1, sizeof(*m));
	m->io = io;
	m->frames[1] = 1;
	m->view = *task;
	m->view.ladder = (struct ladder_spec){
		.video_stream = -1,
		.origin_ns = task->narrate.music_origin_ns,
		.sequential = true,
		.last = true,
		.audio_rate = NARRATE_RATE,
		.audio_count = 1,
		.audios = { { task->narrate.music_stream, CHANNELS, task->narrate.bitrate_bps } },
		.segment_count = 1,
		.audio_frames = m->frames,
	};
	m->silence = silence_of(task->narrate.music_mlufs);
	m->fade = (size_t)task->narrate.crossfade_ms * (NARRATE_RATE / 1000);
	m->frame = av_frame_alloc();
	int r = m->frame ? pass_open(m, e) : averror_internal(e, AVERROR(ENOMEM), "read the music");
	if (r < 0) {
		music_loop_close(&m);
		return r;
	}
	*ret = m;
	return 0;
}

void music_loop_close(struct music_loop **m)
{
	if (!*m)
		return;
	pass_close(*m);
	for (int c = 0; c < CHANNELS; c++)
		free((*m)->tail[c]);
	av_frame_free(&(*m)->frame);
	free(*m);
	*m = NULL;
}

uint32_t music_loop_decode_errors(const struct music_loop *m)
{
	return m->decode_errors + (m->now.source ? source_decode_errors(m->now.source) : 0);
}

/* What is left of a pass that has ended goes under the beginning of the next one. */
static int begin_anew(struct music_loop *m, struct err *e)
{
	struct pass *p = &m->now;
	for (int c = 0; c < CHANNELS; c++) {
		m->tail[c] = mr_reallocarray(m->tail[c], p->count + 1, sizeof(float));
		memcpy(m->tail[c], p->ring[c] + p->first, p->count * sizeof(float));
	}
	m->tail_count = p->count;
	m->tail_at = 0;
	pass_close(m);
	return pass_open(m, e);
}

/* No pass is more than half cross-fades. */
static size_t fade_of(const struct music_loop *m)
{
	size_t quarter = (size_t)m->now.total / 4;
	return m->now.ended && quarter < m->fade ? quarter : m->fade;
}

static void mix_tail(struct music_loop *m, float *left, float *right, size_t count)
{
	for (size_t i = 0; i < count && m->tail_at < m->tail_count; i++, m->tail_at++) {
		float x = (float)M_PI_2 * ((float)m->tail_at + 0.5F) / (float)m->tail_count;
		float in = sinf(x), out = cosf(x);
		left[i] = left[i] * in + m->tail[0][m->tail_at] * out;
		right[i] = right[i] * in + m->tail[1][m->tail_at] * out;
	}
}

int music_loop_read(struct music_loop *m, float *left, float *right, int count, struct err *e)
{
	for (size_t done = 0; done < (size_t)count;) {
		struct pass *p = &m->now;
		size_t wanted = (size_t)count - done;
		int r = fill(m, wanted + m->fade, e);
		if (r < 0)
			return r;
		size_t fade = fade_of(m), sure = p->count - p->quiet, there = sure > fade ? sure - fade : 0;
		if (!there && p->ended) {
			r = begin_anew(m, e);
			if (r < 0)
				return r;
			continue;
		}
		size_t n = wanted < there ? wanted : there;
		memcpy(left + done, p->ring[0] + p->first, n * sizeof(float));
		memcpy(right + done, p->ring[1] + p->first, n * sizeof(float));
		mix_tail(m, left + done, right + done, n);
		p->first += n;
		p->count -= n;
		done += n;
	}
	return 0;
}

static int measure(struct music_loop *m, struct loudness_meter *meter, int64_t samples, struct err *e)
{
	float both[2 * MEASURE_BLOCK];
	struct pass *p = &m->now;
	int r = 0;
	for (int64_t done = 0; r == 0 && done < samples; done += MEASURE_BLOCK) {
		r = fill(m, MEASURE_BLOCK, e);
		size_t n = p->count < MEASURE_BLOCK ? p->count : MEASURE_BLOCK;
		if (r < 0 || n == 0)
			return r;
		for (size_t i = 0; i < n; i++)
			for (size_t c = 0; c < CHANNELS; c++)
				both[CHANNELS * i + c] = p->ring[c][p->first + i];
		p->first += n;
		p->count -= n;
		r = loudness_meter_add(meter, both, n, e);
	}
	return r;
}

int music_loop_measure(const struct task_spec *task, const struct media_io *io, int seconds, int32_t *ret_mlufs, struct err *e)
{
	struct music_loop *m = NULL;
	struct loudness_meter *meter = NULL;
	AVChannelLayout stereo;
	av_channel_layout_default(&stereo, CHANNELS);
	int32_t mlufs = LOUDNESS_UNKNOWN;
	int r = music_loop_open(task, io, &m, e);
	if (r == 0)
		r = loudness_meter_new_plain(NARRATE_RATE, &stereo, &meter, e);
	if (r == 0)
		r = measure(m, meter, (int64_t)seconds * NARRATE_RATE, e);
	if (r == 0)
		r = loudness_meter_integrated(meter, &mlufs, e);
	loudness_meter_free(&meter);
	music_loop_close(&m);
	if (r < 0)
		return r;
	*ret_mlufs = mlufs == LOUDNESS_UNKNOWN ? NARRATE_GAIN_UNKNOWN : mlufs;
	return 0;
}
