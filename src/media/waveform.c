/* Peaks of a sound. Runs in a sandboxed child of millrace-task; pure. */
#include "media/waveform.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define FIRST_SAMPLES_PER_POINT 64

/* A middle blue that is seen on white and on black. */
static const uint8_t colour[4] = { 0x4f, 0x83, 0xb8, 0xff };

void waveform_init(struct waveform *w, int sample_rate, int channels)
{
	memset(w, 0, sizeof(*w));
	w->sample_rate = sample_rate;
	w->channels = channels;
	w->samples_per_point = FIRST_SAMPLES_PER_POINT;
}

static int8_t to_8_bits(float v)
{
	float scaled = v * 128;
	return scaled <= -128 ? -128 : scaled >= 127 ? 127 : (int8_t)lrintf(scaled);
}

static void halve(struct waveform *w)
{
	for (uint32_t i = 0; i < ANALYZE_POINTS_MAX / 2; i++) {
		const int8_t *low = &w->min[2 * i], *high = &w->max[2 * i];
		w->min[i] = low[0] < low[1] ? low[0] : low[1];
		w->max[i] = high[0] > high[1] ? high[0] : high[1];
	}
	w->count = ANALYZE_POINTS_MAX / 2;
	w->samples_per_point *= 2;
}

static void end_point(struct waveform *w)
{
	w->min[w->count] = to_8_bits(w->low);
	w->max[w->count] = to_8_bits(w->high);
	w->count++;
	w->gathered = 0;
	if (w->count == ANALYZE_POINTS_MAX)
		halve(w);
}

void waveform_add(struct waveform *w, const float *interleaved, size_t frames)
{
	for (size_t i = 0; i < frames; i++) {
		const float *s = interleaved + i * (size_t)w->channels;
		if (!w->gathered)
			w->low = w->high = s[0];
		for (int c = 0; c < w->channels; c++) {
			w->low = s[c] < w->low ? s[c] : w->low;
			w->high = s[c] > w->high ? s[c] : w->high;
		}
		if (++w->gathered >= w->samples_per_point)
			end_point(w);
	}
}

void waveform_finish(struct waveform *w)
{
	if (w->gathered)
		end_point(w);
}

void waveform_json(const struct waveform *w, struct buf *out)
{
	buf_printf(out,
		   "{\"version\":2,\"channels\":1,\"sample_rate\":%d,\"samples_per_pixel\":%" PRIu64
		   ",\"bits\":8,\"length\":%u,"
		   "\"data\":[",
		   w->sample_rate, w->samples_per_point, w->count);
	for (uint32_t i = 0; i < w->count; i++)
		buf_printf(out, "%s%d,%d", i ? "," : "", w->min[i], w->max[i]);
	buf_puts(out, "]}\n");
}

/* Where a value from -128 to 127 lies in `height` rows. */
static int row_of(int value, int height)
{
	return (127 - value) * (height - 1) / 255;
}

void waveform_draw(const struct waveform *w, uint8_t *rgba, int width, int height, ptrdiff_t stride)
{
	for (int y = 0; y < height; y++)
		memset(rgba + y * stride, 0, (size_t)width * 4);
	for (int x = 0; x < width && w->count; x++) {
		uint32_t first = (uint32_t)((uint64_t)x * w->count / (uint64_t)width);
		uint32_t end = (uint32_t)((uint64_t)(x + 1) * w->count / (uint64_t)width);
		int8_t low = w->min[first], high = w->max[first];
		for (uint32_t i = first + 1; i < end; i++) {
			low = w->min[i] < low ? w->min[i] : low;
			high = w->max[i] > high ? w->max[i] : high;
		}
		for (int y = row_of(high, height); y <= row_of(low, height); y++)
			memcpy(rgba + y * stride + (ptrdiff_t)x * 4, colour, sizeof(colour));
	}
}
