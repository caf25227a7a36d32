/* Objects of the store, one behind the other, read as if they were one. Belongs to one thread; holds one of them open.
 *
 *   struct object_chain c;
 *   object_chain_init(&c, store);
 *   object_chain_add(&c, key_part(job, 0, 0), e);  …
 *   object_chain_read(&c, offset, buf, len, &got, e);
 *   object_chain_copy(&c, put, keep_alive, ctx, e);
 *   object_chain_release(&c);
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

struct object_link {
	char *key;
	uint64_t first; /* where it begins in the whole */
};
struct object_chain {
	struct store *store;
	struct object_link *links;
	uint32_t count;
	uint64_t size_bytes; /* of all */
	struct store_reader *reader; /* of links[open] */
	uint32_t open;
};
void object_chain_init(struct object_chain *c, struct store *store);
/* Takes the key. Asks the store for its size. */
int object_chain_add(struct object_chain *c, char *take_key, struct err *e) MR_MUST_USE;
/* Short only at the end. */
int object_chain_read(struct object_chain *c, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		      struct err *e) MR_MUST_USE;
/* All of it into a put of the same store, object by object; before each `keep_alive` is asked, whose failure ends it. */
int object_chain_copy(struct object_chain *c, struct store_put *put, int (*keep_alive)(void *ctx, struct err *e), void *ctx,
		      struct err *e) MR_MUST_USE;
void object_chain_release(struct object_chain *c);
