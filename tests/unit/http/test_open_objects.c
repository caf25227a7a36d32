/* Objects that are kept open: found while they are what the store has, never more than there may be, gone after a second,
 * and their memory counted while somebody still sends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../base/folder.h"
#include "base/mem.h"
#include "http/open_objects.h"

static struct store *store;
/* In memory: a container's /tmp may lie on a file system that can't tell what is current. */
static char root[] = "/dev/shm/http-open-XXXXXX";

static int setup(void **state)
{
	(void)state;
	struct err e;
	return mkdtemp(root) ? store_open_local(&(struct store_local_opts) { .root = root }, &store, &e) : -1;
}

static int teardown(void **state)
{
	(void)state;
	store_close(store);
	return folder_remove(root);
}

static void put(const char *key, size_t len, char fill)
{
	_cleanup_free_ char *bytes = malloc(len);
	struct err e;
	assert_non_null(bytes);
	memset(bytes, fill, len);
	assert_int_equal(store_put(store, key, bytes, len, NULL, NULL, &e), 0);
}

static struct open_object *open_it(struct open_objects *all, const char *key)
{
	struct store_reader *reader;
	struct store_info info;
	struct err e;
	assert_int_equal(store_reader_open(store, key, &reader, &info, &e), 0);
	return open_object_new(all, reader, &info);
}

static void keep(struct open_objects *all, const char *key)
{
	struct open_object *o = open_it(all, key);
	open_objects_put(all, store, key, o);
	open_object_release(o);
}

static void assert_found(struct open_objects *all, const char *key, char fill)
{
	struct open_object *o = open_objects_find(all, store, key);
	/* A machine that stops for a second between the two would not find it. */
	for (int i = 0; i < 20 && !o; i++) {
		keep(all, key);
		o = open_objects_find(all, store, key);
	}
	assert_non_null(o);
	char byte = 0;
	assert_int_equal(pread(o->fd, &byte, 1, (off_t)o->info.size - 1), 1);
	assert_int_equal(byte, fill);
	if (o->data)
		assert_int_equal(o->data[o->info.size - 1], fill);
	open_object_release(o);
}

static void test_current(void **state)
{
	(void)state;
	struct open_objects *all = open_objects_new();
	static const size_t sizes[] = { 1, OPEN_OBJECT_DATA_BYTES, OPEN_OBJECT_DATA_BYTES + 1 };
	for (size_t i = 0; i < MR_ARRAY_SIZE(sizes); i++) {
		assert_null(open_objects_find(all, store, "a/b"));
		put("a/b", sizes[i], 'x');
		keep(all, "a/b");
		assert_found(all, "a/b", 'x');
		assert_null(open_objects_find(all, NULL, "a/b"));
		put("a/b", sizes[i], 'y');
		assert_null(open_objects_find(all, store, "a/b"));
		keep(all, "a/b");
		assert_found(all, "a/b", 'y');
		assert_int_equal(store_delete(store, "a/b", NULL), 0);
		assert_null(open_objects_find(all, store, "a/b"));
	}
	/* What was deleted after it had been opened is not kept at all. */
	put("a/b", 1, 'z');
	struct open_object *o = open_it(all, "a/b");
	assert_int_equal(store_delete(store, "a/b", NULL), 0);
	size_t before = open_objects_count(all);
	open_objects_put(all, store, "a/b", o);
	assert_int_equal(open_objects_count(all), before);
	open_object_release(o);
	open_objects_free(all);
}

static void test_bounds(void **state)
{
	(void)state;
	struct open_objects *all = open_objects_new();
	put("c/d", OPEN_OBJECT_DATA_BYTES, 'x');
	/* Held by slow clients. */
	static struct open_object *held[2 * OPEN_OBJECTS_MAX];
	for (size_t i = 0; i < MR_ARRAY_SIZE(held); i++)
		held[i] = open_it(all, "c/d");
	for (size_t i = 0; i < MR_ARRAY_SIZE(held); i++)
		assert_true((held[i]->data != NULL) == (i < OPEN_OBJECTS_BYTES / OPEN_OBJECT_DATA_BYTES));
	for (size_t i = 0; i < MR_ARRAY_SIZE(held); i++)
		open_object_release(held[i]);
	struct open_object *o = open_it(all, "c/d");
	assert_non_null(o->data);
	open_object_release(o);

	char key[32] = "";
	for (int i = 0; i < 2 * OPEN_OBJECTS_MAX; i++) {
		(void)snprintf(key, sizeof(key), "e/%d", i);
		put(key, 10, 'x');
		keep(all, key);
		assert_in_range(open_objects_count(all), 1, OPEN_OBJECTS_MAX);
	}
	assert_found(all, key, 'x');
	while (open_objects_count(all)) {
		usleep(10000);
		open_objects_expire(all);
	}
	assert_null(open_objects_find(all, store, key));
	open_objects_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_current), cmocka_unit_test(test_bounds) };
	return cmocka_run_group_tests(tests, setup, teardown);
}
