/* An input of a task: an object of a store, or a local file in one-shot runs, read by range as the task asks.
 * It stays the object that was there at the open. Belongs to one thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

struct source {
	struct store_reader *reader; /* NULL: a local file */
	int fd;
	uint64_t size_bytes;
};
#define SOURCE_INIT ((struct source){ .fd = -1 })

/* `store` NULL: `key` is a path. The source is SOURCE_INIT before; source_close may be called whether or not this
 * succeeded. */
int source_open(struct source *s, struct store *store, const char *key, struct err *e) MR_MUST_USE;
/* Short only at the end. */
int source_read(struct source *s, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		struct err *e) MR_MUST_USE;
void source_close(struct source *s);
