/* base/mem: zeroed, sized, and ownership by cleanup. */
#include "base/mem.h"

#include <string.h>

#include "cm.h"

static void allocations(void **state)
{
	(void)state;
	_cleanup_free_ int *zeroed = mr_calloc(16, sizeof(*zeroed));
	for (int i = 0; i < 16; i++)
		assert_int_equal(zeroed[i], 0);
	_cleanup_free_ char *nothing = mr_calloc(0, 0);
	assert_non_null(nothing);
	_cleanup_free_ char *dup = mr_strdup("key");
	assert_string_equal(dup, "key");
	_cleanup_free_ char *part = mr_strndup("segment_001", 7);
	assert_string_equal(part, "segment");
	_cleanup_free_ char *made = mr_asprintf("%s/%03d", "v0", 7);
	assert_string_equal(made, "v0/007");
	int *grown = NULL;
	for (size_t n = 0; n < 100; n++) {
		grown = mr_reallocarray(grown, n + 1, sizeof(*grown));
		grown[n] = (int)n;
	}
	assert_int_equal(grown[42], 42);
	free(grown);
}

static char *make(void)
{
	_cleanup_free_ char *local = mr_strdup("leaves");
	char *out = mr_steal(local);
	assert_null(local);
	return out;
}

static void steal_hands_over(void **state)
{
	(void)state;
	_cleanup_free_ char *mine = make();
	assert_string_equal(mine, "leaves");
	assert_int_equal(MR_ARRAY_SIZE(((const int[]){ 1, 2, 3 })), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations),
		cmocka_unit_test(steal_hands_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
