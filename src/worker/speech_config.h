/* Which provider makes speech, as the operator says once: read at start, then read-only, so any thread may use it.
 *
 *   flite[?voice=kal]
 *   openai+https://api.example/v1?model=tts-1&voice=alloy&voices=alloy,nova&format=mp3&concurrency=4&timeout=60&tries=8
 *
 *   r = speech_config_parse(options_get(o, "speech"), options_get(o, "speech-api-key"), &config, e);
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SPEECH_VOICE_MAX 64
#define SPEECH_VOICES_MAX 64

enum speech_provider_kind { SPEECH_FLITE = 1, SPEECH_OPENAI };

struct speech_config {
	enum speech_provider_kind kind;
	char *provider; /* what sounds depend on beside voice and text: "flite", "openai https://api.example/v1 tts-1
			   mp3" */
	char *voices[SPEECH_VOICES_MAX];
	size_t voice_count;
	char *default_voice;
	bool any_voice;   /* voices isn't the whole list */
	uint32_t at_once; /* sentences being made at a time */
	/* An endpoint's: */
	char *url; /* …/audio/speech */
	char *model, *format;
	char *api_key;      /* NULL: none */
	uint32_t timeout_s; /* of one request */
	uint32_t tries;     /* at one sentence, before the job's attempt fails */
};

/* `text` NULL: "flite". ERR_INVALID says what is wrong, without the key. */
int speech_config_parse(const char *text, const char *api_key, struct speech_config **ret, struct err *e) MR_MUST_USE;
void speech_config_free(struct speech_config *c);
/* ERR_INVALID with UNKNOWN_VOICE, naming those there are. */
int speech_voice_check(const struct speech_config *c, const char *voice, struct err *e) MR_MUST_USE;
