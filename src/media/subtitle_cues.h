/* The cues of one subtitle track that are at hand, and a WebVTT segment of them. Pure: no libav, no I/O. Runs in the
 * task.
 *
 *   struct subtitle_cues c = { 0 };
 *   subtitle_cues_add(&c, 1000, 2500, "Hello", 5);
 *   subtitle_cues_write(&c, 0, 360000, INT64_MIN, 7200, &out);    // the segment of the first 4 s
 *   subtitle_cues_drop(&c, 360000);                               // what ends before is done with
 *   subtitle_cues_release(&c);
 *
 * A cue that is shown in several segments is in each of them, whole and the same, and players know it again. Hostile
 * tracks may have cues without number: of a track CUES_MAX are held, of SUBTITLE_CUES_MAX_BYTES of text together; what
 * comes beyond that is dropped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SUBTITLE_CUES_MAX 8192
#define SUBTITLE_CUES_MAX_BYTES (1u << 20)
/* No segment is longer: SUBTITLE_CUES_MAX cues with all their text, and the lines around it. */
#define SUBTITLE_SEGMENT_MAX_BYTES (SUBTITLE_CUES_MAX_BYTES + SUBTITLE_CUES_MAX * 64u)

struct subtitle_cue {
	int64_t start_ms, end_ms; /* of the presentation */
	uint64_t number;	  /* in the order in which they came */
	char *text;		  /* WebVTT */
	size_t len;
};

struct subtitle_cues {
	struct subtitle_cue *items;
	size_t count, capacity;
	size_t bytes;
	uint64_t added;
};

/* Copies the text. What ends before the presentation begins, or before it starts itself, is ignored; what starts before
 * it is shown from 0 on. */
void subtitle_cues_add(struct subtitle_cues *c, int64_t start_ms, int64_t end_ms, const char *text, size_t len);
/* The segment from start to end (1/90000 s): the cues that are shown in it and begin at `earliest` or later, by start,
 * end and order; once if they are the same. `map_ticks` is where the presentation's zero lies on the clock of the media
 * segments (X-TIMESTAMP-MAP: RFC 8216, 3.5). */
void subtitle_cues_write(struct subtitle_cues *c, int64_t start, int64_t end, int64_t earliest, int64_t map_ticks,
			 struct buf *out);
/* Forgets those that end at `ticks` or before. */
void subtitle_cues_drop(struct subtitle_cues *c, int64_t ticks);
void subtitle_cues_release(struct subtitle_cues *c);
