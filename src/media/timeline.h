/* The segments of one chunk on the presentation's time axis: planned boundaries, and what becomes of them when the
 * source turns out shorter or longer than planned. Pure: no libav, no I/O. Runs in the task. One thread changes it; others
 * may ask for a segment and its bounds meanwhile.
 *
 *   struct timeline t;
 *   if (timeline_init(&t, &spec->ladder, e) < 0) ...
 *   uint32_t s = timeline_segment(&t, pts);           // the chunk's s-th segment
 *   timeline_finish(&t, end_ticks, begun);            // the source ended there
 *   timeline_release(&t);
 *
 * Segments are counted from 0 within the chunk here; `first` is the presentation's number of the first. Times are
 * 1/90000 s from the presentation's start; audio boundaries are AAC frames.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/task.h"

/* What lies this little behind a planned end joins the last segment instead of making a tiny one (0.4 s). */
#define TIMELINE_ABSORB_TICKS 36000

enum timeline_end {
	TIMELINE_FIXED,	  /* the last boundary is the end: other chunks follow */
	TIMELINE_OPEN,	  /* the last boundary may be passed: timeline_grow or timeline_absorb decides */
	TIMELINE_ABSORB,  /* the last segment takes whatever is left */
	TIMELINE_FINISHED /* the source ended; the last boundary is the true end */
};

struct timeline {
	uint32_t first, count;
	int64_t *video;	 /* count + 1; moved onto frames as these come (cadence.h); with sound alone: audio's as ticks */
	int64_t *audio;	 /* count + 1, or NULL without audio */
	bool has_video;
	bool exact; /* the picture's boundaries lie on frames already, and don't move: a rung is copied */
	uint32_t audio_rate;
	int64_t frame_ticks, segment_ticks;
	enum timeline_end end;
	pthread_mutex_t *lock; /* held while the boundaries change */
};

/* Copies the chunk's boundaries. ERR_INVALID if they don't rise or don't fit the spec's streams. */
int timeline_init(struct timeline *t, const struct ladder_spec *spec, struct err *e) MR_MUST_USE;
void timeline_release(struct timeline *t);

/* The segment that holds time `ticks` (audio frame `frame`): 0 before the range, the last one behind it. */
uint32_t timeline_segment(const struct timeline *t, int64_t ticks);
uint32_t timeline_segment_of_frame(const struct timeline *t, int64_t frame);
/* Where a segment begins and ends, in ticks (`audio`: in AAC frames). What is past has come to stay: bounds that the frames
 * so far have reached don't move any more. */
void timeline_bounds(const struct timeline *t, uint32_t segment, bool audio, int64_t *ret_start, int64_t *ret_end);
/* The start of the range, and its end as far as it is known: INT64_MAX where the last segment takes what is left. */
int64_t timeline_start(const struct timeline *t);
int64_t timeline_end_ticks(const struct timeline *t);
int64_t timeline_end_frames(const struct timeline *t);

/* Moves a boundary of the picture onto a frame. */
void timeline_move(struct timeline *t, uint32_t boundary, int64_t ticks);
/* One more segment of the nominal length; for TIMELINE_OPEN. ERR_TOO_LARGE beyond TASK_SEGMENTS_MAX. */
int timeline_grow(struct timeline *t, struct err *e) MR_MUST_USE;
/* The last segment takes what is left; for TIMELINE_OPEN. */
void timeline_absorb(struct timeline *t);
/* The source ended at `end_ticks`. An end within a frame of a planned boundary is that boundary; later than the range
 * moves the last boundary where the timeline was open; earlier shortens the segment it lies in and takes away those
 * behind it, but none of the first `begun`, which have a frame already. Where none is left, the first boundary is the
 * end. Returns true if segments or parts of them are missing. */
bool timeline_finish(struct timeline *t, int64_t end_ticks, uint32_t begun);

int64_t timeline_frames_to_ticks(const struct timeline *t, int64_t frames);
