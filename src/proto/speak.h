/* A sentence spoken by the built-in voice: what its task is asked and what it answers. Part of proto/task.h.
 *
 * Input 0 ("text") is the sentence, UTF-8, at most SPEAK_TEXT_MAX_BYTES. The task sends one object, TASK_OBJECT_SPEECH:
 * a WAV file of 16-bit samples of one channel, the same bytes for the same text and voice. What the voice has no sound
 * for is left out; a sentence of nothing else is a moment of silence.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SPEAK_TEXT_MAX_BYTES 16384        /* SCRIPT_SENTENCE_MAX characters of four bytes */
#define SPEAK_SOUND_MAX_BYTES (64u << 20) /* half an hour at 16 kHz */

/* As Debian packages flite; the first is the default. */
#define SPEAK_VOICE_COUNT 5
extern const char *const speak_voices[SPEAK_VOICE_COUNT];

struct speak_spec {
	uint32_t voice; /* index of speak_voices */
};

struct speak_result {
	uint32_t rate;
	uint64_t samples; /* > 0 */
};
