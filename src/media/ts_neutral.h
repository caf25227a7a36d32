/* Makes a transport stream segment neutral in its continuity counters, so that segments made independently of each
 * other can be joined in their order and the counters run on (ISO/IEC 13818-1, 2.4.3.3; HLS players and `ffmpeg`
 * report a break as lost packets).
 *
 *   struct buf out;
 *   buf_init(&out, TASK_OBJECT_MAX_BYTES);
 *   if (ts_neutral(ts, len, &out, e) < 0) ...
 *
 * The counter has four bits and counts packets with payload. In a neutral segment each PID has a multiple of 16 of
 * these, counted from 0: the next segment begins with 0 again and nothing is missing. To get there, payloads are
 * spread over more packets with stuffing (at most 15 more for a PID), and PAT and PMT are repeated, spread evenly
 * over the segment. Service descriptions (SDT) and null packets are left out. What the packets carry, their order,
 * and clock references stay as they are.
 *
 * Pure: no libav. Takes what libavformat's muxer writes: tables that fit one packet, at most 8 PIDs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define TS_PACKET_SIZE 188

/* Appends to `out`. ERR_INVALID for what isn't such a stream; ERR_INTERNAL if a PID has too few payload bytes to
 * spread; ERR_TOO_LARGE. */
int ts_neutral(const uint8_t *ts, size_t len, struct buf *out, struct err *e) MR_MUST_USE;
