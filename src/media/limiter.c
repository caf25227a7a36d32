/* The true-peak limiter. Runs in a sandboxed child of millrace-task.
 *
 * Its gain is the mean over the look-ahead of the least over the look-ahead of what every peak needs: so it has come down to what a
 * peak needs when the peak comes out. Sums are of integers, so that they don't drift. */
#include "media/limiter.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PHASES 4
#define TAPS 12 /* of each phase; the filter's own delay is half of that */
#define BLOCK 512
#define RELEASE_S 0.15
#define RATE 48000.0
#define UNITY (1 << 30) /* a gain of one */
/* Where all samples around are below this part of the ceiling, nothing between them is above it. */
#define SURELY_BELOW 0.5F

struct limiter {
	float ceiling, release;
	float phase[PHASES][TAPS];
	float past[2][TAPS - 1 + BLOCK];
	int loud; /* so many samples yet have a loud one among those around */
	float held; /* falls at once, rises slowly */
	/* The last LIMITER_LOOK values of held that no later one is below, rising; a ring. */
	float low[LIMITER_LOOK];
	int64_t low_time[LIMITER_LOOK];
	int low_first, low_count;
	int32_t lows[LIMITER_LOOK]; /* the minima, for their mean; a ring */
	int64_t sum;
	int64_t time;
	float delay[2][LIMITER_DELAY];
	int delay_at;
};

/* A windowed sinc, each phase with a sum of one. */
static void make_filter(struct limiter *l)
{
	const double half = TAPS / 2.0;
	for (int p = 0; p < PHASES; p++) {
		double sum = 0, taps[TAPS];
		for (int t = 0; t < TAPS; t++) {
			double x = t - (half - 1) - (double)p / PHASES;
			double sinc = fabs(x) < 1e-9 ? 1 : sin(M_PI * x) / (M_PI * x);
			taps[t] = sinc * (0.5 + 0.5 * cos(M_PI * x / (half + 0.5)));
			sum += taps[t];
		}
		for (int t = 0; t < TAPS; t++)
			l->phase[p][t] = (float)(taps[t] / sum);
	}
}

struct limiter *limiter_new(float ceiling)
{
	struct limiter *l = mr_calloc(1, sizeof(*l));
	l->ceiling = ceiling;
	l->release = (float)(1 - exp(-1 / (RELEASE_S * RATE)));
	l->held = 1;
	for (int i = 0; i < LIMITER_LOOK; i++)
		l->lows[i] = UNITY;
	l->sum = (int64_t)UNITY * LIMITER_LOOK;
	make_filter(l);
	return l;
}

void limiter_free(struct limiter **l)
{
	free(*l);
	*l = NULL;
}

/* The highest from one of the two samples in the middle to the other. */
static float peak_of(const struct limiter *l, const float *around)
{
	float peak = fabsf(around[TAPS / 2]);
	for (int p = 0; p < PHASES; p++) {
		float v = 0;
		for (int t = 0; t < TAPS; t++)
			v += l->phase[p][t] * around[t];
		peak = fabsf(v) > peak ? fabsf(v) : peak;
	}
	return peak;
}

/* The least of the last LIMITER_LOOK gains. */
static float lowest(struct limiter *l, float gain)
{
	if (l->low_count && l->low_time[l->low_first] <= l->time - LIMITER_LOOK) {
		l->low_first = (l->low_first + 1) % LIMITER_LOOK;
		l->low_count--;
	}
	while (l->low_count && l->low[(l->low_first + l->low_count - 1) % LIMITER_LOOK] >= gain)
		l->low_count--;
	int last = (l->low_first + l->low_count++) % LIMITER_LOOK;
	l->low[last] = gain;
	l->low_time[last] = l->time;
	return l->low[l->low_first];
}

static float next_gain(struct limiter *l, float peak)
{
	float need = peak > l->ceiling ? l->ceiling / peak : 1;
	float rising = l->held > 0.9999F ? 1 : l->held + (1 - l->held) * l->release;
	l->held = need < rising ? need : rising;
	int32_t low = (int32_t)(lowest(l, l->held) * UNITY);
	int at = (int)(l->time++ % LIMITER_LOOK);
	l->sum += low - l->lows[at];
	l->lows[at] = low;
	return (float)((double)l->sum / ((double)UNITY * LIMITER_LOOK));
}

static float exchange(struct limiter *l, int channel, float v)
{
	float old = l->delay[channel][l->delay_at];
	l->delay[channel][l->delay_at] = v;
	return old;
}

static void run_block(struct limiter *l, float *left, float *right, int count)
{
	const float quiet = SURELY_BELOW * l->ceiling;
	memcpy(l->past[0] + TAPS - 1, left, (size_t)count * sizeof(float));
	memcpy(l->past[1] + TAPS - 1, right, (size_t)count * sizeof(float));
	for (int i = 0; i < count; i++) {
		float peak = 0;
		if (fabsf(left[i]) > quiet || fabsf(right[i]) > quiet)
			l->loud = TAPS;
		if (l->loud > 0) {
			l->loud--;
			float a = peak_of(l, l->past[0] + i), b = peak_of(l, l->past[1] + i);
			peak = a > b ? a : b;
		}
		float gain = next_gain(l, peak);
		left[i] = exchange(l, 0, left[i]) * gain;
		right[i] = exchange(l, 1, right[i]) * gain;
		l->delay_at = l->delay_at + 1 < LIMITER_DELAY ? l->delay_at + 1 : 0;
	}
	for (int c = 0; c < 2; c++)
		memmove(l->past[c], l->past[c] + count, (TAPS - 1) * sizeof(float));
}

void limiter_run(struct limiter *l, float *left, float *right, int count)
{
	for (int done = 0; done < count; done += BLOCK)
		run_block(l, left + done, right + done, count - done < BLOCK ? count - done : BLOCK);
}
