/* An input read ahead: the same bytes and errors in whatever order it is read, what comes next on its way before it is asked for,
 * never more than there may be. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "worker/read_ahead.h"

#define SIZE (5 * READ_AHEAD_BYTES + 12345)
#define PIECE 100000u

struct input {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* protected by lock */
	uint64_t reached;   /* the furthest byte that was asked for */
	uint64_t fails_at;  /* a read of this byte fails; UINT64_MAX: none does */
	unsigned failures;  /* so often; then it works */
	unsigned calls;
	bool inside;
};

static char byte_at(uint64_t offset)
{
	return (char)((offset * UINT64_C(2654435761)) >> 13);
}

static int input_read(void *ctx, uint64_t offset, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	struct input *in = ctx;
	const uint64_t left = offset < SIZE ? SIZE - offset : 0;
	const size_t n = len < left ? len : (size_t)left;
	(void)pthread_mutex_lock(&in->lock);
	const bool fails = in->failures && offset <= in->fails_at && in->fails_at < offset + n;
	in->failures -= fails;
	in->calls++;
	assert_false(in->inside); /* by one thread at a time */
	in->inside = true;
	(void)pthread_mutex_unlock(&in->lock);
	for (size_t i = 0; i < n; i++)
		((char *)buf)[i] = byte_at(offset + i);
	(void)pthread_mutex_lock(&in->lock);
	in->inside = false;
	if (offset + n > in->reached)
		in->reached = offset + n;
	(void)pthread_cond_broadcast(&in->changed);
	(void)pthread_mutex_unlock(&in->lock);
	if (fails)
		return err_set(e, ERR_IO, "it was made to fail");
	*ret_len = n;
	return 0;
}

#define INPUT_INIT { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .fails_at = UINT64_MAX }

static void assert_read(struct read_ahead *a, uint64_t offset, size_t len)
{
	_cleanup_free_ char *buf = malloc(len ? len : 1);
	const uint64_t left = offset < SIZE ? SIZE - offset : 0;
	const size_t expected = len < left ? len : (size_t)left;
	size_t got = 0;
	struct err e;
	assert_non_null(buf);
	assert_int_equal(read_ahead_read(a, offset, buf, len, &got, &e), 0);
	assert_int_equal(got, expected);
	for (size_t i = 0; i < got; i++)
		if (buf[i] != byte_at(offset + i))
			fail_msg("byte %llu is wrong", (unsigned long long)(offset + i));
}

static void test_forwards(void **state)
{
	(void)state;
	struct input in = INPUT_INIT;
	struct read_ahead *a = read_ahead_new(input_read, &in, SIZE);
	for (uint64_t at = 0; at < SIZE + PIECE; at += PIECE)
		assert_read(a, at, PIECE);
	assert_read(a, SIZE, 10);
	read_ahead_free(&a);
	assert_null(a);
	read_ahead_free(&a);
}

/* Nothing is asked of the input but by the reader until two reads follow on one another; then as much as there may be. */
static void test_ahead_and_bounded(void **state)
{
	(void)state;
	struct input in = INPUT_INIT;
	struct read_ahead *a = read_ahead_new(input_read, &in, SIZE);
	assert_read(a, 0, PIECE);
	assert_read(a, 3 * PIECE, PIECE);
	assert_read(a, PIECE, PIECE);
	assert_int_equal(in.calls, 3); /* no thread yet */
	assert_read(a, 2 * PIECE, PIECE);
	const uint64_t least = 3 * PIECE + READ_AHEAD_BYTES - READ_AHEAD_BLOCK_BYTES;
	(void)pthread_mutex_lock(&in.lock);
	while (in.reached < least)
		(void)pthread_cond_wait(&in.changed, &in.lock);
	const unsigned calls = in.calls;
	(void)pthread_mutex_unlock(&in.lock);
	/* What is there is not read again. */
	assert_read(a, 3 * PIECE, PIECE);
	assert_read(a, 4 * PIECE, PIECE);
	(void)pthread_mutex_lock(&in.lock);
	assert_in_range(in.calls, calls, calls + 2);
	assert_in_range(in.reached, least, 5 * PIECE + READ_AHEAD_BYTES);
	(void)pthread_mutex_unlock(&in.lock);
	read_ahead_free(&a);
}

static void test_anywhere(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed < 6; seed++) {
		struct input in = INPUT_INIT;
		struct read_ahead *a = read_ahead_new(input_read, &in, SIZE);
		unsigned random = seed;
		uint64_t at = 0;
		for (int i = 0; i < 300; i++) {
			random = random * 1103515245u + 12345u;
			const size_t len = 1 + (random >> 8) % (2 * READ_AHEAD_BLOCK_BYTES);
			assert_read(a, at, len);
			at += len;
			if ((random >> 4) % 4 == 0) /* a hop, forwards or back, often within what was read ahead */
				at = (at + (random >> 3) % (3 * READ_AHEAD_BYTES)) % (SIZE + 1000);
			if (at > SIZE)
				at = 0;
		}
		read_ahead_free(&a);
	}
}

/* A failure that passes is nobody's; one that lasts is told to who asks for those bytes, not before. */
static void test_failures(void **state)
{
	(void)state;
	for (unsigned failures = 1; failures < 100; failures += 98) {
		struct input in = INPUT_INIT;
		in.fails_at = 7 * PIECE + 5;
		in.failures = failures;
		struct read_ahead *a = read_ahead_new(input_read, &in, SIZE);
		for (uint64_t i = 0; i < 7; i++)
			assert_read(a, i * PIECE, PIECE);
		if (failures > 1) {
			static char buf[PIECE];
			size_t got;
			struct err e;
			assert_int_equal(read_ahead_read(a, 7 * PIECE, buf, PIECE, &got, &e), -ERR_IO);
			assert_non_null(strstr(e.message, "made to fail"));
		} else {
			for (uint64_t i = 7; i < 20; i++)
				assert_read(a, i * PIECE, PIECE);
		}
		read_ahead_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_forwards), cmocka_unit_test(test_ahead_and_bounded),
					    cmocka_unit_test(test_anywhere), cmocka_unit_test(test_failures) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
