/* Planning a ladder. Pure. The numbers here decide the bytes of every output: changing one changes them for new jobs
 * only, because a job keeps its plan (spec_json, segment and chunk rows). */
#include "job/plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/plan_codecs.h"
#include "job/plan_copy.h"
#include "job/plan_rungs.h"
#include "job/plan_tracks.h"

/* Every chunk costs something of its own: its task reads the header, decodes again from the keyframe before, and its
 * encoders begin with a full rate buffer (several percent more bytes in chunks of one segment). Eight seconds of small
 * pictures take two seconds of CPU, of which starting over was a tenth. Sound alone is made so quickly (120 times as fast as it
 * plays, on one core) that starting over is a tenth of twenty seconds of it; longer ones would leave the last worker alone. */
#define CHUNK_MIN_SECONDS_VIDEO 8
#define CHUNK_MIN_SECONDS_SMALL 12
#define CHUNK_MAX_SECONDS_VIDEO 24
#define CHUNK_SHARE_VIDEO 8 /* a chunk is one part in so many of what remains */
#define CHUNK_MIN_SECONDS_AUDIO 20
#define CHUNK_MAX_SECONDS_AUDIO 180
#define CHUNK_SHARE_AUDIO 4
#define SMALL_PIXELS (864 * 480)
#define GOP_SECONDS 2        /* Apple's authoring rule 1.13: an IDR at least every two seconds */
#define TAIL_MIN_TICKS 90000 /* a tail below a second is no segment of its own */
#define SEQUENTIAL_THREADS 4 /* one long chunk: its encoders are the only parallelism there is */
#define PIXEL_ASPECT_MAX 10.0
#define FPS_TOLD_MAX 100000 /* a header that tells more is not believed */

static int64_t ns_to_ticks(int64_t ns)
{
	/* Rounded to nearest; ns · 90000 / 1e9 = ns · 9 / 100000, without overflow up to a thousand years. */
	int64_t whole = ns / 100000, rest = ns % 100000;
	int64_t t = rest * 9;
	return whole * 9 + (t >= 0 ? (t + 50000) / 100000 : -((-t + 50000) / 100000));
}

static uint32_t least_seconds(const struct ladder_spec *s)
{
	if (s->video_stream < 0)
		return CHUNK_MIN_SECONDS_AUDIO;
	for (uint32_t i = 0; i < s->rung_count; i++)
		if (s->rungs[i].width * s->rungs[i].height > SMALL_PIXELS)
			return CHUNK_MIN_SECONDS_VIDEO;
	return CHUNK_MIN_SECONDS_SMALL;
}

uint32_t ladder_chunk_segments(uint32_t first, uint32_t total, const struct ladder_spec *s)
{
	if (first == 0)
		return 1;
	const bool video = s->video_stream >= 0;
	const uint32_t least_s = least_seconds(s);
	const uint32_t most_s = video ? CHUNK_MAX_SECONDS_VIDEO : CHUNK_MAX_SECONDS_AUDIO;
	const uint32_t least = (least_s * VIDEO_TIMESCALE + s->segment_ticks - 1) / s->segment_ticks;
	const uint32_t most = most_s * VIDEO_TIMESCALE / s->segment_ticks;
	uint32_t rest = total - first, n = rest / (video ? CHUNK_SHARE_VIDEO : CHUNK_SHARE_AUDIO);
	n = n > most ? most : n;
	n = n < least ? least : n;
	/* The longer ones first: while the last chunk runs there is nothing left for other workers. */
	const uint32_t chunks = rest < n ? 1 : (rest + (n - 1) / 2) / n;
	const uint32_t even = (rest + chunks - 1) / chunks;
	return even > most ? most : even;
}

/* What a chunk that begins there decodes in vain, from the keyframe before; a frame earlier than its first is wanted (ladder.c). A
 * copied rung's boundaries are keyframes. */
static int64_t decoded_in_vain(const struct ladder_plan *p, const struct probe_copy *c, int64_t ticks)
{
	if (p->spec.rungs[0].copy)
		return 0;
	uint32_t low = 0, high = c->count; /* the first that is too late lies in between */
	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		if (c->ticks[middle] + (int64_t)p->spec.frame_ticks * 3 / 2 <= ticks)
			low = middle + 1;
		else
			high = middle;
	}
	return ticks - (low ? c->ticks[low - 1] : 0);
}

/* Up to half as many segments more or fewer, where the next chunk then has so much less to decode in vain; a quarter of the
 * difference is the price of chunks that aren't of one length. */
static uint32_t towards_keyframe(const struct ladder_plan *p, const struct probe_copy *c, uint32_t first, uint32_t n)
{
	const uint32_t rest = p->segment_count - first;
	if (first == 0 || rest <= n || !c->count || !p->video_ticks)
		return n;
	const int64_t *at = p->video_ticks + first;
	uint32_t best = n;
	int64_t best_cost = decoded_in_vain(p, c, at[n]);
	for (uint32_t i = n - n / 2; i <= n + n / 2 && (i <= n || i + n <= rest); i++) { /* no small chunk is left over */
		const int64_t cost = decoded_in_vain(p, c, at[i]) + llabs(at[i] - at[n]) / 4;
		if (cost < best_cost) {
			best = i;
			best_cost = cost;
		}
	}
	return best;
}

/* Whoever makes the first segment goes on with what would be the second chunk: encoders begin anew in between, so that the first
 * segment is there as early as if it were alone, but nobody opens the source and decodes the first segment once more. Sound alone
 * is quick to find, and more workers at once are worth more there. */
static bool goes_on_after_first(const struct ladder_plan *p)
{
	return !p->spec.sequential && p->video_ticks && p->segment_count > 1;
}

static void plan_chunks(struct ladder_plan *p, const struct probe_copy *keyframes)
{
	p->chunks = mr_calloc(p->segment_count + 1, sizeof(*p->chunks));
	for (uint32_t s = 0; s < p->segment_count;) {
		uint32_t n = ladder_chunk_segments(s, p->segment_count, &p->spec);
		n = towards_keyframe(p, keyframes, s, n);
		if (s == 0 && goes_on_after_first(p))
			n += towards_keyframe(p, keyframes, n, ladder_chunk_segments(n, p->segment_count, &p->spec));
		if (p->spec.sequential && s > 0)
			n = p->segment_count - s;
		struct plan_chunk *c = &p->chunks[p->chunk_count++];
		c->kind = CHUNK_LADDER;
		c->first_segment = s;
		c->segment_count = n;
		s += n;
		c->last = s == p->segment_count;
		if (p->video_ticks)
			c->weight_ticks = p->video_ticks[s] - p->video_ticks[c->first_segment];
		else
			c->weight_ticks = (p->audio_frames[s] - p->audio_frames[c->first_segment]) * AAC_FRAME_SAMPLES *
					  VIDEO_TIMESCALE / p->spec.audio_rate;
	}
	p->chunks[p->chunk_count] =
		(struct plan_chunk){ .kind = CHUNK_FINISH, .first_segment = p->segment_count, .waits = true };
}

/* Where segment boundaries would lie in a perfect world: multiples of the segment's length, a tiny tail shared by the
 * last two. */
static uint32_t count_segments(int64_t duration, int64_t length)
{
	int64_t full = duration / length, tail = duration % length;
	if (full == 0)
		return 1;
	if (tail == 0)
		return (uint32_t)full;
	return (uint32_t)full + 1;
}

static int64_t ideal_boundary(uint32_t i, uint32_t count, int64_t duration, int64_t length)
{
	if (i == count)
		return duration;
	int64_t tail = duration - (int64_t)(count - 1) * length;
	if (count > 1 && i == count - 1 && tail < TAIL_MIN_TICKS)
		return duration - (length + tail) / 2;
	return (int64_t)i * length;
}

/* A boundary lies so much before its frame's nominal time: the frame's own may be rounded to the container's clock
 * (milliseconds in Matroska), and segments begin with the first frame that isn't before the boundary. */
static int64_t clock_slack(const struct probe_stream *v)
{
	int64_t frame = (int64_t)VIDEO_TIMESCALE * v->fps_den / v->fps_num;
	int64_t unit = v->time_base_den ? (int64_t)VIDEO_TIMESCALE * v->time_base_num / v->time_base_den : 0;
	return unit + 2 < frame / 4 ? unit + 2 : frame / 4;
}

/* The first frame of a constant-rate video at or after `ticks`; frame n is at offset + n · den / num seconds, rounded.
 * Before the first frame there is no grid. */
static int64_t on_frame_grid(int64_t ticks, int64_t offset, uint32_t num, uint32_t den)
{
	if (ticks <= offset)
		return ticks;
	__int128 span = (__int128)(ticks - offset) * num;
	__int128 unit = (__int128)VIDEO_TIMESCALE * den;
	__int128 n = (span + unit - 1) / unit;
	return offset + (int64_t)((n * unit + num / 2) / num);
}

static void plan_picture(struct ladder_plan *p, const struct probe_result *probe, const struct probe_stream *v)
{
	size_t n = (size_t)p->segment_count + 1;
	p->video_ticks = mr_calloc(n, sizeof(*p->video_ticks));
	/* Frames rarer than four a second give no grid. */
	bool grid = v->constant_frame_rate && v->fps_den && v->fps_num >= 4 * (uint64_t)v->fps_den;
	int64_t offset = v->start_ns == TICKS_UNKNOWN ? 0 : ns_to_ticks(v->start_ns - probe->start_ns);
	for (uint32_t i = 0; i < n; i++) {
		int64_t t = ideal_boundary(i, p->segment_count, p->duration_ticks, (int64_t)p->spec.segment_ticks);
		if (i > 0 && i < p->segment_count && grid)
			t = on_frame_grid(t, offset, v->fps_num, v->fps_den) - clock_slack(v);
		p->video_ticks[i] = t;
	}
}

/* A copied rung has brought boundaries with it. */
static void plan_boundaries(struct ladder_plan *p, const struct probe_result *probe, const struct probe_stream *v)
{
	int64_t length = (int64_t)p->spec.segment_ticks;
	if (!p->video_ticks)
		p->segment_count = count_segments(p->duration_ticks, length);
	size_t n = (size_t)p->segment_count + 1;
	if (v && !p->video_ticks)
		plan_picture(p, probe, v);
	if (!p->spec.audio_count)
		return;
	p->audio_frames = mr_calloc(n, sizeof(*p->audio_frames));
	for (uint32_t i = 0; i < n; i++) {
		int64_t t = p->video_ticks ? p->video_ticks[i]
					   : ideal_boundary(i, p->segment_count, p->duration_ticks, length);
		__int128 samples = (__int128)t * p->spec.audio_rate;
		__int128 frame = (__int128)VIDEO_TIMESCALE * AAC_FRAME_SAMPLES;
		/* Inner boundaries: the nearest frame; the end: no sample is lost, but a rounding of the end makes no
		 * frame. */
		__int128 bias = i < p->segment_count ? frame / 2 : frame - frame / 256;
		p->audio_frames[i] = (int64_t)((samples + bias) / frame);
	}
	if (p->audio_frames[n - 1] < 1)
		p->audio_frames[n - 1] = 1;
}

/* A short last segment may have got no audio frame or no video frame of its own by rounding: merge it into the one
 * before. */
static void merge_empty_tail(struct ladder_plan *p)
{
	while (p->segment_count > 1) {
		uint32_t last = p->segment_count - 1;
		bool empty = (p->audio_frames && p->audio_frames[last + 1] <= p->audio_frames[last]) ||
			     (p->video_ticks &&
			      p->video_ticks[last + 1] - p->video_ticks[last] < (int64_t)p->spec.frame_ticks / 2);
		if (!empty)
			return;
		if (p->audio_frames)
			p->audio_frames[last] = p->audio_frames[last + 1];
		if (p->video_ticks)
			p->video_ticks[last] = p->video_ticks[last + 1];
		p->segment_count--;
	}
}

/* FRAME-RATE is the highest of all the video (RFC 8216, 4.3.4.2). */
static uint32_t source_rate_milli(const struct ladder_spec *s, const struct probe_stream *v)
{
	uint32_t milli = (VIDEO_TIMESCALE * 1000u + s->frame_ticks / 2) / s->frame_ticks;
	if (v->fps_num && v->fps_den && v->fps_num / v->fps_den < FPS_TOLD_MAX)
		milli = (uint32_t)(1000.0 * v->fps_num / v->fps_den + 0.5);
	return v->max_fps_milli > milli && v->max_fps_milli / 1000 < FPS_TOLD_MAX ? v->max_fps_milli : milli;
}

static int plan_video(struct ladder_plan *p, const struct probe_stream *v, struct err *e)
{
	struct ladder_spec *s = &p->spec;
	double width = v->width, height = v->height;
	double pixel_aspect = v->sar_num && v->sar_den ? (double)v->sar_num / v->sar_den : 1;
	/* Beyond that it is a damaged header, which shall not make a picture of a million columns. */
	if (pixel_aspect >= 1.0 / PIXEL_ASPECT_MAX && pixel_aspect <= PIXEL_ASPECT_MAX)
		width *= pixel_aspect;
	if (v->rotation_degrees % 180) {
		double t = width;
		width = height;
		height = t;
	}
	double fps = v->fps_num && v->fps_den ? (double)v->fps_num / v->fps_den : 25;
	fps = fps < 1 ? 1 : fps > 240 ? 240 : fps;
	s->rotation_degrees = v->rotation_degrees;
	s->frame_ticks = (uint32_t)(VIDEO_TIMESCALE / fps + 0.5);
	s->gop_ticks = GOP_SECONDS * VIDEO_TIMESCALE;
	s->reorder_frames = VIDEO_REORDER_FRAMES;
	int r = plan_rungs((uint32_t)(width + 0.5), (uint32_t)(height + 0.5), fps, &p->params, s, e);
	/* What is no slower than the source ever is leaves nothing out. */
	const double fastest = source_rate_milli(s, v) / 1000.0;
	for (uint32_t i = 0; r == 0 && i < s->rung_count; i++)
		if (s->rungs[i].frame_ticks && VIDEO_TIMESCALE / fastest > s->rungs[i].frame_ticks - 1.0)
			s->rungs[i].frame_ticks = 0;
	return r;
}

/* Of a rung that leaves frames out: of every n, the source's rate divided; else its grid's. */
static uint32_t thinned_rate_milli(const struct ladder_rung *g, uint32_t source_ticks, uint32_t source_milli)
{
	const uint32_t n = (g->frame_ticks + source_ticks / 2) / source_ticks, grid = n * source_ticks;
	const uint32_t milli = (VIDEO_TIMESCALE * 1000u + g->frame_ticks / 2) / g->frame_ticks;
	const bool nth = grid > g->frame_ticks ? grid - g->frame_ticks <= n : g->frame_ticks - grid <= n;
	return nth && source_milli / n <= milli + milli / 100 ? (source_milli + n / 2) / n : milli;
}

static void add_rungs(struct ladder_plan *p, const struct probe_stream *v, const struct probe_copy *c)
{
	const struct ladder_spec *s = &p->spec;
	for (uint32_t i = 0; i < s->rung_count; i++) {
		assert(v);
		struct rendition *r = &p->renditions[p->rendition_count];
		const struct ladder_rung *g = &s->rungs[i];
		*r = (struct rendition){ .index = p->rendition_count++,
					 .kind = RENDITION_VIDEO,
					 .width = g->width,
					 .height = g->height,
					 .has_iframes = true };
		const bool plain = g->codec == VIDEO_H264;
		(void)snprintf(r->name, sizeof(r->name), "%up%s%s", g->width < g->height ? g->width : g->height,
			       plain ? "" : "-", plain ? "" : video_codec_name(g->codec));
		r->frame_rate_milli = source_rate_milli(s, v);
		if (g->frame_ticks)
			r->frame_rate_milli = thinned_rate_milli(g, s->frame_ticks, r->frame_rate_milli);
		r->timescale = VIDEO_TIMESCALE;
		r->declared_bps = g->copy ? plan_copy_declared_bps(p, c) : plan_declared_video_bps(g, p->target_duration_s);
	}
}

int ladder_plan(const struct probe_result *probe, const struct ladder_params *params, struct ladder_plan *ret,
		struct err *e)
{
	struct ladder_plan p = { .params = *params, .target_duration_s = params->segment_seconds };
	struct ladder_spec *s = &p.spec;
	s->container = params->container;
	s->video_stream = probe->best_video;
	s->origin_ns = probe->start_ns;
	s->sequential = !probe->seekable;
	s->segment_ticks = params->segment_seconds * VIDEO_TIMESCALE;
	s->video_threads = s->sequential ? SEQUENTIAL_THREADS : 1;
	int r = ladder_params_check(params, e);
	if (r == 0)
		r = plan_tracks(probe, params, s, e);
	if (r < 0)
		return r;
	const struct probe_stream *v = plan_find_stream(probe, s->video_stream);
	if (!v && !s->audio_count)
		return err_set_code(e, ERR_MEDIA, "NO_MEDIA_STREAMS",
				    "neither a video nor a sound that can be decoded");
	p.duration_ticks = ns_to_ticks(probe->duration_ns);
	if (p.duration_ticks < 1)
		return err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "the media has no duration");
	if (p.duration_ticks / (int64_t)s->segment_ticks >= TASK_SEGMENTS_MAX - 1)
		return err_set_code(e, ERR_MEDIA, "TOO_LONG", "more than %d segments of %u s", TASK_SEGMENTS_MAX,
				    params->segment_seconds);
	if (v) {
		r = plan_video(&p, v, e);
		if (r == 0)
			r = plan_copy(&p, probe, v, e);
		if (r < 0)
			return r;
	} else if (params->rung_count || params->codecs != CODEC_BIT(VIDEO_H264)) {
		return err_set(e, ERR_INVALID, "%s: the source has no video", params->rung_count ? "rungs" : "codecs");
	} else if (params->copy == COPY_ALWAYS) {
		return err_set_code(e, ERR_MEDIA, "COPY_NOT_POSSIBLE", "the source has no video that could be copied");
	}
	plan_boundaries(&p, probe, v);
	merge_empty_tail(&p);
	add_rungs(&p, v, &probe->copy);
	plan_add_tracks(&p, probe);
	plan_chunks(&p, &probe->copy);
	p.spec_json = ladder_spec_format(s);
	*ret = p;
	return 0;
}

void ladder_plan_release(struct ladder_plan *p)
{
	free(p->video_ticks);
	free(p->audio_frames);
	free(p->chunks);
	free(p->spec_json);
	*p = (struct ladder_plan){ 0 };
}

struct job_plan ladder_job_plan(const struct ladder_plan *p)
{
	return (struct job_plan){ .spec_json = p->spec_json,
				  .duration_ticks = p->duration_ticks,
				  .target_duration_s = p->target_duration_s,
				  .rendition_count = p->rendition_count,
				  .renditions = p->renditions,
				  .segment_count = p->segment_count,
				  .video_ticks = p->video_ticks,
				  .audio_frames = p->audio_frames,
				  .chunk_count = p->chunk_count + 1,
				  .chunks = p->chunks };
}
