/* Formats whose body is one packet behind the other: MP3, AAC (ADTS), AAC for MP4, FLAC. Each packet has a number on the codec's
 * grid, counted from the file's first, and a chunk keeps those of its own range. Runs in a sandboxed child of millrace-task.
 *
 * The number says when the encoder was given a frame, not when it is heard: MP3 and AAC lag behind by their encoder's delay. So
 * the last chunk has the packets that the delay pushes out at the end. ADTS has no way to tell of a delay: packet 0, which only
 * primes the decoder, is left out, and the sound begins where it should.
 */
#include <assert.h>
#include <libavutil/intreadwrite.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/crc16.h"
#include "media/encode.h"
#include "media/encode_codec.h"
#include "media/flac_frame.h"
#include "media/mux_memory.h"

#define PACKET_MAX_BYTES (1u << 20)

struct packets {
	const struct convert_spec *spec;
	struct convert_out *out;
	struct encode_codec codec;
	int64_t grid;
	int64_t next, first, end; /* numbers: end INT64_MAX for the last chunk */
	AVFormatContext *adts;	  /* NULL for other formats */
	struct buf packet;	  /* as it is stored, where that differs */
};

static int on_mp3(struct packets *p, const AVPacket *packet)
{
	struct convert_index *ix = &p->out->index;
	if (!ix->frame_count && packet->size >= 4)
		ix->first_header = AV_RB32(packet->data);
	ix->crc = crc16((uint16_t)ix->crc, packet->data, (size_t)packet->size);
	return 0;
}

static int on_adts(struct packets *p, AVPacket *packet, struct err *e)
{
	packet->stream_index = 0;
	int r = av_write_frame(p->adts, packet);
	if (r < 0)
		return averror_internal(e, r, "write an ADTS frame");
	avio_flush(p->adts->pb);
	return buf_finish(&p->packet, e);
}

static int store(struct packets *p, AVPacket *packet, int64_t number, struct err *e)
{
	const void *data = packet->data;
	size_t size = (size_t)packet->size;
	int r = 0;
	buf_clear(&p->packet);
	if (p->spec->format == CONVERT_MP3)
		r = on_mp3(p, packet);
	else if (p->adts)
		r = on_adts(p, packet, e);
	else if (p->spec->format == CONVERT_FLAC &&
		 !flac_frame_renumber(packet->data, size, (uint64_t)number, &p->packet))
		return err_set_code(e, ERR_TOO_LARGE, "TOO_LONG", "FLAC frame %lld cannot be numbered", (long long)number);
	if (r < 0)
		return r;
	if (p->packet.len) {
		data = p->packet.data;
		size = p->packet.len;
	}
	if (!p->adts)
		convert_out_frame(p->out, (uint32_t)size);
	return convert_out_bytes(p->out, data, size, e);
}

static int take_packet(void *ctx, AVPacket *packet, struct err *e)
{
	struct packets *p = ctx;
	int r = 0;
	/* Counted, since libav loses count of time where the last frame is short. FLAC's encoder ends with an empty packet, which
	 * carries its own STREAMINFO. */
	if (packet->size) {
		if (p->next >= p->first && p->next < p->end)
			r = store(p, packet, p->next, e);
		p->next++;
	}
	av_packet_free(&packet);
	return r;
}

static int open_adts(struct packets *p, struct err *e)
{
	AVCodecParameters *par = avcodec_parameters_alloc();
	int r = par ? avcodec_parameters_from_context(par, p->codec.encoder) : AVERROR(ENOMEM);
	if (r >= 0)
		r = mux_memory_open("adts", par, p->codec.encoder->time_base, &p->packet, &p->adts);
	avcodec_parameters_free(&par);
	if (r >= 0)
		r = avformat_write_header(p->adts, NULL);
	return r < 0 ? averror_internal(e, r, "open the ADTS muxer") : 0;
}

static void packets_close(void *encoder)
{
	struct packets *p = encoder;
	encode_codec_release(&p->codec);
	mux_memory_close(&p->adts);
	buf_release(&p->packet);
	free(p);
}

static int packets_open(const struct encode_job *job, void **ret, struct err *e)
{
	const struct convert_spec *s = job->spec;
	struct packets *p = mr_calloc(1, sizeof(*p));
	p->spec = s;
	p->out = job->out;
	p->grid = convert_grid_samples(s->format, s->rate);
	assert(p->grid);
	p->next = job->from / p->grid;
	p->first = s->first_sample / p->grid;
	p->end = s->last ? INT64_MAX : p->first + s->sample_count / p->grid;
	if (s->format == CONVERT_AAC && p->first == 0)
		p->first = 1;
	buf_init(&p->packet, PACKET_MAX_BYTES);
	int r = encode_codec_open(&p->codec, job, take_packet, p, e);
	if (r == 0 && p->codec.encoder->frame_size != p->grid)
		r = err_set(e, ERR_INTERNAL, "frames of %d samples", p->codec.encoder->frame_size);
	if (r == 0 && s->format == CONVERT_AAC)
		r = open_adts(p, e);
	if (r < 0) {
		packets_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

static int packets_samples(void *encoder, const float *const *planes, int count, struct err *e)
{
	struct packets *p = encoder;
	return encode_codec_samples(&p->codec, planes, count, e);
}

static int packets_finish(void *encoder, int64_t total, struct err *e)
{
	struct packets *p = encoder;
	(void)total;
	return encode_codec_finish(&p->codec, e);
}

const struct encode_family encode_packets = { packets_open, packets_samples, packets_finish, packets_close };
