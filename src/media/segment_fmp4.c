/* fMP4 segments by libavformat's mp4 muxer: see segment_fmp4.h.
 *
 * Decoding times: the k-th packet is given the k-th presentation time of the segment, so that the first one's is the
 * segment's planned start in every segment. Composition offsets are then negative for some B-frames, which version 1
 * of trun allows (ISO/IEC 14496-12, 8.8.8). libavformat refuses packets with pts < dts, so they go in shifted by a
 * constant, which the muxer's negative_cts_offsets takes out again with the first packet.
 */
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
			    "empty_moov+default_base_moof+frag_custom+frag_discont+skip_trailer+negative_cts_offsets", 0);
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

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

int64_t *segment_sorted_pts(const struct segment_input *in)
{
	int64_t *sorted = mr_calloc(in->count, sizeof(*sorted));
	for (size_t i = 0; i < in->count; i++)
		sorted[i] = in->packets[i]->pts;
	qsort(sorted, in->count, sizeof(*sorted), compare_times);
	return sorted;
}

static void set_decoding_times(struct segment_input *in)
{
	_cleanup_free_ int64_t *sorted = segment_sorted_pts(in);
	int64_t shift = 0;
	for (size_t i = 0; i < in->count; i++)
		if (sorted[i] - in->packets[i]->pts > shift)
			shift = sorted[i] - in->packets[i]->pts;
	for (size_t i = 0; i < in->count; i++) {
		AVPacket *p = in->packets[i];
		p->dts = sorted[i] - shift;
		p->duration = (i + 1 < in->count ? sorted[i + 1] : in->end) - sorted[i];
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
	set_decoding_times(in);
	avio_write(m->pb, STYP, sizeof(STYP));
	r = write_packets(m, in);
	if (r >= 0)
		r = av_write_trailer(m);
	if (r < 0)
		return averror_internal(e, r, "write a segment");
	avio_flush(m->pb);
	return buf_finish(out, e);
}
