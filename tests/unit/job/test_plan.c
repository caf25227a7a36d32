/* Planning: rungs by source, boundaries on the frame grids, chunks, and that a plan survives its way through JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "hls/playlist.h"
#include "job/plan.h"
#include "job/probe_json.h"
#include "plan_source.h"

static void names_of(const struct ladder_plan *p, char *out, size_t size)
{
	out[0] = '\0';
	for (uint32_t i = 0; i < p->rendition_count; i++) {
		size_t used = strlen(out);
		(void)snprintf(out + used, size - used, "%s%s", i ? " " : "", p->renditions[i].name);
		if (p->renditions[i].width) {
			used = strlen(out);
			(void)snprintf(out + used, size - used, ":%ux%u", p->renditions[i].width,
				       p->renditions[i].height);
		}
	}
}

static void rungs_follow_the_source(void **state)
{
	(void)state;
	static const struct {
		struct source s;
		const char *expect;
	} cases[] = {
		{ { 1920, 1080, 0, 25, 1, 48000, 2, 60 },
		  "1080p:1920x1080 720p:1280x720 480p:854x480 360p:640x360 240p:426x240 audio" },
		{ { 3840, 2160, 0, 25, 1, 48000, 2, 60 },
		  "1080p:1920x1080 720p:1280x720 480p:854x480 360p:640x360 240p:426x240 audio" },
		{ { 854, 480, 0, 24, 1, 48000, 6, 30 }, "480p:854x480 360p:640x360 240p:428x240 audio" },
		{ { 1080, 1920, 0, 30, 1, 0, 0, 9 },
		  "1080p:1080x1920 720p:720x1280 480p:480x854 360p:360x640 240p:240x426" },
		{ { 1920, 1080, 90, 30, 1, 0, 0, 9 },
		  "1080p:1080x1920 720p:720x1280 480p:480x854 360p:360x640 240p:240x426" },
		{ { 768, 432, 0, 25, 2, 48000, 2, 30 }, "432p:768x432 360p:640x360 240p:426x240 audio" },
		{ { 100, 60, 90, 24, 1, 0, 0, 1 }, "60p:60x100" },
		{ { 641, 361, 0, 25, 1, 0, 0, 1 }, "360p:640x360 240p:426x240" },
		{ { 0, 0, 0, 0, 0, 22050, 1, 53 }, "audio" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct ladder_plan p;
		char names[512];
		assert_int_equal(plan_source(&cases[i].s, NULL, &p, NULL), 0);
		names_of(&p, names, sizeof(names));
		assert_string_equal(names, cases[i].expect);
		ladder_plan_release(&p);
	}
}

static void asked_rungs_are_never_above_the_source(void **state)
{
	(void)state;
	struct ladder_params params;
	struct ladder_plan p;
	struct err e;
	char names[512];
	struct source s = { 854, 480, 0, 25, 1, 48000, 2, 30 };
	assert_int_equal(ladder_params_parse(
				 "{\"rungs\":[\"360p\",\"720p\",\"480p\"],\"container\":\"ts\",\"segment_seconds\":6}",
				 &params, &e),
			 0);
	assert_int_equal(plan_source(&s, &params, &p, &e), 0);
	names_of(&p, names, sizeof(names));
	assert_string_equal(names, "480p:854x480 360p:640x360 audio");
	assert_int_equal(p.spec.container, CONTAINER_TS);
	assert_int_equal(p.target_duration_s, 6);
	ladder_plan_release(&p);
	assert_int_equal(ladder_params_parse("{\"rungs\":[\"720p\"]}", &params, &e), 0);
	assert_int_equal(plan_source(&s, &params, &p, &e), -ERR_INVALID);
	assert_non_null(strstr(e.message, "480p"));
	s.width = 0;
	assert_int_equal(plan_source(&s, &params, &p, &e), -ERR_INVALID);
}

static void asked_rates_are_the_plan(void **state)
{
	(void)state;
	static const char text[] = "{\"rungs\":[{\"name\":\"360p\",\"maxrate\":900000},\"240p\","
				   "{\"name\":\"480p\",\"crf\":19.5,\"maxrate\":2000000,\"bufsize\":8000000}]}";
	struct ladder_params params, again;
	struct ladder_plan p;
	struct err e;
	struct source s = { 854, 480, 0, 25, 1, 48000, 2, 30 };
	assert_int_equal(ladder_params_parse(text, &params, &e), 0);
	assert_int_equal(plan_source(&s, &params, &p, &e), 0);
	const struct ladder_rung *r = p.spec.rungs;
	assert_int_equal(p.spec.rung_count, 3);
	assert_true(r[0].crf_x10 == 195 && r[0].maxrate_bps == 2000000 && r[0].bufsize_bits == 8000000);
	assert_true(r[1].crf_x10 == 230 && r[1].maxrate_bps == 900000 && r[1].bufsize_bits == 900000);
	assert_true(r[2].crf_x10 == 230 && r[2].maxrate_bps == r[2].bufsize_bits && r[2].maxrate_bps > 0);
	assert_int_equal(r[0].level_x10, 30); /* the buffer is within the level's, too */
	assert_true(p.renditions[0].declared_bps > 2000000 + 8000000 / 2); /* over half a target duration */
	_cleanup_free_ char *canonical = ladder_params_format(&params);
	assert_non_null(strstr(canonical, "\"rungs\":[{\"name\":\"480p\",\"crf\":19.5,\"maxrate\":2000000,\"bufsize\":8000000},"
					  "{\"name\":\"360p\",\"maxrate\":900000},\"240p\"]"));
	assert_int_equal(ladder_params_parse(canonical, &again, &e), 0);
	assert_memory_equal(again.rungs, params.rungs, sizeof(params.rungs));
	ladder_plan_release(&p);
}

static void codecs_beside_each_other(void **state)
{
	(void)state;
	static const struct {
		const char *params, *names, *canonical;
	} cases[] = {
		{ "{\"codecs\":[\"h264\",\"hevc\"]}", "480p:854x480 360p:640x360 240p:428x240 480p-hevc:854x480"
						    " 360p-hevc:640x360 240p-hevc:428x240 audio",
		  "\"rungs\":[],\"codecs\":[\"h264\",\"hevc\"]" },
		{ "{\"codecs\":[\"hevc\",\"h264\"],\"rungs\":[\"240p\",{\"name\":\"480p\",\"codec\":\"hevc\"}]}",
		  "240p:428x240 480p-hevc:854x480 240p-hevc:428x240 audio",
		  "\"rungs\":[{\"name\":\"480p\",\"codec\":\"hevc\"},\"240p\"],\"codecs\":[\"h264\",\"hevc\"]" },
		{ "{\"rungs\":[{\"name\":\"360p\",\"codec\":\"hevc\",\"crf\":28},{\"name\":\"360p\",\"codec\":\"h264\"}]}",
		  "360p:640x360 360p-hevc:640x360 audio",
		  "\"rungs\":[{\"name\":\"360p\",\"codec\":\"h264\"},{\"name\":\"360p\",\"codec\":\"hevc\",\"crf\":28.0}],"
		  "\"codecs\":[\"h264\"]" },
		{ "{\"codecs\":[\"h264\",\"h264\"],\"rungs\":[\"240p\"]}", "240p:428x240 audio",
		  "\"rungs\":[\"240p\"],\"codecs\":[\"h264\"]" },
	};
	const struct source film = { 854, 480, 0, 24, 1, 48000, 2, 30 };
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct ladder_params params, again;
		struct ladder_plan p;
		struct err e;
		char names[512];
		assert_int_equal(ladder_params_parse(cases[i].params, &params, &e), 0);
		_cleanup_free_ char *canonical = ladder_params_format(&params);
		assert_non_null(strstr(canonical, cases[i].canonical));
		if (params.rung_count) { /* an empty list isn't one to ask for */
			assert_int_equal(ladder_params_parse(canonical, &again, &e), 0);
			assert_memory_equal(&again, &params, sizeof(params));
		}
		assert_int_equal(plan_source(&film, &params, &p, &e), 0);
		names_of(&p, names, sizeof(names));
		assert_string_equal(names, cases[i].names);
		struct ladder_spec back;
		assert_int_equal(ladder_spec_parse(p.spec_json, &back, NULL), 0);
		assert_memory_equal(&back, &p.spec, sizeof(back));
		ladder_plan_release(&p);
	}
}

/* H.265, tables A.8 and A.9: pictures and rates that just fit, or just don't. */
static void hevc_has_its_own_numbers(void **state)
{
	(void)state;
	static const struct {
		uint32_t width, height, fps, level_x10;
	} cases[] = {
		{ 1920, 1080, 25, 40 },	 { 1920, 1080, 60, 41 },  { 1280, 720, 30, 31 },  { 1280, 720, 60, 40 },
		{ 854, 480, 30, 30 },	 { 640, 360, 30, 21 },	  { 426, 240, 30, 20 },	  { 3840, 2160, 30, 50 },
		{ 3840, 2160, 60, 51 },	 { 7680, 4320, 30, 60 },  { 2400, 64, 25, 31 },
	};
	struct ladder_params params;
	struct err e;
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		const struct source film = { .width = cases[i].width, .height = cases[i].height, .fps_num = cases[i].fps,
					     .fps_den = 1, .seconds = 9 };
		struct ladder_plan p;
		char text[128];
		(void)snprintf(text, sizeof(text), "{\"rungs\":[\"%up\"],\"codecs\":[\"h264\",\"hevc\"]}", cases[i].height);
		assert_int_equal(ladder_params_parse(text, &params, &e), 0);
		assert_int_equal(plan_source(&film, &params, &p, &e), 0);
		const struct ladder_rung *h264 = &p.spec.rungs[0], *hevc = &p.spec.rungs[1];
		assert_int_equal(p.spec.rung_count, 2);
		assert_true(h264->codec == VIDEO_H264 && hevc->codec == VIDEO_HEVC);
		assert_int_equal(hevc->level_x10, cases[i].level_x10);
		assert_true(hevc->maxrate_bps < h264->maxrate_bps && hevc->maxrate_bps > h264->maxrate_bps / 2);
		assert_string_equal(hevc->profile, "main");
		ladder_plan_release(&p);
	}
}

static void an_hevc_rung_needs_company(void **state)
{
	(void)state;
	const struct source film = { 854, 480, 0, 24, 1, 48000, 2, 30 };
	const struct source sound = { .sample_rate = 48000, .channels = 2, .seconds = 9 };
	const struct source dot = { .width = 14, .height = 14, .fps_num = 25, .fps_den = 1, .seconds = 1 };
	struct ladder_params params;
	struct ladder_plan p;
	struct err e;
	assert_int_equal(ladder_params_parse("{\"rungs\":[\"720p\",{\"name\":\"480p\",\"codec\":\"hevc\"}]}", &params, &e), 0);
	assert_int_equal(plan_source(&film, &params, &p, &e), -ERR_INVALID);
	assert_non_null(strstr(e.message, "every H.264 rung asked for is above that"));
	ladder_params_default(&params);
	assert_int_equal(ladder_params_parse_codecs("h264,hevc", &params, &e), 0);
	assert_int_equal(plan_source(&sound, &params, &p, &e), -ERR_INVALID);
	assert_non_null(strstr(e.message, "no video"));
	assert_int_equal(plan_source(&dot, &params, &p, &e), -ERR_INVALID);
	assert_non_null(strstr(e.message, "too small"));
	params.container = CONTAINER_TS;
	assert_int_equal(plan_source(&film, &params, &p, &e), -ERR_INVALID);
	assert_int_equal(ladder_params_parse_codecs("", &params, &e), -ERR_INVALID);
	assert_int_equal(ladder_params_parse_codecs("h264,", &params, &e), -ERR_INVALID);
}

static void the_frame_rate_is_the_highest(void **state)
{
	(void)state;
	static const struct {
		uint32_t num, den, max_milli, expect_milli;
	} cases[] = {
		{ 25, 1, 0, 25000 }, /* a probe of before it was counted */
		{ 30000, 1001, 29970, 29970 },
		{ 2267, 100, 60000, 60000 },
		{ 25, 1, 24000, 25000 },
		{ 25, 1, UINT32_MAX, 25000 },
	};
	struct ladder_params params;
	ladder_params_default(&params);
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		const struct source film = { .width = 320, .height = 180, .fps_num = cases[i].num, .fps_den = cases[i].den,
					     .seconds = 9 };
		struct probe_result *probe = probe_of(&film);
		struct ladder_plan p;
		probe->streams[0].max_fps_milli = cases[i].max_milli;
		assert_int_equal(ladder_plan(probe, &params, &p, NULL), 0);
		assert_int_equal(p.renditions[0].frame_rate_milli, cases[i].expect_milli);
		ladder_plan_release(&p);
		free(probe);
	}
}

static void bad_parameters_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *json, *field;
	} cases[] = {
		{ "[]", "params" },
		{ "{\"rungs\":[]}", "rungs" },
		{ "{\"rungs\":[\"721p\"]}", "rungs" },
		{ "{\"rungs\":[\"99999999999p\"]}", "rungs" },
		{ "{\"rungs\":[720]}", "rungs[0]" },
		{ "{\"rungs\":[\"480p\",{}]}", "rungs[1]: no name" },
		{ "{\"rungs\":[{\"name\":720}]}", "rungs[0]: name" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"crf\":9.9}]}", "rungs[0]: crf" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"crf\":\"23\"}]}", "rungs[0]: crf" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"maxrate\":49999}]}", "rungs[0]: maxrate" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"maxrate\":1e6}]}", "rungs[0]: maxrate" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"bufsize\":100000}]}", "rungs[0]: bufsize: needs maxrate" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"frame_rate\":0.5}]}", "rungs[0]: frame_rate" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"maxrate\":100000,\"bufsize\":400001}]}", "rungs[0]: bufsize" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"maxrate\":100000,\"bufsize\":24999}]}", "rungs[0]: bufsize" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"preset\":\"slow\"}]}", "rungs[0]: preset" },
		{ "{\"rungs\":[\"720p\",{\"name\":\"720p\",\"crf\":20}]}", "720p is asked for in two ways" },
		{ "{\"rungs\":\"720p\"}", "rungs" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"codec\":\"av1\"}]}", "rungs[0]: codec" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"codec\":[\"hevc\"]}]}", "rungs[0]: codec" },
		{ "{\"rungs\":[{\"name\":\"720p\",\"codec\":\"hevc\"}]}", "at least one rung has to be \"h264\"" },
		{ "{\"codecs\":[\"hevc\"]}", "at least one rung has to be \"h264\"" },
		{ "{\"codecs\":[\"h264\",\"hevc\"],\"container\":\"ts\"}", "\"hevc\" is made in the container" },
		{ "{\"codecs\":\"hevc\"}", "codecs" },
		{ "{\"codecs\":[]}", "codecs" },
		{ "{\"codecs\":[1]}", "codecs" },
		{ "{\"codecs\":[\"h264\",\"hevc\"],\"rungs\":[\"720p\",{\"name\":\"720p\",\"codec\":\"hevc\"}]}",
		  "720p is asked for in two ways" },
		{ "{\"codecs\":[\"h264\",\"hevc\"],\"rungs\":[\"64p\",\"66p\",\"68p\",\"70p\",\"72p\",\"74p\",\"76p\"]}",
		  "at most 12 in all codecs" },
		{ "{\"segment_seconds\":1}", "segment_seconds" },
		{ "{\"segment_seconds\":4.5}", "segment_seconds" },
		{ "{\"container\":\"mkv\"}", "container" },
		{ "{\"colour\":1}", "colour" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct ladder_params p;
		struct err e = { 0 };
		assert_int_equal(ladder_params_parse(cases[i].json, &p, &e), -ERR_INVALID);
		assert_non_null(strstr(e.message, cases[i].field));
	}
}

/* What every plan must hold, whatever the source. */
static void check_plan(const struct ladder_plan *p, const struct source *s)
{
	uint32_t n = p->segment_count;
	assert_true(n >= 1);
	struct hls_segment *list = mr_calloc(n, sizeof(*list));
	if (p->video_ticks) {
		assert_int_equal(p->video_ticks[0], 0);
		assert_int_equal(p->video_ticks[n], p->duration_ticks);
		for (uint32_t i = 0; i < n; i++)
			list[i].duration_ticks = p->video_ticks[i + 1] - p->video_ticks[i];
		for (uint32_t i = 0; i < n; i++)
			assert_true(list[i].duration_ticks > 0);
		assert_true(hls_target_duration(list, n, VIDEO_TIMESCALE) <= p->target_duration_s);
	}
	if (p->audio_frames) {
		assert_int_equal(p->audio_frames[0], 0);
		for (uint32_t i = 0; i < n; i++) {
			assert_true(p->audio_frames[i + 1] > p->audio_frames[i]);
			list[i].duration_ticks = (p->audio_frames[i + 1] - p->audio_frames[i]) * AAC_FRAME_SAMPLES;
		}
		assert_true(hls_target_duration(list, n, p->spec.audio_rate) <= p->target_duration_s);
		double end = (double)p->audio_frames[n] * AAC_FRAME_SAMPLES / p->spec.audio_rate;
		assert_true(end > s->seconds - 0.0005 && end < s->seconds + 1024.0 / p->spec.audio_rate + 0.0005);
	}
	free(list);
	uint32_t next = 0;
	for (uint32_t i = 0; i < p->chunk_count; i++) {
		assert_int_equal(p->chunks[i].first_segment, next);
		assert_true(p->chunks[i].segment_count >= 1);
		assert_true(p->chunks[i].weight_ticks > 0);
		next += p->chunks[i].segment_count;
		assert_int_equal(p->chunks[i].last, next == n);
	}
	assert_int_equal(next, n);
	/* The first segment is a chunk of its own, or begins one. */
	bool goes_on = p->video_ticks && !p->spec.sequential && n > 1;
	assert_true(goes_on ? p->chunks[0].segment_count > 1 : p->chunks[0].segment_count == 1);
}

static void every_duration_gives_a_sound_plan(void **state)
{
	(void)state;
	static const double fps[][2] = { { 24, 1 }, { 25, 1 }, { 30000, 1001 }, { 24000, 1001 },
					 { 60, 1 }, { 25, 2 }, { 1, 10 } };
	static const uint32_t rates[] = { 0, 44100, 48000 };
	for (double seconds = 0.02; seconds < 12000; seconds *= 1.173)
		for (size_t f = 0; f <= MR_ARRAY_SIZE(fps); f++)
			for (size_t a = 0; a < MR_ARRAY_SIZE(rates); a++) {
				struct source s = {
					.seconds = seconds, .sample_rate = rates[a], .channels = 2, .video_start = 0.021
				};
				if (f < MR_ARRAY_SIZE(fps)) {
					s.width = 640;
					s.height = 360;
					s.fps_num = (uint32_t)fps[f][0];
					s.fps_den = (uint32_t)fps[f][1];
				} else if (!s.sample_rate) {
					continue;
				}
				struct ladder_plan p;
				assert_int_equal(plan_source(&s, NULL, &p, NULL), 0);
				check_plan(&p, &s);
				ladder_plan_release(&p);
			}
}

static void boundaries_lie_on_frames(void **state)
{
	(void)state;
	struct source s = { 640, 360, 0, 30000, 1001, 0, 0, 30, 0 };
	struct ladder_plan p;
	assert_int_equal(plan_source(&s, NULL, &p, NULL), 0);
	/* Frame 120 is the first at or after 4 s: 120 · 3003 ticks. The boundary lies a little before it. */
	assert_int_equal(p.video_ticks[1], 120 * 3003 - 2);
	assert_int_equal(p.video_ticks[2], 240 * 3003 - 2);
	ladder_plan_release(&p);
	s.time_base_den = 1000;
	assert_int_equal(plan_source(&s, NULL, &p, NULL), 0);
	assert_int_equal(p.video_ticks[1], 120 * 3003 - 92);
	ladder_plan_release(&p);
}

static void a_tiny_tail_is_shared(void **state)
{
	(void)state;
	struct source s = { 640, 360, 0, 25, 1, 48000, 2, 12.2, 0 };
	struct ladder_plan p;
	assert_int_equal(plan_source(&s, NULL, &p, NULL), 0);
	assert_int_equal(p.segment_count, 4);
	/* 8 s, then 4.2 s in two halves, on the frame grid. */
	assert_int_equal(p.video_ticks[2], 8 * 90000 - 2);
	assert_true(p.video_ticks[3] >= 10100 * 90 - 1 && p.video_ticks[3] <= 10140 * 90 + 1);
	ladder_plan_release(&p);
}

static void the_plan_survives_json(void **state)
{
	(void)state;
	struct source s = { 1920, 1080, 90, 30000, 1001, 44100, 2, 100, 0 };
	struct ladder_plan p;
	struct ladder_spec back;
	assert_int_equal(plan_source(&s, NULL, &p, NULL), 0);
	char *json = ladder_spec_format(&p.spec);
	assert_int_equal(ladder_spec_parse(json, &back, NULL), 0);
	assert_memory_equal(&back, &p.spec, sizeof(back));
	free(json);
	assert_int_equal(ladder_spec_parse("{}", &back, NULL), -ERR_INTERNAL);

	struct probe_result *probe = probe_of(&s), *again = mr_calloc(1, sizeof(*again));
	memcpy(probe->format, "mov", 4);
	json = probe_json_format(probe);
	assert_int_equal(probe_json_parse(json, again, NULL), 0);
	assert_memory_equal(probe, again, sizeof(*probe));
	free(json);
	free(probe);
	free(again);
	ladder_plan_release(&p);
}

/* A sound that begins ten seconds before the picture: segments without a frame of their own still have a length. */
static void a_late_picture_leaves_no_empty_segment(void **state)
{
	(void)state;
	const struct source film = { .seconds = 20,
				     .width = 640,
				     .height = 360,
				     .fps_num = 25,
				     .fps_den = 1,
				     .video_start = 10.01,
				     .sample_rate = 48000,
				     .channels = 2 };
	struct ladder_plan p;
	assert_int_equal(plan_source(&film, NULL, &p, NULL), 0);
	assert_int_equal(p.segment_count, 5);
	for (uint32_t i = 0; i < p.segment_count; i++) {
		assert_true(p.video_ticks[i + 1] - p.video_ticks[i] > 3 * VIDEO_TIMESCALE);
		assert_true(p.audio_frames[i + 1] > p.audio_frames[i]);
	}
	ladder_plan_release(&p);
}

/* Shapes of pixels and pictures that only damaged headers tell. */
static void damaged_shapes_make_no_monsters(void **state)
{
	(void)state;
	const struct source film = { .seconds = 3, .width = 320, .height = 180, .fps_num = 25, .fps_den = 1 };
	const struct source strip = { .seconds = 3, .width = 65535, .height = 240, .fps_num = 25, .fps_den = 1 };
	struct ladder_params params;
	struct ladder_plan p;
	struct err e;
	ladder_params_default(&params);
	struct probe_result *probe = probe_of(&film);
	probe->streams[0].sar_num = 500;
	probe->streams[0].fps_num = UINT32_MAX;
	assert_int_equal(ladder_plan(probe, &params, &p, NULL), 0);
	assert_int_equal(p.renditions[0].width, 320);
	ladder_plan_release(&p);
	free(probe);
	assert_int_equal(plan_source(&strip, NULL, &p, &e), -ERR_MEDIA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rungs_follow_the_source),
		cmocka_unit_test(asked_rungs_are_never_above_the_source),
		cmocka_unit_test(asked_rates_are_the_plan),
		cmocka_unit_test(codecs_beside_each_other),
		cmocka_unit_test(hevc_has_its_own_numbers),
		cmocka_unit_test(an_hevc_rung_needs_company),
		cmocka_unit_test(the_frame_rate_is_the_highest),
		cmocka_unit_test(bad_parameters_are_named),
		cmocka_unit_test(every_duration_gives_a_sound_plan),
		cmocka_unit_test(boundaries_lie_on_frames),
		cmocka_unit_test(a_tiny_tail_is_shared),
		cmocka_unit_test(the_plan_survives_json),
		cmocka_unit_test(a_late_picture_leaves_no_empty_segment),
		cmocka_unit_test(damaged_shapes_make_no_monsters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
