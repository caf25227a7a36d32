/* Live lists that segments leave: numbers, dates, discontinuities. */
#include "../base/cm.h"

#include <string.h>

#include "hls/check.h"
#include "hls/playlist.h"

static void test_window(void **state)
{
	(void)state;
	static const struct hls_segment list[] = {
		{ .duration_ticks = 96256, .uri = "a.aac", .date_ms = 1700000000005 },
		{ .duration_ticks = 24576, .uri = "b.aac", .date_ms = 1700000002011 },
		{ .duration_ticks = 96256, .uri = "c.aac", .date_ms = 1700000060000, .discontinuity = true },
	};
	static const char expected[] =
		"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1007\n"
		"#EXT-X-DISCONTINUITY-SEQUENCE:4\n#EXT-X-INDEPENDENT-SEGMENTS\n"
		"#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.005Z\n#EXTINF:2.005333,\na.aac\n"
		"#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22.011Z\n#EXTINF:0.512000,\nb.aac\n"
		"#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:14:20.000Z\n#EXTINF:2.005333,\nc.aac\n";
	const struct hls_media m = { .type = HLS_WINDOW,
				     .target_duration_s = 2,
				     .timescale = 48000,
				     .segments = list,
				     .segment_count = 3,
				     .media_sequence = 1007,
				     .discontinuity_sequence = 4 };
	struct hls_media_facts facts;
	struct err e;
	_cleanup_buf_ struct buf text;
	buf_init(&text, 4096);
	assert_int_equal(hls_render_media(&m, &text, &e), 0);
	assert_string_equal(text.data, expected);
	assert_int_equal(hls_check_media(text.data, text.len, &facts, &e), 0);
	assert_true(facts.media_sequence == 1007 && facts.segment_count == 3 && !facts.event && !facts.vod && !facts.ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_window) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
