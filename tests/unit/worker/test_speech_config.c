/* MILLRACE_SPEECH, and which voices there are. */
#include <string.h>

#include "../base/cm.h"
#include "worker/speech_config.h"

static struct speech_config *parse(const char *text, const char *key)
{
	struct speech_config *c = NULL;
	struct err e = { 0 };
	if (speech_config_parse(text, key, &c, &e) < 0)
		fail_msg("\"%s\": %s", text ? text : "(null)", e.message);
	return c;
}

static void test_flite(void **state)
{
	(void)state;
	struct speech_config *c = parse(NULL, NULL);
	assert_int_equal(c->kind, SPEECH_FLITE);
	assert_string_equal(c->provider, "flite");
	assert_string_equal(c->default_voice, "slt");
	assert_in_range(c->at_once, 1, 16);
	struct err e = { 0 };
	assert_int_equal(speech_voice_check(c, "rms", &e), 0);
	assert_int_equal(speech_voice_check(c, "alloy", &e), -ERR_INVALID);
	assert_string_equal(err_code(&e), "UNKNOWN_VOICE");
	assert_non_null(strstr(e.message, "slt, kal"));
	speech_config_free(c);
	c = parse("flite?voice=awb", "");
	assert_string_equal(c->default_voice, "awb");
	speech_config_free(c);
}

static void test_endpoint(void **state)
{
	(void)state;
	struct speech_config *c = parse("openai+https://api.example/v1/", "sk-1");
	assert_int_equal(c->kind, SPEECH_OPENAI);
	assert_string_equal(c->url, "https://api.example/v1/audio/speech");
	assert_string_equal(c->provider, "openai https://api.example/v1 tts-1 mp3");
	assert_string_equal(c->default_voice, "alloy");
	assert_string_equal(c->api_key, "sk-1");
	assert_int_equal(speech_voice_check(c, "af_bella+af_sky", NULL), 0);
	assert_int_equal(speech_voice_check(c, "", NULL), -ERR_INVALID);
	assert_int_equal(speech_voice_check(c, "a b", NULL), -ERR_INVALID);
	speech_config_free(c);
	c = parse("openai+http://127.0.0.1:8880/v1?model=a%2Fb&voices=x,y&voice=y&format=flac&concurrency=2&timeout=5&tries=3",
		  NULL);
	assert_string_equal(c->provider, "openai http://127.0.0.1:8880/v1 a/b flac");
	assert_int_equal(c->at_once, 2);
	assert_int_equal(c->timeout_s, 5);
	assert_int_equal(c->tries, 3);
	assert_null(c->api_key);
	assert_int_equal(speech_voice_check(c, "x", NULL), 0);
	assert_int_equal(speech_voice_check(c, "alloy", NULL), -ERR_INVALID);
	speech_config_free(c);
}

static void test_refusals(void **state)
{
	static const char *const list[] = {
		"espeak",
		"flite?model=a",
		"flite?voice=alloy",
		"openai+ftp://a/v1",
		"openai+https://",
		"openai+https:///v1",
		"openai+https://user:secret@host/v1",
		"openai+https://host/v1?format=pcm",
		"openai+https://host/v1?model=",
		"openai+https://host/v1?model=a%20b",
		"openai+https://host/v1?model=%zz",
		"openai+https://host/v1?voices=a,,b",
		"openai+https://host/v1?voices=a,b", /* the default voice isn't among them */
		"openai+https://host/v1?concurrency=0",
		"openai+https://host/v1?timeout=601",
		"openai+https://host/v1?timeout=5s",
		"openai+https://host/v1?tries=0",
		"openai+https://host/v1?key=a",
	};
	(void)state;
	struct speech_config *c;
	struct err e = { 0 };
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		if (speech_config_parse(list[i], NULL, &c, &e) == 0)
			fail_msg("\"%s\" was taken", list[i]);
		assert_int_equal(e.kind, ERR_INVALID);
		assert_null(strstr(e.message, "secret"));
	}
	assert_int_equal(speech_config_parse("flite", "sk-secret", &c, &e), -ERR_INVALID);
	assert_null(strstr(e.message, "secret"));
	assert_int_equal(speech_config_parse("openai+https://host/v1", "sk-secret\r\nX: y", &c, &e), -ERR_INVALID);
	assert_null(strstr(e.message, "secret"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_flite), cmocka_unit_test(test_endpoint),
					    cmocka_unit_test(test_refusals) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
