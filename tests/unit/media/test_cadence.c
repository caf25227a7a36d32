/* Which frame is shown when: tables of frame times and what becomes of them. */
#include "../base/cm.h"

#include "base/mem.h"
#include "media/cadence.h"

#define FRAME 3600
#define GOP 180000
#define END INT64_MIN /* of a table */

struct row {
	int64_t ticks;
	const char *steps; /* "r" repeat, "R" repeat with IDR, "f" frame, "F" frame with IDR, "b" before, "d" drop, "a" after */
	int64_t pts[4];	   /* of the r, R, f and F among them */
};

static char letter(const struct cadence_step *s)
{
	switch (s->what) {
	case CADENCE_BEFORE:
		return 'b';
	case CADENCE_REPEAT:
		return s->idr ? 'R' : 'r';
	case CADENCE_FRAME:
		return s->idr ? 'F' : 'f';
	case CADENCE_DROP:
		return 'd';
	default:
		return 'a';
	}
}

static struct timeline timeline_of(int64_t *boundaries, uint32_t count, bool last)
{
	struct ladder_spec spec = { .video_stream = 0, .rung_count = 1, .frame_ticks = FRAME,
				    .segment_ticks = 360000, .segment_count = count, .video_ticks = boundaries, .last = last };
	struct timeline t;
	struct err e;
	assert_int_equal(timeline_init(&t, &spec, &e), 0);
	return t;
}

static void check_rows(struct timeline *t, uint32_t frame_ticks, const struct row *rows)
{
	struct cadence c;
	cadence_init(&c, t, frame_ticks, GOP);
	for (; rows->ticks != END; rows++) {
		int times = 0;
		for (const char *want = rows->steps; *want; want++) {
			struct cadence_step s = cadence_push(&c, rows->ticks);
			if (letter(&s) != *want)
				fail_msg("frame at %lld: '%c', not '%c'", (long long)rows->ticks, letter(&s), *want);
			if (s.what == CADENCE_REPEAT || s.what == CADENCE_FRAME)
				assert_int_equal(s.pts, rows->pts[times++]);
		}
	}
}

static void test_constant_rate(void **state)
{
	(void)state;
	int64_t b[] = { 360000, 720000, 1080000 };
	struct timeline t = timeline_of(b, 2, false);
	const struct row rows[] = { { 352800, "b", { 0 } },	  { 356400, "b", { 0 } },	{ 360000, "F", { 360000 } },
				    { 363600, "f", { 363600 } },  { 540000, "F", { 540000 } },	{ 543600, "f", { 543600 } },
				    { 720000, "F", { 720000 } },  { 900000, "F", { 900000 } },	{ 1076400, "f", { 1076400 } },
				    { 1080000, "a", { 0 } },	  { END, "", { 0 } } };
	check_rows(&t, FRAME, rows);
	timeline_release(&t);
}

static void test_a_segment_begins_with_the_first_frame_from_its_boundary_on(void **state)
{
	(void)state;
	int64_t b[] = { 0, 360000, 720000 };
	struct timeline t = timeline_of(b, 2, false);
	const struct row rows[] = { { 0, "F", { 0 } },		 { 3060, "f", { 3060 } },     { 180180, "F", { 180180 } },
				    { 359999, "f", { 359999 } }, { 367000, "F", { 367000 } }, { 370000, "f", { 370000 } },
				    { 719999, "f", { 719999 } }, { 725000, "a", { 0 } },      { END, "", { 0 } } };
	check_rows(&t, 3003, rows);
	assert_int_equal(t.video[1], 367000);
	assert_int_equal(t.video[2], 725000); /* where the next chunk begins */
	check_rows(&t, 3003, rows); /* as when it is resumed: the rows tell moved boundaries by then */
	timeline_release(&t);
	int64_t next[] = { 720000, 1080000 };
	t = timeline_of(next, 1, false);
	t.first = 2;
	const struct row behind[] = { { 719999, "b", { 0 } }, { 725000, "F", { 725000 } }, { END, "", { 0 } } };
	check_rows(&t, 3003, behind);
	assert_int_equal(t.video[0], 725000);
	timeline_release(&t);
}

static void test_missing_frames_are_repeated(void **state)
{
	(void)state;
	int64_t b[] = { 0, 360000, 720000, 1080000 };
	struct timeline t = timeline_of(b, 3, false);
	const struct row gap[] = { { 0, "F", { 0 } }, { 900000, "RRF", { 360000, 720000, 900000 } }, { END, "", { 0 } } };
	check_rows(&t, FRAME, gap);
	const struct row behind[] = { { 0, "F", { 0 } }, { 2000000, "RRa", { 360000, 720000 } }, { END, "", { 0 } } };
	check_rows(&t, FRAME, behind);
	assert_int_equal(t.video[3], 1080000);
	/* the first frame of all comes late: it is shown from its segment's start, and before that, too */
	const struct row late[] = { { 7200, "F", { 0 } }, { 10800, "f", { 10800 } }, { END, "", { 0 } } };
	check_rows(&t, FRAME, late);
	const struct row later[] = { { 450000, "RF", { 0, 360000 } }, { 453600, "f", { 453600 } }, { END, "", { 0 } } };
	check_rows(&t, FRAME, later);
	timeline_release(&t);
}

/* A segment must not last half a second more than planned. */
static void test_how_long_a_first_frame_is_waited_for(void **state)
{
	(void)state;
	const struct {
		uint32_t frame;
		int64_t window;
	} rows[] = { { 3600, 36900 }, { 22500, 18000 }, { 900000, 40500 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t b[] = { 0, 360000, 720000 };
		struct timeline t = timeline_of(b, 2, false);
		int64_t last = 360000 + rows[i].window;
		const struct row within[] = { { 0, "F", { 0 } }, { last, "F", { last } }, { END, "", { 0 } } };
		check_rows(&t, rows[i].frame, within);
		t.video[1] = 360000;
		const struct row beyond[] = { { 0, "F", { 0 } }, { last + 1, "Rf", { 360000, last + 1 } }, { END, "", { 0 } } };
		check_rows(&t, rows[i].frame, beyond);
		timeline_release(&t);
	}
}

static void test_bad_order_is_dropped(void **state)
{
	(void)state;
	int64_t b[] = { 0, 360000 };
	struct timeline t = timeline_of(b, 1, false);
	const struct row rows[] = { { 0, "F", { 0 } },	 { 0, "d", { 0 } },	    { 7200, "f", { 7200 } },
				    { 3600, "d", { 0 } }, { 7201, "f", { 7201 } }, { END, "", { 0 } } };
	check_rows(&t, FRAME, rows);
	timeline_release(&t);
}

static void test_no_idr_right_before_a_segments_end(void **state)
{
	(void)state;
	int64_t b[] = { 0, 374400, 734400 };
	struct timeline t = timeline_of(b, 2, false);
	const struct row rows[] = { { 0, "F", { 0 } },		 { 180000, "F", { 180000 } }, { 356400, "f", { 356400 } },
				    { 360000, "f", { 360000 } }, { 374400, "F", { 374400 } }, { END, "", { 0 } } };
	check_rows(&t, FRAME, rows);
	timeline_release(&t);
}

static void test_the_end_is_filled(void **state)
{
	(void)state;
	int64_t b[] = { 0, 360000, 720000, 1080000 };
	struct timeline t = timeline_of(b, 3, true);
	struct cadence c;
	cadence_init(&c, &t, FRAME, GOP);
	assert_int_equal(cadence_push(&c, 0).what, CADENCE_FRAME);
	struct cadence_step s = cadence_finish(&c);
	assert_true(s.what == CADENCE_REPEAT && s.pts == 360000 && s.idr);
	s = cadence_finish(&c);
	assert_true(s.what == CADENCE_REPEAT && s.pts == 720000 && s.idr);
	assert_int_equal(cadence_finish(&c).what, CADENCE_AFTER);
	timeline_release(&t);
}

static void test_beyond_the_plan(void **state)
{
	(void)state;
	int64_t b[] = { 0, 360000 };
	struct timeline t = timeline_of(b, 1, true);
	struct cadence c;
	struct err e;
	cadence_init(&c, &t, FRAME, GOP);
	assert_int_equal(cadence_push(&c, 0).what, CADENCE_FRAME);
	assert_int_equal(timeline_grow(&t, &e), 0);
	struct cadence_step s = cadence_push(&c, 360000);
	assert_true(s.what == CADENCE_FRAME && s.idr && s.pts == 360000);
	timeline_absorb(&t);
	s = cadence_push(&c, 730000);
	assert_true(s.what == CADENCE_FRAME && s.pts == 730000);
	timeline_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constant_rate),
		cmocka_unit_test(test_a_segment_begins_with_the_first_frame_from_its_boundary_on),
		cmocka_unit_test(test_missing_frames_are_repeated),
		cmocka_unit_test(test_bad_order_is_dropped),
		cmocka_unit_test(test_no_idr_right_before_a_segments_end),
		cmocka_unit_test(test_the_end_is_filled),
		cmocka_unit_test(test_how_long_a_first_frame_is_waited_for),
		cmocka_unit_test(test_beyond_the_plan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
