/* Cuts a session's sound into fragments: from samples on the decoder's timeline to pieces of about two seconds with absolute times.
 *
 *   fragmenter_add(f, &(struct fragment_pcm){ .first_sample = p->first_sample, .samples = p->samples, .count = p->count }, now_ms);
 *   fragmenter_chunk_end(f);                     // all of a chunk that the client sent is in
 *   while (fragmenter_take(f, &out)) { ...; free(out.samples); }
 *   fragmenter_flush(f, false);                  // the end of the session: the rest is the last fragment
 *
 * Lengths: a fragment ends with the chunk that brings it to FRAGMENT_MS or nearly so; at FRAGMENT_MS sharp where chunks are longer.
 * So which chunks are within fragments that were stored can be told exactly, and a client can send again from the next one on. None
 * is shorter than FRAGMENT_MIN_MS but the last of a session: to hold back a second all the time, only to merge it with that one,
 * would cost every listener that second. Where short ones are refused, silence fills the last one up.
 *
 * Times: the first sample's is the wall clock when it came, less its own length; from there samples count, so that time stamps
 * don't jitter. A hole of the timeline is silence if it is short; a longer one ends the fragment (one that would be too short is
 * filled up with the silence that was there), and the next begins behind it. Sound that lags behind the wall clock by more than
 * FRAGMENT_LAG_MS is set to the wall clock's time where a new recording begins, and between two fragments when the lag has lasted
 * for FRAGMENT_LAG_LASTS_MS: that is a recording that was paused, while what a stalled connection held back catches up sooner. Time
 * stamps never go back and fragments never overlap.
 *
 * Pure; one thread at a time. Memory: the samples of one fragment, and of what hasn't been taken.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAGMENT_RATE 16000
#define FRAGMENT_MS 2000
#define FRAGMENT_MIN_MS 1000
#define FRAGMENT_LAG_MS 2000
#define FRAGMENT_LAG_LASTS_MS 5000

struct fragment_pcm {
	int64_t first_sample; /* never less than the end of what was added before */
	const int16_t *samples;
	uint32_t count;
	bool restart; /* a new recording: what time went by since the last sample is the wall clock's to say */
};

struct fragment_out {
	int64_t timecode_ms;
	uint32_t length_ms;
	int16_t *samples; /* the taker frees */
	uint32_t count;
};

struct fragmenter;
/* `not_before_ms`: the end of what is in the stream already, 0: nothing. */
struct fragmenter *fragmenter_new(int64_t not_before_ms) __attribute__((returns_nonnull));
void fragmenter_free(struct fragmenter *f);

void fragmenter_add(struct fragmenter *f, const struct fragment_pcm *p, int64_t now_wall_ms);
void fragmenter_chunk_end(struct fragmenter *f);
/* `fill`: to FRAGMENT_MIN_MS at least. */
void fragmenter_flush(struct fragmenter *f, bool fill);
/* The oldest that is complete. */
bool fragmenter_take(struct fragmenter *f, struct fragment_out *ret);
/* Samples that no complete fragment has yet. */
uint32_t fragmenter_waiting(const struct fragmenter *f);
