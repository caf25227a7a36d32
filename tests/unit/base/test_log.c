/* base/log: what one event looks like on stderr, in both formats, and that lines of many threads never mix.
 *
 * stderr is turned onto a memfd for the length of one event, so that assertions still print where a person sees them.
 */
#include "base/log.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cm.h"
#include "base/clock.h"
#include "base/mem.h"

static char captured[4 << 20];

struct capture {
	int saved;
	int memory;
};

static struct capture capture_begin(void)
{
	struct capture c = { .saved = dup(STDERR_FILENO), .memory = memfd_create("stderr", MFD_CLOEXEC) };
	assert_true(c.saved >= 0 && c.memory >= 0);
	assert_true(dup2(c.memory, STDERR_FILENO) >= 0);
	return c;
}

/* The text written meanwhile, valid until the next capture. */
static const char *capture_end(struct capture c)
{
	int restored = dup2(c.saved, STDERR_FILENO);
	assert_true(restored >= 0);
	ssize_t n = pread(c.memory, captured, sizeof(captured) - 1, 0);
	assert_true(n >= 0);
	captured[n] = '\0';
	(void)close(c.saved);
	(void)close(c.memory);
	return captured;
}

#define CAPTURE(...)                                \
	({                                          \
		struct capture _c = capture_begin(); \
		__VA_ARGS__;                        \
		capture_end(_c);                    \
	})

/* Replaces the time by T, after a look at its form. */
static const char *without_time(const char *line)
{
	static char out[8192];
	const char *digits = line;
	while (*digits && (*digits < '0' || *digits > '9'))
		digits++;
	assert_true(strlen(digits) > ISO8601_SIZE);
	assert_int_equal(digits[10], 'T');
	assert_int_equal(digits[ISO8601_SIZE - 2], 'Z');
	(void)snprintf(out, sizeof(out), "%.*sT%s", (int)(digits - line), line, digits + ISO8601_SIZE - 1);
	return out;
}

static void logfmt(void **state)
{
	(void)state;
	log_setup(LOG_INFO, false);
	const char *line = CAPTURE(log_info("segment_stored", LOG_S("job", "018f"), LOG_I("index", 4), LOG_F("speed", 8.4)));
	assert_string_equal(without_time(line), "ts=T level=info event=segment_stored job=018f index=4 speed=8.400\n");
	line = CAPTURE(log_warn("bare"));
	assert_string_equal(without_time(line), "ts=T level=warn event=bare\n");
	line = CAPTURE(log_error("numbers", LOG_I("min", INT64_MIN), LOG_I("max", INT64_MAX)));
	assert_string_equal(without_time(line),
			    "ts=T level=error event=numbers min=-9223372036854775808 max=9223372036854775807\n");
}

static void hostile_values_stay_one_value(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		const char *shown;
	} cases[] = {
		{ "plain/path-1.mp4", "plain/path-1.mp4" },
		{ "", "\"\"" },
		{ NULL, "\"\"" },
		{ "two words", "\"two words\"" },
		{ "a=b", "\"a=b\"" },
		{ "say \"hi\"", "\"say \\\"hi\\\"\"" },
		{ "back\\slash", "\"back\\\\slash\"" },
		{ "x\nts=2026 level=error event=forged", "\"x\\nts=2026 level=error event=forged\"" },
		{ "\x1b[31mred", "\"\\u001b[31mred\"" },
		{ "caf\xc3\xa9", "\"caf\xc3\xa9\"" },
		{ "\xff", "\"\xef\xbf\xbd\"" },
	};
	log_setup(LOG_INFO, false);
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *want = mr_asprintf("ts=T level=info event=e v=%s\n", cases[i].shown);
		assert_string_equal(without_time(CAPTURE(log_info("e", LOG_S("v", cases[i].value)))), want);
	}
}

static void json_lines(void **state)
{
	(void)state;
	log_setup(LOG_INFO, true);
	const char *line = CAPTURE(log_info("job_done", LOG_S("job", "a\"b\n"), LOG_I("ms", -3), LOG_F("speed", 0.5),
					    LOG_S("none", NULL)));
	assert_string_equal(without_time(line), "{\"ts\":\"T\",\"level\":\"info\",\"event\":\"job_done\",\"job\":\"a\\\"b\\n\","
						"\"ms\":-3,\"speed\":0.500,\"none\":\"\"}\n");
	/* JSON has no word for these. */
	line = CAPTURE(log_info("e", LOG_F("a", NAN), LOG_F("b", INFINITY)));
	assert_string_equal(without_time(line), "{\"ts\":\"T\",\"level\":\"info\",\"event\":\"e\",\"a\":null,\"b\":null}\n");
	log_setup(LOG_INFO, false);
}

static void errors_as_fields(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(err_set(&e, ERR_IO, "put: HTTP 503"), -ERR_IO);
	assert_string_equal(without_time(CAPTURE(log_error("publish_failed", LOG_E(&e)))),
			    "ts=T level=error event=publish_failed code=IO_ERROR error=\"put: HTTP 503\"\n");
}

static void levels(void **state)
{
	(void)state;
	static const char *const names[] = { "debug", "info", "warn", "error" };
	for (int min = LOG_DEBUG; min <= LOG_ERROR; min++) {
		enum log_level parsed = LOG_DEBUG;
		assert_true(log_level_parse(names[min], &parsed));
		assert_int_equal(parsed, min);
		log_setup(parsed, false);
		for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
			const char *line = CAPTURE(log_at((enum log_level)level, "e"));
			if (level < min)
				assert_string_equal(line, "");
			else
				assert_non_null(strstr(line, names[level]));
		}
	}
	log_setup(LOG_INFO, false);
	enum log_level untouched = LOG_WARN;
	assert_false(log_level_parse("INFO", &untouched));
	assert_false(log_level_parse("", &untouched));
	assert_false(log_level_parse("information", &untouched));
	assert_int_equal(untouched, LOG_WARN);
}

static void long_lines_lose_whole_fields(void **state)
{
	(void)state;
	char big[5000];
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_setup(LOG_INFO, false);
	assert_string_equal(without_time(CAPTURE(log_info("e", LOG_S("big", big), LOG_I("after", 1)))),
			    "ts=T level=info event=e after=1\n");
	log_setup(LOG_INFO, true);
	assert_string_equal(without_time(CAPTURE(log_info("e", LOG_S("big", big), LOG_I("after", 1)))),
			    "{\"ts\":\"T\",\"level\":\"info\",\"event\":\"e\",\"after\":1}\n");
	log_setup(LOG_INFO, false);
	for (size_t len = 3900; len < 4200; len++) {
		big[len] = '\0';
		const char *line = CAPTURE(log_info("e", LOG_S("v", big)));
		assert_true(strlen(line) <= 4096 + 2);
		assert_int_equal(line[strlen(line) - 1], '\n');
		big[len] = 'x';
	}
}

enum { THREADS = 8, LINES = 500 };

static void *write_lines(void *arg)
{
	const char *who = arg;
	for (int i = 0; i < LINES; i++)
		log_info("tick", LOG_S("who", who), LOG_S("pad", "............................................"),
			 LOG_S("again", who));
	return NULL;
}

static void lines_of_threads_never_mix(void **state)
{
	(void)state;
	static char names[THREADS][8];
	pthread_t threads[THREADS];
	int started = 0;
	/* O_APPEND, as a log file has it: without it two writers of one file may overwrite each other. */
	char path[] = "/tmp/millrace-test-log-XXXXXX";
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	int saved = dup(STDERR_FILENO);
	assert_true(saved >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	for (; started < THREADS; started++) {
		(void)snprintf(names[started], sizeof(names[started]), "t%d", started);
		if (pthread_create(&threads[started], NULL, write_lines, names[started]) != 0)
			break;
	}
	for (int t = 0; t < started; t++)
		(void)pthread_join(threads[t], NULL);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	assert_int_equal(started, THREADS);

	_cleanup_free_ char *text = mr_calloc(1, sizeof(captured));
	ssize_t n = pread(fd, text, sizeof(captured) - 1, 0);
	assert_true(n > 0);
	(void)close(fd);
	(void)unlink(path);
	int count[THREADS] = { 0 };
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n")) && *line;) {
		char *mark = strstr(line, "who=t");
		assert_non_null(mark);
		int who = mark[5] - '0';
		assert_in_range(who, 0, THREADS - 1);
		char want[160];
		(void)snprintf(want, sizeof(want), "who=t%d pad=............................................ again=t%d", who, who);
		assert_string_equal(mark, want);
		count[who]++;
	}
	for (int t = 0; t < THREADS; t++)
		assert_int_equal(count[t], LINES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logfmt),
		cmocka_unit_test(hostile_values_stay_one_value),
		cmocka_unit_test(json_lines),
		cmocka_unit_test(errors_as_fields),
		cmocka_unit_test(levels),
		cmocka_unit_test(long_lines_lose_whole_fields),
		cmocka_unit_test(lines_of_threads_never_mix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
