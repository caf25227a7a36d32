/* Segments of packed audio (RFC 8216, 3.4): AAC frames as ADTS behind an ID3 tag that says where they lie in time. Writing alone:
 * the frames are taken as they are.
 *
 *   packed_audio_begin(&out, first_frame);
 *   packed_audio_frame(&out, channels, data, len);        // each of them
 *
 * Rate and frame are proto/listen.h's. Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define PACKED_AUDIO_TYPE "audio/aac"

/* False where the buffer is full (buf_finish tells). */
bool packed_audio_begin(struct buf *out, int64_t first_frame);
bool packed_audio_frame(struct buf *out, uint32_t channels, const void *data, size_t len);
