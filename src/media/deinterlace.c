/* Deinterlacing: see deinterlace.h. */
#include "media/deinterlace.h"

#include <assert.h>
#include <errno.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>

#include "media/averror.h"
#include "proto/task.h"

/* Frames whose times wait: one in the filter, what came out of it when it was closed, and one that passes. */
#define WAITING_MAX 4

struct deinterlacer {
	AVFilterGraph *graph; /* NULL: no interlaced frame was seen since the pictures' kind last changed */
	AVFilterContext *source, *sink;
	AVFrame *before; /* the frame before, the next one's neighbour */
	AVFrame *ready[WAITING_MAX];
	unsigned ready_count;
	bool before_is_first; /* what comes out of the filter next is `before`, which has passed already */
	int64_t waiting[WAITING_MAX]; /* times of frames that haven't come out */
	unsigned waiting_count;
};

struct deinterlacer *deinterlacer_new(void)
{
	return mr_calloc(1, sizeof(struct deinterlacer));
}

void deinterlacer_free(struct deinterlacer **pd)
{
	struct deinterlacer *d = *pd;
	if (!d)
		return;
	avfilter_graph_free(&d->graph);
	av_frame_free(&d->before);
	for (unsigned i = 0; i < d->ready_count; i++)
		av_frame_free(&d->ready[i]);
	free(d);
	*pd = NULL;
}

bool frame_is_interlaced(const AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
	return f->flags & AV_FRAME_FLAG_INTERLACED;
#else
	return f->interlaced_frame;
#endif
}

static bool same_kind(const AVFrame *a, const AVFrame *b)
{
	return a->width == b->width && a->height == b->height && a->format == b->format;
}

/* ---- The filter ---- */

static int create_filter(AVFilterGraph *g, const char *name, const char *args, AVFilterContext **ret)
{
	return avfilter_graph_create_filter(ret, avfilter_get_by_name(name), name, args, NULL, g);
}

static int open_source(struct deinterlacer *d, const AVFrame *f)
{
	d->source = avfilter_graph_alloc_filter(d->graph, avfilter_get_by_name("buffer"), "in");
	AVBufferSrcParameters *p = av_buffersrc_parameters_alloc();
	int r = d->source && p ? 0 : AVERROR(ENOMEM);
	if (r >= 0) {
		p->format = f->format;
		p->width = f->width;
		p->height = f->height;
		p->time_base = (AVRational){ 1, VIDEO_TIMESCALE };
		p->sample_aspect_ratio = f->sample_aspect_ratio;
#if LIBAVFILTER_VERSION_INT >= AV_VERSION_INT(9, 16, 100)
		p->color_space = f->colorspace;
		p->color_range = f->color_range;
#endif
		r = av_buffersrc_parameters_set(d->source, p);
	}
	av_free(p);
	return r < 0 ? r : avfilter_init_str(d->source, NULL);
}

static int open_filter(struct deinterlacer *d, const AVFrame *f)
{
	AVFilterContext *filter = NULL;
	d->graph = avfilter_graph_alloc();
	if (!d->graph)
		return AVERROR(ENOMEM);
	d->graph->nb_threads = 1;
	int r = open_source(d, f);
	if (r >= 0)
		r = create_filter(d->graph, "bwdif", "mode=send_frame:parity=auto:deint=interlaced", &filter);
	if (r >= 0)
		r = create_filter(d->graph, "buffersink", NULL, &d->sink);
	if (r >= 0)
		r = avfilter_link(d->source, 0, filter, 0);
	if (r >= 0)
		r = avfilter_link(filter, 0, d->sink, 0);
	return r < 0 ? r : avfilter_graph_config(d->graph, NULL);
}

/* The filter's own times would be halved ticks; the order of frames is enough. */
static int feed(struct deinterlacer *d, const AVFrame *f)
{
	AVFrame *copy = f ? av_frame_clone(f) : NULL;
	if (f && !copy)
		return AVERROR(ENOMEM);
	if (copy)
		copy->pts = AV_NOPTS_VALUE;
	int r = av_buffersrc_add_frame_flags(d->source, copy, AV_BUFFERSRC_FLAG_PUSH);
	av_frame_free(&copy);
	return r;
}

static void make_ready(struct deinterlacer *d, AVFrame *take_frame)
{
	assert(d->ready_count < WAITING_MAX);
	d->ready[d->ready_count++] = take_frame;
}

static int collect(struct deinterlacer *d)
{
	for (;;) {
		AVFrame *f = av_frame_alloc();
		int r = f ? av_buffersink_get_frame(d->sink, f) : AVERROR(ENOMEM);
		if (r >= 0 && !d->before_is_first) {
			make_ready(d, f);
			continue;
		}
		av_frame_free(&f);
		if (r < 0)
			return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : r;
		d->before_is_first = false;
	}
}

static int close_filter(struct deinterlacer *d)
{
	int r = d->graph ? feed(d, NULL) : 0;
	if (r >= 0 && d->graph)
		r = collect(d);
	avfilter_graph_free(&d->graph);
	return r;
}

/* ---- Frames ---- */

static int pass(struct deinterlacer *d, const AVFrame *f)
{
	AVFrame *copy = av_frame_clone(f);
	if (!copy)
		return AVERROR(ENOMEM);
	make_ready(d, copy);
	return 0;
}

static int begin(struct deinterlacer *d, const AVFrame *f)
{
	int r = open_filter(d, f);
	d->before_is_first = d->before != NULL;
	return r >= 0 && d->before ? feed(d, d->before) : r;
}

int deinterlacer_push(struct deinterlacer *d, AVFrame *take_frame, int64_t ticks, struct err *e)
{
	int r = 0;
	assert(d->waiting_count < WAITING_MAX);
	if (d->before && !same_kind(d->before, take_frame)) {
		r = close_filter(d);
		av_frame_free(&d->before);
	}
	d->waiting[d->waiting_count++] = ticks;
	if (r >= 0 && !d->graph && frame_is_interlaced(take_frame))
		r = begin(d, take_frame);
	if (r >= 0)
		r = d->graph ? feed(d, take_frame) : pass(d, take_frame);
	if (r >= 0 && d->graph)
		r = collect(d);
	if (!d->before)
		d->before = av_frame_alloc();
	if (d->before) {
		av_frame_unref(d->before);
		av_frame_move_ref(d->before, take_frame);
	}
	if (r >= 0 && !d->before)
		r = AVERROR(ENOMEM);
	return r < 0 ? averror_internal(e, r, "deinterlace") : 0;
}

int deinterlacer_pull(struct deinterlacer *d, AVFrame *frame, int64_t *ret_ticks, struct err *e)
{
	if (d->ready_count == 0)
		return 0;
	if (d->waiting_count == 0)
		return err_set(e, ERR_INTERNAL, "the deinterlacer has made a frame of nothing");
	av_frame_unref(frame);
	av_frame_move_ref(frame, d->ready[0]);
	av_frame_free(&d->ready[0]);
	*ret_ticks = d->waiting[0];
	for (unsigned i = 1; i < d->ready_count; i++)
		d->ready[i - 1] = d->ready[i];
	for (unsigned i = 1; i < d->waiting_count; i++)
		d->waiting[i - 1] = d->waiting[i];
	d->ready_count--;
	d->waiting_count--;
	return 1;
}

int deinterlacer_finish(struct deinterlacer *d, struct err *e)
{
	int r = close_filter(d);
	av_frame_free(&d->before);
	return r < 0 ? averror_internal(e, r, "deinterlace") : 0;
}
