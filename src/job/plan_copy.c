/* Copying the first rung: see plan_copy.h. The numbers decide the bytes of new jobs' outputs. */
#include "job/plan_copy.h"

#include <stdlib.h>

#include "base/mem.h"
#include "hls/playlist.h"

/* Unasked, nothing is copied whose keyframes are further apart (Apple's authoring rule 1.13; a frame of grace), */
#define GOP_MAX_SECONDS 2
/* or that is heavier than so many times the cap that the rung would be encoded with: a camera's 50 Mbit/s would play nowhere. */
#define RATE_FACTOR 2
/* Asked for, segments may grow to this: x264's own keyframe interval (250 frames) at 24 frames a second, and some. */
#define SEGMENT_MAX_SECONDS 12
#define SEGMENT_MIN_TICKS 90000
/* A segment is so much longer than the target duration at most: rounded to seconds it mustn't exceed it. */
#define OVER_TICKS (VIDEO_TIMESCALE * 45 / 100)
/* The first frame is shown from the presentation's start on, though it come so much later. */
#define LATE_MAX_TICKS (VIDEO_TIMESCALE / 2)
#define WHY_SIZE 160

static int64_t distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

/* The keyframe from which the segment after the one that begins at `from` is cut: the nearest to `length` among those that keep it
 * within `limit`, else the first behind. 0: none that leaves a whole segment behind it. */
static int64_t next_cut(const struct probe_copy *c, int64_t from, int64_t length, int64_t limit, int64_t end, uint32_t *io_at)
{
	int64_t best = 0;
	while (*io_at < c->count && c->ticks[*io_at] < from + SEGMENT_MIN_TICKS)
		(*io_at)++;
	for (uint32_t i = *io_at; i < c->count && c->ticks[i] <= end - SEGMENT_MIN_TICKS; i++) {
		const int64_t t = c->ticks[i];
		if (best && (t > from + limit || distance(t, from + length) >= distance(best, from + length)))
			break;
		best = t;
	}
	return best;
}

/* Boundaries into ret (room for `room`); returns how many segments, and the longest. */
static uint32_t cut(const struct ladder_plan *p, const struct probe_copy *c, int64_t *ret, uint32_t room, int64_t *ret_longest)
{
	const int64_t length = p->spec.segment_ticks, limit = length + OVER_TICKS, end = p->duration_ticks;
	uint32_t n = 0, at = 0;
	int64_t from = 0, next = 1;
	*ret_longest = 0;
	for (ret[0] = 0; n + 1 < room && next; from = next) {
		next = end - from > limit ? next_cut(c, from, length, limit, end, &at) : 0;
		ret[++n] = next ? next : end;
		if (ret[n] - from > *ret_longest)
			*ret_longest = ret[n] - from;
	}
	return n;
}

static uint64_t average_bps(const struct ladder_plan *p, const struct probe_copy *c)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < c->count; i++)
		bytes += c->bytes[i];
	return (uint64_t)((double)bytes * 8 * VIDEO_TIMESCALE / (double)p->duration_ticks);
}

/* Why it can't be, whoever asks. */
static const char *impossible(const struct ladder_plan *p, const struct probe_result *probe, const struct probe_stream *v)
{
	const struct ladder_rung *top = &p->spec.rungs[0];
	const struct rung_params *asked = &p->params.rungs[0];
	if (probe->copy.obstacle[0])
		return probe->copy.obstacle;
	if (!probe->seekable)
		return "places in it can't be sought exactly";
	if (!probe->copy.count)
		return "nothing is known of its keyframes";
	if (top->width != v->width || top->height != v->height)
		return "its own size isn't the first rung's";
	if (p->params.rung_count && (asked->crf_x10 || asked->maxrate_bps))
		return "the first rung's crf or maxrate is asked for";
	if (top->frame_ticks)
		return "the first rung's frame_rate is lower";
	if (probe->copy.ticks[0] > LATE_MAX_TICKS)
		return "it begins later than the sound";
	return NULL;
}

/* Why it isn't, unless somebody asks for it. */
static const char *unwise(const struct ladder_plan *p, const struct probe_copy *c, int64_t longest)
{
	if (c->gop_ticks > GOP_MAX_SECONDS * VIDEO_TIMESCALE + p->spec.frame_ticks)
		return "its keyframes are more than two seconds apart";
	if (longest > (int64_t)p->spec.segment_ticks + OVER_TICKS)
		return "its keyframes allow no segments of that length";
	if (average_bps(p, c) > RATE_FACTOR * (uint64_t)p->spec.rungs[0].maxrate_bps)
		return "its bit rate is too high";
	return NULL;
}

int plan_copy(struct ladder_plan *p, const struct probe_result *probe, const struct probe_stream *v, struct err *e)
{
	const bool demanded = p->params.copy == COPY_ALWAYS;
	if (p->params.copy == COPY_NEVER)
		return 0;
	const struct probe_copy *c = &probe->copy;
	_cleanup_free_ int64_t *boundaries = NULL;
	uint32_t count = 0;
	int64_t longest = 0;
	const char *why = impossible(p, probe, v);
	if (!why) {
		const uint32_t room = c->count + 2;
		boundaries = mr_calloc(room, sizeof(*boundaries));
		count = cut(p, c, boundaries, room, &longest);
		if (longest > SEGMENT_MAX_SECONDS * (int64_t)VIDEO_TIMESCALE + OVER_TICKS)
			why = "its keyframes, or the last one and the end of the sound, are too far apart";
		else if (!demanded)
			why = unwise(p, c, longest);
	}
	if (why)
		return demanded ? err_set_code(e, ERR_MEDIA, "COPY_NOT_POSSIBLE", "the video can't be copied: %s", why) : 0;
	const uint32_t rounded = (uint32_t)((longest - OVER_TICKS + VIDEO_TIMESCALE - 1) / VIDEO_TIMESCALE);
	p->spec.rungs[0].copy = true;
	if (c->reorder_frames > p->spec.reorder_frames)
		p->spec.reorder_frames = c->reorder_frames;
	if (longest > OVER_TICKS && rounded > p->target_duration_s)
		p->target_duration_s = rounded;
	p->segment_count = count;
	p->video_ticks = mr_steal(boundaries);
	return 0;
}

uint64_t plan_copy_declared_bps(const struct ladder_plan *p, const struct probe_copy *c)
{
	_cleanup_free_ struct hls_bitrate_segment *list = mr_calloc(p->segment_count, sizeof(*list));
	uint32_t at = 0;
	for (uint32_t i = 0; i < p->segment_count; i++) {
		list[i].duration_ticks = p->video_ticks[i + 1] - p->video_ticks[i];
		while (at < c->count && (i + 1 == p->segment_count || c->ticks[at] < p->video_ticks[i + 1]))
			list[i].bytes += c->bytes[at++];
	}
	uint64_t peak, average;
	hls_measure_bandwidth(list, p->segment_count, VIDEO_TIMESCALE, p->target_duration_s, &peak, &average);
	/* the container's overhead: TS takes four bytes of each 188, and headers of each picture */
	return (uint64_t)((double)peak * (p->spec.container == CONTAINER_TS ? 1.08 : 1.03)) + 16000;
}
