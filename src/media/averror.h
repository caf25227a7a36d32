/* AVERROR codes of encoders, filters and muxers as errors: they work on our own data, so all but a lack of memory is
 * our own fault. (What goes wrong with the input is media_averror's, media/input.h.)
 *
 *   int r = avcodec_send_frame(encoder, frame);
 *   if (r < 0)
 *           return averror_internal(e, r, "encode a frame");
 */
#pragma once

#include "base/err.h"

/* Sets *e and returns the negative kind. */
int averror_internal(struct err *e, int averror, const char *what);
