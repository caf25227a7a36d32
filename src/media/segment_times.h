/* Decoding and presentation times of a segment's packets, the same rule for fMP4 and TS. Pure; runs in the task.
 *
 * A packet must not be decoded later than it is presented, and times must rise over joints of segments that know nothing
 * of each other. With reordering by d frames, a segment's first d packets are decoded before its start, a step apart, and
 * the k-th of the others at the presentation time of the (k - d)-th frame; the last ones are kept before the first of the
 * next segment. At a constant frame rate that is an unbroken row of frame durations.
 *
 * So decoding leads presentation by d steps. fMP4 moves presentation behind by that lead, video and sound alike: the first
 * decoding time of each video segment (tfdt) is then its start exactly, and none is negative. Negative composition
 * offsets would do without the lead, but libavformat shows fragments that have them late by the largest one.
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/task.h"

/* The packets of one segment of one rendition, in decoding order, with pts in time_base on the presentation's
 * timeline; the writer sets their final times. */
struct segment_input {
	const AVCodecParameters *par;
	AVRational time_base; /* video 1/90000, audio 1/rate */
	uint32_t index;	      /* in the presentation */
	AVPacket **packets;
	size_t count;
	int64_t start, end; /* start is the first packet's pts; end is the next segment's start */
	int64_t lead_ticks; /* ladder_lead_ticks of the presentation, for sound too */
	uint32_t reorder_frames; /* of the presentation: decoding leads by so many steps */
};

/* Sets pts, dts and duration of video packets; all times are moved by `shift` (1/90000 s). */
void segment_video_times(struct segment_input *in, int64_t shift);
