/* Segments of a stream for listeners: a pure function of its fragments' rows, so that every front, before and after a restart,
 * lists the same ones without having made any.
 *
 *   struct listen_plan p = { 0 };
 *   listen_plan_add(&p, &row);                   // in the order of numbers
 *   listen_plan_finish(&p);                      // nothing more will come
 *   ... p.list[0 … p.count - 1] ...
 *   listen_plan_release(&p);
 *
 * Fragments that follow on one another (within LISTEN_JOIN_MS) are a run, and a run's sound is one row of AAC frames on the
 * producer's clock (proto/listen.h). Segments are cut where fragments end, less the frames that an encoder still holds then
 * (LISTEN_BEHIND_FRAMES): so a segment can be made as soon as its last fragment is committed. Fragments are put together up to
 * LISTEN_LEAST_MS, and divided evenly above LISTEN_MOST_MS. A run's last segment has those frames, too; where they would be
 * all it has, silence makes it LISTEN_TAIL_FRAMES long. Between runs is a discontinuity. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "job/stream.h"

#define LISTEN_JOIN_MS 500
#define LISTEN_LEAST_MS 1500
#define LISTEN_MOST_MS 2450
#define LISTEN_TARGET_S 2 /* EXT-X-TARGETDURATION: what LISTEN_MOST_MS and a frame round to */
#define LISTEN_TAIL_FRAMES 24

struct listen_segment {
	int64_t number;	     /* of the fragment that it begins with (a few frames of it lie in the one before) */
	int64_t from, to;    /* frames */
	bool discontinuity;  /* a run begins with it */
	bool first;	     /* of a fragment's: a plan can begin here */
};

struct listen_plan {
	struct listen_segment *list;
	size_t count, capacity;
	/* how it goes on */
	bool open;	/* in a run */
	bool broken;	/* the next segment is behind a discontinuity */
	bool pending;	/* a fragment is in that no segment has yet; the oldest is `number` */
	int64_t number;
	int64_t next;	/* frame */
	int64_t end_ms; /* of the run so far, producer's time */
};

/* As if all before the segment had been added. */
void listen_plan_begin(struct listen_plan *p, const struct listen_segment *at);
void listen_plan_add(struct listen_plan *p, const struct fragment *f);
void listen_plan_finish(struct listen_plan *p);
/* Forgets the first `n` of its list. */
void listen_plan_drop(struct listen_plan *p, size_t n);
void listen_plan_release(struct listen_plan *p);

/* The frame that holds this moment of the producer's clock, and the moment at which a frame begins (rounded). */
int64_t listen_frame_at(int64_t ms);
int64_t listen_frame_ms(int64_t frame);
/* True if a fragment that begins at `ms` follows on one that ends at `end_ms`. */
bool listen_joins(int64_t end_ms, int64_t ms);
