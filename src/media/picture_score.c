/* Scores of pictures. Runs in a sandboxed child of millrace-task. */
#include "media/picture_score.h"

#include <math.h>
#include <stdlib.h>

#define BINS 64
/* Luma in video range. */
#define DARK 30
#define BRIGHT 225
#define CONTRAST_MIN 8.0 /* standard deviation; noise and a logo on black lie below */
#define ENTROPY_MIN 1.5	 /* bits, of 6 */
#define DETAIL_FULL 12.0 /* mean difference of neighbours in a sharp picture */
#define FLAT_FACTOR 0.01

struct statistics {
	double mean, deviation, entropy, detail;
};

static struct statistics measure(const uint8_t *luma, ptrdiff_t stride, int width, int height)
{
	uint32_t histogram[BINS] = { 0 };
	uint64_t sum = 0, squares = 0, differences = 0;
	for (int y = 0; y < height; y++) {
		const uint8_t *row = luma + y * stride;
		const uint8_t *above = y ? row - stride : row;
		for (int x = 0; x < width; x++) {
			histogram[row[x] * BINS / 256]++;
			sum += row[x];
			squares += (uint64_t)row[x] * row[x];
			differences += (uint64_t)(abs(row[x] - row[x ? x - 1 : 0]) + abs(row[x] - above[x]));
		}
	}
	double n = (double)width * height;
	struct statistics s = { .mean = (double)sum / n, .detail = (double)differences / n };
	double variance = (double)squares / n - s.mean * s.mean;
	s.deviation = variance > 0 ? sqrt(variance) : 0;
	for (int i = 0; i < BINS; i++)
		if (histogram[i])
			s.entropy -= histogram[i] / n * log2(histogram[i] / n);
	return s;
}

/* 1 in the middle, falling towards black and white. */
static double light(double mean)
{
	double v = mean < 80 ? (mean - 16) / (80 - 16) : mean > 180 ? (235 - mean) / (235 - 180) : 1;
	return v < 0.05 ? 0.05 : v;
}

struct picture_score picture_score(const uint8_t *luma, ptrdiff_t stride, int width, int height)
{
	if (width < 1 || height < 1)
		return (struct picture_score){ .flat = true };
	struct statistics s = measure(luma, stride, width, height);
	double detail = s.detail > DETAIL_FULL ? 1 : s.detail / DETAIL_FULL;
	struct picture_score r = { .flat = s.mean < DARK || s.mean > BRIGHT || s.deviation < CONTRAST_MIN ||
					   s.entropy < ENTROPY_MIN,
				   .value = s.entropy / 6 * light(s.mean) * (0.6 + 0.4 * detail) };
	if (r.flat)
		r.value *= FLAT_FACTOR;
	return r;
}
