/* Sound into fragments: lengths, times, holes, pauses, the rest. */
#include "../base/cm.h"

#include <stdlib.h>

#include "live/fragmenter.h"

#define T0 INT64_C(1700000000000)
#define MS 16 /* samples */

static int16_t sound[4 * FRAGMENT_RATE];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(sound) / sizeof(*sound); i++)
		sound[i] = (int16_t)(i % 30000 + 1);
}

/* `ms` of sound that begins at `at_ms` of the timeline and has just arrived, `late_ms` after it was spoken. */
static void add(struct fragmenter *f, int64_t at_ms, uint32_t ms, int64_t late_ms, bool restart)
{
	const struct fragment_pcm p = { .first_sample = at_ms * MS, .samples = sound, .count = ms * MS, .restart = restart };
	fragmenter_add(f, &p, T0 + at_ms + ms + late_ms);
	fragmenter_chunk_end(f);
}

static struct fragment_out take(struct fragmenter *f, int64_t at_ms, uint32_t length_ms)
{
	struct fragment_out out;
	assert_true(fragmenter_take(f, &out));
	assert_int_equal(out.timecode_ms - T0, at_ms);
	assert_int_equal(out.length_ms, length_ms);
	assert_int_equal(out.count, length_ms * MS);
	return out;
}

static void take_and_free(struct fragmenter *f, int64_t at_ms, uint32_t length_ms)
{
	free(take(f, at_ms, length_ms).samples);
}

static void expect_none(struct fragmenter *f)
{
	struct fragment_out out;
	assert_false(fragmenter_take(f, &out));
}

static void fragments_end_with_chunks(void **state)
{
	(void)state;
	struct fragmenter *f = fragmenter_new(0);
	for (int64_t at = 0; at < 4200; at += 300)
		add(f, at, 300, at % 40, false); /* jitter doesn't move time stamps */
	take_and_free(f, 0, 2100);
	take_and_free(f, 2100, 2100);
	expect_none(f);
	fragmenter_free(f);
}

static void long_chunks_are_cut(void **state)
{
	(void)state;
	struct fragmenter *f = fragmenter_new(0);
	const struct fragment_pcm p = { .samples = sound, .count = 3500 * MS };
	fragmenter_add(f, &p, T0 + 3500);
	struct fragment_out out = take(f, 0, 2000);
	assert_memory_equal(out.samples, sound, out.count * sizeof(*sound));
	free(out.samples);
	expect_none(f);
	fragmenter_chunk_end(f);
	expect_none(f);
	fragmenter_flush(f, false);
	out = take(f, 2000, 1500);
	assert_memory_equal(out.samples, sound + 2000 * MS, out.count * sizeof(*sound));
	free(out.samples);
	fragmenter_free(f);
}

static void the_rest_is_the_last(void **state)
{
	(void)state;
	struct fragmenter *f = fragmenter_new(0);
	add(f, 0, 2000, 0, false);
	add(f, 2000, 60, 0, false);
	take_and_free(f, 0, 2000);
	fragmenter_flush(f, false);
	take_and_free(f, 2000, 60);
	fragmenter_flush(f, false);
	expect_none(f);
	fragmenter_free(f);
}

static void a_short_rest_is_filled_up_where_it_must(void **state)
{
	(void)state;
	struct fragmenter *f = fragmenter_new(0);
	add(f, 0, 2000, 0, false);
	add(f, 2000, 60, 0, false);
	take_and_free(f, 0, 2000);
	fragmenter_flush(f, true);
	struct fragment_out out = take(f, 2000, FRAGMENT_MIN_MS);
	assert_int_equal(out.samples[60 * MS - 1], sound[60 * MS - 1]);
	for (uint32_t i = 60 * MS; i < out.count; i++)
		assert_int_equal(out.samples[i], 0);
	free(out.samples);
	fragmenter_flush(f, true);
	expect_none(f);
	fragmenter_free(f);
}

static void a_short_hole_is_silence(void **state)
{
	(void)state;
	struct fragmenter *f = fragmenter_new(0);
	add(f, 0, 900, 0, false);
	add(f, 1000, 1000, 0, false);
	struct fragment_out out = take(f, 0, 2000);
	assert_int_equal(out.samples[900 * MS - 1], sound[900 * MS - 1]);
	for (uint32_t i = 900 * MS; i < 1000 * MS; i++)
		assert_int_equal(out.samples[i], 0);
	assert_int_equal(out.samples[1000 * MS], sound[0]);
	free(out.samples);
	fragmenter_free(f);
}

static void a_long_hole_ends_a_fragment(void **state)
{
	(void)state;
	struct fragmenter *f = fragmenter_new(0);
	add(f, 0, 1200, 0, false);
	add(f, 5000, 300, 0, false); /* 1.2 s are enough */
	add(f, 9000, 2000, 0, false); /* 0.3 s are not: silence up to one second */
	take_and_free(f, 0, 1200);
	struct fragment_out out = take(f, 5000, 1000);
	assert_int_equal(out.samples[300 * MS], 0);
	free(out.samples);
	take_and_free(f, 9000, 2000);
	expect_none(f);
	fragmenter_free(f);
}

static void a_new_recording_is_set_to_the_clock(void **state)
{
	(void)state;
	struct fragmenter *f = fragmenter_new(0);
	add(f, 0, 1500, 0, false);
	add(f, 1500, 2000, 8000, true); /* the browser was away for eight seconds */
	take_and_free(f, 0, 1500);
	take_and_free(f, 9500, 2000);
	fragmenter_free(f);
}

static void a_pause_is_noticed_and_a_stall_forgiven(void **state)
{
	(void)state;
	struct fragmenter *f = fragmenter_new(0);
	/* A stalled connection: what was held back for ten seconds comes at once, then all is on time again. */
	add(f, 0, 2000, 0, false);
	for (int64_t at = 2000; at < 12000; at += 2000)
		add(f, at, 2000, 12000 - at, false);
	add(f, 12000, 2000, 0, false);
	for (int64_t at = 0; at < 14000; at += 2000)
		take_and_free(f, at, 2000);
	/* A pause of a minute leaves no trace in the timeline. */
	for (int64_t at = 14000; at < 24000; at += 2000)
		add(f, at, 2000, 60000, false);
	for (int64_t at = 14000; at < 20000; at += 2000)
		take_and_free(f, at, 2000);
	take_and_free(f, 80000, 2000);
	take_and_free(f, 82000, 2000);
	fragmenter_free(f);
}

static void times_never_go_back(void **state)
{
	(void)state;
	struct fragmenter *f = fragmenter_new(T0 + 50000);
	add(f, 0, 2000, 0, false);
	take_and_free(f, 50000, 2000);
	fragmenter_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_end_with_chunks),
		cmocka_unit_test(long_chunks_are_cut),
		cmocka_unit_test(the_rest_is_the_last),
		cmocka_unit_test(a_short_rest_is_filled_up_where_it_must),
		cmocka_unit_test(a_short_hole_is_silence),
		cmocka_unit_test(a_long_hole_ends_a_fragment),
		cmocka_unit_test(a_new_recording_is_set_to_the_clock),
		cmocka_unit_test(a_pause_is_noticed_and_a_stall_forgiven),
		cmocka_unit_test(times_never_go_back),
	};
	fill();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
