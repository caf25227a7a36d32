/* A static DASH manifest (ISO/IEC 23009-1, profile isoff-main) of the same fMP4 segments. It lives beside the HLS renderers
 * because it is the same thing: a pure view of rows as text.
 *
 *   struct dash_manifest m = { .adaptations = sets, .adaptation_count = 2, .duration_us = 30022000, … };
 *   struct buf text;
 *   buf_init(&text, DASH_MANIFEST_MAX_BYTES);
 *   dash_render(&m, &text, e);
 *
 * Every segment is named (SegmentList), because signed addresses cannot be made of a template; its times stand in a
 * SegmentTimeline, so nothing is rounded. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "hls/playlist.h"

#define DASH_MANIFEST_MAX_BYTES (32u << 20)
#define DASH_CONTENT_TYPE "application/dash+xml"

struct dash_representation {
	const char *id;		/* unique in the manifest; letters, digits, '-' and '_' */
	const char *codecs;	/* RFC 6381 */
	uint64_t bandwidth_bps; /* peak */
	uint32_t width, height; /* 0 for sound */
	uint32_t frame_rate_milli; /* 0: not written */
	uint32_t sample_rate, channels; /* 0 for video */
	uint32_t timescale;
	int64_t offset_ticks; /* the media's time that is the presentation's zero */
	const char *init_uri; /* relative to the manifest, as the segments' */
	const struct hls_segment *segments; /* without gaps, the first at the presentation's zero */
	size_t segment_count;
};

/* What a player switches within: all of one codec. */
struct dash_adaptation {
	const char *language; /* RFC 5646; NULL: not written */
	bool is_main;	      /* what plays unless somebody chooses */
	const struct dash_representation *representations;
	size_t count;
};

struct dash_manifest {
	uint64_t duration_us;
	uint32_t target_duration_s; /* what a player should have before it begins */
	const struct dash_adaptation *adaptations;
	size_t adaptation_count;
	hls_uri_fn uri_fn;
	void *uri_ctx;
};

/* Appends the whole manifest, or nothing. ERR_INVALID for what no manifest can carry (nothing to play, no duration, a
 * segment that lasts nothing, text that isn't UTF-8), ERR_TOO_LARGE, ERR_INTERNAL (uri_fn failed). */
int dash_render(const struct dash_manifest *m, struct buf *out, struct err *e) MR_MUST_USE;
