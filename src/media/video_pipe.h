/* Decoded frames to the H.264 packets of every rung: deinterlacing, cadence, scaling, encoding in runs. Runs in the task; one
 * thread.
 *
 *   struct video_pipe *v;
 *   if (video_pipe_new(spec, &timeline, stream, renditions, &v, e) < 0) ...
 *   video_pipe_push(v, frame, ticks, duration, e);   // takes the frame's reference, in rising time
 *   video_pipe_end(v, e);                            // no more frames
 *   video_pipe_finish(v, e);                         // the source has no more: segments that miss a frame repeat the last
 *   video_pipe_free(&v);
 *
 * Holds two decoded frames, and what the encoders hold.
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>

#include "base/err.h"
#include "media/rendition.h"

struct video_pipe;
/* Borrows all, and moves the timeline's video boundaries onto frames (cadence.h); renditions[0 … rung_count - 1] are the
 * rungs', of which a copied one is left alone. `stream` is the source's (for its colours), or NULL when it cannot be
 * decoded at all: then everything is black. */
int video_pipe_new(const struct ladder_spec *spec, struct timeline *timeline, const AVStream *stream,
		   struct rendition *renditions, struct video_pipe **ret, struct err *e) MR_MUST_USE;
/* `ticks` INT64_MIN: unknown, right after the frame before. `duration_ticks` ≤ 0: unknown. The frame is unreferenced. */
int video_pipe_push(struct video_pipe *v, AVFrame *take_frame, int64_t ticks, int64_t duration_ticks, struct err *e) MR_MUST_USE;
/* The source has no more frames: what is held back for its successor is shown. Before video_pipe_finish, and before the
 * timeline learns where the source ends. */
int video_pipe_end(struct video_pipe *v, struct err *e) MR_MUST_USE;
/* Repeats the last frame (or black) at the start of every segment that has none; the encoders get no more frames. */
int video_pipe_finish(struct video_pipe *v, struct err *e) MR_MUST_USE;
/* After video_pipe_finish: waits until the encoders are drained and the segments are handed over. Until then they look at the
 * timeline. */
int video_pipe_wait(struct video_pipe *v, struct err *e) MR_MUST_USE;
/* True once a frame behind the range has come. */
bool video_pipe_done(const struct video_pipe *v);
/* The latest time encoded; INT64_MIN before the first. */
int64_t video_pipe_position(const struct video_pipe *v);
/* Where the latest frame ends (also one before the range); INT64_MIN before any. */
int64_t video_pipe_end_ticks(const struct video_pipe *v);
/* Segments that have their first frame. */
uint32_t video_pipe_begun(const struct video_pipe *v);
uint64_t video_pipe_frames_in(const struct video_pipe *v);
uint64_t video_pipe_frames_out(const struct video_pipe *v);
void video_pipe_free(struct video_pipe **v);
