/* Which frame is shown when: decides for each decoded frame whether it is used, at which time, whether it has to be
 * an IDR, and where the frame before it has to be shown again. Pure: table-tested without libav. Runs in the task;
 * one thread.
 *
 *   struct cadence c;
 *   cadence_init(&c, &timeline, frame_ticks, gop_ticks);
 *   struct cadence_step s;
 *   do {                                                    // for each decoded frame, in rising time
 *           s = cadence_push(&c, ticks);
 *           if (s.what == CADENCE_REPEAT) encode(held, s.pts, s.idr);
 *   } while (s.what == CADENCE_REPEAT);
 *   if (s.what == CADENCE_FRAME) encode(frame, s.pts, s.idr);
 *
 * Guarantees: every segment of the timeline begins with an IDR at exactly its start; times strictly rise; within a
 * segment an IDR comes at the first frame after each gop_ticks; frames of a variable rate are otherwise neither
 * moved, doubled nor dropped. What is decided for a segment depends on the source's frames alone, not on where the
 * chunk begins.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "media/timeline.h"

struct cadence {
	const struct timeline *timeline;
	int64_t tolerance; /* a frame this near to a boundary lies on it */
	int64_t gop_ticks;
	uint32_t next;	   /* the first segment that hasn't begun */
	bool held;	   /* a frame has been seen */
	int64_t last_pts, next_idr;
};

enum cadence_what {
	CADENCE_BEFORE, /* before the range: hold it, it may have to be repeated at the start */
	CADENCE_REPEAT, /* show the held frame (this one, if none is held) at pts; then push the same time again */
	CADENCE_FRAME,	/* show this frame at pts; it is the held one now */
	CADENCE_DROP,	/* not after the frame before it */
	CADENCE_AFTER	/* behind the range's end */
};

struct cadence_step {
	enum cadence_what what;
	int64_t pts;
	bool idr;
};

/* `timeline` is borrowed and may grow meanwhile. */
void cadence_init(struct cadence *c, const struct timeline *timeline, uint32_t frame_ticks, uint32_t gop_ticks);
struct cadence_step cadence_push(struct cadence *c, int64_t ticks);
/* After the last frame: CADENCE_REPEAT for each segment that still has to begin (call again), then CADENCE_AFTER. */
struct cadence_step cadence_finish(struct cadence *c);
