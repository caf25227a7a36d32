/* Encoding of a sentence to be spoken (parent → task) and of what became of it (task → parent). */
#include "proto/codec_speak.h"

#define RATE_MIN 8000u
#define RATE_MAX 96000u
#define SAMPLE_BYTES 2

const char *const speak_voices[SPEAK_VOICE_COUNT] = { "slt", "kal", "kal16", "awb", "rms" };

void walk_speak_spec(struct wire *w, struct speak_spec *s)
{
	wire_u32(w, &s->voice);
}

const char *check_speak_spec(const struct task_spec *s)
{
	if (s->speak.voice >= SPEAK_VOICE_COUNT)
		return "an unknown voice";
	if (s->input_count != 1 || !s->inputs[0].size_bytes || s->inputs[0].size_bytes > SPEAK_TEXT_MAX_BYTES)
		return "no sentence to speak, or one too long";
	return NULL;
}

void walk_speak_result(struct wire *w, struct speak_result *r)
{
	wire_u32(w, &r->rate);
	wire_u64(w, &r->samples);
}

const char *check_speak_result(const struct speak_result *r)
{
	if (r->rate < RATE_MIN || r->rate > RATE_MAX || !r->samples ||
	    r->samples > SPEAK_SOUND_MAX_BYTES / SAMPLE_BYTES)
		return "rate or length of what was spoken is out of range";
	return NULL;
}

const char *check_speak_object(const struct task_object *o)
{
	if (o->rendition || o->index || !o->size_bytes || o->size_bytes > SPEAK_SOUND_MAX_BYTES)
		return "a spoken sentence that is empty or too large";
	return NULL;
}
