/* os/fd: whole reads and writes, small files, directories. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cm.h"
#include "os/fd.h"

static void read_ends(void **state)
{
	(void)state;
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct err e;
	assert_int_equal(fd_write_full(p[1], "abcdef", 6, &e), 0);
	fd_close(&p[1]);
	assert_int_equal(p[1], -1);
	char got[4];
	assert_int_equal(fd_read_full(p[0], got, 4, &e), 0);
	assert_memory_equal(got, "abcd", 4);
	assert_int_equal(fd_read_full(p[0], got, 4, &e), -ERR_IO); /* in the middle */
	assert_int_equal(fd_read_full(p[0], got, 4, &e), -ERR_LOST); /* before the first byte */
	assert_int_equal(fd_read_full(p[0], got, 0, &e), 0);
	fd_close(&p[0]);
	errno = 77;
	fd_close(&p[0]);
	assert_int_equal(errno, 77);
}

static void write_to_closed_peer_is_lost(void **state)
{
	(void)state;
	int s[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	fd_close(&s[1]);
	struct err e;
	assert_int_equal(fd_write_full(s[0], "x", 1, &e), -ERR_LOST); /* and no SIGPIPE */
	int fd = fd_steal(s[0]);
	assert_int_equal(s[0], -1);
	fd_close(&fd);
	assert_int_equal(fd_write_full(-1, "x", 1, NULL), -ERR_IO);
}

static void make_dir(char dir[32])
{
	(void)snprintf(dir, 32, "/tmp/mr-fd-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static void files_and_directories(void **state)
{
	(void)state;
	char dir[32], path[96];
	make_dir(dir);
	struct err e;
	(void)snprintf(path, sizeof(path), "%s/a/b//c/", dir);
	assert_int_equal(dir_make(path, 0700, &e), 0);
	assert_int_equal(dir_make(path, 0700, &e), 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));

	(void)snprintf(path, sizeof(path), "%s/a/file", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, "0123456789", 10, &e), 0);
	fd_close(&fd);
	char *text = NULL;
	size_t len = 0;
	assert_int_equal(file_read_all(path, 10, &text, &len, &e), 0);
	assert_int_equal(len, 10);
	assert_string_equal(text, "0123456789");
	free(text);
	text = NULL;
	assert_int_equal(file_read_all(path, 9, &text, NULL, &e), -ERR_TOO_LARGE);
	assert_int_equal(file_read_all(dir, 9, &text, NULL, &e), -ERR_IO); /* a directory */
	assert_null(text);
	(void)snprintf(path, sizeof(path), "%s/a/file/d", dir);
	assert_true(dir_make(path, 0700, &e) < 0);
	assert_non_null(strstr(e.message, "Not a directory"));
	assert_int_equal(file_read_all(path, 9, &text, NULL, &e), -ERR_NOT_FOUND);
	assert_int_equal(dir_make("", 0700, &e), -ERR_INVALID);

	const char *const gone[] = { "a/file", "a/b/c", "a/b", "a", "" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(gone); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, gone[i]);
		assert_int_equal(remove(path), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_ends),
		cmocka_unit_test(write_to_closed_peer_is_lost),
		cmocka_unit_test(files_and_directories),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
