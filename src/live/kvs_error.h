/* Errors as Kinesis Video Streams names them: which exception with which status a client of AWS expects.
 *
 *   struct kvs_error k = kvs_error_of(&e, has_authorization);       // 404, "ResourceNotFoundException"
 *
 * Pure; any thread. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct kvs_error {
	unsigned status;
	const char *type;
	bool hide; /* what went wrong inside is for the log */
};
/* `has_authorization`: the request had an Authorization header. */
struct kvs_error kvs_error_of(const struct err *why, bool has_authorization);
