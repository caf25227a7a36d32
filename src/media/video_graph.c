/* Rotation, scaling and pixel format: see video_graph.h.
 *
 * The graph is described as text, as one would on ffmpeg's command line, and built anew when the source's frames
 * change:
 *
 *   [in] transpose, scale, format, setsar, split [out0][s0]; [s0] zscale [out1] …
 */
#include "media/video_graph.h"

#include <errno.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>

#include "base/buf.h"
#include "media/averror.h"

#define SCALER "flags=bicubic"
/* Between rungs, whose frames are plain YUV 4:2:0 of even size, which zimg's scaler takes: two thirds of swscale's time, with
 * the same cubic (swscale's default, B = 0 and C = 0.6; zimg's own is softer). */
#define RUNG_SCALER "filter=bicubic:param_a=0:param_b=0.6"

struct video_graph {
	const struct ladder_spec *spec;
	struct video_look look;
	AVFilterGraph *graph;
	AVFilterContext *source, *sinks[TASK_RUNGS_MAX];
	/* what the graph was built for */
	int width, height, format;
	AVRational sar;
	enum AVColorSpace space;
	enum AVColorRange range;
};

/* The rungs from the largest to the smallest; of those that are equal the first is the first. */
static void falling(const struct ladder_spec *s, uint32_t order[TASK_RUNGS_MAX])
{
	for (uint32_t r = 0; r < s->rung_count; r++) {
		const struct ladder_rung *rung = &s->rungs[r];
		uint32_t at = r;
		for (; at > 0; at--) {
			const struct ladder_rung *before = &s->rungs[order[at - 1]];
			if (before->width * before->height >= rung->width * rung->height)
				break;
			order[at] = order[at - 1];
		}
		order[at] = r;
	}
}

/* Frames that are what the largest rung wants already: they go as they are, since even the scaler's plain copy costs a
 * percent of all the work. (Flipped ones would have rows from the bottom to the top.) */
static bool looks_right(const struct video_graph *g, const AVFrame *in, const struct ladder_rung *rung)
{
	return g->look.light == LIGHT_AS_IT_IS && !g->look.mirrored && g->spec->rotation_degrees == 0 &&
	       in->format == AV_PIX_FMT_YUV420P && in->color_range != AVCOL_RANGE_JPEG && in->width == (int)rung->width &&
	       in->height == (int)rung->height;
}

static void describe(const struct video_graph *g, const AVFrame *in, struct buf *b)
{
	const struct ladder_spec *s = g->spec;
	uint32_t order[TASK_RUNGS_MAX];
	falling(s, order);
	buf_printf(b, "[in]");
	video_look_upright(&g->look, s->rotation_degrees, b);
	const uint32_t first = ladder_copies(s); /* as large as the source: first in that order, too */
	for (uint32_t i = first; i < s->rung_count; i++) {
		const struct ladder_rung *rung = &s->rungs[order[i]], *above = i > first ? &s->rungs[order[i - 1]] : NULL;
		if (!above && looks_right(g, in, rung))
			buf_printf(b, "setsar=1");
		else if (!above)
			video_look_scale(&g->look, in, rung->width, rung->height, SCALER, b);
		else if (above->width == rung->width && above->height == rung->height) /* in another codec */
			buf_printf(b, ";[s%u]null", i - 1);
		else
			buf_printf(b, ";[s%u]zscale=%u:%u:" RUNG_SCALER, i - 1, rung->width, rung->height);
		if (i + 1 < s->rung_count)
			buf_printf(b, ",split[out%u][s%u]", order[i], i);
		else
			buf_printf(b, "[out%u]", order[i]);
	}
}

static int open_source(struct video_graph *g, const AVFrame *in)
{
	g->source = avfilter_graph_alloc_filter(g->graph, avfilter_get_by_name("buffer"), "in");
	AVBufferSrcParameters *p = av_buffersrc_parameters_alloc();
	int r = g->source && p ? 0 : AVERROR(ENOMEM);
	if (r >= 0) {
		p->format = in->format;
		p->width = in->width;
		p->height = in->height;
		p->time_base = (AVRational){ 1, VIDEO_TIMESCALE };
		p->sample_aspect_ratio = in->sample_aspect_ratio;
#if LIBAVFILTER_VERSION_INT >= AV_VERSION_INT(9, 16, 100)
		p->color_space = in->colorspace;
		p->color_range = in->color_range;
#endif
		r = av_buffersrc_parameters_set(g->source, p);
	}
	av_free(p);
	return r < 0 ? r : avfilter_init_str(g->source, NULL);
}

static int link_ends(struct video_graph *g, AVFilterInOut *inputs, AVFilterInOut *outputs)
{
	/* `inputs` are the description's open inputs: the one to feed; `outputs` its open outputs. */
	int r = inputs ? avfilter_link(g->source, 0, inputs->filter_ctx, (unsigned)inputs->pad_idx) : AVERROR_BUG;
	for (AVFilterInOut *o = outputs; r >= 0 && o; o = o->next) {
		unsigned long rung = strtoul(o->name + 3, NULL, 10); /* "out0", … */
		r = rung < g->spec->rung_count ? 0 : AVERROR_BUG;
		if (r >= 0)
			r = avfilter_graph_create_filter(&g->sinks[rung], avfilter_get_by_name("buffersink"), o->name, NULL,
							 NULL, g->graph);
		if (r >= 0)
			r = avfilter_link(o->filter_ctx, (unsigned)o->pad_idx, g->sinks[rung], 0);
	}
	return r;
}

static int build(struct video_graph *g, const AVFrame *in)
{
	avfilter_graph_free(&g->graph);
	g->graph = avfilter_graph_alloc();
	if (!g->graph)
		return AVERROR(ENOMEM);
	g->graph->nb_threads = 1;
	g->width = in->width;
	g->height = in->height;
	g->format = in->format;
	g->sar = in->sample_aspect_ratio;
	g->space = in->colorspace;
	g->range = in->color_range;
	/* for scalers that libavfilter inserts by itself */
	int r = av_opt_set(g->graph, "scale_sws_opts", SCALER, 0);
	if (r < 0)
		return r;
	struct buf text __attribute__((cleanup(buf_release)));
	buf_init(&text, 4096);
	describe(g, in, &text);
	AVFilterInOut *inputs = NULL, *outputs = NULL;
	r = text.failed ? AVERROR(ENOMEM) : open_source(g, in);
	if (r >= 0)
		r = avfilter_graph_parse2(g->graph, text.data, &inputs, &outputs);
	if (r >= 0)
		r = link_ends(g, inputs, outputs);
	if (r >= 0)
		r = avfilter_graph_config(g->graph, NULL);
	avfilter_inout_free(&inputs);
	avfilter_inout_free(&outputs);
	return r;
}

int video_graph_new(const struct ladder_spec *spec, const struct video_look *look, struct video_graph **ret, struct err *e)
{
	if (spec->rung_count <= ladder_copies(spec) || spec->rung_count > TASK_RUNGS_MAX)
		return err_set(e, ERR_INVALID, "%u rungs", spec->rung_count);
	struct video_graph *g = mr_calloc(1, sizeof(*g));
	g->spec = spec;
	g->look = *look;
	*ret = g;
	return 0;
}

static bool same_source(const struct video_graph *g, const AVFrame *in)
{
	return g->graph && g->width == in->width && g->height == in->height && g->format == in->format &&
	       g->sar.num == in->sample_aspect_ratio.num && g->sar.den == in->sample_aspect_ratio.den &&
	       g->space == in->colorspace && g->range == in->color_range;
}

int video_graph_run(struct video_graph *g, const AVFrame *in, AVFrame *const *out, struct err *e)
{
	int r = same_source(g, in) ? 0 : build(g, in);
	if (r < 0) {
		avfilter_graph_free(&g->graph);
		return averror_internal(e, r, "build the filter graph");
	}
	AVFrame *copy = av_frame_clone(in);
	if (!copy)
		return averror_internal(e, AVERROR(ENOMEM), "filter a frame");
	copy->pts = 0;
	r = av_buffersrc_add_frame_flags(g->source, copy, AV_BUFFERSRC_FLAG_PUSH);
	av_frame_free(&copy);
	for (uint32_t i = ladder_copies(g->spec); r >= 0 && i < g->spec->rung_count; i++)
		r = av_buffersink_get_frame(g->sinks[i], out[i]);
	return r < 0 ? averror_internal(e, r, "filter a frame") : 0;
}

void video_graph_free(struct video_graph **g)
{
	if (!*g)
		return;
	avfilter_graph_free(&(*g)->graph);
	free(*g);
	*g = NULL;
}
