/* What the renderers share: attribute strings, URIs, ticks as decimal seconds, the tags of media playlists. Private to src/hls/.
 *
 *   if (hls_text_string(out, "NAME", a->name, e) < 0)     // appends NAME="English"
 *           return -e->kind;
 *
 * Pure; any thread. A full buffer is no error here: appends then do nothing and the renderer asks buf_finish once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "hls/playlist.h"

/* Appends NAME="value". ERR_INVALID where a quoted-string cannot carry the value (RFC 8216, 4.2): NULL, empty, a quote,
 * a control character, not UTF-8. */
int hls_text_string(struct buf *out, const char *attribute, const char *value, struct err *e) MR_MUST_USE;

/* Appends what `uri_fn` makes of `relative_uri` (NULL: the URI itself) and checks what was appended: ERR_INVALID where
 * it could not stand alone on a line and between quotes (RFC 3986, 2; RFC 8216, 4.1), ERR_INTERNAL where uri_fn failed
 * though the buffer had room. */
int hls_text_uri(struct buf *out, hls_uri_fn uri_fn, void *uri_ctx, const char *relative_uri,
		 struct err *e) MR_MUST_USE;

/* What both media renderers begin with: the tags up to EXT-X-INDEPENDENT-SEGMENTS, in the order that EVENT lists keep.
 * ERR_INVALID for constants that no playlist can have. */
struct hls_head {
	unsigned version;
	enum hls_playlist_type type;
	uint32_t target_duration_s, timescale;
	size_t count; /* of entries */
	bool ended;
	uint64_t media_sequence, discontinuity_sequence; /* HLS_WINDOW */
};
int hls_text_head(struct buf *out, const struct hls_head *h, struct err *e) MR_MUST_USE;
/* EXT-X-MAP; nothing if `map_uri` is NULL. */
int hls_text_map(struct buf *out, hls_uri_fn uri_fn, void *uri_ctx, const char *map_uri, struct err *e) MR_MUST_USE;
/* EXTINF of entry `index`. ERR_INVALID where the duration is none, or rounds to more than the target duration. */
int hls_text_extinf(struct buf *out, const struct hls_head *h, size_t index, int64_t ticks, struct err *e) MR_MUST_USE;

/* A duration as a reader of the printed EXTINF rounds it (RFC 8216, 4.3.3.1): 4.4999996 s are printed as 4.500000, which
 * round to 5. */
uint64_t hls_rounded_seconds(uint64_t us);
/* Microseconds, rounded to nearest: exactly what a reader finds in EXTINF. UINT64_MAX where they don't fit. Both
 * arguments are > 0. */
uint64_t hls_ticks_to_us(int64_t ticks, uint32_t timescale);

typedef int (*hls_render_fn)(const void *playlist, struct buf *out, struct err *e);
/* Appends what `fn` makes of the playlist, or nothing. `what` is the outermost clause of the error. */
int hls_text_whole(struct buf *out, const char *what, hls_render_fn fn, const void *playlist, struct err *e) MR_MUST_USE;
