/* One rung's encoder on a thread of its own: frames in, its segments handed over. So decoding and all the rungs' encoders
 * work at the same time, on one chunk. Runs in the task.
 *
 *   struct rung_encode *r = NULL;
 *   if (rung_encode_new(spec, 0, &color, &rendition, &r, e) < 0) ...
 *   rung_encode_frame(r, frame, true, e);   // begins a run: the encoder starts anew
 *   rung_encode_frame(r, frame, false, e);  // ...
 *   rung_encode_end(r);                     // on all rungs, then
 *   rung_encode_wait(r, e);                 // the last segment is handed over
 *   rung_encode_free(&r);
 *
 * Guarantees: frames are encoded in the order they came, by one thread: the bytes don't depend on timing. At most
 * RUNG_ENCODE_AHEAD frames wait, of large ones half as many. One thread calls; the rendition, and its io->object, belong to the
 * rung's own thread until rung_encode_wait has returned.
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <stdbool.h>

#include "base/err.h"
#include "media/rendition.h"
#include "media/video_graph.h"

/* x264 takes several frames in a moment and is then busy with one for long; a rung that can't wait would hold up the others.
 * Half as many of a picture above RUNG_ENCODE_LARGE pixels: it is the slowest rung, for which the others wait however many it
 * has, and each is 3 MB at 1080p. */
#define RUNG_ENCODE_AHEAD 4
#define RUNG_ENCODE_LARGE (1280 * 720)

struct rung_encode;
/* Borrows all. */
int rung_encode_new(const struct ladder_spec *spec, uint32_t rung, const struct video_color *color, struct rendition *rendition,
		    struct rung_encode **ret, struct err *e) MR_MUST_USE;
/* Takes the frame's reference, and leaves it blank, whatever comes of it. Blocks while enough frames wait. An error is the
 * encoder's, from this or an earlier frame. */
int rung_encode_frame(struct rung_encode *r, AVFrame *take_frame, bool begins_run, struct err *e) MR_MUST_USE;
/* No more frames come. Doesn't wait. */
void rung_encode_end(struct rung_encode *r);
/* After rung_encode_end: waits until everything is encoded and handed over. */
int rung_encode_wait(struct rung_encode *r, struct err *e) MR_MUST_USE;
/* Drops what still waits. */
void rung_encode_free(struct rung_encode **r);
