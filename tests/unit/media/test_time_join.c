/* Time stamps that jump: tables of packets and where they come to lie. */
#include "../base/cm.h"

#include <libavformat/avformat.h>

#include "base/mem.h"
#include "media/time_join.h"

#define NONE AV_NOPTS_VALUE
#define HOUR (3600 * (int64_t)VIDEO_TIMESCALE)
#define END -1 /* of a table */

struct row {
	int stream;
	int64_t pts, dts, length;
	int64_t want_pts, want_dts;
};

static void check_rows(const char *demuxer, const struct row *rows, uint32_t jumps)
{
	AVFormatContext *f = avformat_alloc_context();
	f->iformat = av_find_input_format(demuxer);
	assert_non_null(f->iformat);
	struct time_join j;
	time_join_init(&j, f);
	for (; rows->stream != END; rows++) {
		AVStream st = { .index = rows->stream, .time_base = { 1, VIDEO_TIMESCALE } };
		AVPacket *p = av_packet_alloc();
		p->pts = rows->pts;
		p->dts = rows->dts;
		p->duration = rows->length;
		time_join_packet(&j, &st, p);
		assert_int_equal(p->pts, rows->want_pts);
		assert_int_equal(p->dts, rows->want_dts);
		av_packet_free(&p);
	}
	assert_int_equal(j.jumps, jumps);
	f->iformat = NULL;
	avformat_free_context(f);
}

static void test_no_jump(void **state)
{
	(void)state;
	const struct row rows[] = { { 0, 7200, 0, 3600, 7200, 0 },
				    { 1, 0, 0, 1920, 0, 0 },
				    { 0, 3600, 3600, 3600, 3600, 3600 },
				    { 1, 890000, 890000, 1920, 890000, 890000 }, /* a gap below ten seconds is one */
				    { END } };
	check_rows("mpegts", rows, 0);
}

static void test_both_streams_jump(void **state)
{
	(void)state;
	for (int64_t jump = -HOUR; jump <= HOUR; jump += 2 * HOUR) {
		const struct row rows[] = {
			{ 0, 2 * HOUR + 7200, 2 * HOUR, 3600, 2 * HOUR + 7200, 2 * HOUR },
			{ 1, 2 * HOUR, 2 * HOUR, 1920, 2 * HOUR, 2 * HOUR },
			/* the picture goes on, two frames reordered */
			{ 0, 2 * HOUR + jump + 7200, 2 * HOUR + jump, 3600, 2 * HOUR + 10800, 2 * HOUR + 3600 },
			/* sound of the first stretch that comes late, then of the second: as far from its picture as it was */
			{ 1, 2 * HOUR + 1920, 2 * HOUR + 1920, 1920, 2 * HOUR + 1920, 2 * HOUR + 1920 },
			{ 1, 2 * HOUR + jump + 500, 2 * HOUR + jump + 500, 1920, 2 * HOUR + 4100, 2 * HOUR + 4100 },
			{ END }
		};
		check_rows("mpegts", rows, 1);
	}
}

static void test_guessed_and_missing_times(void **state)
{
	(void)state;
	const struct row rows[] = { { 0, NONE, 0, 3600, NONE, 0 },
				    { 0, NONE, NONE, 3600, NONE, NONE },
				    { 0, HOUR, 3600, 3600, 3600, NONE }, /* libav's guess is still from before the jump */
				    { 0, INT64_MAX - 1, INT64_MAX - 1, 1, INT64_MAX - 1, INT64_MAX - 1 },
				    { END } };
	check_rows("mpegts", rows, 1);
}

static void test_other_formats_are_left_alone(void **state)
{
	(void)state;
	const struct row rows[] = { { 0, 0, 0, 3600, 0, 0 }, { 0, HOUR, HOUR, 3600, HOUR, HOUR }, { END } };
	check_rows("matroska", rows, 0);
	check_rows("mp4", rows, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_jump),
		cmocka_unit_test(test_both_streams_jump),
		cmocka_unit_test(test_guessed_and_missing_times),
		cmocka_unit_test(test_other_formats_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
