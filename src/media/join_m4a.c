/* What comes before an M4A's frames: ftyp, moov, and the beginning of mdat. libavformat's muxer writes a whole file of frames of
 * the right sizes into a sink that keeps its beginning and its end; then the chunks' offsets are moved by what now stands before
 * them. Runs in a sandboxed child of millrace-task.
 *
 * An edit list and the track's length say which samples are the encoder's priming and the last frame's filling, so that a
 * decoder gives back as many as went in.
 */
#include <assert.h>
#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mem.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/encode_codec.h"
#include "media/join.h"

#define IO_BUFFER_BYTES (256u << 10)

/* ---- The sink ---- */

struct sink {
	struct buf front, back;
	uint64_t at, size;
	uint64_t front_end, back_start; /* what lies between is dropped */
};

#if LIBAVFORMAT_VERSION_MAJOR >= 61
static int sink_write(void *opaque, const uint8_t *data, int len)
#else
static int sink_write(void *opaque, uint8_t *data, int len)
#endif
{
	struct sink *s = opaque;
	const uint64_t from = s->at, to = from + (uint64_t)len;
	s->at = to;
	s->size = to > s->size ? to : s->size;
	if (from == s->front.len && to <= s->front_end)
		return buf_append(&s->front, data, (size_t)len) ? len : AVERROR(ENOSPC);
	if (from < s->back_start)
		return len;
	const uint64_t offset = from - s->back_start;
	if (offset > s->back.len)
		return AVERROR(EINVAL);
	const uint64_t over = s->back.len - offset < (uint64_t)len ? s->back.len - offset : (uint64_t)len;
	if (over)
		memcpy(s->back.data + offset, data, (size_t)over);
	return buf_append(&s->back, data + over, (size_t)len - (size_t)over) ? len : AVERROR(ENOSPC);
}

static int64_t sink_seek(void *opaque, int64_t offset, int whence)
{
	struct sink *s = opaque;
	if (whence == AVSEEK_SIZE)
		return (int64_t)s->size;
	if (whence != SEEK_SET || offset < 0)
		return AVERROR(EINVAL);
	s->at = (uint64_t)offset;
	return offset;
}

/* ---- The muxer ---- */

struct m4a {
	const struct join *join;
	AVFormatContext *muxer;
	AVPacket *packet;
	uint64_t frame;
	int64_t end; /* of the sound, in samples from the priming's start */
	struct sink sink;
};

static int write_frame(void *ctx, uint32_t size, struct err *e)
{
	struct m4a *m = ctx;
	const int64_t at = (int64_t)m->frame * AAC_FRAME_SAMPLES;
	AVPacket *p = m->packet;
	if (at >= m->end)
		return err_set(e, ERR_INTERNAL, "more frames than samples");
	p->size = (int)size;
	p->pts = p->dts = at - AAC_FRAME_SAMPLES;
	p->duration = m->end - at < AAC_FRAME_SAMPLES ? m->end - at : AAC_FRAME_SAMPLES;
	p->flags = AV_PKT_FLAG_KEY;
	p->stream_index = 0;
	m->frame++;
	int r = av_write_frame(m->muxer, p);
	return r < 0 ? averror_internal(e, r, "write a frame's place") : 0;
}

static int open_muxer(struct m4a *m, const AVCodecContext *encoder)
{
	int r = avformat_alloc_output_context2(&m->muxer, NULL, "ipod", NULL);
	if (r < 0)
		return r;
	uint8_t *buffer = av_malloc(IO_BUFFER_BYTES);
	AVIOContext *io = buffer ? avio_alloc_context(buffer, IO_BUFFER_BYTES, 1, &m->sink, NULL, sink_write, sink_seek) : NULL;
	if (!io)
		av_free(buffer);
	m->muxer->pb = io;
	AVStream *st = avformat_new_stream(m->muxer, NULL);
	if (!io || !st)
		return AVERROR(ENOMEM);
	r = avcodec_parameters_from_context(st->codecpar, encoder);
	st->codecpar->codec_tag = 0;
	st->time_base = encoder->time_base;
	m->muxer->flags |= AVFMT_FLAG_BITEXACT;
	m->muxer->avoid_negative_ts = 0;
	if (r >= 0)
		r = tags_copy_text(&m->join->tags, m->muxer);
	if (r >= 0)
		r = tags_add_cover(&m->join->tags, m->muxer);
	return r;
}

static void close_muxer(struct m4a *m)
{
	if (m->muxer && m->muxer->pb) {
		av_freep(&m->muxer->pb->buffer);
		avio_context_free(&m->muxer->pb);
	}
	avformat_free_context(m->muxer);
	if (m->packet)
		m->packet->data = NULL;
	av_packet_free(&m->packet);
}

static int write_all(struct m4a *m, struct err *e)
{
	AVDictionary *options = NULL;
	m->sink.front_end = m->sink.back_start = UINT64_MAX;
	/* edit lists count in the movie's timescale */
	int r = av_dict_set_int(&options, "movie_timescale", m->join->spec->rate, 0);
	if (r >= 0)
		r = avformat_write_header(m->muxer, &options);
	av_dict_free(&options);
	if (r >= 0) {
		avio_flush(m->muxer->pb);
		m->sink.front_end = m->sink.at;
		r = tags_write_cover(&m->join->tags, m->muxer);
	}
	if (r < 0)
		return averror_internal(e, r, "open the M4A muxer");
	r = join_frames(m->join, write_frame, m, e);
	if (r < 0)
		return r;
	avio_flush(m->muxer->pb);
	m->sink.back_start = m->sink.at;
	r = av_write_trailer(m->muxer);
	if (r >= 0)
		avio_flush(m->muxer->pb);
	return r < 0 ? averror_internal(e, r, "write the moov") : 0;
}

/* ---- Moving the offsets ---- */

/* A box within [p, end): its size, 0 if it isn't one. */
static uint64_t box_size(const uint8_t *p, const uint8_t *end)
{
	if (end - p < 8)
		return 0;
	const uint64_t size = AV_RB32(p);
	return size >= 8 && size <= (uint64_t)(end - p) ? size : 0;
}

static bool add_to_offsets(uint8_t *p, uint64_t size, uint64_t delta, bool wide)
{
	const uint64_t count = size >= 16 ? AV_RB32(p + 12) : 0;
	if (size < 16 || count > (size - 16) / (wide ? 8 : 4))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		uint8_t *o = p + 16 + i * (wide ? 8 : 4);
		const uint64_t moved = (wide ? AV_RB64(o) : AV_RB32(o)) + delta;
		if (!wide && moved > UINT32_MAX)
			return false;
		if (wide)
			AV_WB64(o, moved);
		else
			AV_WB32(o, (uint32_t)moved);
	}
	return true;
}

/* Every stco and co64 in moov/trak/mdia/minf/stbl. */
static bool move_offsets(uint8_t *p, const uint8_t *end, uint64_t delta)
{
	static const char inner[][5] = { "moov", "trak", "mdia", "minf", "stbl" };
	for (uint64_t size; p < end; p += size) {
		size = box_size(p, end);
		if (!size)
			return false;
		const char *type = (const char *)p + 4;
		bool right = true;
		for (size_t i = 0; i < MR_ARRAY_SIZE(inner); i++)
			if (memcmp(type, inner[i], 4) == 0)
				right = move_offsets(p + 8, p + size, delta);
		if (memcmp(type, "stco", 4) == 0)
			right = add_to_offsets(p, size, delta, false);
		else if (memcmp(type, "co64", 4) == 0)
			right = add_to_offsets(p, size, delta, true);
		if (!right)
			return false;
	}
	return true;
}

static int assemble(struct m4a *m, struct buf *head, struct err *e)
{
	uint8_t *front = (uint8_t *)m->sink.front.data, *moov = (uint8_t *)m->sink.back.data;
	const uint64_t ftyp = front ? box_size(front, front + m->sink.front.len) : 0, data = m->join->bytes;
	const bool large = data + 8 > UINT32_MAX;
	const uint64_t before = ftyp + m->sink.back.len + (large ? 16 : 8);
	if (!ftyp || !moov || before < m->sink.front_end)
		return err_set(e, ERR_INTERNAL, "the muxer wrote no ftyp or no moov");
	if (!move_offsets(moov, moov + m->sink.back.len, before - m->sink.front_end))
		return err_set_code(e, ERR_TOO_LARGE, "TOO_LONG", "%llu bytes of sound don't fit an M4A", (unsigned long long)data);
	uint8_t mdat[16] = { 0 };
	AV_WB32(mdat, large ? 1 : (uint32_t)data + 8);
	AV_WB32(mdat + 4, MKBETAG('m', 'd', 'a', 't'));
	AV_WB64(mdat + 8, data + 16);
	(void)buf_append(head, front, ftyp);
	(void)buf_append(head, moov, m->sink.back.len);
	(void)buf_append(head, mdat, large ? 16 : 8);
	return buf_finish(head, e);
}

int join_m4a(const struct join *j, struct buf *head, struct err *e)
{
	struct m4a m = { .join = j, .end = j->samples + AAC_FRAME_SAMPLES, .packet = av_packet_alloc() };
	AVCodecContext *encoder = NULL;
	_cleanup_free_ uint8_t *zeros = mr_calloc(1, j->frame_max + AV_INPUT_BUFFER_PADDING_SIZE);
	buf_init(&m.sink.front, 4096);
	buf_init(&m.sink.back, head->max);
	int r = m.packet ? encode_codec_encoder(j->spec, &encoder, e) : averror_internal(e, AVERROR(ENOMEM), "join");
	if (r == 0) {
		assert(m.packet);
		m.packet->data = zeros;
		r = open_muxer(&m, encoder);
		r = r < 0 ? averror_internal(e, r, "open the M4A muxer") : write_all(&m, e);
	}
	if (r == 0)
		r = assemble(&m, head, e);
	avcodec_free_context(&encoder);
	close_muxer(&m);
	buf_release(&m.sink.front);
	buf_release(&m.sink.back);
	return r;
}
