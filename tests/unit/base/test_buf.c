/* base/buf: growth, the stated maximum, what a failure leaves behind, ownership. */
#include "base/buf.h"

#include <string.h>

#include "cm.h"

static void starts_empty(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 10);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_finish(&b, NULL), 0);
	buf_clear(&b);
	_cleanup_free_ char *text = buf_steal(&b);
	assert_string_equal(text, "");
}

static void appends_are_terminated(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1000);
	assert_true(buf_puts(&b, "#EXTM3U\n"));
	assert_true(buf_append(&b, "a\0b", 3));
	assert_true(buf_printf(&b, "%s=%d;", "x", 42));
	assert_true(buf_append(&b, NULL, 0));
	assert_int_equal(b.len, 8 + 3 + 5);
	assert_memory_equal(b.data, "#EXTM3U\na\0bx=42;", b.len + 1);
}

static void grows_to_its_maximum_and_no_byte_further(void **state)
{
	(void)state;
	for (size_t max = 0; max < 1200; max += 37) {
		_cleanup_buf_ struct buf b;
		buf_init(&b, max);
		for (size_t i = 0; i < max; i++)
			assert_true(buf_append(&b, &(char){ (char)('a' + i % 26) }, 1));
		assert_int_equal(b.len, max);
		assert_int_equal(buf_finish(&b, NULL), 0);
		assert_true(b.cap <= max + 1);
		for (size_t i = 0; i < max; i++)
			assert_int_equal(b.data[i], 'a' + i % 26);

		assert_false(buf_append(&b, "z", 1));
		assert_true(b.failed);
		assert_int_equal(b.len, max);
		struct err e;
		assert_int_equal(buf_finish(&b, &e), -ERR_TOO_LARGE);
		assert_non_null(strstr(e.message, "bytes"));
		assert_int_equal(buf_finish(&b, NULL), -ERR_TOO_LARGE);
	}
}

static void fails_once_and_for_all_until_cleared(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 8);
	assert_true(buf_puts(&b, "12345"));
	assert_false(buf_puts(&b, "6789"));
	/* What would fit is refused too: a text with a hole in it is worse than a short one. */
	assert_false(buf_puts(&b, "6"));
	assert_false(buf_printf(&b, "6"));
	assert_null(buf_reserve(&b, 1));
	assert_string_equal(b.data, "12345");
	buf_clear(&b);
	assert_string_equal(b.data, "");
	assert_int_equal(buf_finish(&b, NULL), 0);
	assert_true(buf_puts(&b, "12345678"));
}

static void printf_counts_against_the_maximum(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 5);
	assert_true(buf_printf(&b, "%05d", 7));
	assert_string_equal(b.data, "00007");
	assert_false(buf_printf(&b, "%d", 7));
	assert_string_equal(b.data, "00007");
	_cleanup_buf_ struct buf big;
	buf_init(&big, 1 << 20);
	assert_true(buf_printf(&big, "%70000d|", 1));
	assert_int_equal(big.len, 70001);
	assert_int_equal(big.data[70000], '|');
}

static void absurd_sizes_do_not_wrap(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 100);
	assert_true(buf_puts(&b, "abc"));
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	buf_clear(&b);
	assert_true(buf_puts(&b, "abc"));
	assert_null(buf_reserve(&b, SIZE_MAX - 2));
	assert_true(b.failed);

	_cleanup_buf_ struct buf unbounded;
	buf_init(&unbounded, SIZE_MAX);
	assert_true(buf_puts(&unbounded, "abc"));
	assert_int_equal(unbounded.len, 3);
	assert_null(buf_reserve(&unbounded, SIZE_MAX - 3));
	assert_int_equal(buf_finish(&unbounded, NULL), -ERR_TOO_LARGE);
}

static void reserve_then_commit(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 5000);
	assert_true(buf_puts(&b, "head "));
	char *room = buf_reserve(&b, 4000);
	assert_non_null(room);
	memcpy(room, "tail", 4);
	buf_commit(&b, 4);
	assert_string_equal(b.data, "head tail");
	/* A reservation that is not committed leaves nothing. */
	assert_non_null(buf_reserve(&b, 100));
	assert_int_equal(b.len, 9);
	assert_non_null(buf_reserve(&b, 0));
}

static void consume_from_the_front(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 100);
	buf_consume(&b, 0);
	assert_true(buf_puts(&b, "framebody"));
	buf_consume(&b, 5);
	assert_string_equal(b.data, "body");
	buf_consume(&b, 4);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	/* The room is free again. */
	char filler[100];
	memset(filler, 'f', sizeof(filler));
	assert_true(buf_append(&b, filler, sizeof(filler)));
}

static void steal_and_release_keep_the_maximum(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 4);
	assert_true(buf_puts(&b, "abcd"));
	_cleanup_free_ char *text = buf_steal(&b);
	assert_string_equal(text, "abcd");
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_false(buf_puts(&b, "abcde"));
	buf_release(&b);
	assert_int_equal(b.max, 4);
	assert_int_equal(buf_finish(&b, NULL), 0);
	assert_true(buf_puts(&b, "abcd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_empty),
		cmocka_unit_test(appends_are_terminated),
		cmocka_unit_test(grows_to_its_maximum_and_no_byte_further),
		cmocka_unit_test(fails_once_and_for_all_until_cleared),
		cmocka_unit_test(printf_counts_against_the_maximum),
		cmocka_unit_test(absurd_sizes_do_not_wrap),
		cmocka_unit_test(reserve_then_commit),
		cmocka_unit_test(consume_from_the_front),
		cmocka_unit_test(steal_and_release_keep_the_maximum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
