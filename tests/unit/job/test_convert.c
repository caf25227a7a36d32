/* A conversion's parameters, plan and texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "job/convert_json.h"
#include "job/plan_convert.h"
#include "job/plan_download.h"

static struct convert_params parsed(const char *json)
{
	struct convert_params p;
	struct err e = { 0 };
	if (convert_params_parse(json, &p, &e) < 0)
		fail_msg("%s: %s", json, e.message);
	return p;
}

/* Refused, and the message begins with the field. */
static void refused(const char *json, const char *field)
{
	struct convert_params p;
	struct err e = { 0 };
	assert_int_equal(convert_params_parse(json, &p, &e), -ERR_INVALID);
	if (strncmp(e.message, field, strlen(field)) != 0)
		fail_msg("%s: \"%s\" doesn't name %s", json, e.message, field);
}

static void parameters(void **state)
{
	(void)state;
	struct convert_params p = parsed("{\"format\":\"mp3\"}");
	assert_int_equal(p.format, CONVERT_MP3);
	assert_int_equal(p.vbr, -1);
	assert_false(p.normalize || p.drop_tags || p.remove_after_download);
	p = parsed("{\"format\":\"wav\",\"bits\":24,\"start\":1.5,\"end\":2.25,\"normalize\":{\"target_lufs\":-23},"
		   "\"tags\":\"none\",\"delete_after_download\":true,\"sample_rate\":48000,\"channels\":1}");
	assert_int_equal(p.start_ms, 1500);
	assert_int_equal(p.end_ms, 2250);
	assert_int_equal(p.target_mlufs, -23000);
	assert_int_equal(p.peak_mdbtp, -1000);
	assert_true(p.normalize && p.drop_tags && p.remove_after_download);
	assert_int_equal(parsed("{\"format\":\"flac\",\"normalize\":-14.5}").target_mlufs, -14500);
	assert_false(parsed("{\"format\":\"flac\",\"normalize\":false}").normalize);
}

static void bad_parameters(void **state)
{
	(void)state;
	refused("", "format");
	refused("{}", "format");
	refused("[]", "params");
	refused("{\"format\":\"midi\"}", "format");
	refused("{\"format\":\"mp3\",\"colour\":1}", "params.colour");
	refused("{\"format\":\"mp3\",\"bitrate\":\"192k\"}", "bitrate");
	refused("{\"format\":\"mp3\",\"bitrate\":100000}", "bitrate");
	refused("{\"format\":\"wav\",\"bitrate\":128000}", "bitrate");
	refused("{\"format\":\"opus\",\"bitrate\":600000}", "bitrate");
	refused("{\"format\":\"aac\",\"bitrate\":8000}", "bitrate");
	refused("{\"format\":\"mp3\",\"bitrate\":128000,\"quality\":\"low\"}", "bitrate");
	refused("{\"format\":\"mp3\",\"vbr\":10}", "vbr");
	refused("{\"format\":\"opus\",\"vbr\":3}", "vbr");
	refused("{\"format\":\"mp3\",\"quality\":\"best\"}", "quality");
	refused("{\"format\":\"mp3\",\"channels\":3}", "channels");
	refused("{\"format\":\"wav\",\"channels\":9}", "channels");
	refused("{\"format\":\"mp3\",\"sample_rate\":1000}", "sample_rate");
	refused("{\"format\":\"mp3\",\"bits\":16}", "bits");
	refused("{\"format\":\"wav\",\"bits\":20}", "bits");
	refused("{\"format\":\"flac\",\"bits\":32}", "bits");
	refused("{\"format\":\"wav\",\"start\":-1}", "start");
	refused("{\"format\":\"wav\",\"start\":5,\"end\":5}", "end");
	refused("{\"format\":\"wav\",\"normalize\":\"loud\"}", "normalize");
	refused("{\"format\":\"wav\",\"normalize\":3}", "normalize");
	refused("{\"format\":\"wav\",\"normalize\":{\"target\":-3}}", "normalize.target");
	refused("{\"format\":\"wav\",\"tags\":true}", "tags");
	refused("{\"format\":\"wav\",\"delete_after_download\":1}", "delete_after_download");
}

/* What is formatted reads as the same again. */
static void canonical(void **state)
{
	(void)state;
	const char *const texts[] = {
		"{\"format\":\"mp3\",\"tags\":\"keep\",\"vbr\":2}",
		"{\"format\":\"wav\",\"tags\":\"none\",\"sample_rate\":8000,\"channels\":2,\"bits\":32,\"start\":1.5,\"end\":2.25}",
		("{\"format\":\"opus\",\"tags\":\"keep\",\"quality\":\"high\",\"normalize\":{\"target_lufs\":-16.0,"
		 "\"true_peak_dbtp\":-1.5},\"delete_after_download\":true}"),
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(texts); i++) {
		struct convert_params p = parsed(texts[i]);
		_cleanup_free_ char *again = convert_params_format(&p);
		assert_string_equal(again, texts[i]);
	}
}

static struct probe_result *song(int64_t seconds, uint32_t rate, const char *codec)
{
	struct probe_result *p = mr_calloc(1, sizeof(*p));
	p->duration_ns = seconds * 1000000000;
	p->seekable = true;
	p->best_video = -1;
	p->best_audio = 1;
	p->stream_count = 2;
	p->streams[0] = (struct probe_stream){ .index = 0, .kind = STREAM_VIDEO, .attached_picture = true };
	p->streams[1] = (struct probe_stream){ .index = 1,
					       .kind = STREAM_AUDIO,
					       .start_ns = 25000000,
					       .duration_ns = p->duration_ns,
					       .sample_rate = rate,
					       .channels = 6 };
	memcpy(p->streams[1].codec, codec, strlen(codec));
	return p;
}

static struct convert_plan planned(struct probe_result *take_probe, const char *params)
{
	struct convert_params p = parsed(params);
	struct convert_plan plan = { 0 };
	struct err e = { 0 };
	int r = convert_plan(take_probe, &p, &plan, &e);
	free(take_probe);
	if (r < 0)
		fail_msg("%s: %s", params, e.message);
	return plan;
}

static void unplannable(struct probe_result *take_probe, const char *params, enum err_kind kind, const char *what)
{
	struct convert_params p = parsed(params);
	struct convert_plan plan;
	struct err e = { 0 };
	assert_int_equal(convert_plan(take_probe, &p, &plan, &e), -(int)kind);
	assert_true(strncmp(kind == ERR_MEDIA ? e.code : e.message, what, strlen(what)) == 0);
	free(take_probe);
}

/* Chunks follow on one another from zero to the end, the last is open, and their weights make the job's length. */
static void check_chunks(const struct convert_plan *p, uint32_t grid)
{
	struct convert_constants c;
	struct err e = { 0 };
	int64_t next = 0, weight = 0;
	assert_int_equal(convert_constants_parse(p->spec_json, &c, &e), 0);
	for (uint32_t i = 0; i < p->chunk_count; i++) {
		const struct plan_chunk *k = &p->chunks[i];
		weight += k->weight_ticks;
		assert_int_equal(k->kind == CHUNK_JOIN, i + 1 == p->chunk_count);
		if (k->kind != CHUNK_CONVERT)
			continue;
		struct chunk row = { .kind = k->kind, .first_segment = k->first_segment, .segment_count = k->segment_count,
				     .last = k->last };
		struct convert_spec s = convert_chunk_spec(&c, &row);
		assert_int_equal(s.first_sample, next);
		assert_int_equal(s.first_sample % grid, 0);
		assert_int_equal(k->last, i + 2 == p->chunk_count);
		assert_int_equal(k->last, s.last);
		const bool wav = s.format == CONVERT_WAV, flac = s.format == CONVERT_FLAC, m4a = s.format == CONVERT_M4A;
		const int64_t least = i == 0 ? 10 : wav ? 60 : flac ? 30 : m4a ? 20 : 10;
		const int64_t most = wav ? 601 : flac ? 181 : m4a ? 121 : 61;
		const int64_t part = p->spec.sample_count / 64;
		if (p->chunk_count > 4 && !k->last)
			assert_true(s.sample_count >= least * s.rate &&
				    (s.sample_count <= most * s.rate || s.sample_count <= part));
		next += s.sample_count;
	}
	assert_int_equal(next, p->spec.sample_count);
	assert_true(weight <= p->duration_ticks && weight > p->duration_ticks * 99 / 100 - 100);
}

static void chunks(void **state)
{
	(void)state;
	static const struct {
		const char *params;
		int64_t seconds;
		uint32_t rate, grid, chunks;
	} cases[] = {
		{ "{\"format\":\"mp3\"}", 600, 44100, 1152, 25 },
		{ "{\"format\":\"mp3\",\"sample_rate\":22050}", 600, 44100, 576, 25 },
		{ "{\"format\":\"m4a\"}", 3, 48000, 1024, 2 },
		{ "{\"format\":\"m4a\"}", 600, 48000, 1024, 17 },
		{ "{\"format\":\"flac\"}", 7200, 48000, 4096, 0 },
		{ "{\"format\":\"wav\"}", 600, 96000, 1024, 8 },
		{ "{\"format\":\"mp3\"}", 3 * 3600, 44100, 1152, 0 },
		{ "{\"format\":\"wav\"}", 24 * 3600, 44100, 1024, 0 },
		{ "{\"format\":\"opus\"}", 600, 44100, 1, 2 },
		{ "{\"format\":\"ogg\",\"normalize\":true}", 600, 44100, 1, 3 },
		{ "{\"format\":\"wav\",\"start\":590}", 600, 44100, 1024, 2 },
		{ "{\"format\":\"wav\",\"end\":12.5}", 600, 44100, 1024, 2 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct convert_plan p = planned(song(cases[i].seconds, cases[i].rate, "flac"), cases[i].params);
		check_chunks(&p, cases[i].grid);
		if (cases[i].chunks)
			assert_int_equal(p.chunk_count, cases[i].chunks);
		convert_plan_release(&p);
	}
	struct probe_result *probe = song(600, 44100, "flac");
	probe->seekable = false;
	struct convert_plan p = planned(probe, "{\"format\":\"mp3\"}");
	assert_int_equal(p.chunk_count, 2);
	assert_true(p.spec.sequential);
	struct convert_constants c = { .spec = p.spec };
	assert_true(convert_length_known(&c));
	convert_plan_release(&p);
	probe = song(600, 44100, "aac");
	probe->seekable = false;
	probe->duration_ns = probe->streams[0].duration_ns = 0;
	p = planned(probe, "{\"format\":\"mp3\"}");
	assert_int_equal(p.chunk_count, 2);
	c.spec = p.spec;
	assert_false(convert_length_known(&c));
	convert_plan_release(&p);
}

static void only_the_first_kind_is_ready(void **state)
{
	(void)state;
	struct convert_plan p = planned(song(100, 44100, "flac"), "{\"format\":\"mp3\",\"normalize\":true}");
	assert_int_equal(p.chunks[0].kind, CHUNK_MEASURE);
	for (uint32_t i = 0; i < p.chunk_count; i++)
		assert_int_equal(p.chunks[i].waits, i > 0);
	convert_plan_release(&p);
}

static void choices(void **state)
{
	(void)state;
	static const struct {
		const char *params, *codec;
		uint32_t source_rate, rate, channels, bitrate, quality;
		enum convert_sample sample;
	} cases[] = {
		{ "{\"format\":\"mp3\"}", "flac", 44100, 44100, 2, 192000, 0, SAMPLE_CODED },
		{ "{\"format\":\"mp3\",\"channels\":1}", "flac", 96000, 48000, 1, 96000, 0, SAMPLE_CODED },
		{ "{\"format\":\"mp3\",\"quality\":\"high\"}", "flac", 10000, 11025, 2, 0, 0, SAMPLE_CODED },
		{ "{\"format\":\"mp3\",\"vbr\":5}", "flac", 44100, 44100, 2, 0, 5, SAMPLE_CODED },
		{ "{\"format\":\"mp3\"}", "flac", 8000, 8000, 2, 64000, 0, SAMPLE_CODED },
		{ "{\"format\":\"aac\",\"channels\":2}", "flac", 44100, 44100, 2, 160000, 0, SAMPLE_CODED },
		{ "{\"format\":\"m4a\",\"channels\":1,\"quality\":\"high\"}", "flac", 8000, 8000, 1, 48000, 0, SAMPLE_CODED },
		{ "{\"format\":\"opus\",\"quality\":\"low\"}", "flac", 44100, 48000, 6, 192000, 0, SAMPLE_CODED },
		{ "{\"format\":\"ogg\"}", "flac", 44100, 44100, 6, 0, 5, SAMPLE_CODED },
		{ "{\"format\":\"ogg\",\"channels\":2,\"bitrate\":192000}", "flac", 44100, 44100, 2, 0, 6, SAMPLE_CODED },
		{ "{\"format\":\"wav\"}", "pcm_s16le", 44100, 44100, 6, 0, 0, SAMPLE_S16 },
		{ "{\"format\":\"wav\"}", "pcm_s24le", 44100, 44100, 6, 0, 0, SAMPLE_S24 },
		{ "{\"format\":\"flac\"}", "pcm_f32le", 44100, 44100, 6, 0, 0, SAMPLE_S24 },
		{ "{\"format\":\"wav\",\"bits\":32}", "mp3", 44100, 44100, 6, 0, 0, SAMPLE_F32 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct convert_plan p = planned(song(60, cases[i].source_rate, cases[i].codec), cases[i].params);
		assert_int_equal(p.spec.rate, cases[i].rate);
		assert_int_equal(p.spec.channels, cases[i].channels);
		assert_int_equal(p.spec.bitrate_bps, cases[i].bitrate);
		assert_int_equal(p.spec.quality, cases[i].quality);
		assert_int_equal(p.spec.sample, cases[i].sample);
		assert_int_equal(p.spec.origin_ns, 25000000);
		assert_int_equal(p.spec.stream, 1);
		convert_plan_release(&p);
	}
	unplannable(song(60, 44100, "flac"), "{\"format\":\"mp3\",\"sample_rate\":44000}", ERR_INVALID, "sample_rate");
	unplannable(song(60, 22050, "flac"), "{\"format\":\"mp3\",\"bitrate\":192000}", ERR_INVALID, "bitrate");
	unplannable(song(60, 44100, "flac"), "{\"format\":\"aac\",\"channels\":1,\"bitrate\":512000}", ERR_INVALID, "bitrate");
	unplannable(song(60, 44100, "flac"), "{\"format\":\"wav\",\"start\":60}", ERR_INVALID, "start");
	struct probe_result *mute = song(60, 44100, "flac");
	mute->best_audio = -1;
	unplannable(mute, "{\"format\":\"mp3\"}", ERR_MEDIA, "NO_AUDIO");
}

static void trims(void **state)
{
	(void)state;
	struct convert_plan p = planned(song(60, 44100, "flac"), "{\"format\":\"wav\",\"start\":1.5,\"end\":2.25}");
	assert_int_equal(p.spec.start_sample, 66150);
	assert_int_equal(p.spec.end_sample, 99225);
	assert_int_equal(p.spec.sample_count, 33075);
	assert_int_equal(p.duration_ticks, 67500);
	convert_plan_release(&p);
	p = planned(song(60, 44100, "flac"), "{\"format\":\"wav\",\"end\":99}");
	assert_int_equal(p.spec.end_sample, 99 * 44100); /* the source may turn out longer */
	assert_int_equal(p.spec.sample_count, 60 * 44100);
	convert_plan_release(&p);
	p = planned(song(60, 44100, "flac"), "{\"format\":\"wav\"}");
	assert_int_equal(p.spec.end_sample, CONVERT_TO_END);
	convert_plan_release(&p);
}

static void gain(void **state)
{
	(void)state;
	const struct convert_constants c = { .normalize = true, .target_mlufs = -16000, .peak_mdbtp = -1000 };
	struct measure_result m = { .has_loudness = true, .loudness = { .integrated_mlufs = -20000, .true_peak_mdbtp = -9000 } };
	assert_int_equal(convert_gain_mb(&c, &m), 400);
	m.loudness.true_peak_mdbtp = -3505;
	assert_int_equal(convert_gain_mb(&c, &m), 250); /* down: the peak stays below */
	m.loudness = (struct loudness){ .integrated_mlufs = -5003, .true_peak_mdbtp = 0 };
	assert_int_equal(convert_gain_mb(&c, &m), -1100);
	m.has_loudness = false;
	assert_int_equal(convert_gain_mb(&c, &m), 0);
}

static void texts(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct convert_result r = { .samples = 441000, .bytes = 1ull << 40, .part_count = 3 }, again;
	_cleanup_free_ char *step = convert_step_format(&r);
	assert_int_equal(convert_step_parse(step, &again, &e), 0);
	assert_int_equal(again.samples, 441000);
	assert_int_equal(again.bytes, 1ull << 40);
	assert_int_equal(again.part_count, 3);
	assert_int_equal(convert_step_parse("{}", &again, &e), -ERR_INTERNAL);
	struct measure_result m = { .has_loudness = true, .loudness = { .integrated_mlufs = -20000, .true_peak_mdbtp = -500 } };
	_cleanup_free_ char *measured = convert_measure_format(&m, -230);
	int32_t gain_mb;
	assert_int_equal(convert_measure_gain(measured, &gain_mb, &e), 0);
	assert_int_equal(gain_mb, -230);
	const struct convert_constants c = { .spec = { .format = CONVERT_MP3, .rate = 44100, .channels = 2 } };
	const struct join_result j = { .samples = 22050, .bytes = 1234, .bitrate_bps = 192000 };
	_cleanup_free_ char *result = convert_result_format(&c, &j, "ab", measured);
	assert_string_equal(result, "{\"format\":\"mp3\",\"bytes\":1234,\"sha256\":\"ab\",\"duration\":0.5,\"sample_rate\":44100,"
				    "\"channels\":2,\"bitrate\":192000,\"loudness\":{\"source_lufs\":-20.0,"
				    "\"source_true_peak_dbtp\":-0.5,\"gain_db\":-2.3}}");
}

/* A narration's MP3, which somebody waits for: quickly, and in chunks that occupy all cores to the end. */
static void a_narrations_mp3(void **state)
{
	(void)state;
	const struct job narration = { .duration_ticks = 180 * (int64_t)VIDEO_TIMESCALE };
	struct convert_plan p = { 0 };
	struct convert_constants c;
	struct err e;
	assert_int_equal(download_plan(&narration, &p, &e), 0);
	check_chunks(&p, 1152);
	assert_int_equal(p.chunk_count, 8 + 1);
	assert_int_equal(p.chunks[0].segment_count, p.chunks[6].segment_count);
	assert_int_equal(convert_constants_parse(p.spec_json, &c, &e), 0);
	assert_true(c.spec.quick && c.spec.format == CONVERT_MP3 && c.spec.sample_count == 180 * 48000);
	convert_plan_release(&p);
	p = planned(song(180, 48000, "flac"), "{\"format\":\"mp3\"}");
	assert_int_equal(convert_constants_parse(p.spec_json, &c, &e), 0);
	assert_false(c.spec.quick);
	char *said = strstr(p.spec_json, ",\"quick\":false");
	assert_non_null(said);
	memmove(said, said + strlen(",\"quick\":false"), strlen(said + strlen(",\"quick\":false")) + 1);
	assert_int_equal(convert_constants_parse(p.spec_json, &c, &e), 0); /* as an older release wrote it */
	assert_false(c.spec.quick);
	convert_plan_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters), cmocka_unit_test(bad_parameters), cmocka_unit_test(canonical),
		cmocka_unit_test(chunks),     cmocka_unit_test(choices),	cmocka_unit_test(trims),
		cmocka_unit_test(gain),	      cmocka_unit_test(texts),		cmocka_unit_test(only_the_first_kind_is_ready),
		cmocka_unit_test(a_narrations_mp3),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
