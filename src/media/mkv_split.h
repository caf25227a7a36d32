/* The body of a PutMedia as it comes: Matroska in pieces cut anywhere → fragments, their bytes given back as they were.
 * Runs in the sandbox.
 *
 *   struct mkv_split *s = mkv_split_new(&sink);
 *   if (mkv_split_feed(s, bytes, len, e) < 0)
 *           refuse(mkv_split_refusal(s, &timecode_ms));         // KVS's ErrorId
 *   mkv_split_finish(s, e);                         // the body ended
 *   mkv_split_free(s);
 *
 * A fragment is a cluster. It begins when its time is known and ends at the next cluster or header, at the tag
 * AWS_KINESISVIDEO_END_OF_FRAGMENT or with the body; tags between are its own (those named AWS… are the service's, and left
 * out). What the service refuses is refused with its ErrorId: times that don't rise, a track without a frame, frames of
 * an undeclared track, more than three tracks, 20 s, 50 MiB, ten tags. A fresh header may come between clusters.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/live.h"

struct mkv_split_sink {
	void *ctx;
	/* LIVE_HEADER to LIVE_FRAGMENT_END (proto/live.h), with their bytes; `session` is 0. Bytes of any length. */
	int (*event)(void *ctx, const struct live_event *v, const void *bytes, size_t len, struct err *e);
};

struct mkv_split;
struct mkv_split *mkv_split_new(const struct mkv_split_sink *sink);
void mkv_split_free(struct mkv_split *s);
int mkv_split_feed(struct mkv_split *s, const void *data, size_t len, struct err *e) MR_MUST_USE;
/* Ends the open fragment, unless it isn't whole. */
int mkv_split_finish(struct mkv_split *s, struct err *e) MR_MUST_USE;
/* After a failure: KVS's ErrorId (enum live_error_id), or LIVE_OK if it isn't the body's fault; and the time of the
 * fragment that is refused, -1 if it isn't known. */
uint32_t mkv_split_refusal(const struct mkv_split *s, int64_t *ret_timecode_ms);
