/* Planning rungs that have fewer frames than the source: by the table, by request, and what the playlist tells then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "job/plan.h"

static void small_rungs_and_those_that_ask_have_fewer_frames(void **state)
{
	(void)state;
	static const struct {
		uint32_t height, num, den, max_milli;
		const char *params;
		uint32_t ticks[3], milli[3];
	} cases[] = {
		{ 720, 60, 1, 60000, "", { 0, 0, 3000 }, { 60000, 60000, 30000 } },
		{ 480, 60000, 1001, 59940, "", { 0, 3003, 3003 }, { 59940, 29970, 29970 } },
		{ 480, 50, 1, 50000, "", { 0, 3600, 3600 }, { 50000, 25000, 25000 } },
		{ 480, 120, 1, 120000, "", { 0, 3000, 3000 }, { 120000, 30000, 30000 } },
		{ 480, 30, 1, 30000, "", { 0, 0, 0 }, { 30000, 30000, 30000 } },
		{ 240, 60, 1, 60000, "", { 0 }, { 60000 } }, /* the largest keeps them */
		{ 720, 60, 1, 60000,
		  "{\"rungs\":[{\"name\":\"720p\",\"frame_rate\":30},{\"name\":\"480p\",\"frame_rate\":25},"
		  "{\"name\":\"240p\",\"frame_rate\":60}]}",
		  { 3000, 3600, 0 }, { 30000, 25000, 60000 } },
		/* a variable rate may be faster than it is on average */
		{ 480, 2267, 100, 60000,
		  "{\"rungs\":[{\"name\":\"480p\",\"frame_rate\":30},{\"name\":\"360p\",\"frame_rate\":70}]}",
		  { 3000, 0 }, { 30000, 60000 } },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct ladder_params params;
		struct ladder_plan p;
		assert_int_equal(ladder_params_parse(cases[i].params, &params, NULL), 0);
		struct probe_result *probe = mr_calloc(1, sizeof(*probe));
		probe->duration_ns = INT64_C(9000000000);
		probe->seekable = true;
		probe->best_audio = -1;
		probe->stream_count = 1;
		probe->streams[0] = (struct probe_stream){ .kind = STREAM_VIDEO, .decodable = true, .width = cases[i].height * 2,
							   .height = cases[i].height, .fps_num = cases[i].num,
							   .fps_den = cases[i].den, .max_fps_milli = cases[i].max_milli,
							   .time_base_num = 1, .time_base_den = 90000 };
		assert_int_equal(ladder_plan(probe, &params, &p, NULL), 0);
		for (uint32_t k = 0; k < p.spec.rung_count && k < 3; k++) {
			assert_int_equal(p.spec.rungs[k].frame_ticks, cases[i].ticks[k]);
			assert_int_equal(p.renditions[k].frame_rate_milli, cases[i].milli[k]);
		}
		struct ladder_spec back;
		assert_int_equal(ladder_spec_parse(p.spec_json, &back, NULL), 0);
		assert_memory_equal(&back, &p.spec, sizeof(back));
		ladder_plan_release(&p);
		free(probe);
	}
	struct ladder_params params;
	assert_int_equal(ladder_params_parse("{\"rungs\":[{\"name\":\"720p\",\"frame_rate\":29.97}]}", &params, NULL), 0);
	char *canonical = ladder_params_format(&params);
	assert_non_null(strstr(canonical, "{\"name\":\"720p\",\"frame_rate\":29.970}"));
	free(canonical);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_rungs_and_those_that_ask_have_fewer_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
