/* Matroska by hand (RFC 8794, RFC 9559). */
#include "mkv_make.h"

#include <string.h>

static void put(struct buf *b, uint64_t v, unsigned bytes)
{
	while (bytes--) {
		const uint8_t byte = (uint8_t)(v >> (8 * bytes));
		(void)buf_append(b, &byte, 1);
	}
}

void mkv_id(struct buf *b, uint32_t id)
{
	put(b, id, id > 0xFFFFFF ? 4 : id > 0xFFFF ? 3 : id > 0xFF ? 2 : 1);
}

void mkv_size(struct buf *b, uint64_t size, unsigned n)
{
	const uint64_t marker = 1ull << (7 * n);
	put(b, size == UINT64_MAX ? marker | (marker - 1) : marker | size, n);
}

void mkv_bytes(struct buf *b, uint32_t id, const void *data, size_t len)
{
	mkv_id(b, id);
	mkv_size(b, len, len < 127 ? 1 : 4);
	(void)buf_append(b, data, len);
}

void mkv_uint(struct buf *b, uint32_t id, uint64_t v)
{
	unsigned n = 1;
	while (n < 8 && v >> (8 * n))
		n++;
	mkv_id(b, id);
	mkv_size(b, n, 1);
	put(b, v, n);
}

void mkv_text(struct buf *b, uint32_t id, const char *s)
{
	mkv_bytes(b, id, s, strlen(s));
}

void mkv_open(struct buf *b, uint32_t id, size_t *ret_place)
{
	mkv_id(b, id);
	*ret_place = b->len;
	mkv_size(b, 0, 8);
}

void mkv_close(struct buf *b, size_t place)
{
	const uint64_t size = b->len - place - 8;
	for (unsigned i = 1; i < 8; i++)
		b->data[place + i] = (char)(size >> (8 * (7 - i)));
}

void mkv_unknown(struct buf *b, uint32_t id)
{
	mkv_id(b, id);
	mkv_size(b, UINT64_MAX, 8);
}

void mkv_header(struct buf *b, const char *doctype)
{
	size_t at;
	mkv_open(b, EBML_HEADER, &at);
	mkv_text(b, EBML_DOCTYPE, doctype);
	mkv_close(b, at);
	mkv_unknown(b, MKV_SEGMENT);
}

void mkv_block(struct buf *b, uint32_t id, uint64_t track, int16_t relative, uint8_t flags, const void *data, size_t len)
{
	mkv_id(b, id);
	mkv_size(b, len + 4, 4);
	mkv_size(b, track, 1);
	put(b, (uint16_t)relative, 2);
	put(b, flags, 1);
	(void)buf_append(b, data, len);
}

void mkv_tag(struct buf *b, const char *name, const char *value)
{
	size_t tags, tag, simple;
	mkv_open(b, MKV_TAGS, &tags);
	mkv_open(b, MKV_TAG, &tag);
	mkv_open(b, MKV_SIMPLE_TAG, &simple);
	mkv_text(b, MKV_TAG_NAME, name);
	mkv_text(b, MKV_TAG_STRING, value);
	mkv_close(b, simple);
	mkv_close(b, tag);
	mkv_close(b, tags);
}
