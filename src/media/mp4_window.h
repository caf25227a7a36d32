/* An MP4's index cut down to a time range. A moov box describes every sample of a film, and libav holds all of that for as long
 * as the film is open: some 25 MB for three hours. A chunk needs a minute of it. So a small moov is made for that minute and laid
 * over the file at the large one's place, the rest of which becomes a free box: nothing else in the file moves. Runs in the task.
 *
 *   struct mp4_window_opts o = { .video = 0, .audios = 1 << 1,
 *                                .from_ns = 600000000000, .end_ns = 624000000000, .to_ns = 690000000000,
 *                                .index_min_bytes = MP4_WINDOW_INDEX_MIN_BYTES };
 *   struct mp4_window *w = NULL;
 *   if (mp4_window_new(io, 0, size, &o, &w, e) == -ERR_UNSUPPORTED) ...       // to be read as it is
 *   if (mp4_window_overlay(w, offset, buf, &len)) ...                         // instead of these bytes of the file
 *   mp4_window_free(&w);
 *
 * Guarantees: what libav delivers of the samples that are kept (their bytes, time stamps and key frames, after edit lists) and says
 * of streams (order, start, duration, parameters) is what it says with the whole index; what is held doesn't depend on the film's
 * length. Whatever isn't plain is ERR_UNSUPPORTED with the reason: short indices, fragments, several descriptions
 * of samples, edits that rearrange, PCM, encryption, gaps of more than 32 bits of a track's clock, contradictory tables.
 * Does not guarantee that the samples are enough: whoever reads asks mp4_window_holds of each packet, and mp4_window_complete at
 * the end. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "media/media_io.h"

/* Smaller ones are read as they are: well-trodden ways for ordinary files. */
#define MP4_WINDOW_INDEX_MIN_BYTES (512u << 10)

struct mp4_window;

struct mp4_window_opts {
	int32_t video;	 /* the stream that is wanted of them; -1: none */
	uint32_t audios; /* others that are wanted: bit 1 << index of each */
	/* Of the presentation. Kept are samples from the sync sample before from_ns (INT64_MIN: the beginning) up to to_ns
	 * (INT64_MAX: the end), and some behind end_ns, where the range ends, however far away they are. */
	int64_t from_ns, end_ns, to_ns;
	uint64_t index_min_bytes; /* not used for a moov of fewer */
};

/* What libav would know from the whole index. */
struct mp4_window_stream {
	uint32_t id; /* AVStream.id */
	bool cut;    /* else its tables are those of the file, and the rest says nothing */
	uint32_t timescale, frames;
	int64_t duration;
	uint32_t constant_step; /* the duration of all samples but the last, or 0 */
};

/* `io` is borrowed for the call. Errors other than ERR_UNSUPPORTED are io->read's. */
int mp4_window_new(const struct media_io *io, uint32_t input, uint64_t size_bytes, const struct mp4_window_opts *o,
		   struct mp4_window **ret, struct err *e) MR_MUST_USE;
void mp4_window_free(struct mp4_window **w);
#define _cleanup_mp4_window_ MR_CLEANUP(mp4_window_free)

/* True: *len bytes (1 or more, at most what it was) at `offset` are the overlay's and in `buf`. False: the first *len (likewise)
 * are the file's. */
bool mp4_window_overlay(const struct mp4_window *w, uint64_t offset, void *buf, uint32_t *len);
/* The stream at `index`; NULL behind the last. */
const struct mp4_window_stream *mp4_window_stream(const struct mp4_window *w, uint32_t index);
/* Whether a packet that begins at `pos` in the file is where it would be with the whole index: of the beginning that
 * is kept as long as nothing has been sought (at_start), of the range afterwards. */
bool mp4_window_holds(const struct mp4_window *w, int stream, int64_t pos, bool at_start);
/* True if all wanted streams are there to their ends: the end of the file is the true one. */
bool mp4_window_complete(const struct mp4_window *w);
uint64_t mp4_window_bytes_read(const struct mp4_window *w);
