/* What store.h promises of every backend: one body, run over a local folder, and over whatever store
 * $MILLRACE_TEST_STORE_URL names (tests/scenario/test_s3_store.py starts a real S3 server for it, and breaks its
 * connections). What backends may do differently isn't here. The store is empty below "t/". */
#include "store_fixture.h"

#include "base/id.h"

#define MIB (1u << 20)
#define LONG_BYTES (21u * MIB + 12345)

/* A store and a folder of the test's own in it. */
struct bench {
	struct store *store;
	char root[256]; /* of a local folder; "" if the store was named */
	char key[512];
};

static int setup(void **state)
{
	struct bench *b = mr_calloc(1, sizeof(*b));
	const char *named = getenv("MILLRACE_TEST_STORE_URL");
	const char *base = getenv("TMPDIR");
	char url[300];
	if (!named) {
		(void)snprintf(b->root, sizeof(b->root), "%s/millrace-store-XXXXXX", base ? base : "/tmp");
		assert_non_null(mkdtemp(b->root));
		(void)snprintf(url, sizeof(url), "file:%s", b->root);
	}
	OK(store_open(named ? named : url, &b->store, e));
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	OK(store_delete_prefix(b->store, "t", e));
	store_close(b->store);
	if (*b->root)
		assert_int_equal(nftw(b->root, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(b);
	return 0;
}

/* Another value at each call; the last one stays. */
static const char *key_of(struct bench *b, const char *name)
{
	(void)snprintf(b->key, sizeof(b->key), "t/%s", name);
	return b->key;
}

static void fill(uint8_t *to, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		to[i] = (uint8_t)(seed >> 24);
	}
}

static void expect_bytes(struct bench *b, const char *key, const uint8_t *want, size_t len)
{
	struct store_reader *r;
	struct store_info info;
	_cleanup_free_ uint8_t *got = malloc(len + 1);
	size_t n = 0, done = 0;
	OK(store_reader_open(b->store, key, &r, &info, e));
	assert_int_equal(info.size, len);
	do {
		OK(store_reader_read(r, done, got + done, len + 1 - done, &n, e));
		done += n;
	} while (n);
	store_reader_close(r);
	assert_int_equal(done, len);
	assert_memory_equal(got, want, len);
}

static void expect_absent(struct bench *b, const char *key)
{
	struct store_reader *r;
	struct store_info info;
	FAILS(store_stat(b->store, key, &info, e), ERR_NOT_FOUND, "NOT_FOUND");
	FAILS(store_reader_open(b->store, key, &r, &info, e), ERR_NOT_FOUND, "NOT_FOUND");
}

static void test_check(void **state)
{
	struct bench *b = *state;
	/* One attempt by contract, so that it tells how things are: where connections break, one of several succeeds. */
	int r = -ERR_UNAVAILABLE;
	for (int i = 0; i < 20 && r == -ERR_UNAVAILABLE; i++)
		r = store_check(b->store, NULL);
	assert_int_equal(r, 0);
}

static void test_small_objects(void **state)
{
	struct bench *b = *state;
	/* Characters that URLs, XML and signatures treat in ways of their own. */
	static const char *const names[] = { "plain",
					     "with space",
					     "plus+sign",
					     "per%cent",
					     "%41",
					     "a=b&c",
					     "ünï/ço∂é",
					     "q?x",
					     "h#h",
					     "<k>'\"&amp;",
					     "~-._!*()",
					     "a:b;c@d,e$f",
					     "deep/er/and/deeper/x.m4s" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++) {
		struct store_info put, got;
		const char *key = key_of(b, names[i]);
		OK(store_put(b->store, key, names[i], strlen(names[i]), "text/x-test", &put, e));
		OK(store_stat(b->store, key, &got, e));
		assert_int_equal(put.size, strlen(names[i]));
		assert_int_equal(got.size, put.size);
		assert_string_equal(got.etag, put.etag);
		assert_true(*got.etag && !strchr(got.etag, '"'));
		assert_string_equal(got.content_type, "text/x-test");
		assert_string_equal(got.sha256, put.sha256);
		assert_true(got.modified_ms > INT64_C(1700000000000));
		expect_bytes(b, key, (const uint8_t *)names[i], strlen(names[i]));
	}
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++) {
		OK(store_delete(b->store, key_of(b, names[i]), e));
		OK(store_delete(b->store, b->key, e));
		expect_absent(b, b->key);
	}
}

static void test_empty_object(void **state)
{
	struct bench *b = *state;
	struct store_info info;
	OK(store_put(b->store, key_of(b, "empty"), NULL, 0, "text/plain", &info, e));
	assert_int_equal(info.size, 0);
	expect_bytes(b, b->key, (const uint8_t *)"", 0);
}

static void test_last_put_wins(void **state)
{
	struct bench *b = *state;
	struct store_info one, two;
	struct store_reader *r;
	uint8_t buf[8];
	size_t n = 0;
	OK(store_put(b->store, key_of(b, "k"), "one", 3, NULL, &one, e));
	OK(store_reader_open(b->store, b->key, &r, NULL, e));
	OK(store_put(b->store, b->key, "four", 4, NULL, &two, e));
	assert_string_not_equal(one.etag, two.etag);
	expect_bytes(b, b->key, (const uint8_t *)"four", 4);
	/* A reader sees what it opened, or says that it can't; never the other bytes. */
	struct err why = { 0 };
	int res = store_reader_read(r, 0, buf, sizeof(buf), &n, &why);
	if (res == 0) {
		assert_int_equal(n, 3);
		assert_memory_equal(buf, "one", 3);
	} else {
		assert_string_equal(err_code(&why), "OBJECT_REPLACED");
	}
	store_reader_close(r);
}

/* 2 MiB: more than any window that a reader fetches at once. */
static void test_ranges(void **state)
{
	struct bench *b = *state;
	const size_t size = 2 * MIB + 777;
	_cleanup_free_ uint8_t *data = malloc(size), *got = malloc(size);
	struct store_reader *r;
	struct store_info info;
	size_t n = 0;
	fill(data, size, 7);
	OK(store_put(b->store, key_of(b, "ranges"), data, size, NULL, NULL, e));
	OK(store_reader_open(b->store, b->key, &r, &info, e));
	const struct {
		uint64_t offset;
		size_t len, want;
	} cases[] = { { 0, 1, 1 },
		      { size - 1, 1, 1 },
		      { size - 1, 9, 1 },
		      { size, 9, 0 },
		      { size + 1, 9, 0 },
		      { UINT64_MAX, 9, 0 },
		      { 5, 0, 0 },
		      { 0, size, size },
		      { 100, size, size - 100 },
		      { 1000000, 300000, 300000 },
		      { 1300000, 300000, 300000 },
		      { 12, 70000, 70000 } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		OK(store_reader_read(r, cases[i].offset, got, cases[i].len, &n, e));
		assert_int_equal(n, cases[i].want);
		if (n)
			assert_memory_equal(got, data + cases[i].offset, n);
	}
	/* In order, as a task reads. */
	for (uint64_t at = 0; at < size; at += n) {
		OK(store_reader_read(r, at, got, 100000, &n, e));
		assert_true(n > 0);
		assert_memory_equal(got, data + at, n);
	}
	/* Deleted behind its back: the bytes, or the truth. */
	OK(store_delete(b->store, b->key, e));
	struct err why = { 0 };
	int res = store_reader_read(r, 1, got, 2 * MIB, &n, &why);
	if (res == 0)
		assert_memory_equal(got, data + 1, n);
	else
		assert_string_equal(err_code(&why), "OBJECT_REPLACED");
	store_reader_close(r);
}

static void put_in_pieces(struct store_put *p, const uint8_t *data, size_t size, size_t piece)
{
	for (size_t at = 0; at < size; at += piece)
		OK(store_put_write(p, data + at, size - at < piece ? size - at : piece, e));
}

static void test_long_put(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ uint8_t *data = malloc(LONG_BYTES);
	char sum[SHA256_HEX_SIZE];
	struct store_put *p;
	struct store_info info, again;
	fill(data, LONG_BYTES, 1);
	sha256_hex(data, LONG_BYTES, sum);
	OK(store_put_begin(b->store, key_of(b, "long"), "video/mp4", &p, e));
	put_in_pieces(p, data, LONG_BYTES, 1000003);
	expect_absent(b, b->key);
	OK(store_put_finish(p, sum, &info, e));
	assert_int_equal(info.size, LONG_BYTES);
	assert_string_equal(info.sha256, sum);
	OK(store_stat(b->store, b->key, &again, e));
	assert_string_equal(again.etag, info.etag);
	assert_string_equal(again.content_type, "video/mp4");
	expect_bytes(b, b->key, data, LONG_BYTES);

	/* Nothing of what was given up, or was other than announced. */
	sum[0] = sum[0] == '0' ? '1' : '0';
	OK(store_put_begin(b->store, key_of(b, "given up"), NULL, &p, e));
	put_in_pieces(p, data, LONG_BYTES, 3 * MIB);
	store_put_abort(p);
	expect_absent(b, b->key);
	OK(store_put_begin(b->store, key_of(b, "other"), NULL, &p, e));
	put_in_pieces(p, data, 9 * MIB, 3 * MIB);
	FAILS(store_put_finish(p, sum, NULL, e), ERR_INVALID, "CHECKSUM_MISMATCH");
	expect_absent(b, b->key);
	OK(store_put_begin(b->store, b->key, NULL, &p, e));
	OK(store_put_write(p, data, 100, e));
	FAILS(store_put_finish(p, sum, NULL, e), ERR_INVALID, "CHECKSUM_MISMATCH");
	expect_absent(b, b->key);
}

static void append(struct bench *b, struct store_put *p, const char *name, bool copy)
{
	struct store_reader *r;
	char key[64];
	(void)snprintf(key, sizeof(key), "t/%s", name);
	OK(store_reader_open(b->store, key, &r, NULL, e));
	OK(copy ? store_put_copy(p, r, e) : store_put_append(p, r, e));
	store_reader_close(r);
}

static void test_put_together(void **state)
{
	struct bench *b = *state;
	static const struct {
		const char *name;
		size_t at, len;
	} pieces[] = { { "1", 0, 8 * MIB },
		       { "2", 8 * MIB, 100 },
		       { "3", 8 * MIB + 100, 7 * MIB },
		       { "4", 15 * MIB + 100, 12 * MIB },
		       { "5", 27 * MIB + 100, 1 } };
	const size_t size = 27 * MIB + 101;
	_cleanup_free_ uint8_t *data = malloc(size);
	char sum[SHA256_HEX_SIZE];
	fill(data, size, 3);
	sha256_hex(data, size, sum);
	for (size_t i = 0; i < MR_ARRAY_SIZE(pieces); i++)
		OK(store_put(b->store, key_of(b, pieces[i].name), data + pieces[i].at, pieces[i].len, NULL, NULL, e));
	for (int copy = 0; copy < 2; copy++) {
		struct store_put *p;
		struct store_info info;
		OK(store_put_begin(b->store, key_of(b, copy ? "copied" : "appended"), "audio/flac", &p, e));
		for (size_t i = 0; i < MR_ARRAY_SIZE(pieces); i++)
			append(b, p, pieces[i].name, copy);
		OK(store_put_finish(p, copy ? NULL : sum, &info, e));
		assert_int_equal(info.size, size);
		if (!copy || *info.sha256)
			assert_string_equal(info.sha256, sum);
		expect_bytes(b, b->key, data, size);
	}
}

/* ---- lists ---- */

struct listed {
	char keys[2100][32];
	size_t count, stop_at;
};

static bool on_key(void *ctx, const char *key, const struct store_info *info)
{
	struct listed *l = ctx;
	assert_true(l->count < MR_ARRAY_SIZE(l->keys));
	assert_true(info->size == 1 && *info->etag && info->modified_ms);
	(void)snprintf(l->keys[l->count++], sizeof(l->keys[0]), "%s", key);
	return l->count != l->stop_at;
}

static void test_list(void **state)
{
	struct bench *b = *state;
	/* A page of S3's is a thousand. */
	const char *asked = getenv("MILLRACE_TEST_STORE_KEYS");
	const unsigned count = asked ? (unsigned)strtoul(asked, NULL, 10) : 100;
	_cleanup_free_ struct listed *l = mr_calloc(1, sizeof(*l));
	for (unsigned i = 0; i < count; i++) {
		char name[32];
		(void)snprintf(name, sizeof(name), "list/%c/%04u", 'a' + i % 2, i);
		OK(store_put(b->store, key_of(b, name), "x", 1, NULL, NULL, e));
	}
	OK(store_list(b->store, "t/list/", NULL, SIZE_MAX, on_key, l, e));
	assert_int_equal(l->count, count);
	for (size_t i = 1; i < l->count; i++)
		assert_true(strcmp(l->keys[i - 1], l->keys[i]) < 0);
	l->count = 0;
	OK(store_list(b->store, "t/list/a/00", NULL, 3, on_key, l, e));
	assert_int_equal(l->count, 3);
	assert_string_equal(l->keys[2], "t/list/a/0004");
	l->count = 0;
	OK(store_list(b->store, "t/list/a/00", "t/list/a/0004", 1000, on_key, l, e));
	assert_string_equal(l->keys[0], "t/list/a/0006");
	l->count = 0;
	l->stop_at = 2;
	OK(store_list(b->store, "t/list/", NULL, SIZE_MAX, on_key, l, e));
	assert_int_equal(l->count, 2);
	l->stop_at = l->count = 0;
	OK(store_delete_prefix(b->store, "t/list/a/", e));
	OK(store_list(b->store, "t/list/", NULL, SIZE_MAX, on_key, l, e));
	assert_int_equal(l->count, count / 2);
	assert_string_equal(l->keys[0], "t/list/b/0001");
	OK(store_delete_prefix(b->store, "t/list", e));
	OK(store_delete_prefix(b->store, "t/list", e));
	l->count = 0;
	OK(store_list(b->store, "t/list", NULL, SIZE_MAX, on_key, l, e));
	assert_int_equal(l->count, 0);
}

/* ---- multipart uploads by hand ---- */

static void test_multipart(void **state)
{
	struct bench *b = *state;
	const size_t size = 5 * MIB + 5 * MIB + 33;
	_cleanup_free_ uint8_t *data = malloc(size);
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_part parts[3], listed[8];
	struct store_info info, again;
	size_t count = 0;
	fill(data, size, 9);
	OK(store_multipart_begin(b->store, key_of(b, "multi"), "video/webm", id, e));
	OK(store_multipart_put(b->store, b->key, id, 7, data + 10 * MIB, 33, &parts[2], e));
	OK(store_multipart_put(b->store, b->key, id, 1, "replaced", 8, &parts[0], e));
	OK(store_multipart_put(b->store, b->key, id, 1, data, 5 * MIB, &parts[0], e));
	OK(store_multipart_put(b->store, b->key, id, 2, data + 5 * MIB, 5 * MIB, &parts[1], e));
	expect_absent(b, b->key);
	OK(store_multipart_list(b->store, b->key, id, listed, 8, &count, e));
	assert_int_equal(count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(listed[i].number, parts[i].number);
		assert_int_equal(listed[i].size, parts[i].size);
		assert_string_equal(listed[i].etag, parts[i].etag);
	}
	OK(store_multipart_list(b->store, b->key, id, listed, 2, &count, e));
	assert_int_equal(count, 2);
	OK(store_multipart_complete(b->store, b->key, id, parts, 3, &info, e));
	assert_int_equal(info.size, size);
	assert_string_equal(info.content_type, "video/webm");
	OK(store_multipart_complete(b->store, b->key, id, parts, 3, &again, e));
	assert_string_equal(again.etag, info.etag);
	expect_bytes(b, b->key, data, size);
}

static void test_multipart_refuses(void **state)
{
	struct bench *b = *state;
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_part parts[2], wrong;
	size_t count = 0;
	OK(store_multipart_begin(b->store, key_of(b, "refused"), NULL, id, e));
	OK(store_multipart_put(b->store, b->key, id, 1, "short", 5, &parts[0], e));
	OK(store_multipart_put(b->store, b->key, id, 2, "last", 4, &parts[1], e));
	FAILS(store_multipart_complete(b->store, b->key, id, parts, 2, NULL, e), ERR_INVALID, "EntityTooSmall");
	wrong = parts[0];
	wrong.etag[0] = wrong.etag[0] == '0' ? '1' : '0';
	FAILS(store_multipart_complete(b->store, b->key, id, &wrong, 1, NULL, e), ERR_INVALID, "InvalidPart");
	wrong = parts[0];
	wrong.number = 3;
	FAILS(store_multipart_complete(b->store, b->key, id, &wrong, 1, NULL, e), ERR_INVALID, "InvalidPart");
	expect_absent(b, b->key);
	OK(store_multipart_abort(b->store, b->key, id, e));
	OK(store_multipart_abort(b->store, b->key, id, e));
	FAILS(store_multipart_put(b->store, b->key, id, 1, "x", 1, &wrong, e), ERR_NOT_FOUND, "NoSuchUpload");
	FAILS(store_multipart_list(b->store, b->key, id, parts, 2, &count, e), ERR_NOT_FOUND, "NoSuchUpload");
	FAILS(store_multipart_complete(b->store, b->key, id, parts, 1, NULL, e), ERR_NOT_FOUND, "NoSuchUpload");
	FAILS(store_multipart_put(b->store, b->key, "", 1, "x", 1, &wrong, e), ERR_NOT_FOUND, "NoSuchUpload");
	FAILS(store_multipart_put(b->store, b->key, "no-such", 1, "x", 1, &wrong, e), ERR_NOT_FOUND, "NoSuchUpload");
	OK(store_multipart_abort(b->store, b->key, "", e));
}

static void test_sweep(void **state)
{
	struct bench *b = *state;
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_part part;
	OK(store_multipart_begin(b->store, key_of(b, "swept"), NULL, id, e));
	OK(store_multipart_put(b->store, b->key, id, 1, "x", 1, &part, e));
	OK(store_sweep(b->store, 3600 * 1000, e));
	OK(store_multipart_put(b->store, b->key, id, 1, "x", 1, &part, e));
	OK(store_sweep(b->store, 0, e)); /* stale_hours=0 is in the URL of a bucket */
	FAILS(store_multipart_put(b->store, b->key, id, 1, "x", 1, &part, e), ERR_NOT_FOUND, "NoSuchUpload");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_check, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_objects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty_object, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_put_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_put, setup, teardown),
		cmocka_unit_test_setup_teardown(test_put_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_multipart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_multipart_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
	};
	return cmocka_run_group_tests_name("store_conformance", tests, NULL, NULL);
}
