/* Which sound and subtitle tracks of a source become renditions, and how these are described. Pure. */
#pragma once

#include "job/plan.h"

/* NULL where there is no such stream. */
const struct probe_stream *plan_find_stream(const struct probe_result *probe, int32_t index);
/* Sets the spec's audios, audio_rate and subtitle_streams: those that params name, in that order, or else all that can
 * be decoded, the best sound first. Tracks of another programme of a broadcast, whose clock is another, are never used
 * unasked. ERR_INVALID where params name a stream that can't be used. */
int plan_tracks(const struct probe_result *probe, const struct ladder_params *params, struct ladder_spec *spec,
		struct err *e) MR_MUST_USE;
/* Adds the renditions of the spec's audios and subtitles to the plan, behind the rungs. */
void plan_add_tracks(struct ladder_plan *p, const struct probe_result *probe);
