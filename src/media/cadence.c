/* Frames to segments: see cadence.h. */
#include "media/cadence.h"

/* Rounded timestamps (milliseconds in Matroska) are off by half a millisecond; a variable rate wanders by more. Half
 * a frame catches both, and 25 ms is where a moved frame would begin to be seen in a slow sequence. */
#define TOLERANCE_MAX_TICKS (VIDEO_TIMESCALE / 40)

/* How long after a planned boundary a frame may come and still be its segment's first. A segment must not last half a
 * second longer than planned (its EXTINF would round to more than TARGETDURATION), and on a frame grid it is planned up
 * to a frame longer already. */
#define WINDOW_TICKS (VIDEO_TIMESCALE * 45 / 100)
#define GRID_FRAME_MAX_TICKS (VIDEO_TIMESCALE / 4) /* job/plan.c: rarer frames give no grid */

void cadence_init(struct cadence *c, struct timeline *timeline, uint32_t frame_ticks, uint32_t gop_ticks)
{
	int64_t tolerance = frame_ticks / 2;
	*c = (struct cadence){
		.timeline = timeline,
		.planned = timeline->count,
		.tolerance = tolerance < TOLERANCE_MAX_TICKS ? tolerance : TOLERANCE_MAX_TICKS,
		.window = timeline->exact ? 0 : WINDOW_TICKS - (frame_ticks <= GRID_FRAME_MAX_TICKS ? frame_ticks : 0),
		.gop_ticks = gop_ticks > 0 ? gop_ticks : 2 * VIDEO_TIMESCALE,
		.last_pts = INT64_MIN,
	};
}

/* A boundary that the first frame from it on may move. The presentation's start stays zero. What lies at or behind the
 * plan's end stays, too: whether there is more is decided before its first frame is seen. */
static bool movable(const struct cadence *c, uint32_t boundary)
{
	const struct timeline *t = c->timeline;
	return t->first + boundary > 0 && (boundary < c->planned || (boundary == c->planned && t->end == TIMELINE_FIXED));
}

static struct cadence_step begin_segment(struct cadence *c, enum cadence_what what)
{
	int64_t start = c->timeline->video[c->next++];
	c->held = c->held || what == CADENCE_FRAME;
	c->last_pts = c->segment_start = start;
	c->next_idr = start + c->gop_ticks;
	return (struct cadence_step){ what, start, true };
}

static bool reaches(const struct cadence *c, int64_t ticks, int64_t time)
{
	return ticks >= time - c->tolerance;
}

/* The frame is one of those from a boundary on. */
static bool passes(const struct cadence *c, int64_t ticks, uint32_t boundary)
{
	int64_t at = c->timeline->video[boundary];
	return movable(c, boundary) ? ticks >= at : reaches(c, ticks, at);
}

/* The first frame from a boundary on: true if it lies on it, which may have moved it. Asked again with the moved
 * boundary, as a chunk that is resumed does, this gives the same. */
static bool lies_on(struct cadence *c, int64_t ticks, uint32_t boundary)
{
	int64_t at = c->timeline->video[boundary];
	if (!movable(c, boundary))
		return ticks <= at + c->tolerance;
	if (ticks > at + c->window || (boundary < c->timeline->count && passes(c, ticks, boundary + 1)))
		return false;
	timeline_move(c->timeline, boundary, ticks);
	return true;
}

/* An IDR so shortly before the next segment's would only cost bits. Its true time isn't known (unless boundaries don't move), and
 * its planned one may have been moved by an earlier run: the nominal length decides. */
static bool worth_idr(const struct cadence *c, int64_t ticks)
{
	const struct timeline *t = c->timeline;
	int64_t left = c->segment_start + t->segment_ticks - ticks;
	if (t->exact)
		left = t->video[c->next] - ticks;
	return left > c->gop_ticks / 8 || left < -c->gop_ticks / 8;
}

static struct cadence_step within_segment(struct cadence *c, int64_t ticks)
{
	if (ticks <= c->last_pts)
		return (struct cadence_step){ CADENCE_DROP, 0, false };
	bool idr = reaches(c, ticks, c->next_idr) && worth_idr(c, ticks);
	while (idr && reaches(c, ticks, c->next_idr))
		c->next_idr += c->gop_ticks;
	c->held = true;
	c->last_pts = ticks;
	return (struct cadence_step){ CADENCE_FRAME, ticks, idr };
}

/* Nothing could be shown before the source's first frame, so it is shown from its segment's start. */
static bool first_of_source(const struct cadence *c, int64_t ticks)
{
	const struct timeline *t = c->timeline;
	bool open = c->next + 1 == t->count && timeline_end_ticks(t) == INT64_MAX;
	return !c->held && (open || !passes(c, ticks, c->next + 1));
}

struct cadence_step cadence_push(struct cadence *c, int64_t ticks)
{
	const struct timeline *t = c->timeline;
	if (!passes(c, ticks, 0)) {
		c->held = true;
		return (struct cadence_step){ CADENCE_BEFORE, 0, false };
	}
	if (c->next < t->count && passes(c, ticks, c->next))
		return begin_segment(c, lies_on(c, ticks, c->next) || first_of_source(c, ticks) ? CADENCE_FRAME
												: CADENCE_REPEAT);
	if (c->next == t->count && timeline_end_ticks(t) != INT64_MAX && passes(c, ticks, c->next)) {
		(void)lies_on(c, ticks, c->next); /* the next chunk begins with it */
		return (struct cadence_step){ CADENCE_AFTER, 0, false };
	}
	return within_segment(c, ticks);
}

struct cadence_step cadence_finish(struct cadence *c)
{
	if (c->next < c->timeline->count)
		return begin_segment(c, CADENCE_REPEAT);
	return (struct cadence_step){ CADENCE_AFTER, 0, false };
}
