/* Opening one of libavformat's muxers for one stream, writing into a buffer. One thread.
 *
 *   _cleanup_mux_memory_ AVFormatContext *m = NULL;
 *   int r = mux_memory_open("mp4", par, time_base, &out, &m);      // then set options, avformat_write_header
 *   …
 *   avio_flush(m->pb);                                             // now everything is in `out`
 */
#pragma once

#include <libavformat/avformat.h>

#include "base/buf.h"
#include "base/mem.h"

/* Returns an AVERROR. `out` is borrowed; writing beyond its maximum fails with AVERROR(ENOSPC). Timestamps go through
 * as they are, and no version is written. */
int mux_memory_open(const char *format, const AVCodecParameters *par, AVRational time_base, struct buf *out, AVFormatContext **ret);
void mux_memory_close(AVFormatContext **m);
#define _cleanup_mux_memory_ MR_CLEANUP(mux_memory_close)
