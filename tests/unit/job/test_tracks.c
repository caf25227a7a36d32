/* Sounds and subtitles: which are used, what they are called, and how a playlist groups them. */
#include "../base/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/language.h"
#include "job/plan.h"
#include "job/presentation_tracks.h"

static void languages(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{ "eng", "en", "English" }, { "ger", "de", "German" }, { "deu", "de", "German" }, { "FRE", "fr", "French" },
		{ "pt-BR", "pt-BR", NULL }, { "por-BR", "pt-BR", NULL }, { "gsw", "gsw", NULL }, { "zu", "zu", "Zulu" },
		{ "und", "", NULL }, { "mul", "", NULL }, { "zxx-x", "", NULL }, { "", "", NULL }, { "x", "", NULL },
		{ "en_US", "", NULL }, { "english language", "", NULL }, { "e\"n", "", NULL }, { "en-", "", NULL },
		{ "123", "", NULL }, { "deutschland", "", NULL }, { "a-very-long-tag1", "", NULL },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		char tag[LANGUAGE_TAG_SIZE];
		language_tag(rows[i][0], tag);
		assert_string_equal(tag, rows[i][1]);
		const char *name = *tag ? language_name(tag) : NULL;
		assert_string_equal(name ? name : "-", rows[i][2] ? rows[i][2] : "-");
	}
}

static struct probe_stream *add_stream(struct probe_result *p, enum stream_kind kind, const char *language)
{
	struct probe_stream *s = &p->streams[p->stream_count];
	*s = (struct probe_stream){ .index = p->stream_count++, .kind = kind, .decodable = true, .channels = 2,
				    .sample_rate = 48000, .start_ns = TICKS_UNKNOWN, .sar_num = 1, .sar_den = 1, .fps_den = 1 };
	(void)snprintf(s->language, sizeof(s->language), "%s", language);
	return s;
}

/* 0 video, 1 to 4 sounds (3 is the best, 4 can't be decoded, 5 is another programme's), 6 and 7 subtitles (7 are pictures). */
static struct probe_result *film(void)
{
	struct probe_result *p = mr_calloc(1, sizeof(*p));
	p->duration_ns = 10000000000;
	p->seekable = true;
	struct probe_stream *v = add_stream(p, STREAM_VIDEO, "und");
	v->width = 640;
	v->height = 360;
	v->fps_num = 25;
	v->constant_frame_rate = true;
	add_stream(p, STREAM_AUDIO, "eng")->sample_rate = 22050;
	add_stream(p, STREAM_AUDIO, "fra")->channels = 1;
	struct probe_stream *best = add_stream(p, STREAM_AUDIO, "ger");
	best->sample_rate = 44100;
	(void)snprintf(best->title, sizeof(best->title), "Kino");
	add_stream(p, STREAM_AUDIO, "ita")->decodable = false;
	add_stream(p, STREAM_AUDIO, "spa")->other_program = true;
	add_stream(p, STREAM_SUBTITLE, "eng")->forced = true;
	add_stream(p, STREAM_SUBTITLE, "eng")->decodable = false;
	p->best_video = 0;
	p->best_audio = 3;
	return p;
}

static int plan(const char *params_json, struct ladder_plan *ret, struct err *e)
{
	struct ladder_params params;
	int r = ladder_params_parse(params_json, &params, e);
	struct probe_result *p = film();
	if (r == 0)
		r = ladder_plan(p, &params, ret, e);
	free(p);
	return r;
}

static void all_that_can_be_used(void **state)
{
	(void)state;
	struct ladder_plan p;
	assert_int_equal(plan("{\"rungs\":[\"360p\"]}", &p, NULL), 0);
	const struct ladder_spec *s = &p.spec;
	assert_int_equal(s->audio_count, 3);
	assert_true(s->audios[0].stream == 3 && s->audios[1].stream == 1 && s->audios[2].stream == 2);
	assert_int_equal(s->audio_rate, 44100);
	assert_true(s->audios[1].channels == 2 && s->audios[2].channels == 1);
	assert_true(s->subtitle_count == 1 && s->subtitle_streams[0] == 6);
	assert_int_equal(p.rendition_count, 5);
	const struct rendition *r = p.renditions;
	assert_true(r[1].kind == RENDITION_AUDIO && r[1].is_default && !r[2].is_default && r[1].timescale == 44100);
	assert_string_equal(r[1].name, "audio");
	assert_string_equal(r[3].name, "audio3");
	assert_string_equal(r[1].label, "Kino");
	assert_string_equal(r[3].language, "fr");
	assert_string_equal(r[4].name, "subs");
	assert_true(r[4].kind == RENDITION_SUBTITLES && r[4].forced && r[4].timescale == VIDEO_TIMESCALE);

	_cleanup_free_ char *json = ladder_spec_format(s);
	struct ladder_spec again;
	assert_int_equal(ladder_spec_parse(json, &again, NULL), 0);
	assert_int_equal(again.audio_count, 3);
	assert_memory_equal(again.audios, s->audios, 3 * sizeof(s->audios[0]));
	assert_true(again.subtitle_count == 1 && again.subtitle_streams[0] == 6);
	ladder_plan_release(&p);
}

static void those_that_are_asked_for(void **state)
{
	(void)state;
	struct ladder_plan p;
	struct err e;
	assert_int_equal(plan("{\"audio_tracks\":[2,1],\"subtitle_tracks\":[]}", &p, &e), 0);
	assert_true(p.spec.audio_count == 2 && p.spec.audios[0].stream == 2 && p.spec.audios[1].stream == 1);
	assert_int_equal(p.spec.subtitle_count, 0);
	_cleanup_free_ char *json = ladder_params_format(&p.params);
	assert_non_null(strstr(json, "\"audio_tracks\":[2,1],\"subtitle_tracks\":[]"));
	ladder_plan_release(&p);
	assert_int_equal(plan("{\"audio_tracks\":[]}", &p, &e), 0);
	assert_true(p.spec.audio_count == 0 && !p.audio_frames);
	ladder_plan_release(&p);
	assert_int_equal(plan("{\"audio_tracks\":[5]}", &p, &e), 0); /* of another programme, but asked for */
	ladder_plan_release(&p);
	static const char *const bad[] = { "{\"audio_tracks\":[4]}",	  "{\"audio_tracks\":[0]}",
					   "{\"audio_tracks\":[31]}",	  "{\"subtitle_tracks\":[7]}",
					   "{\"audio_tracks\":[1,1]}",	  "{\"audio_tracks\":[-1]}",
					   "{\"subtitle_tracks\":\"6\"}", "{\"audio_tracks\":[1.5]}",
					   "{\"audio_tracks\":[99]}" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		assert_int_equal(plan(bad[i], &p, &e), -ERR_INVALID);
		assert_non_null(strstr(e.message, "_tracks"));
	}
	struct ladder_params params;
	ladder_params_default(&params);
	static const char *const lists[] = { "x", "1,", ",1", "1,,2", "1 2", "1,1", "-1", "1000", "32" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(lists); i++)
		assert_int_equal(ladder_params_parse_tracks(lists[i], "audio_tracks", &params, &e), -ERR_INVALID);
	assert_int_equal(ladder_params_parse_tracks("", "audio_tracks", &params, &e), 0);
	assert_true(params.audio_tracks.chosen && params.audio_tracks.count == 0);
	assert_int_equal(ladder_params_parse_tracks("12,3", "audio_tracks", &params, &e), 0);
	assert_true(params.audio_tracks.count == 2 && params.audio_tracks.streams[0] == 12);
}

/* A job that was planned before there were several tracks goes on, and its playlists stay. */
static void an_old_plan_is_read(void **state)
{
	(void)state;
	struct ladder_plan p;
	struct ladder_spec s;
	assert_int_equal(plan(NULL, &p, NULL), 0);
	_cleanup_free_ char *json = ladder_spec_format(&p.spec);
	ladder_plan_release(&p);
	char *audios = strstr(json, "\"audios\":");
	assert_non_null(audios);
	_cleanup_free_ char *old = mr_asprintf("%.*s\"audio_stream\":1,\"audio_channels\":2,\"audio_bitrate_bps\":128000}",
					       (int)(audios - json), json);
	assert_int_equal(ladder_spec_parse(old, &s, NULL), 0);
	assert_true(s.audio_count == 1 && s.audios[0].stream == 1 && s.audios[0].bitrate_bps == 128000 && !s.subtitle_count);
	*audios = '}';
	audios[1] = '\0';
	if (audios[-1] == ',')
		audios[-1] = ' ';
	assert_int_equal(ladder_spec_parse(json, &s, NULL), -ERR_INTERNAL);
}

static struct rendition sound(uint32_t index, const char *label, const char *language, uint64_t peak)
{
	struct rendition r = { .index = index, .kind = RENDITION_AUDIO, .channels = 2, .is_default = index == 1,
			       .declared_bps = 2 * peak, .peak_bps = peak, .average_bps = peak - 1, .codecs = "mp4a.40.2" };
	(void)snprintf(r.name, sizeof(r.name), "audio%u", index);
	(void)snprintf(r.label, sizeof(r.label), "%s", label);
	(void)snprintf(r.language, sizeof(r.language), "%s", language);
	return r;
}

static void groups(void **state)
{
	(void)state;
	struct rendition r[] = { { .kind = RENDITION_VIDEO, .name = "360p" }, sound(1, "", "de", 1000), sound(2, "", "de", 3000),
				 sound(3, "a \"b\"", "", 2000), sound(4, "", "", 5), sound(5, "a 'b'", "gsw", 5),
				 sound(6, "", "gsw", 5) };
	r[4].kind = RENDITION_SUBTITLES;
	r[4].hearing_impaired = true;
	r[5].commentary = true;
	struct track_groups g;
	track_groups_init(&g, r, MR_ARRAY_SIZE(r), true);
	static const char *const names[] = { "German", "German 2", "a 'b'", "Subtitles", "a 'b' 2", "gsw" };
	assert_int_equal(g.count, 6);
	for (size_t i = 0; i < g.count; i++)
		assert_string_equal(g.items[i].name, names[i]);
	assert_true(g.items[0].uri && g.items[0].is_default && g.items[0].autoselect && !g.items[4].autoselect);
	assert_non_null(g.items[3].characteristics);
	assert_int_equal(g.peak_bps, 3005);
	assert_int_equal(g.average_bps, 3003);
	assert_true(g.audio_group && g.subtitle_group);
	track_groups_release(&g);
	/* without pictures: the first is the variant, and the largest decides what the variant takes */
	track_groups_init(&g, r + 1, 3, true);
	assert_null(g.items[0].uri);
	assert_non_null(g.items[1].uri);
	assert_int_equal(g.peak_bps, 2000);
	track_groups_release(&g);
	track_groups_init(&g, r + 1, 1, false);
	assert_true(g.count == 0 && !g.audio_group && g.peak_bps == 0);
	track_groups_release(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(languages),	      cmocka_unit_test(all_that_can_be_used),
		cmocka_unit_test(those_that_are_asked_for), cmocka_unit_test(an_old_plan_is_read),
		cmocka_unit_test(groups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
