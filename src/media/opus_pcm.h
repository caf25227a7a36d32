/* Opus packets with their recording's times → mono samples at 16 kHz on one timeline, by libopus directly at that rate.
 * Runs in the sandbox.
 *
 *   struct opus_pcm *o;
 *   opus_pcm_new(&sink, &o, e);
 *   opus_pcm_begin(o, 312, true, e);                    // a recording begins: its pre-skip
 *   opus_pcm_packet(o, &packet, e);                     // samples go to the sink
 *   opus_pcm_free(o);
 *
 * The timeline counts samples at 16 kHz from 0 and never goes back. Packets follow on one another. Their times are rounded and
 * waver, and browsers let them jump by some 40 ms without a sample missing: so they are asked only how much is missing
 * where something is known to be, or where they have come to be ahead by more than 200 ms. Up to 120 ms are concealed, with the
 * next packet's redundancy where it has some; what is beyond is left out, so that the next samples have a later
 * position. What is earlier than the packet before, by up to five seconds, was there already and is dropped. A time
 * further back, or more than ten minutes ahead, is a recording's new beginning.
 *
 * A decoder that is given another's place (opus_pcm_place) goes on with that one's timeline, sample by sample.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct opus_pcm_sink {
	void *ctx;
	/* `concealed` of the samples, at the front, are made up; `restart`: a recording begins with the first. */
	int (*pcm)(void *ctx, int64_t first, const int16_t *samples, uint32_t count, uint32_t concealed, bool restart,
		   struct err *e);
	/* A packet was dropped: it was there before (late), or is no Opus. */
	void (*dropped)(void *ctx, bool late);
};

struct opus_packet {
	bool has_time;
	bool after_loss; /* something is missing in front of it, perhaps */
	int64_t time_ns;
	const uint8_t *data;
	size_t len;
	int64_t discard_ns; /* of its end */
};

/* Where a timeline is: all that matters of the past but what is in the codec's memory. */
struct opus_place {
	bool started;	      /* a packet of this recording has come */
	bool lost;	      /* packets were, since the last one */
	bool restart;	      /* the next samples are the first of a recording */
	int64_t base_ns;      /* this time of the recording … */
	int64_t base_sample;  /* … is at this sample (of the codec's output: less than `from` while it is pre-skip) */
	int64_t next;	      /* position of the codec's next sample */
	int64_t from;	      /* samples before it are no sound (pre-skip) */
	int64_t last_ns;      /* of the packet before */
	int64_t last_ahead;   /* samples by which its time was ahead of its place */
	uint32_t last_samples;
};

struct opus_pcm;
int opus_pcm_new(const struct opus_pcm_sink *sink, struct opus_pcm **ret, struct err *e) MR_MUST_USE;
void opus_pcm_free(struct opus_pcm *o);
/* A recording begins; its timeline follows on what was there. */
int opus_pcm_begin(struct opus_pcm *o, uint32_t preskip_48k, struct err *e) MR_MUST_USE;
int opus_pcm_packet(struct opus_pcm *o, const struct opus_packet *p, struct err *e) MR_MUST_USE;
void opus_pcm_place(const struct opus_pcm *o, struct opus_place *ret);
/* With the pre-skip of the recording that the place is in. */
void opus_pcm_go_to(struct opus_pcm *o, uint32_t preskip_48k, const struct opus_place *place);
/* The next packet is a later one, and what was between isn't missed: its sound follows on the place's, all of it. */
void opus_pcm_resume(struct opus_pcm *o);
