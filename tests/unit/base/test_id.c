/* base/id: UUIDv7's layout, its order within one thread and across many, and the checker of the canonical form. */
#include "base/id.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cm.h"
#include "base/clock.h"
#include "base/mem.h"

static uint64_t hex_at(const char *s, size_t from, size_t digits)
{
	char text[17] = { 0 };
	memcpy(text, s + from, digits);
	return strtoull(text, NULL, 16);
}

/* RFC 9562, 5.7: 48 bits of Unix milliseconds, version 7, variant 10. */
static uint64_t unix_ms(const char *id)
{
	return hex_at(id, 0, 8) << 16 | hex_at(id, 9, 4);
}

static void layout(void **state)
{
	(void)state;
	int64_t before = clock_wall_ms();
	char id[UUID_SIZE];
	uuid7_new(id);
	int64_t after = clock_wall_ms();
	assert_true(uuid_valid(id));
	assert_int_equal(id[14], '7');
	assert_non_null(strchr("89ab", id[19]));
	assert_in_range(unix_ms(id), (uint64_t)before, (uint64_t)after);
}

static void strictly_rising(void **state)
{
	(void)state;
	/* Far more than the 4096 that the counter holds within a millisecond on a quick machine. */
	char last[UUID_SIZE] = "", id[UUID_SIZE];
	for (int i = 0; i < 100000; i++) {
		uuid7_new(id);
		assert_true(strcmp(id, last) > 0);
		memcpy(last, id, sizeof(last));
	}
	/* Running out of counter borrows from the future, but never much. */
	assert_true(unix_ms(last) <= (uint64_t)clock_wall_ms() + 1000);
}

enum { THREADS = 8, PER_THREAD = 5000 };
static char made[THREADS][PER_THREAD][UUID_SIZE];

static void *make_many(void *arg)
{
	char(*ids)[UUID_SIZE] = arg;
	for (int i = 0; i < PER_THREAD; i++)
		uuid7_new(ids[i]);
	return NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void unique_and_ordered_over_threads(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	for (int t = 0; t < THREADS; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, make_many, made[t]), 0);
	for (int t = 0; t < THREADS; t++)
		assert_int_equal(pthread_join(threads[t], NULL), 0);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < PER_THREAD; i++) {
			assert_true(uuid_valid(made[t][i]));
			assert_true(i == 0 || strcmp(made[t][i], made[t][i - 1]) > 0);
		}
	char(*all)[UUID_SIZE] = made[0];
	qsort(all, (size_t)THREADS * PER_THREAD, UUID_SIZE, by_text);
	for (size_t i = 1; i < (size_t)THREADS * PER_THREAD; i++)
		assert_true(strcmp(all[i - 1], all[i]) < 0);
}

static void checker(void **state)
{
	(void)state;
	static const char *const good[] = {
		"00000000-0000-0000-0000-000000000000",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398f", /* RFC 9562, A.6 */
		"ffffffff-ffff-4fff-bfff-ffffffffffff",
	};
	static const char *const bad[] = {
		"",
		"-",
		"017f22e2",
		"017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
		"017f22e279b0-7cc3-98c4-dc0c0c07398f-",
		"017f22e2_79b0-7cc3-98c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
		"{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
		"../../../../../../../../../etc/passwd",
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(good); i++)
		assert_true(uuid_valid(good[i]));
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++)
		if (uuid_valid(bad[i]))
			fail_msg("taken: %s", bad[i]);
}

static void random_bytes_fill_exactly_what_is_asked(void **state)
{
	(void)state;
	/* 1000 is above the 256 bytes that one getrandom call gives without being interrupted. Every position of 32 draws
	 * staying 0 has a chance of 2^-256. */
	uint8_t seen[1001] = { 0 };
	for (int i = 0; i < 32; i++) {
		uint8_t draw[1001] = { 0 };
		random_bytes(draw, 1000);
		for (size_t k = 0; k < sizeof(seen); k++)
			seen[k] |= draw[k];
	}
	for (size_t k = 0; k < 1000; k++)
		assert_int_not_equal(seen[k], 0);
	assert_int_equal(seen[1000], 0);
	random_bytes(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		cmocka_unit_test(strictly_rising),
		cmocka_unit_test(unique_and_ordered_over_threads),
		cmocka_unit_test(checker),
		cmocka_unit_test(random_bytes_fill_exactly_what_is_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
