/* What a container's header says of one stream, as values of the channel. Private to media/probe*.c; runs in the task. */
#pragma once

#include <libavformat/avformat.h>

#include "proto/task.h"

/* Fills everything but what only packets and a decoder can tell (decodable, constant_frame_rate, frame_samples, and times of a
 * scan). All text is clean UTF-8, all fractions have a denominator. */
void probe_stream_fill(AVFormatContext *f, AVStream *st, struct probe_stream *ret);
/* Copies what is printable, cut at a character; NULL is empty. Whatever isn't clean text becomes '?'. */
void probe_text(char *out, size_t size, const char *found);
/* A time stamp in the stream's time base as nanoseconds; TICKS_UNKNOWN for AV_NOPTS_VALUE and what nobody lives to see. */
int64_t probe_ns(int64_t ts, AVRational time_base);
/* True for a stream that says it is encrypted, before any packet was read. */
bool probe_stream_encrypted(const AVStream *st);
