/* Frames to segments: see cadence.h. */
#include "media/cadence.h"

/* Rounded timestamps (milliseconds in Matroska) are off by half a millisecond; a variable rate wanders by more. Half
 * a frame catches both, and 25 ms is where a moved frame would begin to be seen in a slow sequence. */
#define TOLERANCE_MAX_TICKS (VIDEO_TIMESCALE / 40)

void cadence_init(struct cadence *c, const struct timeline *timeline, uint32_t frame_ticks, uint32_t gop_ticks)
{
	int64_t tolerance = frame_ticks / 2;
	*c = (struct cadence){
		.timeline = timeline,
		.tolerance = tolerance < TOLERANCE_MAX_TICKS ? tolerance : TOLERANCE_MAX_TICKS,
		.gop_ticks = gop_ticks > 0 ? gop_ticks : 2 * VIDEO_TIMESCALE,
		.last_pts = INT64_MIN,
	};
}

static struct cadence_step begin_segment(struct cadence *c, enum cadence_what what)
{
	int64_t start = c->timeline->video[c->next++];
	c->held = c->held || what == CADENCE_FRAME;
	c->last_pts = start;
	c->next_idr = start + c->gop_ticks;
	return (struct cadence_step){ what, start, true };
}

/* The end of a segment, as far as a frame at `ticks` can tell. */
static int64_t segment_end(const struct cadence *c, uint32_t segment)
{
	const struct timeline *t = c->timeline;
	return segment + 1 == t->count ? timeline_end_ticks(t) : t->video[segment + 1];
}

static bool reaches(const struct cadence *c, int64_t ticks, int64_t boundary)
{
	return boundary != INT64_MAX && ticks >= boundary - c->tolerance;
}

/* An IDR so shortly before the next segment's would only cost bits. */
static bool worth_idr(const struct cadence *c, int64_t ticks)
{
	int64_t end = segment_end(c, c->next - 1);
	return end == INT64_MAX || end - ticks > c->gop_ticks / 8;
}

static struct cadence_step within_segment(struct cadence *c, int64_t ticks)
{
	if (ticks <= c->last_pts)
		return (struct cadence_step){ CADENCE_DROP, 0, false };
	bool idr = reaches(c, ticks, c->next_idr) && worth_idr(c, ticks);
	while (reaches(c, ticks, c->next_idr))
		c->next_idr += c->gop_ticks;
	c->held = true;
	c->last_pts = ticks;
	return (struct cadence_step){ CADENCE_FRAME, ticks, idr };
}

struct cadence_step cadence_push(struct cadence *c, int64_t ticks)
{
	const struct timeline *t = c->timeline;
	if (!reaches(c, ticks, t->video[0])) {
		c->held = true;
		return (struct cadence_step){ CADENCE_BEFORE, 0, false };
	}
	if (c->next < t->count && reaches(c, ticks, t->video[c->next])) {
		bool on_boundary = ticks <= t->video[c->next] + c->tolerance;
		/* The source's first frame: nothing could be shown before it, so it is shown from the segment's
		 * start. */
		bool first_of_source = !c->held && !reaches(c, ticks, segment_end(c, c->next));
		return begin_segment(c, on_boundary || first_of_source ? CADENCE_FRAME : CADENCE_REPEAT);
	}
	if (c->next == t->count && reaches(c, ticks, timeline_end_ticks(t)))
		return (struct cadence_step){ CADENCE_AFTER, 0, false };
	return within_segment(c, ticks);
}

struct cadence_step cadence_finish(struct cadence *c)
{
	if (c->next < c->timeline->count)
		return begin_segment(c, CADENCE_REPEAT);
	return (struct cadence_step){ CADENCE_AFTER, 0, false };
}
