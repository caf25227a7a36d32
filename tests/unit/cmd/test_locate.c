/* cmd/locate and cmd/backends: finding the task's executable; opening what a command stands on, and giving it back after a
 * failure anywhere. */
#include "cmd/locate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cm.h"
#include "../base/folder.h"
#include "base/mem.h"
#include "cmd/backends.h"

static void the_one_that_is_given(void **state)
{
	(void)state;
	struct err e = { 0 };
	char *path = NULL;
	assert_int_equal(locate_task("/bin/sh", &path, &e), 0);
	assert_string_equal(path, "/bin/sh");
	free(path);
	path = NULL;
	assert_int_equal(locate_task("/etc/passwd", &path, &e), -ERR_NOT_FOUND);
	assert_non_null(strstr(e.message, "--task: /etc/passwd"));
	assert_null(path);
}

static void one_beside_this_program(void **state)
{
	(void)state;
	struct err e = { 0 };
	char self[4096], *path = NULL;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(n > 0);
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	_cleanup_free_ char *beside = mr_asprintf("%s/millrace-task", self);
	(void)unlink(beside);
	int without = locate_task(NULL, &path, &e);
	if (without == 0) /* one is installed on this machine */
		assert_string_not_equal(path, beside);
	else
		assert_non_null(strstr(e.message, "(see --task)"));
	free(path);
	path = NULL;
	assert_int_equal(symlink("/bin/true", beside), 0);
	int with = locate_task("", &path, &e);
	(void)unlink(beside);
	assert_int_equal(with, 0);
	assert_string_equal(path, beside);
	free(path);
}

static void backends_open_and_close(void **state)
{
	(void)state;
	struct err e = { 0 };
	char root[] = "/tmp/millrace-backends-XXXXXX";
	assert_non_null(mkdtemp(root));
	_cleanup_free_ char *url = mr_asprintf("sqlite:%s/m.db", root), *folder = mr_asprintf("%s/store", root);
	const struct backends_opts good = { .database = url, .folder = { .root = folder } };
	struct backends b = { 0 };
	if (backends_open(&b, &good, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(store_put(b.store, "a/b", "x", 1, NULL, NULL, &e), 0);
	backends_close(&b);
	assert_null(b.db);
	/* each part that may fail, with what was opened before it */
	_cleanup_free_ char *in_the_way = mr_asprintf("%s/m.db", root);
	static const char *const urls[] = { "sqlite:/nowhere/m.db", "oracle:x" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(urls); i++) {
		struct backends_opts opts = good;
		opts.database = urls[i];
		assert_true(backends_open(&b, &opts, &e) < 0);
		backends_close(&b);
	}
	assert_true(backends_open(&b, &(struct backends_opts){ .database = url, .folder = { .root = in_the_way } }, &e) < 0);
	assert_non_null(b.repo);
	backends_close(&b);
	assert_null(b.repo);
	assert_int_equal(folder_remove(root), 0);
}

static void the_logs_level_is_one_of_four(void **state)
{
	(void)state;
	static const struct option_def defs[] = { { "log-level", "LEVEL", "info", "" } };
	struct err e = { 0 };
	char program[] = "millrace", good[] = "--log-level=warn", bad[] = "--log-level=loud";
	char *argv[] = { program, good };
	struct options o = { 0 };
	assert_int_equal(options_parse(&o, defs, 1, 2, argv, &e), 0);
	assert_int_equal(setup_log(&o, false, &e), 0);
	options_release(&o);
	memset(&o, 0, sizeof(o));
	argv[1] = bad;
	assert_int_equal(options_parse(&o, defs, 1, 2, argv, &e), 0);
	assert_int_equal(setup_log(&o, false, &e), -ERR_INVALID);
	assert_non_null(strstr(e.message, "--log-level"));
	options_release(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_one_that_is_given),
		cmocka_unit_test(one_beside_this_program),
		cmocka_unit_test(backends_open_and_close),
		cmocka_unit_test(the_logs_level_is_one_of_four),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
