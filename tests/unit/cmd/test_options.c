/* cmd/options: where a value comes from when several places have one, and what is said of wrong ones. */
#include "cmd/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/cm.h"
#include "base/mem.h"

static const struct option_def defs[] = {
	{ "config", "FILE", NULL, "read options from FILE" },
	{ "listen", "HOST:PORT", "127.0.0.1:8080", "address" },
	{ "max-size", "N", "100", "largest" },
	{ "insecure", NULL, NULL, "a switch" },
	{ "origin", "ORIGIN", NULL, "allowed", .repeats = true },
	{ "key", "TEXT", "a b", "keys", .repeats = true, .secret = true },
};

static struct options o;
static struct err e;
static char config[64];

static int setup(void **state)
{
	(void)state;
	memset(&o, 0, sizeof(o));
	memset(&e, 0, sizeof(e));
	config[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	options_release(&o);
	if (config[0])
		(void)unlink(config);
	static const char *const names[] = { "CONFIG", "LISTEN", "MAX_SIZE", "INSECURE", "ORIGIN", "KEY" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *name = mr_asprintf("MILLRACE_%s", names[i]);
		(void)unsetenv(name);
	}
	return 0;
}

static void env(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

/* A configuration file, found through the environment. */
static void file(const char *text)
{
	(void)snprintf(config, sizeof(config), "%s", "/tmp/millrace-options-XXXXXX");
	int fd = mkstemp(config);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
	env("MILLRACE_CONFIG", config);
}

static int parse_list(const char *const *list)
{
	char *argv[64] = { mr_strdup("millrace") };
	int argc = 1;
	while (list[argc - 1]) {
		argv[argc] = mr_strdup(list[argc - 1]);
		argc++;
	}
	int r = options_parse(&o, defs, MR_ARRAY_SIZE(defs), argc, argv, &e);
	while (argc)
		free(argv[--argc]);
	return r;
}
#define PARSE(...) parse_list((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static void parsed(int r)
{
	if (r < 0)
		fail_msg("%s", e.message);
}

static void refused(int r, const char *part)
{
	assert_int_equal(r, -ERR_INVALID);
	if (!strstr(e.message, part))
		fail_msg("\"%s\" doesn't say \"%s\"", e.message, part);
}

static void the_first_place_wins(void **state)
{
	(void)state;
	parsed(PARSE());
	assert_string_equal(options_get(&o, "listen"), "127.0.0.1:8080");
	options_release(&o);
	setup(NULL);
	file("listen = file:1\n");
	parsed(PARSE());
	assert_string_equal(options_get(&o, "listen"), "file:1");
	options_release(&o);
	memset(&o, 0, sizeof(o));
	env("MILLRACE_LISTEN", "environment:2");
	parsed(PARSE());
	assert_string_equal(options_get(&o, "listen"), "environment:2");
	options_release(&o);
	memset(&o, 0, sizeof(o));
	parsed(PARSE("--listen", "command:3"));
	assert_string_equal(options_get(&o, "listen"), "command:3");
}

static void an_empty_variable_says_nothing(void **state)
{
	(void)state;
	env("MILLRACE_LISTEN", "");
	parsed(PARSE());
	assert_string_equal(options_get(&o, "listen"), "127.0.0.1:8080");
}

static void both_forms_and_the_last_one_given(void **state)
{
	(void)state;
	parsed(PARSE("--listen=a:1", "--listen", "b:2", "--max-size=", "film.mp4", "-", "--insecure", "out"));
	assert_string_equal(options_get(&o, "listen"), "b:2");
	assert_int_equal(options_all(&o, "listen")->count, 1);
	assert_string_equal(options_get(&o, "max-size"), "");
	assert_int_equal(o.argument_count, 3);
	assert_string_equal(o.arguments[0], "film.mp4");
	assert_string_equal(o.arguments[1], "-");
	assert_string_equal(o.arguments[2], "out");
	assert_true(options_flag(&o, "insecure"));
	assert_false(o.help);
}

static void what_repeats_is_a_list_from_one_place(void **state)
{
	(void)state;
	env("MILLRACE_KEY", "  one\ttwo  three ");
	file("origin = x y\norigin = z\nkey = not-taken\n");
	parsed(PARSE());
	const struct option_values *v = options_all(&o, "key");
	assert_int_equal(v->count, 3);
	assert_string_equal(v->v[0], "one");
	assert_string_equal(v->v[2], "three");
	v = options_all(&o, "origin");
	assert_int_equal(v->count, 3);
	assert_string_equal(v->v[2], "z");
	options_release(&o);
	memset(&o, 0, sizeof(o));
	/* on the command line a blank is part of the value */
	parsed(PARSE("--key", "a b", "--key=c"));
	v = options_all(&o, "key");
	assert_int_equal(v->count, 2);
	assert_string_equal(v->v[0], "a b");
	assert_string_equal(options_get(&o, "key"), "c");
	options_release(&o);
	memset(&o, 0, sizeof(o));
	(void)unsetenv("MILLRACE_KEY");
	(void)unsetenv("MILLRACE_CONFIG");
	parsed(PARSE());
	assert_int_equal(options_all(&o, "key")->count, 2); /* the default's */
}

static void too_many_of_one(void **state)
{
	(void)state;
	char text[3 * OPTION_VALUES_MAX + 4] = "";
	for (int i = 0; i <= OPTION_VALUES_MAX; i++)
		memcpy(text + 2 * i, "k ", 3);
	env("MILLRACE_ORIGIN", text);
	refused(PARSE(), "origin: at most 32");
}

static void too_many_arguments(void **state)
{
	(void)state;
	refused(PARSE("1", "2", "3", "4", "5", "6", "7", "8", "9"), "too many arguments");
}

static void switches(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		bool on;
	} t[] = { { "yes", true }, { "true", true }, { "1", true }, { "on", true }, { "no", false }, { "0", false } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		env("MILLRACE_INSECURE", t[i].value);
		parsed(PARSE());
		if (options_flag(&o, "insecure") != t[i].on)
			fail_msg("%s", t[i].value);
		options_release(&o);
		memset(&o, 0, sizeof(o));
	}
	/* a switch takes no word after it */
	(void)unsetenv("MILLRACE_INSECURE");
	parsed(PARSE("--insecure", "no"));
	assert_true(options_flag(&o, "insecure"));
	assert_int_equal(o.argument_count, 1);
}

static void wrong_ones_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *argument, *part;
	} t[] = {
		{ "--lisen=x", "--lisen: there is no such option" },
		{ "--listenx", "--listenx: there" },
		{ "--liste", "--liste: there" },
		{ "--listen", "--listen: its value (HOST:PORT) is missing" },
		{ "--=x", "there is no such option" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		refused(PARSE(t[i].argument), t[i].part);
		options_release(&o);
		memset(&o, 0, sizeof(o));
	}
}

static void help_is_asked_for(void **state)
{
	(void)state;
	parsed(PARSE("-h"));
	assert_true(o.help);
	options_release(&o);
	memset(&o, 0, sizeof(o));
	parsed(PARSE("x", "--help"));
	assert_true(o.help);
}

static void a_file_has_blanks_and_comments(void **state)
{
	(void)state;
	file("# a comment\n\n  \t\n  listen=[::1]:80 \r\n\tmax-size\t=  7\ninsecure = on");
	parsed(PARSE());
	assert_string_equal(options_get(&o, "listen"), "[::1]:80");
	assert_string_equal(options_get(&o, "max-size"), "7");
	assert_true(options_flag(&o, "insecure"));
}

static void a_files_mistake_has_a_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *part;
	} t[] = {
		{ "listen = a\n\nlisten\n", ":3: expected NAME = VALUE" },
		{ "lisen = a\n", ":1: there is no option \"lisen\"" },
		{ "# x\n = a\n", ":2: there is no option \"\"" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		file(t[i].text);
		refused(PARSE(), t[i].part);
		assert_non_null(strstr(e.message, config));
		(void)unlink(config);
		options_release(&o);
		memset(&o, 0, sizeof(o));
	}
}

static void a_file_that_is_not_there(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--config", "/nowhere/millrace.conf"), -ERR_NOT_FOUND);
	assert_non_null(strstr(e.message, "configuration: "));
	assert_non_null(strstr(e.message, "/nowhere/millrace.conf"));
}

static void numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool good;
		uint64_t value;
	} t[] = {
		{ "5", true, 5 },    { "0005", true, 5 }, { "100", true, 100 }, { "4", false, 0 },
		{ "101", false, 0 }, { "", false, 0 },	  { " 5", false, 0 },	{ "5 ", false, 0 },
		{ "+5", false, 0 },  { "-5", false, 0 },  { "0x10", false, 0 }, { "5.0", false, 0 },
		{ "five", false, 0 }, { "99999999999999999999999", false, 0 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		uint64_t v = 77;
		parsed(PARSE("--max-size", t[i].text));
		int r = options_number(&o, "max-size", 5, 100, &v, &e);
		if ((r == 0) != t[i].good || v != (t[i].good ? t[i].value : 77))
			fail_msg("\"%s\": %d, %llu", t[i].text, r, (unsigned long long)v);
		if (!t[i].good)
			refused(r, "--max-size: expected a number from 5 to 100");
		options_release(&o);
		memset(&o, 0, sizeof(o));
	}
	parsed(PARSE());
	uint64_t v;
	refused(options_number(&o, "config", 0, 1, &v, &e), "--config"); /* not given at all */
}

static void the_help_lists_all(void **state)
{
	(void)state;
	char text[4096] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");
	assert_non_null(out);
	options_print_help(out, defs, MR_ARRAY_SIZE(defs));
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(defs); i++)
		if (!strstr(text, defs[i].name))
			fail_msg("--%s is not in the help", defs[i].name);
	assert_non_null(strstr(text, "--listen HOST:PORT"));
	assert_non_null(strstr(text, "(default: 127.0.0.1:8080)"));
	assert_non_null(strstr(text, "allowed; may be repeated"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_first_place_wins),
		T(an_empty_variable_says_nothing),
		T(both_forms_and_the_last_one_given),
		T(what_repeats_is_a_list_from_one_place),
		T(too_many_of_one),
		T(too_many_arguments),
		T(switches),
		T(wrong_ones_are_named),
		T(help_is_asked_for),
		T(a_file_has_blanks_and_comments),
		T(a_files_mistake_has_a_line),
		T(a_file_that_is_not_there),
		T(numbers),
		T(the_help_lists_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
