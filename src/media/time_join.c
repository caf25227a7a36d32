/* Joining time stamps that jump: see time_join.h. */
#include "media/time_join.h"

#include <libavutil/mathematics.h>
#include <stdlib.h>

/* ffmpeg's own threshold for these formats. */
#define JUMP_TICKS (10 * (int64_t)VIDEO_TIMESCALE)

static const AVRational TICKS = { 1, VIDEO_TIMESCALE };

void time_join_init(struct time_join *j, const AVFormatContext *format)
{
	*j = (struct time_join){ .active = format->iformat->flags & AVFMT_TS_DISCONT, .clock = AV_NOPTS_VALUE };
	for (size_t i = 0; i < TASK_STREAMS_MAX; i++)
		j->next[i] = AV_NOPTS_VALUE;
}

static bool apart(int64_t a, int64_t b)
{
	int64_t difference;
	return __builtin_sub_overflow(a, b, &difference) || difference > JUMP_TICKS || difference < -JUMP_TICKS;
}

/* The decoding time. libav guesses it where it isn't told, and behind a jump from times before it. */
static int64_t own_time(AVPacket *p, const AVStream *st)
{
	int64_t dts = av_rescale_q(p->dts, st->time_base, TICKS), pts = av_rescale_q(p->pts, st->time_base, TICKS);
	if (p->pts == AV_NOPTS_VALUE)
		return p->dts == AV_NOPTS_VALUE ? AV_NOPTS_VALUE : dts;
	if (p->dts != AV_NOPTS_VALUE && !apart(dts, pts))
		return dts;
	p->dts = AV_NOPTS_VALUE;
	return pts;
}

static int64_t offset_of(struct time_join *j, int64_t time, int64_t next)
{
	if (j->clock == AV_NOPTS_VALUE || !apart(time + j->offset, j->clock))
		return j->offset;
	if (!apart(time + j->offset_before, j->clock))
		return j->offset_before;
	bool follows = next != AV_NOPTS_VALUE && !apart(next, j->clock);
	j->offset_before = j->offset;
	j->offset = (follows ? next : j->clock) - time;
	j->jumps++;
	return j->offset;
}

void time_join_packet(struct time_join *j, const AVStream *st, AVPacket *p)
{
	if (!j->active || st->index >= TASK_STREAMS_MAX || st->time_base.num <= 0 || st->time_base.den <= 0)
		return;
	int64_t time = own_time(p, st);
	if (time == AV_NOPTS_VALUE || time > INT64_MAX / 4 || time < INT64_MIN / 4)
		return;
	int64_t *next = &j->next[st->index];
	int64_t offset = offset_of(j, time, *next);
	int64_t shift = av_rescale_q(offset, TICKS, st->time_base);
	if (p->pts != AV_NOPTS_VALUE)
		p->pts += shift;
	if (p->dts != AV_NOPTS_VALUE)
		p->dts += shift;
	int64_t length = av_rescale_q(p->duration, st->time_base, TICKS);
	*next = time + offset + (length > 0 && length <= JUMP_TICKS ? length : 0);
	if (j->clock == AV_NOPTS_VALUE || time + offset > j->clock)
		j->clock = time + offset;
}
