/* Objects read as one. In the server and worker process. */
#include "worker/object_chain.h"

#include <stdlib.h>

#include "base/mem.h"

void object_chain_init(struct object_chain *c, struct store *store)
{
	*c = (struct object_chain){ .store = store };
}

int object_chain_add(struct object_chain *c, char *take_key, struct err *e)
{
	struct store_info info;
	int r = store_stat(c->store, take_key, &info, e);
	if (r < 0) {
		free(take_key);
		return r;
	}
	c->links = mr_reallocarray(c->links, c->count + 1, sizeof(*c->links));
	c->links[c->count++] = (struct object_link){ .key = take_key, .first = c->size_bytes };
	c->size_bytes += info.size;
	return 0;
}

/* The last that begins at or before the offset. */
static uint32_t find(const struct object_chain *c, uint64_t offset)
{
	uint32_t low = 0, high = c->count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (c->links[middle].first <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static int open_link(struct object_chain *c, uint32_t i, struct err *e)
{
	if (c->reader && c->open == i)
		return 0;
	if (c->reader)
		store_reader_close(mr_steal(c->reader));
	struct store_info info;
	c->open = i;
	int r = store_reader_open(c->store, c->links[i].key, &c->reader, &info, e);
	const uint64_t end = i + 1 < c->count ? c->links[i + 1].first : c->size_bytes;
	if (r == 0 && info.size != end - c->links[i].first)
		r = err_set(e, ERR_IO, "%s isn't as long as it was", c->links[i].key);
	return r;
}

int object_chain_read(struct object_chain *c, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	uint32_t done = 0;
	while (done < len && offset + done < c->size_bytes) {
		size_t got;
		uint32_t i = find(c, offset + done);
		int r = open_link(c, i, e);
		if (r == 0)
			r = store_reader_read(c->reader, offset + done - c->links[i].first, (char *)buf + done, len - done, &got,
					      e);
		if (r < 0)
			return r;
		if (got == 0)
			return err_set(e, ERR_IO, "%s is shorter than it was", c->links[i].key);
		done += (uint32_t)got;
	}
	*ret_len = done;
	return 0;
}

int object_chain_copy(struct object_chain *c, struct store_put *put, int (*keep_alive)(void *ctx, struct err *e), void *ctx,
		      struct err *e)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < c->count; i++) {
		r = keep_alive(ctx, e);
		if (r == 0)
			r = open_link(c, i, e);
		if (r == 0)
			r = store_put_append(put, c->reader, e);
	}
	return r;
}

void object_chain_release(struct object_chain *c)
{
	if (c->reader)
		store_reader_close(mr_steal(c->reader));
	for (uint32_t i = 0; i < c->count; i++)
		free(c->links[i].key);
	free(mr_steal(c->links));
	c->count = 0;
}
