/* How the speech module (worker/speech.c) has one sentence made: a provider is one function of this kind. Private to
 * worker/speech*.c; any of its threads. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/post.h"
#include "worker/speech_config.h"
#include "worker/task_client.h"

#define SPEECH_SOUND_MAX_BYTES (64u << 20) /* of one sentence */

struct speech_call {
	const struct speech_config *config;
	struct zygote *zygote;
	struct net_client *client; /* the thread's */
	const char *voice, *text;
	int32_t nice;
	void *ctx;
	/* False: end with ERR_CANCELED. */
	bool (*keep_going)(void *ctx);
	/* Sleeps so long; the same. */
	bool (*rest)(void *ctx, uint32_t ms);
};

/* The built-in voices, in a task. ERR_MEDIA where the task fails. */
int speech_flite_call(const struct speech_call *call, struct buf *sound, struct err *e) MR_MUST_USE;
/* The endpoint. ERR_PROTOCOL with SPEECH_REFUSED (not retriable) or SPEECH_FAILED, and what a task that looks at the
 * sound says of itself. */
int speech_endpoint_call(const struct speech_call *call, struct buf *sound, struct err *e) MR_MUST_USE;
/* A task decodes the beginning: ERR_MEDIA if it is no sound. */
int speech_sound_check(const struct speech_call *call, const struct buf *sound, struct err *e) MR_MUST_USE;
