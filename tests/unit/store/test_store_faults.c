/* What goes wrong outside: a full disk, a file-size limit, kill -9 at any moment, a kernel without openat2, a file
 * system without extended attributes. Nothing half done may be seen, and nothing left behind that a sweep does not
 * remove.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "store_fixture.h"

/* Runs `fn` in a child, so that limits, mounts and filters end with it; its exit status: 0 passed, SKIP, else failed.
 */
#define SKIP 77

static int in_child(int (*fn)(struct fixture *f), struct fixture *f)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(f));
	int status;
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* For children: a failed check is their exit status, the line it is in being printed. */
#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                          \
			return 1;                                                                                      \
		}                                                                                                      \
	} while (0)

static void run_child(int (*fn)(struct fixture *f), struct fixture *f)
{
	int status = in_child(fn, f);
	if (status == SKIP)
		skip();
	assert_int_equal(status, 0);
}

static int put_until_full(struct fixture *f, enum err_kind kind)
{
	static char block[64 << 10];
	struct err e = { 0 };
	struct store_put *p;
	CHECK(store_put_begin(f->store, "k/new", NULL, &p, &e) == 0);
	int r = 0;
	for (int i = 0; r == 0 && i < 1000; i++)
		r = store_put_write(p, block, sizeof(block), &e);
	CHECK(r == -(int)kind && e.kind == kind);
	/* Whoever does not look at the write's result finds out at the end. */
	CHECK(store_put_write(p, block, 1, &e) == -(int)kind);
	CHECK(store_put_finish(p, NULL, NULL, &e) == -(int)kind);
	CHECK(strncmp(e.message, "put k/new: ", 11) == 0 && !strstr(e.message + 1, "put k/new: "));
	CHECK(fixture_temps(f) == 0);
	CHECK(!fixture_exists(f, "k/new"));
	return 0;
}

static int file_size_limited(struct fixture *f)
{
	CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	const struct rlimit limit = { 1 << 20, 1 << 20 };
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	return put_until_full(f, ERR_TOO_LARGE);
}

/* Also the way to a short write: the one that reaches the limit writes less than it was given. */
static void test_file_size_limit(void **state)
{
	run_child(file_size_limited, *state);
}

static bool mount_here(const char *path, const char *type, const char *options)
{
	/* A user namespace lets an ordinary user mount in a namespace of its own; root does without. */
	if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) < 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("none", path, type, 0, options) == 0;
}

static int disk_full(struct fixture *f)
{
	if (!mount_here(f->root, "tmpfs", "size=1m"))
		return SKIP;
	struct err e = { 0 };
	store_close(f->store);
	CHECK(store_open_local(&(struct store_local_opts) { .root = f->root }, &f->store, &e) == 0);
	CHECK(store_put(f->store, "k/old", "old", 3, NULL, NULL, &e) == 0);
	CHECK(put_until_full(f, ERR_NO_SPACE) == 0);
	CHECK(e.kind == 0 && fixture_exists(f, "k/old"));
	/* Full means: but for what the database beside it needs. */
	static char small[16 << 10];
	struct statvfs fs;
	int r = 0;
	for (int i = 0; r == 0 && i < 100; i++) {
		char key[32];
		(void)snprintf(key, sizeof(key), "fill/%d", i);
		r = store_put(f->store, key, small, sizeof(small), NULL, NULL, &e);
	}
	CHECK(r == -ERR_NO_SPACE && statvfs(f->root, &fs) == 0 && fs.f_bavail * fs.f_frsize >= 32 << 10);
	CHECK(store_delete_prefix(f->store, "fill", &e) == 0);
	/* A multipart part, and one whose object does not fit beside it. */
	static char part_bytes[600 << 10];
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_part part, none;
	struct store_info info;
	CHECK(store_multipart_begin(f->store, "k/m", NULL, id, &e) == 0);
	CHECK(store_multipart_put(f->store, "k/m", id, 1, part_bytes, sizeof(part_bytes), &part, &e) == 0);
	CHECK(store_multipart_put(f->store, "k/m", id, 2, part_bytes, sizeof(part_bytes), &none, &e) == -ERR_NO_SPACE);
	CHECK(store_multipart_complete(f->store, "k/m", id, &part, 1, &info, &e) == -ERR_NO_SPACE);
	CHECK(e.retriable && fixture_temps(f) == 0 && !fixture_exists(f, "k/m"));
	size_t count;
	CHECK(store_multipart_list(f->store, "k/m", id, &none, 1, &count, &e) == 0 && count == 1);
	/* With room again, everything works as if nothing had been. */
	CHECK(store_multipart_abort(f->store, "k/m", id, &e) == 0);
	CHECK(store_put(f->store, "k/new", part_bytes, sizeof(part_bytes), NULL, NULL, &e) == 0);
	store_close(f->store);
	return 0;
}

static void test_disk_full(void **state)
{
	run_child(disk_full, *state);
}

static int no_attributes(struct fixture *f)
{
	if (!mount_here(f->root, "ramfs", NULL))
		return SKIP;
	struct err e = { 0 };
	struct store_info a, b, c;
	struct store_part part;
	char id[STORE_UPLOAD_ID_SIZE];
	store_close(f->store);
	CHECK(store_open_local(&(struct store_local_opts) { .root = f->root }, &f->store, &e) == 0);
	CHECK(store_put(f->store, "k.m4s", "one", 3, NULL, &a, &e) == 0);
	CHECK(store_put(f->store, "k.m4s", "two", 3, NULL, &b, &e) == 0);
	CHECK(store_put(f->store, "k.m4s", "six", 3, NULL, &c, &e) == 0);
	CHECK(a.etag[0] && strcmp(a.etag, b.etag) != 0 && strcmp(b.etag, c.etag) != 0 && strcmp(a.etag, c.etag) != 0);
	CHECK(!c.sha256[0] && strcmp(c.content_type, "video/iso.segment") == 0);
	CHECK(store_stat(f->store, "k.m4s", &a, &e) == 0 && strcmp(a.etag, c.etag) == 0);
	CHECK(store_multipart_begin(f->store, "m", NULL, id, &e) == 0);
	CHECK(store_multipart_put(f->store, "m", id, 1, "part", 4, &part, &e) == 0);
	CHECK(store_multipart_complete(f->store, "m", id, &part, 1, &a, &e) == 0 && a.size == 4);
	store_close(f->store);
	return 0;
}

static void test_without_attributes(void **state)
{
	run_child(no_attributes, *state);
}

static int without_openat2(struct fixture *f)
{
	/* As a kernel before 5.6 answers. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = { .len = MR_ARRAY_SIZE(code), .filter = code };
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		return SKIP;
	struct err e = { 0 };
	struct store_info info;
	store_close(f->store);
	CHECK(store_open_local(&(struct store_local_opts) { .root = f->root }, &f->store, &e) == 0);
	CHECK(store_put(f->store, "a/b/c", "x", 1, NULL, &info, &e) == 0);
	CHECK(store_put(f->store, "top", "x", 1, NULL, &info, &e) == 0);
	CHECK(store_stat(f->store, "a/b/c", &info, &e) == 0 && store_stat(f->store, "top", &info, &e) == 0);
	CHECK(store_stat(f->store, "a/b", &info, &e) == -ERR_NOT_FOUND);
	CHECK(store_stat(f->store, "a/b/c/d", &info, &e) == -ERR_NOT_FOUND);
	CHECK(store_put(f->store, "a/b", "x", 1, NULL, &info, &e) == -ERR_CONFLICT);
	CHECK(store_put(f->store, "a/b/c/d", "x", 1, NULL, &info, &e) == -ERR_CONFLICT);
	_cleanup_free_ char *link_path = mr_asprintf("%s/link", f->root);
	CHECK(symlink("/etc", link_path) == 0);
	CHECK(store_stat(f->store, "link/passwd", &info, &e) == -ERR_NOT_FOUND);
	CHECK(store_put(f->store, "link/x", "x", 1, NULL, &info, &e) == -ERR_CONFLICT);
	CHECK(symlink("/etc/passwd", link_path) < 0 && unlink(link_path) == 0 &&
	      symlink("/etc/passwd", link_path) == 0);
	CHECK(store_stat(f->store, "link", &info, &e) == -ERR_NOT_FOUND);
	CHECK(store_delete(f->store, "a/b/c", &e) == 0 && !fixture_exists(f, "a"));
	store_close(f->store);
	return 0;
}

static void test_without_openat2(void **state)
{
	run_child(without_openat2, *state);
}

/* A child that works until it is killed, and says so with a byte for each thing it has done. */
struct worker {
	pid_t pid;
	int done; /* read end */
};

static struct worker worker_start(struct fixture *f, void (*work)(struct fixture *f, int done))
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		work(f, ends[1]);
		_exit(1);
	}
	(void)close(ends[1]);
	return (struct worker) { .pid = pid, .done = ends[0] };
}

static void worker_await(const struct worker *w, unsigned count)
{
	char c;
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(read(w->done, &c, 1), 1);
}

static void worker_kill(struct worker *w)
{
	int status;
	assert_int_equal(kill(w->pid, SIGKILL), 0);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	(void)close(w->done);
}

static char big[300 << 10];

static void put_halfway(struct fixture *f, int done)
{
	struct store_put *p;
	if (store_put_begin(f->store, "dir/k", NULL, &p, NULL) < 0 || store_put_write(p, big, sizeof(big), NULL) < 0 ||
	    write(done, "x", 1) != 1)
		return;
	for (;;)
		(void)pause();
}

static void test_kill_in_mid_put(void **state)
{
	struct fixture *f = *state;
	fixture_put(f, "dir/k", "old");
	struct worker w = worker_start(f, put_halfway);
	worker_await(&w, 1);
	/* Alive: a sweep of any age leaves it. Dead: too young for one, then gone. */
	assert_int_equal(fixture_temps(f), 1);
	OK(store_sweep(f->store, 0, e));
	assert_int_equal(fixture_temps(f), 1);
	worker_kill(&w);
	fixture_expect(f, "dir/k", "old");
	assert_int_equal(fixture_count(f, "dir"), 1);
	OK(store_sweep(f->store, 3600 * 1000, e));
	assert_int_equal(fixture_temps(f), 1);
	OK(store_sweep(f->store, 0, e));
	assert_int_equal(fixture_temps(f), 0);
	fixture_expect(f, "dir/k", "old");
}

/* Objects of one letter each, put, replaced and deleted, folders and all, and uploads completed. */
static void put_and_delete(struct fixture *f, int done)
{
	for (unsigned i = 0;; i++) {
		size_t len = 1 + i * 7919u % sizeof(big);
		memset(big, (int)('a' + i % 26), len);
		char id[STORE_UPLOAD_ID_SIZE];
		struct store_part part;
		if (store_put(f->store, "x/y/k", big, len, NULL, NULL, NULL) < 0 ||
		    (i % 3 == 0 && store_delete(f->store, "x/y/k", NULL) < 0) ||
		    store_multipart_begin(f->store, "x/m", NULL, id, NULL) < 0 ||
		    store_multipart_put(f->store, "x/m", id, 1, big, len, &part, NULL) < 0 ||
		    store_multipart_complete(f->store, "x/m", id, &part, 1, NULL, NULL) < 0 || write(done, "x", 1) != 1)
			return;
	}
}

static void expect_whole(struct fixture *f, const char *key)
{
	static char bytes[sizeof(big) + 1];
	struct store_reader *r;
	struct store_info info;
	size_t len;
	int result = store_reader_open(f->store, key, &r, &info, NULL);
	if (result == -ERR_NOT_FOUND)
		return;
	assert_int_equal(result, 0);
	OK(store_reader_read(r, 0, bytes, sizeof(bytes), &len, e));
	store_reader_close(r);
	assert_int_equal(len, info.size);
	assert_true(len > 0);
	for (size_t i = 1; i < len; i++)
		assert_int_equal(bytes[i], bytes[0]);
	char sum[SHA256_HEX_SIZE];
	sha256_hex(bytes, len, sum);
	if (info.sha256[0])
		assert_string_equal(sum, info.sha256);
}

static void test_kill_at_any_moment(void **state)
{
	struct fixture *f = *state;
	for (unsigned round = 0; round < 20; round++) {
		struct worker w = worker_start(f, put_and_delete);
		worker_await(&w, 1 + round % 3);
		worker_kill(&w);
		expect_whole(f, "x/y/k");
		expect_whole(f, "x/m");
		OK(store_sweep(f->store, 0, e));
		assert_int_equal(fixture_temps(f), 0);
		assert_int_equal(fixture_count(f, ".millrace/uploads"), 0);
	}
	/* Whatever the last one left, the keys and their folders are free for others. */
	OK(store_delete_prefix(f->store, "x", e));
	fixture_put(f, "x", "object");
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_file_size_limit), WITH_STORE(test_disk_full),       WITH_STORE(test_without_attributes),
		WITH_STORE(test_without_openat2), WITH_STORE(test_kill_in_mid_put), WITH_STORE(test_kill_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
