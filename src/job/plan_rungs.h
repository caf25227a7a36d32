/* The ladder's table: sizes, bit rates, levels. The one place where these numbers stand. Pure. */
#pragma once

#include "job/plan.h"

/* Chooses the rungs for a source of width × height (as displayed) at fps into spec->rungs: H.264 first, then HEVC, each
 * largest first. `asked` may name them (rung_count > 0). A rung's frame_ticks may be no more than the source's. ERR_INVALID if
 * every H.264 rung asked for is above the source, or the picture too small for HEVC. */
int plan_rungs(uint32_t width, uint32_t height, double fps, const struct ladder_params *asked, struct ladder_spec *spec,
	       struct err *e) MR_MUST_USE;
/* What the multivariant playlist declares for a rung while it is being made: VBV's bound over the shortest run of
 * segments that counts (half a target duration), and the container's overhead. */
uint64_t plan_declared_video_bps(const struct ladder_rung *r, uint32_t target_duration_s);
