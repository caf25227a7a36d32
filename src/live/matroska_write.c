/* Writing Matroska: see matroska_write.h. Ids and meanings: RFC 9559, 5.1; variable-size integers: RFC 8794, 4. The server
 * process. */
#include "live/matroska_write.h"

#include <endian.h>
#include <string.h>

#define ID_EBML 0x1A45DFA3u
#define ID_EBML_VERSION 0x4286u
#define ID_EBML_READ_VERSION 0x42F7u
#define ID_EBML_MAX_ID_LENGTH 0x42F2u
#define ID_EBML_MAX_SIZE_LENGTH 0x42F3u
#define ID_DOC_TYPE 0x4282u
#define ID_DOC_TYPE_VERSION 0x4287u
#define ID_DOC_TYPE_READ_VERSION 0x4285u
#define ID_SEGMENT 0x18538067u
#define ID_INFO 0x1549A966u
#define ID_TIMESTAMP_SCALE 0x2AD7B1u
#define ID_MUXING_APP 0x4D80u
#define ID_WRITING_APP 0x5741u
#define ID_TRACKS 0x1654AE6Bu
#define ID_TRACK_ENTRY 0xAEu
#define ID_TRACK_NUMBER 0xD7u
#define ID_TRACK_UID 0x73C5u
#define ID_TRACK_TYPE 0x83u
#define ID_FLAG_LACING 0x9Cu
#define ID_CODEC_ID 0x86u
#define ID_AUDIO 0xE1u
#define ID_SAMPLING_FREQUENCY 0xB5u
#define ID_CHANNELS 0x9Fu
#define ID_BIT_DEPTH 0x6264u
#define ID_CLUSTER 0x1F43B675u
#define ID_TIMESTAMP 0xE7u
#define ID_SIMPLE_BLOCK 0xA3u
#define ID_TAGS 0x1254C367u
#define ID_TAG 0x7373u
#define ID_TARGETS 0x63C0u
#define ID_SIMPLE_TAG 0x67C8u
#define ID_TAG_NAME 0x45A3u
#define ID_TAG_STRING 0x4487u

#define TRACK_TYPE_AUDIO 2
#define TIMESTAMP_SCALE_NS 1000000
#define UNKNOWN_SIZE "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
#define BLOCK_MS 100
#define BLOCK_HEAD_BYTES 4 /* track number, time, flags */
#define BLOCK_KEYFRAME 0x80
#define PCM_BYTES 2
#define HEADER_MAX 1024
#define APP "Millrace"

static void put_be(struct buf *out, uint64_t v, size_t bytes)
{
	uint64_t be = htobe64(v);
	(void)buf_append(out, (const char *)&be + 8 - bytes, bytes);
}

/* An id holds its own length marker. */
static void put_id(struct buf *out, uint32_t id)
{
	put_be(out, id, id > 0xFFFFFF ? 4 : id > 0xFFFF ? 3 : id > 0xFF ? 2 : 1);
}

static size_t size_bytes(uint64_t size)
{
	size_t n = 1;
	while (size >= (UINT64_C(1) << (7 * n)) - 1) /* all ones would mean unknown */
		n++;
	return n;
}

static void put_head(struct buf *out, uint32_t id, uint64_t size)
{
	size_t n = size_bytes(size);
	put_id(out, id);
	put_be(out, size | UINT64_C(1) << (7 * n), n);
}

static void put_uint(struct buf *out, uint32_t id, uint64_t v)
{
	size_t n = 1;
	while (n < 8 && v >> (8 * n))
		n++;
	put_head(out, id, n);
	put_be(out, v, n);
}

static void put_float(struct buf *out, uint32_t id, double v)
{
	uint64_t bits;
	memcpy(&bits, &v, sizeof(bits));
	put_head(out, id, sizeof(bits));
	put_be(out, bits, sizeof(bits));
}

static void put_text(struct buf *out, uint32_t id, const char *s)
{
	put_head(out, id, strlen(s));
	(void)buf_puts(out, s);
}

static void put_master(struct buf *out, uint32_t id, const struct buf *content)
{
	out->failed |= content->failed;
	put_head(out, id, content->len);
	if (content->len)
		(void)buf_append(out, content->data, content->len);
}

static void put_ebml(struct buf *out)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, HEADER_MAX);
	put_uint(&b, ID_EBML_VERSION, 1);
	put_uint(&b, ID_EBML_READ_VERSION, 1);
	put_uint(&b, ID_EBML_MAX_ID_LENGTH, 4);
	put_uint(&b, ID_EBML_MAX_SIZE_LENGTH, 8);
	put_text(&b, ID_DOC_TYPE, "matroska");
	put_uint(&b, ID_DOC_TYPE_VERSION, 4);
	put_uint(&b, ID_DOC_TYPE_READ_VERSION, 2);
	put_master(out, ID_EBML, &b);
}

static void put_info(struct buf *out)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, HEADER_MAX);
	put_uint(&b, ID_TIMESTAMP_SCALE, TIMESTAMP_SCALE_NS);
	put_text(&b, ID_MUXING_APP, APP);
	put_text(&b, ID_WRITING_APP, APP);
	put_master(out, ID_INFO, &b);
}

static void put_tracks(struct buf *out, const struct mkv_pcm *t)
{
	_cleanup_buf_ struct buf audio, entry, tracks;
	buf_init(&audio, HEADER_MAX);
	buf_init(&entry, HEADER_MAX);
	buf_init(&tracks, HEADER_MAX);
	put_float(&audio, ID_SAMPLING_FREQUENCY, t->sample_rate);
	put_uint(&audio, ID_CHANNELS, t->channels);
	put_uint(&audio, ID_BIT_DEPTH, 8 * PCM_BYTES);
	put_uint(&entry, ID_TRACK_NUMBER, 1);
	put_uint(&entry, ID_TRACK_UID, 1);
	put_uint(&entry, ID_TRACK_TYPE, TRACK_TYPE_AUDIO);
	put_uint(&entry, ID_FLAG_LACING, 0);
	put_text(&entry, ID_CODEC_ID, "A_PCM/INT/LIT");
	put_master(&entry, ID_AUDIO, &audio);
	put_master(&tracks, ID_TRACK_ENTRY, &entry);
	put_master(out, ID_TRACKS, &tracks);
}

bool mkv_write_pcm_header(struct buf *out, const struct mkv_pcm *t)
{
	put_ebml(out);
	put_id(out, ID_SEGMENT);
	(void)buf_append(out, UNKNOWN_SIZE, sizeof(UNKNOWN_SIZE) - 1);
	put_info(out);
	put_tracks(out, t);
	return !out->failed;
}

/* The same arithmetic twice: sizes first, so that the samples are copied once. */
struct blocks {
	size_t frame_bytes, frames_each, frames;
};

static size_t block_bytes(const struct blocks *b, size_t at)
{
	size_t n = b->frames - at < b->frames_each ? b->frames - at : b->frames_each;
	return BLOCK_HEAD_BYTES + n * b->frame_bytes;
}

bool mkv_write_pcm_cluster(struct buf *out, const struct mkv_pcm *t, uint64_t timecode_ms, const int16_t *samples,
			   size_t frames)
{
	const struct blocks b = { .frame_bytes = PCM_BYTES * (size_t)t->channels,
				  .frames_each = (size_t)t->sample_rate * BLOCK_MS / 1000,
				  .frames = frames };
	_cleanup_buf_ struct buf timestamp;
	buf_init(&timestamp, 16);
	put_uint(&timestamp, ID_TIMESTAMP, timecode_ms);
	uint64_t size = timestamp.len;
	for (size_t at = 0; at < frames; at += b.frames_each)
		size += 1 + size_bytes(block_bytes(&b, at)) + block_bytes(&b, at);
	put_head(out, ID_CLUSTER, size);
	(void)buf_append(out, timestamp.data, timestamp.len);
	for (size_t at = 0; at < frames; at += b.frames_each) {
		size_t bytes = block_bytes(&b, at);
		uint64_t relative_ms = at * 1000 / t->sample_rate;
		put_head(out, ID_SIMPLE_BLOCK, bytes);
		(void)buf_append(out, "\x81", 1);
		put_be(out, relative_ms, 2);
		(void)buf_append(out, &(uint8_t) { BLOCK_KEYFRAME }, 1);
		(void)buf_append(out, samples + at * t->channels, bytes - BLOCK_HEAD_BYTES);
	}
	out->failed |= frames * 1000 / t->sample_rate > INT16_MAX;
	return !out->failed;
}

bool mkv_write_tags(struct buf *out, const struct mkv_tag *tags, size_t count)
{
	_cleanup_buf_ struct buf tag, whole;
	buf_init(&tag, out->max);
	buf_init(&whole, out->max);
	put_head(&tag, ID_TARGETS, 0);
	for (size_t i = 0; i < count; i++) {
		_cleanup_buf_ struct buf simple;
		buf_init(&simple, out->max);
		put_text(&simple, ID_TAG_NAME, tags[i].name);
		put_text(&simple, ID_TAG_STRING, tags[i].value);
		put_master(&tag, ID_SIMPLE_TAG, &simple);
	}
	put_master(&whole, ID_TAG, &tag);
	put_master(out, ID_TAGS, &whole);
	return !out->failed;
}
