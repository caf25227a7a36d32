/* Chunks in order. Live threads of the server process. */
#include "live/chunk_window.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Further ahead than this is no gap but another count: somebody else's numbers, or a recording that was joined late. */
#define JUMP_MAX 10000

void chunk_window_init(struct chunk_window *w, int64_t next)
{
	*w = (struct chunk_window){ .next = next };
}

void chunk_window_release(struct chunk_window *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->held[i].chunk.data);
	w->count = w->bytes = 0;
}

static void insert(struct chunk_window *w, size_t at, struct sound_chunk c, int64_t now_ms)
{
	memmove(&w->held[at + 1], &w->held[at], (w->count - at) * sizeof(w->held[0]));
	w->held[at].chunk = c;
	w->held[at].since_ms = now_ms;
	w->count++;
	w->bytes += c.len;
}

enum chunk_verdict chunk_window_put(struct chunk_window *w, int64_t index, const void *data, size_t len, int64_t now_ms)
{
	size_t at = w->count;
	if (index < 0)
		index = w->count ? w->held[w->count - 1].chunk.index + 1 : w->next < 0 ? 0 : w->next;
	if (w->next < 0)
		w->next = index;
	w->last = index;
	while (at && w->held[at - 1].chunk.index > index)
		at--;
	if (index < w->next || (at && w->held[at - 1].chunk.index == index))
		return CHUNK_DUPLICATE;
	if (w->count == CHUNK_HELD_MAX)
		return CHUNK_FULL;
	struct sound_chunk c = { .index = index, .len = len, .data = mr_calloc(1, len ? len : 1) };
	if (len)
		memcpy(c.data, data, len);
	insert(w, at, c, now_ms);
	return CHUNK_KEPT;
}

static bool is_due(const struct chunk_window *w, int64_t now_ms, bool all)
{
	/* Held in the order of their indices, so the one that has waited longest may be any of them. */
	int64_t since_ms = now_ms;
	for (size_t i = 0; i < w->count; i++)
		since_ms = w->held[i].since_ms < since_ms ? w->held[i].since_ms : since_ms;
	return all || w->held[0].chunk.index == w->next || w->count == CHUNK_HELD_MAX || w->bytes > CHUNK_HELD_BYTES ||
	       now_ms - since_ms >= CHUNK_WAIT_MS || w->held[0].chunk.index - w->next > JUMP_MAX;
}

bool chunk_window_take(struct chunk_window *w, int64_t now_ms, bool all, struct sound_chunk *ret)
{
	if (!w->count || !is_due(w, now_ms, all))
		return false;
	*ret = w->held[0].chunk;
	ret->lost = ret->index - w->next;
	w->next = ret->index + 1;
	w->count--;
	w->bytes -= ret->len;
	memmove(&w->held[0], &w->held[1], w->count * sizeof(w->held[0]));
	return true;
}
