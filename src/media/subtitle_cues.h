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
 * tracks may have cues without number: of those that begin within the same second of the presentation the first
 * SUBTITLE_SECOND_CUES are taken, of SUBTITLE_SECOND_BYTES of text together. So what is left out doesn't depend on where
 * reading began, as long as that was a second before `from_ticks`.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SUBTITLE_SECOND_CUES 256u
#define SUBTITLE_SECOND_BYTES (32u << 10)
/* Seconds that are told apart: cues come in file order, those at hand no further from each other than this. */
#define SUBTITLE_SECONDS 512
/* No segment is longer: what is shown began at most so long before its end (a run of sound alone, and what it looks back). */
#define SUBTITLE_SEGMENT_MAX_BYTES (300u * (SUBTITLE_SECOND_BYTES + SUBTITLE_SECOND_CUES * 64u))

struct subtitle_cue {
	int64_t start_ms, end_ms; /* of the presentation */
	uint64_t number;	  /* in the order in which they came */
	char *text;		  /* WebVTT */
	size_t len;
};

struct subtitle_cues {
	int64_t from_ticks; /* what begins before isn't held; the owner may raise it */
	struct subtitle_cue *items;
	size_t count, capacity;
	uint64_t added;
	struct {
		int64_t second;
		uint32_t cues, bytes;
	} seconds[SUBTITLE_SECONDS];
};

/* Copies the text. What ends before the presentation begins, or before it starts itself, is ignored; what starts before
 * it is shown from 0 on. */
void subtitle_cues_add(struct subtitle_cues *c, int64_t start_ms, int64_t end_ms, const char *text, size_t len);
/* The segment from start to end (1/90000 s): the cues that are shown in it and begin at `earliest` or later, by start,
 * end and order; once if they are the same. `map_ticks` is where the presentation's zero lies on the clock of the media
 * segments (X-TIMESTAMP-MAP: RFC 8216, 3.5). */
void subtitle_cues_write(struct subtitle_cues *c, int64_t start, int64_t end, int64_t earliest, int64_t map_ticks,
			 struct buf *out);
/* Forgets those that end at `ticks` or before, and those that begin before from_ticks. */
void subtitle_cues_drop(struct subtitle_cues *c, int64_t ticks);
void subtitle_cues_release(struct subtitle_cues *c);
