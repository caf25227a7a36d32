/* One sentence's sound, decoded whole: mono at 48 kHz, at its loudness, its ends faded in 5 ms so that they don't click. Whatever
 * format the bytes are in; a pure function of them. Runs in the task; one thread.
 *
 *   struct voice v = { 0 };
 *   if (voice_load(io, sentence, target_mlufs, &v, e) < 0) ...
 *   … v.samples[0 … v.count - 1], the same for both channels …
 *   voice_release(&v);
 *
 * Memory: the bytes while they are decoded, four for each sample.
 */
#pragma once

#include "base/err.h"
#include "media/media_io.h"

struct voice {
	float *samples;
	int64_t count;
};
/* Reads the sentence from input 1 (proto/narrate.h); blocks until it is spoken. ERR_MEDIA/SPEECH_TOO_LARGE, or why it can't be
 * decoded. */
int voice_load(const struct media_io *io, uint32_t sentence, int32_t target_mlufs, struct voice *ret, struct err *e) MR_MUST_USE;
void voice_release(struct voice *v);
