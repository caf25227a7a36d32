/* A speaker's JSON messages. */
#include "../base/cm.h"

#include <string.h>

#include "live/message.h"

static int parse(const char *text, struct live_message *m, struct err *e)
{
	return live_message_parse(text, strlen(text), m, e);
}

static void chunks(void **state)
{
	(void)state;
	struct live_message m;
	struct err e;
	assert_int_equal(parse("{\"action\":\"audioChunk\",\"sessionId\":\"a-1\",\"audioData\":\"GkXfow==\","
			       "\"timestamp\":1732622783456,\"format\":\"webm-opus\",\"chunkIndex\":42}",
			       &m, &e),
			 0);
	assert_int_equal(m.action, LIVE_CHUNK);
	assert_string_equal(m.session, "a-1");
	assert_int_equal(m.index, 42);
	assert_int_equal(m.audio.len, 4);
	assert_memory_equal(m.audio.data, "\x1A\x45\xDF\xA3", 4);
	live_message_release(&m);
	assert_int_equal(parse("{\"action\":\"writeToStream\",\"audioData\":\"\",\"format\":\"audio/webm;codecs=opus\"}", &m, &e),
			 0);
	assert_int_equal(m.index, -1);
	assert_string_equal(m.session, "");
	live_message_release(&m);
	assert_int_equal(parse("{\"action\":\"stop\"}", &m, &e), 0);
	assert_int_equal(m.action, LIVE_STOP);
	live_message_release(&m);
}

static void refusals(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err_kind kind;
	} cases[] = {
		{ "", ERR_INVALID },
		{ "[]", ERR_INVALID },
		{ "{}", ERR_INVALID },
		{ "{\"action\":\"dance\"}", ERR_INVALID },
		{ "{\"action\":\"audioChunk\"}", ERR_INVALID },
		{ "{\"action\":\"audioChunk\",\"audioData\":\"*\"}", ERR_INVALID },
		{ "{\"action\":\"audioChunk\",\"audioData\":\"\",\"chunkIndex\":-1}", ERR_INVALID },
		{ "{\"action\":\"audioChunk\",\"audioData\":\"\",\"chunkIndex\":\"1\"}", ERR_INVALID },
		{ "{\"action\":\"audioChunk\",\"audioData\":\"\",\"sessionId\":\"a/b\"}", ERR_INVALID },
		{ "{\"action\":\"audioChunk\",\"audioData\":\"\",\"sessionId\":\"\"}", ERR_INVALID },
		{ "{\"action\":\"audioChunk\",\"audioData\":\"\",\"format\":\"mp3\"}", ERR_UNSUPPORTED },
		{ "{\"action\":\"audioChunk\",\"audioData\":\"\",\"format\":\"audio/webm;codecs=vorbis\"}", ERR_UNSUPPORTED },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct live_message m;
		struct err e = { 0 };
		assert_int_equal(parse(cases[i].text, &m, &e), -(int)cases[i].kind);
		assert_int_equal(e.kind, cases[i].kind);
	}
}

static void names(void **state)
{
	(void)state;
	char longest[LIVE_SESSION_MAX + 2];
	memset(longest, 'a', sizeof(longest));
	longest[LIVE_SESSION_MAX + 1] = '\0';
	assert_false(live_session_valid(longest));
	longest[LIVE_SESSION_MAX] = '\0';
	assert_true(live_session_valid(longest));
	assert_true(live_session_valid("A.b_c-9"));
	assert_false(live_session_valid(""));
	assert_false(live_session_valid("a b"));
	assert_false(live_session_valid("ä"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(chunks), cmocka_unit_test(refusals), cmocka_unit_test(names) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
