/* One chunk of a ladder: reads the source once, forwards, and drives the video and the audio pipes until every segment
 * of the range is handed over. Runs in the task; one thread, and one for each rung (rung_encode.h).
 *
 * Guarantees: the same source, specification and library give the same bytes, however the chunk was interrupted
 * before; memory doesn't grow with the media's length (one decoded frame, one segment's packets per rendition, at
 * most 32 MiB of packets looked ahead); nothing is left behind on any way out.
 *
 * A chunk of a source that is read from its start begins with the run of segments that holds the first one to be made:
 * encoders begin there, too, so a resumed chunk gives the bytes that the interrupted one would have given. Of a source that can
 * be sought it begins anew, whatever is complete: decoded from another place, sound may differ in its last bits (noise that
 * its decoder makes up, the resampler's phase).
 */
#include <libavutil/mathematics.h>

#include "base/mem.h"
#include "media/attempt.h"
#include "media/audio_encode.h"
#include "media/audio_pipe.h"
#include "media/media_io.h"
#include "media/rendition.h"
#include "media/source.h"
#include "media/subtitle_pipe.h"
#include "media/timeline.h"
#include "media/video_copy.h"
#include "media/video_pipe.h"

/* Whether the source goes on behind the plan is found out this much before its end. */
#define SETTLE_TICKS ((int64_t)VIDEO_TIMESCALE)
/* Frames before the range that are wanted at most: one for the deinterlacer, and none may be missing at the boundary. */
#define CONTEXT_MAX_TICKS (VIDEO_TIMESCALE / 10)
#define PROGRESS_TICKS (VIDEO_TIMESCALE / 2)

struct sound {
	struct audio_pipe *pipe;
	struct audio_encode *encoder;
};

struct ladder {
	struct ladder_spec spec; /* from the run on that is to be made; borrows its arrays */
	const struct media_io *io;
	bool whole;	     /* the source is opened with all of its index */
	int64_t range_start; /* of the whole chunk */
	struct timeline timeline;
	struct source *source;
	struct rendition renditions[TASK_RUNGS_MAX + TASK_AUDIOS_MAX];
	uint32_t rendition_count;
	struct video_pipe *video; /* NULL: no rung is encoded */
	struct video_copy *copy;  /* NULL: no rung is copied */
	struct sound sounds[TASK_AUDIOS_MAX]; /* of the spec's audios */
	struct subtitle_pipe *subtitles;      /* NULL: none */
	AVFrame *frame;
	bool seen; /* any frame */
	bool source_ended;
	int64_t reported_ticks, media_ticks; /* progress told, and the media's time when it was */
};

/* ---- Which part of the chunk ---- */

static bool runs_valid(const struct ladder_spec *s)
{
	if (s->run_count == 0 || s->runs[0] != s->first_segment)
		return false;
	for (uint32_t i = 1; i < s->run_count; i++)
		if (s->runs[i] <= s->runs[i - 1] || s->runs[i] >= s->first_segment + s->segment_count)
			return false;
	return true;
}

/* Cuts off the runs that are complete. */
static void begin_at_run(struct ladder_spec *s)
{
	uint32_t run = 0;
	if (!s->sequential)
		return;
	while (run + 1 < s->run_count && s->runs[run + 1] <= s->resume_segment)
		run++;
	uint32_t skipped = s->runs[run] - s->first_segment;
	s->runs += run;
	s->run_count -= run;
	s->first_segment += skipped;
	s->segment_count -= skipped;
	if (s->video_ticks)
		s->video_ticks += skipped;
	if (s->audio_frames)
		s->audio_frames += skipped;
}

/* ---- Setting up ---- */

static struct source_start where_to_begin(const struct ladder *l)
{
	int64_t lead = timeline_frames_to_ticks(&l->timeline, AUDIO_ENCODE_LEAD + 2); /* and the resampler's warming up */
	bool has_audio = l->timeline.audio != NULL;
	/* A copied rung's boundaries are keyframes' own times, and its source isn't interlaced: nothing before is wanted. */
	int64_t context = ladder_copies(&l->spec) ? 0 : (int64_t)l->spec.frame_ticks * 3 / 2;
	return (struct source_start){
		.from_start = l->spec.sequential || l->spec.first_segment == 0,
		.whole = l->whole,
		.undecoded = ladder_copies(&l->spec) && l->spec.rung_count == 1,
		.video_ticks = timeline_start(&l->timeline) - (context < CONTEXT_MAX_TICKS ? context : CONTEXT_MAX_TICKS),
		.audio_ticks = has_audio ? timeline_frames_to_ticks(&l->timeline, l->timeline.audio[0]) - lead : 0,
	};
}

static int open_sound(struct ladder *l, uint32_t i, struct err *e)
{
	const struct ladder_audio *track = &l->spec.audios[i];
	struct sound *s = &l->sounds[i];
	struct rendition *r = &l->renditions[l->rendition_count++];
	rendition_init(r, &l->spec, l->io, &l->timeline, l->rendition_count - 1, true);
	int rc = audio_encode_new(&l->spec, track, &l->timeline, r, &s->encoder, e);
	if (rc < 0)
		return rc;
	struct audio_pipe_opts o = {
		.rate = (int)l->spec.audio_rate,
		.channels = (int)track->channels,
		.start = audio_encode_start(s->encoder),
		.origin_ns = l->spec.origin_ns,
		.first_pts = AV_NOPTS_VALUE,
		.sink = audio_encode_samples,
		.ctx = s->encoder,
	};
	const int number = SOURCE_AUDIO + (int)i;
	const AVCodecParameters *par = source_parameters(l->source, number);
	if (par) {
		o.time_base = source_time_base(l->source, number);
		o.first_pts = source_first_pts(l->source, number);
		/* Vorbis' blocks change in size */
		o.frame_samples = par->codec_id == AV_CODEC_ID_VORBIS ? -1 : par->frame_size;
		o.codec_rate = par->sample_rate;
	}
	return audio_pipe_new(&o, &s->pipe, e);
}

static int64_t frame_ticks(const struct ladder *l, int64_t duration)
{
	int64_t ticks = av_rescale_q(duration, source_time_base(l->source, SOURCE_VIDEO), av_make_q(1, VIDEO_TIMESCALE));
	return ticks > 0 && ticks < 10 * VIDEO_TIMESCALE ? ticks : l->spec.frame_ticks;
}

static int report(struct ladder *l, int64_t media_ticks, struct err *e);

static int on_video_packet(void *ctx, const AVPacket *p, struct err *e)
{
	struct ladder *l = ctx;
	AVRational tb = source_time_base(l->source, SOURCE_VIDEO);
	int64_t ticks = source_rescale(p->pts, tb, l->spec.origin_ns, VIDEO_TIMESCALE);
	int r = video_copy_packet(l->copy, p, ticks, frame_ticks(l, p->duration), e);
	l->seen = l->seen || video_copy_begun(l->copy);
	if (r < 0 || l->video)
		return r;
	if (video_copy_done(l->copy))
		source_stop(l->source, SOURCE_VIDEO);
	return report(l, ticks, e);
}

static int open_video(struct ladder *l, struct err *e)
{
	const AVStream *stream = source_video_stream(l->source);
	const struct ladder_spec *s = &l->spec;
	int r = 0;
	for (uint32_t i = 0; i < s->rung_count; i++)
		rendition_init(&l->renditions[i], s, l->io, &l->timeline, i, false);
	l->rendition_count = s->rung_count;
	if (ladder_copies(s)) {
		r = video_copy_new(s, &l->timeline, stream, &l->renditions[0], &l->copy, e);
		source_tap(l->source, on_video_packet, l);
	}
	if (r == 0 && s->rung_count > ladder_copies(s))
		r = video_pipe_new(s, &l->timeline, stream, l->renditions, &l->video, e);
	return r;
}

static int open_all(struct ladder *l, const struct task_spec *task, struct err *e)
{
	struct source_start from = where_to_begin(l);
	int r = source_open(task, l->io, &from, &l->source, e);
	if (r < 0)
		return r;
	l->frame = av_frame_alloc();
	if (!l->frame)
		return err_set_code(e, ERR_MEDIA, "TASK_MEMORY", "no memory for a frame");
	if (l->timeline.has_video)
		r = open_video(l, e);
	for (uint32_t i = 0; r == 0 && i < l->spec.audio_count; i++)
		r = open_sound(l, i, e);
	if (r == 0 && l->spec.subtitle_count)
		r = subtitle_pipe_new(task, &l->spec, l->io, &l->timeline, &l->subtitles, e);
	return r;
}

static void close_all(struct ladder *l)
{
	av_frame_free(&l->frame);
	video_pipe_free(&l->video);
	video_copy_free(&l->copy);
	for (uint32_t i = 0; i < l->spec.audio_count; i++) {
		audio_pipe_free(&l->sounds[i].pipe);
		audio_encode_free(&l->sounds[i].encoder);
	}
	for (uint32_t i = 0; i < l->rendition_count; i++)
		rendition_release(&l->renditions[i]);
	subtitle_pipe_free(&l->subtitles);
	source_close(&l->source);
	timeline_release(&l->timeline);
}

/* ---- Progress ---- */

static int64_t done_ticks(const struct ladder *l)
{
	int64_t done = INT64_MAX;
	if (l->copy)
		done = video_copy_position(l->copy);
	if (l->video && video_pipe_position(l->video) < done)
		done = video_pipe_position(l->video);
	for (uint32_t i = 0; i < l->spec.audio_count; i++) {
		int64_t audio = av_rescale(audio_pipe_position(l->sounds[i].pipe), VIDEO_TIMESCALE, l->spec.audio_rate);
		done = audio < done ? audio : done;
	}
	int64_t end = timeline_end_ticks(&l->timeline);
	done = done < end ? done : end;
	return done > l->range_start ? done - l->range_start : 0;
}

/* Also while nothing is made yet (decoding up to the range), so that nobody takes the task for dead. */
static int report(struct ladder *l, int64_t media_ticks, struct err *e)
{
	int64_t done = done_ticks(l);
	int r = l->subtitles ? subtitle_pipe_advance(l->subtitles, l->range_start + done, e) : 0;
	if (r < 0)
		return r;
	if (media_ticks == INT64_MIN)
		media_ticks = l->media_ticks;
	bool due = done - l->reported_ticks >= PROGRESS_TICKS || media_ticks - l->media_ticks >= PROGRESS_TICKS;
	if (!due)
		return 0;
	l->media_ticks = media_ticks > l->media_ticks ? media_ticks : l->media_ticks;
	if (done > l->reported_ticks)
		l->reported_ticks = done;
	struct task_progress p = { .done_ticks = l->reported_ticks, .bytes_read = source_bytes_read(l->source) };
	return l->io->progress(l->io->ctx, &p, e);
}

/* ---- The source's frames ---- */

/* Before the plan's end is passed: is there more than the last segment can take in? */
static int settle_end(struct ladder *l, int64_t ticks, struct err *e)
{
	struct timeline *t = &l->timeline;
	while (t->end == TIMELINE_OPEN && ticks > t->video[t->count] - SETTLE_TICKS) {
		bool more = false;
		int r = source_reaches(l->source, t->video[t->count] + TIMELINE_ABSORB_TICKS, &more, e);
		if (r == 0 && more)
			r = timeline_grow(t, e);
		else if (r == 0)
			timeline_absorb(t);
		if (r < 0)
			return r;
	}
	return 0;
}

static int on_video(struct ladder *l, struct err *e)
{
	AVRational tb = source_time_base(l->source, SOURCE_VIDEO);
	int64_t ticks = source_rescale(l->frame->best_effort_timestamp, tb, l->spec.origin_ns, VIDEO_TIMESCALE);
	int64_t duration = av_rescale_q(source_frame_duration(l->frame), tb, av_make_q(1, VIDEO_TIMESCALE));
	l->seen = true;
	int r = settle_end(l, ticks, e);
	if (r == 0)
		r = video_pipe_push(l->video, l->frame, ticks, duration, e);
	if (r == 0 && video_pipe_done(l->video)) {
		source_stop(l->source, SOURCE_VIDEO);
		r = video_pipe_finish(l->video, e);
		/* What is left of the sound is made meanwhile, where nothing can move a boundary any more. */
		if (r == 0 && l->timeline.end != TIMELINE_FIXED)
			r = video_pipe_wait(l->video, e);
	}
	return r < 0 ? r : report(l, ticks, e);
}

static int on_audio(struct ladder *l, int track, struct err *e)
{
	struct sound *s = &l->sounds[track - SOURCE_AUDIO];
	AVRational tb = source_time_base(l->source, track);
	int64_t ticks = source_rescale(l->frame->pts, tb, l->spec.origin_ns, VIDEO_TIMESCALE);
	int64_t length = l->frame->sample_rate > 0 ? av_rescale(l->frame->nb_samples, VIDEO_TIMESCALE, l->frame->sample_rate) : 0;
	l->seen = true;
	int r = settle_end(l, ticks == INT64_MIN ? audio_pipe_end_ticks(s->pipe) : ticks + length, e);
	if (r == 0)
		r = audio_pipe_push(s->pipe, l->frame, e);
	if (r == 0 && audio_encode_done(s->encoder)) {
		source_stop(l->source, track);
		r = audio_encode_flush(s->encoder, e);
	}
	return r < 0 ? r : report(l, ticks, e);
}

static bool video_wanted(const struct ladder *l)
{
	return (l->video && !video_pipe_done(l->video)) || (l->copy && !video_copy_done(l->copy));
}

static bool audio_wanted(const struct ladder *l, uint32_t i)
{
	return !audio_encode_done(l->sounds[i].encoder);
}

static bool anything_wanted(const struct ladder *l)
{
	bool wanted = video_wanted(l);
	for (uint32_t i = 0; i < l->spec.audio_count; i++)
		wanted = wanted || audio_wanted(l, i);
	return wanted;
}

/* One track is complete and far behind the end of the range, another hasn't got there: it has no more in this range
 * but what its decoder holds. */
static bool stalled(const struct ladder *l)
{
	if (l->timeline.end != TIMELINE_FIXED)
		return false;
	int64_t limit = timeline_end_ticks(&l->timeline) + SOURCE_APART_TICKS;
	if (!video_wanted(l) && source_latest_ticks(l->source, SOURCE_VIDEO) > limit)
		return true;
	for (uint32_t i = 0; i < l->spec.audio_count; i++)
		if (!audio_wanted(l, i) && source_latest_ticks(l->source, SOURCE_AUDIO + (int)i) > limit)
			return true;
	return false;
}

/* Nothing more comes. Where nothing has come at all, the place was a bad one: all that the file has is tried. */
static int on_end(struct ladder *l, bool stopped, bool *ret_again, struct err *e)
{
	if (l->seen || source_at_start(l->source)) {
		l->source_ended = !stopped;
		return 0;
	}
	*ret_again = true;
	return source_rewind(l->source, e);
}

static int read_range(struct ladder *l, struct err *e)
{
	bool again = true, stopped = false;
	int r = 0;
	while (r == 0 && again && anything_wanted(l)) {
		if (!stopped && stalled(l)) {
			source_finish(l->source);
			stopped = true;
		}
		int track;
		r = source_next(l->source, l->frame, &track, e);
		if (r < 0)
			return r;
		if (track == SOURCE_VIDEO) {
			r = on_video(l, e);
		} else if (track >= SOURCE_AUDIO) {
			r = on_audio(l, track, e);
		} else if (track == SOURCE_END) {
			again = false;
			r = on_end(l, stopped, &again, e);
		}
	}
	return r;
}

/* ---- The end ---- */

/* Where the last of the tracks ends. Sound that sticks out of the plan by less than a codec frame is mostly its
 * last frame's padding: it doesn't move the end. */
static int64_t source_end_ticks(const struct ladder *l)
{
	int64_t video = l->video ? video_pipe_end_ticks(l->video) : INT64_MIN;
	int64_t audio = INT64_MIN;
	if (l->copy && video_copy_end_ticks(l->copy) > video)
		video = video_copy_end_ticks(l->copy);
	for (uint32_t i = 0; i < l->spec.audio_count; i++) {
		int64_t end = audio_pipe_end_ticks(l->sounds[i].pipe);
		audio = end > audio ? end : audio;
	}
	int64_t planned = l->timeline.video[l->timeline.count];
	if (audio > planned && audio <= planned + timeline_frames_to_ticks(&l->timeline, 1))
		audio = planned;
	return video > audio ? video : audio;
}

static int finish_sound(struct ladder *l, struct sound *s, struct err *e)
{
	int64_t frames = timeline_end_frames(&l->timeline) + AUDIO_ENCODE_AHEAD;
	int r = audio_pipe_finish(s->pipe, frames * AAC_FRAME_SAMPLES, e);
	return r < 0 ? r : audio_encode_flush(s->encoder, e);
}

static uint32_t segments_begun(const struct ladder *l)
{
	uint32_t frames = l->video ? video_pipe_begun(l->video) : 0, packets = l->copy ? video_copy_begun(l->copy) : 0;
	return frames > packets ? frames : packets;
}

static int finish(struct ladder *l, bool *ret_missing, struct err *e)
{
	const bool frames = l->video && !video_pipe_done(l->video);
	int r = frames ? video_pipe_end(l->video, e) : 0;
	if (r < 0)
		return r;
	if (l->source_ended) {
		if (!l->seen)
			return err_set_code(e, ERR_MEDIA, "UNDECODABLE", "nothing in the source could be decoded");
		*ret_missing = timeline_finish(&l->timeline, source_end_ticks(l), segments_begun(l));
	}
	if (frames)
		r = video_pipe_finish(l->video, e);
	if (r == 0 && l->copy)
		r = video_copy_finish(l->copy, e);
	for (uint32_t i = 0; r == 0 && i < l->spec.audio_count; i++)
		if (audio_wanted(l, i))
			r = finish_sound(l, &l->sounds[i], e);
	if (r == 0 && l->subtitles)
		r = subtitle_pipe_finish(l->subtitles, e);
	if (r == 0 && l->video)
		r = video_pipe_wait(l->video, e);
	return r < 0 ? r : report(l, l->media_ticks + PROGRESS_TICKS, e);
}

static struct ladder_result result_of(const struct ladder *l, bool missing)
{
	const struct timeline *t = &l->timeline;
	struct ladder_result res = {
		.next_segment = t->first + t->count,
		.end_of_media = missing || l->spec.last,
		.decode_errors = source_decode_errors(l->source),
		.frames_in = l->video ? video_pipe_frames_in(l->video) : 0,
		.frames_out = l->video ? video_pipe_frames_out(l->video)
				       : (l->copy ? video_copy_frames(l->copy) : audio_encode_frames(l->sounds[0].encoder)),
	};
	if (res.end_of_media) {
		res.end_video_ticks = t->video[t->count];
		res.end_audio_frames = t->audio ? t->audio[t->count] : 0;
	}
	return res;
}

static int make_chunk(const struct task_spec *task, const struct media_io *io, bool whole, struct ladder_result *ret, struct err *e)
{
	struct ladder l = { .spec = task->ladder, .io = io, .whole = whole };
	int r = timeline_init(&l.timeline, &l.spec, e);
	if (r < 0)
		return r;
	l.range_start = timeline_start(&l.timeline);
	timeline_release(&l.timeline);
	begin_at_run(&l.spec);
	r = timeline_init(&l.timeline, &l.spec, e);
	l.media_ticks = INT64_MIN / 2;
	bool missing = false;
	if (r == 0)
		r = open_all(&l, task, e);
	if (r == 0)
		r = read_range(&l, e);
	if (r == 0)
		r = finish(&l, &missing, e);
	if (r == 0)
		*ret = result_of(&l, missing);
	close_all(&l);
	return r;
}

struct attempt {
	const struct task_spec *task;
	struct ladder_result *ret;
};

static int make(void *ctx, const struct media_io *io, bool whole, struct err *e)
{
	const struct attempt *a = ctx;
	return make_chunk(a->task, io, whole, a->ret, e);
}

int media_ladder(const struct task_spec *task, const struct media_io *io, struct ladder_result *ret, struct err *e)
{
	if (task->kind != TASK_LADDER || task->input_count == 0 || !runs_valid(&task->ladder))
		return err_set(e, ERR_INVALID, "not a ladder chunk, or its runs don't fit its segments");
	struct attempt a = { task, ret };
	return media_attempt(io, make, &a, e);
}
