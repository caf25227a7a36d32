/* job: an analysis between its probe and what people see: plan, JSON, storyboard. */
#include <stdlib.h>
#include <string.h>

#include "../base/cm.h"
#include "job/analysis.h"

static void planned_from_a_probe(void **state)
{
	(void)state;
	struct probe_result *p = calloc(1, sizeof(*p));
	*p = (struct probe_result){ .start_ns = -5, .duration_ns = 2000000000, .seekable = true, .best_video = 1, .best_audio = 0,
				    .stream_count = 3 };
	p->streams[1] = (struct probe_stream){ .index = 1, .kind = STREAM_VIDEO, .rotation_degrees = 270 };
	p->streams[2] = (struct probe_stream){ .index = 2, .kind = STREAM_VIDEO, .attached_picture = true };
	struct analysis_plan plan;
	analysis_plan(p, "analysis/u/f", &plan);
	assert_string_equal(plan.prefix, "analysis/u/f");
	struct job_plan j = analysis_job_plan(&plan);
	assert_int_equal(j.chunk_count, 1);
	assert_int_equal(j.chunks[0].kind, CHUNK_ANALYZE);
	assert_false(j.chunks[0].waits);
	assert_int_equal(j.segment_count, 0);
	assert_int_equal(j.duration_ticks, 180000);
	struct analyze_spec s;
	struct err e;
	assert_int_equal(analysis_spec_parse(j.spec_json, &s, &e), 0);
	assert_int_equal(s.video_stream, 1);
	assert_int_equal(s.audio_stream, 0);
	assert_int_equal(s.cover_stream, 2);
	assert_int_equal(s.rotation_degrees, 270);
	assert_true(s.seekable);
	assert_int_equal(s.origin_ns, -5);
	assert_int_equal(s.duration_ns, 2000000000);
	assert_int_equal(analysis_spec_parse("{}", &s, &e), -ERR_INTERNAL);
	assert_int_equal(analysis_spec_parse("", &s, &e), -ERR_INTERNAL);
	analysis_plan_release(&plan);
	free(p);
}

static void as_json(void **state)
{
	(void)state;
	struct analyze_result *r = calloc(1, sizeof(*r));
	*r = (struct analyze_result){ .poster_width = 640, .poster_height = 360, .poster_ticks = 135000, .point_count = 7,
				      .has_loudness = true,
				      .loudness = { .integrated_mlufs = -23014, .range_mlu = 5005, 
						    .true_peak_mdbtp = LOUDNESS_UNKNOWN, .sample_peak_mdbfs = -996 },
				      .picture = { .code = "UNDECODABLE", .message = "why \"so\"" } };
	char *json = analysis_json_format(r);
	assert_string_equal(json,
			    "{\"problems\":[{\"part\":\"picture\",\"code\":\"UNDECODABLE\",\"message\":\"why \\\"so\\\"\"}],"
			    "\"poster\":{\"width\":640,\"height\":360,\"time\":1.5},\"waveform\":{\"points\":7},"
			    "\"loudness\":{\"integrated_lufs\":-23.010000000000002,\"range_lu\":5.0099999999999998,"
			    "\"true_peak_dbtp\":null,\"sample_peak_dbfs\":-1.0}}");
	assert_true(analysis_made_anything(r));
	free(json);
	*r = (struct analyze_result){ .tile_count = 0 };
	assert_false(analysis_made_anything(r));
	json = analysis_json_format(r);
	assert_string_equal(json, "{\"problems\":[]}");
	struct err e;
	assert_int_equal(analysis_json_storyboard(json, r, &e), 0);
	assert_int_equal(r->tile_count, 0);
	assert_int_equal(analysis_json_storyboard(NULL, r, &e), 0);
	assert_int_equal(analysis_json_storyboard("{", r, &e), -ERR_INTERNAL);
	free(json);
	(void)err_set_code(&e, ERR_MEDIA, "TASK_CRASHED", "it fell");
	json = analysis_json_failure(&e);
	assert_string_equal(json, "{\"problems\":[{\"part\":\"all\",\"code\":\"TASK_CRASHED\",\"message\":\"it fell\"}]}");
	free(json);
	free(r);
}

static bool upper_uri(void *ctx, const char *name, struct buf *out)
{
	return buf_puts(out, ctx) && buf_puts(out, name);
}

static void storyboard(void **state)
{
	(void)state;
	struct analyze_result *r = calloc(1, sizeof(*r)), *back = calloc(1, sizeof(*back));
	*r = (struct analyze_result){ .tile_width = 160, .tile_height = 90, .columns = 2, .rows = 1, .tile_count = 3,
				      .tile_ticks = { 0, 90000, 90000 * 3700 + 45 } };
	char *json = analysis_json_format(r);
	struct err e;
	assert_int_equal(analysis_json_storyboard(json, back, &e), 0);
	struct buf b;
	buf_init(&b, 4096);
	char base[] = "https://h/";
	struct storyboard_opts opts = { .uri_fn = upper_uri, .uri_ctx = base };
	assert_int_equal(storyboard_vtt(back, 90000 * (int64_t)3701, &opts, &b, &e), 0);
	assert_string_equal(b.data, "WEBVTT\n"
				    "\n00:00:00.000 --> 00:00:01.000\nhttps://h/sprite_000.jpg#xywh=0,0,160,90\n"
				    "\n00:00:01.000 --> 01:01:40.000\nhttps://h/sprite_000.jpg#xywh=160,0,160,90\n"
				    "\n01:01:40.000 --> 01:01:41.000\nhttps://h/sprite_001.jpg#xywh=0,0,160,90\n");
	/* a length that was wrong, and no URLs */
	back->tile_count = 1;
	buf_clear(&b);
	assert_int_equal(storyboard_vtt(back, 0, &(struct storyboard_opts){ 0 }, &b, &e), 0);
	assert_string_equal(b.data, "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nsprite_000.jpg#xywh=0,0,160,90\n");
	buf_release(&b);
	free(json);
	free(r);
	free(back);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(planned_from_a_probe), cmocka_unit_test(as_json),
					    cmocka_unit_test(storyboard) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
