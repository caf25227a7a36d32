/* The built-in voices: what they say is a sound, and the same one every time. */
#include <string.h>

#include "../base/cm.h"
#include "speech/flite.h"

#define SENTENCE "Now open your eyes again."

static void say(uint32_t voice, const char *text, struct buf *wav)
{
	struct speak_result told = { 0 };
	struct err e = { 0 };
	buf_init(wav, SPEAK_SOUND_MAX_BYTES);
	assert_int_equal(flite_speak(voice, text, strlen(text), wav, &told, &e), 0);
	assert_true(told.rate >= 8000 && told.samples > 0);
	assert_true(wav->len > 2 * told.samples);
}

/* Whatever was spoken before, or warmed up, in this process. */
static void a_sentence_always_sounds_the_same(void **state)
{
	(void)state;
	for (uint32_t voice = 0; voice < SPEAK_VOICE_COUNT; voice++) {
		_cleanup_buf_ struct buf first, other, again;
		say(voice, SENTENCE, &first);
		flite_warm_up();
		say(voice, "Feel the weight of your hands.", &other);
		say(voice, SENTENCE, &again);
		assert_int_equal(first.len, again.len);
		assert_memory_equal(first.data, again.data, first.len);
		assert_true(other.len != first.len || memcmp(other.data, first.data, first.len) != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_sentence_always_sounds_the_same) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
