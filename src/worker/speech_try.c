/* One sentence, to see whether the provider speaks at all. In the doctor's process. */
#include "worker/speech.h"

#include "worker/speech_call.h"

#define TRY_TIMEOUT_S 15

static bool keep_going(void *ctx)
{
	(void)ctx;
	return true;
}

static bool never_rest(void *ctx, uint32_t ms)
{
	(void)ctx;
	(void)ms;
	return false;
}

int speech_try(const struct speech_config *config, struct zygote *zygote, const char *text, size_t *ret_bytes,
	       struct err *e)
{
	struct speech_config once = *config; /* borrows its strings */
	_cleanup_buf_ struct buf sound;
	buf_init(&sound, SPEECH_SOUND_MAX_BYTES);
	once.tries = 1;
	once.timeout_s = once.timeout_s < TRY_TIMEOUT_S ? once.timeout_s : TRY_TIMEOUT_S;
	struct speech_call call = { .config = &once,
				    .zygote = zygote,
				    .client = once.kind == SPEECH_OPENAI ? net_client_new() : NULL,
				    .voice = once.default_voice,
				    .text = text,
				    .keep_going = keep_going,
				    .rest = never_rest };
	int r = once.kind == SPEECH_OPENAI ? speech_endpoint_call(&call, &sound, e)
					   : speech_flite_call(&call, &sound, e);
	if (r == 0 && once.kind == SPEECH_FLITE) /* an endpoint's has been looked at */
		r = speech_sound_check(&call, &sound, e);
	if (call.client)
		net_client_free(call.client);
	if (r == 0)
		*ret_bytes = sound.len;
	return r;
}
