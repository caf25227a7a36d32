/* Capped byte buffer. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){ .max = max_bytes };
}

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

void *buf_reserve(struct buf *b, size_t len)
{
	/* The NUL needs a byte more than the maximum: SIZE_MAX cannot be filled. */
	if (b->failed || len > b->max || b->len > b->max - len || b->len + len == SIZE_MAX) {
		b->failed = true;
		return NULL;
	}
	size_t need = b->len + len + 1;
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : 256;
		while (cap < need)
			cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap + cap / 2 + 64;
		if (cap - 1 > b->max)
			cap = b->max + 1;
		char *data = realloc(b->data, cap);
		if (!data) {
			b->failed = true;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_commit(struct buf *b, size_t len)
{
	assert(b->cap > b->len + len);
	b->len += len;
	b->data[b->len] = '\0';
}

bool buf_append(struct buf *b, const void *data, size_t len)
{
	void *room = buf_reserve(b, len);
	if (!room)
		return false;
	if (len)
		memcpy(room, data, len);
	buf_commit(b, len);
	return true;
}

bool buf_puts(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	bool ok = false;
	if (n >= 0 && buf_reserve(b, (size_t)n)) {
		(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
		ok = true;
	}
	va_end(again);
	return ok;
}

void buf_consume(struct buf *b, size_t len)
{
	assert(len <= b->len);
	if (!len)
		return;
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
	b->data[b->len] = '\0';
}

int buf_finish(const struct buf *b, struct err *e)
{
	if (b->failed)
		return err_set(e, ERR_TOO_LARGE, "more than %zu bytes", b->max);
	return 0;
}

char *buf_steal(struct buf *b)
{
	char *data = b->data ? b->data : mr_strdup("");
	*b = (struct buf){ .max = b->max };
	return data;
}
