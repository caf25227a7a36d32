/* What the heads of a conversion's formats are made from, one file a format. Run in the task; one thread.
 *
 *   struct join j = …;                          // filled by media_join
 *   if (join_mp3(&j, &head, e) < 0) ...         // appends what comes before the parts
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "media/convert_index.h"
#include "media/media_io.h"
#include "media/tags.h"

struct join {
	const struct task_spec *task;
	const struct convert_spec *spec;
	const struct media_io *io;
	struct tags tags;
	/* of all chunks */
	int64_t samples;
	uint64_t bytes, frames;
	uint32_t frame_min, frame_max; /* bytes; 0 without frames */
	uint16_t crc;
	uint32_t first_header;
};

int join_wav(const struct join *j, struct buf *head, struct err *e) MR_MUST_USE;
/* How long join_wav's head will be, unless the file gets too large for RIFF. */
int join_wav_size(const struct convert_spec *s, const struct tags *t, uint64_t *ret_bytes, struct err *e) MR_MUST_USE;
int join_mp3(const struct join *j, struct buf *head, struct err *e) MR_MUST_USE;
int join_m4a(const struct join *j, struct buf *head, struct err *e) MR_MUST_USE;
int join_flac(const struct join *j, struct buf *head, struct err *e) MR_MUST_USE;

/* Calls `each` with every coded frame's size, in order. */
typedef int join_frame(void *ctx, uint32_t bytes, struct err *e);
int join_frames(const struct join *j, join_frame *each, void *ctx, struct err *e) MR_MUST_USE;
