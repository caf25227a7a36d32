/* What a chunk of a conversion says of its parts, for the join that makes the file's header: an object of its own, opaque to
 * everybody else. Runs in the task. Written by one task and read by another of the same build, but read as hostile: it comes from
 * a store.
 *
 *   struct convert_index ix = { .format = CONVERT_MP3, … };
 *   convert_index_write(&ix, &out, e);                       // then frame_count sizes, u32 each
 *
 *   struct index_reader r;                                   // of all indexes, one behind the other
 *   index_reader_init(&r, spec, io);
 *   while ((more = index_reader_chunk(&r, &ix, e)) > 0)
 *           for (uint32_t i = 0; i < ix.frame_count; i++)
 *                   if (index_reader_size(&r, &size, e) < 0) ...
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "media/media_io.h"

#define CONVERT_FRAME_MAX_BYTES (1u << 20)

struct convert_index {
	enum convert_format format;
	int64_t first_sample, samples; /* of the output */
	uint64_t bytes;		       /* of all parts */
	uint32_t frame_count;	       /* coded frames whose sizes are told; 0 where nobody needs them */
	uint32_t crc;		       /* MP3: CRC-16 of all parts, from 0 */
	uint32_t first_header;	       /* MP3: the first frame's */
};

int convert_index_write(const struct convert_index *ix, struct buf *out, struct err *e) MR_MUST_USE;

#define INDEX_READER_BUFFER 65536
struct index_reader {
	const struct task_spec *spec;
	const struct media_io *io;
	uint64_t offset, size;
	uint32_t frames_left; /* of the chunk at hand */
	uint64_t bytes_left;
	int64_t next_sample;
	bool any;
	uint32_t at, fill;
	uint8_t buffer[INDEX_READER_BUFFER];
};

/* Reads input CONVERT_INPUT_INDEX of a join from its start. Borrows both. */
void index_reader_init(struct index_reader *r, const struct task_spec *spec, const struct media_io *io);
/* 1 and the next chunk's index (sizes of the one before that weren't asked for are passed over), 0 behind the last one.
 * ERR_MEDIA/DAMAGED_INDEX if it isn't one, is of another format, or doesn't follow on. */
int index_reader_chunk(struct index_reader *r, struct convert_index *ret, struct err *e) MR_MUST_USE;
int index_reader_size(struct index_reader *r, uint32_t *ret_bytes, struct err *e) MR_MUST_USE;
