/* HEVC in the encoder of a rung: what libx265 is told, and how RFC 6381 names what it made. Runs in the task. The encoder
 * itself is opened and driven as every other (media/video_encode.h).
 *
 * Guarantees what H.264's does: closed GOPs, IDRs where they are asked for and nowhere else, the same bytes every time, headers
 * that are equal from chunk to chunk and stand in the header alone.
 */
#pragma once

#include <libavcodec/avcodec.h>

#include "base/err.h"
#include "proto/task.h"

/* On a context that isn't open yet: preset, quality, and the rest. AVERROR on failure. */
int video_hevc_set(AVCodecContext *c, const struct ladder_rung *rung) MR_MUST_USE;
/* "hvc1.1.6.L93.B0" from the SPS in Annex B bytes; ERR_INTERNAL without one. */
int video_hevc_codec_string(const uint8_t *annex_b, size_t len, char *out, size_t out_size, struct err *e) MR_MUST_USE;
