/* One rendition's media segments as MPEG transport streams, in memory. Each is made by a muxer of its own and made
 * neutral in its continuity counters (media/ts_neutral.h), so segments of any chunks follow on each other. Runs in
 * the task; one thread.
 *
 * All timestamps are TS_OFFSET_TICKS later than the presentation's, video and audio alike, so that decoding times and
 * clock references are never negative.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "media/iframes.h"
#include "media/segment_times.h"

#define TS_OFFSET_TICKS 900000 /* 10 s */

/* Appends. Video packets in Annex B with their parameter sets in the stream; AAC packets as the encoder gives them
 * (they become ADTS). PAT and PMT come first and before each noted I-frame. */
int segment_ts_write(struct segment_input *in, struct buf *out, struct iframes *ret_iframes, struct err *e) MR_MUST_USE;
