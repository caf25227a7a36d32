/* Encoding of the specification, parent → task. The task trusts its parent no further than it must: the same checks hold in
 * both directions, so a plan that makes no sense is refused where it is made. */
#include <stdlib.h>
#include <string.h>

#include "proto/channel.h"
#include "proto/codec_analyze.h"
#include "proto/codec_convert.h"
#include "proto/codec_narrate.h"
#include "proto/codec_speak.h"
#include "proto/wire.h"

#define SIDE_MAX 16384u /* H.264's levels end far below */

void task_spec_release(struct task_spec *spec)
{
	free(spec->ladder.video_ticks);
	free(spec->ladder.audio_frames);
	free(spec->ladder.runs);
	free(spec->narrate.items);
	memset(spec, 0, sizeof(*spec));
}

static void walk_rung(struct wire *w, struct ladder_rung *r)
{
	wire_u32(w, &r->width);
	wire_u32(w, &r->height);
	wire_u32(w, &r->crf_x10);
	wire_u32(w, &r->maxrate_bps);
	wire_u32(w, &r->bufsize_bits);
	wire_text(w, r->profile, sizeof(r->profile));
	wire_u32(w, &r->level_x10);
	uint32_t codec = (uint32_t)r->codec;
	wire_u32(w, &codec);
	r->codec = codec == VIDEO_HEVC ? VIDEO_HEVC : VIDEO_H264;
	if (codec != (uint32_t)r->codec)
		wire_fault(w, "an unknown video codec");
	wire_bool(w, &r->copy);
	wire_u32(w, &r->frame_ticks);
}

static void walk_audios(struct wire *w, struct ladder_spec *l)
{
	wire_u32(w, &l->audio_rate);
	wire_u32(w, &l->audio_count);
	if (l->audio_count > TASK_AUDIOS_MAX) {
		wire_fault(w, "too many sound tracks");
		l->audio_count = 0;
	}
	for (uint32_t i = 0; i < l->audio_count; i++) {
		wire_i32(w, &l->audios[i].stream);
		wire_u32(w, &l->audios[i].channels);
		wire_u32(w, &l->audios[i].bitrate_bps);
	}
}

static void walk_subtitles(struct wire *w, struct ladder_spec *l)
{
	wire_u32(w, &l->subtitle_count);
	if (l->subtitle_count > TASK_SUBTITLES_MAX) {
		wire_fault(w, "too many subtitles");
		l->subtitle_count = 0;
	}
	for (uint32_t i = 0; i < l->subtitle_count; i++)
		wire_i32(w, &l->subtitle_streams[i]);
}

/* The counts come before the arrays that they size, and are bounded as soon as they are known. */
static void walk_ladder(struct wire *w, struct ladder_spec *l)
{
	uint32_t container = (uint32_t)l->container;
	wire_u32(w, &container);
	l->container = container == CONTAINER_TS ? CONTAINER_TS : CONTAINER_FMP4;
	if (container != (uint32_t)l->container)
		wire_fault(w, "an unknown container");
	wire_i32(w, &l->video_stream);
	wire_i64(w, &l->origin_ns);
	wire_u32(w, &l->rotation_degrees);
	wire_bool(w, &l->sequential);
	wire_bool(w, &l->last);
	wire_u32(w, &l->video_threads);
	wire_u32(w, &l->frame_ticks);
	wire_u32(w, &l->gop_ticks);
	wire_u32(w, &l->segment_ticks);
	wire_u32(w, &l->reorder_frames);
	wire_u32(w, &l->rung_count);
	if (l->rung_count > TASK_RUNGS_MAX) {
		wire_fault(w, "too many rungs");
		l->rung_count = 0;
	}
	for (uint32_t i = 0; i < l->rung_count; i++)
		walk_rung(w, &l->rungs[i]);
	walk_audios(w, l);
	walk_subtitles(w, l);
	wire_u32(w, &l->first_segment);
	wire_u32(w, &l->segment_count);
	wire_u32(w, &l->run_count);
	wire_u32(w, &l->ease_off);
	wire_u32(w, &l->resume_segment);
	if (l->segment_count > TASK_SEGMENTS_MAX || l->run_count > l->segment_count) {
		wire_fault(w, "more segments or runs than there can be");
		l->segment_count = l->run_count = 0;
	}
	size_t bounds = (size_t)l->segment_count + 1;
	wire_i64_array(w, &l->video_ticks, l->video_stream >= 0 ? bounds : 0);
	wire_i64_array(w, &l->audio_frames, l->audio_count > 0 ? bounds : 0);
	wire_u32_array(w, &l->runs, l->run_count);
}

static const char *check_boundaries(const int64_t *b, size_t count)
{
	if (b[0] < 0)
		return "a boundary before the origin";
	for (size_t i = 1; i < count; i++)
		if (b[i] < b[i - 1])
			return "falling boundaries";
	return NULL;
}

static const char *check_rungs(const struct ladder_spec *l)
{
	if (l->rung_count == 0 || l->rung_count > TASK_RUNGS_MAX)
		return "video without rungs";
	if (l->video_threads < 1 || l->video_threads > 64 || !l->frame_ticks || !l->gop_ticks)
		return "video without threads, frame duration or GOP length";
	if (l->reorder_frames < VIDEO_REORDER_FRAMES || l->reorder_frames > VIDEO_REORDER_MAX)
		return "more frames out of order than there can be";
	for (uint32_t i = 0; i < l->rung_count; i++) {
		const struct ladder_rung *r = &l->rungs[i];
		if (r->copy && (i > 0 || r->codec != VIDEO_H264 || l->sequential || l->rotation_degrees))
			return "a copy of what can't be copied";
		if (r->frame_ticks && (r->copy || r->frame_ticks > VIDEO_TIMESCALE))
			return "a copy that leaves frames out, or frames more than a second apart";
		if (r->width < 2 || r->height < 2 || r->width > SIDE_MAX || r->height > SIDE_MAX || r->width % 2 || r->height % 2)
			return "a rung whose sides are odd or out of range";
		if (r->crf_x10 > 510 || !r->maxrate_bps || !r->bufsize_bits || r->level_x10 > 62 || !r->profile[0])
			return "a rung whose rate, profile or level is out of range";
		if (r->codec == VIDEO_HEVC && l->container == CONTAINER_TS)
			return "HEVC in TS";
	}
	return NULL;
}

#define NICENESS_MAX 19 /* setpriority(2) */

static const char *check_runs(const struct ladder_spec *l)
{
	if (l->run_count < 1 || l->run_count > l->segment_count || !l->runs)
		return "no runs, or more than segments";
	if (l->runs[0] != l->first_segment || l->runs[l->run_count - 1] >= l->first_segment + l->segment_count)
		return "runs outside the chunk";
	for (uint32_t i = 1; i < l->run_count; i++)
		if (l->runs[i] <= l->runs[i - 1])
			return "runs that don't rise";
	if (l->ease_off > NICENESS_MAX)
		return "threads that step behind all others and further";
	return NULL;
}

/* Every stream is used once. */
static const char *check_streams(const struct ladder_spec *l)
{
	bool used[TASK_STREAMS_MAX] = { false };
	int32_t list[1 + TASK_AUDIOS_MAX + TASK_SUBTITLES_MAX];
	size_t n = 0;
	if (l->video_stream < -1 || l->audio_count > TASK_AUDIOS_MAX || l->subtitle_count > TASK_SUBTITLES_MAX ||
	    (l->video_stream < 0 && !l->audio_count))
		return "no streams, or too many";
	if (l->video_stream >= 0)
		list[n++] = l->video_stream;
	for (uint32_t i = 0; i < l->audio_count; i++)
		list[n++] = l->audios[i].stream;
	for (uint32_t i = 0; i < l->subtitle_count; i++)
		list[n++] = l->subtitle_streams[i];
	for (size_t i = 0; i < n; i++) {
		if (list[i] < 0 || list[i] >= TASK_STREAMS_MAX || used[list[i]])
			return "stream numbers out of range, or one twice";
		used[list[i]] = true;
	}
	return NULL;
}

static const char *check_audios(const struct ladder_spec *l)
{
	if (l->audio_rate < 8000 || l->audio_rate > 96000)
		return "audio's rate is out of range";
	for (uint32_t i = 0; i < l->audio_count; i++)
		if (l->audios[i].channels < 1 || l->audios[i].channels > 8 || !l->audios[i].bitrate_bps)
			return "audio parameters out of range";
	return NULL;
}

static const char *check_ladder(const struct ladder_spec *l)
{
	const bool video = l->video_stream >= 0, audio = l->audio_count > 0;
	const char *wrong = check_streams(l);
	if (wrong)
		return wrong;
	if (l->rotation_degrees % 90 || l->rotation_degrees > 270 || l->origin_ns == TICKS_UNKNOWN || !l->segment_ticks)
		return "rotation, origin or segment length out of range";
	if (l->segment_count < 1 || l->first_segment > TASK_SEGMENTS_MAX ||
	    l->segment_count > TASK_SEGMENTS_MAX - l->first_segment)
		return "segment numbers out of range";
	if (l->resume_segment > l->first_segment + l->segment_count)
		return "a resume beyond the chunk";
	if (video != !!l->video_ticks || audio != !!l->audio_frames || (!video && l->rung_count))
		return "boundaries or rungs that don't fit the streams";
	wrong = check_runs(l);
	if (!wrong && video)
		wrong = check_rungs(l);
	if (!wrong && video)
		wrong = check_boundaries(l->video_ticks, (size_t)l->segment_count + 1);
	if (!wrong && audio)
		wrong = check_audios(l);
	if (!wrong && audio)
		wrong = check_boundaries(l->audio_frames, (size_t)l->segment_count + 1);
	return wrong;
}

static const char *check_spec(const struct task_spec *s)
{
	if (!task_kind_known((uint32_t)s->kind))
		return "an unknown kind of task";
	if (task_kind_serves(s->kind))
		return s->input_count ? "an input of a task that has none" : NULL;
	if (s->input_count < 1 || s->input_count > TASK_INPUTS_MAX)
		return "no input, or too many";
	for (uint32_t i = 0; i < s->input_count; i++)
		if (!s->inputs[i].name[0] || s->inputs[i].size_bytes > INT64_MAX)
			return "an input without a name or of impossible size";
	if (s->kind == TASK_ANALYZE)
		return check_analyze_spec(&s->analyze);
	if (s->kind == TASK_SPEAK)
		return check_speak_spec(s);
	if (task_kind_converts(s->kind))
		return check_convert_spec(&s->convert, s->kind, s->input_count);
	if (task_kind_narrates(s->kind))
		return check_narrate_spec(&s->narrate, s->input_count);
	return s->kind == TASK_LADDER ? check_ladder(&s->ladder) : NULL;
}

static void walk_spec(struct wire *w, struct task_spec *s)
{
	uint32_t kind = (uint32_t)s->kind;
	wire_u32(w, &kind);
	if (!task_kind_known(kind)) {
		wire_fault(w, "an unknown kind of task");
		kind = TASK_PROBE;
	}
	s->kind = (enum task_kind)kind;
	wire_u32(w, &s->input_count);
	if (s->input_count > TASK_INPUTS_MAX) {
		wire_fault(w, "too many inputs");
		s->input_count = 0;
	}
	for (uint32_t i = 0; i < s->input_count; i++) {
		wire_text(w, s->inputs[i].name, sizeof(s->inputs[i].name));
		wire_u64(w, &s->inputs[i].size_bytes);
	}
	if (s->kind == TASK_LADDER)
		walk_ladder(w, &s->ladder);
	if (s->kind == TASK_ANALYZE)
		walk_analyze_spec(w, &s->analyze);
	if (task_kind_converts(s->kind))
		walk_convert_spec(w, &s->convert);
	if (s->kind == TASK_SPEAK)
		walk_speak_spec(w, &s->speak);
	if (task_kind_narrates(s->kind))
		walk_narrate_spec(w, &s->narrate);
}

int task_spec_encode(const struct task_spec *s, struct buf *out, struct err *e)
{
	const char *wrong = check_spec(s);
	if (wrong)
		return err_set(e, ERR_PROTOCOL, "task specification: %s", wrong);
	struct task_spec copy = *s; /* borrows the arrays; the walk only reads them when it writes */
	struct wire w = wire_writer(out);
	walk_spec(&w, &copy);
	if (wire_finish(&w, e) < 0)
		return err_wrap(e, "task specification");
	return 0;
}

int task_spec_decode(const void *data, size_t len, struct task_spec *ret, struct err *e)
{
	struct task_spec s = { 0 };
	struct wire w = wire_reader(data, len);
	walk_spec(&w, &s);
	int r = wire_finish(&w, e);
	if (r == 0) {
		const char *wrong = check_spec(&s);
		if (wrong)
			r = err_set(e, ERR_PROTOCOL, "%s", wrong);
	}
	if (r < 0) {
		task_spec_release(&s);
		(void)err_wrap(e, "task specification");
		return r;
	}
	*ret = s;
	return 0;
}
