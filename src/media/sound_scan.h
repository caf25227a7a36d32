/* All of one stream's sound, decoded from the first packet to the last: interleaved floats of one rate and layout (the
 * stream's first), whatever changes on the way. Runs in the task; one thread; memory does not grow with the length.
 *
 *   struct sound_scan scan = { .open = open, .add = add, .ctx = &mine };
 *   if (sound_scan_run(task, io, stream, &scan, &errors, e) < 0) ...
 */
#pragma once

#include <libavutil/channel_layout.h>
#include <stddef.h>

#include "base/err.h"
#include "media/media_io.h"

struct sound_scan {
	void *ctx;
	/* Once, before the first samples. */
	int (*open)(void *ctx, int sample_rate, const AVChannelLayout *layout, struct err *e);
	/* `frames` samples of every channel; finite. */
	int (*add)(void *ctx, const float *interleaved, size_t frames, struct err *e);
};

/* ERR_MEDIA/UNDECODABLE where there is not one sample; what cannot be decoded on the way is passed over. Otherwise as
 * media_input_open, and what the callbacks fail with. */
int sound_scan_run(const struct task_spec *task, const struct media_io *io, int32_t stream, const struct sound_scan *scan,
		   struct err *e) MR_MUST_USE;
