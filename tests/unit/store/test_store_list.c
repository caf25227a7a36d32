/* Listing: byte order, prefixes, pages, wide folders, and keys that come and go meanwhile. */
#include "store_fixture.h"

struct listing {
	char *keys[4096];
	size_t count;
	size_t stop_at; /* 0: never */
};

static bool collect(void *ctx, const char *key, const struct store_info *info)
{
	struct listing *l = ctx;
	assert_non_null(info);
	assert_true(l->count < MR_ARRAY_SIZE(l->keys));
	assert_int_equal(info->size, 1);
	l->keys[l->count++] = mr_strdup(key);
	return l->count != l->stop_at;
}

static void listing_clear(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->keys[i]);
	l->count = 0;
}

static struct listing result;

static void list(struct fixture *f, const char *prefix, const char *after, size_t max)
{
	listing_clear(&result);
	OK(store_list(f->store, prefix, after, max, collect, &result, e));
}

static void expect(const char *const *keys, size_t count)
{
	if (result.count != count)
		fail_msg("%zu keys instead of %zu", result.count, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(result.keys[i], keys[i]);
}

/* In byte order of the whole keys: '!' '-' '.' are less than '/', '0' is more. */
static const char *const sorted[] = {
	"a!/1", "a-b", "a.txt", "a/.millrace/x", "a/b",       "a/b.m4s/x", "a/c/1", "a/c/2",
	"a/cc", "a0",  "b",     "b\xC3\xA4/1",   "c/d/e/f/g",
};

static void put_sorted(struct fixture *f)
{
	/* Not in their order. */
	for (size_t i = 0; i < MR_ARRAY_SIZE(sorted); i++)
		fixture_put(f, sorted[i * 7 % MR_ARRAY_SIZE(sorted)], "x");
}

static void test_byte_order(void **state)
{
	struct fixture *f = *state;
	list(f, NULL, NULL, 100);
	expect(NULL, 0);
	put_sorted(f);
	list(f, NULL, NULL, 100);
	expect(sorted, MR_ARRAY_SIZE(sorted));
	list(f, "", "", 100);
	expect(sorted, MR_ARRAY_SIZE(sorted));
}

static void test_prefix(void **state)
{
	struct fixture *f = *state;
	put_sorted(f);
	list(f, "a", NULL, 100);
	expect(sorted, 10);
	list(f, "a/", NULL, 100);
	expect(sorted + 3, 6);
	list(f, "a/c", NULL, 100);
	expect(sorted + 6, 3);
	list(f, "a/c/", NULL, 100);
	expect(sorted + 6, 2);
	list(f, "a/c/2", NULL, 100);
	expect(sorted + 7, 1);
	list(f, "b", NULL, 100);
	expect(sorted + 10, 2);
	list(f, "a/b/", NULL, 100); /* "a/b" is an object */
	expect(NULL, 0);
	list(f, "nothing/here/", NULL, 100);
	expect(NULL, 0);
	list(f, ".", NULL, 100);
	expect(NULL, 0);
}

/* Every page size from every position gives the same whole. */
static void test_pages(void **state)
{
	struct fixture *f = *state;
	put_sorted(f);
	const size_t n = MR_ARRAY_SIZE(sorted);
	for (size_t max = 1; max <= n + 1; max++) {
		for (size_t at = 0; at < n; at++) {
			list(f, NULL, at ? sorted[at - 1] : NULL, max);
			expect(sorted + at, max < n - at ? max : n - at);
		}
	}
	list(f, NULL, NULL, 0);
	expect(NULL, 0);
	/* `after` need not exist: it is only a place in the order. */
	list(f, NULL, "a/", 2);
	expect(sorted + 3, 2);
	list(f, NULL, "a/b.m4s/", 1);
	expect(sorted + 5, 1);
	list(f, NULL, "a/c/1/2", 1);
	expect(sorted + 7, 1);
	list(f, "a/c", "a/b", 100);
	expect(sorted + 6, 3);
	list(f, "a/c", "z", 100);
	expect(NULL, 0);
	result.stop_at = 4;
	list(f, NULL, NULL, 100);
	expect(sorted, 4);
	result.stop_at = 0;
}

/* Wider than what is read at once, at the top and further down. */
static void test_wide_folders(void **state)
{
	struct fixture *f = *state;
	static const char *const folders[] = { "w", "1/2/3/4/5/6/7/8/9/w" };
	for (size_t k = 0; k < MR_ARRAY_SIZE(folders); k++) {
		_cleanup_free_ char *prefix = mr_asprintf("%s/", folders[k]);
		_cleanup_free_ char *first = mr_asprintf("%s0000", prefix);
		fixture_put(f, first, "x");
		/* Puts would sync each one; the names are what matters here. */
		_cleanup_free_ char *source = mr_asprintf("%s/%s", f->root, first);
		for (unsigned i = 1; i < 2500; i++) {
			_cleanup_free_ char *copy = mr_asprintf("%s/%s%04u", f->root, prefix, (i * 977) % 2500);
			assert_int_equal(link(source, copy), 0);
		}
		list(f, prefix, NULL, 4000);
		assert_int_equal(result.count, 2500);
		for (unsigned i = 0; i < 2500; i++) {
			_cleanup_free_ char *key = mr_asprintf("%s%04u", prefix, i);
			assert_string_equal(result.keys[i], key);
		}
		_cleanup_free_ char *after = mr_asprintf("%s1234", prefix);
		list(f, prefix, after, 500);
		assert_int_equal(result.count, 500);
		assert_string_equal(result.keys[0] + strlen(prefix), "1235");
		assert_string_equal(result.keys[499] + strlen(prefix), "1734");
	}
	OK(store_delete_prefix(f->store, "w", e));
	OK(store_delete_prefix(f->store, "1/2/3", e));
	list(f, NULL, NULL, 10);
	expect(NULL, 0);
	assert_int_equal(fixture_count(f, ""), 0);
}

/* What no key can name is not shown. */
static void test_strange_entries(void **state)
{
	struct fixture *f = *state;
	fixture_put(f, "a/k", "x");
	static const char *const names[] = { "a/bad\n", "a/\xFF", "a/\x01", "bad\x7F" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = mr_asprintf("%s/%s", f->root, names[i]);
		(void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	_cleanup_free_ char *loop = mr_asprintf("%s/a/loop", f->root);
	_cleanup_free_ char *empty = mr_asprintf("%s/empty", f->root);
	assert_int_equal(symlink("..", loop), 0);
	assert_int_equal(mkdir(empty, 0700), 0);
	list(f, NULL, NULL, 100);
	expect((const char *const[]) { "a/k" }, 1);
}

struct eater {
	struct fixture *f;
	size_t seen;
};

static bool delete_seen(void *ctx, const char *key, const struct store_info *info)
{
	(void)info;
	struct eater *eater = ctx;
	eater->seen++;
	OK(store_delete(eater->f->store, key, e));
	return true;
}

/* The store may be used from within the callback. */
static void test_delete_while_listing(void **state)
{
	struct fixture *f = *state;
	put_sorted(f);
	struct eater eater = { .f = f };
	OK(store_list(f->store, NULL, NULL, 100, delete_seen, &eater, e));
	assert_int_equal(eater.seen, MR_ARRAY_SIZE(sorted));
	assert_int_equal(fixture_count(f, ""), 0);
}

static int teardown(void **state)
{
	listing_clear(&result);
	return fixture_teardown(state);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_byte_order),   WITH_STORE(test_prefix),          WITH_STORE(test_pages),
		WITH_STORE(test_wide_folders), WITH_STORE(test_strange_entries), WITH_STORE(test_delete_while_listing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
