/* Planning a copy of the first rung: when, where segments begin, what is told where it can't be, and the keyframes' way through
 * JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "job/plan.h"
#include "job/probe_json.h"

/* Keyframes `gop` ticks apart of a 1080p film of 25 frames a second, whose rate is `kbps`. */
static struct probe_result *film_with_gops(double seconds, int64_t gop, uint32_t kbps)
{
	struct probe_result *p = mr_calloc(1, sizeof(*p));
	p->duration_ns = (int64_t)(seconds * 1e9);
	p->seekable = true;
	p->best_audio = -1;
	p->stream_count = 1;
	p->streams[0] = (struct probe_stream){ .kind = STREAM_VIDEO, .decodable = true, .width = 1920, .height = 1080,
					       .fps_num = 25, .fps_den = 1, .constant_frame_rate = true, .time_base_num = 1,
					       .time_base_den = 12800, .sar_num = 1, .sar_den = 1 };
	p->streams[0].duration_ns = p->duration_ns;
	const uint32_t n = (uint32_t)((int64_t)(seconds * VIDEO_TIMESCALE) / gop) + 1;
	p->copy = (struct probe_copy){ .reorder_frames = 3, .gop_ticks = (uint32_t)gop, .count = n };
	p->copy.ticks = mr_calloc(n, sizeof(*p->copy.ticks));
	p->copy.bytes = mr_calloc(n, sizeof(*p->copy.bytes));
	for (uint32_t i = 0; i < n; i++) {
		p->copy.ticks[i] = i * gop;
		const int64_t rest = (int64_t)(seconds * VIDEO_TIMESCALE) - p->copy.ticks[i];
		p->copy.bytes[i] = (uint32_t)(kbps * 125 * (rest < gop ? rest : gop) / VIDEO_TIMESCALE);
	}
	return p;
}

static int plan_film(struct probe_result *take_probe, const char *params, struct ladder_plan *ret, struct err *e)
{
	struct ladder_params p;
	assert_int_equal(ladder_params_parse(params, &p, NULL), 0);
	int r = ladder_plan(take_probe, &p, ret, e);
	probe_result_release(take_probe);
	free(take_probe);
	return r;
}

static bool on_keyframes(const struct ladder_plan *p, int64_t gop)
{
	for (uint32_t i = 0; i < p->segment_count; i++) {
		const int64_t length = p->video_ticks[i + 1] - p->video_ticks[i];
		if (p->video_ticks[i] % gop || length < VIDEO_TIMESCALE ||
		    length >= p->target_duration_s * (int64_t)VIDEO_TIMESCALE + VIDEO_TIMESCALE / 2)
			return false;
	}
	return p->video_ticks[p->segment_count] == p->duration_ticks;
}

static void the_first_rung_is_copied_where_it_loses_nothing(void **state)
{
	(void)state;
	static const struct {
		double seconds;
		int64_t gop;
		uint32_t kbps;
		const char *params;
		bool copied;
		uint32_t target_s;
	} cases[] = {
		{ 60, 180000, 6000, "", true, 4 },
		{ 60.5, 180000, 6000, "", true, 4 },
		{ 60, 183600, 6000, "", true, 4 },   /* a frame of grace */
		{ 60, 187200, 6000, "", false, 4 },  /* two */
		{ 60, 144000, 6000, "", true, 4 },   /* 1.6 s: segments of 3.2 s */
		{ 60, 3600, 6000, "", true, 4 },     /* nothing but keyframes */
		{ 60, 180000, 9900, "", true, 4 },
		{ 60, 180000, 10100, "", false, 4 }, /* twice the cap of 5000 and more */
		{ 60, 180000, 6000, "{\"copy\":\"never\"}", false, 4 },
		{ 60, 180000, 6000, "{\"rungs\":[\"720p\"]}", false, 4 },
		{ 60, 180000, 6000, "{\"rungs\":[\"1080p\",\"720p\"]}", true, 4 },
		{ 60, 180000, 6000, "{\"rungs\":[{\"name\":\"1080p\",\"crf\":20}]}", false, 4 },
		{ 60, 180000, 6000, "{\"segment_seconds\":6}", true, 6 },
		{ 60, 180000, 50000, "{\"copy\":\"always\"}", true, 4 },
		{ 60, 450000, 6000, "{\"copy\":\"always\"}", true, 5 },
		{ 60, 900000, 6000, "{\"copy\":\"always\"}", true, 10 },
		{ 4, 180000, 6000, "", true, 4 },
		{ 0.04, 180000, 6000, "", true, 4 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct ladder_plan p;
		struct probe_result *probe = film_with_gops(cases[i].seconds, cases[i].gop, cases[i].kbps);
		assert_int_equal(plan_film(probe, cases[i].params, &p, NULL), 0);
		assert_int_equal(p.spec.rungs[0].copy, cases[i].copied);
		assert_int_equal(p.target_duration_s, cases[i].target_s);
		assert_int_equal(p.spec.reorder_frames, cases[i].copied ? 3 : 2);
		for (uint32_t k = 1; k < p.spec.rung_count; k++)
			assert_false(p.spec.rungs[k].copy);
		if (cases[i].copied && cases[i].seconds > 1) {
			assert_true(on_keyframes(&p, cases[i].gop));
			assert_true(p.renditions[0].declared_bps > cases[i].kbps * 1000);
			assert_true(p.renditions[0].declared_bps < cases[i].kbps * 1600);
		}
		struct ladder_spec back;
		assert_int_equal(ladder_spec_parse(p.spec_json, &back, NULL), 0);
		assert_memory_equal(&back, &p.spec, sizeof(back));
		ladder_plan_release(&p);
	}
}

static void a_copy_that_was_demanded_is_refused_with_a_reason(void **state)
{
	(void)state;
	static const struct {
		const char *params, *why;
		int64_t gop;
		bool not_seekable, unknown, late;
	} cases[] = {
		{ "{\"copy\":\"always\"}", "too far apart", 1800000, false, false, false },
		{ "{\"copy\":\"always\",\"rungs\":[\"720p\"]}", "size", 180000, false, false, false },
		{ "{\"copy\":\"always\",\"rungs\":[{\"name\":\"1080p\",\"crf\":20}]}", "crf", 180000, false, false,
		  false },
		{ "{\"copy\":\"always\"}", "sought", 180000, true, false, false },
		{ "{\"copy\":\"always\"}", "it is odd", 180000, false, true, false },
		{ "{\"copy\":\"always\"}", "later than the sound", 180000, false, false, true },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct ladder_plan p;
		struct err e;
		struct probe_result *probe = film_with_gops(60, cases[i].gop, 6000);
		probe->seekable = !cases[i].not_seekable;
		if (cases[i].unknown)
			(void)snprintf(probe->copy.obstacle, sizeof(probe->copy.obstacle), "it is odd");
		if (cases[i].late)
			probe->copy.ticks[0] = 60000;
		assert_int_equal(plan_film(probe, cases[i].params, &p, &e), -ERR_MEDIA);
		assert_string_equal(err_code(&e), "COPY_NOT_POSSIBLE");
		assert_non_null(strstr(e.message, cases[i].why));
	}
}

static void keyframes_survive_json(void **state)
{
	(void)state;
	struct probe_result *probe = film_with_gops(60, 180000, 6000), *again = mr_calloc(1, sizeof(*again));
	char *json = probe_json_format(probe);
	assert_int_equal(probe_json_parse(json, again, NULL), 0);
	assert_int_equal(again->copy.count, probe->copy.count);
	assert_int_equal(again->copy.gop_ticks, 180000);
	assert_int_equal(again->copy.reorder_frames, 3);
	assert_memory_equal(again->copy.ticks, probe->copy.ticks, probe->copy.count * sizeof(*probe->copy.ticks));
	assert_memory_equal(again->copy.bytes, probe->copy.bytes, probe->copy.count * sizeof(*probe->copy.bytes));
	free(json);
	probe_result_release(probe);
	probe_result_release(again);
	free(probe);
	free(again);
}

/* A chunk grows where the next one then has less to decode that it doesn't show. */
static void chunks_end_behind_keyframes(void **state)
{
	(void)state;
	static const struct {
		double seconds;
		int64_t gop;
		uint32_t chunks[4]; /* their segments; at most the first four */
	} cases[] = {
		{ 60, 2 * VIDEO_TIMESCALE, { 1 + 2, 2, 2, 2 } },  /* nothing is gained */
		{ 60, 10 * VIDEO_TIMESCALE, { 1 + 2, 3, 2, 3 } }, /* at 24 s: at 20 s the frame before is wanted, too */
		{ 30, 23 * VIDEO_TIMESCALE, { 1 + 2, 3, 2 } },
		{ 24, 16 * VIDEO_TIMESCALE, { 1 + 2, 3 } },    /* would leave a small chunk */
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct ladder_plan p;
		struct probe_result *probe = film_with_gops(cases[i].seconds, cases[i].gop, 6000);
		assert_int_equal(plan_film(probe, "{\"copy\":\"never\"}", &p, NULL), 0);
		for (uint32_t k = 0; k < p.chunk_count && k < 4; k++)
			assert_int_equal(p.chunks[k].segment_count, cases[i].chunks[k]);
		ladder_plan_release(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_end_behind_keyframes),
		cmocka_unit_test(the_first_rung_is_copied_where_it_loses_nothing),
		cmocka_unit_test(a_copy_that_was_demanded_is_refused_with_a_reason),
		cmocka_unit_test(keyframes_survive_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
