/* How much a picture is worth showing: by brightness, contrast, detail. Pure; the same value everywhere.
 *
 *   struct picture_score s = picture_score(frame->data[0], frame->linesize[0], w, h);
 *   if (s.value > best.value) ...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct picture_score {
	bool flat;    /* black, white, or hardly anything to see: only shown if there is nothing else */
	double value; /* 0 … 1; a flat one's is below every other's */
};
/* The luma plane (video range, 16 to 235) of a picture of 320 pixels or so. */
struct picture_score picture_score(const uint8_t *luma, ptrdiff_t stride, int width, int height);
