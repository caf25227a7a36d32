/* The checker's own reader of playlists: lines, tags' values, attribute lists, numbers. Private to src/hls/; shares
 * nothing with rendering, so that one's mistake is not the other's.
 *
 *   static int read_line(void *ctx, const struct hls_line *line, struct err *e)
 *           … line->tag, line->value, line->number …
 *   int r = hls_lines_read(text, len, read_line, &check, e);
 *
 * Slices point into the text and live as long as it. Nothing allocates; time is linear in the text. Any thread. Every
 * refusal is -ERR_INVALID with "rule, line N: what and why".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct hls_slice {
	const char *at;
	size_t len;
};

bool hls_slice_is(struct hls_slice s, const char *text);
bool hls_slice_equal(struct hls_slice a, struct hls_slice b);

/* A slice as an argument of "%.*s": at most 60 bytes, whole characters, and nothing from a '?' on, because a signed
 * URL's query must not end up in a log. */
#define HLS_SHOW(s) hls_show_len(s), (s).at
int hls_show_len(struct hls_slice s);

/* Sets the error "rule, line N: …" (line 0: "rule: …", for what is missing) and returns -ERR_INVALID. */
int hls_refuse(struct err *e, const char *rule, size_t line, const char *fmt, ...) MR_PRINTF(4, 5);

struct hls_line {
	struct hls_slice tag;   /* "EXTINF", without '#'; empty: a URI line */
	struct hls_slice value; /* behind the colon, or the URI */
	bool has_value;         /* there was a colon */
	size_t number;          /* from 1 */
};

/* 0, or a refusal, which ends the reading. */
typedef int (*hls_line_fn)(void *ctx, const struct hls_line *line, struct err *e);

/* Checks what holds for the text as a whole (RFC 8216, 4.1): UTF-8, no BOM, no control characters, every line ended by
 * LF or CR LF, #EXTM3U first. Then calls `fn` for every line behind that one which is neither blank nor a comment. */
int hls_lines_read(const char *text, size_t len, hls_line_fn fn, void *ctx, struct err *e) MR_MUST_USE;

/* A URI that can be one: RFC 3986's characters, complete escapes. Lines and quoted strings are never empty here. */
int hls_uri_check(struct hls_slice uri, size_t line, struct err *e) MR_MUST_USE;

/* Decimal-integer (RFC 8216, 4.2): digits alone, fits 64 bits. */
bool hls_decimal_parse(struct hls_slice s, uint64_t *ret);
/* Decimal-integer or decimal-floating-point below a milliard, in milliardths (digits behind the ninth are dropped). */
bool hls_fraction_parse(struct hls_slice s, uint64_t *ret_nano, bool *ret_has_point);

#define HLS_ATTRIBUTES_MAX 32
struct hls_attribute {
	struct hls_slice name;
	struct hls_slice value; /* without its quotes */
	bool quoted;
};
struct hls_attributes {
	struct hls_attribute items[HLS_ATTRIBUTES_MAX];
	size_t count;
	size_t line;
};

/* An attribute list (RFC 8216, 4.2): names of A–Z, 0–9 and '-', no name twice, no spaces, quotes closed. */
int hls_attributes_parse(const struct hls_line *line, struct hls_attributes *ret, struct err *e) MR_MUST_USE;
/* NULL where there is none of that name. */
const struct hls_attribute *hls_attributes_find(const struct hls_attributes *a, const char *name);

/* Typed values. Absent: with `needed` a refusal, else 0 and *ret zeroed. Of the wrong type: a refusal. */
int hls_attribute_string(const struct hls_attributes *a, const char *name, bool needed, struct hls_slice *ret,
			 struct err *e) MR_MUST_USE;
int hls_attribute_word(const struct hls_attributes *a, const char *name, bool needed, struct hls_slice *ret,
		       struct err *e) MR_MUST_USE;
int hls_attribute_decimal(const struct hls_attributes *a, const char *name, bool needed, uint64_t *ret,
			  struct err *e) MR_MUST_USE;
/* YES or NO; absent is NO. */
int hls_attribute_yes(const struct hls_attributes *a, const char *name, bool *ret, struct err *e) MR_MUST_USE;
