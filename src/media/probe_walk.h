/* A walk over the packets of an input, for what its header doesn't tell: whether streams decode, when they begin and end, how
 * regular they are. Private to media/probe*.c; runs in the task.
 *
 *   struct probe_walk w;
 *   probe_walk_init(&w, in, scan_all);
 *   probe_walk_try(&w, index);                 // this stream is to be decoded
 *   if (probe_walk_run(&w, e) < 0) ...
 *   ... w.streams[index] ...
 *   probe_walk_release(&w);
 */
#pragma once

#include "media/input.h"
#include "media/probe_copy.h"
#include "media/time_join.h"

/* So many successive steps tell how fast frames come at most: fewer would show a clock's rounding, not a rate. */
#define STEP_WINDOW 8

/* Steps between successive decoding times. */
struct step_stats {
	int64_t first, last; /* AV_NOPTS_VALUE before there are any */
	int64_t min, max;
	uint64_t count;
	int64_t usual, votes; /* the step that the majority has, give or take one unit, and by how many it leads */
	int64_t recent[STEP_WINDOW];
	int64_t min_span; /* the shortest time that STEP_WINDOW steps take; INT64_MAX: there are not so many */
};
void step_stats_init(struct step_stats *s);
void step_stats_add(struct step_stats *s, int64_t dts);

struct walked_stream {
	uint64_t packets; /* without those that are not presented */
	bool encrypted;
	/* of presented packets, in the stream's time base; AV_NOPTS_VALUE where unknown */
	int64_t first, end;
	int64_t durations;		   /* their sum, for streams without time stamps */
	struct step_stats steps;
	int64_t min_duration, max_duration; /* of packets but the last, which may be shorter */
	int64_t pending_duration;	   /* of the latest packet */
	uint32_t trim_samples;		   /* at the end: decoded, but not presented */

	AVCodecContext *decoder; /* while it is being tried */
	uint32_t tried_packets;
	uint64_t tried_bytes;
	bool decoded;
	int64_t decoded_ts; /* of the first frame: what is presented first, after priming and leading pictures */
	bool interlaced;
	struct err why_not;
	struct gop_list *gops; /* of a walk to the end; NULL where it can't be copied */
};

struct probe_walk {
	struct media_input *in;
	bool scan_all; /* to the end; else until every decoder has shown what it can */
	AVPacket *packet;
	AVFrame *frame;
	uint64_t packets;
	struct time_join join;
	struct walked_stream streams[TASK_STREAMS_MAX];
};

int probe_walk_init(struct probe_walk *w, struct media_input *in, bool scan_all, struct err *e) MR_MUST_USE;
void probe_walk_try(struct probe_walk *w, uint32_t index);
/* Damaged packets are passed over; fails only where io->read does, or for want of memory. */
int probe_walk_run(struct probe_walk *w, struct err *e) MR_MUST_USE;
void probe_walk_release(struct probe_walk *w);
