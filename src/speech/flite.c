/* Speaking with flite. Runs in a sandboxed child of millrace-task; flite_warm_up in the zygote. One thread. */
#include "speech/flite.h"

#include <stdlib.h>
#include <string.h>

#include <flite/flite.h>

#include "base/mem.h"
#include "speech/latin.h"

/* Of a sentence without a sound, so that every sentence has a file that can be decoded. */
#define SILENCE_SAMPLES 160
#define SILENCE_RATE 16000
#define WAV_HEADER_BYTES 44

/* flite's headers don't declare them: each is the one symbol of its voice's library. */
cst_voice *register_cmu_us_slt(const char *dir);
cst_voice *register_cmu_us_kal(const char *dir);
cst_voice *register_cmu_us_kal16(const char *dir);
cst_voice *register_cmu_us_awb(const char *dir);
cst_voice *register_cmu_us_rms(const char *dir);

static cst_voice *voices[SPEAK_VOICE_COUNT]; /* NULL: not made yet */

static void make_voices(void)
{
	static cst_voice *(*const make[SPEAK_VOICE_COUNT])(const char *) = { register_cmu_us_slt, register_cmu_us_kal,
									     register_cmu_us_kal16, register_cmu_us_awb,
									     register_cmu_us_rms };
	(void)flite_init();
	for (size_t i = 0; i < SPEAK_VOICE_COUNT; i++)
		voices[i] = make[i](NULL);
}

void flite_warm_up(void)
{
	make_voices();
	cst_wave *w = flite_text_to_wave("Ready.", voices[0]);
	if (w)
		delete_wave(w);
}

static void put_u32(uint8_t *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> 8 * i);
}

static void put_tag(uint8_t *to, const char *tag)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)tag[i];
}

/* PCM of 16 bits, one channel; the "fmt " chunk is Microsoft's WAVEFORMAT. */
static void put_header(uint8_t h[WAV_HEADER_BYTES], uint32_t rate, uint32_t data_bytes)
{
	static const uint8_t format[] = { 1, 0, 1, 0 }, width[] = { 2, 0, 16, 0 };
	put_tag(h, "RIFF");
	put_u32(h + 4, data_bytes + WAV_HEADER_BYTES - 8);
	put_tag(h + 8, "WAVE");
	put_tag(h + 12, "fmt ");
	put_u32(h + 16, 16);
	memcpy(h + 20, format, sizeof(format));
	put_u32(h + 24, rate);
	put_u32(h + 28, rate * 2);
	memcpy(h + 32, width, sizeof(width));
	put_tag(h + 36, "data");
	put_u32(h + 40, data_bytes);
}

static int put_wave(const int16_t *samples, uint32_t count, uint32_t rate, struct buf *wav, struct speak_result *ret,
		    struct err *e)
{
	static const int16_t silence[SILENCE_SAMPLES];
	if (!count) {
		samples = silence;
		count = SILENCE_SAMPLES;
	}
	if (count > (SPEAK_SOUND_MAX_BYTES - WAV_HEADER_BYTES) / sizeof(*samples))
		return err_set_code(e, ERR_TOO_LARGE, "UNSPEAKABLE", "the sentence takes longer than half an hour");
	uint8_t header[WAV_HEADER_BYTES];
	put_header(header, rate, count * (uint32_t)sizeof(*samples));
	buf_append(wav, header, sizeof(header));
	buf_append(wav, samples,
		   count * sizeof(*samples)); /* little-endian, as every machine that Debian's flite and we run on */
	int r = buf_finish(wav, e);
	if (r == 0)
		*ret = (struct speak_result) { .rate = rate, .samples = count };
	return r;
}

int flite_speak(uint32_t voice, const char *text, size_t len, struct buf *wav, struct speak_result *ret, struct err *e)
{
	_cleanup_buf_ struct buf plain;
	buf_init(&plain, 4 * len + 1);
	latin_to_ascii(text, len, &plain);
	int r = buf_finish(&plain, e);
	if (r < 0)
		return r;
	if (!voices[voice])
		make_voices();
	/* flite's noise comes from rand(), which in glibc is random(): begun anew, a sentence sounds the same whatever was spoken
	 * here before it. */
	srandom(1); /* NOLINT(cert-msc51-cpp): it is to be predictable */
	cst_wave *w = flite_text_to_wave(plain.data ? plain.data : "", voices[voice]);
	if (!w)
		return err_set_code(e, ERR_MEDIA, "UNSPEAKABLE", "the voice can't speak the sentence");
	uint32_t rate = w->sample_rate > 0 ? (uint32_t)w->sample_rate : SILENCE_RATE;
	r = put_wave(w->samples, w->num_samples > 0 ? (uint32_t)w->num_samples : 0, rate, wav, ret, e);
	delete_wave(w);
	return r;
}
