/* What comes before FLAC's frames: STREAMINFO, tags, cover. Runs in a sandboxed child of millrace-task.
 *
 * STREAMINFO ends with an MD5 of all samples, and MD5 can't be put together from those of chunks: the parts are read and decoded
 * once more, in order. So what is promised there is what the file holds, and a damaged part is found before the file is made.
 * (Measured: a third of what encoding takes.)
 */
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/md5.h>
#include <libavutil/mem.h>
#include <string.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/join.h"
#include "media/mux_memory.h"

#define STREAMINFO_BYTES 34
#define BLOCK_SAMPLES 4096

struct digest {
	const struct join *join;
	AVCodecContext *decoder;
	AVPacket *packet;
	AVFrame *frame;
	struct AVMD5 *md5;
	uint64_t offset; /* of the next frame in the parts */
	int64_t samples;
	uint8_t window[256u << 10];
	uint32_t at, fill;
	uint64_t reached;
	uint8_t packed[BLOCK_SAMPLES * CONVERT_CHANNELS_MAX * 4];
};

static int damaged(struct err *e)
{
	return err_set_code(e, ERR_MEDIA, "DAMAGED_INDEX", "a part isn't what its index says");
}

/* `len` bytes of the parts, from a window that is filled in large reads. */
static int read_bytes(struct digest *d, uint8_t *out, uint32_t len, struct err *e)
{
	while (len) {
		if (d->at == d->fill) {
			uint32_t got = 0;
			int r = d->join->io->read(d->join->io->ctx, CONVERT_INPUT_PARTS, d->offset, d->window,
						  sizeof(d->window), &got, e);
			if (r < 0)
				return r;
			if (!got)
				return damaged(e);
			d->at = 0;
			d->fill = got;
			d->offset += got;
		}
		uint32_t n = d->fill - d->at < len ? d->fill - d->at : len;
		memcpy(out, d->window + d->at, n);
		d->at += n;
		out += n;
		len -= n;
	}
	return 0;
}

/* As the format's digest wants them: interleaved, signed, little-endian, no wider than they are. */
static int add_samples(struct digest *d, struct err *e)
{
	const AVFrame *f = d->frame;
	const uint32_t channels = d->join->spec->channels;
	const bool wide = d->join->spec->sample == SAMPLE_S24;
	if (f->nb_samples < 1 || f->nb_samples > BLOCK_SAMPLES || f->ch_layout.nb_channels != (int)channels ||
	    f->format != (wide ? AV_SAMPLE_FMT_S32 : AV_SAMPLE_FMT_S16))
		return damaged(e);
	const size_t count = (size_t)f->nb_samples * channels;
	d->samples += f->nb_samples;
	if (!wide) {
		av_md5_update(d->md5, f->data[0], count * 2);
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		const uint32_t v = (uint32_t)((const int32_t *)(const void *)f->data[0])[i];
		d->packed[3 * i] = (uint8_t)(v >> 8);
		d->packed[3 * i + 1] = (uint8_t)(v >> 16);
		d->packed[3 * i + 2] = (uint8_t)(v >> 24);
	}
	av_md5_update(d->md5, d->packed, count * 3);
	return 0;
}

static int add_frame(void *ctx, uint32_t size, struct err *e)
{
	struct digest *d = ctx;
	int r = av_new_packet(d->packet, (int)size);
	if (r < 0)
		return averror_internal(e, r, "check the parts");
	int res = read_bytes(d, d->packet->data, size, e);
	if (res == 0)
		r = avcodec_send_packet(d->decoder, d->packet);
	av_packet_unref(d->packet);
	if (res < 0)
		return res;
	if (r < 0 || avcodec_receive_frame(d->decoder, d->frame) < 0)
		return damaged(e);
	res = add_samples(d, e);
	av_frame_unref(d->frame);
	return res;
}

static void put_streaminfo(const struct join *j, uint8_t *s)
{
	const uint32_t bits = j->spec->sample == SAMPLE_S24 ? 24 : 16;
	AV_WB16(s, BLOCK_SAMPLES);
	AV_WB16(s + 2, BLOCK_SAMPLES);
	/* 24 bits each; the size before is there, and 0, so it may be written over */
	AV_WB32(s + 6, j->frame_max);
	AV_WB32(s + 4, j->frame_min << 8 | j->frame_max >> 16);
	/* 20 bits rate, 3 channels - 1, 5 bits - 1, 36 samples */
	AV_WB64(s + 10, (uint64_t)j->spec->rate << 44 | (uint64_t)(j->spec->channels - 1) << 41 | (uint64_t)(bits - 1) << 36 |
				((uint64_t)j->samples & ((UINT64_C(1) << 36) - 1)));
}

static int open_digest(struct digest *d, const uint8_t *streaminfo)
{
	const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_FLAC);
	d->decoder = codec ? avcodec_alloc_context3(codec) : NULL;
	d->packet = av_packet_alloc();
	d->frame = av_frame_alloc();
	d->md5 = av_md5_alloc();
	if (!d->decoder || !d->packet || !d->frame || !d->md5)
		return AVERROR(ENOMEM);
	av_md5_init(d->md5);
	d->decoder->extradata = av_mallocz(STREAMINFO_BYTES + AV_INPUT_BUFFER_PADDING_SIZE);
	if (!d->decoder->extradata)
		return AVERROR(ENOMEM);
	memcpy(d->decoder->extradata, streaminfo, STREAMINFO_BYTES);
	d->decoder->extradata_size = STREAMINFO_BYTES;
	d->decoder->thread_count = 1;
	d->decoder->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
	return avcodec_open2(d->decoder, codec, NULL);
}

static int digest_parts(const struct join *j, uint8_t *streaminfo, struct err *e)
{
	struct digest *d = mr_calloc(1, sizeof(*d));
	d->join = j;
	int r = open_digest(d, streaminfo);
	r = r < 0 ? averror_internal(e, r, "check the parts") : join_frames(j, add_frame, d, e);
	if (r == 0 && d->samples != j->samples)
		r = damaged(e);
	if (r == 0)
		av_md5_final(d->md5, streaminfo + 18);
	avcodec_free_context(&d->decoder);
	av_packet_free(&d->packet);
	av_frame_free(&d->frame);
	av_free(d->md5);
	free(d);
	return r;
}

static int put_header(const struct join *j, const uint8_t *streaminfo, struct buf *head)
{
	AVCodecParameters *par = avcodec_parameters_alloc();
	_cleanup_mux_memory_ AVFormatContext *m = NULL;
	int r = par ? 0 : AVERROR(ENOMEM);
	if (r == 0) {
		par->codec_type = AVMEDIA_TYPE_AUDIO;
		par->codec_id = AV_CODEC_ID_FLAC;
		par->sample_rate = (int)j->spec->rate;
		par->extradata = av_mallocz(STREAMINFO_BYTES + AV_INPUT_BUFFER_PADDING_SIZE);
		r = par->extradata ? 0 : AVERROR(ENOMEM);
	}
	if (r == 0) {
		memcpy(par->extradata, streaminfo, STREAMINFO_BYTES);
		par->extradata_size = STREAMINFO_BYTES;
		r = mux_memory_open("flac", par, av_make_q(1, (int)j->spec->rate), head, &m);
	}
	if (r >= 0)
		r = tags_copy_text(&j->tags, m);
	if (r >= 0)
		r = tags_add_cover(&j->tags, m);
	if (r >= 0)
		r = avformat_write_header(m, NULL);
	if (r >= 0)
		r = tags_write_cover(&j->tags, m);
	if (r >= 0)
		avio_flush(m->pb);
	avcodec_parameters_free(&par);
	return r;
}

int join_flac(const struct join *j, struct buf *head, struct err *e)
{
	uint8_t streaminfo[STREAMINFO_BYTES] = { 0 };
	put_streaminfo(j, streaminfo);
	int r = digest_parts(j, streaminfo, e);
	if (r < 0)
		return r;
	r = put_header(j, streaminfo, head);
	return r < 0 ? averror_internal(e, r, "write FLAC's header") : 0;
}
