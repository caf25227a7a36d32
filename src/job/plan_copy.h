/* Whether a ladder's first rung is copied, and where segments begin then. Pure. */
#pragma once

#include "job/plan.h"

/* Decides by the plan's params, its rungs and what the probe knows of the keyframes of `v`, the video that is used. Where the
 * answer is yes: marks the rung, sets the spec's reorder_frames, the plan's video_ticks and segment_count, and raises its
 * target_duration_s if need be. ERR_MEDIA with the code COPY_NOT_POSSIBLE, and why, where a copy was demanded. */
int plan_copy(struct ladder_plan *p, const struct probe_result *probe, const struct probe_stream *v,
	      struct err *e) MR_MUST_USE;
/* What to declare for a copied rung while the playlist grows: the sizes of its GOPs are known. */
uint64_t plan_copy_declared_bps(const struct ladder_plan *p, const struct probe_copy *c);
