/* A growing byte buffer that states its maximum.
 *
 *   struct buf b;
 *   buf_init(&b, 64 * 1024);
 *   buf_printf(&b, "#EXTM3U\n");            // after a failure further appends do nothing
 *   if (buf_finish(&b, e) < 0) ...           // one check at the end: ERR_TOO_LARGE
 *   buf_release(&b);
 *
 * `data` is always NUL-terminated behind `len` once anything was appended (NULL before that). Ownership: the buffer
 * owns `data`; buf_steal hands it over. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max; /* bytes; an append beyond it fails and sets `failed` */
	bool failed;
};

#define _cleanup_buf_ MR_CLEANUP(buf_release)

void buf_init(struct buf *b, size_t max_bytes);
/* Frees the bytes; the buffer may be used again with its maximum unchanged. */
void buf_release(struct buf *b);
/* Forget the content, keep the memory, clear `failed`. */
void buf_clear(struct buf *b);
/* Appends; false (and `failed`) when the maximum would be exceeded or memory is out. */
bool buf_append(struct buf *b, const void *data, size_t len);
bool buf_puts(struct buf *b, const char *s);
bool buf_printf(struct buf *b, const char *fmt, ...) MR_PRINTF(2, 3);
/* Room for `len` more bytes at data + len, for reading into; then add to len with buf_commit. NULL on failure. */
void *buf_reserve(struct buf *b, size_t len);
void buf_commit(struct buf *b, size_t len);
/* Drop `len` bytes from the front. */
void buf_consume(struct buf *b, size_t len);
/* 0, or -ERR_TOO_LARGE when any append failed. */
int buf_finish(const struct buf *b, struct err *e) MR_MUST_USE;
/* The text (never NULL), owned by the caller; the buffer is empty afterwards. */
char *buf_steal(struct buf *b);
