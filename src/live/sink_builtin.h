/* The sink over the built-in stream store: fragments of sessions become objects and rows (live/stream_store.h).
 * Each stream's work is one piece at a time on a pool of the sink's own, so that order is kept and nothing else is blocked. */
#pragma once

#include "live/sink.h"
#include "live/stream_store.h"

struct sink_builtin_opts {
	struct stream_store *store; /* borrowed */
	uint32_t threads;	    /* 0: 64: they wait for the disk */
	uint32_t retention_hours;   /* of streams that are made; 0: 1 */
};
int sink_builtin_new(const struct sink_builtin_opts *opts, struct sink **ret, struct err *e) MR_MUST_USE;
