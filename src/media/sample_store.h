/* Planar floats to what a format stores: integers are rounded to the nearest and limited to their range. Pure.
 *
 *   struct sample_store s = { .kind = STORE_S16, .channels = 2, .dither = true };
 *   sample_store(&s, planes, count, position, out);          // count * sample_store_bytes(s.kind) * channels bytes
 *
 * Dither is triangular, two steps wide, and a function of the sample's position and channel alone: chunks made apart have the
 * noise of a single run, and every run has the same. (swresample's depends on what it has converted before.) Digital silence
 * stays silent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_kind {
	STORE_S16, /* native int16_t */
	STORE_S24, /* 3 bytes, little-endian */
	STORE_S24_HIGH, /* native int32_t, the value in the upper 24 bits */
	STORE_F32, /* native float */
};

struct sample_store {
	enum store_kind kind;
	int channels;
	bool dither; /* S16 only */
};

size_t sample_store_bytes(enum store_kind kind);
/* Interleaved. `position` is the first sample's. */
void sample_store(const struct sample_store *s, const float *const *planes, int count, int64_t position, void *out);
