/* The walk over packets (see probe_walk.h). Bounded: a stream that yields no picture or sound within TRY_MAX is given
 * up, and a walk that isn't a scan ends after WALK_MAX packets. */
#include "media/probe_walk.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <stdlib.h>
#include <string.h>

/* A stream cut out of a broadcast may begin just after a keyframe; the next one is at most some seconds away. */
#define TRY_MAX_PACKETS 900
#define TRY_MAX_BYTES (32u << 20)
/* Enough to see whether packets are alike. */
#define WALK_MIN_PACKETS 64
#define WALK_MAX_PACKETS 20000
#define IDLE_MAX 10000 /* a demuxer that wants to be called again, for ever */

int probe_walk_init(struct probe_walk *w, struct media_input *in, bool scan_all, struct err *e)
{
	*w = (struct probe_walk){ .in = in, .scan_all = scan_all, .packet = av_packet_alloc(), .frame = av_frame_alloc() };
	for (size_t i = 0; i < TASK_STREAMS_MAX; i++) {
		struct walked_stream *s = &w->streams[i];
		s->first = s->end = s->decoded_ts = AV_NOPTS_VALUE;
		s->min_duration = INT64_MAX;
		step_stats_init(&s->steps);
	}
	time_join_init(&w->join, media_input_format(in));
	if (w->packet && w->frame)
		return 0;
	probe_walk_release(w);
	return media_averror(e, AVERROR(ENOMEM), "read packets");
}

void probe_walk_release(struct probe_walk *w)
{
	for (size_t i = 0; i < TASK_STREAMS_MAX; i++)
		avcodec_free_context(&w->streams[i].decoder);
	for (size_t i = 0; i < TASK_STREAMS_MAX; i++)
		gop_list_free(&w->streams[i].gops);
	av_packet_free(&w->packet);
	av_frame_free(&w->frame);
}

void probe_walk_try(struct probe_walk *w, uint32_t index)
{
	struct walked_stream *s = &w->streams[index];
	if (media_decoder_open(media_input_format(w->in)->streams[index], 1, &s->decoder, &s->why_not) < 0)
		s->decoder = NULL; /* why_not says it */
	if (w->scan_all)
		s->gops = gop_list_new(media_input_format(w->in)->streams[index]);
}

static void give_up(struct walked_stream *s, int averror)
{
	if (!s->decoder)
		return;
	(void)media_averror(&s->why_not, averror, "decode %s", avcodec_get_name(s->decoder->codec_id));
	avcodec_free_context(&s->decoder);
}

static void take_frame(struct probe_walk *w, struct walked_stream *s)
{
	s->decoded = true;
	s->decoded_ts = w->frame->best_effort_timestamp;
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
	s->interlaced = w->frame->flags & AV_FRAME_FLAG_INTERLACED;
#else
	s->interlaced = w->frame->interlaced_frame;
#endif
	av_frame_unref(w->frame);
	avcodec_free_context(&s->decoder);
}

/* Feeds one packet (NULL: the end) to a decoder that is being tried. Errors are what is to be found out, not failures. */
static void try_packet(struct probe_walk *w, struct walked_stream *s, const AVPacket *p)
{
	int r = avcodec_send_packet(s->decoder, p);
	int got = avcodec_receive_frame(s->decoder, w->frame);
	if (got >= 0) {
		take_frame(w, s);
		return;
	}
	if (p) {
		s->tried_packets++;
		s->tried_bytes += (uint64_t)p->size;
	}
	if (!p || s->tried_packets >= TRY_MAX_PACKETS || s->tried_bytes >= TRY_MAX_BYTES)
		give_up(s, r < 0 ? r : AVERROR_INVALIDDATA);
}

void step_stats_init(struct step_stats *s)
{
	*s = (struct step_stats){ .first = AV_NOPTS_VALUE, .last = AV_NOPTS_VALUE, .min = INT64_MAX, .min_span = INT64_MAX };
}

void step_stats_add(struct step_stats *s, int64_t dts)
{
	int64_t step;
	if (dts == AV_NOPTS_VALUE)
		return;
	if (s->first == AV_NOPTS_VALUE)
		s->first = dts;
	else if (!__builtin_sub_overflow(dts, s->last, &step)) {
		s->min = step < s->min ? step : s->min;
		s->max = step > s->max ? step : s->max;
		s->count++;
		/* Boyer and Moore's vote: a majority survives it, whatever the order */
		if (s->votes == 0)
			s->usual = step;
		s->votes += llabs(step - s->usual) <= 1 ? 1 : -1;
	}
	int64_t *oldest = &s->recent[s->count % STEP_WINDOW], span;
	if (s->count >= STEP_WINDOW && !__builtin_sub_overflow(dts, *oldest, &span) && span > 0 && span < s->min_span)
		s->min_span = span;
	*oldest = s->last = dts;
}

/* How long a packet without a duration lasts, in its stream's time base: a frame of video, else what the step before was. */
static int64_t guess_duration(const AVStream *st, const struct walked_stream *s)
{
	const AVRational fps = st->avg_frame_rate.num > 0 ? st->avg_frame_rate : st->r_frame_rate;
	if (st->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && fps.num > 0 && fps.den > 0)
		return av_rescale_q(1, av_inv_q(fps), st->time_base);
	return s->steps.count && s->steps.max > 0 && s->steps.min == s->steps.max ? s->steps.max : 0;
}

static void note_times(const AVStream *st, struct walked_stream *s, const AVPacket *p)
{
	const int64_t ts = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;
	const int64_t duration = p->duration > 0 ? p->duration : guess_duration(st, s);
	if (__builtin_add_overflow(s->durations, duration, &s->durations))
		s->durations = 0;
	step_stats_add(&s->steps, p->dts);
	int64_t end;
	if (ts == AV_NOPTS_VALUE || __builtin_add_overflow(ts, duration, &end))
		return;
	if (s->first == AV_NOPTS_VALUE || ts < s->first)
		s->first = ts;
	if (s->end == AV_NOPTS_VALUE || end > s->end)
		s->end = end;
}

/* libav's layout: u32 to skip at the start, u32 to drop at the end (both little-endian), two reasons. The start is seen better in
 * what the decoder gives first. */
static void note_trimming(struct walked_stream *s, const AVPacket *p)
{
	size_t size;
	const uint8_t *d = av_packet_get_side_data(p, AV_PKT_DATA_SKIP_SAMPLES, &size);
	s->trim_samples = 0;
	if (!d || size < 10)
		return;
	s->trim_samples = AV_RL32(d + 4);
}

static void take_packet(struct probe_walk *w, const AVStream *st, const AVPacket *p)
{
	struct walked_stream *s = &w->streams[p->stream_index];
	size_t size;
	if (av_packet_get_side_data(p, AV_PKT_DATA_ENCRYPTION_INFO, &size))
		s->encrypted = true;
	time_join_packet(&w->join, st, w->packet);
	if (s->decoder)
		try_packet(w, s, p);
	gop_list_add(s->gops, p);
	if (p->flags & AV_PKT_FLAG_DISCARD)
		return; /* decoded for what follows, cut away by an edit list */
	note_trimming(s, p);
	note_times(st, s, p);
	/* the last packet may be shorter: judged when the next one comes */
	if (s->packets > 0) {
		s->min_duration = s->pending_duration < s->min_duration ? s->pending_duration : s->min_duration;
		s->max_duration = s->pending_duration > s->max_duration ? s->pending_duration : s->max_duration;
	}
	s->pending_duration = p->duration;
	s->packets++;
}

static bool all_tried(const struct probe_walk *w, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (w->streams[i].decoder)
			return false;
	return true;
}

static bool seen_enough(const struct probe_walk *w, unsigned count)
{
	if (w->scan_all)
		return false;
	return w->packets >= WALK_MAX_PACKETS || (w->packets >= WALK_MIN_PACKETS && all_tried(w, count));
}

int probe_walk_run(struct probe_walk *w, struct err *e)
{
	AVFormatContext *f = media_input_format(w->in);
	int r = 0, idle = 0;
	while (!seen_enough(w, f->nb_streams < TASK_STREAMS_MAX ? f->nb_streams : TASK_STREAMS_MAX)) {
		r = av_read_frame(f, w->packet);
		if (r == AVERROR(EAGAIN) && ++idle < IDLE_MAX)
			continue;
		if (r < 0)
			break;
		if (w->packet->stream_index < TASK_STREAMS_MAX)
			take_packet(w, f->streams[w->packet->stream_index], w->packet);
		w->packets++;
		av_packet_unref(w->packet);
	}
	if (media_input_failed(w->in) || r == AVERROR(ENOMEM))
		return media_input_error(w->in, r, e, "read packets");
	for (size_t i = 0; i < TASK_STREAMS_MAX; i++)
		if (w->streams[i].decoder)
			try_packet(w, &w->streams[i], NULL); /* what it held back */
	return 0;
}
