/* The source's own H.264 packets as the first rung: cut at keyframes, not encoded again. Runs in the task; one thread.
 *
 *   struct video_copy *c = NULL;
 *   if (video_copy_new(spec, &timeline, stream, &rendition, &c, e) < 0) ...
 *   video_copy_packet(c, packet, ticks, duration, e);   // each of the video, in the file's order, from before the range on
 *   video_copy_finish(c, e);                            // no more come: the last segment is handed over
 *   video_copy_free(&c);
 *
 * The plan has put the boundaries onto keyframes. Here it is checked packet by packet that this is so: a segment begins with an
 * IDR picture exactly on its boundary, and nothing of it is shown before; the header's parameter sets hold. Anything else is
 * ERR_MEDIA with the code COPY_NOT_POSSIBLE. Coded pictures are handed on byte for byte, with their times of presentation (the
 * source's first frame is shown from the presentation's start on, as in encoded rungs); times of decoding are reckoned as for
 * encoded rungs (segment_times.h). In TS, parameter sets are put before each IDR and lengths become start codes.
 */
#pragma once

#include <libavformat/avformat.h>
#include <stdbool.h>

#include "base/err.h"
#include "media/rendition.h"

struct video_copy;
/* Borrows all; `stream` may be NULL (it isn't there): COPY_NOT_POSSIBLE. The timeline's boundaries stay (timeline.h). */
int video_copy_new(const struct ladder_spec *spec, const struct timeline *timeline, const AVStream *stream,
		   struct rendition *rendition, struct video_copy **ret, struct err *e) MR_MUST_USE;
/* `ticks` is the packet's time of presentation on the presentation's axis, INT64_MIN: unknown. The packet stays the caller's. */
int video_copy_packet(struct video_copy *c, const AVPacket *packet, int64_t ticks, int64_t duration_ticks,
		      struct err *e) MR_MUST_USE;
/* After the timeline has learned where the source ends. */
int video_copy_finish(struct video_copy *c, struct err *e) MR_MUST_USE;
/* True once the next range's first packet has come. */
bool video_copy_done(const struct video_copy *c);
/* The latest time of presentation so far, INT64_MIN before the first; where that frame ends; segments that have begun. */
int64_t video_copy_position(const struct video_copy *c);
int64_t video_copy_end_ticks(const struct video_copy *c);
uint32_t video_copy_begun(const struct video_copy *c);
uint64_t video_copy_frames(const struct video_copy *c);
void video_copy_free(struct video_copy **c);
