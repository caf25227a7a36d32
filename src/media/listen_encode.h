/* A listener's sound: fragments of a stream in, AAC frames at LISTEN_RATE on the producer's clock out. One encoder goes on over all
 * fragments that follow on one another. Runs in the sandbox; one thread.
 *
 *   struct listen_encode *l = listen_encode_new(&(struct listen_encode_sink){ .ctx = me, .frame = on_frame });
 *   listen_encode_fragment(l, &order, object, len, e);
 *   listen_encode_pad(l, &order, e);          // the end: silence drives out what the encoder still holds
 *   listen_encode_free(l);
 *
 * A fragment is whatever Matroska libav reads; its best sound is taken. The decoder goes on over fragments with the same codec
 * parameters, so codecs with memory (AAC, Opus) have no seam there. Where the sound is and where the row says that it should be
 * drift apart a little (times in milliseconds, clocks of devices): up to 30 ms are stretched away over a fragment, more is
 * cut or filled with silence. What can't be decoded is silence, so that time goes on.
 *
 * Memory: the codecs and one frame; the fragment is the caller's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/listen.h"

struct listen_encode_sink {
	void *ctx;
	/* The packet of one frame; in order, each index once between two restarts. */
	int (*frame)(void *ctx, int64_t index, uint32_t channels, const uint8_t *data, size_t len, struct err *e);
};

struct listen_encode;
struct listen_encode *listen_encode_new(const struct listen_encode_sink *sink) __attribute__((returns_nonnull));
/* NULL is fine. */
void listen_encode_free(struct listen_encode *l);
/* ERR_UNSUPPORTED/NO_SOUND: the fragment has no sound track. Other errors are the sink's, or ours. */
int listen_encode_fragment(struct listen_encode *l, const struct listen_order *o, const void *data, size_t len,
			   struct err *e) MR_MUST_USE;
int listen_encode_pad(struct listen_encode *l, const struct listen_order *o, struct err *e) MR_MUST_USE;
