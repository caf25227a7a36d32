/* TS segments by libavformat's mpegts muxer: see segment_ts.h.
 *
 * Decoding times must not be later than presentation times here (ISO/IEC 13818-1, 2.4.3.7), and must rise over joints
 * of segments that know nothing of each other. With reordering by d frames, a segment's first d packets lie before
 * its start, a frame's duration apart, and the k-th of the others at the presentation time of the (k - d)-th frame;
 * the last ones are kept before the first of the next segment. At a constant frame rate that is an unbroken row of
 * frame durations.
 */
#include "media/segment_ts.h"

#include <assert.h>
#include <libavformat/avformat.h>
#include <libavutil/mathematics.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/mux_memory.h"
#include "media/ts_neutral.h"

/* The clock reference runs this much ahead of decoding: time for a decoder's buffer to fill (ffmpeg's own muxdelay). */
#define MUX_DELAY_US 700000
/* Frames that are shown for long (a slideshow's) don't move the first packets further than this before their segment. */
#define LEAD_MAX_TICKS 3750

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

static void set_video_times(struct segment_input *in)
{
	_cleanup_free_ int64_t *sorted = segment_sorted_pts(in);
	size_t n = in->count, d = in->reorder > 0 ? (size_t)in->reorder : 0;
	int64_t step = in->frame_ticks > 0 && in->frame_ticks < LEAD_MAX_TICKS ? in->frame_ticks : LEAD_MAX_TICKS;
	int64_t next_first = in->end - (int64_t)d * step; /* where the next segment's decoding begins */
	for (size_t k = 0; k < n; k++) {
		int64_t dts = k < d ? in->start - (int64_t)(d - k) * step : sorted[k - d];
		int64_t latest = next_first - (int64_t)(n - k);
		AVPacket *p = in->packets[k];
		p->dts = (dts < latest ? dts : latest) + TS_OFFSET_TICKS;
		p->pts += TS_OFFSET_TICKS;
		p->duration = (k + 1 < n ? sorted[k + 1] : in->end) - sorted[k];
		p->stream_index = 0;
	}
}

static void set_audio_times(struct segment_input *in)
{
	for (size_t k = 0; k < in->count; k++) {
		AVPacket *p = in->packets[k];
		p->pts = av_rescale(p->pts, 90000, in->time_base.den) + TS_OFFSET_TICKS;
		p->dts = p->pts;
		p->duration = 0;
		p->stream_index = 0;
	}
}

static int write_packets(AVFormatContext *m, struct segment_input *in)
{
	for (size_t i = 0; i < in->count; i++) {
		int r = av_write_frame(m, in->packets[i]);
		if (r < 0)
			return r;
	}
	return av_write_trailer(m);
}

static int mux(struct segment_input *in, struct buf *out)
{
	_cleanup_mux_memory_ AVFormatContext *m = NULL;
	int r = muxer_open(in->par, out, &m);
	if (r >= 0)
		r = write_packets(m, in);
	if (r >= 0)
		avio_flush(m->pb);
	return r;
}

int segment_ts_write(struct segment_input *in, struct buf *out, struct err *e)
{
	assert(in->count > 0);
	if (in->par->codec_type == AVMEDIA_TYPE_VIDEO)
		set_video_times(in);
	else
		set_audio_times(in);
	_cleanup_buf_ struct buf ts;
	buf_init(&ts, out->max);
	int r = mux(in, &ts);
	if (r < 0)
		return averror_internal(e, r, "write a segment");
	return ts_neutral((const uint8_t *)ts.data, ts.len, out, e);
}
