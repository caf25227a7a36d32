/* A walk over encoded fields, in either direction: one function a message describes its layout, and encoding and decoding
 * can't drift apart.
 *
 *   struct wire w = wire_writer(&buf);          // or wire_reader(data, len)
 *   wire_u32(&w, &r->length);                   // appends *v, or fills it
 *   if (wire_finish(&w, e) < 0) ...             // a full buffer; or truncated, trailing or malformed bytes
 *
 * Integers are little-endian; a bool is one byte 0 or 1; a text is a u16 length and UTF-8 without control characters. After
 * the first fault nothing more is read or written, and what is read is zero. Pure; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct wire {
	struct buf *out; /* writing; NULL: reading */
	const uint8_t *at, *end;
	const char *fault; /* what is wrong, or NULL */
};

struct wire wire_writer(struct buf *out);
struct wire wire_reader(const void *data, size_t len);
void wire_u8(struct wire *w, uint8_t *v);
void wire_u16(struct wire *w, uint16_t *v);
void wire_u32(struct wire *w, uint32_t *v);
void wire_u64(struct wire *w, uint64_t *v);
void wire_i32(struct wire *w, int32_t *v);
void wire_i64(struct wire *w, int64_t *v);
void wire_bool(struct wire *w, bool *v);
/* `s` is an array of `size` bytes with a NUL within; a longer text is a fault. */
void wire_text(struct wire *w, char *s, size_t size);
/* Arrays of `count`. Reading allocates *v (NULL if count is 0), never more than what the remaining bytes can fill; the
 * caller frees it, also after a fault. */
void wire_i64_array(struct wire *w, int64_t **v, size_t count);
void wire_u32_array(struct wire *w, uint32_t **v, size_t count);
void wire_fault(struct wire *w, const char *what);
int wire_finish(struct wire *w, struct err *e) MR_MUST_USE;
/* True for UTF-8 without control characters (C0, DEL, C1). */
bool wire_text_valid(const char *s, size_t len);
