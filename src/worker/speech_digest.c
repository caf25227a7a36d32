/* The names of sounds. Pure. */
#include <string.h>

#include "base/encode.h"
#include "worker/speech.h"

/* Each text with its NUL, so that no two sequences of texts are the same bytes. */
static void add(struct sha256_stream *d, const char *text)
{
	sha256_stream_update(d, text, strlen(text) + 1);
}

static void finish(struct sha256_stream *take, char ret[SHA256_HEX_SIZE])
{
	uint8_t raw[SHA256_BYTES];
	sha256_stream_final(take, raw);
	hex_encode(raw, sizeof(raw), ret);
}

void speech_sentence_digest(const char *provider, const char *voice, const char *text, char ret[SHA256_HEX_SIZE])
{
	struct sha256_stream *d = sha256_stream_new();
	add(d, provider);
	add(d, voice);
	add(d, text);
	finish(d, ret);
}

void speech_script_digest(const char *provider, const char *voice, const struct script *script,
			  char ret[SHA256_HEX_SIZE])
{
	struct sha256_stream *d = sha256_stream_new();
	add(d, provider);
	add(d, voice);
	for (uint32_t i = 0; i < script->item_count; i++) {
		const struct script_item *item = &script->items[i];
		_cleanup_free_ char *pause =
			item->text ? NULL : mr_asprintf("\n%u", item->pause_ms); /* no sentence has a line break */
		add(d, item->text ? item->text : pause);
	}
	finish(d, ret);
}
