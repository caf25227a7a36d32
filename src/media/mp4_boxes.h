/* Reading an MP4's boxes (ISO/IEC 14496-12, section 4.2; QuickTime calls them atoms) and the rows of its tables straight from the
 * input, without libav and without holding more than one buffer. Runs in the task; what it reads is hostile.
 *
 *   struct mp4_box box;
 *   for (uint64_t at = moov.body; at < moov.end; at = box.end) {
 *           int r = mp4_box_read(reader, at, moov.end, &box, e);
 *           if (r < 0)
 *                   return r;
 *           ...
 *   }
 *
 * Errors: ERR_UNSUPPORTED for whatever isn't as the standard has it (the file is then left to libav), else what io->read failed
 * with. One thread.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "media/media_io.h"

#define MP4_TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define MP4_READ_BYTES (256u << 10) /* where a table is read through */
#define MP4_PICK_BYTES (32u << 10)  /* where a part of one is */

struct mp4_reader {
	const struct media_io *io;
	uint32_t input;
	uint64_t size_bytes; /* of the file */
	uint64_t bytes_read; /* asked of io->read so far */
	uint32_t boxes;	     /* met so far, which is bounded */
	uint64_t offset;     /* of what the buffer holds */
	uint32_t held;
	uint8_t buffer[MP4_READ_BYTES];
};

struct mp4_box {
	uint32_t type;
	uint64_t start, body, end; /* offsets in the file; start <= body <= end */
};

/* A table of `count` rows of `row_bytes` each, within its box. */
struct mp4_table {
	uint64_t at; /* of the first row; 0: there is no such table */
	uint32_t count, row_bytes;
	uint32_t ahead; /* bytes to be read at once */
};

/* `len` bytes (at most MP4_READ_BYTES) at `offset`, borrowed until the next call. Where they aren't in the buffer, up to `ahead`
 * bytes are read. */
int mp4_bytes(struct mp4_reader *r, uint64_t offset, uint32_t len, uint32_t ahead, const uint8_t **ret, struct err *e) MR_MUST_USE;
/* The box at `at`, which has to end at `end` at the latest. */
int mp4_box_read(struct mp4_reader *r, uint64_t at, uint64_t end, struct mp4_box *ret, struct err *e) MR_MUST_USE;
/* A table that begins with its number of rows, `skip` bytes into the box's body, and has to lie within the box. */
int mp4_table_find(struct mp4_reader *r, const struct mp4_box *box, uint32_t skip, uint32_t row_bytes, struct mp4_table *ret,
		   struct err *e) MR_MUST_USE;
/* Row `row`, borrowed until the next call; rows are cheapest in rising order. ERR_UNSUPPORTED behind the last one. */
int mp4_table_row(struct mp4_reader *r, const struct mp4_table *t, uint32_t row, const uint8_t **ret, struct err *e) MR_MUST_USE;

uint32_t mp4_get32(const uint8_t *p);
uint64_t mp4_get64(const uint8_t *p);

/* Writing: what doesn't fit is found out by buf_finish. */
void mp4_put32(struct buf *out, uint32_t value);
void mp4_put64(struct buf *out, uint64_t value);
/* Begins a box, or with its version and flags (0) a full box; mp4_box_end is told what this returned. */
size_t mp4_box_begin(struct buf *out, uint32_t type);
size_t mp4_full_box_begin(struct buf *out, uint32_t type);
void mp4_box_end(struct buf *out, size_t begin);
/* Writes a number over four bytes that are there: a count that turned out later. */
void mp4_patch32(struct buf *out, size_t at, uint32_t value);
/* A box of the file as it is. */
int mp4_box_copy(struct mp4_reader *r, const struct mp4_box *box, struct buf *out, struct err *e) MR_MUST_USE;
