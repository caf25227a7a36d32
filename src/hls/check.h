/* A checker of the rules that a published playlist must obey. Publishing calls it on every version before it is stored, and
 * tests call it on what was fetched. It parses the text anew, knows nothing of rows, and shares no code with rendering.
 *
 *   struct hls_check_report r;
 *   if (hls_check_media(text, len, previous, previous_len, e) < 0)   // e->message names rule, line and value
 *
 * Pure; any thread; safe on hostile text (fuzzed).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What was found, for comparing playlists with each other. */
struct hls_media_facts {
	uint32_t version;
	uint32_t target_duration_s;
	uint64_t media_sequence;
	size_t segment_count;
	double total_seconds;
	double shortest_seconds, longest_seconds;
	bool event, vod, ended, has_map, independent, iframes_only;
};

/* One media playlist: structure, tag order and multiplicity, version, EXTINF against TARGETDURATION (rounded, and at most
 * +0.5 s), no zero or tiny segments, MAP where the segments are fMP4, byte ranges that can be found. 0 or -ERR_INVALID
 * with the rule in e->message.
 * ret may be NULL. */
int hls_check_media(const char *text, size_t len, struct hls_media_facts *ret, struct err *e) MR_MUST_USE;

/* `next` may follow `previous` as a version of the same EVENT playlist: append-only, same constants, not after ENDLIST, and
 * at least one new segment or ENDLIST. */
int hls_check_event_growth(const char *previous, size_t previous_len, const char *next, size_t next_len,
			   struct err *e) MR_MUST_USE;

/* One multivariant playlist: CODECS and BANDWIDTH on every variant, RESOLUTION and FRAME-RATE on video, groups that exist,
 * exactly one default, unique names in a group, average ≤ peak, no duplicated variants. */
int hls_check_multivariant(const char *text, size_t len, struct err *e) MR_MUST_USE;

/* Renditions of one presentation agree: same TARGETDURATION, same number of segments, total durations within `frame_s`
 * seconds of each other, all ended or none. */
int hls_check_lockstep(const struct hls_media_facts *facts, size_t count, double frame_s, struct err *e) MR_MUST_USE;

/* A playlist of I-frames belongs to its rendition's: I-frames only, at least one for each segment, the same
 * TARGETDURATION and total duration, both ended or neither. */
int hls_check_iframes(const struct hls_media_facts *iframes, const struct hls_media_facts *media, struct err *e) MR_MUST_USE;
