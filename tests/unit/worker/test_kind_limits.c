/* worker/kind_limits: what --limit says, and who may claim what. */
#include <string.h>

#include "../base/cm.h"
#include "job/repo.h"
#include "worker/kind_limits.h"

static void what_can_be_said(void **state)
{
	(void)state;
	struct kind_limits_max max;
	struct err e = { 0 };
	assert_int_equal(kind_limits_parse("ladder=2,convert=0", &max, &e), 0);
	assert_int_equal(max.of[JOB_LADDER], 2);
	assert_int_equal(max.of[JOB_CONVERT], 0);
	assert_int_equal(max.of[JOB_NARRATION], -1);
	assert_int_equal(kind_limits_parse(NULL, &max, &e), 0);
	assert_int_equal(max.of[JOB_LADDER], -1);
	static const char *const wrong[] = { "",       "ladder",    "ladder=",	 "ladder=-1", "ladder=257", "ladder=1x",
					     "film=1", "analyze=1", "ladder=1,", "=1",	      "ladder=1 2", "ladder = 1" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(wrong); i++)
		if (kind_limits_parse(wrong[i], &max, &e) != -ERR_INVALID)
			fail_msg("\"%s\" was taken", wrong[i]);
}

static void claim(struct kind_limits *l, enum job_kind kind)
{
	(void)kind_limits_claim(l);
	kind_limits_claimed(l, &kind);
}

static void full_and_free_again(void **state)
{
	(void)state;
	struct kind_limits_max max;
	struct err e = { 0 };
	assert_int_equal(kind_limits_parse("ladder=2,narration=0", &max, &e), 0);
	struct kind_limits *l = kind_limits_new(&max);
	const uint32_t never = WITHOUT_KIND(JOB_NARRATION), both = never | WITHOUT_KIND(JOB_LADDER);
	assert_int_equal(kind_limits_full(l), never);
	claim(l, JOB_LADDER);
	claim(l, JOB_CONVERT);
	assert_int_equal(kind_limits_claim(l), never);
	kind_limits_claimed(l, NULL); /* there was nothing */
	claim(l, JOB_LADDER);
	assert_int_equal(kind_limits_full(l), both);
	assert_false(kind_limits_done(l, JOB_CONVERT));
	assert_true(kind_limits_done(l, JOB_LADDER));
	assert_int_equal(kind_limits_full(l), never);
	assert_false(kind_limits_done(l, JOB_LADDER));
	kind_limits_free(l);
}

static void without_limits(void **state)
{
	(void)state;
	struct kind_limits *l = kind_limits_new(NULL);
	for (int i = 0; i < 500; i++)
		claim(l, JOB_LADDER);
	assert_int_equal(kind_limits_full(l), 0);
	assert_false(kind_limits_done(l, JOB_LADDER));
	kind_limits_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_be_said),
		cmocka_unit_test(full_and_free_again),
		cmocka_unit_test(without_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
