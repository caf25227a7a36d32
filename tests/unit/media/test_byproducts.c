/* media: peaks, loudness and the worth of pictures, on samples and pixels made here. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cm.h"
#include "media/loudness.h"
#include "media/picture_score.h"
#include "media/waveform.h"

/* ---- waveform ---- */

static void peaks_of_all_channels(void **state)
{
	(void)state;
	struct waveform *w = calloc(1, sizeof(*w));
	float samples[2 * 100];
	for (int i = 0; i < 100; i++) {
		samples[2 * i] = 0.25f;
		samples[2 * i + 1] = i < 64 ? -0.5f : -2.0f; /* beyond full scale */
	}
	waveform_init(w, 8000, 2);
	waveform_add(w, samples, 30);
	waveform_add(w, samples + 60, 70);
	assert_int_equal(w->count, 1);
	waveform_finish(w);
	waveform_finish(w); /* nothing more is left */
	struct buf b;
	buf_init(&b, 1024);
	waveform_json(w, &b);
	assert_string_equal(b.data, "{\"version\":2,\"channels\":1,\"sample_rate\":8000,\"samples_per_pixel\":64,\"bits\":8,"
				    "\"length\":2,\"data\":[-64,32,-128,32]}\n");
	buf_release(&b);
	free(w);
}

static void as_many_points_whatever_the_length(void **state)
{
	(void)state;
	struct waveform *w = calloc(1, sizeof(*w));
	enum { BLOCK = 4800 };
	float *block = calloc(BLOCK, sizeof(*block));
	waveform_init(w, 48000, 1);
	for (int i = 0; i < 6000; i++) { /* ten minutes; one sample is loud */
		block[7] = i == 3000 ? 1 : 0;
		waveform_add(w, block, BLOCK);
	}
	waveform_finish(w);
	assert_true(w->count > ANALYZE_POINTS_MAX / 2 && w->count <= ANALYZE_POINTS_MAX);
	uint64_t length = w->count * w->samples_per_point;
	assert_true(length >= 6000 * BLOCK && length < 6000 * BLOCK + w->samples_per_point);
	uint32_t loud = 0, at = 0;
	for (uint32_t i = 0; i < w->count; i++)
		if (w->max[i] == 127) {
			loud++;
			at = i;
		}
	assert_int_equal(loud, 1);
	assert_int_equal(at, (3000 * BLOCK + 7) / w->samples_per_point);
	free(block);
	free(w);
}

static void drawn_on_a_transparent_ground(void **state)
{
	(void)state;
	enum { W = 20, H = 11 };
	struct waveform *w = calloc(1, sizeof(*w));
	uint8_t rgba[W * H * 4];
	waveform_init(w, 48000, 1);
	memset(rgba, 7, sizeof(rgba));
	waveform_draw(w, rgba, W, H, (ptrdiff_t)W * 4); /* nothing yet: nothing to see */
	for (size_t i = 0; i < sizeof(rgba); i++)
		assert_int_equal(rgba[i], 0);
	float loud[64] = { 1, -1 }, quiet[64] = { 0 };
	waveform_add(w, quiet, 64);
	waveform_add(w, loud, 64);
	waveform_draw(w, rgba, W, H, (ptrdiff_t)W * 4);
	int left = 0, right = 0;
	for (int y = 0; y < H; y++) {
		left += rgba[(y * W + 2) * 4 + 3] == 255;
		right += rgba[(y * W + W - 1) * 4 + 3] == 255;
	}
	assert_int_equal(left, 1);
	assert_int_equal(right, H);
	free(w);
}

/* ---- loudness ---- */

/* EBU Tech 3341, case 1: a stereo sine of 1 kHz at -23 dBFS is -23 LUFS. */
static void loudness_of_a_sine(void **state)
{
	(void)state;
	enum { RATE = 48000, BLOCK = 4800 };
	AVChannelLayout stereo = AV_CHANNEL_LAYOUT_STEREO;
	struct loudness_meter *m = NULL;
	struct loudness l;
	struct err e = { 0 };
	assert_int_equal(loudness_meter_new(RATE, &stereo, &m, &e), 0);
	float *block = calloc(2 * BLOCK, sizeof(*block));
	for (int i = 0; i < BLOCK; i++)
		block[2 * i] = block[2 * i + 1] = (float)(pow(10, -23.0 / 20) * sin(2 * M_PI * 1000 * i / RATE));
	for (int i = 0; i < 200; i++)
		assert_int_equal(loudness_meter_add(m, block, BLOCK, &e), 0);
	assert_int_equal(loudness_meter_read(m, &l, &e), 0);
	assert_in_range(l.integrated_mlufs + 30000, 30000 - 23100, 30000 - 22900);
	assert_in_range(l.true_peak_mdbtp + 30000, 30000 - 23100, 30000 - 22900);
	assert_in_range(l.range_mlu, 0, 100);
	loudness_meter_free(&m);
	loudness_meter_free(&m);
	free(block);
}

static void silence_has_no_loudness(void **state)
{
	(void)state;
	AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
	struct loudness_meter *m = NULL;
	struct loudness l;
	struct err e = { 0 };
	float *zeros = calloc(48000, sizeof(*zeros));
	assert_int_equal(loudness_meter_new(48000, &mono, &m, &e), 0);
	assert_int_equal(loudness_meter_add(m, zeros, 48000, &e), 0);
	assert_int_equal(loudness_meter_read(m, &l, &e), 0);
	assert_int_equal(l.integrated_mlufs, LOUDNESS_UNKNOWN);
	assert_int_equal(l.true_peak_mdbtp, LOUDNESS_UNKNOWN);
	loudness_meter_free(&m);
	assert_int_equal(loudness_meter_new(0, &mono, &m, &e), -ERR_UNSUPPORTED);
	free(zeros);
}

/* ---- pictures ---- */

enum { PW = 64, PH = 36 };

static struct picture_score score_of(const uint8_t *p)
{
	return picture_score(p, PW, PW, PH);
}

static void black_white_and_grey_are_flat(void **state)
{
	(void)state;
	uint8_t p[PW * PH];
	static const uint8_t greys[] = { 0, 16, 128, 235, 255 };
	for (size_t i = 0; i < sizeof(greys); i++) {
		memset(p, greys[i], sizeof(p));
		assert_true(score_of(p).flat);
	}
	/* a title on black */
	memset(p, 16, sizeof(p));
	memset(p + PW * 18 + 20, 235, 20);
	assert_true(score_of(p).flat);
	assert_true(picture_score(p, 0, 0, 0).flat);
}

static void more_to_see_is_worth_more(void **state)
{
	(void)state;
	uint8_t scene[PW * PH], fog[PW * PH], night[PW * PH];
	for (int y = 0; y < PH; y++)
		for (int x = 0; x < PW; x++) {
			int v = (x * 7 + y * 13 + (x * y) % 23 * 5) % 200;
			scene[y * PW + x] = (uint8_t)(20 + v);
			fog[y * PW + x] = (uint8_t)(110 + v / 6);
			night[y * PW + x] = (uint8_t)(16 + v / 5);
		}
	struct picture_score s = score_of(scene), f = score_of(fog), n = score_of(night);
	assert_false(s.flat);
	assert_true(s.value > f.value && s.value > n.value);
	assert_true(s.value <= 1 && f.value > 0 && n.value > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peaks_of_all_channels),	 cmocka_unit_test(as_many_points_whatever_the_length),
		cmocka_unit_test(drawn_on_a_transparent_ground), cmocka_unit_test(loudness_of_a_sine),
		cmocka_unit_test(silence_has_no_loudness),	 cmocka_unit_test(black_white_and_grey_are_flat),
		cmocka_unit_test(more_to_see_is_worth_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
