/* media/join: heads of files beyond 4 GiB, from indexes alone: no byte of sound is made for them. */
#include <libavutil/intreadwrite.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "media/convert_index.h"

#define GIB (UINT64_C(1) << 30)

struct file {
	struct buf index, head;
};

static int on_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	const struct file *f = ctx;
	(void)e;
	assert_int_equal(input, CONVERT_INPUT_INDEX);
	*ret_len = f->index.len - offset < len ? (uint32_t)(f->index.len - offset) : len;
	memcpy(buf, f->index.data + offset, *ret_len);
	return 0;
}

static int on_object(void *ctx, const struct task_object *o, const void *data, struct err *e)
{
	struct file *f = ctx;
	(void)e;
	assert_int_equal(o->kind, TASK_OBJECT_HEAD);
	assert_true(buf_append(&f->head, data, o->size_bytes));
	return 0;
}

static void file_init(struct file *f)
{
	buf_init(&f->index, 64 << 20);
	buf_init(&f->head, 64 << 20);
}

static void file_release(struct file *f)
{
	buf_release(&f->index);
	buf_release(&f->head);
}

static void join(struct file *f, const struct convert_spec *spec, uint64_t bytes, struct join_result *ret)
{
	struct task_spec *task = mr_calloc(1, sizeof(*task));
	struct err e = { 0 };
	const struct media_io io = { .ctx = f, .read = on_read, .object = on_object };
	task->kind = TASK_JOIN;
	task->input_count = CONVERT_JOIN_INPUTS;
	task->inputs[CONVERT_INPUT_INDEX].size_bytes = f->index.len;
	task->inputs[CONVERT_INPUT_PARTS].size_bytes = bytes;
	task->convert = *spec;
	if (media_join(task, &io, ret, &e) < 0)
		fail_msg("%s: %s", err_code(&e), e.message);
	free(task);
	assert_true(ret->bytes == f->head.len + bytes && ret->head_bytes == f->head.len);
}

/* Three chunks. */
static void add_pcm(struct file *f, int64_t samples, uint32_t block)
{
	struct err e;
	for (int64_t i = 0; i < 3; i++) {
		const int64_t first = samples / 3 * i, end = i == 2 ? samples : samples / 3 * (i + 1);
		const struct convert_index ix = { .format = CONVERT_WAV, .first_sample = first, .samples = end - first,
						  .bytes = (uint64_t)(end - first) * block };
		assert_int_equal(convert_index_write(&ix, &f->index, &e), 0);
	}
}

static void check_wav(int64_t samples, bool large)
{
	const struct convert_spec spec = { .format = CONVERT_WAV, .sample = SAMPLE_S16, .rate = 48000, .channels = 2,
					   .sample_count = samples, .last = true };
	const uint64_t bytes = (uint64_t)samples * 4;
	struct file f;
	struct join_result r;
	file_init(&f);
	add_pcm(&f, samples, 4);
	join(&f, &spec, bytes, &r);
	const uint8_t *h = (const uint8_t *)f.head.data, *data = h + f.head.len - 8;
	assert_memory_equal(h, large ? "RF64" : "RIFF", 4);
	assert_memory_equal(h + 8, "WAVE", 4);
	assert_memory_equal(data, "data", 4);
	assert_int_equal(AV_RL32(h + 4), large ? UINT32_MAX : (uint32_t)(r.bytes - 8));
	assert_int_equal(AV_RL32(data + 4), large ? UINT32_MAX : (uint32_t)bytes);
	if (large) { /* EBU Tech 3306: riffSize, dataSize, sampleCount */
		assert_memory_equal(h + 12, "ds64", 4);
		assert_true(AV_RL64(h + 20) == r.bytes - 8);
		assert_true(AV_RL64(h + 28) == bytes);
		assert_true(AV_RL64(h + 36) == (uint64_t)samples);
	}
	assert_int_equal(r.samples, samples);
	file_release(&f);
}

static void wav(void **state)
{
	(void)state;
	check_wav(1000, false);
	check_wav((int64_t)((4 * GIB - 80) / 4), false);
	check_wav((int64_t)((4 * GIB - 36) / 4), true);
	check_wav((int64_t)(5 * GIB / 4), true);
}

/* A box's payload in [p, end), wherever it lies within those that hold others. */
static const uint8_t *find_box(const uint8_t *p, const uint8_t *end, const char *type)
{
	static const char holders[][5] = { "moov", "trak", "mdia", "minf", "stbl" };
	for (uint32_t size; end - p >= 8; p += size) {
		size = AV_RB32(p);
		assert_true(size >= 8 && size <= end - p);
		if (memcmp(p + 4, type, 4) == 0)
			return p + 8;
		for (size_t i = 0; i < MR_ARRAY_SIZE(holders); i++) {
			const uint8_t *found = memcmp(p + 4, holders[i], 4) ? NULL : find_box(p + 8, p + size, type);
			if (found)
				return found;
		}
	}
	return NULL;
}

static void add_aac(struct file *f, uint32_t frames, uint32_t frame_bytes)
{
	struct err e;
	const uint8_t size[4] = { (uint8_t)frame_bytes, (uint8_t)(frame_bytes >> 8), (uint8_t)(frame_bytes >> 16),
				  (uint8_t)(frame_bytes >> 24) };
	const struct convert_index ix = { .format = CONVERT_M4A, .samples = (int64_t)(frames - 1) * AAC_FRAME_SAMPLES,
					  .bytes = (uint64_t)frames * frame_bytes, .frame_count = frames };
	assert_int_equal(convert_index_write(&ix, &f->index, &e), 0);
	for (uint32_t i = 0; i < frames; i++)
		assert_true(buf_append(&f->index, size, sizeof(size)));
}

/* Offsets of 64 bits, the first of which is where the sound begins, and an mdat whose size has 64 bits. */
static void m4a(void **state)
{
	(void)state;
	enum { FRAMES = 6000, FRAME_BYTES = 1000000 };
	const struct convert_spec spec = { .format = CONVERT_M4A, .bitrate_bps = 320000, .rate = 48000, .channels = 2,
					   .sample_count = (int64_t)(FRAMES - 1) * AAC_FRAME_SAMPLES, .last = true };
	const uint64_t bytes = (uint64_t)FRAMES * FRAME_BYTES;
	struct file f;
	struct join_result r;
	file_init(&f);
	add_aac(&f, FRAMES, FRAME_BYTES);
	join(&f, &spec, bytes, &r);
	const uint8_t *h = (const uint8_t *)f.head.data, *mdat = h + f.head.len - 16;
	assert_int_equal(AV_RB32(mdat), 1);
	assert_memory_equal(mdat + 4, "mdat", 4);
	assert_true(AV_RB64(mdat + 8) == bytes + 16);
	const uint8_t *co64 = find_box(h, mdat, "co64");
	assert_non_null(co64);
	assert_null(find_box(h, mdat, "stco"));
	const uint32_t chunks = AV_RB32(co64 + 4);
	assert_true(AV_RB64(co64 + 8) == f.head.len);
	const uint64_t last = AV_RB64(co64 + 8 * (size_t)chunks);
	assert_true(last > 5 * GIB && last < r.bytes && (last - f.head.len) % FRAME_BYTES == 0);
	file_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(wav), cmocka_unit_test(m4a) };
	media_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
