/* A fixed set of threads that run short pieces of work in the order they came: the I/O threads on which store transfers and
 * slow requests run, so that an HTTP thread never does.
 *
 * pool_submit never blocks; work is refused with -ERR_BUSY when `backlog` pieces are waiting. pool_free runs what was accepted,
 * then joins. A piece of work must not wait for another piece of the same pool.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct pool;
typedef void (*pool_fn)(void *arg);
int pool_new(const char *name, size_t threads, size_t backlog, struct pool **ret, struct err *e) MR_MUST_USE;
int pool_submit(struct pool *p, pool_fn fn, void *arg) MR_MUST_USE;
void pool_free(struct pool *p);
