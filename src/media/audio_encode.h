/* The sound's encoder: a gapless row of samples in, AAC packets on the presentation's frame grid out. Output frame f
 * is the packet whose decoding gives samples [1024 f, 1024 (f + 1)). Runs in the task; one thread.
 *
 *   struct audio_encode *a;
 *   if (audio_encode_new(spec, &spec->audios[0], &timeline, &rendition, &a, e) < 0) ...
 *   audio_encode_samples(a, planes, n, e);       // an audio_sink; the first sample is audio_encode_start(a)
 *   audio_encode_flush(a, e);                    // after the timeline's last frame and AUDIO_ENCODE_AHEAD more
 *   audio_encode_free(&a);
 *
 * Every run of segments has an encoder of its own that starts 8 frames early and throws these packets away: by then
 * its windows agree with the neighbour's, and so does its noise (media/aac_search.h).
 */
#pragma once

#include <libavcodec/avcodec.h>

#include "base/err.h"
#include "media/rendition.h"

/* Frames that the encoder wants to see behind the last one it is to give: its delay and its look-ahead. */
#define AUDIO_ENCODE_AHEAD 2
/* Frames before a run's first that its encoder is given. */
#define AUDIO_ENCODE_LEAD 8

struct audio_encode;
/* Borrows all. The timeline may grow meanwhile. */
int audio_encode_new(const struct ladder_spec *spec, const struct ladder_audio *track, const struct timeline *timeline,
		     struct rendition *rendition, struct audio_encode **ret, struct err *e) MR_MUST_USE;
/* The first sample that is wanted; negative at the presentation's start. */
int64_t audio_encode_start(const struct audio_encode *a);
int audio_encode_samples(void *ctx, const float *const *planes, int count, struct err *e);
/* True when all frames of the timeline, as far as it goes now, are encoded. */
bool audio_encode_done(const struct audio_encode *a);
/* Completes the last segment. */
int audio_encode_flush(struct audio_encode *a, struct err *e) MR_MUST_USE;
uint64_t audio_encode_frames(const struct audio_encode *a);
void audio_encode_free(struct audio_encode **a);
