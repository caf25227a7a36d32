/* Which frames a rung of a lower frame rate keeps. Pure; runs in the task.
 *
 *   if (step.idr || thinning_keeps(spec, rung, cadence.segment_start, before, step.pts)) encode(frame);
 *
 * A grid of the rung's own frames lies from each segment's start on; the source's frame that is nearest to a place of it, or the
 * first behind, is kept, at its own time. IDRs are kept by the caller, so every rung has them at the same times. What is kept
 * depends on the segment's frames alone: chunks and resumed chunks agree.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/task.h"

static inline bool thinning_keeps(const struct ladder_spec *s, uint32_t rung, int64_t segment_start, int64_t before, int64_t pts)
{
	const int64_t step = s->rungs[rung].frame_ticks, half = (step < s->frame_ticks ? step : s->frame_ticks) / 2;
	if (step == 0 || before < segment_start)
		return true;
	return (pts - segment_start + half) / step > (before - segment_start + half) / step;
}
