/* Interlaced frames become progressive ones, one for one; others pass. Wraps libavfilter's bwdif, single-threaded. Runs in the
 * task; one thread.
 *
 *   struct deinterlacer *d = deinterlacer_new();
 *   deinterlacer_push(d, frame, ticks, e);                     // takes the frame's reference
 *   while ((got = deinterlacer_pull(d, frame, &ticks, e)) > 0) …
 *   deinterlacer_finish(d, e);                                // and pull again
 *   deinterlacer_free(&d);
 *
 * A frame is woven from its own lines and those of its neighbours in time, whose order its flags tell, so frames come one
 * later once an interlaced one was seen; before that nothing is delayed or copied. What becomes of a frame depends on
 * itself, the one before and the one after alone: not on when interlacing was first seen, so chunks join as long as decoding
 * begins a frame before the range.
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

/* What the frame's flags say. */
bool frame_is_interlaced(const AVFrame *f);

struct deinterlacer;
struct deinterlacer *deinterlacer_new(void);
void deinterlacer_free(struct deinterlacer **d);
int deinterlacer_push(struct deinterlacer *d, AVFrame *take_frame, int64_t ticks, struct err *e) MR_MUST_USE;
/* 1 with a frame and the time it was pushed with, 0 if there is none yet. */
int deinterlacer_pull(struct deinterlacer *d, AVFrame *frame, int64_t *ret_ticks, struct err *e) MR_MUST_USE;
/* No more frames follow: the last one comes. */
int deinterlacer_finish(struct deinterlacer *d, struct err *e) MR_MUST_USE;
