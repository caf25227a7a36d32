/* Multipart uploads: S3's rules, repetition, and what a killed process leaves. */
#include <pthread.h>

#include "store_fixture.h"

#define KEY "uploads/u/film.mp4"

static char *five_mib; /* a smallest part; each test writes its letter into it */

static struct store_part put_part(struct fixture *f, const char *id, uint32_t number, char fill, size_t len)
{
	memset(five_mib, fill, STORE_PART_MIN_BYTES);
	struct store_part part;
	OK(store_multipart_put(f->store, KEY, id, number, five_mib, len, &part, e));
	assert_int_equal(part.number, number);
	assert_int_equal(part.size, len);
	return part;
}

static void begin(struct fixture *f, char id[STORE_UPLOAD_ID_SIZE])
{
	OK(store_multipart_begin(f->store, KEY, "video/mp4", id, e));
}

static char byte_at(struct fixture *f, uint64_t offset)
{
	struct store_reader *r;
	struct store_info info;
	char c = 0;
	size_t len;
	OK(store_reader_open(f->store, KEY, &r, &info, e));
	OK(store_reader_read(r, offset, &c, 1, &len, e));
	assert_int_equal(len, 1);
	store_reader_close(r);
	return c;
}

static void test_upload(void **state)
{
	struct fixture *f = *state;
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_part parts[3], listed[8];
	struct store_info info, again;
	size_t count;
	begin(f, id);
	OK(store_multipart_list(f->store, KEY, id, listed, 8, &count, e));
	assert_int_equal(count, 0);
	/* In any order, and one of them twice: the last one counts. */
	parts[2] = put_part(f, id, 10000, 'c', 3);
	struct store_part replaced = put_part(f, id, 1, 'x', STORE_PART_MIN_BYTES);
	parts[1] = put_part(f, id, 7, 'b', STORE_PART_MIN_BYTES);
	parts[0] = put_part(f, id, 1, 'a', STORE_PART_MIN_BYTES);
	assert_string_not_equal(replaced.etag, parts[0].etag);

	OK(store_multipart_list(f->store, KEY, id, listed, 8, &count, e));
	assert_int_equal(count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(listed[i].number, parts[i].number);
		assert_int_equal(listed[i].size, parts[i].size);
		assert_string_equal(listed[i].etag, parts[i].etag);
	}
	OK(store_multipart_list(f->store, KEY, id, listed, 2, &count, e));
	assert_int_equal(count, 2);

	fixture_expect_absent(f, KEY);
	OK(store_multipart_complete(f->store, KEY, id, parts, 3, &info, e));
	assert_int_equal(info.size, 2 * STORE_PART_MIN_BYTES + 3);
	if (f->has_xattr) {
		assert_string_equal(info.content_type, "video/mp4");
		assert_non_null(strstr(info.etag, "-3"));
		assert_string_equal(info.sha256, "");
	}
	assert_int_equal(byte_at(f, 0), 'a');
	assert_int_equal(byte_at(f, STORE_PART_MIN_BYTES - 1), 'a');
	assert_int_equal(byte_at(f, STORE_PART_MIN_BYTES), 'b');
	assert_int_equal(byte_at(f, 2 * STORE_PART_MIN_BYTES + 2), 'c');

	/* Again: the same answer, and nothing is done twice. With other parts it is no repetition. */
	OK(store_multipart_complete(f->store, KEY, id, parts, 3, &again, e));
	assert_string_equal(again.etag, info.etag);
	assert_int_equal(again.modified_ms, info.modified_ms);
	FAILS(store_multipart_complete(f->store, KEY, id, parts, 2, &again, e), ERR_INVALID, "InvalidPart");
	FAILS(store_multipart_put(f->store, KEY, id, 1, "x", 1, parts, e), ERR_NOT_FOUND, "NoSuchUpload");
	FAILS(store_multipart_list(f->store, KEY, id, listed, 8, &count, e), ERR_NOT_FOUND, "NoSuchUpload");

	/* The parts are gone at once, the memory of the upload with the sweep, the object stays. */
	_cleanup_free_ char *folder = mr_asprintf(".millrace/uploads/%s", id);
	assert_int_equal(fixture_count(f, folder), 2);
	OK(store_sweep(f->store, 0, e));
	assert_int_equal(fixture_count(f, ".millrace/uploads"), 0);
	FAILS(store_multipart_complete(f->store, KEY, id, parts, 3, &info, e), ERR_NOT_FOUND, "NoSuchUpload");
	assert_int_equal(byte_at(f, 0), 'a');
	assert_int_equal(fixture_temps(f), 0);
}

static void test_rules(void **state)
{
	struct fixture *f = *state;
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_part parts[2], out;
	struct store_info info;
	begin(f, id);
	FAILS(store_multipart_put(f->store, KEY, id, 0, "x", 1, &out, e), ERR_INVALID, "InvalidArgument");
	FAILS(store_multipart_put(f->store, KEY, id, 10001, "x", 1, &out, e), ERR_INVALID, "InvalidArgument");
	FAILS(store_multipart_put(f->store, KEY, id, 1, "x", (UINT64_C(5) << 30) + 1, &out, e), ERR_TOO_LARGE,
	      "EntityTooLarge");
	parts[0] = put_part(f, id, 1, 'a', STORE_PART_MIN_BYTES - 1);
	parts[1] = put_part(f, id, 2, 'b', 1);
	FAILS(store_multipart_complete(f->store, KEY, id, parts, 0, &info, e), ERR_INVALID, "MalformedXML");
	FAILS(store_multipart_complete(f->store, KEY, id, parts, 10001, &info, e), ERR_INVALID, "MalformedXML");
	FAILS(store_multipart_complete(f->store, KEY, id, parts, 2, &info, e), ERR_INVALID, "EntityTooSmall");

	const struct store_part swapped[] = { parts[1], parts[0] }, twice[] = { parts[0], parts[0] };
	FAILS(store_multipart_complete(f->store, KEY, id, swapped, 2, &info, e), ERR_INVALID, "InvalidPartOrder");
	FAILS(store_multipart_complete(f->store, KEY, id, twice, 2, &info, e), ERR_INVALID, "InvalidPartOrder");
	struct store_part bad = parts[0];
	bad.number = 0;
	FAILS(store_multipart_complete(f->store, KEY, id, &bad, 1, &info, e), ERR_INVALID, "InvalidPart");
	bad.number = 3;
	FAILS(store_multipart_complete(f->store, KEY, id, &bad, 1, &info, e), ERR_INVALID, "InvalidPart");
	bad = parts[0];
	memcpy(bad.etag, parts[1].etag, sizeof(bad.etag));
	FAILS(store_multipart_complete(f->store, KEY, id, &bad, 1, &info, e), ERR_INVALID, "InvalidPart");
	fixture_expect_absent(f, KEY);
	assert_int_equal(fixture_temps(f), 0);

	/* After all that the upload still works; what is not named is left out. One part may be of any size. */
	OK(store_multipart_complete(f->store, KEY, id, &parts[1], 1, NULL, e));
	fixture_expect(f, KEY, "b");
}

static void test_empty_part(void **state)
{
	struct fixture *f = *state;
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_info info;
	begin(f, id);
	struct store_part part = put_part(f, id, 1, 'a', 0);
	OK(store_multipart_complete(f->store, KEY, id, &part, 1, &info, e));
	assert_int_equal(info.size, 0);
}

static void test_unknown_uploads(void **state)
{
	struct fixture *f = *state;
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_part part = { .number = 1 };
	struct store_info info;
	size_t count;
	begin(f, id);
	static const char *const unknown[] = { "", "..", "../tmp", "0190c3f0-0000-7000-8000-000000000000", "x" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(unknown); i++) {
		FAILS(store_multipart_put(f->store, KEY, unknown[i], 1, "x", 1, &part, e), ERR_NOT_FOUND,
		      "NoSuchUpload");
		FAILS(store_multipart_list(f->store, KEY, unknown[i], &part, 1, &count, e), ERR_NOT_FOUND,
		      "NoSuchUpload");
		FAILS(store_multipart_complete(f->store, KEY, unknown[i], &part, 1, &info, e), ERR_NOT_FOUND,
		      "NoSuchUpload");
		OK(store_multipart_abort(f->store, KEY, unknown[i], e));
	}
	/* An id belongs to its key, also to one that the other begins with. */
	FAILS(store_multipart_put(f->store, KEY "2", id, 1, "x", 1, &part, e), ERR_NOT_FOUND, "NoSuchUpload");
	FAILS(store_multipart_put(f->store, "uploads/u/film", id, 1, "x", 1, &part, e), ERR_NOT_FOUND, "NoSuchUpload");
	OK(store_multipart_abort(f->store, KEY "2", id, e));
	OK(store_multipart_list(f->store, KEY, id, &part, 1, &count, e));
}

static void test_abort(void **state)
{
	struct fixture *f = *state;
	char id[STORE_UPLOAD_ID_SIZE];
	begin(f, id);
	struct store_part part = put_part(f, id, 1, 'a', 10);
	OK(store_multipart_abort(f->store, KEY, id, e));
	OK(store_multipart_abort(f->store, KEY, id, e));
	FAILS(store_multipart_put(f->store, KEY, id, 1, "x", 1, &part, e), ERR_NOT_FOUND, "NoSuchUpload");
	assert_int_equal(fixture_count(f, ".millrace/uploads"), 0);
	assert_int_equal(fixture_temps(f), 0);
	fixture_expect_absent(f, KEY);
}

static void test_conflict_keeps_the_parts(void **state)
{
	struct fixture *f = *state;
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_info info;
	begin(f, id);
	struct store_part part = put_part(f, id, 1, 'a', 3);
	fixture_put(f, KEY "/below", "x");
	FAILS(store_multipart_complete(f->store, KEY, id, &part, 1, &info, e), ERR_CONFLICT, "KEY_CONFLICT");
	OK(store_delete(f->store, KEY "/below", e));
	OK(store_multipart_complete(f->store, KEY, id, &part, 1, &info, e));
	fixture_expect(f, KEY, "aaa");
}

/* As after a kill between the rename of the object and the mark: the repetition makes the same object again. */
static void test_complete_without_mark(void **state)
{
	struct fixture *f = *state;
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_info first, second;
	begin(f, id);
	struct store_part part = put_part(f, id, 1, 'a', 3);
	_cleanup_free_ char *folder = mr_asprintf("%s/.millrace/uploads/%s", f->root, id);
	_cleanup_free_ char *saved = mr_asprintf("%s/part", f->root);
	_cleanup_free_ char *part_path = mr_asprintf("%s/00001", folder);
	_cleanup_free_ char *done = mr_asprintf("%s/done", folder);
	assert_int_equal(link(part_path, saved), 0);
	OK(store_multipart_complete(f->store, KEY, id, &part, 1, &first, e));
	assert_int_equal(rename(saved, part_path), 0);
	assert_int_equal(unlink(done), 0);
	OK(store_multipart_complete(f->store, KEY, id, &part, 1, &second, e));
	fixture_expect(f, KEY, "aaa");
	if (f->has_xattr)
		assert_string_equal(first.etag, second.etag);
}

/* A sweep goes by the last sign of life, and leaves what is younger. */
static void test_sweep_by_age(void **state)
{
	struct fixture *f = *state;
	char old_id[STORE_UPLOAD_ID_SIZE], id[STORE_UPLOAD_ID_SIZE];
	struct store_part part;
	begin(f, old_id);
	begin(f, id);
	part = put_part(f, id, 1, 'a', 3);
	_cleanup_free_ char *folder = mr_asprintf("%s/.millrace/uploads/%s", f->root, old_id);
	const struct timespec hour_ago[2] = { { .tv_sec = time(NULL) - 3600 }, { .tv_sec = time(NULL) - 3600 } };
	assert_int_equal(utimensat(AT_FDCWD, folder, hour_ago, 0), 0);
	OK(store_sweep(f->store, INT64_C(3601) * 1000, e));
	assert_int_equal(fixture_count(f, ".millrace/uploads"), 2);
	OK(store_sweep(f->store, 1800 * 1000, e));
	assert_int_equal(fixture_count(f, ".millrace/uploads"), 1);
	FAILS(store_multipart_put(f->store, KEY, old_id, 1, "x", 1, &part, e), ERR_NOT_FOUND, "NoSuchUpload");
	OK(store_multipart_complete(f->store, KEY, id, &part, 1, NULL, e));
}

struct completer {
	struct fixture *f;
	const char *id;
	const struct store_part *parts;
	struct store_info info;
	int result;
};

static void *complete_thread(void *arg)
{
	struct completer *c = arg;
	c->result = store_multipart_complete(c->f->store, KEY, c->id, c->parts, 2, &c->info, NULL);
	return NULL;
}

static void test_complete_at_once(void **state)
{
	struct fixture *f = *state;
	char id[STORE_UPLOAD_ID_SIZE];
	begin(f, id);
	const struct store_part parts[] = { put_part(f, id, 1, 'a', STORE_PART_MIN_BYTES), put_part(f, id, 2, 'b', 1) };
	struct completer completers[4];
	pthread_t thread[MR_ARRAY_SIZE(completers)];
	for (size_t i = 0; i < MR_ARRAY_SIZE(completers); i++) {
		completers[i] = (struct completer) { .f = f, .id = id, .parts = parts };
		assert_int_equal(pthread_create(&thread[i], NULL, complete_thread, &completers[i]), 0);
	}
	for (size_t i = 0; i < MR_ARRAY_SIZE(completers); i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_int_equal(completers[i].result, 0);
		assert_string_equal(completers[i].info.etag, completers[0].info.etag);
		/* Made once: the others found it done. */
		assert_int_equal(completers[i].info.modified_ms, completers[0].info.modified_ms);
	}
	assert_int_equal(byte_at(f, STORE_PART_MIN_BYTES), 'b');
}

static int group_setup(void **state)
{
	(void)state;
	five_mib = malloc(STORE_PART_MIN_BYTES);
	return five_mib ? 0 : -1;
}

static int group_teardown(void **state)
{
	(void)state;
	free(five_mib);
	return 0;
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_upload),
		WITH_STORE(test_rules),
		WITH_STORE(test_empty_part),
		WITH_STORE(test_unknown_uploads),
		WITH_STORE(test_abort),
		WITH_STORE(test_conflict_keeps_the_parts),
		WITH_STORE(test_complete_without_mark),
		WITH_STORE(test_sweep_by_age),
		WITH_STORE(test_complete_at_once),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
