/* The key set behind a JWKS URL or file, kept fresh.
 *
 * A URL is fetched on a thread of this module's own (started at the first need): then, every hour, and for an unknown
 * key at most once a minute. While it is away the old keys stay. A file is read by the caller's thread when its time
 * stamp changes. Any thread; the calls may wait up to 3 s for a fetch, but only two callers at once do, so that a slow
 * URL never holds the pool.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "http/jwt.h"

struct jwks;

struct jwks *jwks_new(const char *url, const char *file, uint32_t unknown_kid_ms);
void jwks_free(struct jwks *j);
/* A reference to the keys; ERR_UNAVAILABLE if there have never been any. */
int jwks_get(struct jwks *j, struct jwt_keys **ret, struct err *e) MR_MUST_USE;
/* A key was not among `seen`: asks for new ones if that is due. True if there are others now. */
bool jwks_refresh(struct jwks *j, const struct jwt_keys *seen);
