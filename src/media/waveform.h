/* The peaks of a sound, for drawing: the lowest and highest sample of each stretch, over all channels. Points are merged in
 * pairs whenever there are too many, so that memory is the same whatever the length, and a sound of any length has between
 * ANALYZE_POINTS_MAX / 2 and ANALYZE_POINTS_MAX of them (a very short one fewer). Runs in the task; one thread.
 *
 *   struct waveform w;
 *   waveform_init(&w, 48000, 2);
 *   waveform_add(&w, samples, frames);
 *   waveform_finish(&w);                      // what is left makes the last point
 *   waveform_json(&w, &buf);                  // audiowaveform's format, version 2, 8 bits
 *   waveform_draw(&w, rgba, 1800, 280, stride);
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "proto/analyze.h"

struct waveform {
	int sample_rate, channels;
	uint64_t samples_per_point;
	uint32_t count;
	int8_t min[ANALYZE_POINTS_MAX], max[ANALYZE_POINTS_MAX];
	/* the point that is being gathered */
	uint64_t gathered;
	float low, high;
};

void waveform_init(struct waveform *w, int sample_rate, int channels);
void waveform_add(struct waveform *w, const float *interleaved, size_t frames);
void waveform_finish(struct waveform *w);
/* {"version":2,"channels":1,"sample_rate":…,"samples_per_pixel":…,"bits":8,"length":…,"data":[min,max,…]} */
void waveform_json(const struct waveform *w, struct buf *out);
/* Into `height` rows of 4 × `width` bytes, `stride` apart: one colour on a transparent ground. */
void waveform_draw(const struct waveform *w, uint8_t *rgba, int width, int height, ptrdiff_t stride);
