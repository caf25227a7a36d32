/* Segment boundaries of a chunk: see timeline.h. */
#include "media/timeline.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Rounded to the nearest; exact for any presentation shorter than 10^5 years. */
int64_t timeline_frames_to_ticks(const struct timeline *t, int64_t frames)
{
	__int128 ticks = (__int128)frames * AAC_FRAME_SAMPLES * VIDEO_TIMESCALE;
	return (int64_t)((ticks + t->audio_rate / 2) / t->audio_rate);
}

/* The frame boundary nearest to a time. */
static int64_t ticks_to_frames_nearest(const struct timeline *t, int64_t ticks)
{
	__int128 unit = (__int128)AAC_FRAME_SAMPLES * VIDEO_TIMESCALE;
	return (int64_t)(((__int128)ticks * t->audio_rate + unit / 2) / unit);
}

/* The first frame boundary that isn't before a time; what sticks out by less than two samples is rounding, not sound. */
static int64_t ticks_to_frames_up(const struct timeline *t, int64_t ticks)
{
	__int128 unit = (__int128)AAC_FRAME_SAMPLES * VIDEO_TIMESCALE;
	__int128 samples = (__int128)ticks * t->audio_rate - 2 * (__int128)VIDEO_TIMESCALE;
	return samples <= 0 ? 0 : (int64_t)((samples + unit - 1) / unit);
}

static bool rising(const int64_t *b, uint32_t count)
{
	if (b[0] < 0)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (b[i + 1] <= b[i])
			return false;
	return true;
}

int timeline_init(struct timeline *t, const struct ladder_spec *spec, struct err *e)
{
	uint32_t n = spec->segment_count;
	*t = (struct timeline){ .first = spec->first_segment,
				.count = n,
				.has_video = spec->video_stream >= 0 && spec->rung_count > 0,
				.exact = ladder_copies(spec),
				/* Without sound, frames of any rate do for reckoning. */
				.audio_rate = spec->audio_rate ? spec->audio_rate : 48000,
				.frame_ticks = spec->frame_ticks,
				.segment_ticks = spec->segment_ticks,
				.end = spec->last ? TIMELINE_OPEN : TIMELINE_FIXED };
	/* no keyframe is known behind the plan */
	if (t->exact && spec->last)
		t->end = TIMELINE_ABSORB;
	bool has_audio = spec->audio_count > 0;
	if (n == 0 || n > TASK_SEGMENTS_MAX || spec->segment_ticks == 0 || (!t->has_video && !has_audio) ||
	    (t->has_video && (!spec->video_ticks || !rising(spec->video_ticks, n))) ||
	    (has_audio && (!spec->audio_frames || spec->audio_rate == 0 || !rising(spec->audio_frames, n))))
		return err_set(e, ERR_INVALID, "segment boundaries don't rise or don't fit the streams");
	t->lock = mr_calloc(1, sizeof(pthread_mutex_t));
	(void)pthread_mutex_init(t->lock, NULL);
	t->video = mr_calloc(n + 1, sizeof(*t->video));
	if (has_audio) {
		t->audio = mr_calloc(n + 1, sizeof(*t->audio));
		memcpy(t->audio, spec->audio_frames, (n + 1) * sizeof(*t->audio));
	}
	for (uint32_t i = 0; i <= n; i++)
		t->video[i] = t->has_video ? spec->video_ticks[i] : timeline_frames_to_ticks(t, t->audio[i]);
	return 0;
}

void timeline_release(struct timeline *t)
{
	free(t->video);
	free(t->audio);
	t->video = t->audio = NULL;
	if (t->lock)
		(void)pthread_mutex_destroy(t->lock);
	free(t->lock);
	t->lock = NULL;
}

/* The last i < count with boundary[i] <= value, 0 if there is none. */
static uint32_t find(const int64_t *boundary, uint32_t count, int64_t value)
{
	uint32_t low = 0, high = count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (boundary[middle] <= value)
			low = middle;
		else
			high = middle;
	}
	return low;
}

uint32_t timeline_segment(const struct timeline *t, int64_t ticks)
{
	(void)pthread_mutex_lock(t->lock);
	uint32_t found = find(t->video, t->count, ticks);
	(void)pthread_mutex_unlock(t->lock);
	return found;
}

uint32_t timeline_segment_of_frame(const struct timeline *t, int64_t frame)
{
	(void)pthread_mutex_lock(t->lock);
	uint32_t found = find(t->audio, t->count, frame);
	(void)pthread_mutex_unlock(t->lock);
	return found;
}

void timeline_bounds(const struct timeline *t, uint32_t segment, bool audio, int64_t *ret_start, int64_t *ret_end)
{
	(void)pthread_mutex_lock(t->lock);
	const int64_t *boundaries = audio ? t->audio : t->video;
	*ret_start = boundaries[segment];
	*ret_end = boundaries[segment + 1];
	(void)pthread_mutex_unlock(t->lock);
}

void timeline_move(struct timeline *t, uint32_t boundary, int64_t ticks)
{
	(void)pthread_mutex_lock(t->lock);
	t->video[boundary] = ticks;
	(void)pthread_mutex_unlock(t->lock);
}

int64_t timeline_start(const struct timeline *t)
{
	return t->video[0];
}

int64_t timeline_end_ticks(const struct timeline *t)
{
	return t->end == TIMELINE_ABSORB ? INT64_MAX : t->video[t->count];
}

int64_t timeline_end_frames(const struct timeline *t)
{
	return t->end == TIMELINE_ABSORB ? INT64_MAX : t->audio[t->count];
}

int timeline_grow(struct timeline *t, struct err *e)
{
	assert(t->end == TIMELINE_OPEN);
	if (t->first + t->count >= TASK_SEGMENTS_MAX)
		return err_set(e, ERR_TOO_LARGE, "more than %d segments", TASK_SEGMENTS_MAX);
	uint32_t n = t->count + 1;
	(void)pthread_mutex_lock(t->lock);
	t->video = mr_reallocarray(t->video, n + 1, sizeof(*t->video));
	t->video[n] = t->video[n - 1] + t->segment_ticks;
	if (t->audio) {
		t->audio = mr_reallocarray(t->audio, n + 1, sizeof(*t->audio));
		int64_t frames = ticks_to_frames_nearest(t, t->video[n]);
		t->audio[n] = frames > t->audio[n - 1] ? frames : t->audio[n - 1] + 1;
	}
	t->count = n;
	(void)pthread_mutex_unlock(t->lock);
	return 0;
}

void timeline_absorb(struct timeline *t)
{
	assert(t->end == TIMELINE_OPEN);
	t->end = TIMELINE_ABSORB;
}

/* An end this far before a boundary is that boundary: one frame of either kind. */
static int64_t slack(const struct timeline *t)
{
	int64_t frame = t->has_video ? t->frame_ticks : 0;
	if (frame > VIDEO_TIMESCALE / 10)
		frame = VIDEO_TIMESCALE / 10;
	int64_t audio = t->audio ? timeline_frames_to_ticks(t, 1) : 0;
	return frame > audio ? frame : audio;
}

static void move_end(struct timeline *t, int64_t end_ticks)
{
	t->video[t->count] = end_ticks > t->video[t->count - 1] ? end_ticks : t->video[t->count - 1] + 1;
	if (t->audio) {
		int64_t frames = ticks_to_frames_up(t, end_ticks);
		int64_t least = t->audio[t->count - 1] + 1;
		t->audio[t->count] = frames > least ? frames : least;
	}
}

static bool finish_locked(struct timeline *t, int64_t end_ticks, uint32_t begun)
{
	bool open = t->end != TIMELINE_FIXED;
	bool missing = false;
	t->end = TIMELINE_FINISHED;
	if (end_ticks > t->video[t->count] + VIDEO_TIMESCALE / 1000) {
		if (open)
			move_end(t, end_ticks);
		return false;
	}
	/* Segments that would hold less than a frame don't exist. */
	while (t->count > 0 && end_ticks < t->video[t->count] - slack(t)) {
		missing = true;
		if (t->count <= begun || end_ticks > t->video[t->count - 1] + slack(t)) {
			move_end(t, end_ticks);
			break;
		}
		t->count--;
	}
	if (t->count == 0) { /* all of it lies behind the end */
		t->video[0] = end_ticks > 0 ? end_ticks : 0;
		if (t->audio)
			t->audio[0] = ticks_to_frames_up(t, t->video[0]);
	}
	return missing;
}

bool timeline_finish(struct timeline *t, int64_t end_ticks, uint32_t begun)
{
	(void)pthread_mutex_lock(t->lock);
	bool missing = finish_locked(t, end_ticks, begun);
	(void)pthread_mutex_unlock(t->lock);
	return missing;
}
