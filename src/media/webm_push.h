/* A browser's recording as it comes: WebM in pieces cut anywhere → the Opus frames of its first sound track, with their
 * times. Runs in the sandbox.
 *
 *   struct webm_push w;
 *   webm_push_init(&w, &sink, NULL);
 *   r = webm_push_feed(&w, chunk, len, e);
 *   webm_push_lost(&w);                        // a chunk is missing here
 *   webm_push_release(&w);
 *
 * Understands what MediaRecorder writes (Chromium: a cluster of unknown size in each blob, which all but the last end
 * with the first byte of the next element; Firefox: a cluster a second) and what else WebM allows: known sizes,
 * BlockGroups, lacing of all three kinds, other tracks, a fresh header at any time. Damage is no error: parsing goes on
 * at the next cluster, whose first byte may be lost with the bytes before it, and the sink is told. Errors are only what
 * makes a recording useless: no header within the first 64 KiB (NOT_WEBM), or one without Opus of one or two channels
 * (UNSUPPORTED_CODEC).
 */
#pragma once

#include "media/ebml.h"

#define WEBM_FRAMES_MAX 64 /* of one laced block */

struct webm_track {
	uint64_t number;
	uint64_t scale_ns; /* of one tick of its times */
	uint32_t channels;
	uint32_t preskip; /* samples at 48 kHz that the decoder's delay makes */
	bool has_video;	  /* beside it */
};

struct webm_frame {
	bool after_loss; /* what comes before it was searched over */
	bool has_time;	 /* those behind the first of a laced block have none: they follow on */
	int64_t time_ns;
	const uint8_t *data; /* one Opus packet, borrowed */
	size_t len;
	int64_t discard_ns; /* of its end, that is no sound */
};

struct webm_sink {
	void *ctx;
	/* A header was read, and the first of its clusters begins. */
	int (*track)(void *ctx, const struct webm_track *t, struct err *e);
	/* A cluster begins at this byte, counted from the first one fed. */
	int (*cluster)(void *ctx, uint64_t offset, struct err *e);
	int (*frame)(void *ctx, const struct webm_frame *f, struct err *e);
	/* So many bytes were no WebM; parsing goes on behind them. */
	void (*skipped)(void *ctx, uint64_t bytes);
};

struct webm_push {
	struct webm_sink sink;
	struct ebml ebml;
	bool has_track; /* `track` holds for the blocks that come */
	bool in_header; /* an EBML header began and no cluster since */
	struct webm_track track;
	struct webm_track entry; /* the TrackEntry that is being read */
	bool entry_sound, entry_opus, entry_head, chosen, has_video;
	bool has_cluster_time;
	int64_t cluster_ticks;
	int64_t discard_ns; /* of the BlockGroup that is open */
	struct buf block;   /* its block, until all of it is known */
	/* Looking for a place to go on at. */
	bool searching;
	bool lost; /* since the last frame */
	struct buf window, work;
	uint64_t window_offset; /* of its first byte */
	uint64_t search_from;
};

/* With a track (of a recording whose header was read before, elsewhere) parsing begins at the first cluster that is found. */
void webm_push_init(struct webm_push *w, const struct webm_sink *sink, const struct webm_track *known);
void webm_push_release(struct webm_push *w);
int webm_push_feed(struct webm_push *w, const uint8_t *data, size_t len, struct err *e) MR_MUST_USE;
/* What comes next doesn't follow on what was fed. */
void webm_push_lost(struct webm_push *w);
