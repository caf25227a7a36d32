/* Segment boundaries when the source is shorter or longer than planned. */
#include "../base/cm.h"

#include "media/timeline.h"

static struct timeline make(bool video, bool audio, bool last)
{
	static int64_t ticks[] = { 0, 360000, 720000, 900000 };
	static int64_t frames[] = { 0, 188, 375, 469 }; /* 48 kHz */
	struct ladder_spec spec = { .video_stream = video ? 0 : -1, .audio_count = audio ? 1 : 0, .rung_count = video ? 1 : 0,
				    .frame_ticks = 3600, .segment_ticks = 360000, .first_segment = 7, .segment_count = 3,
				    .audio_rate = 48000, .video_ticks = ticks, .audio_frames = frames, .last = last };
	struct timeline t;
	struct err e;
	assert_int_equal(timeline_init(&t, &spec, &e), 0);
	return t;
}

static void test_lookup(void **state)
{
	(void)state;
	struct timeline t = make(true, true, false);
	const int64_t ticks[][2] = { { -1, 0 },	    { 0, 0 },	   { 359999, 0 },  { 360000, 1 },
				     { 720000, 2 }, { 899999, 2 }, { 5000000, 2 } };
	for (size_t i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++)
		assert_int_equal(timeline_segment(&t, ticks[i][0]), ticks[i][1]);
	assert_int_equal(timeline_segment_of_frame(&t, 187), 0);
	assert_int_equal(timeline_segment_of_frame(&t, 188), 1);
	assert_int_equal(timeline_end_ticks(&t), 900000);
	timeline_release(&t);
	t = make(false, true, false);
	assert_int_equal(t.video[1], 360960); /* 188 frames */
	timeline_release(&t);
}

static void test_finish(void **state)
{
	(void)state;
	const struct {
		bool last;
		int64_t end;
		uint32_t begun;
		bool missing;
		uint32_t count;
		int64_t ticks, frames;
	} rows[] = {
		{ true, 900000, 3, false, 3, 900000, 469 },  /* as planned */
		{ true, 897000, 3, false, 3, 900000, 469 },  /* within a frame */
		{ true, 910000, 3, false, 3, 910000, 474 },  /* longer */
		{ false, 910000, 3, false, 3, 900000, 469 }, /* longer, but others follow */
		{ true, 800000, 3, true, 3, 800000, 417 },   /* shorter */
		{ true, 721000, 2, true, 2, 720000, 375 },   /* less than a frame of the last segment */
		{ true, 721000, 3, true, 3, 721000, 376 },   /* which has begun */
		{ true, 300000, 1, true, 1, 300000, 157 },
		{ false, 0, 0, true, 0, 0, 0 },		     /* nothing */
		{ false, -5000, 0, true, 0, 0, 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct timeline t = make(true, true, rows[i].last);
		assert_int_equal(timeline_finish(&t, rows[i].end, rows[i].begun), rows[i].missing);
		assert_int_equal(t.count, rows[i].count);
		assert_int_equal(t.video[t.count], rows[i].ticks);
		assert_int_equal(t.audio[t.count], rows[i].frames);
		timeline_release(&t);
	}
}

static void test_grow_and_absorb(void **state)
{
	(void)state;
	struct timeline t = make(true, true, true);
	struct err e;
	assert_int_equal(timeline_grow(&t, &e), 0);
	assert_int_equal(t.count, 4);
	assert_int_equal(t.video[4], 1260000);
	assert_int_equal(t.audio[4], 656); /* 14 s are 656.25 frames */
	timeline_absorb(&t);
	assert_int_equal(timeline_end_ticks(&t), INT64_MAX);
	assert_false(timeline_finish(&t, 1290000, 4));
	assert_int_equal(t.video[4], 1290000);
	timeline_release(&t);
}

static void test_bad_specs(void **state)
{
	(void)state;
	int64_t falling[] = { 0, 5, 5 };
	struct ladder_spec spec = { .video_stream = 0, .rung_count = 1, .segment_ticks = 1, .segment_count = 2,
				    .video_ticks = falling };
	struct timeline t;
	struct err e;
	assert_int_equal(timeline_init(&t, &spec, &e), -ERR_INVALID);
	falling[2] = 6;
	spec.segment_count = 0;
	assert_int_equal(timeline_init(&t, &spec, &e), -ERR_INVALID);
	spec.segment_count = 2;
	spec.audio_count = 1;
	assert_int_equal(timeline_init(&t, &spec, &e), -ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_grow_and_absorb),
		cmocka_unit_test(test_bad_specs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
