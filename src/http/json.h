/* Fields of a JSON object that came from outside, taken with an error that names the field.
 *
 *   int64_t bitrate;
 *   if (json_get_int(params, "bitrate", JSON_OPTIONAL, 32000, 510000, &bitrate, e) < 0)
 *           return -e->kind;    // "bitrate must be a whole number from 32000 to 510000"
 *
 * All: 0, or -ERR_INVALID with the field's name in the message (code MISSING_FIELD or INVALID_FIELD). `null` counts as
 * absent. An absent optional field leaves *ret as it is, so set the default before. Values are borrowed from `obj`.
  * Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum json_need { JSON_OPTIONAL, JSON_REQUIRED };

/* How answers are written: compact, and numbers as people wrote them (0.1 stays 0.1). */
#define JSON_ANSWER (JSON_COMPACT | JSON_REAL_PRECISION(12))

#define JSON_MAX_DEPTH 32

/* One JSON value of UTF-8 text: no duplicate keys, no \u0000, at most JSON_MAX_DEPTH levels deep (a parser recursing
 * over hostile input would overflow a small stack). The caller owns *ret (json_decref). */
int json_parse(const char *text, size_t len, json_t **ret, struct err *e) MR_MUST_USE;

/* `max_bytes` 0: unbounded (the body's limit holds). A required string must not be empty. */
int json_get_string_max(const json_t *obj, const char *field, enum json_need need, size_t max_bytes, const char **ret,
			struct err *e) MR_MUST_USE;
int json_get_string(const json_t *obj, const char *field, enum json_need need, const char **ret,
		    struct err *e) MR_MUST_USE;
/* One of `names` (NULL-terminated); *ret is its index. */
int json_get_choice(const json_t *obj, const char *field, enum json_need need, const char *const *names, size_t *ret,
		    struct err *e) MR_MUST_USE;
/* A whole number in [min, max]; 5.0 is one, "5" is not. */
int json_get_int(const json_t *obj, const char *field, enum json_need need, int64_t min, int64_t max, int64_t *ret,
		 struct err *e) MR_MUST_USE;
int json_get_double(const json_t *obj, const char *field, enum json_need need, double min, double max, double *ret,
		    struct err *e) MR_MUST_USE;
int json_get_bool(const json_t *obj, const char *field, enum json_need need, bool *ret, struct err *e) MR_MUST_USE;
int json_get_object(const json_t *obj, const char *field, enum json_need need, json_t **ret, struct err *e) MR_MUST_USE;
/* At most max_items. */
int json_get_array(const json_t *obj, const char *field, enum json_need need, size_t max_items, json_t **ret,
		   struct err *e) MR_MUST_USE;
/* Fails for the first member of `obj` that is not in `names` (NULL-terminated): catches misspelt options. */
int json_only_fields(const json_t *obj, const char *const *names, struct err *e) MR_MUST_USE;
