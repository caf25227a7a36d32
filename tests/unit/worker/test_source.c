/* worker/source: a task's input from the store and from a local file. */
#include "worker/source.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/task.h"
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
	OK(source_open(&s, f->store, NULL, "uploads/u/a.mp4", &f->e));
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
	OK(source_open(&s, NULL, NULL, path, &f->e));
	assert_int_equal(unlink(path), 0);
	expect_digits(f, &s);
	source_close(&s);
	assert_int_equal(s.fd, -1);
}

static void what_cannot_be_opened_is_told(void **state)
{
	struct worker_fixture *f = *state;
	struct source s = SOURCE_INIT;
	REFUSED(ERR_GONE, source_open(&s, f->store, NULL, "uploads/u/gone.mp4", &f->e));
	CODE("SOURCE_GONE");
	assert_false(f->e.retriable);
	source_close(&s);
	REFUSED(ERR_INVALID, source_open(&s, f->store, NULL, "../secret", &f->e));
	source_close(&s);
	_cleanup_free_ char *path = mr_asprintf("%s/missing.mp4", f->root);
	REFUSED(ERR_NOT_FOUND, source_open(&s, NULL, NULL, path, &f->e));
	assert_non_null(strstr(f->e.message, path));
	source_close(&s);
	REFUSED(ERR_INVALID, source_open(&s, NULL, NULL, f->root, &f->e));
	assert_int_equal(s.fd, -1);
	source_close(&s);
}

static void check_pipe_read(struct worker_fixture *f, struct source *s, uint64_t offset, char want)
{
	static char buf[4096];
	uint32_t got = 0;
	OK(source_read(s, offset, buf, sizeof(buf), &got, &f->e));
	assert_true(got > 0);
	assert_int_equal(buf[0], want);
}

static void write_all(int fd, char c, size_t len)
{
	static char block[1 << 16];
	memset(block, c, sizeof(block));
	for (ssize_t n = 0; len && n >= 0; len -= n > 0 ? (size_t)n : 0)
		n = write(fd, block, len < sizeof(block) ? len : sizeof(block)); /* until nobody reads any more */
}

static void a_short_pipe_is_all_there(void **state)
{
	struct worker_fixture *f = *state;
	int fd[2];
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "0123456789", 10), 10);
	assert_int_equal(close(fd[1]), 0);
	struct source_pipe *p = source_pipe_new(fd[0], NULL);
	for (int i = 0; i < 2; i++) {
		struct source s = SOURCE_INIT;
		OK(source_open(&s, NULL, p, "-", &f->e));
		expect_digits(f, &s);
		source_close(&s);
	}
	source_pipe_free(&p);
	assert_int_equal(close(fd[0]), 0);
}

static void *write_long_pipe(void *fd)
{
	write_all(*(int *)fd, 'a', SOURCE_PIPE_KEPT_BYTES);
	write_all(*(int *)fd, 'b', 1 << 20);
	assert_int_equal(close(*(int *)fd), 0);
	return NULL;
}

static int no_patience(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, ERR_CANCELED, "enough");
}

/* Its beginning can be read again, what follows can't; a probe sees the beginning alone. */
static void a_long_pipe_is_read_once(void **state)
{
	struct worker_fixture *f = *state;
	const uint64_t kept = SOURCE_PIPE_KEPT_BYTES;
	int fd[2];
	pthread_t writer;
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(pthread_create(&writer, NULL, write_long_pipe, &fd[1]), 0);
	struct source_pipe *p = source_pipe_new(fd[0], NULL);
	struct source probe = SOURCE_INIT, s = SOURCE_INIT;
	char byte;
	uint32_t got = 0;
	OK(source_open(&probe, NULL, p, "-", &f->e));
	assert_true(probe.size_bytes == TASK_INPUT_FORWARD);
	probe.probing = true;
	check_pipe_read(f, &probe, 0, 'a');
	check_pipe_read(f, &probe, kept - 1, 'a');
	REFUSED(ERR_MEDIA, source_read(&probe, kept, &byte, 1, &got, &f->e));
	CODE("NOT_STREAMABLE");
	source_close(&probe);
	OK(source_open(&s, NULL, p, "-", &f->e));
	check_pipe_read(f, &s, 5, 'a');
	check_pipe_read(f, &s, kept, 'b');
	REFUSED(ERR_MEDIA, source_read(&s, kept, &byte, 1, &got, &f->e));
	CODE("NOT_STREAMABLE");
	check_pipe_read(f, &s, 0, 'a');
	source_close(&s);
	source_pipe_free(&p);
	assert_int_equal(close(fd[0]), 0);
	assert_int_equal(pthread_join(writer, NULL), 0);
}

static bool yes(void)
{
	return true;
}

static void waiting_for_a_pipe_ends(void **state)
{
	struct worker_fixture *f = *state;
	int fd[2];
	char byte;
	uint32_t got;
	uint64_t size;
	assert_int_equal(pipe(fd), 0);
	struct source_pipe *p = source_pipe_new(fd[0], NULL), *interrupted = source_pipe_new(fd[0], yes);
	REFUSED(ERR_CANCELED, source_pipe_read(p, false, 0, &byte, 1, &got, no_patience, NULL, &f->e));
	REFUSED(ERR_CANCELED, source_pipe_fill(interrupted, &size, &f->e));
	source_pipe_free(&p);
	source_pipe_free(&interrupted);
	assert_int_equal(close(fd[0]) | close(fd[1]), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_object_is_read_by_range),
		T(a_file_is_read_by_range),
		T(what_cannot_be_opened_is_told),
		T(a_short_pipe_is_all_there),
		T(a_long_pipe_is_read_once),
		T(waiting_for_a_pipe_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
