/* Chunks in order: doubles, late ones, losses, other counts. */
#include "../base/cm.h"

#include <stdlib.h>

#include "live/chunk_window.h"

static void put(struct chunk_window *w, int64_t index, int64_t at_ms, enum chunk_verdict expected)
{
	uint8_t byte = (uint8_t)index;
	assert_int_equal(chunk_window_put(w, index, &byte, 1, at_ms), expected);
}

static void expect(struct chunk_window *w, int64_t at_ms, int64_t index, int64_t lost)
{
	struct sound_chunk c;
	assert_true(chunk_window_take(w, at_ms, false, &c));
	assert_int_equal(c.index, index);
	assert_int_equal(c.lost, lost);
	assert_int_equal(*(uint8_t *)c.data, (uint8_t)index);
	free(c.data);
}

static void expect_none(struct chunk_window *w, int64_t at_ms)
{
	struct sound_chunk c;
	assert_false(chunk_window_take(w, at_ms, false, &c));
}

static void in_order_go_through(void **state)
{
	(void)state;
	struct chunk_window w;
	chunk_window_init(&w, 0);
	for (int64_t i = 0; i < 5; i++) {
		put(&w, i, i, CHUNK_KEPT);
		expect(&w, i, i, 0);
	}
	expect_none(&w, 100000);
	chunk_window_release(&w);
}

static void doubles_are_left_out(void **state)
{
	(void)state;
	struct chunk_window w;
	chunk_window_init(&w, 0);
	put(&w, 0, 0, CHUNK_KEPT);
	put(&w, 2, 0, CHUNK_KEPT);
	put(&w, 2, 0, CHUNK_DUPLICATE);
	expect(&w, 0, 0, 0);
	put(&w, 0, 0, CHUNK_DUPLICATE);
	chunk_window_release(&w);
}

static void late_ones_are_waited_for(void **state)
{
	(void)state;
	struct chunk_window w;
	chunk_window_init(&w, 0);
	put(&w, 2, 0, CHUNK_KEPT);
	put(&w, 1, 10, CHUNK_KEPT);
	expect_none(&w, 20);
	put(&w, 0, 30, CHUNK_KEPT);
	expect(&w, 30, 0, 0);
	expect(&w, 30, 1, 0);
	expect(&w, 30, 2, 0);
	chunk_window_release(&w);
}

static void lost_ones_block_nothing(void **state)
{
	(void)state;
	struct chunk_window w;
	chunk_window_init(&w, 0);
	put(&w, 3, 0, CHUNK_KEPT);
	expect_none(&w, CHUNK_WAIT_MS - 1);
	expect(&w, CHUNK_WAIT_MS, 3, 3);
	put(&w, 2, CHUNK_WAIT_MS, CHUNK_DUPLICATE); /* too late */
	/* So does a window that is full. */
	for (int64_t i = 0; i < CHUNK_HELD_MAX; i++)
		put(&w, 5 + i, CHUNK_WAIT_MS, CHUNK_KEPT);
	put(&w, 100, CHUNK_WAIT_MS, CHUNK_FULL);
	expect(&w, CHUNK_WAIT_MS, 5, 1);
	chunk_window_release(&w);
}

static void counts_that_jump_are_not_waited_for(void **state)
{
	(void)state;
	struct chunk_window w;
	struct sound_chunk c;
	chunk_window_init(&w, -1);
	put(&w, 7, 0, CHUNK_KEPT); /* joined in the middle */
	expect(&w, 0, 7, 0);
	put(&w, 1000000, 0, CHUNK_KEPT);
	assert_true(chunk_window_take(&w, 0, false, &c));
	assert_int_equal(c.index, 1000000);
	free(c.data);
	chunk_window_release(&w);
}

static void those_without_a_number_follow(void **state)
{
	(void)state;
	struct chunk_window w;
	chunk_window_init(&w, 4);
	put(&w, -1, 0, CHUNK_KEPT);
	assert_int_equal(w.last, 4);
	put(&w, -1, 0, CHUNK_KEPT);
	assert_int_equal(w.last, 5);
	chunk_window_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order_go_through),		    cmocka_unit_test(doubles_are_left_out),
		cmocka_unit_test(late_ones_are_waited_for),	    cmocka_unit_test(lost_ones_block_nothing),
		cmocka_unit_test(counts_that_jump_are_not_waited_for), cmocka_unit_test(those_without_a_number_follow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
