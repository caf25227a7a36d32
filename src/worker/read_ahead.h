/* An input read ahead of who reads it, on a thread of its own: what comes next is there when it is asked for, and a slow store
 * holds up nobody who goes through it at the pace of decoding. Runs in the server and worker process.
 *
 *   struct read_ahead *a = read_ahead_new(read, ctx, size_bytes);
 *   read_ahead_read(a, offset, buf, len, &got, e);       // as read() itself
 *   read_ahead_free(&a);
 *
 * Reading ahead begins when two reads have followed on one another; at most READ_AHEAD_BYTES are kept and on their way. What is
 * asked for elsewhere (an index, another track's place) is read at once, and leaves what was read ahead for later. `read` is
 * called from one thread at a time. Guarantees: the same bytes and errors as reading without it. Does not guarantee: that a
 * read waits for no other; one of READ_AHEAD_BLOCK_BYTES may be under way. Used by one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define READ_AHEAD_BLOCK_BYTES (256u << 10)
#define READ_AHEAD_BLOCKS 8
#define READ_AHEAD_BYTES (READ_AHEAD_BLOCKS * READ_AHEAD_BLOCK_BYTES)

/* Short only at the end of the input. */
typedef int (*read_ahead_fn)(void *ctx, uint64_t offset, void *buf, size_t len, size_t *ret_len, struct err *e);

struct read_ahead;
struct read_ahead *read_ahead_new(read_ahead_fn read, void *ctx, uint64_t size_bytes) __attribute__((returns_nonnull));
/* Short only at the end. */
int read_ahead_read(struct read_ahead *a, uint64_t offset, void *buf, size_t len, size_t *ret_len, struct err *e) MR_MUST_USE;
/* Waits for the read under way. Fine with NULL. */
void read_ahead_free(struct read_ahead **a);
