/* A request's memory: blocks of 2 KiB, larger pieces in blocks of their own. */
#include "http/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define BLOCK_BYTES 2048

struct arena_block {
	struct arena_block *next;
	size_t size;
	alignas(max_align_t) unsigned char data[];
};

static struct arena_block *block_new(size_t room)
{
	struct arena_block *b = malloc(sizeof(*b) + room);
	if (!b)
		abort();
	b->size = room;
	return b;
}

static void *take(struct arena *a, size_t size)
{
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!a->blocks || size > a->blocks->size - a->used) {
		size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
		struct arena_block *b = block_new(room);
		b->next = a->blocks;
		a->blocks = b;
		a->used = 0;
	}
	void *p = a->blocks->data + a->used;
	a->used += size;
	return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
	return memset(take(a, size), 0, size);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *out = take(a, len + 1);
	memcpy(out, s, len);
	out[len] = '\0';
	return out;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *out = take(a, n < 0 ? 1 : (size_t)n + 1);
	out[0] = '\0';
	if (n > 0)
		(void)vsnprintf(out, (size_t)n + 1, fmt, again);
	va_end(again);
	return out;
}

void arena_release(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;
		free(a->blocks);
		a->blocks = next;
	}
	a->used = 0;
}
