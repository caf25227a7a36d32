/* The form of keys, prefixes and content types, which store.c checks for every backend. */
#include "store_fixture.h"

static char long_part[1200];

static void test_keys(void **state)
{
	(void)state;
	memset(long_part, 'x', sizeof(long_part) - 1);
	char just[1025], over[1026];
	memset(just, 'a', 1024);
	just[1024] = '\0';
	memset(over, 'a', 1025);
	over[1025] = '\0';
	const struct {
		const char *key;
		bool ok;
	} cases[] = {
		{ "a", true },
		{ "hls/u/j/v0/segment_000.m4s", true },
		{ "a b/c+d=(e)'f~!*", true },
		{ "\xC3\xBC/\xE6\x97\xA5\xF0\x9F\x8E\xAC", true },
		{ "...", true },
		{ "..a/.b/c..", true },
		{ "a\\b", true },
		{ "a/.millrace", true },
		{ ".millrace2", true },
		{ "a%2F..%2Fb", true },
		{ just, true },
		{ over, false },
		{ long_part, false },
		{ "", false },
		{ "/", false },
		{ "/a", false },
		{ "a/", false },
		{ "a//b", false },
		{ ".", false },
		{ "..", false },
		{ "a/./b", false },
		{ "a/../b", false },
		{ "../a", false },
		{ "a/..", false },
		{ "a\nb", false },
		{ "a\x7F", false },
		{ "a\x1F/b", false },
		{ "a\xC2\x85", false },
		{ "a\xFF", false },
		{ "a\xC3", false },
		{ "a\xC0\xAF..", false },
		{ "a\xED\xA0\x80", false },
		{ ".millrace", false },
		{ ".millrace/tmp/x", false },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct err e = { 0 };
		int r = store_key_check(cases[i].key, &e);
		if (r != (cases[i].ok ? 0 : -ERR_INVALID))
			fail_msg("\"%s\": %d %s", cases[i].key, r, e.message);
		if (r < 0)
			assert_string_equal(e.code, "INVALID_KEY");
	}
}

/* Every call checks its key before anything else. */
static void test_every_call_checks(void **state)
{
	struct fixture *f = *state;
	const char *bad = "../x";
	struct store_put *p;
	struct store_reader *r;
	struct store_info info;
	struct store_part part = { .number = 1 };
	char id[STORE_UPLOAD_ID_SIZE];
	size_t n;
	FAILS(store_put(f->store, bad, "x", 1, NULL, &info, e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_put_begin(f->store, bad, NULL, &p, e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_stat(f->store, bad, &info, e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_reader_open(f->store, bad, &r, &info, e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_delete(f->store, bad, e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_delete_prefix(f->store, bad, e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_delete_prefix(f->store, "", e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_delete_prefix(f->store, "/", e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_delete_prefix(f->store, "a//", e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_multipart_begin(f->store, bad, NULL, id, e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_multipart_put(f->store, bad, "id", 1, "x", 1, &part, e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_multipart_list(f->store, bad, "id", &part, 1, &n, e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_multipart_complete(f->store, bad, "id", &part, 1, &info, e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_multipart_abort(f->store, bad, "id", e), ERR_INVALID, "INVALID_KEY");
	FAILS(store_sweep(f->store, -1, e), ERR_INVALID, "INVALID_REQUEST");
	assert_int_equal(fixture_temps(f), 0);
}

/* A prefix that is cut where the key's maximum ends must not become another, valid one. */
static void test_overlong_prefix_deletes_nothing(void **state)
{
	struct fixture *f = *state;
	fixture_put(f, "a/b", "x");
	char prefix[2 * STORE_KEY_MAX];
	memset(prefix, '/', sizeof(prefix));
	for (size_t i = 0; i < STORE_KEY_MAX; i += 2)
		prefix[i] = 'a';
	prefix[STORE_KEY_MAX - 1] = 'a';
	memcpy(prefix + STORE_KEY_MAX, "/b", 3);
	FAILS(store_delete_prefix(f->store, prefix, e), ERR_INVALID, "INVALID_KEY");
	fixture_expect(f, "a/b", "x");
}

static bool ignore_key(void *ctx, const char *key, const struct store_info *info)
{
	(void)ctx;
	(void)key;
	(void)info;
	return true;
}

static void test_prefixes(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *prefix;
		bool ok;
	} cases[] = {
		{ NULL, true },
		{ "", true },
		{ "a", true },
		{ "a/", true },
		{ "a/b", true },
		{ ".", true },
		{ "..", true },
		{ ".mill", true },
		{ "/", false },
		{ "/a", false },
		{ "a//", false },
		{ "../", false },
		{ "a/../b", false },
		{ "./a", false },
		{ "a\n", false },
		{ "a\xFF", false },
		{ "a\xFF/", false },
		{ ".millrace/", false },
		{ ".millrace/tmp/", false },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct err e = { 0 };
		int r = store_list(f->store, cases[i].prefix, NULL, 10, ignore_key, NULL, &e);
		if (r != (cases[i].ok ? 0 : -ERR_INVALID))
			fail_msg("\"%s\": %d %s", cases[i].prefix, r, e.message);
	}
}

static void test_content_types(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(store_content_type("hls/j/v0/segment_000.m4s"), "video/iso.segment");
	assert_string_equal(store_content_type("master.m3u8"), "application/vnd.apple.mpegurl");
	assert_string_equal(store_content_type("a/b.TS"), "video/mp2t");
	assert_string_equal(store_content_type("a.mp4/b"), "application/octet-stream");
	assert_string_equal(store_content_type("a/.mp4"), "application/octet-stream");
	assert_string_equal(store_content_type("a."), "application/octet-stream");
	assert_string_equal(store_content_type(""), "application/octet-stream");

	char long_type[200];
	memset(long_type, 'x', sizeof(long_type) - 1);
	long_type[sizeof(long_type) - 1] = '\0';
	FAILS(store_put(f->store, "k", "x", 1, "text/plain\r\nSet-Cookie: a", NULL, e), ERR_INVALID,
	      "INVALID_CONTENT_TYPE");
	FAILS(store_put(f->store, "k", "x", 1, "", NULL, e), ERR_INVALID, "INVALID_CONTENT_TYPE");
	FAILS(store_put(f->store, "k", "x", 1, long_type, NULL, e), ERR_INVALID, "INVALID_CONTENT_TYPE");
	struct store_info info;
	long_type[127] = '\0';
	OK(store_put(f->store, "k", "x", 1, long_type, &info, e));
	if (f->has_xattr)
		assert_string_equal(info.content_type, long_type);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test_setup_teardown(test_every_call_checks, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_overlong_prefix_deletes_nothing, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_prefixes, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_content_types, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
