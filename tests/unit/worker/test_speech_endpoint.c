/* Speech from an endpoint like OpenAI's (tests/scenario/speech_server.py), with what goes wrong there. Arguments: millrace-task,
 * Python and the server. */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/cm.h"
#include "net/fetch.h"
#include "worker/speech.h"
#include "worker_fixture.h"

#define KEY "sk-very-secret"

static const char *task_path, *python, *server_script;
static struct zygote *zygote;
static struct speech_config *config;
static struct speech *speech;
static pid_t server;
static int port, server_stdin = -1;

static void start_server(void)
{
	int out[2], in[2];
	char line[16] = { 0 };
	posix_spawn_file_actions_t actions;
	char *const argv[] = { mr_strdup(python), mr_strdup(server_script), mr_strdup("--key"), mr_strdup(KEY), NULL };
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO), 0);
	assert_int_equal(posix_spawn(&server, python, &actions, NULL, argv, environ), 0);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(out[1]);
	(void)close(in[0]);
	server_stdin = in[1]; /* closed by our end, however we end: then it ends too */
	for (size_t n = 0; n < sizeof(line) - 1 && (!n || line[n - 1] != '\n'); n++)
		assert_int_equal(read(out[0], &line[n], 1), 1);
	(void)close(out[0]);
	port = (int)strtol(line, NULL, 10);
	for (size_t i = 0; argv[i]; i++)
		free(argv[i]);
}

static void stop_server(void)
{
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	(void)close(server_stdin);
}

static void start_speech(struct worker_fixture *f, const char *host, const char *parameters)
{
	_cleanup_free_ char *text = mr_asprintf("openai+http://%s:%d/v1?%s", host, port, parameters);
	OK(speech_config_parse(text, KEY, &config, &f->e));
	OK(speech_start(&(struct speech_opts){ config, f->rows->repo, f->store, zygote }, &speech, &f->e));
}

static void stop_speech(void)
{
	speech_stop(mr_steal(speech));
	speech_config_free(mr_steal(config));
}

static int setup(void **state)
{
	(void)worker_fixture_setup(state);
	struct worker_fixture *f = *state;
	OK(zygote_start(task_path, &zygote, &f->e));
	start_server();
	return 0;
}

static int teardown(void **state)
{
	if (speech)
		stop_speech();
	zygote_stop(zygote);
	stop_server();
	return worker_fixture_teardown(state);
}

static struct speech_source *open_script(struct worker_fixture *f, const char *text)
{
	struct script s;
	struct speech_source *source = NULL;
	OK(script_parse(text, strlen(text), &s, &f->e));
	OK(speech_source_open(speech, &(struct speech_order){ "u", config->provider, "alloy", &s }, &source, &f->e));
	script_release(&s);
	return source;
}

static void expect_sound(struct worker_fixture *f, struct speech_source *source, uint32_t n)
{
	_cleanup_free_ char *key = NULL;
	uint64_t bytes = 0;
	OK(speech_source_wait(source, n, WAIT_MS, &key, &bytes, &f->e));
	assert_true(bytes > 1000);
	assert_true(stored(f, key));
}

static void expect_failure(struct worker_fixture *f, const char *text, const char *code, bool retriable, const char *message)
{
	char *key;
	uint64_t bytes;
	struct speech_source *source = open_script(f, text);
	assert_int_equal(speech_source_wait(source, 0, WAIT_MS, &key, &bytes, &f->e), -ERR_PROTOCOL);
	assert_string_equal(err_code(&f->e), code);
	assert_int_equal(f->e.retriable, retriable);
	if (!strstr(f->e.message, message))
		fail_msg("\"%s\" doesn't say \"%s\"", f->e.message, message);
	assert_null(strstr(f->e.message, KEY));
	speech_source_close(source);
}

/* What the server counted for a sentence. */
static long stat_of(struct worker_fixture *f, const char *list, const char *sentence)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1 << 20);
	_cleanup_free_ char *url = mr_asprintf("http://127.0.0.1:%d/stats", port), *name = mr_asprintf("\"%s\": ", sentence);
	OK(net_fetch(url, 10, &b, &f->e));
	char *at = strstr(b.data, list), *end = at ? strchr(at, '}') : NULL;
	assert_non_null(end);
	at = strstr(at, name);
	return at && at < end ? strtol(at + strlen(name), NULL, 10) : 0;
}

static void test_sounds_of_every_format(void **state)
{
	static const char *const formats[] = { "mp3", "wav", "flac", "opus", "aac" };
	struct worker_fixture *f = *state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(formats); i++) {
		_cleanup_free_ char *parameters = mr_asprintf("format=%s&concurrency=2", formats[i]);
		start_speech(f, "127.0.0.1", parameters);
		struct speech_source *source = open_script(f, "Breathe \"in\", \u00e9t\u00e9. Out. Breathe \"in\", \u00e9t\u00e9.");
		for (uint32_t n = 0; n < 3; n++)
			expect_sound(f, source, n);
		speech_source_close(source);
		assert_int_equal(stat_of(f, "spoken", "Out."), i + 1);
		assert_int_equal(stat_of(f, "asked", "Out."), i + 1); /* another format is another sound */
		stop_speech();
	}
	start_speech(f, "127.0.0.1", "format=wav");
	struct speech_source *source = open_script(f, "Out.");
	expect_sound(f, source, 0);
	speech_source_close(source);
	assert_int_equal(stat_of(f, "asked", "Out."), MR_ARRAY_SIZE(formats)); /* it was kept */
}

static void test_what_passes_is_tried_again(void **state)
{
	static const char *const words[] = { "Fail500.", "Fail429.", "Reset.", "Cut.", "Cutchunked.", "Html.",
					     "Empty.",	 "Noise.",   "Slow." };
	struct worker_fixture *f = *state;
	/* In time for all but "Slow.", on a busy machine as well; WAV needs no encoder. */
	start_speech(f, "127.0.0.1", "timeout=12&concurrency=9&format=wav");
	struct speech_source *source = open_script(f, "Fail500. Fail429. Reset. Cut. Cutchunked. Html. Empty. Noise. Slow. Good.");
	for (uint32_t n = 0; n < MR_ARRAY_SIZE(words); n++) {
		expect_sound(f, source, n);
		assert_int_equal(stat_of(f, "asked", words[n]), 2);
	}
	expect_sound(f, source, MR_ARRAY_SIZE(words));
	assert_int_equal(stat_of(f, "asked", "Good."), 1);
	speech_source_close(source);
}

static void test_what_is_final(void **state)
{
	struct worker_fixture *f = *state;
	start_speech(f, "127.0.0.1", "");
	expect_failure(f, "Always400.", "SPEECH_REFUSED", false, "400: The voice is not supported");
	expect_failure(f, "Always401.", "SPEECH_REFUSED", false, "401: Incorrect API key provided: Bearer ****");
	expect_failure(f, "Noquota.", "SPEECH_REFUSED", false, "429: You exceeded");
	expect_failure(f, "Always302.", "SPEECH_REFUSED", false, "302");
	assert_int_equal(stat_of(f, "asked", "Always400."), 1);
	assert_int_equal(stat_of(f, "asked", "Always302."), 1);
	/* a source that fails leaves others alone */
	struct speech_source *source = open_script(f, "Good.");
	expect_sound(f, source, 0);
	speech_source_close(source);
}

static void test_an_endpoint_that_is_down(void **state)
{
	struct worker_fixture *f = *state;
	stop_server(); /* nobody has its port now */
	start_speech(f, "127.0.0.1", "");
	log_catch(f);
	struct speech_source *source = open_script(f, "Good.");
	log_wait(f, "speech_again");
	log_wait(f, "speech_again");
	char *key;
	uint64_t bytes;
	assert_int_equal(speech_source_wait(source, 0, 0, &key, &bytes, &f->e), -ERR_TIMEOUT);
	speech_interrupt(speech); /* ends the rest between two tries */
	assert_int_equal(speech_source_wait(source, 0, WAIT_MS, &key, &bytes, &f->e), -ERR_CANCELED);
	speech_source_close(source);
	start_server();
}

static void test_requests_at_once(void **state)
{
	struct worker_fixture *f = *state;
	start_speech(f, "127.0.0.1", "concurrency=3&format=wav");
	struct speech_source *sources[4];
	for (size_t i = 0; i < MR_ARRAY_SIZE(sources); i++)
		sources[i] = open_script(f, "One. Two. Three. Four. Five. Six. Seven. Eight. Nine. Ten.");
	for (size_t i = 0; i < MR_ARRAY_SIZE(sources); i++) {
		for (uint32_t n = 0; n < 10; n++)
			expect_sound(f, sources[i], n);
		speech_source_close(sources[i]);
	}
	assert_int_equal(stat_of(f, "asked", "One."), 1);
	assert_int_equal(stat_of(f, "asked", "Ten."), 1);
	assert_in_range(stat_of(f, "at_once", "at_once"), 0, 3);
}

int main(int argc, char **argv)
{
	assert(argc == 4);
	task_path = argv[1];
	python = argv[2];
	server_script = argv[3];
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_sounds_of_every_format),	  T(test_what_passes_is_tried_again), T(test_what_is_final),
		T(test_an_endpoint_that_is_down), T(test_requests_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
