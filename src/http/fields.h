/* Header fields of HTTP that are read or written here: ranges, entity tags, dates, cookies, content dispositions, token
 * lists.
 *
 *   struct field_span spans[FIELD_RANGES_MAX];
 *   uint32_t count;
 *   switch (field_range_parse("bytes=-500", size, spans, &count)) { case RANGE_ONE: ... }
 *
 * Pure, no allocation but in the caller's buf; every parser takes any bytes (tests/fuzz/http_*.c). Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FIELD_RANGES_MAX 16
enum field_range {
	RANGE_NONE, /* no, another unit's or malformed ranges: answer with the whole (RFC 9110, 14.2) */
	RANGE_ONE,
	RANGE_SEVERAL,	     /* as they were asked for, perhaps out of order; together not more than the object */
	RANGE_UNSATISFIABLE, /* 416: none of them lies within the object */
	RANGE_EXCESSIVE,     /* 416: more than FIELD_RANGES_MAX, or together more than the object (RFC 9110, 14.2 and 15.5.17) */
};
/* Both within the object. */
struct field_span {
	uint64_t first, last;
};
/* Of several those that lie outside are left out. *ret_count is set for RANGE_ONE and RANGE_SEVERAL. */
enum field_range field_range_parse(const char *value, uint64_t size, struct field_span ret[FIELD_RANGES_MAX], uint32_t *ret_count);

/* True if `list` (of If-Match, If-None-Match, If-Range) is "*" or holds the tag `etag` (given without quotes). `weak`:
 * W/ is ignored (RFC 9110, 8.8.3.2), else a weak tag never matches. */
bool field_etag_matches(const char *list, const char *etag, bool weak);

#define HTTP_DATE_SIZE 30 /* "Sat, 21 Nov 2026 08:36:12 GMT" and NUL */
void field_date_format(int64_t wall_ms, char out[HTTP_DATE_SIZE]);
/* IMF-fixdate alone; false on anything else. */
bool field_date_parse(const char *value, int64_t *ret_seconds);

/* The value of cookie `name` in a Cookie header; a quoted value loses its quotes. False if it is not there. */
bool field_cookie_find(const char *header, const char *name, struct buf *out);

/* One of the elements of a comma-separated list equals `token`, in any case; parameters (";q=1") are not looked at. */
bool field_has_token(const char *list, const char *token);
/* Accept-Encoding allows `coding`: named with a q above 0. */
bool field_accepts_coding(const char *accept_encoding, const char *coding);
/* The media type equals `type` ("multipart/form-data"), whatever its parameters. */
bool field_is_type(const char *content_type, const char *type);
/* Content that a browser would run in our origin: HTML, SVG, XML, scripts, or no known type at all. */
bool field_is_active_type(const char *content_type);

/* A name for a file, from what a client sent: the part behind the last / or \, without control characters, `"` and
 * invalid UTF-8, no leading dots or blanks, at most 255 bytes cut at a character. False if nothing is left. */
bool field_filename_clean(const char *name, size_t len, struct buf *out);
/* The filename of a Content-Disposition: filename* (RFC 8187, UTF-8) before filename (RFC 6266), cleaned. */
bool field_disposition_filename(const char *value, struct buf *out);
/* `attachment; filename="film.mp4"`, and filename*=UTF-8'' with the true name where ASCII can't say it. */
bool field_disposition_format(struct buf *out, bool attachment, const char *filename);

/* A token (RFC 9110, 5.6.2), as every header's name is. */
bool field_is_token(const char *s);
/* An X-Request-Id that may be taken over: 1–64 of A–Z a–z 0–9 . _ - */
bool field_request_id_valid(const char *s);
/* host, host:port, [v6]:port of a Host header; nothing that could break out of a URL. */
bool field_host_valid(const char *s);
/* The host (without port) is a loopback name or address. */
bool field_host_is_loopback(const char *host);
