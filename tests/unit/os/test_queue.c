/* os/queue and os/pool: order, bounds, closing from either side, many threads. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "../base/cm.h"
#include "base/mem.h"
#include "os/pool.h"
#include "os/queue.h"

static int numbers[4000];

static void bounds_and_closing(void **state)
{
	(void)state;
	struct queue *q = queue_new(2);
	void *got = NULL;
	assert_int_equal(queue_pop(q, 0, &got), -ERR_TIMEOUT);
	assert_int_equal(queue_pop(q, 5, &got), -ERR_TIMEOUT);
	assert_int_equal(queue_push(q, &numbers[0]), 0);
	assert_int_equal(queue_try_push(q, &numbers[1]), 0);
	assert_int_equal(queue_try_push(q, &numbers[2]), -ERR_BUSY);
	assert_int_equal(queue_length(q), 2);
	queue_close(q);
	assert_int_equal(queue_push(q, &numbers[2]), -ERR_CANCELED);
	assert_int_equal(queue_try_push(q, &numbers[2]), -ERR_CANCELED);
	assert_int_equal(queue_pop(q, -1, &got), 0); /* drains in order */
	assert_ptr_equal(got, &numbers[0]);
	assert_int_equal(queue_pop(q, -1, &got), 0);
	assert_ptr_equal(got, &numbers[1]);
	assert_int_equal(queue_pop(q, -1, &got), -ERR_CANCELED);
	queue_free(q);
	queue_free(NULL);
}

static void *pop_until_closed(void *arg)
{
	void *got;
	long sum = 0;
	while (queue_pop(arg, -1, &got) == 0)
		sum += *(int *)got;
	return (void *)sum;
}

static void *push_half(void *arg)
{
	for (size_t i = 0; i < MR_ARRAY_SIZE(numbers) / 2; i++)
		if (queue_push(arg, &numbers[i]) < 0)
			return arg;
	return NULL;
}

static void many_threads_lose_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(numbers); i++)
		numbers[i] = (int)i;
	struct queue *q = queue_new(3);
	pthread_t in[2], out[3];
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&out[i], NULL, pop_until_closed, q), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&in[i], NULL, push_half, q), 0);
	void *r;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(in[i], &r), 0);
		assert_null(r);
	}
	queue_close(q);
	long sum = 0;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(out[i], &r), 0);
		sum += (long)r;
	}
	long half = (long)MR_ARRAY_SIZE(numbers) / 2;
	assert_int_equal(sum, half * (half - 1));
	queue_free(q);
}

static void *push_one(void *arg)
{
	return queue_push(arg, &numbers[0]) == -ERR_CANCELED ? arg : NULL;
}

static void closing_wakes_a_blocked_push(void **state)
{
	(void)state;
	struct queue *q = queue_new(1);
	assert_int_equal(queue_push(q, &numbers[1]), 0);
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, push_one, q), 0);
	queue_close(q);
	void *r;
	assert_int_equal(pthread_join(t, &r), 0);
	assert_ptr_equal(r, q);
	queue_free(q);
}

static atomic_int ran;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void count_behind_gate(void *arg)
{
	(void)arg;
	(void)pthread_mutex_lock(&gate);
	(void)pthread_mutex_unlock(&gate);
	atomic_fetch_add(&ran, 1);
}

static void pool_refuses_beyond_its_backlog_and_finishes(void **state)
{
	(void)state;
	struct pool *p;
	struct err e;
	assert_int_equal(pool_new("x", 0, 1, &p, &e), -ERR_INVALID);
	assert_int_equal(pool_new("a-name-that-is-long", 2, 4, &p, &e), 0);
	atomic_store(&ran, 0);
	(void)pthread_mutex_lock(&gate);
	int accepted = 0, refused = 0;
	for (int i = 0; i < 20; i++) {
		int r = pool_submit(p, count_behind_gate, NULL);
		if (r == 0)
			accepted++;
		else if (r == -ERR_BUSY)
			refused++;
	}
	(void)pthread_mutex_unlock(&gate);
	assert_true(accepted >= 4 && accepted <= 6); /* the backlog, and what the two threads took already */
	assert_int_equal(accepted + refused, 20);
	pool_free(p);
	assert_int_equal(atomic_load(&ran), accepted);
	pool_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_and_closing),
		cmocka_unit_test(many_threads_lose_nothing),
		cmocka_unit_test(closing_wakes_a_blocked_push),
		cmocka_unit_test(pool_refuses_beyond_its_backlog_and_finishes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
