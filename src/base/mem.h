/* Small allocations that abort when they fail, and cleanup attributes for locals.
 *
 *   _cleanup_free_ char *key = mr_strdup(name);
 *   return mr_steal(key);                 // ownership leaves the function
 *
 * An allocation whose size input decides must not use these: call malloc, check, and return ERR_TOO_LARGE or
 * ERR_UNAVAILABLE. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>

#define MR_CLEANUP(fn) __attribute__((cleanup(fn)))
#define _cleanup_free_ MR_CLEANUP(mr_free_ptr)

/* Zeroed; aborts on failure. The caller frees with free(). */
void *mr_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
char *mr_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *mr_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *mr_asprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));
/* Grows `p` to `count` elements; aborts on failure. */
void *mr_reallocarray(void *p, size_t count, size_t size) __attribute__((returns_nonnull));

static inline void mr_free_ptr(void *p)
{
	free(*(void **)p);
}

/* Take the value out of a cleanup variable: the variable becomes NULL, ownership goes to the caller. */
#define mr_steal(var)                                                                                                  \
	({                                                                                                             \
		__typeof__(var) _v = (var);                                                                            \
		(var) = NULL;                                                                                          \
		_v;                                                                                                    \
	})
#define MR_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
