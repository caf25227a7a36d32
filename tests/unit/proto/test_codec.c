/* proto codecs: what goes in comes out; every truncation, every flipped bit and every extra byte is either refused or decodes
 * to something that encodes to the same bytes again (run it under ASan and UBSan, too). */
#include <stdlib.h>
#include <string.h>

#include "../base/cm.h"
#include "proto/wire.h"
#include "samples.h"

/* One message type behind one face: decode, and if that works encode again into `again`. */
typedef int (*recode_fn)(const void *data, size_t len, struct buf *again, struct err *e);

#define RECODE(name, type)                                                                     \
	static int recode_##name(const void *data, size_t len, struct buf *again, struct err *e) \
	{                                                                                      \
		type v;                                                                        \
		int r = task_##name##_decode(data, len, &v, e);                                \
		if (r < 0)                                                                     \
			return r;                                                              \
		return task_##name##_encode(&v, again, e);                                     \
	}
RECODE(read, struct task_read)
RECODE(progress, struct task_progress)
RECODE(object, struct task_object)
RECODE(result, struct task_result)

static int recode_failure(const void *data, size_t len, struct buf *again, struct err *e)
{
	struct err v;
	int r = task_failure_decode(data, len, &v, e);
	return r < 0 ? r : task_failure_encode(&v, again, e);
}

static int recode_spec(const void *data, size_t len, struct buf *again, struct err *e)
{
	struct task_spec v;
	int r = task_spec_decode(data, len, &v, e);
	if (r < 0)
		return r;
	r = task_spec_encode(&v, again, e);
	task_spec_release(&v);
	return r;
}

static void same_bytes_or_refused(recode_fn recode, const void *data, size_t len, bool must_work)
{
	/* an own heap copy, so that a read beyond the end is seen by ASan */
	void *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, data, len);
	struct buf again;
	buf_init(&again, MSG_MAX_BYTES);
	struct err e = { 0 };
	int r = recode(copy, len, &again, &e);
	if (r == 0) {
		assert_int_equal(again.len, len);
		assert_memory_equal(again.data, copy, len);
	} else {
		assert_false(must_work);
		assert_int_equal(r, -ERR_PROTOCOL);
		assert_true(strlen(e.message) > 5);
	}
	buf_release(&again);
	free(copy);
}

static void torture(recode_fn recode, const struct buf *good)
{
	same_bytes_or_refused(recode, good->data, good->len, true);
	for (size_t n = 0; n < good->len; n++) {
		struct err e;
		struct buf again;
		buf_init(&again, MSG_MAX_BYTES);
		void *cut = malloc(n ? n : 1);
		assert_non_null(cut);
		memcpy(cut, good->data, n);
		assert_int_equal(recode(cut, n, &again, &e), -ERR_PROTOCOL);
		free(cut);
		buf_release(&again);
	}
	char *bytes = malloc(good->len + 1);
	assert_non_null(bytes);
	memcpy(bytes, good->data, good->len + 1);
	for (size_t bit = 0; bit < good->len * 8; bit++) {
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
		same_bytes_or_refused(recode, bytes, good->len, false);
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
	}
	struct err e;
	struct buf again;
	buf_init(&again, MSG_MAX_BYTES);
	assert_int_equal(recode(bytes, good->len + 1, &again, &e), -ERR_PROTOCOL);
	assert_non_null(strstr(e.message, "trailing"));
	buf_release(&again);
	free(bytes);
}

static void spec_round_trip(void **state)
{
	(void)state;
	struct task_spec s, got;
	struct err e;
	struct buf b;
	sample_spec(&s);
	buf_init(&b, MSG_MAX_BYTES);
	assert_int_equal(task_spec_encode(&s, &b, &e), 0);
	assert_int_equal(task_spec_decode(b.data, b.len, &got, &e), 0);
	assert_string_equal(got.inputs[1].name, "música");
	assert_true(got.inputs[0].size_bytes == 123456789012ull);
	assert_int_equal(got.ladder.origin_ns, -21000000);
	assert_int_equal(got.ladder.video_ticks[2], 720000);
	assert_int_equal(got.ladder.audio_frames[1], 188);
	assert_int_equal(got.ladder.runs[1], 4);
	assert_int_equal(got.ladder.audios[1].stream, 4);
	assert_int_equal(got.ladder.audios[1].bitrate_bps, 72000);
	assert_int_equal(got.ladder.subtitle_streams[1], 2);
	assert_string_equal(got.ladder.rungs[1].profile, "main");
	assert_true(got.ladder.sequential && got.ladder.last);
	task_spec_release(&got);
	assert_null(got.ladder.video_ticks);
	torture(recode_spec, &b);

	s.kind = TASK_PROBE;
	buf_clear(&b);
	assert_int_equal(task_spec_encode(&s, &b, &e), 0);
	torture(recode_spec, &b);
	buf_release(&b);
}

static void refuse(struct task_spec *s, const char *why)
{
	struct err e;
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	assert_int_equal(task_spec_encode(s, &b, &e), -ERR_PROTOCOL);
	assert_non_null(strstr(e.message, why));
	buf_release(&b);
	sample_spec(s);
}

static void senseless_plans_are_refused(void **state)
{
	(void)state;
	struct task_spec s;
	sample_spec(&s);
	int64_t falling[] = { 0, 5, 4 }, negative[] = { -1, 5, 6 };
	uint32_t outside[] = { 3, 5 }, level[] = { 3, 3 };
	s.ladder.video_ticks = falling;
	refuse(&s, "falling");
	s.ladder.audio_frames = negative;
	refuse(&s, "before the origin");
	s.ladder.runs = outside;
	refuse(&s, "outside");
	s.ladder.runs = level;
	refuse(&s, "rise");
	s.ladder.ease_off = 20;
	refuse(&s, "step behind");
	s.ladder.run_count = 0;
	refuse(&s, "runs");
	s.ladder.rungs[1].width = 641;
	refuse(&s, "odd");
	s.ladder.rungs[0].maxrate_bps = 0;
	refuse(&s, "rate");
	s.ladder.rungs[1].codec = VIDEO_HEVC;
	refuse(&s, "HEVC in TS");
	s.ladder.rungs[1].frame_ticks = VIDEO_TIMESCALE + 1;
	refuse(&s, "a second apart");
	s.ladder.rung_count = 0;
	refuse(&s, "rungs");
	s.ladder.rung_count = TASK_RUNGS_MAX + 1;
	refuse(&s, "rungs");
	s.ladder.video_threads = 0;
	refuse(&s, "threads");
	s.ladder.video_stream = -1;
	s.ladder.audio_count = 0;
	refuse(&s, "no streams");
	s.ladder.audios[1].stream = s.ladder.audios[0].stream;
	refuse(&s, "twice");
	s.ladder.subtitle_streams[1] = TASK_STREAMS_MAX;
	refuse(&s, "stream numbers");
	s.ladder.subtitle_count = TASK_SUBTITLES_MAX + 1;
	refuse(&s, "too many");
	s.ladder.video_stream = -1;
	refuse(&s, "don't fit");
	s.ladder.rotation_degrees = 45;
	refuse(&s, "rotation");
	s.ladder.resume_segment = 6;
	refuse(&s, "resume");
	s.ladder.segment_count = 0;
	refuse(&s, "segment numbers");
	s.ladder.first_segment = TASK_SEGMENTS_MAX;
	refuse(&s, "segment numbers");
	s.ladder.audios[1].channels = 9;
	refuse(&s, "audio");
	s.input_count = 0;
	refuse(&s, "input");
	s.inputs[0].name[0] = '\0';
	refuse(&s, "name");
	s.inputs[0].name[0] = '\n';
	refuse(&s, "UTF-8");
	memset(s.inputs[0].name, 'a', sizeof(s.inputs[0].name));
	refuse(&s, "too long");
	s.kind = (enum task_kind)(TASK_CHECK + 1);
	refuse(&s, "kind");
}

static void the_largest_plan_fits(void **state)
{
	(void)state;
	struct task_spec s;
	struct err e;
	struct buf b;
	sample_spec(&s);
	int64_t *bounds = mr_calloc(TASK_SEGMENTS_MAX + 1, sizeof(*bounds));
	uint32_t *runs = mr_calloc(TASK_SEGMENTS_MAX, sizeof(*runs));
	for (uint32_t i = 0; i <= TASK_SEGMENTS_MAX; i++)
		bounds[i] = (int64_t)i * 360000;
	for (uint32_t i = 0; i < TASK_SEGMENTS_MAX; i++)
		runs[i] = i;
	s.ladder.first_segment = 0;
	s.ladder.segment_count = s.ladder.run_count = TASK_SEGMENTS_MAX;
	s.ladder.video_ticks = s.ladder.audio_frames = bounds;
	s.ladder.runs = runs;
	buf_init(&b, MSG_MAX_BYTES);
	assert_int_equal(task_spec_encode(&s, &b, &e), 0);
	same_bytes_or_refused(recode_spec, b.data, b.len, true);
	buf_release(&b);
	free(bounds);
	free(runs);
}

static void what_a_child_sends(void **state)
{
	(void)state;
	struct err e;
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);

	struct task_read read = { .input = 3, .offset = 1ull << 40, .length = TASK_READ_MAX_BYTES };
	assert_int_equal(task_read_encode(&read, &b, &e), 0);
	torture(recode_read, &b);
	read.length++;
	assert_int_equal(task_read_encode(&read, &b, &e), -ERR_PROTOCOL);

	struct task_progress progress = { .done_ticks = 12345, .bytes_read = 1ull << 33 };
	buf_clear(&b);
	assert_int_equal(task_progress_encode(&progress, &b, &e), 0);
	torture(recode_progress, &b);

	struct task_object object;
	sample_object(&object);
	buf_clear(&b);
	assert_int_equal(task_object_encode(&object, &b, &e), 0);
	torture(recode_object, &b);
	object.size_bytes = TASK_OBJECT_MAX_BYTES + 1;
	assert_int_equal(task_object_encode(&object, &b, &e), -ERR_PROTOCOL);
	object = (struct task_object){ .kind = TASK_OBJECT_INIT, .codecs = "avc1.64001f" };
	buf_clear(&b);
	assert_int_equal(task_object_encode(&object, &b, &e), 0);
	torture(recode_object, &b);
	object = (struct task_object){ .kind = TASK_OBJECT_FINDING, .size_bytes = CHECK_FINDING_MAX_BYTES };
	buf_clear(&b);
	assert_int_equal(task_object_encode(&object, &b, &e), 0);
	torture(recode_object, &b);
	object.size_bytes++;
	assert_int_equal(task_object_encode(&object, &b, &e), -ERR_PROTOCOL);

	struct task_result result = { .kind = TASK_LADDER, .ladder = { .next_segment = 9, .end_of_media = true,
								       .end_video_ticks = 2700000, .end_audio_frames = 1406,
								       .decode_errors = 1, .frames_in = 720, .frames_out = 1440 } };
	buf_clear(&b);
	assert_int_equal(task_result_encode(&result, &b, &e), 0);
	torture(recode_result, &b);
	sample_probe(&result);
	buf_clear(&b);
	assert_int_equal(task_result_encode(&result, &b, &e), 0);
	struct task_result got;
	assert_int_equal(task_result_decode(b.data, b.len, &got, &e), 0);
	assert_memory_equal(&got.probe.streams[1], &result.probe.streams[1], sizeof(got.probe.streams[1]));
	assert_string_equal(got.probe.title, "Ein Fílm");
	torture(recode_result, &b);
	result.probe.best_video = 1; /* which is audio */
	assert_int_equal(task_result_encode(&result, &b, &e), -ERR_PROTOCOL);
	buf_release(&b);
}

static void senseless_iframes_are_refused(void **state)
{
	(void)state;
	static const struct {
		uint32_t count;
		struct task_iframe list[2];
		int expected;
	} cases[] = {
		{ 0, { { 0 } }, 0 },
		{ 1, { { 0, 0, 1000 } }, 0 },
		{ 2, { { 0, 0, 500 }, { 359999, 500, 500 } }, 0 },
		{ 1, { { 1, 0, 10 } }, -ERR_PROTOCOL },			       /* the first is the segment's start */
		{ 1, { { 0, 0, 0 } }, -ERR_PROTOCOL },			       /* nothing */
		{ 1, { { 0, 1, 1000 } }, -ERR_PROTOCOL },		       /* beyond the object */
		{ 1, { { 0, 1000, 1 } }, -ERR_PROTOCOL },
		{ 1, { { 0, UINT64_MAX, 2 } }, -ERR_PROTOCOL },		       /* no wrapping */
		{ 2, { { 0, 0, 501 }, { 180000, 500, 500 } }, -ERR_PROTOCOL }, /* one in the other */
		{ 2, { { 0, 500, 500 }, { 180000, 0, 500 } }, -ERR_PROTOCOL }, /* backwards */
		{ 2, { { 0, 0, 500 }, { 0, 500, 500 } }, -ERR_PROTOCOL },
		{ 2, { { 0, 0, 500 }, { 360000, 500, 500 } }, -ERR_PROTOCOL }, /* behind the segment's end */
		{ TASK_IFRAMES_MAX + 1, { { 0, 0, 1 } }, -ERR_PROTOCOL },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct err e;
		struct buf b;
		struct task_object o;
		sample_object(&o);
		o.iframe_count = cases[i].count;
		memcpy(o.iframes, cases[i].list, sizeof(cases[i].list));
		buf_init(&b, MSG_MAX_BYTES);
		if (task_object_encode(&o, &b, &e) != cases[i].expected)
			fail_msg("case %zu", i);
		buf_release(&b);
	}
}

static void an_analysis(void **state)
{
	(void)state;
	struct err e;
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	struct task_spec *s = calloc(1, sizeof(*s));
	*s = (struct task_spec){ .kind = TASK_ANALYZE, .input_count = 1, .inputs = { { "source", 1000 } },
				 .analyze = { .video_stream = 1, .audio_stream = -1, .cover_stream = 31, .rotation_degrees = 270,
					      .seekable = true, .origin_ns = -7, .duration_ns = 3600000000000 } };
	assert_int_equal(task_spec_encode(s, &b, &e), 0);
	torture(recode_spec, &b);
	s->analyze.rotation_degrees = 45;
	assert_int_equal(task_spec_encode(s, &b, &e), -ERR_PROTOCOL);
	s->analyze = (struct analyze_spec){ .video_stream = TASK_STREAMS_MAX };
	assert_int_equal(task_spec_encode(s, &b, &e), -ERR_PROTOCOL);
	free(s);

	struct task_object object = { .kind = TASK_OBJECT_BYPRODUCT, .byproduct = BYPRODUCT_SPRITE,
				      .index = ANALYZE_SPRITES_MAX - 1, .size_bytes = 10 };
	buf_clear(&b);
	assert_int_equal(task_object_encode(&object, &b, &e), 0);
	torture(recode_object, &b);
	object.index++;
	assert_int_equal(task_object_encode(&object, &b, &e), -ERR_PROTOCOL);
	object = (struct task_object){ .kind = TASK_OBJECT_BYPRODUCT, .byproduct = BYPRODUCT_POSTER, .index = 1, .size_bytes = 1 };
	assert_int_equal(task_object_encode(&object, &b, &e), -ERR_PROTOCOL);
	object = (struct task_object){ .kind = TASK_OBJECT_BYPRODUCT, .byproduct = 9, .size_bytes = 1 };
	assert_int_equal(task_object_encode(&object, &b, &e), -ERR_PROTOCOL);

	struct task_result *r = calloc(1, sizeof(*r));
	*r = (struct task_result){ .kind = TASK_ANALYZE,
				   .analyze = { .poster_width = 1280, .poster_height = 720, .poster_ticks = 90000, 
						.tile_width = 160, .tile_height = 90, .columns = 5, .rows = 5, .tile_count = 3,
						.tile_ticks = { 0, 90000, 270000 }, .point_count = 4500, .has_loudness = true,
						.loudness = { -23000, 5000, LOUDNESS_UNKNOWN, -1000 },
						.sound = { .code = "UNDECODABLE", .message = "stream 1: no sound" } } };
	buf_clear(&b);
	assert_int_equal(task_result_encode(r, &b, &e), 0);
	torture(recode_result, &b);
	struct analyze_result *a = &r->analyze;
	const struct analyze_result good = *a;
	a->tile_ticks[2] = a->tile_ticks[1];
	assert_int_equal(task_result_encode(r, &b, &e), -ERR_PROTOCOL);
	*a = good;
	a->columns = 0; /* a front divides by it */
	assert_int_equal(task_result_encode(r, &b, &e), -ERR_PROTOCOL);
	*a = good;
	a->tile_count = ANALYZE_TILES_MAX + 1;
	assert_int_equal(task_result_encode(r, &b, &e), -ERR_PROTOCOL);
	*a = good;
	a->point_count = ANALYZE_POINTS_MAX + 1;
	assert_int_equal(task_result_encode(r, &b, &e), -ERR_PROTOCOL);
	*a = good;
	a->poster_height = 0;
	assert_int_equal(task_result_encode(r, &b, &e), -ERR_PROTOCOL);
	*a = good;
	memcpy(a->sound.code, "lower", sizeof("lower"));
	assert_int_equal(task_result_encode(r, &b, &e), -ERR_PROTOCOL);
	free(r);
	buf_release(&b);
}

static void a_conversion(void **state)
{
	(void)state;
	struct err e;
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	struct task_spec *s = calloc(1, sizeof(*s));
	sample_conversion(s);
	assert_int_equal(task_spec_encode(s, &b, &e), 0);
	torture(recode_spec, &b);
	s->kind = TASK_JOIN;
	s->convert.first_sample = 0;
	s->convert.last = true;
	s->input_count = CONVERT_JOIN_INPUTS;
	for (int i = 1; i < CONVERT_JOIN_INPUTS; i++)
		s->inputs[i] = (struct task_input){ "index", 12 };
	buf_clear(&b);
	assert_int_equal(task_spec_encode(s, &b, &e), 0);
	torture(recode_spec, &b);
	free(s);
	for (int kind = TASK_CONVERT; kind <= TASK_JOIN; kind++) {
		struct task_result r = { .kind = (enum task_kind)kind };
		if (kind == TASK_CONVERT)
			r.convert = (struct convert_result){ 4096, 9999, 2, 1, true };
		else if (kind == TASK_MEASURE)
			r.measure = (struct measure_result){ 4096, true, { -23000, 5000, LOUDNESS_UNKNOWN, -1000 } };
		else
			r.join = (struct join_result){ 4096, 500, 128, 9999, 128000 };
		buf_clear(&b);
		assert_int_equal(task_result_encode(&r, &b, &e), 0);
		torture(recode_result, &b);
	}
	for (int kind = TASK_OBJECT_PART; kind <= TASK_OBJECT_TAIL; kind++) {
		struct task_object o = { .kind = (enum task_object_kind)kind, .size_bytes = 77,
					 .index = kind == TASK_OBJECT_PART ? 3 : 0 };
		buf_clear(&b);
		assert_int_equal(task_object_encode(&o, &b, &e), 0);
		torture(recode_object, &b);
		o.index = CONVERT_PARTS_MAX;
		assert_int_equal(task_object_encode(&o, &b, &e), -ERR_PROTOCOL);
		o = (struct task_object){ .kind = (enum task_object_kind)kind };
		assert_int_equal(task_object_encode(&o, &b, &e), -ERR_PROTOCOL);
	}
	buf_release(&b);
}

static void refuse_conversion(struct task_spec *s, const char *why)
{
	struct err e;
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	assert_int_equal(task_spec_encode(s, &b, &e), -ERR_PROTOCOL);
	assert_non_null(strstr(e.message, why));
	buf_release(&b);
	sample_conversion(s);
}

static void senseless_conversions_are_refused(void **state)
{
	(void)state;
	struct task_spec s;
	sample_conversion(&s);
	struct convert_spec *c = &s.convert;
	c->format = (enum convert_format)8;
	refuse_conversion(&s, "format");
	c->stream = TASK_STREAMS_MAX;
	refuse_conversion(&s, "stream");
	c->channels = 3;
	refuse_conversion(&s, "channels");
	*c = (struct convert_spec){ .format = CONVERT_OPUS, .channels = 5 };
	refuse_conversion(&s, "channels");
	c->rate = 96000;
	refuse_conversion(&s, "sample rate");
	c->quality = 2;
	refuse_conversion(&s, "quality");
	c->sample = SAMPLE_S16;
	refuse_conversion(&s, "samples");
	c->gain_mb = CONVERT_GAIN_MAX_MB + 1;
	refuse_conversion(&s, "gain");
	c->start_sample = -1;
	refuse_conversion(&s, "start");
	c->end_sample = c->start_sample;
	refuse_conversion(&s, "start");
	c->first_sample++;
	refuse_conversion(&s, "grid");
	c->sample_count--;
	refuse_conversion(&s, "grid");
	c->sample_count = 0;
	refuse_conversion(&s, "samples");
	s.input_count = 2;
	s.inputs[1] = s.inputs[0];
	refuse_conversion(&s, "inputs");
	s.kind = TASK_MEASURE;
	refuse_conversion(&s, "one piece");
	*c = (struct convert_spec){ .format = CONVERT_OPUS, .rate = 48000, .channels = 8, .bitrate_bps = 96000,
				    .end_sample = CONVERT_TO_END, .sample_count = 960 };
	refuse_conversion(&s, "one piece");
	*c = (struct convert_spec){ .format = CONVERT_FLAC, .rate = 48000, .channels = 8, .sample = SAMPLE_F32,
				    .end_sample = CONVERT_TO_END, .sample_count = 4096 };
	refuse_conversion(&s, "samples");
	*c = (struct convert_spec){ .format = CONVERT_FLAC, .rate = 48000, .channels = 8, .sample = SAMPLE_S16, .quick = true,
				    .end_sample = CONVERT_TO_END, .sample_count = 4096 };
	refuse_conversion(&s, "quality");
}

static void a_spoken_sentence(void **state)
{
	(void)state;
	struct err e;
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	struct task_spec *s = calloc(1, sizeof(*s));
	sample_speech(s);
	assert_int_equal(task_spec_encode(s, &b, &e), 0);
	torture(recode_spec, &b);
	s->speak.voice = SPEAK_VOICE_COUNT;
	assert_int_equal(task_spec_encode(s, &b, &e), -ERR_PROTOCOL);
	sample_speech(s);
	s->inputs[0].size_bytes = SPEAK_TEXT_MAX_BYTES + 1;
	assert_int_equal(task_spec_encode(s, &b, &e), -ERR_PROTOCOL);
	free(s);
	struct task_result r = { .kind = TASK_SPEAK, .speak = { .rate = 16000, .samples = 59040 } };
	buf_clear(&b);
	assert_int_equal(task_result_encode(&r, &b, &e), 0);
	torture(recode_result, &b);
	r.speak.samples = 0;
	assert_int_equal(task_result_encode(&r, &b, &e), -ERR_PROTOCOL);
	struct task_object o = { .kind = TASK_OBJECT_SPEECH, .size_bytes = 44 };
	buf_clear(&b);
	assert_int_equal(task_object_encode(&o, &b, &e), 0);
	torture(recode_object, &b);
	o.size_bytes = SPEAK_SOUND_MAX_BYTES + 1;
	assert_int_equal(task_object_encode(&o, &b, &e), -ERR_PROTOCOL);
	buf_release(&b);
}

static void a_voice_alone(void **state)
{
	(void)state;
	struct err e;
	struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	struct task_result r = { .kind = TASK_VOICE, .voice = { .samples = 8640000, .bytes = 1440000 } };
	assert_int_equal(task_result_encode(&r, &b, &e), 0);
	torture(recode_result, &b);
	r.voice.bytes = 0;
	assert_int_equal(task_result_encode(&r, &b, &e), -ERR_PROTOCOL);
	r.voice = (struct voice_result){ .samples = INT64_MAX, .bytes = 1 };
	assert_int_equal(task_result_encode(&r, &b, &e), -ERR_PROTOCOL);
	buf_release(&b);
}

static void errors_travel_clean(void **state)
{
	(void)state;
	struct err e, got, failure;
	struct buf b;
	buf_init(&b, 4096);
	(void)err_set_code(&failure, ERR_MEDIA, "UNDECODABLE", "bad\nthing \xff\xc2\x85 \xc3\xa9 cut \xc3");
	failure.retriable = true;
	assert_int_equal(task_failure_encode(&failure, &b, &e), 0);
	assert_int_equal(task_failure_decode(b.data, b.len, &got, &e), 0);
	assert_string_equal(got.message, "bad?thing ??? \xc3\xa9 cut ?");
	assert_string_equal(got.code, "UNDECODABLE");
	assert_int_equal(got.kind, ERR_MEDIA);
	assert_true(got.retriable);
	torture(recode_failure, &b);
	(void)err_set_code(&failure, ERR_MEDIA, "not upper", "x");
	assert_int_equal(task_failure_encode(&failure, &b, &e), -ERR_PROTOCOL);
	buf_release(&b);
}

static void a_full_buffer_is_an_error(void **state)
{
	(void)state;
	struct task_spec s;
	struct err e;
	struct buf b;
	sample_spec(&s);
	buf_init(&b, 100);
	assert_int_equal(task_spec_encode(&s, &b, &e), -ERR_TOO_LARGE);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec_round_trip),	     cmocka_unit_test(senseless_plans_are_refused),
		cmocka_unit_test(the_largest_plan_fits),     cmocka_unit_test(an_analysis), cmocka_unit_test(a_conversion),
		cmocka_unit_test(senseless_conversions_are_refused), cmocka_unit_test(what_a_child_sends),
		cmocka_unit_test(a_spoken_sentence), cmocka_unit_test(a_voice_alone),
		cmocka_unit_test(senseless_iframes_are_refused),
		cmocka_unit_test(errors_travel_clean),	     cmocka_unit_test(a_full_buffer_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
