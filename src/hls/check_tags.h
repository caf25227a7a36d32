/* Which tags there are, where each may stand, how often, and from which version on (RFC 8216, 4.3 and 7). Private to
 * src/hls/.
 *
 *   struct hls_tags_seen seen = { .kind = HLS_KIND_MEDIA };
 *   enum hls_tag tag;
 *   if (hls_tags_admit(&seen, &line, &tag, e) < 0)
 *           return -e->kind;
 *   …
 *   return hls_tags_check_version(&seen, declared_version, e);
 *
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hls/check_lex.h"

enum hls_kind { HLS_KIND_MEDIA = 1, HLS_KIND_MULTIVARIANT = 2 };

enum hls_tag {
	HLS_TAG_NONE,    /* a URI line */
	HLS_TAG_UNKNOWN, /* not ours: readers must ignore it (RFC 8216, 6.3.1) */
	HLS_TAG_EXTM3U,
	HLS_TAG_VERSION,
	HLS_TAG_INDEPENDENT_SEGMENTS,
	HLS_TAG_START,
	HLS_TAG_DEFINE,
	HLS_TAG_TARGETDURATION,
	HLS_TAG_MEDIA_SEQUENCE,
	HLS_TAG_DISCONTINUITY_SEQUENCE,
	HLS_TAG_PLAYLIST_TYPE,
	HLS_TAG_I_FRAMES_ONLY,
	HLS_TAG_PART_INF,
	HLS_TAG_SERVER_CONTROL,
	HLS_TAG_ENDLIST,
	HLS_TAG_EXTINF,
	HLS_TAG_BYTERANGE,
	HLS_TAG_DISCONTINUITY,
	HLS_TAG_KEY,
	HLS_TAG_MAP,
	HLS_TAG_PROGRAM_DATE_TIME,
	HLS_TAG_OTHER_MEDIA, /* known to belong to media playlists, not looked into */
	HLS_TAG_MEDIA,
	HLS_TAG_STREAM_INF,
	HLS_TAG_I_FRAME_STREAM_INF,
	HLS_TAG_OTHER_MULTIVARIANT,
	HLS_TAGS
};

struct hls_tags_seen {
	enum hls_kind kind;
	bool once[HLS_TAGS]; /* tags that may not come again: in the list, or before the next URI */
	bool segments_begun; /* the first EXTINF was there */
	bool ended;          /* EXT-X-ENDLIST was there */
	unsigned needed_version;
	const char *needed_by; /* static */
	size_t needed_line;
};

/* Names the line's tag and refuses it where it must not stand: in the wrong kind of playlist, a second time, a
 * playlist's own tag behind its first segment, anything behind EXT-X-ENDLIST, a value where there is none or the other
 * way round. A URI line opens the next segment. */
int hls_tags_admit(struct hls_tags_seen *seen, const struct hls_line *line, enum hls_tag *ret,
		   struct err *e) MR_MUST_USE;

/* Notes that something at `line` needs at least `version`. */
void hls_tags_need_version(struct hls_tags_seen *seen, unsigned version, const char *by, size_t line);
/* The declared version (1 without the tag) is enough for all that was noted. */
int hls_tags_check_version(const struct hls_tags_seen *seen, uint64_t declared, struct err *e) MR_MUST_USE;
/* The value of EXT-X-VERSION. */
int hls_tags_read_version(const struct hls_line *line, uint32_t *ret, struct err *e) MR_MUST_USE;
/* EXT-X-START's attributes are right. */
int hls_tags_check_start(const struct hls_line *line, struct err *e) MR_MUST_USE;
