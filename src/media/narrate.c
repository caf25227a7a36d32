/* A narration: sentences over looped music, ducked under them, limited, encoded, cut. Runs in a sandboxed child of millrace-task;
 * one thread.
 *
 * Everything that is mixed is a function of time, of the specification and of the sentences' sounds, from the first sample on: a
 * task that continues a narration mixes from its beginning again (that is cheap), and encodes from the run that holds the first
 * segment that is missing. A sentence is asked for when the mix has come to it, and not before; so what needs no speech yet is on
 * its way already.
 *
 * Guarantees: memory is that of one sentence and two cross-fades of music, however long the narration; the first segment leaves as
 * soon as five seconds (and the encoder's look-ahead) are mixed.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/audio_encode.h"
#include "media/limiter.h"
#include "media/media_io.h"
#include "media/music_loop.h"
#include "media/narrate_order.h"
#include "media/voice.h"

#define BLOCK 1024
#define SAMPLES_PER_MS (NARRATE_RATE / 1000)
#define MEASURE_SECONDS 20
#define LAST_FRAMES_MIN 47 /* no last segment is shorter than a second */
#define ENCODING_MARGIN_DB 1.0 /* by which a decoder's peaks may exceed the encoder's input's */
#define PROGRESS_SAMPLES (2 * (int64_t)NARRATE_RATE)

struct narration {
	const struct task_spec *task;
	const struct narrate_spec *spec;
	const struct media_io *io;
	/* Mixing. */
	struct music_loop *music;
	int32_t music_mlufs;
	float music_gain;
	struct limiter *limiter;
	struct voice voice;
	int64_t voice_start;
	int64_t at;	      /* the next sample to be mixed */
	int64_t spoken_until; /* where the last sentence so far ends */
	int64_t next_speech;  /* where the next one begins; INT64_MAX: not known, or there is none */
	int64_t end;	      /* of all; INT64_MAX: not known */
	float duck, duck_least, duck_down, duck_up; /* its gain now, its least, and what it is multiplied by for each sample */
	float block[2][BLOCK];
	/* Encoding. */
	struct ladder_spec ladder; /* what rendition.h and audio_encode.h want to know: a ladder of this sound alone */
	struct timeline timeline;
	struct rendition rendition;
	struct audio_encode *encoder;
	int64_t out;	/* the next sample that leaves the limiter */
	int64_t wanted; /* the next one that the encoder gets */
	int64_t reported;
};

static float from_db(double db)
{
	return (float)pow(10, db / 20);
}

/* ---- out ---- */

static int report(struct narration *n, struct err *e)
{
	if (n->out - n->reported < PROGRESS_SAMPLES)
		return 0;
	n->reported = n->out;
	const struct task_progress p = { .done_ticks = n->out * VIDEO_TIMESCALE / NARRATE_RATE };
	return n->io->progress(n->io->ctx, &p, e);
}

/* The block's first `count` samples into the encoder, from the one on at which it begins. */
static int deliver(struct narration *n, int count, struct err *e)
{
	int64_t skip = n->wanted - n->out;
	skip = skip < 0 ? 0 : skip > count ? count : skip;
	const float *planes[2] = { n->block[0] + skip, n->block[1] + skip };
	n->out += count;
	n->wanted += count - skip;
	int r = skip < count ? audio_encode_samples(n->encoder, planes, count - (int)skip, e) : 0;
	return r < 0 ? r : report(n, e);
}

/* ---- the mix ---- */

/* 0 to 1 and back at the ends, smoothly. */
static float fade_at(const struct narration *n, int64_t t)
{
	const int64_t in = (int64_t)n->spec->fade_in_ms * SAMPLES_PER_MS, out = (int64_t)n->spec->fade_out_ms * SAMPLES_PER_MS;
	float f = 1;
	if (t < in)
		f = 0.5F - 0.5F * cosf((float)M_PI * (float)t / (float)in);
	if (n->end != INT64_MAX && t > n->end - out)
		f *= t < n->end ? 0.5F - 0.5F * cosf((float)M_PI * (float)(n->end - t) / (float)out) : 0;
	return f;
}

static float duck_at(struct narration *n, int64_t t)
{
	const int64_t attack = (int64_t)n->spec->attack_ms * SAMPLES_PER_MS, hold = (int64_t)n->spec->hold_ms * SAMPLES_PER_MS;
	bool speech = (n->spoken_until > 0 && t < n->spoken_until + hold) ||
		      (n->next_speech != INT64_MAX && t >= n->next_speech - attack);
	n->duck *= speech ? n->duck_down : n->duck_up;
	n->duck = n->duck < n->duck_least ? n->duck_least : n->duck > 1 ? 1 : n->duck;
	return n->duck;
}

static void add_voice(struct narration *n, int count)
{
	for (int i = 0; i < count; i++) {
		int64_t k = n->at + i - n->voice_start;
		if (!n->voice.samples || k < 0 || k >= n->voice.count)
			continue;
		n->block[0][i] += n->voice.samples[k];
		n->block[1][i] += n->voice.samples[k];
	}
}

static int mix_block(struct narration *n, int count, struct err *e)
{
	memset(n->block, 0, sizeof(n->block));
	if (n->music) {
		int r = music_loop_read(n->music, n->block[0], n->block[1], count, e);
		if (r < 0)
			return r;
		for (int i = 0; i < count; i++) {
			float gain = n->music_gain * duck_at(n, n->at + i) * fade_at(n, n->at + i);
			n->block[0][i] *= gain;
			n->block[1][i] *= gain;
		}
	}
	add_voice(n, count);
	n->at += count;
	limiter_run(n->limiter, n->block[0], n->block[1], count);
	return deliver(n, count, e);
}

static int mix_to(struct narration *n, int64_t end, struct err *e)
{
	int r = 0;
	while (r == 0 && n->at < end)
		r = mix_block(n, end - n->at < BLOCK ? (int)(end - n->at) : BLOCK, e);
	return r;
}

static int too_long(struct err *e)
{
	return err_set_code(e, ERR_MEDIA, "TOO_LONG", "the narration is longer than %d hours",
			    NARRATE_SEGMENTS_MAX * NARRATE_SEGMENT_SECONDS / 3600);
}

static int speak(struct narration *n, uint32_t sentence, int64_t start, struct err *e)
{
	n->next_speech = start;
	int r = mix_to(n, start, e);
	voice_release(&n->voice);
	if (r == 0)
		r = voice_load(n->io, sentence, n->spec->target_mlufs, &n->voice, e);
	if (r < 0)
		return r;
	n->voice_start = start;
	n->spoken_until = start + n->voice.count;
	n->next_speech = INT64_MAX;
	if (n->spoken_until > narrate_boundary(NARRATE_SEGMENTS_MAX - 1) * AAC_FRAME_SAMPLES)
		return too_long(e);
	return mix_to(n, n->spoken_until, e);
}

/* All items in their order; returns where the last one ends. */
static int speak_all(struct narration *n, int64_t *ret_end, struct err *e)
{
	struct narrate_order o;
	narrate_order_init(&o, n->spec);
	while (narrate_order_next(&o)) {
		int r = speak(n, o.sentence, o.at, e);
		if (r < 0)
			return r;
		o.at = n->spoken_until;
	}
	*ret_end = o.at;
	return 0;
}

/* ---- the end ---- */

/* Whole frames, and no tiny segment. */
static int64_t end_frames(const struct narrate_spec *s, int64_t spoken)
{
	int64_t end = spoken + (int64_t)s->tail_ms * SAMPLES_PER_MS, least = (int64_t)s->min_ms * SAMPLES_PER_MS;
	end = end < least ? least : end;
	int64_t frames = (end + AAC_FRAME_SAMPLES - 1) / AAC_FRAME_SAMPLES;
	uint32_t i = (uint32_t)(frames * AAC_FRAME_SAMPLES / NARRATE_RATE / NARRATE_SEGMENT_SECONDS);
	i -= narrate_boundary(i) > frames;
	int64_t over = frames - narrate_boundary(i);
	return i && over && over < LAST_FRAMES_MIN ? narrate_boundary(i) + LAST_FRAMES_MIN : frames;
}

static uint32_t segment_of(const struct narration *n, int64_t sample)
{
	int64_t frame = sample > 0 ? sample / AAC_FRAME_SAMPLES : 0;
	return timeline_segment_of_frame(&n->timeline, frame);
}

static int finish(struct narration *n, int64_t spoken, struct narrate_result *ret, struct err *e)
{
	int64_t frames = end_frames(n->spec, spoken);
	if (frames > narrate_boundary(NARRATE_SEGMENTS_MAX))
		return too_long(e);
	n->end = frames * AAC_FRAME_SAMPLES;
	(void)timeline_finish(&n->timeline, n->end * VIDEO_TIMESCALE / NARRATE_RATE, segment_of(n, n->out));
	int r = mix_to(n, n->end, e);
	/* Silence pushes out what the limiter and the encoder hold. */
	while (r == 0 && !audio_encode_done(n->encoder)) {
		memset(n->block, 0, sizeof(n->block));
		limiter_run(n->limiter, n->block[0], n->block[1], BLOCK);
		r = deliver(n, BLOCK, e);
	}
	if (r == 0)
		r = audio_encode_flush(n->encoder, e);
	if (r < 0)
		return r;
	*ret = (struct narrate_result){ .next_segment = n->timeline.first + n->timeline.count,
					.frames = frames,
					.music_mlufs = n->music_mlufs,
					.decode_errors = n->music ? music_loop_decode_errors(n->music) : 0 };
	return 0;
}

/* ---- setting up ---- */

static int open_music(struct narration *n, struct err *e)
{
	const struct narrate_spec *s = n->spec;
	n->music_mlufs = s->music_mlufs;
	if (s->music_stream < 0)
		return 0;
	int r = 0;
	if (n->music_mlufs == NARRATE_GAIN_UNKNOWN)
		r = music_loop_measure(n->task, n->io, MEASURE_SECONDS, &n->music_mlufs, e);
	if (r == 0)
		r = music_loop_open(n->task, n->io, &n->music, e);
	double db = n->music_mlufs == NARRATE_GAIN_UNKNOWN ? 0 : (s->target_mlufs + s->music_below_mdb - n->music_mlufs) / 1000.0;
	n->music_gain = from_db(db > 24 ? 24 : db);
	return r;
}

/* The duck's gain runs evenly in decibels. */
static void set_duck(struct narration *n)
{
	const struct narrate_spec *s = n->spec;
	const double db = s->duck_mdb / 1000.0, samples_per_ms = NARRATE_RATE / 1000.0;
	n->duck = 1;
	n->duck_least = from_db(db);
	n->duck_down = from_db(db / (samples_per_ms * (s->attack_ms ? s->attack_ms : 1)));
	n->duck_up = from_db(-db / (samples_per_ms * (s->release_ms ? s->release_ms : 1)));
}

/* As many segments as there can be: the end moves to where it is. */
static int open_encoder(struct narration *n, struct err *e)
{
	const uint32_t first = n->spec->resume_segment / NARRATE_RUN_SEGMENTS * NARRATE_RUN_SEGMENTS;
	const uint32_t count = NARRATE_SEGMENTS_MAX - first;
	struct ladder_spec *l = &n->ladder;
	*l = (struct ladder_spec){ .container = CONTAINER_TS, .video_stream = -1,
				   .segment_ticks = NARRATE_SEGMENT_SECONDS * VIDEO_TIMESCALE, .audio_rate = NARRATE_RATE,
				   .audio_count = 1, .audios = { { 0, 2, n->spec->bitrate_bps } }, .first_segment = first,
				   .segment_count = count, .resume_segment = n->spec->resume_segment };
	l->audio_frames = mr_calloc((size_t)count + 1, sizeof(*l->audio_frames));
	l->runs = mr_calloc(count, sizeof(*l->runs));
	for (uint32_t i = 0; i <= count; i++)
		l->audio_frames[i] = narrate_boundary(first + i);
	for (uint32_t i = 0; i < count; i += NARRATE_RUN_SEGMENTS)
		l->runs[l->run_count++] = first + i;
	int r = timeline_init(&n->timeline, l, e);
	if (r < 0)
		return r;
	rendition_init(&n->rendition, l, n->io, &n->timeline, 0, true);
	return audio_encode_new(l, &l->audios[0], &n->timeline, &n->rendition, &n->encoder, e);
}

/* The encoder begins before the first sample, with silence; the limiter's own delay is left out. */
static int deliver_silence(struct narration *n, struct err *e)
{
	int r = 0;
	n->wanted = audio_encode_start(n->encoder);
	n->out = n->wanted < 0 ? n->wanted : 0;
	while (r == 0 && n->out < 0) {
		memset(n->block, 0, sizeof(n->block));
		r = deliver(n, n->out < -BLOCK ? BLOCK : (int)-n->out, e);
	}
	n->out = -LIMITER_DELAY;
	return r;
}

static int narrate(struct narration *n, struct narrate_result *ret, struct err *e)
{
	int64_t spoken = 0;
	n->end = n->next_speech = INT64_MAX;
	n->limiter = limiter_new(from_db(n->spec->peak_mdbtp / 1000.0 - ENCODING_MARGIN_DB));
	set_duck(n);
	int r = open_music(n, e);
	if (r == 0)
		r = open_encoder(n, e);
	if (r == 0)
		r = deliver_silence(n, e);
	if (r == 0)
		r = speak_all(n, &spoken, e);
	return r < 0 ? r : finish(n, spoken, ret, e);
}

int media_narrate(const struct task_spec *task, const struct media_io *io, struct narrate_result *ret, struct err *e)
{
	if (task->kind != TASK_NARRATE || task->input_count != NARRATE_INPUTS)
		return err_set(e, ERR_INVALID, "not a narration");
	struct narration *n = mr_calloc(1, sizeof(*n));
	n->task = task;
	n->spec = &task->narrate;
	n->io = io;
	int r = narrate(n, ret, e);
	audio_encode_free(&n->encoder);
	rendition_release(&n->rendition);
	timeline_release(&n->timeline);
	free(n->ladder.audio_frames);
	free(n->ladder.runs);
	music_loop_close(&n->music);
	limiter_free(&n->limiter);
	voice_release(&n->voice);
	free(n);
	return r;
}
