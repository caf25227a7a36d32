/* WAV's header: RIFF, or RF64 (EBU Tech 3306) where sizes don't fit 32 bits. Runs in a sandboxed child of millrace-task.
 *
 * More than two channels, or integers of more than 16 bits, are WAVEFORMATEXTENSIBLE, as its specification demands; floats
 * have a fact chunk. Tags are a LIST INFO before the samples.
 */
#include <libavutil/channel_layout.h>
#include <string.h>

#include "media/audio_pipe.h"
#include "media/join.h"

#define FORMAT_PCM 1u
#define FORMAT_FLOAT 3u
#define FORMAT_EXTENSIBLE 0xfffeu
#define INFO_MAX_BYTES (1u << 20)

static void put16(struct buf *b, uint32_t v)
{
	const uint8_t bytes[2] = { (uint8_t)v, (uint8_t)(v >> 8) };
	(void)buf_append(b, bytes, sizeof(bytes));
}

static void put32(struct buf *b, uint32_t v)
{
	put16(b, v & 0xffff);
	put16(b, v >> 16);
}

static void put64(struct buf *b, uint64_t v)
{
	put32(b, (uint32_t)v);
	put32(b, (uint32_t)(v >> 32));
}

static uint32_t speakers(uint32_t channels)
{
	AVChannelLayout layout = { 0 };
	return audio_layout((int)channels, &layout) < 0 ? 0 : (uint32_t)layout.u.mask;
}

static uint32_t bits_of(const struct convert_spec *s)
{
	return s->sample == SAMPLE_S16 ? 16 : s->sample == SAMPLE_S24 ? 24 : 32;
}

static void put_format(struct buf *b, const struct convert_spec *s, uint32_t bits)
{
	/* KSDATAFORMAT_SUBTYPE_…: the format's number and this */
	static const uint8_t guid_rest[14] = { 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71 };
	const uint32_t format = s->sample == SAMPLE_F32 ? FORMAT_FLOAT : FORMAT_PCM;
	const bool extensible = s->channels > 2 || s->sample == SAMPLE_S24;
	const uint32_t block = s->channels * bits / 8;
	(void)buf_puts(b, "fmt ");
	put32(b, extensible ? 40 : format == FORMAT_FLOAT ? 18 : 16);
	put16(b, extensible ? FORMAT_EXTENSIBLE : format);
	put16(b, s->channels);
	put32(b, s->rate);
	put32(b, s->rate * block);
	put16(b, block);
	put16(b, bits);
	if (extensible) {
		put16(b, 22);
		put16(b, bits);
		put32(b, speakers(s->channels));
		put16(b, format);
		(void)buf_append(b, guid_rest, sizeof(guid_rest));
	} else if (format == FORMAT_FLOAT) {
		put16(b, 0);
	}
}

static void put_info(struct buf *b, const struct tags *t)
{
	static const char names[][2][12] = {
		{ "INAM", "title" }, { "IART", "artist" },  { "IPRD", "album" },     { "ICRD", "date" },
		{ "IGNR", "genre" }, { "IPRT", "track" },   { "ICMT", "comment" },   { "ICOP", "copyright" },
		{ "ILNG", "language" },
	};
	_cleanup_buf_ struct buf list;
	buf_init(&list, INFO_MAX_BYTES);
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++) {
		const AVDictionaryEntry *tag = av_dict_get(t->text, names[i][1], NULL, 0);
		if (!tag)
			continue;
		const size_t len = strlen(tag->value) + 1;
		(void)buf_append(&list, names[i][0], 4);
		put32(&list, (uint32_t)len);
		(void)buf_append(&list, tag->value, len);
		if (len % 2)
			(void)buf_append(&list, "", 1);
	}
	if (!list.len || list.failed)
		return;
	(void)buf_puts(b, "LIST");
	put32(b, (uint32_t)list.len + 4);
	(void)buf_puts(b, "INFO");
	(void)buf_append(b, list.data, list.len);
}

/* What stands between "WAVE" and the samples' chunk. */
static void put_chunks(struct buf *b, const struct convert_spec *s, const struct tags *t, int64_t samples)
{
	put_format(b, s, bits_of(s));
	if (s->sample == SAMPLE_F32) {
		(void)buf_puts(b, "fact");
		put32(b, 4);
		put32(b, samples < UINT32_MAX ? (uint32_t)samples : UINT32_MAX);
	}
	put_info(b, t);
}

int join_wav_size(const struct convert_spec *s, const struct tags *t, uint64_t *ret_bytes, struct err *e)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, 2 * INFO_MAX_BYTES);
	put_chunks(&b, s, t, 0);
	const uint64_t bytes = 12 + b.len + 8;
	int r = buf_finish(&b, e);
	if (r == 0)
		*ret_bytes = bytes;
	return r;
}

int join_wav(const struct join *j, struct buf *head, struct err *e)
{
	const struct convert_spec *s = j->spec;
	if (j->bytes != (uint64_t)j->samples * s->channels * bits_of(s) / 8)
		return err_set_code(e, ERR_MEDIA, "DAMAGED_INDEX", "%llu bytes aren't %lld samples", (unsigned long long)j->bytes,
				    (long long)j->samples);
	_cleanup_buf_ struct buf b;
	buf_init(&b, head->max);
	put_chunks(&b, s, &j->tags, j->samples);
	const uint64_t data = j->bytes + j->bytes % 2, riff = 4 + b.len + 8 + data;
	const bool large = riff + 36 > UINT32_MAX;
	(void)buf_puts(head, large ? "RF64" : "RIFF");
	put32(head, large ? UINT32_MAX : (uint32_t)riff);
	(void)buf_puts(head, "WAVE");
	if (large) {
		(void)buf_puts(head, "ds64");
		put32(head, 28);
		put64(head, riff + 36);
		put64(head, j->bytes);
		put64(head, (uint64_t)j->samples);
		put32(head, 0);
	}
	(void)buf_append(head, b.data, b.len);
	(void)buf_puts(head, "data");
	put32(head, large ? UINT32_MAX : (uint32_t)j->bytes);
	return buf_finish(&b, e);
}
