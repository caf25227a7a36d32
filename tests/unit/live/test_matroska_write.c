/* Written Matroska, read back by a reader that shares nothing with the writer. That real players take it: tests/scenario. */
#include "../base/cm.h"

#include <string.h>

#include "base/mem.h"
#include "live/matroska_write.h"

struct element {
	uint32_t id;
	const uint8_t *data;
	uint64_t size;      /* UINT64_MAX: unknown */
	const uint8_t *end; /* where the next begins */
};

static uint64_t vint(const uint8_t **p, bool is_id)
{
	unsigned n = (unsigned)__builtin_clz((unsigned)**p << 24) + 1;
	uint64_t v = is_id ? **p : **p & (0xFFu >> n);
	bool ones = !is_id && v == (0xFFu >> n);
	for (unsigned i = 1; i < n; i++) {
		v = v << 8 | (*p)[i];
		ones = ones && (*p)[i] == 0xFF;
	}
	*p += n;
	return ones ? UINT64_MAX : v;
}

static struct element next(const uint8_t *p)
{
	struct element el = { .id = (uint32_t)vint(&p, true) };
	el.size = vint(&p, false);
	el.data = p;
	el.end = el.size == UINT64_MAX ? p : p + el.size;
	return el;
}

/* The first child of that id. */
static struct element child(struct element of, uint32_t id)
{
	for (const uint8_t *p = of.data; p < of.end;) {
		struct element el = next(p);
		if (el.id == id)
			return el;
		p = el.end;
	}
	fail_msg("no element %x", id);
	return of;
}

static uint64_t number(struct element el)
{
	uint64_t v = 0;
	for (uint64_t i = 0; i < el.size; i++)
		v = v << 8 | el.data[i];
	return v;
}

static void is_text(struct element el, const char *s)
{
	assert_int_equal(el.size, strlen(s));
	assert_memory_equal(el.data, s, el.size);
}

static void the_header_names_one_track_of_pcm(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 4096);
	assert_true(mkv_write_pcm_header(&b, &(struct mkv_pcm) { .sample_rate = 16000, .channels = 1 }));
	struct element ebml = next((const uint8_t *)b.data);
	assert_int_equal(ebml.id, 0x1A45DFA3);
	is_text(child(ebml, 0x4282), "matroska");
	struct element segment = next(ebml.end);
	assert_int_equal(segment.id, 0x18538067);
	assert_true(segment.size == UINT64_MAX);
	struct element info = next(segment.data);
	assert_int_equal(info.id, 0x1549A966);
	assert_int_equal(number(child(info, 0x2AD7B1)), 1000000);
	struct element tracks = next(info.end);
	assert_int_equal(tracks.id, 0x1654AE6B);
	assert_ptr_equal(tracks.end, b.data + b.len);
	struct element track = child(tracks, 0xAE), audio = child(track, 0xE1);
	is_text(child(track, 0x86), "A_PCM/INT/LIT");
	assert_int_equal(number(child(track, 0xD7)), 1);
	assert_int_equal(number(child(audio, 0x6264)), 16);
	assert_int_equal(number(child(audio, 0x9F)), 1);
	static const uint8_t rate[8] = { 0x40, 0xCF, 0x40 }; /* 16000.0 */
	assert_memory_equal(child(audio, 0xB5).data, rate, sizeof(rate));
}

static void expect_cluster(size_t frames, uint32_t channels)
{
	const struct mkv_pcm t = { .sample_rate = 16000, .channels = channels };
	_cleanup_free_ int16_t *samples = mr_calloc(frames * channels, sizeof(*samples));
	for (size_t i = 0; i < frames * channels; i++)
		samples[i] = (int16_t)(i * 7919);
	_cleanup_buf_ struct buf b, back;
	buf_init(&b, 4u << 20);
	buf_init(&back, 4u << 20);
	assert_true(mkv_write_pcm_cluster(&b, &t, 1732622783456, samples, frames));
	struct element cluster = next((const uint8_t *)b.data);
	assert_int_equal(cluster.id, 0x1F43B675);
	assert_ptr_equal(cluster.end, b.data + b.len);
	assert_true(number(next(cluster.data)) == 1732622783456);
	for (const uint8_t *p = next(cluster.data).end; p < cluster.end;) {
		struct element block = next(p);
		assert_int_equal(block.id, 0xA3);
		assert_int_equal(block.data[0], 0x81);
		size_t before = back.len / 2 / channels;
		assert_int_equal(block.data[1] << 8 | block.data[2], before * 1000 / 16000);
		assert_int_equal(block.data[3], 0x80);
		assert_true(buf_append(&back, block.data + 4, block.size - 4));
		p = block.end;
	}
	assert_int_equal(back.len, frames * channels * 2);
	assert_memory_equal(back.data, samples, back.len);
}

static void a_cluster_gives_its_samples_back(void **state)
{
	(void)state;
	expect_cluster(32000, 1);
	expect_cluster(31999, 1);
	expect_cluster(1, 1);
	expect_cluster(20 * 16000, 2);
	expect_cluster(16000 * 30, 1);
}

static void what_does_not_fit_is_refused(void **state)
{
	(void)state;
	const struct mkv_pcm t = { .sample_rate = 16000, .channels = 1 };
	_cleanup_free_ int16_t *samples = mr_calloc(33 * 16000, sizeof(*samples));
	_cleanup_buf_ struct buf b, small;
	buf_init(&b, 4u << 20);
	buf_init(&small, 1000);
	assert_false(mkv_write_pcm_cluster(&b, &t, 0, samples, 33 * 16000));
	assert_false(mkv_write_pcm_cluster(&small, &t, 0, samples, 1600));
}

static void tags_are_names_with_values(void **state)
{
	(void)state;
	const struct mkv_tag tags[] = { { "A_NAME", "a value" }, { "OTHER", "" } };
	_cleanup_buf_ struct buf b;
	buf_init(&b, 512);
	assert_true(mkv_write_tags(&b, tags, 2));
	struct element all = next((const uint8_t *)b.data);
	assert_int_equal(all.id, 0x1254C367);
	assert_ptr_equal(all.end, b.data + b.len);
	struct element tag = child(all, 0x7373), first = child(tag, 0x67C8), second = next(first.end);
	is_text(child(first, 0x45A3), "A_NAME");
	is_text(child(first, 0x4487), "a value");
	is_text(child(second, 0x45A3), "OTHER");
	is_text(child(second, 0x4487), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_names_one_track_of_pcm),
		cmocka_unit_test(a_cluster_gives_its_samples_back),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(tags_are_names_with_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
