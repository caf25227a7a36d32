/* Single pictures of a video, without decoding what lies between: keyframes, by seeking to each or, where the source cannot
 * be sought, by reading on. Runs in the task; one thread; what one picture may read is bounded.
 *
 *   struct keyframes *k = NULL;
 *   if (keyframes_open(task, io, KEYFRAMES_SEEK, &k, e) < 0) ...
 *   for (int64_t t = 0; t < duration; t += interval)
 *           if (keyframes_at(k, t, frame, &ticks, &found, e) == 0 && found) ...
 *   keyframes_close(&k);
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "media/media_io.h"

enum keyframes_mode {
	KEYFRAMES_SEEK, /* the keyframe at or before each place */
	KEYFRAMES_READ, /* the first keyframe at or after each place; the source is read once */
	FRAMES_READ,	/* the first picture of any kind at or after each place, in the source's first minute or so */
};

struct keyframes;
/* Of the video stream that task->analyze names. `task` and `io` are borrowed. Errors as media_input_open and
 * media_decoder_open. */
int keyframes_open(const struct task_spec *task, const struct media_io *io, enum keyframes_mode mode, struct keyframes **ret,
		   struct err *e) MR_MUST_USE;
/* Places must rise. *ret_found is false where there is none that is later than the last one given, or that can be decoded;
 * else `frame` (unreferenced first) and its time. Fails with what io->read failed with. */
int keyframes_at(struct keyframes *k, int64_t ticks, AVFrame *frame, int64_t *ret_ticks, bool *ret_found,
		 struct err *e) MR_MUST_USE;
const AVStream *keyframes_stream(const struct keyframes *k);
void keyframes_close(struct keyframes **k);
