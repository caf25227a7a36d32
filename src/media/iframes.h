/* I-frames of a segment: which are noted for playlists of I-frames, and where each lies in the muxed bytes. Pure: no
 * libav calls. Runs in the task; one thread.
 *
 *   struct iframes f;
 *   iframes_choose(in, &f);                      // before the writer sets the packets' final times
 *   … mux; a noted I-frame begins a fragment of its own (fMP4), or tables are repeated before it (TS) …
 *   iframes_find_ts(out->data, out->len, &f, e);
 *
 * A range is what a player fetches to show one picture: in fMP4 from the fragment's moof to the end of its first sample
 * (the moof describes the samples behind it as well: players read no further than the range), in TS from the PAT before
 * the picture to the end of its PES.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "media/segment_times.h"
#include "proto/task.h"

struct iframes {
	uint32_t count;
	size_t packets[TASK_IFRAMES_MAX]; /* which packet of the segment, in decoding order */
	struct task_iframe found[TASK_IFRAMES_MAX];
};

/* The segment's keyframes. Where there are more than TASK_IFRAMES_MAX, those too near to the one noted before are left
 * out. None for sound. */
void iframes_choose(const struct segment_input *in, struct iframes *ret);
bool iframes_has(const struct iframes *f, size_t packet);

/* Sets the range of the `number`-th noted I-frame, whose moof begins at `offset` of the segment. ERR_INTERNAL if there
 * is no such fragment. */
int iframes_find_fmp4(const uint8_t *segment, size_t len, size_t offset, uint32_t number, struct iframes *f,
		      struct err *e) MR_MUST_USE;
/* Sets the ranges of all. The segment has one PES for each packet. */
int iframes_find_ts(const uint8_t *ts, size_t len, struct iframes *f, struct err *e) MR_MUST_USE;
