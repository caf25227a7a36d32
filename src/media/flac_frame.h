/* FLAC frames (RFC 9639, section 9) of streams with a fixed block size: the frame's number written anew, for frames of an encoder
 * that began counting in the middle. Pure.
 *
 *   if (flac_frame_renumber(data, size, first_frame + n, &out) < 0) ...       // not a frame
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FLAC_NUMBER_MAX ((UINT64_C(1) << 31) - 1)

/* Appends the frame with the number and true check sums (CRC-8 of the header, CRC-16 of the frame). False, and nothing appended,
 * if it isn't a whole header of a fixed block size's frame, or the number is beyond FLAC_NUMBER_MAX. */
bool flac_frame_renumber(const uint8_t *frame, size_t size, uint64_t number, struct buf *out);
