/* Places in an MP3 that libav can be sought to at once. Its demuxer knows places only by reading every packet before them; walking
 * over the frames' headers finds the same in a twentieth of the time. Runs in the task; one thread.
 *
 *   mp3_index_add(st, first_packet, io, size_bytes, target, &bytes_read);
 *   av_seek_frame(f, st->index, target, AVSEEK_FLAG_BACKWARD);
 *
 * Guarantees: what is added is what libav would have found itself, so that a seek ends at the same packet with the same time;
 * where the file isn't plain (frames that don't follow on one another, or are of several kinds; free format; other layers)
 * nothing is added, and libav finds the place its own way. */
#pragma once

#include <libavformat/avformat.h>
#include <stdbool.h>
#include <stdint.h>

#include "media/media_io.h"

/* Adds the last frame at or before `target` (in the stream's time base) and the one behind it to the stream's index. `first`: the
 * stream's first packet, as libav gave it. Reads input 0 from there to the target, in blocks. False: nothing was added. */
bool mp3_index_add(AVStream *st, const AVPacket *first, const struct media_io *io, uint64_t size_bytes, int64_t target,
		   uint64_t *ret_bytes_read);
