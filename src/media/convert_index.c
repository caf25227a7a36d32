/* Indexes of converted chunks: see convert_index.h. */
#include "media/convert_index.h"

#include <string.h>

#include "proto/wire.h"

#define MAGIC 0x5849434du /* "MCIX" */
#define VERSION 1u
#define HEADER_BYTES 52

static void walk(struct wire *w, struct convert_index *ix)
{
	uint32_t magic = MAGIC, version = VERSION, format = (uint32_t)ix->format;
	wire_u32(w, &magic);
	wire_u32(w, &version);
	wire_u32(w, &format);
	if (magic != MAGIC || version != VERSION || format < CONVERT_MP3 || format > CONVERT_FLAC) {
		wire_fault(w, "not an index of this version");
		format = CONVERT_WAV;
	}
	ix->format = (enum convert_format)format;
	wire_i64(w, &ix->first_sample);
	wire_i64(w, &ix->samples);
	wire_u64(w, &ix->bytes);
	wire_u32(w, &ix->frame_count);
	wire_u32(w, &ix->crc);
	wire_u32(w, &ix->first_header);
	uint32_t reserved = 0;
	wire_u32(w, &reserved);
}

int convert_index_write(const struct convert_index *ix, struct buf *out, struct err *e)
{
	struct convert_index copy = *ix;
	struct wire w = wire_writer(out);
	walk(&w, &copy);
	return wire_finish(&w, e);
}

static int damaged(struct err *e, const char *why)
{
	return err_set_code(e, ERR_MEDIA, "DAMAGED_INDEX", "a chunk's index: %s", why);
}

void index_reader_init(struct index_reader *r, const struct task_spec *spec, const struct media_io *io)
{
	*r = (struct index_reader){ .spec = spec, .io = io, .size = spec->inputs[CONVERT_INPUT_INDEX].size_bytes };
}

/* At least `len` bytes are in the buffer from `at` on. */
static int fill(struct index_reader *r, uint32_t len, struct err *e)
{
	memmove(r->buffer, r->buffer + r->at, r->fill - r->at);
	r->fill -= r->at;
	r->at = 0;
	while (r->fill < len) {
		uint64_t left = r->size - r->offset;
		uint32_t want = sizeof(r->buffer) - r->fill, got = 0;
		want = left < want ? (uint32_t)left : want;
		if (!want)
			return damaged(e, "it ends too early");
		int res = r->io->read(r->io->ctx, CONVERT_INPUT_INDEX, r->offset, r->buffer + r->fill, want, &got, e);
		if (res < 0)
			return res;
		if (!got)
			return damaged(e, "it ends too early");
		r->fill += got;
		r->offset += got;
	}
	return 0;
}

int index_reader_size(struct index_reader *r, uint32_t *ret_bytes, struct err *e)
{
	if (!r->frames_left)
		return damaged(e, "no more frames");
	if (r->fill - r->at < 4) {
		int res = fill(r, 4, e);
		if (res < 0)
			return res;
	}
	const uint8_t *p = r->buffer + r->at;
	uint32_t size = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	if (size < 1 || size > CONVERT_FRAME_MAX_BYTES || size > r->bytes_left)
		return damaged(e, "a frame's size is out of range");
	r->at += 4;
	r->frames_left--;
	r->bytes_left -= size;
	if (!r->frames_left && r->bytes_left)
		return damaged(e, "its frames aren't its parts");
	*ret_bytes = size;
	return 0;
}

/* A chunk behind the sound's end has no samples, and may begin behind what was the end. */
static const char *check(const struct index_reader *r, const struct convert_index *ix)
{
	if (ix->format != r->spec->convert.format)
		return "another format";
	if (ix->samples < 0 || ix->samples > INT64_MAX / 4 || ix->bytes > INT64_MAX / 4 || ix->first_sample < 0)
		return "samples or bytes out of range";
	if (ix->samples && ix->first_sample != r->next_sample)
		return "it doesn't follow on the chunk before";
	if (ix->frame_count && ix->bytes < ix->frame_count)
		return "more frames than bytes";
	return NULL;
}

int index_reader_chunk(struct index_reader *r, struct convert_index *ret, struct err *e)
{
	while (r->frames_left) {
		uint32_t ignored;
		int res = index_reader_size(r, &ignored, e);
		if (res < 0)
			return res;
	}
	if (r->at == r->fill && r->offset == r->size)
		return r->any ? 0 : damaged(e, "there is none");
	int res = fill(r, HEADER_BYTES, e);
	if (res < 0)
		return res;
	struct convert_index ix = { 0 };
	struct wire w = wire_reader(r->buffer + r->at, HEADER_BYTES);
	walk(&w, &ix);
	if (wire_finish(&w, NULL) < 0)
		return damaged(e, "it isn't one of this version");
	const char *wrong = check(r, &ix);
	if (wrong)
		return damaged(e, wrong);
	r->at += HEADER_BYTES;
	r->any = true;
	r->frames_left = ix.frame_count;
	r->bytes_left = ix.bytes;
	r->next_sample += ix.samples;
	*ret = ix;
	return 1;
}
