/* Time: wall clock for records, monotonic for durations. Milliseconds and nanoseconds are named in every function. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Unix time in milliseconds. */
int64_t clock_wall_ms(void);
/* Milliseconds (nanoseconds) since an unspecified start; never goes back. */
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);

#define ISO8601_SIZE 25 /* "2026-11-21T08:36:12.345Z" and NUL */
/* ISO 8601 in UTC with milliseconds. */
void iso8601_format(int64_t wall_ms, char out[ISO8601_SIZE]);

#define AMZ_DATE_SIZE 17 /* "20261121T083612Z" and NUL */
/* The basic format that AWS signatures use (X-Amz-Date). */
void amz_date_format(int64_t wall_ms, char out[AMZ_DATE_SIZE]);
/* Parses exactly that format; false on anything else. */
bool amz_date_parse(const char *text, int64_t *ret_wall_ms);
