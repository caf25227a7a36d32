/* Whether, and where, the best video could be cut without being encoded again: its keyframes, from what a walk to the end has
 * seen of all its packets, or from an MP4's index. Private to media/probe*.c; runs in the task.
 *
 *   struct gop_list *g = gop_list_new(stream);
 *   gop_list_add(g, packet);                          // each in decoding order
 *   struct probe_copy_source s = { .stream = stream, .walked = g, … };
 *   if (probe_copy_find(&s, &result->copy, e) < 0) ...
 *   gop_list_free(&g);
 *
 * All GOPs have to be closed: pictures that come before a keyframe are shown before it, those that come behind it, after it.
 * What is held is bounded; of an index's keyframes sixteen are read. One thread.
 */
#pragma once

#include "media/input.h"

struct gop_list;
/* NULL for a stream that isn't H.264 in MP4's form. The stream is borrowed. */
struct gop_list *gop_list_new(const AVStream *st);
void gop_list_free(struct gop_list **g);
/* Nothing is done with NULL for the list. */
void gop_list_add(struct gop_list *g, const AVPacket *p);

struct probe_copy_source {
	const struct task_spec *spec;
	const struct media_io *io;
	struct media_input *in;
	const struct probe_stream *told; /* the best video */
	AVStream *stream;
	struct gop_list *walked; /* of a walk to the end; else NULL */
	bool indexed;		 /* an MP4 whose index lists every sample */
	int64_t origin_ns, duration_ns; /* of the presentation */
};
/* An obstacle is no failure: fails only where io->read does, or for want of memory. */
int probe_copy_find(const struct probe_copy_source *s, struct probe_copy *ret, struct err *e) MR_MUST_USE;
