/* One live sound session: a browser's recording in pieces → mono samples at 16 kHz on one timeline. webm_push and
 * opus_pcm together, with marks at which a session can be taken up elsewhere. Runs in the sandbox.
 *
 *   struct webm_sound *s;
 *   webm_sound_new(&sink, state, state_len, &s, e);
 *   webm_sound_feed(s, chunk, len, e);
 *   webm_sound_free(s);
 *
 * At each cluster the sink gets a mark: a session opened with that state and fed from that byte on gives the same samples at
 * the same positions, except for what 80 ms without the codec's memory do to them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/live.h"

struct webm_sound_sink {
	void *ctx;
	int (*pcm)(void *ctx, int64_t first, const int16_t *samples, uint32_t count, uint32_t concealed, bool restart,
		   struct err *e);
	int (*mark)(void *ctx, uint64_t offset, const uint8_t *state, size_t len, struct err *e);
};

/* What was passed over since it was asked last. */
struct webm_sound_losses {
	uint64_t skipped_bytes;
	uint32_t late_packets, damaged_packets;
};

struct webm_sound;
/* `state` is a mark's, or of length 0. -ERR_INVALID if it is neither. The bytes are those from the mark on; or, `resumed`, later
 * ones of the same recording: then the timeline goes on with the next sample, as a recording that begins there. */
int webm_sound_new(const struct webm_sound_sink *sink, const void *state, size_t len, bool resumed, struct webm_sound **ret,
		   struct err *e) MR_MUST_USE;
void webm_sound_free(struct webm_sound *s);
/* Errors as webm_push's, and the sink's own. */
int webm_sound_feed(struct webm_sound *s, const void *data, size_t len, struct err *e) MR_MUST_USE;
void webm_sound_lost(struct webm_sound *s);
/* False if there were none. */
bool webm_sound_take_losses(struct webm_sound *s, struct webm_sound_losses *ret);
