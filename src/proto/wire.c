/* Bounds-checked fields (see wire.h). Runs on both sides of the channel; its input is hostile on either. */
#include "proto/wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/encode.h"

struct wire wire_writer(struct buf *out)
{
	return (struct wire){ .out = out };
}

struct wire wire_reader(const void *data, size_t len)
{
	static const uint8_t nothing;
	const uint8_t *at = len ? data : &nothing;
	return (struct wire){ .at = at, .end = at + len };
}

void wire_fault(struct wire *w, const char *what)
{
	if (!w->fault)
		w->fault = what;
}

/* `size` bytes (1, 2, 4 or 8) of *v, least significant first. */
static void integer(struct wire *w, uint64_t *v, size_t size)
{
	uint8_t bytes[8];
	if (w->fault) {
		*v = 0;
		return;
	}
	if (w->out) {
		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)(*v >> (8 * i));
		(void)buf_append(w->out, bytes, size);
		return;
	}
	*v = 0;
	if ((size_t)(w->end - w->at) < size) {
		wire_fault(w, "truncated");
		return;
	}
	for (size_t i = 0; i < size; i++)
		*v |= (uint64_t)w->at[i] << (8 * i);
	w->at += size;
}

void wire_u8(struct wire *w, uint8_t *v)
{
	uint64_t x = *v;
	integer(w, &x, 1);
	*v = (uint8_t)x;
}

void wire_u16(struct wire *w, uint16_t *v)
{
	uint64_t x = *v;
	integer(w, &x, 2);
	*v = (uint16_t)x;
}

void wire_u32(struct wire *w, uint32_t *v)
{
	uint64_t x = *v;
	integer(w, &x, 4);
	*v = (uint32_t)x;
}

void wire_u64(struct wire *w, uint64_t *v)
{
	integer(w, v, 8);
}

void wire_i32(struct wire *w, int32_t *v)
{
	uint64_t x = (uint32_t)*v;
	integer(w, &x, 4);
	*v = (int32_t)(uint32_t)x;
}

void wire_i64(struct wire *w, int64_t *v)
{
	uint64_t x = (uint64_t)*v;
	integer(w, &x, 8);
	*v = (int64_t)x;
}

void wire_bool(struct wire *w, bool *v)
{
	uint64_t x = *v;
	integer(w, &x, 1);
	if (x > 1)
		wire_fault(w, "a flag that is neither 0 nor 1");
	*v = x == 1;
}

bool wire_text_valid(const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = utf8_sequence(s + i, len - i);
		unsigned char c = (unsigned char)s[i];
		if (n == 0 || c < 0x20 || c == 0x7F)
			return false;
		if (c == 0xC2 && (unsigned char)s[i + 1] < 0xA0) /* C1 */
			return false;
		i += n;
	}
	return true;
}

void wire_text(struct wire *w, char *s, size_t size)
{
	uint16_t len = 0;
	if (w->out) {
		size_t n = strnlen(s, size);
		if (n == size || n > UINT16_MAX || !wire_text_valid(s, n)) {
			wire_fault(w, "a text that is too long or not clean UTF-8");
			return;
		}
		len = (uint16_t)n;
		wire_u16(w, &len);
		if (!w->fault)
			(void)buf_append(w->out, s, len);
		return;
	}
	wire_u16(w, &len);
	memset(s, 0, size);
	if (w->fault)
		return;
	if (len >= size || (size_t)(w->end - w->at) < len || !wire_text_valid((const char *)w->at, len)) {
		wire_fault(w, "a text that is too long or not clean UTF-8");
		return;
	}
	memcpy(s, w->at, len);
	w->at += len;
}

/* Room for `count` elements when reading; NULL and a fault if the message can't hold so many. */
static void *array_room(struct wire *w, size_t count, size_t size)
{
	if (w->fault)
		return NULL;
	if ((size_t)(w->end - w->at) / size < count) {
		wire_fault(w, "truncated");
		return NULL;
	}
	void *p = calloc(count, size);
	if (!p)
		wire_fault(w, "no memory for an array");
	return p;
}

void wire_i64_array(struct wire *w, int64_t **v, size_t count)
{
	if (!w->out)
		*v = NULL;
	if (count == 0)
		return;
	if (!w->out && !(*v = array_room(w, count, sizeof(**v))))
		return;
	for (size_t i = 0; i < count; i++)
		wire_i64(w, &(*v)[i]);
}

void wire_u32_array(struct wire *w, uint32_t **v, size_t count)
{
	if (!w->out)
		*v = NULL;
	if (count == 0)
		return;
	if (!w->out && !(*v = array_room(w, count, sizeof(**v))))
		return;
	for (size_t i = 0; i < count; i++)
		wire_u32(w, &(*v)[i]);
}

int wire_finish(struct wire *w, struct err *e)
{
	if (!w->fault && !w->out && w->at != w->end)
		wire_fault(w, "trailing bytes");
	if (w->fault)
		return err_set(e, ERR_PROTOCOL, "%s", w->fault);
	return w->out ? buf_finish(w->out, e) : 0;
}
