/* What the two renderers share: attribute strings, URIs, and ticks as decimal seconds. Private to src/hls/.
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

/* Microseconds, rounded to nearest: exactly what a reader finds in EXTINF. UINT64_MAX where they don't fit. Both
 * arguments are > 0. */
uint64_t hls_ticks_to_us(int64_t ticks, uint32_t timescale);

typedef int (*hls_render_fn)(const void *playlist, struct buf *out, struct err *e);
/* Appends what `fn` makes of the playlist, or nothing. `what` is the outermost clause of the error. */
int hls_text_whole(struct buf *out, const char *what, hls_render_fn fn, const void *playlist, struct err *e) MR_MUST_USE;
