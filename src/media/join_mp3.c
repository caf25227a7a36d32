/* What comes before an MP3's frames: an ID3v2 tag with the cover, and the Info (VBR: Xing) frame with LAME's extension, from
 * which players know length, places to seek to, and how many samples at either end are the encoder's own. Runs in a sandboxed
 * child of millrace-task.
 *
 * The frame decodes to silence for who doesn't know it. Layout: http://gabriel.mp3-tech.org/mp3infotag.html.
 */
#include <errno.h>
#include <libavutil/dict.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mem.h>
#include <string.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/crc16.h"
#include "media/join.h"

#define ENCODER_DELAY 576 /* LAME's; a decoder's own 529 come on top */
#define DECODER_DELAY 529
#define TOC_ENTRIES 100
#define INFO_BYTES (8 + 4 + 4 + TOC_ENTRIES + 4 + 36)
#define FRAME_MAX_BYTES 2881

/* ---- ID3v2 ---- */

/* Into memory that can be sought in: the tag's size is written last. */
static int write_id3(const struct join *j, AVFormatContext *m)
{
	AVDictionary *options = NULL;
	int r = tags_copy_text(&j->tags, m);
	if (r >= 0)
		r = tags_add_cover(&j->tags, m);
	if (r >= 0)
		r = av_dict_set(&options, "id3v2_version", "3", 0); /* what every player reads */
	if (r >= 0)
		r = av_dict_set(&options, "write_xing", "0", 0);
	if (r >= 0)
		r = avformat_write_header(m, &options);
	if (r >= 0)
		r = tags_write_cover(&j->tags, m);
	av_dict_free(&options);
	return r;
}

static int put_id3(const struct join *j, struct buf *head, struct err *e)
{
	if (!tags_any(&j->tags))
		return 0;
	AVFormatContext *m = NULL;
	int r = avformat_alloc_output_context2(&m, NULL, "mp3", NULL);
	AVStream *st = r >= 0 ? avformat_new_stream(m, NULL) : NULL;
	if (st) {
		st->codecpar->codec_type = AVMEDIA_TYPE_AUDIO;
		st->codecpar->codec_id = AV_CODEC_ID_MP3;
		st->codecpar->sample_rate = (int)j->spec->rate;
		st->time_base = av_make_q(1, (int)j->spec->rate);
		m->flags |= AVFMT_FLAG_BITEXACT;
		r = avio_open_dyn_buf(&m->pb);
	}
	if (st && r >= 0) {
		uint8_t *tag = NULL;
		r = write_id3(j, m);
		const int size = avio_close_dyn_buf(m->pb, &tag);
		if (r >= 0 && size > 0)
			(void)buf_append(head, tag, (size_t)size); /* checked with the rest */
		av_free(tag);
	}
	avformat_free_context(m);
	return r < 0 || !st ? averror_internal(e, r < 0 ? r : AVERROR(ENOMEM), "write the ID3 tag") : 0;
}

/* ---- Places to seek to ---- */

struct toc {
	uint64_t frames, bytes; /* of all */
	uint64_t frame, at;	/* so far; the Info frame counts as bytes */
	uint8_t entry[TOC_ENTRIES];
	int next;
};

/* Entry i: in 256ths of the file, where i percent of the time are over. */
static int note_place(void *ctx, uint32_t size, struct err *e)
{
	struct toc *t = ctx;
	(void)e;
	while (t->next < TOC_ENTRIES && t->frame * 100 >= (uint64_t)t->next * t->frames)
		t->entry[t->next++] = (uint8_t)(t->at * 256 / t->bytes);
	t->frame++;
	t->at += size;
	return 0;
}

/* ---- The frame ---- */

struct header {
	uint32_t word;
	uint32_t size; /* of the frame */
	uint32_t kbps;
};

/* A header like the stream's, of the lowest bit rate at which the information fits; a constant rate's own where it can be. */
static bool choose_header(const struct join *j, uint32_t side_info, struct header *ret)
{
	static const uint16_t mpeg1[16] = { 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0 };
	static const uint16_t mpeg2[16] = { 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0 };
	const bool lsf = j->spec->rate < 32000;
	const uint16_t *rates = lsf ? mpeg2 : mpeg1;
	const uint32_t own = j->spec->bitrate_bps ? j->first_header >> 12 & 15 : 1;
	for (uint32_t i = own ? own : 1; i < 15; i++) {
		const uint32_t size = (lsf ? 72000u : 144000u) * rates[i] / j->spec->rate;
		if (size < 4 + side_info + INFO_BYTES || size > FRAME_MAX_BYTES)
			continue;
		/* no CRC (bit 16), no padding (bit 9), no joint stereo's bits (4 and 5) */
		const uint32_t word = ((j->first_header & 0xffff0dcf) | 1u << 16) & ~(15u << 12);
		*ret = (struct header){ .word = word | i << 12, .size = size, .kbps = rates[i] };
		return true;
	}
	return false;
}

static uint8_t *put_lame(const struct join *j, uint8_t *p, uint32_t padding, uint64_t bytes)
{
	static const uint8_t encoder[] = { 'L', 'A', 'M', 'E', '3', '.', '1', '0', '0' };
	const bool constant = j->spec->bitrate_bps;
	const uint32_t kbps = j->spec->bitrate_bps / 1000;
	memcpy(p, encoder, sizeof(encoder));
	p[9] = constant ? 1 : 4; /* revision 0; CBR, or LAME's newer VBR */
	p[20] = constant ? (uint8_t)(kbps < 255 ? kbps : 255) : 0;
	AV_WB32(p + 21, (ENCODER_DELAY << 12 | padding) << 8);
	AV_WB32(p + 28, bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX);
	AV_WB16(p + 32, j->crc);
	return p + 34; /* the tag's own CRC */
}

static int put_info_frame(const struct join *j, struct buf *head, struct err *e)
{
	const int64_t grid = convert_grid_samples(CONVERT_MP3, j->spec->rate);
	const int64_t padding = (int64_t)j->frames * grid - j->samples - ENCODER_DELAY;
	const bool mono = j->spec->channels == 1, lsf = j->spec->rate < 32000;
	const uint32_t side_info = lsf ? (mono ? 9 : 17) : (mono ? 17 : 32);
	struct header h;
	if (padding < DECODER_DELAY || padding > 4095 || j->first_header >> 21 != 0x7ff)
		return err_set(e, ERR_INTERNAL, "%lld samples in %llu frames", (long long)j->samples,
			       (unsigned long long)j->frames);
	if (!choose_header(j, side_info, &h))
		return err_set(e, ERR_INTERNAL, "no frame of %u Hz holds the information", j->spec->rate);
	uint8_t frame[FRAME_MAX_BYTES] = { 0 };
	const uint64_t bytes = h.size + j->bytes;
	struct toc toc = { .frames = j->frames, .bytes = bytes, .at = h.size };
	int r = join_frames(j, note_place, &toc, e);
	if (r < 0)
		return r;
	AV_WB32(frame, h.word);
	uint8_t *p = frame + 4 + side_info;
	memcpy(p, j->spec->bitrate_bps ? "Info" : "Xing", 4);
	AV_WB32(p + 4, 15); /* all four fields */
	AV_WB32(p + 8, j->frames < UINT32_MAX ? (uint32_t)j->frames : UINT32_MAX);
	AV_WB32(p + 12, bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX);
	memcpy(p + 16, toc.entry, TOC_ENTRIES);
	/* a hundred is best: LAME's ten steps of V */
	AV_WB32(p + 16 + TOC_ENTRIES, j->spec->bitrate_bps ? 0 : 100 - 10 * j->spec->quality);
	p = put_lame(j, p + 20 + TOC_ENTRIES, (uint32_t)padding, bytes);
	AV_WB16(p, crc16(0, frame, (size_t)(p - frame)));
	return buf_append(head, frame, h.size) ? 0 : buf_finish(head, e);
}

int join_mp3(const struct join *j, struct buf *head, struct err *e)
{
	int r = put_id3(j, head, e);
	return r < 0 ? r : put_info_frame(j, head, e);
}
