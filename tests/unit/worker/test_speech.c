/* Speech by the built-in voices: from sentences to objects, kept and shared, and their end. Argument: millrace-task. */
#include <assert.h>
#include <string.h>

#include "../base/cm.h"
#include "worker_fixture.h"
#include "worker/speech.h"

#define PROVIDER "flite"

static const char *task_path;
static struct zygote *zygote;
static struct speech_config *config;
static struct speech *speech;

/* As a new process would: what its threads still have at hand is gone. */
static void start_speech(struct worker_fixture *f)
{
	speech_stop(mr_steal(speech));
	OK(speech_start(&(struct speech_opts){ config, f->rows->repo, f->store, zygote }, &speech, &f->e));
}

static int setup(void **state)
{
	(void)worker_fixture_setup(state);
	struct worker_fixture *f = *state;
	OK(zygote_start(task_path, &zygote, &f->e));
	OK(speech_config_parse(NULL, NULL, &config, &f->e));
	start_speech(f);
	return 0;
}

static int teardown(void **state)
{
	speech_stop(mr_steal(speech));
	speech_config_free(config);
	zygote_stop(zygote);
	return worker_fixture_teardown(state);
}

static struct speech_source *open_as(struct worker_fixture *f, const char *user, const char *provider, const char *text)
{
	struct script s;
	struct speech_source *source = NULL;
	OK(script_parse(text, strlen(text), &s, &f->e));
	OK(speech_source_open(speech, &(struct speech_order){ user, provider, "slt", &s }, &source, &f->e));
	script_release(&s); /* it has been copied */
	return source;
}

static char *wait_key(struct worker_fixture *f, struct speech_source *source, uint32_t n)
{
	char *key = NULL;
	uint64_t bytes = 0;
	OK(speech_source_wait(source, n, WAIT_MS, &key, &bytes, &f->e));
	struct store_info info;
	OK(store_stat(f->store, key, &info, &f->e));
	assert_int_equal(info.size, bytes);
	return key;
}

static void test_sentences_become_wav_files(void **state)
{
	struct worker_fixture *f = *state;
	struct speech_source *source = open_as(f, "u", PROVIDER, "Breathe in. [pause 3s] Breathe out. ...\n\nBreathe in.");
	_cleanup_free_ char *first = wait_key(f, source, 0), *second = wait_key(f, source, 1), *third = wait_key(f, source, 2);
	assert_int_equal(strncmp(first, "speech/u/", 9), 0);
	assert_string_not_equal(first, second);
	assert_string_equal(first, third); /* the same words are one sound */
	struct store_reader *reader;
	struct store_info info;
	char head[44];
	size_t len;
	OK(store_reader_open(f->store, first, &reader, &info, &f->e));
	OK(store_reader_read(reader, 0, head, sizeof(head), &len, &f->e));
	store_reader_close(reader);
	assert_memory_equal(head, "RIFF", 4);
	assert_memory_equal(head + 8, "WAVEfmt ", 8);
	assert_memory_equal(head + 24, "\x80\x3e\0\0", 4); /* 16 kHz */
	assert_in_range(info.size, 16000, 64000);	      /* half a second to two of 16 bits */
	assert_int_equal(number(f->rows, "SELECT count(*) FROM speech"), 2);
	speech_source_close(source);
}

static void test_what_is_kept_is_not_made_again(void **state)
{
	struct worker_fixture *f = *state;
	struct speech_source *source = open_as(f, "u", PROVIDER, "Breathe in. Breathe out.");
	_cleanup_free_ char *key = wait_key(f, source, 0);
	speech_source_close(source);
	start_speech(f);
	put(f, key, "kept");
	source = open_as(f, "u", PROVIDER, "Breathe in.");
	_cleanup_free_ char *again = wait_key(f, source, 0), *text = text_of(f, again);
	assert_string_equal(text, "kept");
	speech_source_close(source);
	/* gone from the store, though its row is there: spoken again */
	start_speech(f);
	OK(store_delete(f->store, key, &f->e));
	source = open_as(f, "u", PROVIDER, "Breathe in.");
	_cleanup_free_ char *anew = wait_key(f, source, 0);
	assert_string_equal(anew, key);
	speech_source_close(source);
	/* another user's own */
	source = open_as(f, "w", PROVIDER, "Breathe in.");
	_cleanup_free_ char *other = wait_key(f, source, 0);
	assert_string_not_equal(other, key);
	speech_source_close(source);
}

static void test_many_sources_at_once(void **state)
{
	struct worker_fixture *f = *state;
	struct speech_source *sources[5];
	for (int i = 0; i < 5; i++)
		sources[i] = open_as(f, "u", PROVIDER, "One. Two. Three. Four. Five. Six.");
	speech_source_close(sources[0]); /* while its sentences are being made for others too */
	for (int i = 1; i < 5; i++)
		for (uint32_t n = 0; n < 6; n++)
			free(wait_key(f, sources[i], n));
	for (int i = 1; i < 5; i++)
		speech_source_close(sources[i]);
	assert_int_equal(number(f->rows, "SELECT count(*) FROM speech"), 6);
}

static void test_a_wait_ends_in_time(void **state)
{
	struct worker_fixture *f = *state;
	struct speech_source *source = open_as(f, "u", PROVIDER, "One. Two. Three. Four. Five. Six. Seven. Eight.");
	char *key;
	uint64_t bytes;
	assert_int_equal(speech_source_wait(source, 7, 0, &key, &bytes, &f->e), -ERR_TIMEOUT);
	speech_interrupt(speech);
	assert_int_equal(speech_source_wait(source, 7, WAIT_MS, &key, &bytes, &f->e), -ERR_CANCELED);
	speech_source_close(source);
	struct script s = { 0 };
	assert_int_equal(speech_source_open(speech, &(struct speech_order){ "u", PROVIDER, "slt", &s }, &source, &f->e),
			 -ERR_CANCELED);
}

static void test_another_provider(void **state)
{
	struct worker_fixture *f = *state;
	struct speech_source *source = open_as(f, "u", "openai http://there/v1 tts-1 mp3", "Breathe in. Breathe out.");
	char *key;
	uint64_t bytes;
	assert_int_equal(speech_source_wait(source, 0, WAIT_MS, &key, &bytes, &f->e), -ERR_UNSUPPORTED);
	assert_string_equal(err_code(&f->e), "SPEECH_PROVIDER_CHANGED");
	assert_false(f->e.retriable);
	speech_source_close(source);
	/* but what is kept can be used */
	char digest[SHA256_HEX_SIZE];
	speech_sentence_digest("openai http://there/v1 tts-1 mp3", "slt", "Breathe in.", digest);
	_cleanup_free_ char *at = mr_asprintf("speech/u/%s", digest);
	put(f, at, "kept");
	source = open_as(f, "u", "openai http://there/v1 tts-1 mp3", "Breathe in.");
	_cleanup_free_ char *found = wait_key(f, source, 0);
	assert_string_equal(found, at);
	speech_source_close(source);
}

static void test_an_unknown_voice_fails(void **state)
{
	struct worker_fixture *f = *state;
	struct script s;
	struct speech_source *source;
	char *key;
	uint64_t bytes;
	OK(script_parse("Hello.", 6, &s, &f->e));
	OK(speech_source_open(speech, &(struct speech_order){ "u", PROVIDER, "nobody", &s }, &source, &f->e));
	assert_true(speech_source_wait(source, 0, WAIT_MS, &key, &bytes, &f->e) < 0);
	assert_int_not_equal(f->e.kind, ERR_TIMEOUT);
	speech_source_close(source);
	script_release(&s);
}

static void test_what_nobody_wants_expires(void **state)
{
	struct worker_fixture *f = *state;
	struct speech_source *source = open_as(f, "u", PROVIDER, "Breathe in. Breathe out.");
	free(wait_key(f, source, 0));
	_cleanup_free_ char *second = wait_key(f, source, 1);
	speech_source_close(source);
	OK(repo_speech_expire(f->rows->repo, SPEECH_KEPT_MS, 100, &f->e));
	assert_int_equal(number(f->rows, "SELECT count(*) FROM speech"), 2);
	sql(f->rows, "UPDATE speech SET used_ms = used_ms - 2678400000"); /* 31 days */
	source = open_as(f, "u", PROVIDER, "Breathe in."); /* wanted again */
	free(wait_key(f, source, 0));
	speech_source_close(source);
	speech_stop(mr_steal(speech)); /* its note is written behind the wait */
	OK(repo_speech_expire(f->rows->repo, SPEECH_KEPT_MS, 100, &f->e));
	assert_int_equal(number(f->rows, "SELECT count(*) FROM speech"), 1);
	assert_int_equal(number(f->rows, "SELECT count(*) FROM doomed_object"), 1);
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	OK(db_acquire(f->rows->db, &c, &f->e));
	assert_int_equal(db_first(c, "SELECT object_key FROM doomed_object", DB_NO_PARAMS, &rows, &f->e), 1);
	assert_string_equal(db_text(rows, 0), second);
}

int main(int argc, char **argv)
{
	assert(argc == 2);
	task_path = argv[1];
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_sentences_become_wav_files), T(test_what_is_kept_is_not_made_again), T(test_many_sources_at_once),
		T(test_a_wait_ends_in_time),	    T(test_another_provider),		     T(test_an_unknown_voice_fails),
		T(test_what_nobody_wants_expires),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
