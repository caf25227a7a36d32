/* A narration: a voice, sentence by sentence, mixed over looped music into one stream of AAC in TS segments. What its task is asked
 * and what it answers. Part of proto/task.h.
 *
 * Inputs, by number: 0 the music (of size 0: there is none); 1 the sentences' sounds, all of them behind one input: byte b of
 * sentence n is at narrate_offset(n, b). A read of a sentence that isn't spoken yet is answered when it is; one behind a sentence's
 * end gives nothing.
 *
 * Times are milliseconds of the narration. Segment i begins at narrate_boundary(i), whatever is in it; only the last one's end
 * depends on what was spoken. Encoders begin anew at every NARRATE_RUN_SEGMENTS-th segment, so a task that continues at
 * `resume_segment` gives the same bytes as one that began at 0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NARRATE_INPUT_MUSIC 0
#define NARRATE_INPUT_SPEECH 1
#define NARRATE_INPUTS 2
#define NARRATE_ITEMS_MAX 32768
#define NARRATE_SPEECH_MAX_BYTES (64u << 20) /* one sentence's sound */
#define NARRATE_SEGMENT_SECONDS 5
#define NARRATE_SEGMENTS_MAX 4320 /* six hours */
#define NARRATE_RUN_SEGMENTS 6
#define NARRATE_RATE 48000
#define NARRATE_GAIN_UNKNOWN INT32_MIN

struct narrate_spec {
	uint32_t bitrate_bps;
	int32_t target_mlufs; /* every sentence's loudness, in thousandths */
	int32_t peak_mdbtp;   /* no true peak is above */
	/* Music. */
	int32_t music_stream;	 /* index in input 0; -1: none */
	int64_t music_origin_ns; /* its container's time at which it begins */
	int32_t music_below_mdb; /* its loudness against the target, in thousandths of a decibel */
	int32_t music_mlufs;	 /* its loudness; NARRATE_GAIN_UNKNOWN: its beginning is measured */
	int32_t duck_mdb;	 /* gain under speech, ≤ 0 */
	uint32_t attack_ms, release_ms, hold_ms; /* of that: before a sentence, after one, and how long it stays */
	uint32_t fade_in_ms, fade_out_ms;	 /* of the music */
	uint32_t crossfade_ms;			 /* where it begins anew */
	/* The whole. */
	uint32_t lead_ms; /* before the first sentence */
	uint32_t tail_ms; /* behind the last one, at least */
	uint32_t gap_ms;  /* between sentences without a pause */
	uint32_t min_ms;  /* of all of it */
	uint32_t resume_segment; /* what is before it is there already */
	/* In order: 0 is the next sentence, anything else a pause of so many ms. Owned by the spec (task_spec_release). */
	uint32_t item_count;
	uint32_t *items;
};

struct narrate_result {
	uint32_t next_segment; /* how many there are */
	int64_t frames;	       /* of AAC, in all */
	int32_t music_mlufs;   /* as given or measured; NARRATE_GAIN_UNKNOWN: silence, or no music */
	uint32_t decode_errors;
};

/* TASK_VOICE: the voice alone, of the same specification and inputs (the music isn't read), as parts of one MP3. */
struct voice_result {
	int64_t samples; /* of NARRATE_RATE */
	uint64_t bytes;	 /* of all parts */
};

static inline uint64_t narrate_offset(uint32_t sentence, uint32_t byte)
{
	return (uint64_t)sentence << 32 | byte;
}

/* Where segment i begins, in AAC frames: the one nearest to a multiple of five seconds. */
static inline int64_t narrate_boundary(uint32_t i)
{
	return ((int64_t)i * NARRATE_SEGMENT_SECONDS * NARRATE_RATE + 512) / 1024;
}
