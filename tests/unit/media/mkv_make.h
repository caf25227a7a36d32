/* Matroska made by hand, for tests of its parsers.
 *
 *   struct buf b;
 *   mkv_header(&b, "matroska");                       // EBML header, Segment of unknown size
 *   mkv_open(&b, MKV_TRACKS, &at); ... mkv_close(&b, at);  // the size is put in when it is closed
 *   mkv_uint(&b, MKV_TIMESTAMP, 1000);
 *   mkv_block(&b, MKV_SIMPLE_BLOCK, 1, 40, 0x80, "frame", 5);
 */
#pragma once

#include "base/buf.h"
#include "media/ebml.h"

void mkv_id(struct buf *b, uint32_t id);
/* A size of `n` bytes; UINT64_MAX: unknown. */
void mkv_size(struct buf *b, uint64_t size, unsigned n);
void mkv_bytes(struct buf *b, uint32_t id, const void *data, size_t len);
void mkv_uint(struct buf *b, uint32_t id, uint64_t v);
void mkv_text(struct buf *b, uint32_t id, const char *s);
/* Its size has eight bytes. */
void mkv_open(struct buf *b, uint32_t id, size_t *ret_place);
void mkv_close(struct buf *b, size_t place);
void mkv_unknown(struct buf *b, uint32_t id);
void mkv_header(struct buf *b, const char *doctype);
/* `id` MKV_SIMPLE_BLOCK or MKV_BLOCK. */
void mkv_block(struct buf *b, uint32_t id, uint64_t track, int16_t relative, uint8_t flags, const void *data, size_t len);
void mkv_tag(struct buf *b, const char *name, const char *value);
