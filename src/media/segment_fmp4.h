/* One rendition's init segment and its media segments as CMAF (fragmented MP4), in memory. Each segment is made by a
 * muxer of its own, so its bytes depend on its packets and its number alone. Runs in the task; one thread.
 *
 *   struct segment_input in = { .par = par, .time_base = { 1, 90000 }, .index = 7,
 *                               .packets = p, .count = n, .start = …, .end = … };
 *   struct buf out;
 *   buf_init(&out, TASK_OBJECT_MAX_BYTES);
 *   if (segment_fmp4_write(&in, &out, e) < 0) ...
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* The packets of one segment of one rendition, in decoding order, with pts in time_base on the presentation's
 * timeline; the writer sets their dts and duration. */
struct segment_input {
	const AVCodecParameters *par;
	AVRational time_base; /* video 1/90000, audio 1/rate */
	uint32_t index;	      /* in the presentation */
	AVPacket **packets;
	size_t count;
	int64_t start, end; /* start is the first packet's pts; end is the next segment's start */
	int reorder;	    /* TS: frames by which pts may lag behind dts */
	int64_t frame_ticks; /* TS: nominal frame duration */
};

/* Appends ftyp and moov: the same bytes for the same parameters. */
int segment_fmp4_init(const AVCodecParameters *par, AVRational time_base, struct buf *out, struct err *e) MR_MUST_USE;
/* Appends styp, moof, mdat: tfdt is in->start, the samples' durations add up to end - start. */
int segment_fmp4_write(struct segment_input *in, struct buf *out, struct err *e) MR_MUST_USE;

/* Sorted presentation times of the segment's packets; the caller frees. Shared with the TS writer. */
int64_t *segment_sorted_pts(const struct segment_input *in);
