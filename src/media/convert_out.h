/* Where a chunk's bytes go: parts of equal size, handed over as they fill, and the index at the end. Runs in the task; one
 * thread.
 *
 *   struct convert_out out;
 *   convert_out_init(&out, spec, io);
 *   if (convert_out_bytes(&out, data, len, e) < 0) ...
 *   convert_out_frame(&out, len);                     // where the join wants to know of frames
 *   if (convert_out_finish(&out, samples, e) < 0) ...
 *   convert_out_release(&out);
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "media/convert_index.h"
#include "media/media_io.h"

struct convert_out {
	const struct media_io *io;
	struct convert_index index; /* encoders fill in what is theirs */
	uint32_t part_count;
	uint64_t head_bytes; /* of the file, where the encoder knows it from the start; else 0 */
	struct buf part, sizes;
};

void convert_out_init(struct convert_out *o, const struct convert_spec *spec, const struct media_io *io);
int convert_out_bytes(struct convert_out *o, const void *data, size_t len, struct err *e) MR_MUST_USE;
/* Notes one coded frame of so many bytes. */
void convert_out_frame(struct convert_out *o, uint32_t bytes);
/* Hands over the last part and the index. */
int convert_out_finish(struct convert_out *o, int64_t samples, struct err *e) MR_MUST_USE;
void convert_out_release(struct convert_out *o);
