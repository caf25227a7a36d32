/* The subtitle renditions of a chunk: WebVTT segments beside those of pictures and sound. Runs in the task; one thread.
 *
 *   struct subtitle_pipe *p;
 *   if (subtitle_pipe_new(task, &spec, io, &timeline, &p, e) < 0) ...
 *   subtitle_pipe_advance(p, ticks, e);      // whenever the others have got that far
 *   subtitle_pipe_finish(p, e);              // once the timeline is final
 *   subtitle_pipe_free(&p);
 *
 * A segment is handed over when the others have passed its end, so that all renditions grow together; the timeline's
 * last one only in the end, because its end may move. Every planned segment has one, empty or not.
 *
 * Guarantees: a segment's bytes depend on the source and the plan alone. A cue is shown in a run of segments if it
 * begins at most SUBTITLE_LOOKBACK_TICKS before the run, wherever reading really began.
 */
#pragma once

#include "base/err.h"
#include "media/media_io.h"
#include "media/timeline.h"

#define SUBTITLE_LOOKBACK_TICKS (20 * (int64_t)VIDEO_TIMESCALE)

struct subtitle_pipe;
/* Borrows all. `spec` is the task's, from the run on that is to be made. */
int subtitle_pipe_new(const struct task_spec *task, const struct ladder_spec *spec, const struct media_io *io,
		      const struct timeline *timeline, struct subtitle_pipe **ret, struct err *e) MR_MUST_USE;
int subtitle_pipe_advance(struct subtitle_pipe *p, int64_t ticks, struct err *e) MR_MUST_USE;
int subtitle_pipe_finish(struct subtitle_pipe *p, struct err *e) MR_MUST_USE;
void subtitle_pipe_free(struct subtitle_pipe **p);
