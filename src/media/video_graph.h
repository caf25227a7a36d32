/* One decoded frame in, one picture for every rung out: turned upright, scaled in a cascade (each size once, from the one
 * above), square pixels, 8-bit 4:2:0, video range, standard light. Wraps libavfilter, single-threaded: the pictures are
 * the same every time on one kind of CPU. Runs in the task; one thread.
 *
 *   struct video_graph *g;
 *   if (video_graph_new(spec, &look, &g, e) < 0) ...
 *   if (video_graph_run(g, decoded, rung_frames, e) < 0) ...   // rung_frames[0 … rung_count - 1]
 *   video_graph_free(&g);
 */
#pragma once

#include <libavcodec/avcodec.h>

#include "base/err.h"
#include "base/mem.h"
#include "media/video_look.h"
#include "proto/task.h"

struct video_graph;
/* `spec` is borrowed. */
int video_graph_new(const struct ladder_spec *spec, const struct video_look *look, struct video_graph **ret,
		    struct err *e) MR_MUST_USE;
/* Fills out[r] for each rung that isn't copied (allocated, empty frames of the caller, who unrefs them). Frames may change in
 * size and format from one call to the next. pts and picture types aren't carried over. */
int video_graph_run(struct video_graph *g, const AVFrame *in, AVFrame *const *out, struct err *e) MR_MUST_USE;
void video_graph_free(struct video_graph **g);
