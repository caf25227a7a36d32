/* Loudness after EBU R 128 (ITU-R BS.1770-4): integrated, range, true peak, sample peak. A meter for interleaved float
 * samples of any rate and layout; wraps libebur128 in its histogram mode, so memory does not grow with the length (and
 * the integrated value is right to 0.05 LU). Runs in the task; one thread.
 *
 *   struct loudness_meter *m = NULL;
 *   if (loudness_meter_new(48000, &layout, &m, e) < 0) ...
 *   if (loudness_meter_add(m, samples, frames, e) < 0) ...      // as often as there is sound
 *   if (loudness_meter_read(m, &loudness, e) < 0) ...           // at any time
 *   loudness_meter_free(&m);
 */
#pragma once

#include <libavutil/channel_layout.h>
#include <stddef.h>

#include "base/err.h"
#include "proto/analyze.h"

struct loudness_meter;
/* Fronts weigh 1, surrounds 1.41, LFE nothing; a layout without an order is taken as the usual one of its size. ERR_UNSUPPORTED
 * for more channels or another rate than the meter takes. */
int loudness_meter_new(int sample_rate, const AVChannelLayout *layout, struct loudness_meter **ret, struct err *e) MR_MUST_USE;
/* One that only loudness_meter_integrated is asked of: a fifth of the work. */
int loudness_meter_new_plain(int sample_rate, const AVChannelLayout *layout, struct loudness_meter **ret,
			     struct err *e) MR_MUST_USE;
/* `frames` samples of every channel. */
int loudness_meter_add(struct loudness_meter *m, const float *interleaved, size_t frames, struct err *e) MR_MUST_USE;
/* LOUDNESS_UNKNOWN where there is none: silence, or too short for a block of 400 ms. */
int loudness_meter_read(const struct loudness_meter *m, struct loudness *ret, struct err *e) MR_MUST_USE;
int loudness_meter_integrated(const struct loudness_meter *m, int32_t *ret_mlufs, struct err *e) MR_MUST_USE;
void loudness_meter_free(struct loudness_meter **m);
