/* worker/object_queue: order, bounds, failures, ends. What blocks is held by a gate, not by time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/mem.h"
#include "worker/object_queue.h"

#define PIECE (1u << 20)

struct store {
	sem_t gate; /* one for each call that may pass */
	pthread_mutex_t lock;
	char calls[4096];
	size_t bytes;
	unsigned waits, release_after; /* keep_going opens the gate at that one */
	char fail_at; /* a call's letter, '\0': none */
	bool told_to_stop;
};

static int called(struct store *s, char letter, uint32_t number, struct err *e)
{
	(void)sem_wait(&s->gate);
	(void)pthread_mutex_lock(&s->lock);
	size_t at = strlen(s->calls);
	(void)snprintf(s->calls + at, sizeof(s->calls) - at, "%c%u ", letter, number);
	(void)pthread_mutex_unlock(&s->lock);
	return s->fail_at == letter ? err_set(e, ERR_NO_SPACE, "the disk is full") : 0;
}

static int on_begin(void *ctx, const struct task_object *head, struct err *e)
{
	return called(ctx, 'b', head->index, e);
}

static int on_data(void *ctx, const void *data, size_t len, struct err *e)
{
	struct store *s = ctx;
	int r = called(s, 'd', *(const unsigned char *)data, e);
	s->bytes += len;
	return r;
}

static int on_end(void *ctx, struct err *e)
{
	return called(ctx, 'e', 0, e);
}

static void open_gate(struct store *s, unsigned calls)
{
	while (calls--)
		(void)sem_post(&s->gate);
}

static bool keep_going(void *ctx)
{
	struct store *s = ctx;
	if (++s->waits == s->release_after)
		open_gate(s, 1000);
	return !s->told_to_stop;
}

static struct object_queue *start(struct store *s)
{
	(void)sem_init(&s->gate, 0, 0);
	(void)pthread_mutex_init(&s->lock, NULL);
	struct object_queue *q;
	struct object_sink sink = { s, on_begin, on_data, on_end, keep_going };
	assert_int_equal(object_queue_new(&sink, &q, NULL), 0);
	return q;
}

static void stop(struct object_queue *q, struct store *s)
{
	object_queue_free(&q);
	object_queue_free(&q);
	(void)sem_destroy(&s->gate);
	(void)pthread_mutex_destroy(&s->lock);
}

static int post(struct object_queue *q, uint32_t index, const char *piece, struct err *e)
{
	struct task_object head = { .kind = TASK_OBJECT_SEGMENT, .index = index, .size_bytes = PIECE };
	int r = object_queue_begin(q, &head, e);
	if (r == 0)
		r = object_queue_data(q, piece, PIECE, e);
	return r < 0 ? r : object_queue_end(q, e);
}

/* Nothing is stored yet, and the task has gone on; beyond the bound it waits, and says that it lives. */
static void posting_waits_for_room_alone(void **state)
{
	(void)state;
	struct store s = { .release_after = 3 };
	struct object_queue *q = start(&s);
	_cleanup_free_ char *piece = mr_calloc(1, PIECE);
	uint32_t n = 0;
	while (s.waits == 0 && n < 64) {
		piece[0] = (char)(n + 1);
		assert_int_equal(post(q, n++, piece, NULL), 0);
	}
	assert_true(n * (size_t)PIECE >= OBJECT_QUEUE_MAX_BYTES);
	assert_true(n * (size_t)PIECE <= OBJECT_QUEUE_MAX_BYTES + 3 * PIECE);
	assert_true(s.waits >= 3);
	assert_int_equal(object_queue_finish(q, NULL), 0);
	assert_int_equal(s.bytes, n * (size_t)PIECE);
	char want[4096] = "";
	for (uint32_t i = 0; i < n; i++)
		(void)snprintf(want + strlen(want), sizeof(want) - strlen(want), "b%u d%u e0 ", i, i + 1);
	assert_string_equal(s.calls, want);
	stop(q, &s);
}

static void a_failure_is_told_and_ends_it(void **state)
{
	(void)state;
	for (const char *at = "bde"; *at; at++) {
		struct store s = { .fail_at = *at };
		struct err e = { 0 };
		struct object_queue *q = start(&s);
		_cleanup_free_ char *piece = mr_calloc(1, PIECE);
		open_gate(&s, 1000);
		int r = post(q, 7, piece, &e);
		if (r == 0)
			r = object_queue_finish(q, &e);
		assert_int_equal(r, -ERR_NO_SPACE);
		assert_int_equal(e.kind, ERR_NO_SPACE);
		assert_int_equal(object_queue_failed(q, NULL), -ERR_NO_SPACE);
		assert_int_equal(post(q, 8, piece, NULL), -ERR_NO_SPACE);
		assert_null(strstr(s.calls, "b8"));
		stop(q, &s);
	}
}

static void waiting_ends_where_it_is_told_to(void **state)
{
	(void)state;
	struct store s = { .told_to_stop = true, .fail_at = 'b' };
	struct object_queue *q = start(&s);
	_cleanup_free_ char *piece = mr_calloc(1, PIECE);
	assert_int_equal(post(q, 0, piece, NULL), 0);
	assert_int_equal(object_queue_finish(q, NULL), -ERR_CANCELED);
	int r = 0;
	for (uint32_t i = 1; r == 0 && i < 64; i++)
		r = post(q, i, piece, NULL);
	assert_int_equal(r, -ERR_CANCELED);
	open_gate(&s, 1); /* for the call that is under way, which fails: what waits behind it is dropped */
	stop(q, &s);
	assert_string_equal(s.calls, "b0 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posting_waits_for_room_alone),
		cmocka_unit_test(a_failure_is_told_and_ends_it),
		cmocka_unit_test(waiting_ends_where_it_is_told_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
