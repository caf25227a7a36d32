/* A sentence's sound: see voice.h. */
#include "media/voice.h"

#include <libswresample/swresample.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/loudness.h"
#include "media/memory_input.h"
#include "media/sound_scan.h"

#define SECONDS_MAX 900
#define EDGE_SAMPLES 240
#define MEASURED_LEAST NARRATE_RATE /* what is shorter is measured as if it were said again and again */
#define GAIN_MAX_DB 30.0
#define PLAIN_HEADER_BYTES 44
#define PLAIN_RATE_MIN 8000
#define PLAIN_BLOCK 2048
#define DUAL_MONO_MLU 3010 /* a sound in both channels is so much louder than in one */

/* A sentence's sound as it comes. */
struct bytes {
	uint8_t *data;
	size_t len, capacity;
};

static int fetch(const struct media_io *io, uint32_t sentence, struct bytes *b, struct err *e)
{
	for (;;) {
		if (b->len == b->capacity) {
			b->capacity = b->capacity ? b->capacity * 4 : 256u << 10;
			b->data = mr_reallocarray(b->data, b->capacity, 1);
		}
		if (b->len >= NARRATE_SPEECH_MAX_BYTES)
			return err_set_code(e, ERR_MEDIA, "SPEECH_TOO_LARGE", "more than %u bytes", NARRATE_SPEECH_MAX_BYTES);
		size_t room = b->capacity - b->len;
		uint32_t wanted = room < TASK_READ_MAX_BYTES ? (uint32_t)room : TASK_READ_MAX_BYTES, got = 0;
		const uint64_t at = narrate_offset(sentence, (uint32_t)b->len);
		int r = io->read(io->ctx, NARRATE_INPUT_SPEECH, at, b->data + b->len, wanted, &got, e);
		if (r < 0)
			return r;
		b->len += got;
		if (got < wanted)
			return b->len ? 0 : err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "no bytes");
	}
}

/* ---- decoding ---- */

struct decoding {
	SwrContext *swr;
	float *samples;
	int64_t count, capacity;
};

static int open_resampler(void *ctx, int sample_rate, const AVChannelLayout *layout, struct err *e)
{
	struct decoding *d = ctx;
	AVChannelLayout mono, from = { 0 };
	av_channel_layout_default(&mono, 1);
	int r = av_channel_layout_copy(&from, layout);
	if (r >= 0)
		r = swr_alloc_set_opts2(&d->swr, &mono, AV_SAMPLE_FMT_FLTP, NARRATE_RATE, &from, AV_SAMPLE_FMT_FLT, sample_rate, 0,
					NULL);
	if (r >= 0)
		r = swr_init(d->swr);
	av_channel_layout_uninit(&from);
	return r < 0 ? averror_internal(e, r, "resample a sentence") : 0;
}

/* `in` NULL: what the resampler holds. */
static int resample(struct decoding *d, const float *in, size_t frames, struct err *e)
{
	int room = swr_get_out_samples(d->swr, (int)frames);
	if (room < 0)
		return averror_internal(e, room, "resample a sentence");
	if (d->count + room > (int64_t)SECONDS_MAX * NARRATE_RATE)
		return err_set_code(e, ERR_MEDIA, "SPEECH_TOO_LARGE", "longer than %d s", SECONDS_MAX);
	if (d->count + room > d->capacity) {
		d->capacity = 2 * (d->count + room);
		d->samples = mr_reallocarray(d->samples, (size_t)d->capacity, sizeof(float));
	}
	uint8_t *out = (uint8_t *)(d->samples + d->count);
	const uint8_t *from = (const uint8_t *)in;
	int got = swr_convert(d->swr, &out, room, in ? &from : NULL, (int)frames);
	if (got < 0)
		return averror_internal(e, got, "resample a sentence");
	d->count += got;
	return 0;
}

static int add(void *ctx, const float *interleaved, size_t frames, struct err *e)
{
	return resample(ctx, interleaved, frames, e);
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The samples of a file as the built-in voices make them (speech/flite.c): samples of 16 bits in one channel behind a header of 44
 * bytes, and nothing else. NULL: something else. */
static const uint8_t *plain_samples(const struct bytes *b, int *ret_rate, size_t *ret_count)
{
	/* "fmt " of 16 bytes: PCM, one channel; and its last two fields */
	static const uint8_t format[] = { 16, 0, 0, 0, 1, 0, 1, 0 }, width[] = { 2, 0, 16, 0 };
	const uint8_t *h = b->data;
	if (b->len <= PLAIN_HEADER_BYTES || memcmp(h, "RIFF", 4) != 0 || memcmp(h + 8, "WAVEfmt ", 8) != 0 ||
	    memcmp(h + 16, format, sizeof(format)) != 0 || memcmp(h + 32, width, sizeof(width)) != 0 ||
	    memcmp(h + 36, "data", 4) != 0)
		return NULL;
	const uint32_t rate = le32(h + 24), bytes = le32(h + 40);
	if (rate < PLAIN_RATE_MIN || rate > NARRATE_RATE || bytes != b->len - PLAIN_HEADER_BYTES || bytes % 2)
		return NULL;
	*ret_rate = (int)rate;
	*ret_count = bytes / 2;
	return h + PLAIN_HEADER_BYTES;
}

/* What libavformat would give, without its search for other codecs within the samples, which takes longer than all the rest. */
static int decode_plain(const uint8_t *samples, size_t count, int rate, struct decoding *d, struct err *e)
{
	float block[PLAIN_BLOCK];
	AVChannelLayout mono;
	av_channel_layout_default(&mono, 1);
	int r = open_resampler(d, rate, &mono, e);
	for (size_t done = 0; r == 0 && done < count;) {
		size_t n = count - done < PLAIN_BLOCK ? count - done : PLAIN_BLOCK;
		for (size_t i = 0; i < n; i++) {
			const uint8_t *s = samples + 2 * (done + i);
			block[i] = (float)(int16_t)(uint16_t)(s[0] | s[1] << 8) / 32768.0F;
		}
		r = resample(d, block, n, e);
		done += n;
	}
	return r < 0 ? r : resample(d, NULL, 0, e);
}

static int decode_any(struct bytes *b, struct decoding *d, struct err *e)
{
	struct memory_input m;
	memory_input_init(&m, "speech", b->data, b->len);
	const struct sound_scan scan = { .ctx = d, .open = open_resampler, .add = add };
	int r = sound_scan_run(m.spec, &m.io, 0, &scan, e);
	if (r == 0)
		r = resample(d, NULL, 0, e);
	memory_input_release(&m);
	return r;
}

static int decode(struct bytes *b, struct decoding *d, struct err *e)
{
	int rate;
	size_t count;
	const uint8_t *plain = plain_samples(b, &rate, &count);
	int r = plain ? decode_plain(plain, count, rate, d, e) : decode_any(b, d, e);
	if (r == 0 && d->count == 0)
		return err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "no sound");
	return r;
}

/* ---- loudness ---- */

static int measure(const struct decoding *d, int32_t *ret_mlufs, struct err *e)
{
	struct loudness_meter *meter = NULL;
	AVChannelLayout mono;
	av_channel_layout_default(&mono, 1);
	int r = loudness_meter_new_plain(NARRATE_RATE, &mono, &meter, e);
	for (int64_t measured = 0; r == 0 && (measured == 0 || measured < MEASURED_LEAST); measured += d->count)
		r = loudness_meter_add(meter, d->samples, (size_t)d->count, e);
	if (r == 0)
		r = loudness_meter_integrated(meter, ret_mlufs, e);
	loudness_meter_free(&meter);
	return r;
}

static void apply(struct decoding *d, int32_t mlufs, int32_t target_mlufs)
{
	double db = mlufs == LOUDNESS_UNKNOWN ? 0 : (target_mlufs - DUAL_MONO_MLU - mlufs) / 1000.0;
	db = db > GAIN_MAX_DB ? GAIN_MAX_DB : db < -GAIN_MAX_DB ? -GAIN_MAX_DB : db;
	const float gain = (float)pow(10, db / 20);
	for (int64_t i = 0; i < d->count; i++)
		d->samples[i] *= gain;
	int64_t edge = d->count / 2 < EDGE_SAMPLES ? d->count / 2 : EDGE_SAMPLES;
	for (int64_t i = 0; i < edge; i++) {
		float in = ((float)i + 0.5F) / (float)edge;
		d->samples[i] *= in;
		d->samples[d->count - 1 - i] *= in;
	}
}

int voice_load(const struct media_io *io, uint32_t sentence, int32_t target_mlufs, struct voice *ret, struct err *e)
{
	struct bytes b = { 0 };
	struct decoding d = { 0 };
	int32_t mlufs = LOUDNESS_UNKNOWN;
	int r = fetch(io, sentence, &b, e);
	if (r == 0)
		r = decode(&b, &d, e);
	if (r == 0)
		r = measure(&d, &mlufs, e);
	free(b.data);
	swr_free(&d.swr);
	if (r < 0) {
		free(d.samples);
		return err_wrap(e, "sentence %u", sentence + 1);
	}
	apply(&d, mlufs, target_mlufs);
	*ret = (struct voice){ .samples = d.samples, .count = d.count };
	return 0;
}

void voice_release(struct voice *v)
{
	free(v->samples);
	*v = (struct voice){ 0 };
}
