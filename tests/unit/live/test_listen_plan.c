/* Fragments' rows into listeners' segments: where they are cut, what is told at gaps and at the end, and that it makes no
 * difference where a plan begins. And how a segment is packed. */
#include "../base/cm.h"

#include <stdlib.h>
#include <string.h>

#include "live/listen_plan.h"
#include "live/listener.h"
#include "live/packed_audio.h"
#include "proto/listen.h"

#define T0 INT64_C(1700000000000)

static void add(struct listen_plan *p, int64_t number, int64_t at_ms, int64_t length_ms)
{
	listen_plan_add(p, &(struct fragment){ .number = number, .producer_ms = T0 + at_ms, .length_ms = length_ms });
}

/* Whole in frames, none above the target, dates that follow, discontinuities where they should be. */
static void check(const struct listen_plan *p, size_t discontinuities)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct listen_segment *s = &p->list[i];
		const int64_t ms = (s->to - s->from) * LISTEN_FRAME_SAMPLES * 1000 / LISTEN_RATE;
		assert_true(ms >= 400 && ms < LISTEN_TARGET_S * 1000 + 500);
		if (i && !s->discontinuity)
			assert_int_equal(s->from, p->list[i - 1].to);
		discontinuities -= s->discontinuity;
	}
	assert_int_equal(discontinuities, 0);
}

static void test_a_segment_a_fragment(void **state)
{
	(void)state;
	struct listen_plan p = { 0 };
	for (int i = 0; i < 10; i++) {
		add(&p, 100 + i, 2000 * i, 2000);
		assert_int_equal(p.count, i + 1); /* as soon as the fragment is there */
		assert_int_equal(p.list[i].number, 100 + i);
		assert_true(p.list[i].first);
	}
	assert_int_equal(p.list[0].from, listen_frame_at(T0));
	check(&p, 0);
	listen_plan_finish(&p);
	assert_int_equal(p.count, 11);
	/* What an encoder still held: six frames, filled up. */
	assert_int_equal(p.list[10].to - p.list[10].from, LISTEN_TAIL_FRAMES);
	assert_true(listen_frame_ms(p.list[10].to) >= T0 + 20000);
	listen_plan_release(&p);
}

static void test_long_and_short_fragments(void **state)
{
	(void)state;
	struct listen_plan p = { 0 };
	add(&p, 1, 0, 20000);
	assert_int_equal(p.count, 9);
	assert_true(p.list[0].first && !p.list[1].first && p.list[8].number == 1);
	for (int i = 0; i < 11; i++)
		add(&p, 2 + i, 20000 + 250 * i, 250);
	check(&p, 0);
	assert_int_equal(p.count, 10);
	assert_int_equal(p.list[9].number, 2);
	listen_plan_finish(&p);
	check(&p, 0);
	assert_int_equal(p.list[10].number, 8);
	assert_true(listen_frame_ms(p.list[10].to) >= T0 + 22750);
	listen_plan_release(&p);
}

static void test_gaps(void **state)
{
	(void)state;
	struct listen_plan p = { 0 };
	add(&p, 1, 0, 2000);
	add(&p, 2, 2400, 2000);	  /* silence fills that */
	add(&p, 3, 9400, 2000);	  /* that not */
	add(&p, 4, 11390, 2000);  /* times waver */
	add(&p, 5, 5000, 2000);	  /* the clock was set back */
	listen_plan_finish(&p);
	check(&p, 2);
	assert_int_equal(p.count, 8);
	assert_true(p.list[3].discontinuity && p.list[6].discontinuity);
	assert_int_equal(p.list[3].from, listen_frame_at(T0 + 9400));
	assert_int_equal(p.list[6].from, listen_frame_at(T0 + 5000));
	listen_plan_release(&p);
}

/* From each segment that begins with a fragment on, the same segments follow. */
static void test_it_may_begin_anywhere(void **state)
{
	(void)state;
	static const int64_t rows[][2] = { { 0, 2100 },	   { 2100, 900 },   { 3000, 700 },   { 3700, 2100 },  { 5801, 9000 },
					   { 30000, 300 }, { 30300, 1900 }, { 32200, 2100 }, { 34290, 2100 }, { 36391, 2100 } };
	struct listen_plan all = { 0 };
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++)
		add(&all, (int64_t)i + 7, rows[i][0], rows[i][1]);
	for (size_t k = 0; k < all.count; k++) {
		struct listen_plan p = { 0 };
		if (!all.list[k].first)
			continue;
		listen_plan_begin(&p, &all.list[k]);
		for (size_t i = (size_t)all.list[k].number - 7; i < MR_ARRAY_SIZE(rows); i++)
			add(&p, (int64_t)i + 7, rows[i][0], rows[i][1]);
		assert_int_equal(p.count, all.count - k);
		for (size_t i = 0; i < p.count; i++) {
			assert_int_equal(p.list[i].number, all.list[k + i].number);
			assert_int_equal(p.list[i].from, all.list[k + i].from);
			assert_int_equal(p.list[i].to, all.list[k + i].to);
			assert_int_equal(p.list[i].discontinuity, all.list[k + i].discontinuity);
		}
		listen_plan_release(&p);
	}
	listen_plan_release(&all);
}

static void test_names(void **state)
{
	(void)state;
	static const char *const bad[] = { "",		"1-2-3",      "1-2-3.mp3",  "-1-2-3.aac", "1-3-3.aac",	"1-3-999.aac",
					   "1-2-.aac",	"1-2-3.aacx", "1--2-3.aac", " 1-2-3.aac", "1-2-3.aac/",
					   "9999999999999999999-2-3.aac" };
	struct listener_ref r;
	assert_true(listener_ref_parse("1000000007-8000000-8000094.aac", &r));
	assert_true(r.number == 1000000007 && r.from == 8000000 && r.to == 8000094);
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++)
		assert_false(listener_ref_parse(bad[i], &r));
}

static void test_packing(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 4096);
	/* A frame beyond 2^33 ticks: the clock is 33 bits wide. */
	assert_true(packed_audio_begin(&b, (INT64_C(1) << 33) / 1920 + 1));
	assert_int_equal(b.len, 73);
	assert_memory_equal(b.data, "ID3\4\0\0\0\0\0\77PRIV\0\0\0\65\0\0com.apple.streaming.transportStreamTimestamp", 65);
	const uint64_t ticks = ((UINT64_C(1) << 33) / 1920 + 1) * 1920 - (UINT64_C(1) << 33);
	uint64_t got = 0;
	for (int i = 0; i < 8; i++)
		got = got << 8 | (uint8_t)b.data[65 + i];
	assert_int_equal(got, ticks);
	assert_true(packed_audio_frame(&b, 2, "0123456789", 10));
	/* 17 bytes, 48 kHz, two channels: as ffmpeg's muxer writes it, but for the buffer's fullness */
	assert_memory_equal(b.data + 73, "\xFF\xF1\x4C\x80\x02\x3F\xFC" "0123456789", 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_segment_a_fragment), cmocka_unit_test(test_long_and_short_fragments),
		cmocka_unit_test(test_gaps),		     cmocka_unit_test(test_it_may_begin_anywhere),
		cmocka_unit_test(test_names),		     cmocka_unit_test(test_packing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
