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

static int close_fragment(AVFormatContext *m)
{
	int r = av_write_frame(m, NULL);
	avio_flush(m->pb);
	return r;
}

/* Each noted I-frame begins a fragment, so that it is its first sample. Notes where the fragments begin. */
static int write_packets(AVFormatContext *m, struct segment_input *in, const struct iframes *f, const struct buf *out,
			 size_t *fragments)
{
	uint32_t n = 0;
	for (size_t i = 0; i < in->count; i++) {
		if (n < f->count && f->packets[n] == i) {
			int r = i > 0 ? close_fragment(m) : 0;
			if (r < 0)
				return r;
			fragments[n++] = out->len;
		}
		in->packets[i]->stream_index = 0;
		int r = av_write_frame(m, in->packets[i]);
		if (r < 0)
			return r;
	}
	return close_fragment(m);
}

int segment_fmp4_write(struct segment_input *in, struct buf *out, struct iframes *ret_iframes, struct err *e)
{
	assert(in->count > 0);
	_cleanup_mux_memory_ AVFormatContext *m = NULL;
	/* fragments are numbered over all segments, though none knows how many another has */
	int r = muxer_open(in->par, in->time_base, in->index * TASK_IFRAMES_MAX + 1, out, &m);
	if (r < 0)
		return averror_internal(e, r, "open a segment");
	buf_clear(out); /* the header is the init segment's */
	size_t fragments[TASK_IFRAMES_MAX];
	struct iframes f;
	iframes_choose(in, &f);
	set_times(in);
	avio_write(m->pb, STYP, sizeof(STYP));
	avio_flush(m->pb);
	r = write_packets(m, in, &f, out, fragments);
	if (r >= 0)
		r = av_write_trailer(m);
	if (r < 0)
		return averror_internal(e, r, "write a segment");
	avio_flush(m->pb);
	r = buf_finish(out, e);
	for (uint32_t i = 0; r == 0 && i < f.count; i++)
		r = iframes_find_fmp4((const uint8_t *)out->data, out->len, fragments[i], i, &f, e);
	if (r == 0)
		*ret_iframes = f;
	return r;
}
