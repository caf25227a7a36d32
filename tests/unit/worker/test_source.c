/* worker/source: a task's input from the store and from a local file. */
#include "worker/source.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker_fixture.h"

static void expect_bytes(struct worker_fixture *f, struct source *s, uint64_t offset, uint32_t len, const char *want)
{
	char buf[64] = "";
	uint32_t got = 77;
	OK(source_read(s, offset, buf, len, &got, &f->e));
	assert_int_equal(got, strlen(want));
	assert_memory_equal(buf, want, got);
}

static void expect_digits(struct worker_fixture *f, struct source *s)
{
	assert_int_equal(s->size_bytes, 10);
	expect_bytes(f, s, 0, 4, "0123");
	expect_bytes(f, s, 7, 64 - 7, "789");
	expect_bytes(f, s, 10, 1, "");
	expect_bytes(f, s, 1ull << 40, 1, "");
}

static void an_object_is_read_by_range(void **state)
{
	struct worker_fixture *f = *state;
	struct source s = SOURCE_INIT;
	put(f, "uploads/u/a.mp4", "0123456789");
	OK(source_open(&s, f->store, "uploads/u/a.mp4", &f->e));
	expect_digits(f, &s);
	/* what is open stays what it was */
	put(f, "uploads/u/a.mp4", "something else, and longer");
	expect_digits(f, &s);
	OK(store_delete(f->store, "uploads/u/a.mp4", &f->e));
	expect_digits(f, &s);
	source_close(&s);
	source_close(&s);
}

static void a_file_is_read_by_range(void **state)
{
	struct worker_fixture *f = *state;
	struct source s = SOURCE_INIT;
	put(f, "film.mp4", "0123456789");
	_cleanup_free_ char *path = mr_asprintf("%s/film.mp4", f->root);
	OK(source_open(&s, NULL, path, &f->e));
	assert_int_equal(unlink(path), 0);
	expect_digits(f, &s);
	source_close(&s);
	assert_int_equal(s.fd, -1);
}

static void what_cannot_be_opened_is_told(void **state)
{
	struct worker_fixture *f = *state;
	struct source s = SOURCE_INIT;
	REFUSED(ERR_GONE, source_open(&s, f->store, "uploads/u/gone.mp4", &f->e));
	CODE("SOURCE_GONE");
	assert_false(f->e.retriable);
	source_close(&s);
	REFUSED(ERR_INVALID, source_open(&s, f->store, "../secret", &f->e));
	source_close(&s);
	_cleanup_free_ char *path = mr_asprintf("%s/missing.mp4", f->root);
	REFUSED(ERR_NOT_FOUND, source_open(&s, NULL, path, &f->e));
	assert_non_null(strstr(f->e.message, path));
	source_close(&s);
	REFUSED(ERR_INVALID, source_open(&s, NULL, f->root, &f->e));
	assert_int_equal(s.fd, -1);
	source_close(&s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_object_is_read_by_range),
		T(a_file_is_read_by_range),
		T(what_cannot_be_opened_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
