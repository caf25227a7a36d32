/* The measured bandwidths against hand-made cases and against the definition, tried on every run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "hls/playlist.h"

static void by_hand(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct hls_bitrate_segment segments[5];
		size_t count;
		uint32_t target;
		uint64_t peak, average;
	} cases[] = {
		{ "no segments", { { 0 } }, 0, 4, 0, 0 },
		{ "one full segment", { { 4000, 500000 } }, 1, 4, 1000000, 1000000 },
		{ "rounded up", { { 3000, 1 } }, 1, 4, 3, 3 },
		{ "one short segment", { { 1000, 1000 } }, 1, 4, 8000, 8000 },
		{ "one long segment", { { 9000, 9000 } }, 1, 4, 8000, 8000 },
		{ "the peak is one segment", { { 4000, 400 }, { 4000, 800 }, { 4000, 400 } }, 3, 4, 1600, 1067 },
		/* 1 s + 1 s is exactly half of the target; either alone is too short to count. */
		{ "the peak is a pair", { { 1000, 1000 }, { 1000, 3000 }, { 4000, 400 } }, 3, 4, 16000, 5867 },
		/* 2 s + 4 s is exactly one and a half: it counts, but less than its first half. */
		{ "bounds count", { { 2000, 1000 }, { 4000, 1000 } }, 2, 4, 4000, 2667 },
		/* 1.9 s don't count alone, and with the next they are too long: the average is what is left. */
		{ "peak not below average", { { 1900, 9000 }, { 4400, 100 } }, 2, 4, 11556, 11556 },
		{ "a segment without bytes", { { 4000, 0 }, { 4000, 500 } }, 2, 4, 1000, 500 },
		{ "no time at all", { { 0, 500 }, { -3, 500 } }, 2, 4, 0, 0 },
		{ "saturates", { { 1, UINT64_MAX } }, 1, 4, UINT64_MAX, UINT64_MAX },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t peak = 1, average = 1;
		hls_measure_bandwidth(cases[i].segments, cases[i].count, 1000, cases[i].target, &peak, &average);
		if (peak != cases[i].peak || average != cases[i].average)
			fail_msg("%s: %ju and %ju", cases[i].what, (uintmax_t)peak, (uintmax_t)average);
	}
}

/* The definition word by word, in quadratic time. */
static uint64_t every_run(const struct hls_bitrate_segment *s, size_t count, uint32_t timescale, uint32_t target,
			  uint64_t average)
{
	uint64_t peak = average;
	for (size_t first = 0; first < count; first++) {
		uint64_t ticks = 0, bytes = 0;
		for (size_t last = first; last < count; last++) {
			ticks += (uint64_t)s[last].duration_ticks;
			bytes += s[last].bytes;
			if (2 * ticks < (uint64_t)target * timescale || 2 * ticks > 3 * (uint64_t)target * timescale)
				continue;
			uint64_t bits = bytes * 8 * timescale;
			uint64_t rate = bits / ticks + (bits % ticks != 0);
			peak = rate > peak ? rate : peak;
		}
	}
	return peak;
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void against_every_run(void **state)
{
	(void)state;
	uint64_t seed = 0x62616e647769647f;
	size_t above_average = 0;
	for (int round = 0; round < 5000; round++) {
		struct hls_bitrate_segment s[40];
		size_t count = 1 + next_random(&seed) % 40;
		uint32_t timescale = round % 2 ? 90000 : 7;
		uint32_t target = 1 + (uint32_t)(next_random(&seed) % 9);
		/* From many segments in a run to one that is longer than any run. */
		uint64_t longest = 1 + next_random(&seed) % ((uint64_t)timescale * target * 2);
		uint64_t ticks = 0, bytes = 0;
		for (size_t i = 0; i < count; i++) {
			s[i] = (struct hls_bitrate_segment){ 1 + (int64_t)(next_random(&seed) % longest),
							      next_random(&seed) % 3000000 };
			ticks += (uint64_t)s[i].duration_ticks;
			bytes += s[i].bytes;
		}
		uint64_t bits = bytes * 8 * timescale;
		uint64_t expected_average = bits / ticks + (bits % ticks != 0);
		uint64_t peak, average;
		hls_measure_bandwidth(s, count, timescale, target, &peak, &average);
		assert_int_equal(average, expected_average);
		assert_int_equal(peak, every_run(s, count, timescale, target, expected_average));
		above_average += peak > average;
	}
	assert_true(above_average > 1000); /* else the inputs tried nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_hand),
		cmocka_unit_test(against_every_run),
	};
	return cmocka_run_group_tests_name("hls/bandwidth", tests, NULL, NULL);
}
