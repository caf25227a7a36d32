/* An input of a task: an object of a store, or a local file in one-shot runs, read by range as the task asks; or a pipe, read once.
 * It stays the object that was there at the open. Belongs to one thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"
#include "worker/read_ahead.h"
#include "worker/source_pipe.h"

struct source {
	struct store_reader *reader; /* NULL: a local file, or the pipe */
	int fd;
	uint64_t size_bytes; /* TASK_INPUT_FORWARD: of a long pipe */
	struct read_ahead *ahead; /* NULL: not read ahead */
	/* Of a pipe; set by who reads it: see source_pipe_read. */
	struct source_pipe *pipe;
	bool probing;
	int (*keep_alive)(void *ctx, struct err *e);
	void *ctx;
};
#define SOURCE_INIT ((struct source){ .fd = -1 })

/* `store` NULL: `key` is a path, or "-" for `pipe` (borrowed; NULL where there is none). The source is SOURCE_INIT before;
 * source_close may be called whether or not this succeeded. */
int source_open(struct source *s, struct store *store, struct source_pipe *pipe, const char *key, struct err *e) MR_MUST_USE;
/* From now on the object is read ahead of who reads it (read_ahead.h). Of a local file the kernel does that, and a pipe can't be:
 * nothing happens. Not to be moved afterwards. */
void source_read_ahead(struct source *s);
/* Short only at the end; a pipe's anywhere, but empty only there. */
int source_read(struct source *s, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		struct err *e) MR_MUST_USE;
void source_close(struct source *s);
