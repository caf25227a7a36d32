/* The stream store over a real database and folder: what is durable, who may write, what is removed. */
#include "../worker/worker_fixture.h"

#include <string.h>

#include "job/keys.h"
#include "job/stream.h"
#include "live/stream_store.h"
#include "worker/stream_clean.h"

#define HEADER "<header>"
#define HOUR_MS (3600 * INT64_C(1000))

static struct stream make_stream(struct worker_fixture *f, struct stream_store *ss, const char *name)
{
	struct stream s = { 0 };
	OK(stream_store_ensure(ss, "u", &(struct stream_new) { .name = name, .retention_hours = 1 }, &s, &f->e));
	return s;
}

static struct stream_store *open_store(struct worker_fixture *f)
{
	return stream_store_new(&(struct stream_store_opts) { .repo = f->rows->repo, .store = f->store, .bus = f->bus });
}

static int append(struct worker_fixture *f, struct stream_writer *w, int64_t producer_ms, const char *media,
		  struct fragment *ret)
{
	const struct stream_fragment_new n = {
		.header = HEADER, .header_len = strlen(HEADER), .producer_ms = producer_ms, .timecode_ms = 7
	};
	return stream_writer_append(w, &n, media, strlen(media), 2000, ret, &f->e);
}

static uint32_t list(struct worker_fixture *f, const struct stream *s, struct fragment *ret, uint32_t max)
{
	uint32_t count = 0;
	OK(repo_fragment_list(f->rows->repo, &(struct fragment_query) { .stream_id = s->id, .after = -1 }, ret, max, &count,
			      &f->e));
	return count;
}

static void count_event(void *ctx, const struct bus_event *ev)
{
	assert_non_null(ev->stream_id);
	++*(int *)ctx;
}

static void a_fragment_is_an_object_and_a_row(void **state)
{
	struct worker_fixture *f = *state;
	struct stream_store *ss = open_store(f);
	struct stream s = make_stream(f, ss, "session-1");
	struct stream_writer *w;
	struct bus_subscription *sub;
	struct fragment made, rows[4];
	char number[FRAGMENT_NUMBER_SIZE];
	int told = 0;
	OK(stream_writer_open(ss, &s, &w, &f->e));
	OK(bus_subscribe(f->bus, BUS_STREAM, count_event, &told, &sub, &f->e));
	OK(append(f, w, 1700000000123, "<cluster 1>", &made));
	assert_int_equal(told, 1);
	OK(append(f, w, 1700000002123, "<cluster 2>", NULL));
	bus_unsubscribe(f->bus, sub);
	assert_int_equal(list(f, &s, rows, 4), 2);
	assert_int_equal(rows[0].number, made.number);
	assert_true(rows[1].number > rows[0].number);
	assert_int_equal(rows[0].producer_ms, 1700000000123);
	assert_int_equal(rows[0].length_ms, 2000);
	_cleanup_free_ char *key = key_fragment("u", s.id, made.number);
	_cleanup_free_ char *text = text_of(f, key);
	size_t size = rows[0].bytes;
	assert_memory_equal(text, HEADER, strlen(HEADER));
	assert_memory_equal(text + size - strlen("<cluster 1>"), "<cluster 1>", strlen("<cluster 1>"));
	fragment_number_format(&s, made.number, number);
	assert_non_null(memmem(text, size, number, strlen(number)));
	assert_non_null(memmem(text, size, "1700000000.123", 14));
	stream_writer_close(w);
	stream_release(&s);
	stream_store_free(ss);
}

static void what_is_not_committed_is_not_there(void **state)
{
	struct worker_fixture *f = *state;
	struct stream_store *ss = open_store(f);
	struct stream s = make_stream(f, ss, "s");
	struct stream_writer *w;
	struct stream_fragment *fragment;
	struct fragment rows[1];
	OK(stream_writer_open(ss, &s, &w, &f->e));
	OK(stream_fragment_begin(w, &(struct stream_fragment_new) { .header = HEADER, .header_len = 8 }, &fragment, &f->e));
	OK(stream_fragment_write(fragment, "x", 1, &f->e));
	_cleanup_free_ char *key = key_fragment("u", s.id, FRAGMENTS_PER_WRITER);
	assert_false(stored(f, key));
	stream_fragment_abort(fragment);
	assert_false(stored(f, key));
	assert_int_equal(list(f, &s, rows, 1), 0);
	stream_writer_close(w);
	stream_release(&s);
	stream_store_free(ss);
}

/* Two stores stand for two processes. */
static void a_new_writer_takes_over_and_the_old_one_is_fenced(void **state)
{
	struct worker_fixture *f = *state;
	struct stream_store *here = open_store(f), *there = open_store(f);
	struct stream s = make_stream(f, here, "s");
	struct stream_writer *old, *new, *third;
	struct fragment first, second, rows[4];
	OK(stream_writer_open(here, &s, &old, &f->e));
	OK(append(f, old, 1, "a", &first));
	assert_int_equal(stream_writer_open(here, &s, &third, &f->e), -ERR_BUSY);
	OK(stream_writer_open(there, &s, &new, &f->e));
	assert_int_equal(append(f, old, 2, "b", NULL), -ERR_LOST);
	_cleanup_free_ char *lost = key_fragment("u", s.id, first.number + 1);
	assert_false(stored(f, lost));
	OK(append(f, new, 3, "c", &second));
	assert_true(second.number > first.number + 1);
	bool live = false;
	stream_writer_close(old); /* changes nothing for the new one */
	OK(repo_stream_is_live(f->rows->repo, s.id, &live, &f->e));
	assert_true(live);
	stream_writer_close(new);
	OK(repo_stream_is_live(f->rows->repo, s.id, &live, &f->e));
	assert_false(live);
	assert_int_equal(list(f, &s, rows, 4), 2);
	stream_release(&s);
	stream_store_free(here);
	stream_store_free(there);
}

static void what_a_crash_left_goes_with_the_next_writer(void **state)
{
	struct worker_fixture *f = *state;
	struct stream_store *ss = open_store(f);
	struct stream s = make_stream(f, ss, "s");
	struct stream_writer *w;
	struct fragment made;
	OK(stream_writer_open(ss, &s, &w, &f->e));
	OK(append(f, w, 1, "a", &made));
	stream_writer_close(w);
	_cleanup_free_ char *kept = key_fragment("u", s.id, made.number);
	_cleanup_free_ char *orphan = key_fragment("u", s.id, made.number + 1);
	put(f, orphan, "stored, not committed");
	OK(stream_writer_open(ss, &s, &w, &f->e));
	assert_true(stored(f, kept));
	assert_false(stored(f, orphan));
	stream_writer_close(w);
	stream_release(&s);
	stream_store_free(ss);
}

static void streams_belong_to_their_user(void **state)
{
	struct worker_fixture *f = *state;
	struct stream_store *ss = open_store(f);
	struct stream s = make_stream(f, ss, "mine"), other = { 0 };
	assert_int_equal(stream_store_ensure(ss, "v", &(struct stream_new) { .name = "mine" }, &other, &f->e), -ERR_DENIED);
	assert_int_equal(repo_stream_get(f->rows->repo, "v", "mine", &other, &f->e), -ERR_NOT_FOUND);
	assert_int_equal(repo_stream_create(f->rows->repo, "v", &(struct stream_new) { .name = "mine" }, &other, &f->e),
			 -ERR_CONFLICT);
	assert_int_equal(stream_store_ensure(ss, "u", &(struct stream_new) { .name = "a/b" }, &other, &f->e), -ERR_INVALID);
	stream_release(&s);
	stream_store_free(ss);
}

static void expired_fragments_are_not_shown_and_then_removed(void **state)
{
	struct worker_fixture *f = *state;
	struct stream_store *ss = open_store(f);
	struct stream s = make_stream(f, ss, "s");
	struct stream_writer *w;
	struct fragment old, made, rows[4];
	OK(stream_writer_open(ss, &s, &w, &f->e));
	OK(append(f, w, 1, "a", &old));
	OK(append(f, w, 2, "b", &made));
	_cleanup_free_ char *age =
		mr_asprintf("UPDATE fragment SET server_ms = server_ms - %lld, expires_ms = expires_ms - %lld"
			    " WHERE number = %lld",
			    (long long)HOUR_MS, (long long)HOUR_MS, (long long)old.number);
	sql(f->rows, age);
	assert_int_equal(list(f, &s, rows, 4), 1);
	assert_int_equal(rows[0].number, made.number);
	/* Kept longer after all. */
	OK(repo_stream_change(f->rows->repo, &s, &(struct stream_change) { .retention_hours = 2 }, &f->e));
	assert_int_equal(list(f, &s, rows, 4), 2);
	OK(repo_stream_change(f->rows->repo, &s, &(struct stream_change) { .retention_hours = 1 }, &f->e));
	streams_clean(f->rows->repo, f->store);
	_cleanup_free_ char *old_key = key_fragment("u", s.id, old.number);
	_cleanup_free_ char *new_key = key_fragment("u", s.id, made.number);
	assert_false(stored(f, old_key));
	assert_true(stored(f, new_key));
	assert_int_equal(number(f->rows, "SELECT COUNT(*) FROM fragment"), 1);
	stream_writer_close(w);
	stream_release(&s);
	stream_store_free(ss);
}

static void a_deleted_stream_leaves_nothing(void **state)
{
	struct worker_fixture *f = *state;
	struct stream_store *ss = open_store(f);
	struct stream s = make_stream(f, ss, "s"), again;
	struct stream_writer *w;
	struct fragment made;
	OK(stream_writer_open(ss, &s, &w, &f->e));
	OK(append(f, w, 1, "a", &made));
	assert_int_equal(repo_stream_delete(f->rows->repo, &s, s.version + 1, &f->e), -ERR_CONFLICT);
	OK(repo_stream_delete(f->rows->repo, &s, s.version, &f->e));
	assert_int_equal(append(f, w, 2, "b", NULL), -ERR_NOT_FOUND);
	again = make_stream(f, ss, "s"); /* the name is free at once */
	assert_string_not_equal(again.id, s.id);
	streams_clean(f->rows->repo, f->store);
	_cleanup_free_ char *key = key_fragment("u", s.id, made.number);
	assert_false(stored(f, key));
	assert_int_equal(number(f->rows, "SELECT COUNT(*) FROM fragment"), 0);
	assert_int_equal(number(f->rows, "SELECT COUNT(*) FROM stream"), 1);
	stream_writer_close(w);
	stream_release(&s);
	stream_release(&again);
	stream_store_free(ss);
}

static void numbers_and_arns_are_one_streams(void **state)
{
	(void)state;
	struct stream s = { .created_ms = 1732622783456, .name = "a-b" }, other = { .created_ms = 1732622783457 };
	char text[FRAGMENT_NUMBER_SIZE], later[FRAGMENT_NUMBER_SIZE], arn[STREAM_ARN_SIZE], name[STREAM_NAME_MAX + 1];
	int64_t number = 0, created = 0;
	fragment_number_format(&s, 2000000009, text);
	fragment_number_format(&s, 10000000000, later);
	assert_int_equal(strlen(text), 47);
	assert_true(strcmp(text, later) < 0);
	assert_true(fragment_number_parse(&s, text, &number));
	assert_int_equal(number, 2000000009);
	assert_false(fragment_number_parse(&other, text, &number));
	assert_false(fragment_number_parse(&s, "91343852333181432392682062607743920146159169392", &number));
	text[40] = 'x';
	assert_false(fragment_number_parse(&s, text, &number));
	stream_arn_format(&s, arn);
	assert_true(stream_arn_parse(arn, name, &created));
	assert_string_equal(name, "a-b");
	assert_int_equal(created, s.created_ms);
	assert_true(stream_arn_parse("arn:aws:kinesisvideo:eu-west-1:123456789012:stream/x/1", name, &created));
	assert_false(stream_arn_parse("arn:aws:kinesisvideo:eu-west-1:123456789012:stream/x", name, &created));
	assert_false(stream_arn_parse("arn:aws:kinesisvideo:eu-west-1:123456789012:stream//1", name, &created));
	assert_false(stream_arn_parse("arn:aws:s3:::stream/x/1", name, &created));
}

#define T(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_fragment_is_an_object_and_a_row),
		T(what_is_not_committed_is_not_there),
		T(a_new_writer_takes_over_and_the_old_one_is_fenced),
		T(what_a_crash_left_goes_with_the_next_writer),
		T(streams_belong_to_their_user),
		T(expired_fragments_are_not_shown_and_then_removed),
		T(a_deleted_stream_leaves_nothing),
		cmocka_unit_test(numbers_and_arns_are_one_streams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
