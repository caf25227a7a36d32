/* Writing Matroska (RFC 9559): what the server itself puts into streams. Nothing here reads any.
 *
 *   _cleanup_buf_ struct buf header, cluster;
 *   buf_init(&header, 4096);
 *   buf_init(&cluster, 1 << 20);
 *   mkv_write_pcm_header(&header, &(struct mkv_pcm){ .sample_rate = 16000, .channels = 1 });
 *   mkv_write_pcm_cluster(&cluster, &pcm, timecode_ms, samples, sample_count);
 *
 * Sizes are known everywhere but in the Segment, which has none, so that clusters can follow for ever. All return false where
 * the buffer's maximum is exceeded (buf_finish tells the error). Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct mkv_pcm { /* A_PCM/INT/LIT, 16 bit */
	uint32_t sample_rate;
	uint32_t channels;
};
/* EBML header, Segment of unknown size, Info (time stamps in milliseconds), Tracks with this track as number 1. */
bool mkv_write_pcm_header(struct buf *out, const struct mkv_pcm *t);
/* One Cluster with SimpleBlocks of 100 ms (the last may be shorter). `samples` are interleaved s16, `frames` of them per
 * channel; at most 30 s, because a block's time is relative to its cluster's in 16 bits. */
bool mkv_write_pcm_cluster(struct buf *out, const struct mkv_pcm *t, uint64_t timecode_ms, const int16_t *samples,
			   size_t frames);

struct mkv_tag {
	const char *name, *value; /* UTF-8 */
};
/* One Tags element with one Tag (of everything: no target). */
bool mkv_write_tags(struct buf *out, const struct mkv_tag *tags, size_t count);
