/* Objects in a local folder: put, read, stat, delete, and what must not get through. */
#include "store_fixture.h"

static void test_put_and_stat(void **state)
{
	struct fixture *f = *state;
	struct store_info put, got;
	OK(store_put(f->store, "hls/u/j/v0/init.mp4", "hello", 5, NULL, &put, e));
	OK(store_stat(f->store, "hls/u/j/v0/init.mp4", &got, e));
	assert_int_equal(got.size, 5);
	assert_string_equal(got.content_type, "video/mp4");
	assert_string_equal(put.etag, got.etag);
	assert_int_equal(put.modified_ms, got.modified_ms);
	assert_true(strlen(got.etag) >= 5 && !strchr(got.etag, '"'));
	if (f->has_xattr)
		assert_string_equal(got.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	fixture_expect(f, "hls/u/j/v0/init.mp4", "hello");
	assert_int_equal(fixture_temps(f), 0);
}

static void test_empty_object(void **state)
{
	struct fixture *f = *state;
	struct store_info info;
	OK(store_put(f->store, "e", NULL, 0, "text/plain", &info, e));
	assert_int_equal(info.size, 0);
	fixture_expect(f, "e", "");
}

static void test_etag_follows_the_bytes(void **state)
{
	struct fixture *f = *state;
	struct store_info a, b, again;
	OK(store_put(f->store, "k", "one", 3, NULL, &a, e));
	OK(store_put(f->store, "k", "two", 3, NULL, &b, e));
	assert_string_not_equal(a.etag, b.etag);
	OK(store_put(f->store, "k", "one", 3, NULL, &again, e));
	if (f->has_xattr)
		assert_string_equal(a.etag, again.etag);
	fixture_expect(f, "k", "one");
}

static void test_streamed_put(void **state)
{
	struct fixture *f = *state;
	struct store_put *p;
	struct store_info info;
	/* "hello", of either case of hex. */
	const char *sum = "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824";
	OK(store_put_begin(f->store, "s/x", "audio/wav", &p, e));
	OK(store_put_write(p, "hel", 3, e));
	OK(store_put_write(p, NULL, 0, e));
	fixture_expect_absent(f, "s/x");
	OK(store_put_write(p, "lo", 2, e));
	OK(store_put_finish(p, sum, &info, e));
	fixture_expect(f, "s/x", "hello");
	if (f->has_xattr)
		assert_string_equal(info.content_type, "audio/wav");

	static const char *const wrong[] = { "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9825", "",
					     "zz" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(wrong); i++) {
		OK(store_put_begin(f->store, "bad/sum", NULL, &p, e));
		OK(store_put_write(p, "hello", 5, e));
		FAILS(store_put_finish(p, wrong[i], &info, e), ERR_INVALID, "CHECKSUM_MISMATCH");
		fixture_expect_absent(f, "bad/sum");
	}

	OK(store_put_begin(f->store, "s/x", NULL, &p, e));
	OK(store_put_write(p, "bye", 3, e));
	store_put_abort(p);
	store_put_abort(NULL);
	fixture_expect(f, "s/x", "hello");
	assert_int_equal(fixture_temps(f), 0);
	assert_false(fixture_exists(f, "bad"));
}

static void test_ranges(void **state)
{
	struct fixture *f = *state;
	struct store_reader *r;
	struct store_info info;
	char buf[16];
	size_t len;
	fixture_put(f, "k", "0123456789");
	OK(store_reader_open(f->store, "k", &r, &info, e));
	static const struct {
		uint64_t offset;
		size_t want;
		const char *text;
	} cases[] = {
		{ 0, 10, "0123456789" }, { 0, 16, "0123456789" }, { 3, 4, "3456" }, { 9, 5, "9" },
		{ 10, 5, "" },           { 11, 5, "" },           { 5, 0, "" },     { INT64_MAX, 1, "" },
		{ UINT64_MAX, 16, "" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		OK(store_reader_read(r, cases[i].offset, buf, cases[i].want, &len, e));
		assert_int_equal(len, strlen(cases[i].text));
		assert_memory_equal(buf, cases[i].text, len);
	}
	/* The reader keeps the bytes of its open, whatever happens to the key. */
	fixture_put(f, "k", "abc");
	OK(store_reader_read(r, 0, buf, sizeof(buf), &len, e));
	assert_int_equal(len, 10);
	OK(store_delete(f->store, "k", e));
	assert_true(store_reader_fd(r) >= 0);
	assert_int_equal(pread(store_reader_fd(r), buf, 3, 7), 3);
	assert_memory_equal(buf, "789", 3);
	store_reader_close(r);
	store_reader_close(NULL);
	FAILS(store_reader_open(f->store, "k", &r, &info, e), ERR_NOT_FOUND, "NOT_FOUND");
}

static void test_delete_prunes_folders(void **state)
{
	struct fixture *f = *state;
	fixture_put(f, "a/b/c/1", "x");
	fixture_put(f, "a/b/2", "x");
	OK(store_delete(f->store, "a/b/c/1", e));
	assert_false(fixture_exists(f, "a/b/c"));
	assert_true(fixture_exists(f, "a/b"));
	OK(store_delete(f->store, "a/b/2", e));
	assert_false(fixture_exists(f, "a"));
	/* What is not there, at any depth; a folder is no object. */
	OK(store_delete(f->store, "a/b/2", e));
	OK(store_delete(f->store, "z", e));
	fixture_put(f, "d/1", "x");
	OK(store_delete(f->store, "d", e));
	OK(store_delete(f->store, "d/1/2", e));
	fixture_expect(f, "d/1", "x");
}

static void test_delete_prefix(void **state)
{
	struct fixture *f = *state;
	static const char *const gone[] = { "p/1", "p/a/2", "p/a/b/3", "p/a/b/4", "p/z" };
	static const char *const kept[] = { "p2", "p.txt", "o/1" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(gone); i++)
		fixture_put(f, gone[i], "x");
	for (size_t i = 0; i < MR_ARRAY_SIZE(kept); i++)
		fixture_put(f, kept[i], "x");
	_cleanup_free_ char *empty = mr_asprintf("%s/p/left", f->root);
	assert_int_equal(mkdir(empty, 0700), 0);
	OK(store_delete_prefix(f->store, "p/", e));
	for (size_t i = 0; i < MR_ARRAY_SIZE(gone); i++)
		fixture_expect_absent(f, gone[i]);
	for (size_t i = 0; i < MR_ARRAY_SIZE(kept); i++)
		fixture_expect(f, kept[i], "x");
	assert_false(fixture_exists(f, "p"));
	OK(store_delete_prefix(f->store, "p/", e));
	OK(store_delete_prefix(f->store, "p2", e));
	fixture_expect_absent(f, "p2");
	fixture_expect(f, "p.txt", "x");
}

static void test_key_and_folder_conflict(void **state)
{
	struct fixture *f = *state;
	fixture_put(f, "a", "object");
	FAILS(store_put(f->store, "a/b", "x", 1, NULL, NULL, e), ERR_CONFLICT, "KEY_CONFLICT");
	FAILS(store_put(f->store, "a/b/c", "x", 1, NULL, NULL, e), ERR_CONFLICT, "KEY_CONFLICT");
	fixture_expect(f, "a", "object");
	fixture_expect_absent(f, "a/b");
	fixture_put(f, "d/e/f", "x");
	FAILS(store_put(f->store, "d/e", "x", 1, NULL, NULL, e), ERR_CONFLICT, "KEY_CONFLICT");
	FAILS(store_put(f->store, "d", "x", 1, NULL, NULL, e), ERR_CONFLICT, "KEY_CONFLICT");
	fixture_expect_absent(f, "d/e");
	fixture_expect(f, "d/e/f", "x");
	assert_int_equal(fixture_temps(f), 0);
}

/* Folders that a killed process left empty are no objects' folders. */
static void test_empty_folders_do_not_conflict(void **state)
{
	struct fixture *f = *state;
	static const char *const folders[] = { "k", "k/l", "k/l/m", "k/n" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *path = mr_asprintf("%s/%s", f->root, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	fixture_put(f, "k", "object");
	fixture_expect(f, "k", "object");
}

static void test_long_parts(void **state)
{
	struct fixture *f = *state;
	char key[600];
	memset(key, 'n', sizeof(key));
	struct store_info info;
	char id[STORE_UPLOAD_ID_SIZE];
	memcpy(key, "d/", 2);
	key[2 + 255] = '\0';
	OK(store_put(f->store, key, "x", 1, NULL, &info, e));
	key[2 + 255] = 'n';
	key[2 + 256] = '\0';
	FAILS(store_put(f->store, key, "x", 1, NULL, &info, e), ERR_INVALID, "KEY_TOO_LONG");
	FAILS(store_stat(f->store, key, &info, e), ERR_INVALID, "KEY_TOO_LONG");
	FAILS(store_delete(f->store, key, e), ERR_INVALID, "KEY_TOO_LONG");
	FAILS(store_multipart_begin(f->store, key, NULL, id, e), ERR_INVALID, "KEY_TOO_LONG");

	/* 512 folders deep, the deepest that a key can be. */
	char deep[STORE_KEY_MAX + 1];
	for (size_t i = 0; i < STORE_KEY_MAX; i++)
		deep[i] = i % 2 ? '/' : 'd';
	memcpy(deep + STORE_KEY_MAX - 2, "xx", 3);
	OK(store_put(f->store, deep, "deep", 4, NULL, &info, e));
	fixture_expect(f, deep, "deep");
	OK(store_delete_prefix(f->store, "d", e));
	assert_false(fixture_exists(f, "d"));
}

/* Links that somebody put into the folder lead nowhere. */
static void test_links_are_not_followed(void **state)
{
	struct fixture *f = *state;
	char outside[] = "/tmp/millrace-outside-XXXXXX";
	assert_non_null(mkdtemp(outside));
	_cleanup_free_ char *secret = mr_asprintf("%s/secret", outside);
	int fd = open(secret, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "secret", 6), 6);
	(void)close(fd);
	_cleanup_free_ char *dir_link = mr_asprintf("%s/dir", f->root);
	_cleanup_free_ char *file_link = mr_asprintf("%s/file", f->root);
	_cleanup_free_ char *fifo = mr_asprintf("%s/fifo", f->root);
	assert_int_equal(symlink(outside, dir_link), 0);
	assert_int_equal(symlink(secret, file_link), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);

	struct store_reader *r;
	struct store_info info;
	FAILS(store_reader_open(f->store, "dir/secret", &r, &info, e), ERR_NOT_FOUND, "NOT_FOUND");
	FAILS(store_reader_open(f->store, "file", &r, &info, e), ERR_NOT_FOUND, "NOT_FOUND");
	FAILS(store_reader_open(f->store, "fifo", &r, &info, e), ERR_NOT_FOUND, "NOT_FOUND");
	FAILS(store_reader_open(f->store, "dir", &r, &info, e), ERR_NOT_FOUND, "NOT_FOUND");
	FAILS(store_put(f->store, "dir/new", "x", 1, NULL, NULL, e), ERR_CONFLICT, "KEY_CONFLICT");
	OK(store_delete(f->store, "dir/secret", e));
	OK(store_delete_prefix(f->store, "dir/", e));
	assert_int_equal(access(secret, R_OK), 0);
	/* A put replaces a link, not what it points to. */
	fixture_put(f, "file", "mine");
	fixture_expect(f, "file", "mine");
	struct stat st;
	assert_int_equal(stat(secret, &st), 0);
	assert_int_equal(st.st_size, 6);
	assert_int_equal(unlink(secret), 0);
	assert_int_equal(rmdir(outside), 0);
}

/* A file that somebody copied into the folder is an object, of which less is known. */
static void test_foreign_file(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = mr_asprintf("%s/foreign.mp3", f->root);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "abc", 3), 3);
	struct store_info a, b;
	OK(store_stat(f->store, "foreign.mp3", &a, e));
	assert_int_equal(a.size, 3);
	assert_string_equal(a.sha256, "");
	assert_string_equal(a.content_type, "audio/mpeg");
	assert_int_equal(write(fd, "def", 3), 3);
	(void)close(fd);
	OK(store_stat(f->store, "foreign.mp3", &b, e));
	assert_string_not_equal(a.etag, b.etag);
}

static void test_open(void **state)
{
	struct fixture *f = *state;
	fixture_put(f, "k", "x");
	_cleanup_free_ char *nested = mr_asprintf("%s/made/for/us", f->root);
	_cleanup_free_ char *in_file = mr_asprintf("%s/k", f->root);
	struct store *s;
	struct err e = { 0 };
	assert_int_equal(store_open_local(&(struct store_local_opts) { .root = nested }, &s, &e), 0);
	store_close(s);
	store_close(NULL);
	assert_true(store_open_local(&(struct store_local_opts) { .root = in_file }, &s, &e) < 0);
	assert_non_null(strstr(e.message, "open the store"));
	assert_true(store_open_local(&(struct store_local_opts) { .root = "/proc/nothing/here" }, &s, NULL) < 0);
	/* Objects outlive the handle. */
	store_close(f->store);
	assert_int_equal(store_open_local(&(struct store_local_opts) { .root = f->root }, &f->store, &e), 0);
	fixture_expect(f, "k", "x");
}

static void append(struct fixture *f, struct store_put *p, const char *key)
{
	struct store_reader *r;
	char byte;
	size_t got;
	OK(store_reader_open(f->store, key, &r, NULL, e));
	OK(store_reader_read(r, 1, &byte, 1, &got, e)); /* wherever it was read before */
	OK(store_put_append(p, r, e));
	store_reader_close(r);
}

static void put_together(struct fixture *f, struct store_info *ret)
{
	struct store_put *p;
	fixture_put(f, "parts/0", "hel");
	fixture_put(f, "parts/1", "lo");
	OK(store_put_begin(f->store, "whole", NULL, &p, e));
	append(f, p, "parts/0");
	append(f, p, "parts/1");
	OK(store_put_write(p, "!", 1, e));
	OK(store_put_finish(p, NULL, ret, e));
	fixture_expect(f, "whole", "hello!");
	assert_int_equal(ret->size, 6);
	assert_int_equal(fixture_temps(f), 0);
}

static void test_append(void **state)
{
	struct fixture *f = *state;
	struct store_info info;
	put_together(f, &info);
	if (f->has_xattr)
		assert_string_equal(info.sha256, "ce06092fb948d9ffac7d1a376e404b26b7575bcc11ee05a4615fef4fec3a308b");
}

static void test_scratch(void **state)
{
	struct fixture *f = *state;
	struct store_info info;
	struct store_put *p;
	store_close(f->store);
	OK(store_open_local(&(struct store_local_opts){ .root = f->root, .scratch = true }, &f->store, e));
	put_together(f, &info);
	assert_string_equal(info.sha256, "");
	assert_true(*info.etag);
	OK(store_put_begin(f->store, "k", NULL, &p, e));
	OK(store_put_write(p, "hello", 5, e));
	FAILS(store_put_finish(p, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", NULL, e), ERR_INTERNAL,
	      "INTERNAL_ERROR");
	fixture_expect_absent(f, "k");
	OK(store_delete_prefix(f->store, "parts", e));
	assert_false(fixture_exists(f, "parts"));
}

/* Everything but the syncing, which no test sees without a crash. */
static void test_unsynced(void **state)
{
	struct fixture *f = *state;
	struct store_info info;
	store_close(f->store);
	OK(store_open_local(&(struct store_local_opts){ .root = f->root, .unsynced = true }, &f->store, e));
	OK(store_put(f->store, "k", "hello", 5, NULL, &info, e));
	assert_string_equal(info.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_put_and_stat),
		WITH_STORE(test_empty_object),
		WITH_STORE(test_etag_follows_the_bytes),
		WITH_STORE(test_streamed_put),
		WITH_STORE(test_ranges),
		WITH_STORE(test_delete_prunes_folders),
		WITH_STORE(test_delete_prefix),
		WITH_STORE(test_key_and_folder_conflict),
		WITH_STORE(test_empty_folders_do_not_conflict),
		WITH_STORE(test_long_parts),
		WITH_STORE(test_links_are_not_followed),
		WITH_STORE(test_foreign_file),
		WITH_STORE(test_open),
		WITH_STORE(test_append),
		WITH_STORE(test_scratch),
		WITH_STORE(test_unsynced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
