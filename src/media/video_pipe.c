/* Frames to packets: see video_pipe.h. */
#include "media/video_pipe.h"

#include <errno.h>
#include <libavutil/imgutils.h>

#include "base/mem.h"
#include "media/averror.h"
#include "media/cadence.h"
#include "media/deinterlace.h"
#include "media/rung_encode.h"
#include "media/thinning.h"
#include "media/video_graph.h"
#include "os/thread.h"

/* The niceness of all but the largest rung's thread, beside that one's. */
#define RUNGS_BEHIND 5

struct video_pipe {
	const struct ladder_spec *spec;
	struct timeline *timeline;
	struct rendition *renditions;
	struct video_look look;
	struct deinterlacer *deinterlacer;
	struct cadence cadence;
	struct video_graph *graph;
	struct rung_encode *rungs[TASK_RUNGS_MAX];
	AVFrame *rung_frames[TASK_RUNGS_MAX];
	AVFrame *held; /* the last frame that was shown or came before the range */
	bool has_held, done;
	uint32_t next_run; /* index into spec->runs of the run that hasn't begun */
	int64_t last_ticks, end_ticks;
	int64_t shown; /* the time of the frame before; INT64_MIN: none */
	uint64_t frames_in, frames_out;
};

int video_pipe_new(const struct ladder_spec *spec, struct timeline *timeline, const AVStream *stream,
		   struct rendition *renditions, struct video_pipe **ret, struct err *e)
{
	struct video_pipe *v = mr_calloc(1, sizeof(*v));
	v->spec = spec;
	v->timeline = timeline;
	v->renditions = renditions;
	v->last_ticks = v->end_ticks = v->shown = INT64_MIN;
	v->look = video_look_of(stream);
	cadence_init(&v->cadence, timeline, spec->frame_ticks, spec->gop_ticks);
	int r = video_graph_new(spec, &v->look, &v->graph, e);
	v->deinterlacer = deinterlacer_new();
	v->held = av_frame_alloc();
	bool memory = v->held != NULL;
	for (uint32_t i = ladder_copies(spec); r == 0 && i < spec->rung_count; i++) {
		v->rung_frames[i] = av_frame_alloc();
		memory = memory && v->rung_frames[i];
	}
	if (r == 0 && !memory)
		r = averror_internal(e, AVERROR(ENOMEM), "set up the video");
	for (uint32_t i = ladder_copies(spec); r == 0 && i < spec->rung_count; i++) {
		r = rung_encode_new(spec, i, &v->look.out, &renditions[i], &v->rungs[i], e);
		/* The largest rung is the longest piece of work: it has a core to itself while the rest, decoding too, shares the
		 * others. So somebody who waits for the first segment waits for less, and where a chunk has the machine for
		 * itself, as the last one does, nothing is left of that rung when the others are done. */
		if (i == ladder_copies(spec))
			thread_step_behind(RUNGS_BEHIND);
	}
	if (r < 0) {
		video_pipe_free(&v);
		return r;
	}
	*ret = v;
	return 0;
}

void video_pipe_free(struct video_pipe **pv)
{
	struct video_pipe *v = *pv;
	if (!v)
		return;
	for (uint32_t i = 0; i < TASK_RUNGS_MAX; i++) {
		rung_encode_free(&v->rungs[i]);
		av_frame_free(&v->rung_frames[i]);
	}
	av_frame_free(&v->held);
	deinterlacer_free(&v->deinterlacer);
	video_graph_free(&v->graph);
	free(v);
	*pv = NULL;
}

/* ---- Encoding ---- */

/* All of them end at the same time. */
static void end_rungs(struct video_pipe *v)
{
	for (uint32_t i = ladder_copies(v->spec); i < v->spec->rung_count; i++)
		rung_encode_end(v->rungs[i]);
}

static bool run_begins(const struct video_pipe *v, int64_t pts)
{
	if (v->next_run >= v->spec->run_count)
		return false;
	return pts >= v->timeline->video[v->spec->runs[v->next_run] - v->spec->first_segment];
}

static int encode(struct video_pipe *v, const AVFrame *image, const struct cadence_step *step, struct err *e)
{
	bool begins = run_begins(v, step->pts);
	if (begins && v->next_run++ > 0 && v->spec->ease_off)
		thread_step_behind((int)v->spec->ease_off);
	int r = video_graph_run(v->graph, image, v->rung_frames, e);
	for (uint32_t i = ladder_copies(v->spec); i < v->spec->rung_count; i++) {
		AVFrame *f = v->rung_frames[i];
		f->pts = step->pts;
		f->pict_type = step->idr ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
		while (f->nb_side_data > 0) /* captions and the like belong to frames that may be repeated */
			av_frame_remove_side_data(f, f->side_data[0]->type);
		const bool kept = thinning_keeps(v->spec, i, v->cadence.segment_start, v->shown, step->pts);
		if (r == 0 && (step->idr || kept))
			r = rung_encode_frame(v->rungs[i], f, begins, e);
		av_frame_unref(f);
	}
	v->shown = step->pts;
	v->frames_out++;
	return r;
}

/* ---- Input ---- */

static void hold(struct video_pipe *v, AVFrame *take_frame)
{
	av_frame_unref(v->held);
	av_frame_move_ref(v->held, take_frame);
	v->has_held = true;
}

static int show(struct video_pipe *v, AVFrame *take_frame, int64_t ticks, struct err *e)
{
	for (;;) {
		struct cadence_step step = cadence_push(&v->cadence, ticks);
		switch (step.what) {
		case CADENCE_REPEAT: {
			int r = encode(v, v->has_held ? v->held : take_frame, &step, e);
			if (r < 0)
				return r;
			break;
		}
		case CADENCE_FRAME: {
			int r = encode(v, take_frame, &step, e);
			hold(v, take_frame);
			return r;
		}
		case CADENCE_BEFORE:
			hold(v, take_frame);
			return 0;
		case CADENCE_AFTER:
			v->done = true;
			return 0;
		case CADENCE_DROP:
			return 0;
		}
	}
}

/* What has come out of the deinterlacer; `scratch` carries it. */
static int show_ready(struct video_pipe *v, AVFrame *scratch, struct err *e)
{
	int64_t ticks;
	int r;
	while (!v->done && (r = deinterlacer_pull(v->deinterlacer, scratch, &ticks, e)) != 0) {
		if (r > 0)
			r = show(v, scratch, ticks, e);
		av_frame_unref(scratch);
		if (r < 0)
			return r;
	}
	return 0;
}

int video_pipe_push(struct video_pipe *v, AVFrame *take_frame, int64_t ticks, int64_t duration_ticks, struct err *e)
{
	int64_t nominal = v->spec->frame_ticks > 0 ? v->spec->frame_ticks : 3600;
	if (ticks == INT64_MIN)
		ticks = v->last_ticks == INT64_MIN ? 0 : v->last_ticks + nominal;
	/* a last frame's duration of more than ten seconds is a container's guess */
	if (duration_ticks <= 0 || duration_ticks > 10 * VIDEO_TIMESCALE)
		duration_ticks = nominal;
	v->last_ticks = ticks;
	if (ticks + duration_ticks > v->end_ticks)
		v->end_ticks = ticks + duration_ticks;
	v->frames_in++;
	int r = deinterlacer_push(v->deinterlacer, take_frame, ticks, e);
	return r < 0 ? r : show_ready(v, take_frame, e);
}

int video_pipe_end(struct video_pipe *v, struct err *e)
{
	AVFrame *scratch = av_frame_alloc();
	if (!scratch)
		return averror_internal(e, AVERROR(ENOMEM), "end the video");
	int r = v->done ? 0 : deinterlacer_finish(v->deinterlacer, e);
	if (r == 0)
		r = show_ready(v, scratch, e);
	av_frame_free(&scratch);
	return r;
}

static int hold_black(struct video_pipe *v)
{
	AVFrame *f = v->held;
	f->format = AV_PIX_FMT_YUV420P;
	f->width = (int)v->spec->rungs[0].width;
	f->height = (int)v->spec->rungs[0].height;
	int r = av_frame_get_buffer(f, 0);
	if (r < 0)
		return r;
	ptrdiff_t strides[4] = { f->linesize[0], f->linesize[1], f->linesize[2], 0 };
	r = av_image_fill_black(f->data, strides, f->format, AVCOL_RANGE_MPEG, f->width, f->height);
	v->has_held = r >= 0;
	return r;
}

int video_pipe_finish(struct video_pipe *v, struct err *e)
{
	int r = 0;
	struct cadence_step step = { CADENCE_AFTER, 0, false };
	if (!v->done)
		step = cadence_finish(&v->cadence);
	while (r == 0 && step.what == CADENCE_REPEAT) {
		int black = v->has_held ? 0 : hold_black(v);
		r = black < 0 ? averror_internal(e, black, "make a black frame") : encode(v, v->held, &step, e);
		step = cadence_finish(&v->cadence);
	}
	end_rungs(v);
	return r;
}

int video_pipe_wait(struct video_pipe *v, struct err *e)
{
	int r = 0;
	for (uint32_t i = ladder_copies(v->spec); r == 0 && i < v->spec->rung_count; i++)
		r = rung_encode_wait(v->rungs[i], e);
	return r;
}

bool video_pipe_done(const struct video_pipe *v)
{
	return v->done;
}

int64_t video_pipe_position(const struct video_pipe *v)
{
	return v->cadence.last_pts;
}

int64_t video_pipe_end_ticks(const struct video_pipe *v)
{
	return v->end_ticks;
}

uint32_t video_pipe_begun(const struct video_pipe *v)
{
	return v->cadence.next;
}

uint64_t video_pipe_frames_in(const struct video_pipe *v)
{
	return v->frames_in;
}

uint64_t video_pipe_frames_out(const struct video_pipe *v)
{
	return v->frames_out;
}
