/* One time axis for a file whose time stamps jump, as transport streams do where recordings were cut and put together. Pure
 * but for libav's types; runs in the task; one thread.
 *
 *   struct time_join j;
 *   time_join_init(&j, format);
 *   time_join_packet(&j, stream, packet);      // each packet in the file's order, from its start on
 *   if (j.jumps > 0) …                         // only reading from the start on gives these times
 *
 * Packets lie in the file in the order of their time, all streams together. One that is more than ten seconds from those
 * before it begins a new stretch: it follows on its stream, and everything after it is moved by as much, so that picture and
 * sound stay together. Packets of the old stretch that come late keep to the old one. Formats that carry one clock from end to end
 * (MP4, Matroska) are left alone: what is a gap there is one.
 */
#pragma once

#include <libavformat/avformat.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/task.h"

struct time_join {
	bool active;
	uint32_t jumps;
	int64_t clock;		       /* the latest decoding time of any stream, in 1/90000 s; AV_NOPTS_VALUE: none yet */
	int64_t next[TASK_STREAMS_MAX]; /* where each stream goes on; AV_NOPTS_VALUE: not begun */
	int64_t offset, offset_before; /* of this stretch and of the one before */
};

void time_join_init(struct time_join *j, const AVFormatContext *format);
void time_join_packet(struct time_join *j, const AVStream *stream, AVPacket *packet);
