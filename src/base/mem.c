/* Allocations that abort when memory is out: small sizes that input does not decide. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void *or_abort(void *p)
{
	if (!p) {
		fputs("millrace: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *mr_calloc(size_t count, size_t size)
{
	return or_abort(calloc(count ? count : 1, size ? size : 1));
}

char *mr_strdup(const char *s)
{
	return or_abort(strdup(s));
}

char *mr_strndup(const char *s, size_t n)
{
	/* Not strndup: s need not be terminated within n, which checkers of strings take for an error. */
	size_t len = strnlen(s, n);
	char *copy = or_abort(malloc(len + 1));
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *mr_asprintf(const char *fmt, ...)
{
	char *out = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&out, fmt, ap);
	va_end(ap);
	return or_abort(n < 0 ? NULL : out);
}

void *mr_reallocarray(void *p, size_t count, size_t size)
{
	return or_abort(reallocarray(p, count ? count : 1, size ? size : 1));
}
