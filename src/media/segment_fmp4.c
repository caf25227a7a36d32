/* fMP4 segments by libavformat's mp4 muxer: see segment_fmp4.h. */
#include "media/segment_fmp4.h"

#include <assert.h>
#include <libavformat/avformat.h>
#include <stdlib.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/mux_memory.h"

/* Segment type box (ISO/IEC 14496-12, 8.16.2): a DASH media segment that is a CMAF segment as well. */
static const uint8_t STYP[] = { 0, 0, 0, 24, 's', 't', 'y', 'p', 'm', 's', 'd', 'h', 0, 0, 0, 0,
				'm', 's', 'd', 'h', 'c', 'm', 'f', 's' };

static int muxer_options(AVDictionary **opts, uint32_t sequence)
{
	int r = av_dict_set(opts, "movflags",
			    "empty_moov+default_base_moof+frag_custom+frag_discont+skip_trailer", 0);
	if (r >= 0)
		r = av_dict_set(opts, "use_editlist", "0", 0);
	if (r >= 0)
		r = av_dict_set_int(opts, "fragment_index", sequence, 0);
	if (r >= 0)
		r = av_dict_set_int(opts, "video_track_timescale", 90000, 0);
	return r;
}

static int muxer_open(const AVCodecParameters *par, AVRational time_base, uint32_t sequence, struct buf *out,
		      AVFormatContext **ret)
{
	_cleanup_mux_memory_ AVFormatContext *m = NULL;
	int r = mux_memory_open("mp4", par, time_base, out, &m);
	if (r < 0)
		return r;
	AVDictionary *opts = NULL;
	r = muxer_options(&opts, sequence);
	if (r >= 0)
		r = avformat_write_header(m, &opts);
	av_dict_free(&opts);
	if (r < 0)
		return r;
	avio_flush(m->pb);
	*ret = mr_steal(m);
	return 0;
}

int segment_fmp4_init(const AVCodecParameters *par, AVRational time_base, struct buf *out, struct err *e)
{
	_cleanup_mux_memory_ AVFormatContext *m = NULL;
	int r = muxer_open(par, time_base, 1, out, &m);
	return r < 0 ? averror_internal(e, r, "write the init segment") : buf_finish(out, e);
}

static void set_times(struct segment_input *in)
{
	if (in->par->codec_type == AVMEDIA_TYPE_VIDEO) {
		segment_video_times(in, in->lead_ticks);
		return;
	}
	int64_t lead = av_rescale(in->lead_ticks, in->time_base.den, VIDEO_TIMESCALE);
	for (size_t i = 0; i < in->count; i++) {
		AVPacket *p = in->packets[i];
		p->duration = (i + 1 < in->count ? in->packets[i + 1]->pts : in->end) - p->pts;
	}
	for (size_t i = 0; i < in->count; i++)
		in->packets[i]->dts = in->packets[i]->pts += lead;
}

static int write_packets(AVFormatContext *m, struct segment_input *in)
{
	for (size_t i = 0; i < in->count; i++) {
		in->packets[i]->stream_index = 0;
		int r = av_write_frame(m, in->packets[i]);
		if (r < 0)
			return r;
	}
	return av_write_frame(m, NULL); /* closes the fragment */
}

int segment_fmp4_write(struct segment_input *in, struct buf *out, struct err *e)
{
	assert(in->count > 0);
	_cleanup_mux_memory_ AVFormatContext *m = NULL;
	int r = muxer_open(in->par, in->time_base, in->index + 1, out, &m);
	if (r < 0)
		return averror_internal(e, r, "open a segment");
	buf_clear(out); /* the header is the init segment's */
	set_times(in);
	avio_write(m->pb, STYP, sizeof(STYP));
	r = write_packets(m, in);
	if (r >= 0)
		r = av_write_trailer(m);
	if (r < 0)
		return averror_internal(e, r, "write a segment");
	avio_flush(m->pb);
	return buf_finish(out, e);
}
