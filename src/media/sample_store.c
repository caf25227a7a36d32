/* Samples as formats store them: see sample_store.h. Runs in the task. */
#include "media/sample_store.h"

#include <math.h>
#include <string.h>

size_t sample_store_bytes(enum store_kind kind)
{
	return kind == STORE_S16 ? 2 : kind == STORE_S24 ? 3 : 4;
}

/* SplitMix64's finalizer (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static uint64_t mix(uint64_t x)
{
	x *= UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* In steps, from -1 to 1. */
static float triangle(uint64_t number)
{
	uint64_t r = mix(number);
	return ((float)(uint32_t)(r >> 40) - (float)(uint32_t)(r & 0xffffff)) * (1.0F / 16777216.0F);
}

/* lrintf without a call a sample: in floats from here on the last bit is one, so adding rounds (to even, as lrintf does). */
#define ROUNDING 12582912.0F
#define LANES 16

static int16_t s16(float v)
{
	v = v >= 32767.0F ? 32767.0F : v;
	v = v <= -32768.0F ? -32768.0F : v;
	return (int16_t)((v + ROUNDING) - ROUNDING);
}

/* The two channels of nearly everything, LANES at a time so that compilers make vectors of it: a loop does one thing, since of a
 * limit's constant a compiler would rather add up what follows, in a branch of its own. Rounded as above, a sample is the low half
 * of its float's bits. */
static void round_lanes(const float *in, uint32_t *out)
{
	float v[LANES];
	for (int i = 0; i < LANES; i++)
		v[i] = in[i] * 32768.0F;
	for (int i = 0; i < LANES; i++)
		v[i] = v[i] > 32767.0F ? 32767.0F : v[i];
	for (int i = 0; i < LANES; i++)
		v[i] = v[i] < -32768.0F ? -32768.0F : v[i];
	for (int i = 0; i < LANES; i++)
		v[i] += ROUNDING;
	memcpy(out, v, sizeof(v));
}

static int store_s16_pairs(const float *left, const float *right, int count, int16_t *out)
{
	int done = 0;
	for (; done + LANES <= count; done += LANES) {
		uint32_t l[LANES], r[LANES];
		round_lanes(left + done, l);
		round_lanes(right + done, r);
		for (int i = 0; i < LANES; i++)
			l[i] = (l[i] & 0xffff) | r[i] << 16;
		memcpy(out + 2 * (ptrdiff_t)done, l, sizeof(l));
	}
	return done;
}

static int32_t to_range(float v, float max)
{
	return (int32_t)lrintf(v >= max ? max : v < -max - 1.0F ? -max - 1.0F : v);
}

static void store_s16(const struct sample_store *s, const float *in, int c, int count, int64_t position, int16_t *out)
{
	const ptrdiff_t step = s->channels;
	if (!s->dither) {
		for (int i = 0; i < count; i++)
			out[i * step] = s16(in[i] * 32768.0F);
		return;
	}
	for (int i = 0; i < count; i++) {
		float v = in[i] * 32768.0F;
		if (v != 0.0F)
			v += triangle((uint64_t)(position + i) * 8 + (uint64_t)c);
		out[i * step] = s16(v);
	}
}

static int32_t s24(float v)
{
	return to_range(v * 8388608.0F, 8388607.0F);
}

void sample_store(const struct sample_store *s, const float *const *planes, int count, int64_t position, void *out)
{
	int pairs = 0;
	if (s->kind == STORE_S16 && s->channels == 2 && !s->dither)
		pairs = store_s16_pairs(planes[0], planes[1], count, out);
	for (int c = 0; c < s->channels; c++) {
		const float *in = planes[c];
		switch (s->kind) {
		case STORE_S16:
			store_s16(s, in + pairs, c, count - pairs, position + pairs, (int16_t *)out + 2 * pairs + c);
			break;
		case STORE_S24:
			for (int i = 0; i < count; i++) {
				const uint32_t v = (uint32_t)s24(in[i]);
				uint8_t *o = (uint8_t *)out + 3 * ((ptrdiff_t)i * s->channels + c);
				o[0] = (uint8_t)v;
				o[1] = (uint8_t)(v >> 8);
				o[2] = (uint8_t)(v >> 16);
			}
			break;
		case STORE_S24_HIGH:
			for (int i = 0; i < count; i++)
				((int32_t *)out)[(ptrdiff_t)i * s->channels + c] = s24(in[i]) * 256;
			break;
		case STORE_F32:
			for (int i = 0; i < count; i++)
				((float *)out)[(ptrdiff_t)i * s->channels + c] = in[i];
			break;
		}
	}
}
