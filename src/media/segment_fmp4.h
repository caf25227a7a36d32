/* One rendition's init segment and its media segments as CMAF (fragmented MP4), in memory. Each segment is made by a
 * muxer of its own, so its bytes depend on its packets and its number alone. Runs in the task; one thread.
 *
 *   struct segment_input in = { .par = par, .time_base = { 1, 90000 }, .index = 7,
 *                               .packets = p, .count = n, .start = …, .end = … };
 *   struct buf out;
 *   buf_init(&out, TASK_OBJECT_MAX_BYTES);
 *   struct iframes iframes;
 *   if (segment_fmp4_write(&in, &out, &iframes, e) < 0) ...
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "media/iframes.h"
#include "media/segment_times.h"

/* Appends ftyp and moov: the same bytes for the same parameters. */
int segment_fmp4_init(const AVCodecParameters *par, AVRational time_base, struct buf *out, struct err *e) MR_MUST_USE;
/* Appends styp, then moof and mdat, for video once for each noted I-frame: a video segment's first tfdt is in->start, a
 * sound segment's is the lead later; the samples' durations add up to end - start. */
int segment_fmp4_write(struct segment_input *in, struct buf *out, struct iframes *ret_iframes, struct err *e) MR_MUST_USE;
