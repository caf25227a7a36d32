/* Memory that is given back all at once: one request's.
 *
 *   struct arena a = { 0 };
 *   char *s = arena_strdup(&a, name);
 *   arena_release(&a);
 *
 * Zeroed and aligned for any type; aborts when memory is out, so sizes must be bounded by the caller. Not thread-safe.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used; /* of the newest block */
};

void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
char *arena_strndup(struct arena *a, const char *s, size_t len) __attribute__((returns_nonnull));
char *arena_strdup(struct arena *a, const char *s) __attribute__((returns_nonnull));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
	__attribute__((returns_nonnull, format(printf, 2, 0)));
void arena_release(struct arena *a);
