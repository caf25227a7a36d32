/* One picture as a file in memory: JPEG or PNG, the same bytes on every machine. Runs in the task.
 *
 *   if (still_jpeg(frame, AVCOL_SPC_BT709, 3, &buf, e) < 0) ...
 */
#pragma once

#include <libavutil/frame.h>

#include "base/buf.h"
#include "base/err.h"

/* `yuv420p` in video range with that matrix, as video_graph gives it; becomes full range and BT.601, as JPEG's readers take
 * it. quality: 2 (best) to 31. */
int still_jpeg(const AVFrame *yuv420p, enum AVColorSpace space, int quality, struct buf *out, struct err *e) MR_MUST_USE;
int still_png(const AVFrame *rgba, struct buf *out, struct err *e) MR_MUST_USE;
/* A frame with room for a picture; the caller frees. NULL: no memory. */
AVFrame *still_frame(enum AVPixelFormat format, int width, int height);
