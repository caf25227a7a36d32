/* What successive times of packets tell of a frame rate: the shortest time that eight steps take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "media/probe_walk.h"

/* `steps` one after the other, over and over, `count` of them, from `start` on. */
static struct step_stats of(int64_t start, const int64_t *steps, size_t length, size_t count)
{
	struct step_stats s;
	step_stats_init(&s);
	step_stats_add(&s, start);
	for (size_t i = 0; i < count; i++)
		step_stats_add(&s, start += steps[i % length]);
	return s;
}

static void eight_steps_tell(void **state)
{
	(void)state;
	static const struct {
		int64_t start, steps[12];
		size_t length, count;
		int64_t expect;
	} cases[] = {
		{ 0, { 3600 }, 1, 100, 28800 },
		{ -7200, { 33, 33, 34 }, 3, 50, 266 },			       /* milliseconds */
		{ 0, { 6000, 6000, 6000, 6000, 1500 }, 5, 50, 7 * 6000 - 3000 }, /* one short step isn't a rate */
		{ 0, { 40, 40, 40, 10, 10, 10, 10, 10, 10, 10, 10, 40 }, 12, 12, 80 },
		{ 0, { 40 }, 1, 7, INT64_MAX },
		{ 0, { 40 }, 1, 8, 320 },
		{ 0, { 0 }, 1, 20, INT64_MAX },
		{ 0, { -5 }, 1, 20, INT64_MAX },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct step_stats s = of(cases[i].start, cases[i].steps, cases[i].length, cases[i].count);
		assert_int_equal(s.min_span, cases[i].expect);
		assert_int_equal(s.count, cases[i].count);
	}
}

static void times_without_sense_are_passed_over(void **state)
{
	(void)state;
	struct step_stats s;
	step_stats_init(&s);
	for (int i = 0; i < 30; i++) {
		step_stats_add(&s, i % 2 ? INT64_MAX - 1 : INT64_MIN + 1);
		step_stats_add(&s, AV_NOPTS_VALUE);
	}
	assert_true(s.min_span > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_steps_tell),
		cmocka_unit_test(times_without_sense_are_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
