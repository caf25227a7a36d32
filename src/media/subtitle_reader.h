/* The text subtitles of a source: an input of their own beside the one that the pictures come from, decoders, and the
 * cues that are at hand. Runs in the task; one thread.
 *
 *   struct subtitle_reader *r;
 *   if (subtitle_reader_open(task, io, from_ticks, &r, e) < 0) ...
 *   subtitle_reader_until(r, 360000, e);                   // every cue that begins before that is in
 *   subtitle_cues_write(subtitle_reader_cues(r, 0), …);
 *   subtitle_reader_close(&r);
 *
 * Guarantees: reads forwards only as far as asked for and a few seconds more (containers interleave loosely), telling
 * how far it is by the packets of the main sound, or the pictures where there is none; cues' times are the packets',
 * to the millisecond. Subtitles that can't be decoded, and packets that can't, are passed over: a film isn't refused for
 * its subtitles. Errors are those of the input alone.
 */
#pragma once

#include <libavcodec/codec_id.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "media/media_io.h"
#include "media/subtitle_cues.h"

/* Text, that is: pictures of text (Blu-ray, DVD, DVB) are not. */
bool subtitle_is_text(enum AVCodecID id);

struct subtitle_reader;
/* Opens input 0 and the spec's subtitle streams; cues that begin at `from` (1/90000 s) or later will be found. Borrows
 * `task` and `io`. */
int subtitle_reader_open(const struct task_spec *task, const struct media_io *io, int64_t from, struct subtitle_reader **ret,
			 struct err *e) MR_MUST_USE;
/* Reads until every cue that begins before `ticks` is at hand; INT64_MAX: all there are. */
int subtitle_reader_until(struct subtitle_reader *r, int64_t ticks, struct err *e) MR_MUST_USE;
/* Of the spec's i-th subtitles. */
struct subtitle_cues *subtitle_reader_cues(struct subtitle_reader *r, uint32_t i);
void subtitle_reader_close(struct subtitle_reader **r);
