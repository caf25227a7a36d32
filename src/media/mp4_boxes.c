/* Boxes and tables of an MP4: see mp4_boxes.h. Every offset is checked against what encloses it before it is used. */
#include "media/mp4_boxes.h"

#include <assert.h>
#include <string.h>

/* Headers and small boxes come several to a read. */
#define HEADER_AHEAD_BYTES 4096u
/* A film has some dozens for each track; they may be met two or three times. */
#define BOXES_MAX 65536

uint32_t mp4_get32(const uint8_t *p)
{
	return MP4_TYPE(p[0], p[1], p[2], p[3]);
}

uint64_t mp4_get64(const uint8_t *p)
{
	return (uint64_t)mp4_get32(p) << 32 | mp4_get32(p + 4);
}

int mp4_bytes(struct mp4_reader *r, uint64_t offset, uint32_t len, uint32_t ahead, const uint8_t **ret, struct err *e)
{
	assert(len <= sizeof(r->buffer));
	if (offset > r->size_bytes || len > r->size_bytes - offset)
		return err_set(e, ERR_UNSUPPORTED, "a box reaches beyond the end of the file");
	if (offset < r->offset || offset - r->offset > r->held || len > r->held - (offset - r->offset)) {
		uint32_t want = ahead > len ? ahead : len, got = 0;
		want = want < sizeof(r->buffer) ? want : (uint32_t)sizeof(r->buffer);
		if (want > r->size_bytes - offset)
			want = (uint32_t)(r->size_bytes - offset);
		r->held = 0;
		int rc = r->io->read(r->io->ctx, r->input, offset, r->buffer, want, &got, e);
		if (rc < 0)
			return rc;
		r->offset = offset;
		r->held = got;
		r->bytes_read += got;
		if (got < len)
			return err_set(e, ERR_UNSUPPORTED, "the file is shorter than was told");
	}
	*ret = r->buffer + (offset - r->offset);
	return 0;
}

int mp4_box_read(struct mp4_reader *r, uint64_t at, uint64_t end, struct mp4_box *ret, struct err *e)
{
	const uint8_t *p;
	if (at > end || end - at < 8 || r->boxes++ >= BOXES_MAX)
		return err_set(e, ERR_UNSUPPORTED, "%llu bytes are no box, or there are too many", (unsigned long long)(end - at));
	int rc = mp4_bytes(r, at, 8, HEADER_AHEAD_BYTES, &p, e);
	if (rc < 0)
		return rc;
	uint64_t size = mp4_get32(p);
	struct mp4_box box = { .type = mp4_get32(p + 4), .start = at, .body = at + 8 };
	if (size == 1) {
		if (end - at < 16)
			return err_set(e, ERR_UNSUPPORTED, "a box without its size");
		rc = mp4_bytes(r, at + 8, 8, HEADER_AHEAD_BYTES, &p, e);
		if (rc < 0)
			return rc;
		size = mp4_get64(p);
		box.body = at + 16;
	} else if (size == 0) {
		size = end - at;
	}
	if (size < box.body - at || size > end - at)
		return err_set(e, ERR_UNSUPPORTED, "a box of %llu bytes in %llu", (unsigned long long)size,
			       (unsigned long long)(end - at));
	box.end = at + size;
	*ret = box;
	return 0;
}

int mp4_table_find(struct mp4_reader *r, const struct mp4_box *box, uint32_t skip, uint32_t row_bytes, struct mp4_table *ret,
		   struct err *e)
{
	const uint8_t *p;
	if (box->end - box->body < skip + 4)
		return err_set(e, ERR_UNSUPPORTED, "a table without its length");
	int rc = mp4_bytes(r, box->body + skip, 4, HEADER_AHEAD_BYTES, &p, e);
	if (rc < 0)
		return rc;
	struct mp4_table t = { .at = box->body + skip + 4, .count = mp4_get32(p), .row_bytes = row_bytes, .ahead = MP4_READ_BYTES };
	if (row_bytes && t.count > (box->end - t.at) / row_bytes)
		return err_set(e, ERR_UNSUPPORTED, "a table of %u rows in %llu bytes", t.count,
			       (unsigned long long)(box->end - t.at));
	*ret = t;
	return 0;
}

int mp4_table_row(struct mp4_reader *r, const struct mp4_table *t, uint32_t row, const uint8_t **ret, struct err *e)
{
	if (row >= t->count)
		return err_set(e, ERR_UNSUPPORTED, "row %u of %u", row, t->count);
	const uint64_t left = (uint64_t)(t->count - row) * t->row_bytes;
	const uint32_t ahead = left < t->ahead ? (uint32_t)left : t->ahead;
	return mp4_bytes(r, t->at + (uint64_t)row * t->row_bytes, t->row_bytes, ahead, ret, e);
}

void mp4_put32(struct buf *out, uint32_t value)
{
	const uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };
	(void)buf_append(out, bytes, sizeof(bytes));
}

void mp4_put64(struct buf *out, uint64_t value)
{
	mp4_put32(out, (uint32_t)(value >> 32));
	mp4_put32(out, (uint32_t)value);
}

size_t mp4_box_begin(struct buf *out, uint32_t type)
{
	const size_t begin = out->len;
	mp4_put32(out, 0);
	mp4_put32(out, type);
	return begin;
}

size_t mp4_full_box_begin(struct buf *out, uint32_t type)
{
	const size_t begin = mp4_box_begin(out, type);
	mp4_put32(out, 0);
	return begin;
}

void mp4_patch32(struct buf *out, size_t at, uint32_t value)
{
	if (out->failed)
		return;
	assert(at <= out->len && out->len - at >= 4);
	for (int i = 0; i < 4; i++)
		out->data[at + (size_t)i] = (char)(uint8_t)(value >> (24 - 8 * i));
}

void mp4_box_end(struct buf *out, size_t begin)
{
	mp4_patch32(out, begin, (uint32_t)(out->len - begin));
}

int mp4_box_copy(struct mp4_reader *r, const struct mp4_box *box, struct buf *out, struct err *e)
{
	for (uint64_t at = box->start; at < box->end && !out->failed;) {
		const uint8_t *p;
		const uint32_t n = box->end - at < MP4_READ_BYTES ? (uint32_t)(box->end - at) : MP4_READ_BYTES;
		int rc = mp4_bytes(r, at, n, n, &p, e);
		if (rc < 0)
			return rc;
		(void)buf_append(out, p, n);
		at += n;
	}
	return 0;
}
