/* A muxer that writes into memory: see mux_memory.h. */
#include "media/mux_memory.h"

#include <errno.h>

#define IO_BUFFER_SIZE 65536

#if LIBAVFORMAT_VERSION_MAJOR >= 61
static int write_bytes(void *opaque, const uint8_t *data, int len)
#else
static int write_bytes(void *opaque, uint8_t *data, int len)
#endif
{
	return len > 0 && !buf_append(opaque, data, (size_t)len) ? AVERROR(ENOSPC) : len;
}

void mux_memory_close(AVFormatContext **m)
{
	if (!*m)
		return;
	if ((*m)->pb) {
		av_freep(&(*m)->pb->buffer);
		avio_context_free(&(*m)->pb);
	}
	avformat_free_context(*m);
	*m = NULL;
}

int mux_memory_open(const char *format, const AVCodecParameters *par, AVRational time_base, struct buf *out, AVFormatContext **ret)
{
	_cleanup_mux_memory_ AVFormatContext *m = NULL;
	int r = avformat_alloc_output_context2(&m, NULL, format, NULL);
	if (r < 0)
		return r;
	uint8_t *buffer = av_malloc(IO_BUFFER_SIZE);
	if (buffer)
		m->pb = avio_alloc_context(buffer, IO_BUFFER_SIZE, 1, out, NULL, write_bytes, NULL);
	if (!m->pb)
		av_free(buffer);
	AVStream *st = avformat_new_stream(m, NULL);
	if (!m->pb || !st)
		return AVERROR(ENOMEM);
	r = avcodec_parameters_copy(st->codecpar, par);
	if (r < 0)
		return r;
	/* hvc1: parameter sets are in the header alone (ISO/IEC 14496-15, 8.4.1); Apple plays no other. */
	st->codecpar->codec_tag = par->codec_id == AV_CODEC_ID_HEVC ? MKTAG('h', 'v', 'c', '1') : 0;
	st->codecpar->initial_padding = 0; /* the timeline has taken the encoder's priming out already */
	st->time_base = time_base;
	st->sample_aspect_ratio = (AVRational){ 1, 1 };
	m->flags |= AVFMT_FLAG_BITEXACT;
	m->avoid_negative_ts = 0;
	*ret = mr_steal(m);
	return 0;
}
