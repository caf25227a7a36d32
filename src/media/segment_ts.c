/* TS segments by libavformat's mpegts muxer: see segment_ts.h.
 */
#include "media/segment_ts.h"

#include <assert.h>
#include <libavformat/avformat.h>
#include <libavutil/mathematics.h>
#include <libavutil/opt.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/mux_memory.h"
#include "media/ts_neutral.h"

/* The clock reference runs this much ahead of decoding: time for a decoder's buffer to fill (ffmpeg's own muxdelay). */
#define MUX_DELAY_US 700000
static int muxer_options(AVDictionary **opts)
{
	int r = av_dict_set(opts, "mpegts_copyts", "1", 0);
	/* tables once; ts_neutral repeats them */
	if (r >= 0)
		r = av_dict_set(opts, "pat_period", "86400", 0);
	if (r >= 0)
		r = av_dict_set(opts, "sdt_period", "86400", 0);
	return r;
}

static int muxer_open(const AVCodecParameters *par, struct buf *out, AVFormatContext **ret)
{
	_cleanup_mux_memory_ AVFormatContext *m = NULL;
	int r = mux_memory_open("mpegts", par, av_make_q(1, 90000), out, &m);
	if (r < 0)
		return r;
	m->max_delay = MUX_DELAY_US;
	AVDictionary *opts = NULL;
	r = muxer_options(&opts);
	if (r >= 0)
		r = avformat_write_header(m, &opts);
	av_dict_free(&opts);
	if (r < 0)
		return r;
	*ret = mr_steal(m);
	return 0;
}

static void set_audio_times(struct segment_input *in)
{
	for (size_t k = 0; k < in->count; k++) {
		AVPacket *p = in->packets[k];
		p->pts = av_rescale(p->pts, 90000, in->time_base.den) + TS_OFFSET_TICKS;
		p->dts = p->pts;
		p->duration = 0;
	}
}

static int write_packets(AVFormatContext *m, struct segment_input *in, const struct iframes *f)
{
	for (size_t i = 0; i < in->count; i++) {
		in->packets[i]->stream_index = 0;
		int r = iframes_has(f, i) ? av_opt_set(m->priv_data, "mpegts_flags", "+resend_headers", 0) : 0;
		if (r >= 0)
			r = av_write_frame(m, in->packets[i]);
		if (r < 0)
			return r;
	}
	return av_write_trailer(m);
}

static int mux(struct segment_input *in, const struct iframes *f, struct buf *out)
{
	_cleanup_mux_memory_ AVFormatContext *m = NULL;
	int r = muxer_open(in->par, out, &m);
	if (r >= 0)
		r = write_packets(m, in, f);
	if (r >= 0)
		avio_flush(m->pb);
	return r;
}

int segment_ts_write(struct segment_input *in, struct buf *out, struct iframes *ret_iframes, struct err *e)
{
	assert(in->count > 0);
	struct iframes f;
	iframes_choose(in, &f);
	if (in->par->codec_type == AVMEDIA_TYPE_VIDEO)
		segment_video_times(in, TS_OFFSET_TICKS);
	else
		set_audio_times(in);
	_cleanup_buf_ struct buf ts;
	buf_init(&ts, out->max);
	int r = mux(in, &f, &ts);
	if (r < 0)
		return averror_internal(e, r, "write a segment");
	size_t start = out->len;
	r = ts_neutral((const uint8_t *)ts.data, ts.len, out, e);
	if (r == 0 && f.count)
		r = iframes_find_ts((const uint8_t *)out->data + start, out->len - start, &f, e);
	if (r == 0)
		*ret_iframes = f;
	return r;
}
