/* The request target, taken apart: path checked and decoded, query pairs decoded.
 *
 * Pure; memory from the caller's arena. Any thread.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "http/arena.h"
#include "net/sigv4.h"

struct uri {
	const char *raw_path; /* still encoded, absolute */
	const char *path;     /* decoded as a whole */
	struct sigv4_pair *query;
	size_t query_count;
};

/* Takes origin-form and absolute-form ("http://host/path", whose host is not looked at). ERR_INVALID: not absolute, a
 * bad escape, NUL or control characters, invalid UTF-8, a "." or ".." segment in any encoding, more than 256 pairs. */
int uri_parse(struct arena *a, const char *target, struct uri *ret, struct err *e) MR_MUST_USE;
