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
 * A segment begins with the first frame at or after its planned boundary, at that frame's own time: the boundary moves
 * there, by less than half a second. The chunk before ends where it sees that same frame, so both sides of a joint agree
 * without knowing of each other. Only where no frame comes in that window (a picture that stands, sound that goes on when
 * the picture has ended) the one before is shown again, on the planned boundary itself. Boundaries that are exact
 * (timeline.h) don't move: where no frame has that very time, the one before is shown again.
 *
 * Guarantees: every segment of the timeline begins with an IDR; times strictly rise; within a segment an IDR comes at the
 * first frame after each gop_ticks; frames are otherwise neither moved, doubled nor dropped. (The source's first frame is
 * shown from its segment's start on, though it come later; a frame that isn't later than the one before is dropped.) What
 * is decided for a segment depends on the source's frames alone: not on where the chunk begins, nor on whether boundaries
 * are planned ones or were moved by an earlier run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "media/timeline.h"

struct cadence {
	struct timeline *timeline;
	uint32_t planned;  /* segments at the beginning */
	int64_t tolerance; /* a frame this near to a time that isn't its own has reached it */
	int64_t window;	   /* a frame this long after a boundary may begin its segment */
	int64_t gop_ticks;
	uint32_t next;	   /* the first segment that hasn't begun */
	bool held;	   /* a frame has been seen */
	int64_t last_pts, next_idr, segment_start;
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

/* `timeline` is borrowed, may grow meanwhile, and has its video boundaries moved. */
void cadence_init(struct cadence *c, struct timeline *timeline, uint32_t frame_ticks, uint32_t gop_ticks);
struct cadence_step cadence_push(struct cadence *c, int64_t ticks);
/* After the last frame: CADENCE_REPEAT for each segment that still has to begin (call again), then CADENCE_AFTER. */
struct cadence_step cadence_finish(struct cadence *c);
