/* What source.c (opening and decoding) and source_seek.c (finding the place to begin) share; nobody else includes it. */
#pragma once

#include "media/input.h"
#include "media/packet_queue.h"
#include "media/source.h"
#include "media/time_join.h"

/* Packets held back while a seek is being proved, or looked ahead at the end. */
#define SOURCE_AHEAD_MAX_BYTES (32u << 20)
/* Sound this much before the place that is needed is decoded and thrown away: MP3's bit reservoir, Opus' convergence. */
#define SOURCE_PREROLL_TICKS 90000

struct source {
	const struct task_spec *task;
	const struct media_io *io;
	struct source_start from;
	struct media_input *input;
	uint64_t bytes_before; /* read by inputs that are closed by now */
	AVCodecContext *decoder[SOURCE_TRACKS_MAX];
	int stream[SOURCE_TRACKS_MAX]; /* index in the container, -1: not there */
	bool stopped[SOURCE_TRACKS_MAX];
	struct packet_queue ahead;
	source_packet_sink *sink; /* NULL: none */
	void *sink_ctx;
	struct time_join join; /* while reading from the start on */
	bool at_start, end_of_file;
	int current;   /* the decoder that may have frames, -1: none */
	int drained;   /* at the end: decoders of tracks below this one are drained */
	uint32_t read_errors;
	uint32_t decode_errors;
	int64_t last_before; /* the latest picture at or before from.video_ticks that the decoder has got, INT64_MIN: none */
	int64_t first_pts[SOURCE_TRACKS_MAX];
	/* ends of packets in ticks; those in the queue are only read yet */
	int64_t latest_read[SOURCE_TRACKS_MAX], latest_decoded[SOURCE_TRACKS_MAX];
};

/* The next packet of a wanted stream from the container (not from the queue); *ret = NULL at the end of the file. */
int source_read(struct source *s, AVPacket **ret, struct err *e) MR_MUST_USE;
/* -1: of no track. */
int source_packet_track(const struct source *s, const AVPacket *p);
/* The latest time that is read of any audio; INT64_MIN before the first. */
int64_t source_latest_sound(const struct source *s);
int64_t source_packet_ticks(const struct source *s, const AVPacket *p);
/* Forgets everything read so far: decoders, queue, end of file. */
void source_forget(struct source *s);
/* Goes to where s->from can be decoded from. */
int source_position(struct source *s, struct err *e) MR_MUST_USE;
