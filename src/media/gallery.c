/* Poster and storyboard. Runs in a sandboxed child of millrace-task.
 *
 * Every keyframe that becomes a tile is also a candidate for the poster: a copy of it, twice as large as the tile, is
 * scored, and the best one's decoded frame is kept until the end. Only if all of them are black, white or empty (a short
 * film whose one keyframe is its black beginning) the pictures between are looked at, too.
 */
#include "media/gallery.h"

#include <libavformat/avformat.h>
#include <string.h>

#include "media/averror.h"
#include "media/deinterlace.h"
#include "media/input.h"
#include "media/keyframes.h"
#include "media/picture_score.h"
#include "media/still.h"
#include "media/video_graph.h"

#define TILE_SIDE 160 /* the longer one */
#define POSTER_SIDE 1280
#define POSTER_QUALITY 3
#define SPRITE_QUALITY 5
#define JPEG_MAX_BYTES (8u << 20)
#define INTERVAL_MIN_TICKS VIDEO_TIMESCALE
#define LOOK_INTERVAL_TICKS (VIDEO_TIMESCALE / 2)
#define FEW_TILES 25 /* fit on one sheet of 5 × 5; more go on sheets of 10 × 10 */
/* Where posters are: behind the titles, before the end gives itself away. */
#define WINDOW_FROM 0.05
#define WINDOW_TO 0.6
#define OUTSIDE_FACTOR 0.7

struct gallery {
	const struct task_spec *task;
	const struct media_io *io;
	struct analyze_result *result;
	struct video_look look;
	struct ladder_spec sizes; /* rung 0: to be scored; rung 1: the tile */
	struct video_graph *graph;
	AVFrame *decoded, *scored, *tile, *sheet, *best;
	struct picture_score best_score;
	int64_t best_ticks;
	uint32_t sheets; /* that were sent */
	struct buf file;
};

/* ---- sizes ---- */

static uint32_t even(double side)
{
	uint32_t n = (uint32_t)(side / 2 + 0.5) * 2;
	return n < 2 ? 2 : n;
}

/* As it is displayed, upright and with square pixels, within max_side; never larger than it is. */
static void fit(const AVFrame *f, uint32_t rotation, uint32_t max_side, struct ladder_rung *ret)
{
	double width = f->width, height = f->height;
	AVRational sar = f->sample_aspect_ratio;
	double aspect = sar.num > 0 && sar.den > 0 ? av_q2d(sar) : 1;
	if (aspect > 1)
		width *= aspect;
	else
		height /= aspect;
	double longer = width > height ? width : height;
	double scale = longer > max_side ? max_side / longer : 1;
	bool turned = rotation % 180 != 0;
	*ret = (struct ladder_rung){ .width = even((turned ? height : width) * scale),
				     .height = even((turned ? width : height) * scale) };
	/* a strip of one pixel and an absurd aspect */
	ret->width = ret->width > max_side ? max_side : ret->width;
	ret->height = ret->height > max_side ? max_side : ret->height;
}

/* Of an interlaced picture its upper field, as a picture of half the height: the lines of a single one of its fields are from one
 * moment, and a still has no neighbours that lines between them could be reckoned from. Scaling gives the height back. */
static int scale_still(struct video_graph *graph, const AVFrame *decoded, AVFrame *const *out, struct err *e)
{
	if (!frame_is_interlaced(decoded) || decoded->height < 4)
		return video_graph_run(graph, decoded, out, e);
	AVFrame *field = av_frame_clone(decoded);
	if (!field)
		return averror_internal(e, AVERROR(ENOMEM), "take a field");
	field->height /= 2;
	for (int i = 0; i < AV_NUM_DATA_POINTERS; i++)
		field->linesize[i] *= 2;
	int r = video_graph_run(graph, field, out, e);
	av_frame_free(&field);
	return r;
}

/* ---- objects ---- */

static int send_jpeg(struct gallery *g, enum byproduct byproduct, uint32_t index, const AVFrame *frame, int quality,
		     struct err *e)
{
	buf_clear(&g->file);
	int r = still_jpeg(frame, g->look.out.space, quality, &g->file, e);
	if (r < 0)
		return r;
	struct task_object head = { .kind = TASK_OBJECT_BYPRODUCT,
				    .byproduct = byproduct,
				    .index = index,
				    .size_bytes = g->file.len };
	return g->io->object(g->io->ctx, &head, g->file.data, e);
}

static int send_poster(struct gallery *g, const AVFrame *decoded, uint32_t rotation, int64_t ticks, struct err *e)
{
	struct ladder_spec size = { .rotation_degrees = rotation, .rung_count = 1 };
	fit(decoded, rotation, POSTER_SIDE, &size.rungs[0]);
	struct video_graph *graph = NULL;
	AVFrame *poster = av_frame_alloc();
	int r = poster ? video_graph_new(&size, &g->look, &graph, e) : averror_internal(e, AVERROR(ENOMEM), "poster");
	if (r == 0)
		r = scale_still(graph, decoded, &poster, e);
	if (r == 0)
		r = send_jpeg(g, BYPRODUCT_POSTER, 0, poster, POSTER_QUALITY, e);
	if (r == 0) {
		g->result->poster_width = size.rungs[0].width;
		g->result->poster_height = size.rungs[0].height;
		g->result->poster_ticks = ticks > 0 ? ticks : 0;
	}
	video_graph_free(&graph);
	av_frame_free(&poster);
	return r;
}

/* ---- sheets ---- */

static void clear_sheet(AVFrame *f)
{
	for (int y = 0; y < f->height; y++)
		memset(f->data[0] + (ptrdiff_t)y * f->linesize[0], 16, (size_t)f->width);
	for (int p = 1; p < 3; p++)
		for (int y = 0; y < f->height / 2; y++)
			memset(f->data[p] + (ptrdiff_t)y * f->linesize[p], 128, (size_t)f->width / 2);
}

static void place_tile(AVFrame *sheet, const AVFrame *tile, int x, int y)
{
	for (int p = 0; p < 3; p++) {
		int shift = p ? 1 : 0;
		for (int row = 0; row < tile->height >> shift; row++)
			memcpy(sheet->data[p] + (ptrdiff_t)((y >> shift) + row) * sheet->linesize[p] + (x >> shift),
			       tile->data[p] + (ptrdiff_t)row * tile->linesize[p], (size_t)(tile->width >> shift));
	}
}

/* Sends the sheet with its first `tiles` tiles, cut to the rows and columns that they fill. */
static int send_sheet(struct gallery *g, uint32_t tiles, struct err *e)
{
	const struct analyze_result *r = g->result;
	uint32_t rows = (tiles + r->columns - 1) / r->columns, columns = tiles < r->columns ? tiles : r->columns;
	AVFrame *cut = av_frame_clone(g->sheet);
	if (!cut)
		return averror_internal(e, AVERROR(ENOMEM), "storyboard");
	cut->width = (int)(columns * r->tile_width);
	cut->height = (int)(rows * r->tile_height);
	int res = send_jpeg(g, BYPRODUCT_SPRITE, g->sheets, cut, SPRITE_QUALITY, e);
	av_frame_free(&cut);
	g->sheets++;
	clear_sheet(g->sheet);
	return res;
}

static int add_tile(struct gallery *g, int64_t ticks, struct err *e)
{
	struct analyze_result *r = g->result;
	uint32_t per_sheet = r->columns * r->rows, at = r->tile_count % per_sheet;
	place_tile(g->sheet, g->tile, (int)(at % r->columns * r->tile_width), (int)(at / r->columns * r->tile_height));
	/* the first stands for all that is before the second */
	r->tile_ticks[r->tile_count] = r->tile_count ? ticks : 0;
	r->tile_count++;
	return at + 1 == per_sheet ? send_sheet(g, per_sheet, e) : 0;
}

/* ---- candidates ---- */

static bool in_window(const struct gallery *g, int64_t ticks)
{
	double at = (double)ticks / VIDEO_TIMESCALE * 1e9;
	double length = (double)g->task->analyze.duration_ns;
	return at >= WINDOW_FROM * length && at <= WINDOW_TO * length;
}

/* Keeps g->decoded if it is the best so far. */
static int consider(struct gallery *g, int64_t ticks, struct err *e)
{
	struct picture_score s = picture_score(g->scored->data[0], g->scored->linesize[0], g->scored->width,
					       g->scored->height);
	if (!in_window(g, ticks))
		s.value *= OUTSIDE_FACTOR;
	if (g->best->buf[0] && s.value <= g->best_score.value)
		return 0;
	av_frame_unref(g->best);
	int r = av_frame_ref(g->best, g->decoded);
	if (r < 0)
		return averror_internal(e, r, "poster");
	g->best_score = s;
	g->best_ticks = ticks;
	return 0;
}

/* Scales g->decoded; sizes are the first picture's. */
static int scale(struct gallery *g, const AVStream *st, struct err *e)
{
	int r = 0;
	if (!g->graph) {
		uint32_t rotation = g->task->analyze.rotation_degrees;
		g->look = video_look_of(st);
		g->sizes.rotation_degrees = rotation;
		g->sizes.rung_count = 2;
		fit(g->decoded, rotation, 2 * TILE_SIDE, &g->sizes.rungs[0]);
		fit(g->decoded, rotation, TILE_SIDE, &g->sizes.rungs[1]);
		g->result->tile_width = g->sizes.rungs[1].width;
		g->result->tile_height = g->sizes.rungs[1].height;
		r = video_graph_new(&g->sizes, &g->look, &g->graph, e);
	}
	AVFrame *out[] = { g->scored, g->tile };
	av_frame_unref(g->scored);
	av_frame_unref(g->tile);
	return r < 0 ? r : scale_still(g->graph, g->decoded, out, e);
}

static int make_sheet(struct gallery *g, uint32_t expected, struct err *e)
{
	struct analyze_result *r = g->result;
	r->columns = r->rows = expected <= FEW_TILES ? 5 : 10;
	g->sheet = still_frame(AV_PIX_FMT_YUV420P, (int)(r->columns * r->tile_width), (int)(r->rows * r->tile_height));
	if (!g->sheet)
		return averror_internal(e, AVERROR(ENOMEM), "storyboard");
	clear_sheet(g->sheet);
	return 0;
}

/* ---- passes ---- */

static int tile_pass(struct gallery *g, struct err *e)
{
	const struct analyze_spec *s = &g->task->analyze;
	int64_t duration = av_rescale(s->duration_ns, VIDEO_TIMESCALE, 1000000000);
	int64_t interval = duration / ANALYZE_TILES_MAX + 1;
	interval = interval < INTERVAL_MIN_TICKS ? INTERVAL_MIN_TICKS : interval;
	struct keyframes *k = NULL;
	int r = keyframes_open(g->task, g->io, s->seekable ? KEYFRAMES_SEEK : KEYFRAMES_READ, &k, e);
	for (int64_t at = 0; r == 0 && (at == 0 || at < duration) && g->result->tile_count < ANALYZE_TILES_MAX;
	     at += interval) {
		int64_t ticks = 0;
		bool found = false;
		r = keyframes_at(k, at, g->decoded, &ticks, &found, e);
		if (r < 0 || !found)
			continue;
		r = scale(g, keyframes_stream(k), e);
		if (r == 0 && !g->sheet)
			r = make_sheet(g, (uint32_t)(duration / interval), e);
		if (r == 0)
			r = add_tile(g, ticks, e);
		if (r == 0)
			r = consider(g, ticks, e);
	}
	keyframes_close(&k);
	uint32_t left = r == 0 && g->sheet ? g->result->tile_count % (g->result->columns * g->result->rows) : 0;
	return left ? send_sheet(g, left, e) : r;
}

static int look_pass(struct gallery *g, struct err *e)
{
	struct keyframes *k = NULL;
	bool found = true;
	int r = keyframes_open(g->task, g->io, FRAMES_READ, &k, e);
	for (int64_t at = 0; r == 0 && found; at += LOOK_INTERVAL_TICKS) {
		int64_t ticks = 0;
		r = keyframes_at(k, at, g->decoded, &ticks, &found, e);
		if (r == 0 && found)
			r = scale(g, keyframes_stream(k), e);
		if (r == 0 && found)
			r = consider(g, ticks, e);
		if (found && ticks > at)
			at = ticks;
	}
	keyframes_close(&k);
	return r;
}

/* ---- life ---- */

static int gallery_init(struct gallery *g, const struct task_spec *task, const struct media_io *io,
			struct analyze_result *result, struct err *e)
{
	*g = (struct gallery){ .task = task, .io = io, .result = result, .decoded = av_frame_alloc(),
			       .scored = av_frame_alloc(), .tile = av_frame_alloc(), .best = av_frame_alloc() };
	buf_init(&g->file, JPEG_MAX_BYTES);
	bool whole = g->decoded && g->scored && g->tile && g->best;
	return whole ? 0 : averror_internal(e, AVERROR(ENOMEM), "pictures");
}

static void gallery_release(struct gallery *g)
{
	video_graph_free(&g->graph);
	av_frame_free(&g->decoded);
	av_frame_free(&g->scored);
	av_frame_free(&g->tile);
	av_frame_free(&g->sheet);
	av_frame_free(&g->best);
	buf_release(&g->file);
}

int gallery_of_video(const struct task_spec *task, const struct media_io *io, struct analyze_result *result, struct err *e)
{
	struct gallery g;
	int r = gallery_init(&g, task, io, result, e);
	if (r == 0)
		r = tile_pass(&g, e);
	if (r == 0 && (!g.best->buf[0] || g.best_score.flat))
		r = look_pass(&g, e);
	if (r == 0 && !g.best->buf[0])
		r = err_set_code(e, ERR_MEDIA, "UNDECODABLE", "no picture could be decoded");
	if (r == 0)
		r = send_poster(&g, g.best, task->analyze.rotation_degrees, g.best_ticks, e);
	gallery_release(&g);
	return r;
}

static int decode_cover(struct gallery *g, const AVStream *st, struct err *e)
{
	AVCodecContext *decoder = NULL;
	int r = media_decoder_open(st, 1, &decoder, e);
	if (r < 0)
		return r;
	g->look = video_look_of(st);
	bool got = avcodec_send_packet(decoder, &st->attached_pic) >= 0 && avcodec_send_packet(decoder, NULL) >= 0 &&
		   avcodec_receive_frame(decoder, g->decoded) >= 0;
	avcodec_free_context(&decoder);
	return got ? 0 : err_set_code(e, ERR_MEDIA, "UNDECODABLE", "the cover art cannot be decoded");
}

int gallery_of_cover(const struct task_spec *task, const struct media_io *io, struct analyze_result *result, struct err *e)
{
	struct gallery g;
	_cleanup_media_input_ struct media_input *in = NULL;
	int32_t index = task->analyze.cover_stream;
	int r = gallery_init(&g, task, io, result, e);
	if (r == 0)
		r = media_input_open(task, 0, io, &in, e);
	if (r == 0) {
		AVFormatContext *f = media_input_format(in);
		bool there = index >= 0 && (unsigned)index < f->nb_streams && f->streams[index]->attached_pic.size > 0;
		r = there ? decode_cover(&g, f->streams[index], e)
			  : err_set_code(e, ERR_MEDIA, "DAMAGED_MEDIA", "the source has no cover art any more");
	}
	if (r == 0)
		r = send_poster(&g, g.decoded, 0, 0, e);
	gallery_release(&g);
	return r;
}
