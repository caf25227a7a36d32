/* millrace-task itself, in its real sandbox: the probe on one file of each kind, and a chunk of a ladder with several encoder
 * threads. Arguments: the executable, and a directory that make_media.sh has filled. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/cm.h"
#include "base/buf.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/sandbox_build.h"
#include "worker/task_client.h"

static const char *media_dir;
static struct zygote *zygote;

struct source {
	int fd;
	uint64_t size, fail_from; /* reads at or beyond it fail; 0: none do */
	int objects, inits;
	uint64_t object_bytes, announced;
	int64_t progress;
	enum task_object_kind kind; /* of the object at hand */
	struct buf index, parts, head; /* kept where they have been initialized */
};

static int source_open_file(struct source *s, const char *name)
{
	char path[512];
	struct stat st;
	*s = (struct source){ .fd = -1 };
	(void)snprintf(path, sizeof(path), "%s/%s", media_dir, name);
	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		return -1;
	s->size = (uint64_t)st.st_size;
	return 0;
}

static int on_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	struct source *s = ctx;
	if (input != CONVERT_INPUT_SOURCE) {
		const struct buf *b = input == CONVERT_INPUT_INDEX ? &s->index : &s->parts;
		assert_true(offset < b->len);
		*ret_len = b->len - offset < len ? (uint32_t)(b->len - offset) : len;
		memcpy(buf, b->data + offset, *ret_len);
		return 0;
	}
	if (s->fail_from && offset + len > s->fail_from)
		return err_set_code(e, ERR_UNAVAILABLE, "STORE_AWAY", "the store is away");
	ssize_t n = pread(s->fd, buf, len, (off_t)offset);
	assert_true(n >= 0);
	*ret_len = (uint32_t)n;
	return 0;
}

static int on_begin(void *ctx, const struct task_object *head, struct err *e)
{
	struct source *s = ctx;
	(void)e;
	s->announced += head->size_bytes;
	s->kind = head->kind;
	if (head->kind == TASK_OBJECT_INIT)
		s->inits++;
	else
		s->objects++;
	return 0;
}

static int on_data(void *ctx, const void *data, size_t len, struct err *e)
{
	struct source *s = ctx;
	struct buf *kept = s->kind == TASK_OBJECT_INDEX ? &s->index
			   : s->kind == TASK_OBJECT_PART ? &s->parts
			   : s->kind == TASK_OBJECT_HEAD ? &s->head
							 : NULL;
	(void)e;
	s->object_bytes += len;
	if (kept && kept->max)
		assert_true(buf_append(kept, data, len));
	return 0;
}

static int on_end(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

static int on_progress(void *ctx, const struct task_progress *p, struct err *e)
{
	(void)e;
	((struct source *)ctx)->progress = p->done_ticks;
	return 0;
}

static const struct task_limits limits = { .memory_bytes = 1u << 30, .wall_ms = 120000, .silence_ms = 60000 };

static int run(struct source *s, struct task_spec *spec, struct task_result *ret, struct err *e)
{
	const struct task_handlers h = { .ctx = s, .read = on_read, .object_begin = on_begin, .object_data = on_data,
					 .object_end = on_end, .progress = on_progress };
	spec->input_count = spec->kind == TASK_JOIN ? CONVERT_JOIN_INPUTS : 1;
	(void)snprintf(spec->inputs[0].name, sizeof(spec->inputs[0].name), "source");
	spec->inputs[0].size_bytes = s->size;
	*e = (struct err){ 0 };
	return task_run(zygote, spec, &h, &limits, ret, NULL, e);
}

static int probe(struct source *s, struct probe_result *ret, struct err *e)
{
	struct task_spec spec = { .kind = TASK_PROBE };
	struct task_result *r = mr_calloc(1, sizeof(*r));
	int res = run(s, &spec, r, e);
	probe_result_release(ret); /* of the run before */
	*ret = r->probe;
	free(r);
	return res;
}

struct expectation {
	const char *file;
	const char *code; /* of the refusal, or NULL */
	double seconds, tolerance;
	bool video, audio, seekable, scanned;
};

static const struct expectation files[] = {
	{ "film.mp4", NULL, 4.0, 0.001, true, true, true, false },
	{ "faststart.mp4", NULL, 4.0, 0.001, true, true, true, false },
	{ "fragmented.mp4", NULL, 4.0, 0.05, true, true, true, true },
	{ "truncated.mp4", NULL, 2.0, 0.1, true, true, true, true },
	{ "film.mkv", NULL, 4.0, 0.05, true, true, true, true },
	{ "film.ts", NULL, 4.0, 0.05, true, true, true, true },
	{ "film.flv", NULL, 4.0, 0.05, true, true, false, true },
	{ "silent.mp4", NULL, 4.0, 0.001, true, false, true, false },
	{ "no-xing.mp3", NULL, 4.049, 0.001, false, true, true, true },
	{ "cover.mp3", NULL, 4.0, 0.001, false, true, true, true },
	{ "tone.wav", NULL, 4.0, 0.001, false, true, true, true },
	{ "tone.ogg", NULL, 4.0, 0.001, false, true, true, true },
	{ "tone.flac", NULL, 4.0, 0.001, false, true, true, true },
	{ "tone.aac", NULL, 4.04, 0.03, false, true, true, true },
	{ "tone.webm", NULL, 4.0, 0.001, false, true, true, true },
	{ "vorbis.mkv", NULL, 4.0, 0.01, false, true, false, true },
	{ "encrypted.mp4", "ENCRYPTED_MEDIA", 0, 0, false, false, false, false },
	{ "words.mkv", "NO_MEDIA_STREAMS", 0, 0, false, false, false, false },
	{ "header-only.wav", "DAMAGED_MEDIA", 0, 0, false, false, false, false },
	{ "empty.mp4", "EMPTY_MEDIA", 0, 0, false, false, false, false },
	{ "playlist.m3u8", "UNSUPPORTED_FORMAT", 0, 0, false, false, false, false },
	{ "concat.txt", "UNSUPPORTED_FORMAT", 0, 0, false, false, false, false },
	{ "words.srt", "UNSUPPORTED_FORMAT", 0, 0, false, false, false, false },
	{ "cover.png", "UNSUPPORTED_FORMAT", 0, 0, false, false, false, false },
	{ "zeroes.mp4", "UNSUPPORTED_FORMAT", 0, 0, false, false, false, false },
};

static void check_probe(const struct expectation *x, const struct probe_result *p)
{
	const double seconds = (double)p->duration_ns / 1e9;
	if (seconds < x->seconds - x->tolerance || seconds > x->seconds + x->tolerance)
		fail_msg("%s: %.6f s instead of %.3f", x->file, seconds, x->seconds);
	if ((p->best_video >= 0) != x->video || (p->best_audio >= 0) != x->audio || p->seekable != x->seekable ||
	    p->scanned != x->scanned)
		fail_msg("%s: video %d audio %d seekable %d scanned %d", x->file, p->best_video, p->best_audio, p->seekable,
			 p->scanned);
	if (p->best_video >= 0) {
		const struct probe_stream *v = &p->streams[p->best_video];
		assert_int_equal(v->width, 320);
		assert_int_equal(v->height, 240);
		assert_int_equal(v->fps_num, 25);
		assert_int_equal(v->fps_den, 1);
		assert_string_equal(v->codec, "h264");
	}
	if (p->best_audio >= 0) {
		const struct probe_stream *a = &p->streams[p->best_audio];
		assert_int_equal(a->channels, 1);
		assert_true(a->sample_rate == 44100 || a->sample_rate == 48000);
	}
}

static void every_kind_of_file(void **state)
{
	(void)state;
	struct probe_result *p = mr_calloc(1, sizeof(*p));
	for (size_t i = 0; i < MR_ARRAY_SIZE(files); i++) {
		struct source s;
		struct err e;
		if (source_open_file(&s, files[i].file) < 0)
			fail_msg("%s is not there", files[i].file);
		int r = probe(&s, p, &e);
		fd_close(&s.fd);
		if (files[i].code && (r == 0 || strcmp(err_code(&e), files[i].code) != 0 || e.retriable))
			fail_msg("%s: %d %s instead of %s", files[i].file, r, r ? err_code(&e) : "", files[i].code);
		if (!files[i].code && r < 0)
			fail_msg("%s: %s: %s", files[i].file, err_code(&e), e.message);
		if (!files[i].code)
			check_probe(&files[i], p);
	}
	probe_result_release(p);
	free(p);
}

static void cover_art_is_no_film(void **state)
{
	(void)state;
	struct probe_result *p = mr_calloc(1, sizeof(*p));
	struct source s;
	struct err e;
	assert_int_equal(source_open_file(&s, "cover.mp3"), 0);
	assert_int_equal(probe(&s, p, &e), 0);
	assert_int_equal(p->stream_count, 2);
	assert_true(p->streams[1].attached_picture);
	assert_int_equal(p->best_video, -1);
	fd_close(&s.fd);
	probe_result_release(p);
	free(p);
}

/* A store that goes away is never taken for a damaged file, wherever it happens. */
static void a_failing_store_stays_a_failing_store(void **state)
{
	(void)state;
	static const char *const names[] = { "film.mkv", "film.ts", "film.mp4", "no-xing.mp3", "fragmented.mp4" };
	struct probe_result *p = mr_calloc(1, sizeof(*p));
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++) {
		struct source s;
		struct err e;
		assert_int_equal(source_open_file(&s, names[i]), 0);
		for (uint64_t from = 1; from < s.size; from += s.size / 5) {
			s.fail_from = from;
			assert_int_equal(probe(&s, p, &e), -ERR_UNAVAILABLE);
			assert_string_equal(e.code, "STORE_AWAY");
		}
		fd_close(&s.fd);
	}
	probe_result_release(p);
	free(p);
}

/* Every file cut short at many places: an answer or a clear refusal, never a crash, a kill or a stall. */
static void cut_files_never_crash(void **state)
{
	(void)state;
	struct probe_result *p = mr_calloc(1, sizeof(*p));
	for (size_t i = 0; i < MR_ARRAY_SIZE(files); i++) {
		struct source s;
		struct err e;
		assert_int_equal(source_open_file(&s, files[i].file), 0);
		const uint64_t whole = s.size;
		for (uint64_t n = 1; n < 8 && whole; n++) {
			s.size = whole * n / 8;
			if (probe(&s, p, &e) < 0 && (strncmp(e.code, "TASK_", 5) == 0 || strcmp(e.code, "SANDBOX_VIOLATION") == 0))
				fail_msg("%s cut to %llu bytes: %s", files[i].file, (unsigned long long)s.size, e.message);
		}
		fd_close(&s.fd);
	}
	probe_result_release(p);
	free(p);
}

static void a_ladder_in_the_sandbox(void **state)
{
	(void)state;
	int64_t ticks[] = { 0, 180000, 360000 }, frames[] = { 0, 86, 172 };
	uint32_t runs[] = { 0 };
	struct task_spec spec = {
		.kind = TASK_LADDER,
		.ladder = { .video_stream = 0, .video_threads = 4, .frame_ticks = 3600, .gop_ticks = 180000,
			    .segment_ticks = 180000, .reorder_frames = 2, .rung_count = 2, .last = true,
			    .rungs = { { 320, 240, 230, 800000, 1600000, "high", 30 },
				       { 160, 120, 230, 300000, 600000, "main", 30 } },
			    .audio_rate = 44100, .audio_count = 1, .audios = { { 1, 2, 128000 } }, .segment_count = 2,
			    .video_ticks = ticks, .audio_frames = frames, .runs = runs, .run_count = 1 },
	};
	struct task_result *r = mr_calloc(1, sizeof(*r));
	for (int container = CONTAINER_FMP4; container <= CONTAINER_TS; container++) {
		struct source s;
		struct err e;
		spec.ladder.container = (enum segment_container)container;
		assert_int_equal(source_open_file(&s, "film.mp4"), 0);
		if (run(&s, &spec, r, &e) < 0)
			fail_msg("%s: %s", err_code(&e), e.message);
		assert_int_equal(s.inits, 3);
		assert_int_equal(s.objects, 6);
		assert_true(s.object_bytes > 10000 && s.object_bytes == s.announced);
		assert_true(s.progress > 0);
		assert_int_equal(r->ladder.next_segment, 2);
		fd_close(&s.fd);
	}
	free(r);
}

/* Every encoder that a conversion has, and the measurement before it. */
static void conversions_in_the_sandbox(void **state)
{
	(void)state;
	struct task_result *r = mr_calloc(1, sizeof(*r));
	for (int format = CONVERT_MP3; format <= CONVERT_FLAC + 1; format++) {
		struct source s;
		struct err e;
		struct task_spec spec = {
			.kind = format <= CONVERT_FLAC ? TASK_CONVERT : TASK_MEASURE,
			.convert = { .format = format <= CONVERT_FLAC ? (enum convert_format)format : CONVERT_WAV, .rate = 48000,
				     .channels = 2, .end_sample = CONVERT_TO_END, .sample_count = 192000, .last = true },
		};
		struct convert_spec *c = &spec.convert;
		if (c->format == CONVERT_WAV || c->format == CONVERT_FLAC)
			c->sample = SAMPLE_S16;
		else if (c->format != CONVERT_OGG)
			c->bitrate_bps = 96000;
		assert_int_equal(source_open_file(&s, "tone.wav"), 0);
		if (run(&s, &spec, r, &e) < 0)
			fail_msg("format %d: %s: %s", format, err_code(&e), e.message);
		if (spec.kind == TASK_CONVERT) {
			assert_int_equal(r->convert.samples, 192000);
			assert_int_equal(s.objects, (int)r->convert.part_count + 1); /* and the index */
			assert_true(r->convert.bytes > 10000 && s.announced == s.object_bytes);
		} else {
			assert_int_equal(r->measure.samples, 192000);
			assert_true(r->measure.has_loudness);
		}
		fd_close(&s.fd);
	}
	free(r);
}

/* What makes the head of each format, in its own sandbox: muxers, the decoder for FLAC's digest, tags. */
static void joins_in_the_sandbox(void **state)
{
	(void)state;
	struct task_result *r = mr_calloc(1, sizeof(*r));
	for (int format = CONVERT_MP3; format <= CONVERT_FLAC; format++) {
		struct source s;
		struct err e;
		struct task_spec spec = {
			.kind = TASK_CONVERT,
			.convert = { .format = (enum convert_format)format, .rate = 48000, .channels = 2, .tags = true,
				     .end_sample = CONVERT_TO_END, .sample_count = 192000, .last = true },
		};
		const bool plain = format == CONVERT_WAV || format == CONVERT_FLAC;
		spec.convert.sample = plain ? SAMPLE_S16 : SAMPLE_CODED;
		spec.convert.bitrate_bps = plain || format == CONVERT_OGG ? 0 : 96000;
		assert_int_equal(source_open_file(&s, "tone.wav"), 0);
		struct buf *kept[] = { &s.index, &s.parts, &s.head };
		for (size_t i = 0; i < MR_ARRAY_SIZE(kept); i++)
			buf_init(kept[i], 16 << 20);
		assert_int_equal(run(&s, &spec, r, &e), 0);
		spec.kind = TASK_JOIN;
		spec.inputs[CONVERT_INPUT_INDEX] = (struct task_input){ "index", s.index.len };
		spec.inputs[CONVERT_INPUT_PARTS] = (struct task_input){ "parts", s.parts.len };
		if (run(&s, &spec, r, &e) < 0)
			fail_msg("format %d: %s: %s", format, err_code(&e), e.message);
		assert_int_equal(r->join.samples, 192000);
		assert_true(r->join.head_bytes == s.head.len && r->join.bytes == s.head.len + s.parts.len);
		const bool headless = format == CONVERT_AAC || format == CONVERT_OGG || format == CONVERT_OPUS;
		assert_true(headless == (s.head.len == 0));
		if (format == CONVERT_FLAC) { /* a part that is damaged is found there */
			s.parts.data[s.parts.len / 2] ^= 1;
			assert_int_equal(run(&s, &spec, r, &e), -ERR_MEDIA);
		}
		for (size_t i = 0; i < MR_ARRAY_SIZE(kept); i++)
			buf_release(kept[i]);
		fd_close(&s.fd);
	}
	free(r);
}

static void too_little_memory_is_an_error(void **state)
{
	(void)state;
	if (MR_SANITIZED)
		skip();
	struct task_limits small = limits;
	small.memory_bytes = 8u << 20;
	struct source s;
	struct err e;
	assert_int_equal(source_open_file(&s, "film.mp4"), 0);
	int64_t ticks[] = { 0, 360000 };
	uint32_t runs[] = { 0 };
	struct task_spec spec = {
		.kind = TASK_LADDER,
		.input_count = 1,
		.inputs = { { "source", s.size } },
		.ladder = { .video_stream = 0, .video_threads = 1, .frame_ticks = 3600, .gop_ticks = 180000,
			    .segment_ticks = 360000, .reorder_frames = 2, .rung_count = 1,
			    .rungs = { { 3840, 2160, 230, 9000000, 18000000, "high", 51 } },
			    .segment_count = 1,
			    .video_ticks = ticks,
			    .runs = runs,
			    .run_count = 1 },
	};
	const struct task_handlers h = { .ctx = &s, .read = on_read, .object_begin = on_begin, .object_data = on_data,
					 .object_end = on_end };
	struct task_result *r = mr_calloc(1, sizeof(*r));
	/* the encoder says no more than that it can't be opened; what counts is that the task lives to tell */
	int res = task_run(zygote, &spec, &h, &small, r, NULL, &e);
	assert_true(res == -ERR_MEDIA || res == -ERR_INTERNAL);
	assert_string_not_equal(e.code, "TASK_CRASHED");
	assert_int_equal(s.objects, 0);
	fd_close(&s.fd);
	free(r);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	struct err e;
	media_dir = argv[2];
	if (zygote_start(argv[1], &zygote, &e) < 0) {
		fprintf(stderr, "%s\n", e.message);
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_file),
		cmocka_unit_test(cover_art_is_no_film),
		cmocka_unit_test(a_failing_store_stays_a_failing_store),
		cmocka_unit_test(cut_files_never_crash),
		cmocka_unit_test(a_ladder_in_the_sandbox),
		cmocka_unit_test(conversions_in_the_sandbox),
		cmocka_unit_test(joins_in_the_sandbox),
		cmocka_unit_test(too_little_memory_is_an_error),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	zygote_stop(zygote);
	return failed;
}
