/* Many threads on a few keys in folders that come and go: every reader sees one whole object, no put is lost to a
 * pruned folder, and at the end nothing is left. Assertions are made in the main thread only; the others count what
 * they saw.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/vfs.h>

#include "store_fixture.h"

#define ROUNDS 300
#define OBJECT_MAX (40 << 10)

static const char *const keys[] = { "a/b/c/k", "a/b/k", "z/y/x/w/v/k" };

struct shared {
	struct fixture *f;
	atomic_uint failures; /* calls that should have succeeded */
	atomic_uint torn;     /* objects that were no one's */
	atomic_bool stop;
};

static void failed(struct shared *s, const struct err *e)
{
	if (atomic_fetch_add(&s->failures, 1) < 3)
		print_error("%s: %s\n", err_code(e), e->message);
}

static void *putter(void *arg)
{
	struct shared *s = arg;
	struct err e = { 0 };
	_cleanup_free_ char *bytes = mr_calloc(1, OBJECT_MAX);
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t len = 1 + i * 7919u % OBJECT_MAX;
		memset(bytes, (int)('a' + i % 26), len);
		const char *key = keys[i % MR_ARRAY_SIZE(keys)];
		if (store_put(s->f->store, key, bytes, len, NULL, NULL, &e) < 0)
			failed(s, &e);
		if (i % 2 && store_delete(s->f->store, key, &e) < 0)
			failed(s, &e);
	}
	return NULL;
}

static bool is_whole(const char *bytes, size_t len, const struct store_info *info)
{
	if (len != info->size || !len)
		return false;
	for (size_t i = 1; i < len; i++)
		if (bytes[i] != bytes[0])
			return false;
	char sum[SHA256_HEX_SIZE];
	sha256_hex(bytes, len, sum);
	return !info->sha256[0] || strcmp(sum, info->sha256) == 0;
}

static void *getter(void *arg)
{
	struct shared *s = arg;
	struct err e = { 0 };
	_cleanup_free_ char *bytes = mr_calloc(1, OBJECT_MAX + 1);
	for (unsigned i = 0; !atomic_load(&s->stop); i++) {
		struct store_reader *r;
		struct store_info info;
		size_t len;
		int result = store_reader_open(s->f->store, keys[i % MR_ARRAY_SIZE(keys)], &r, &info, &e);
		if (result == -ERR_NOT_FOUND)
			continue;
		if (result < 0) {
			failed(s, &e);
			continue;
		}
		if (store_reader_read(r, 0, bytes, OBJECT_MAX + 1, &len, &e) < 0)
			failed(s, &e);
		else if (!is_whole(bytes, len, &info))
			atomic_fetch_add(&s->torn, 1);
		store_reader_close(r);
	}
	return NULL;
}

struct order {
	char last[STORE_KEY_MAX + 1];
	bool broken;
};

static bool check_order(void *ctx, const char *key, const struct store_info *info)
{
	struct order *o = ctx;
	o->broken = o->broken || strcmp(key, o->last) <= 0 || !info->size;
	(void)snprintf(o->last, sizeof(o->last), "%s", key);
	return true;
}

/* The janitor beside the others: lists, sweeps everything that is not in use, deletes whole trees. */
static void *janitor(void *arg)
{
	struct shared *s = arg;
	struct err e = { 0 };
	while (!atomic_load(&s->stop)) {
		struct order order = { .broken = false };
		if (store_list(s->f->store, NULL, NULL, 100, check_order, &order, &e) < 0 ||
		    store_sweep(s->f->store, 0, &e) < 0 || store_delete_prefix(s->f->store, "a", &e) < 0)
			failed(s, &e);
		if (order.broken)
			atomic_fetch_add(&s->torn, 1);
	}
	return NULL;
}

static void run(struct fixture *f)
{
	struct shared s = { .f = f };
	pthread_t putters[3], getters[2], cleaner;
	for (size_t i = 0; i < MR_ARRAY_SIZE(putters); i++)
		assert_int_equal(pthread_create(&putters[i], NULL, putter, &s), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(getters); i++)
		assert_int_equal(pthread_create(&getters[i], NULL, getter, &s), 0);
	assert_int_equal(pthread_create(&cleaner, NULL, janitor, &s), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(putters); i++)
		assert_int_equal(pthread_join(putters[i], NULL), 0);
	atomic_store(&s.stop, true);
	for (size_t i = 0; i < MR_ARRAY_SIZE(getters); i++)
		assert_int_equal(pthread_join(getters[i], NULL), 0);
	assert_int_equal(pthread_join(cleaner, NULL), 0);
	assert_int_equal(atomic_load(&s.failures), 0);
	assert_int_equal(atomic_load(&s.torn), 0);
	assert_int_equal(fixture_temps(f), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(keys); i++)
		OK(store_delete(f->store, keys[i], e));
	assert_int_equal(fixture_count(f, ""), 0);
}

static void test_threads_on_disk(void **state)
{
	run(*state);
}

/* Where fsync costs nothing, there is more of a crowd. */
static void test_threads_in_memory(void **state)
{
	(void)state;
	struct statfs fs;
	if (statfs("/dev/shm", &fs) < 0 || access("/dev/shm", W_OK) < 0)
		skip();
	struct fixture f;
	fixture_open_at(&f, "/dev/shm");
	run(&f);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_threads_on_disk, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_threads_in_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
