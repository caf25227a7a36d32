/* Walking over an MP3's frames: see mp3_index.h. What is read is hostile: sizes come from tables, and each step goes forwards. */
#include "media/mp3_index.h"

#include <stdlib.h>

#include "base/mem.h"

#define HEADER_BYTES 4
#define BLOCK_BYTES (256u << 10)
/* Sync word, version, layer and sample rate: the same in all frames of a plain file. (ISO/IEC 11172-3, 2.4.1.3) */
#define SAME_MASK 0xfffe0c00u

struct walk {
	const struct media_io *io;
	uint64_t size, offset; /* of the file; of the block */
	uint32_t fill;
	uint64_t bytes_read;
	uint8_t block[BLOCK_BYTES];
};

/* The header at `at`; false at the end, or where reading fails (which whoever reads next finds out as well). */
static bool header_at(struct walk *w, uint64_t at, uint32_t *ret)
{
	struct err ignored;
	if (at < w->offset || at + HEADER_BYTES > w->offset + w->fill) {
		uint64_t left = at < w->size ? w->size - at : 0;
		uint32_t want = left < sizeof(w->block) ? (uint32_t)left : (uint32_t)sizeof(w->block);
		w->offset = at;
		w->fill = 0;
		if (want < HEADER_BYTES || w->io->read(w->io->ctx, 0, at, w->block, want, &w->fill, &ignored) < 0)
			return false;
		w->bytes_read += w->fill;
		if (w->fill < HEADER_BYTES)
			return false;
	}
	const uint8_t *p = w->block + (at - w->offset);
	*ret = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return true;
}

struct kind {
	uint32_t header, rate, samples;
	const uint16_t *kbps;
};

/* False: not a frame of layer III whose length can be told. */
static bool kind_of(uint32_t h, struct kind *ret)
{
	static const uint16_t kbps[2][15] = { { 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 },
					      { 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 } };
	static const uint32_t rates[3] = { 44100, 48000, 32000 };
	const uint32_t version = h >> 19 & 3, layer = h >> 17 & 3, rate = h >> 10 & 3;
	if (h >> 21 != 0x7ff || version == 1 || layer != 1 || rate == 3)
		return false;
	const bool one = version == 3; /* MPEG-1; else 2 or 2.5 */
	*ret = (struct kind){ .header = h & SAME_MASK,
			      .rate = rates[rate] >> (one ? 0 : version == 2 ? 1 : 2),
			      .samples = one ? 1152 : 576,
			      .kbps = kbps[one] };
	return true;
}

/* 0: not of this kind, or of a length that isn't told. */
static uint32_t frame_bytes(const struct kind *k, uint32_t h)
{
	const uint32_t rate = h >> 12 & 15;
	if ((h & SAME_MASK) != k->header || rate == 0 || rate == 15)
		return 0;
	return k->samples / 8 * 1000 * k->kbps[rate] / k->rate + (h >> 9 & 1);
}

static bool walk_to(struct walk *w, AVStream *st, const AVPacket *first, int64_t target)
{
	const AVRational tb = st->time_base;
	struct kind k;
	uint32_t h;
	uint64_t at = (uint64_t)first->pos, before = 0;
	if (!header_at(w, at, &h) || !kind_of(h, &k) || tb.num != 1 || tb.den % (int)k.rate)
		return false;
	const int64_t step = (int64_t)k.samples * (tb.den / (int)k.rate);
	for (int64_t pts = first->pts; header_at(w, at, &h); pts += step) {
		const uint32_t len = frame_bytes(&k, h);
		if (!len)
			return false;
		if (pts > target)
			return before && av_add_index_entry(st, (int64_t)before, pts - step, 0, 0, AVINDEX_KEYFRAME) >= 0 &&
			       av_add_index_entry(st, (int64_t)at, pts, 0, 0, AVINDEX_KEYFRAME) >= 0;
		before = at;
		at += len;
	}
	return false;
}

bool mp3_index_add(AVStream *st, const AVPacket *first, const struct media_io *io, uint64_t size_bytes, int64_t target,
		   uint64_t *ret_bytes_read)
{
	if (first->pos < 0 || first->pts == AV_NOPTS_VALUE)
		return false;
	struct walk *w = mr_calloc(1, sizeof(*w));
	w->io = io;
	w->size = size_bytes;
	bool added = walk_to(w, st, first, target);
	*ret_bytes_read = w->bytes_read;
	free(w);
	return added;
}
