/* Which I-frames of a segment are noted, and that their finders refuse what isn't there. That what they find shows one
 * picture: test_ladder.py. */
#include "media/iframes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "media/ts_neutral.h"

#define PACKETS_MAX 64

/* A segment of `count` packets from tick 900000 on, `step` apart; every `every`-th is a keyframe. */
static void choose(size_t count, int64_t step, size_t every, enum AVMediaType type, struct iframes *ret)
{
	AVPacket *packets[PACKETS_MAX];
	AVCodecParameters *par = avcodec_parameters_alloc();
	assert_non_null(par);
	par->codec_type = type;
	for (size_t i = 0; i < count; i++) {
		packets[i] = av_packet_alloc();
		assert_non_null(packets[i]);
		packets[i]->pts = 900000 + (int64_t)i * step;
		packets[i]->flags = i % every == 0 ? AV_PKT_FLAG_KEY : 0;
	}
	const struct segment_input in = { .par = par,
					  .packets = packets,
					  .count = count,
					  .start = 900000,
					  .end = 900000 + (int64_t)count * step };
	iframes_choose(&in, ret);
	for (size_t i = 0; i < count; i++)
		av_packet_free(&packets[i]);
	avcodec_parameters_free(&par);
}

static void all_of_a_usual_segment(void **state)
{
	(void)state;
	struct iframes f;
	choose(60, 3600, 25, AVMEDIA_TYPE_VIDEO, &f);
	assert_int_equal(f.count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(f.packets[i], 25 * i);
		assert_int_equal(f.found[i].ticks, 25 * 3600 * i);
		assert_true(iframes_has(&f, 25 * i) && !iframes_has(&f, 25 * i + 1));
	}
	choose(16, 3600, 1, AVMEDIA_TYPE_VIDEO, &f);
	assert_int_equal(f.count, TASK_IFRAMES_MAX);
	choose(60, 1024, 1, AVMEDIA_TYPE_AUDIO, &f); /* sound consists of keyframes */
	assert_int_equal(f.count, 0);
}

static void spread_over_a_segment_of_too_many(void **state)
{
	(void)state;
	for (size_t count = TASK_IFRAMES_MAX + 1; count <= PACKETS_MAX; count++) {
		struct iframes f;
		choose(count, 3003, 1, AVMEDIA_TYPE_VIDEO, &f);
		assert_true(f.count > TASK_IFRAMES_MAX / 2 && f.count <= TASK_IFRAMES_MAX);
		assert_int_equal(f.packets[0], 0);
		assert_true(f.packets[f.count - 1] >= count / 2 + count / 4); /* to the end, not the first sixteen */
		for (uint32_t i = 1; i < f.count; i++)
			assert_true(f.found[i].ticks > f.found[i - 1].ticks);
	}
}

static void nothing_to_be_found(void **state)
{
	(void)state;
	struct err e;
	struct iframes f = { .count = 1 };
	static const uint8_t boxes[][24] = {
		{ 0, 0, 0, 24, 'm', 'd', 'a', 't' },
		{ 0, 0, 0, 24, 'm', 'o', 'o', 'f' },			/* empty */
		{ 0, 0, 0, 25, 'm', 'o', 'o', 'f' },			/* longer than the segment */
		{ 0, 0, 0, 7, 'm', 'o', 'o', 'f' },			/* shorter than its head */
		{ 0, 0, 0, 24, 'm', 'o', 'o', 'f', 0, 0, 0, 16, 't', 'r', 'a', 'f' },
	};
	for (size_t i = 0; i < sizeof(boxes) / sizeof(boxes[0]); i++)
		assert_int_equal(iframes_find_fmp4(boxes[i], sizeof(boxes[i]), 0, 0, &f, &e), -ERR_INTERNAL);
	assert_int_equal(iframes_find_fmp4(boxes[1], sizeof(boxes[1]), 24, 0, &f, &e), -ERR_INTERNAL);
	/* a PES without PAT and PMT before it, and no PES at all */
	uint8_t ts[2 * TS_PACKET_SIZE];
	memset(ts, 0xff, sizeof(ts));
	for (size_t at = 0; at < sizeof(ts); at += TS_PACKET_SIZE)
		memcpy(ts + at, "\x47\x41\x00\x10\x00\x00\x01\xe0", 8);
	assert_int_equal(iframes_find_ts(ts, sizeof(ts), &f, &e), -ERR_INTERNAL);
	assert_int_equal(iframes_find_ts(ts, 0, &f, &e), -ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_a_usual_segment),
		cmocka_unit_test(spread_over_a_segment_of_too_many),
		cmocka_unit_test(nothing_to_be_found),
	};
	return cmocka_run_group_tests_name("media/iframes", tests, NULL, NULL);
}
