/* Playlists from rows. */
#include "job/presentation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/iframes.h"
#include "job/keys.h"
#include "job/plan.h"
#include "job/presentation_tracks.h"

#define CELLULAR_BPS 192000 /* Apple's Authoring Specification: a variant of at most so much for cellular networks */

struct presentation presentation_of(const struct job *j)
{
	return (struct presentation){
		.segments = j->published_segments,
		.ended = j->ended && j->published_segments >= j->segment_count,
	};
}

static int not_ready(struct err *e)
{
	return err_set_code(e, ERR_NOT_FOUND, "NOT_READY", "no segment can be fetched yet");
}

/* The last path part: what a media playlist, which lies beside its segments, calls an object of the rendition. */
static char *beside(char *take_key)
{
	char *slash = strrchr(take_key, '/');
	char *name = mr_strdup(slash ? slash + 1 : take_key);
	free(take_key);
	return name;
}

/* `groups` are there for everything but a single sound without video. */
static void describe_variant(struct hls_variant *v, const struct rendition *r, const struct track_groups *groups,
			     bool measured, char *codecs, size_t codecs_size, const char *uri)
{
	bool with_audio = r->kind == RENDITION_VIDEO && groups->audio_codecs;
	(void)snprintf(codecs, codecs_size, "%s%s%s", r->codecs, with_audio ? "," : "",
		       with_audio ? groups->audio_codecs : "");
	*v = (struct hls_variant){ .bandwidth_bps = (measured ? r->peak_bps : r->declared_bps) + groups->peak_bps,
				    .average_bandwidth_bps = measured ? r->average_bps + groups->average_bps : 0,
				    .codecs = codecs,
				    .width = r->width,
				    .height = r->height,
				    .frame_rate_milli = r->frame_rate_milli,
				    .audio_group = groups->audio_group,
				    .subtitle_group = groups->subtitle_group,
				    .uri = uri };
}

static void describe_iframes(struct hls_iframe_variant *v, const struct rendition *r, bool measured, const char *uri)
{
	/* A part of the rendition, at most at its cap. */
	*v = (struct hls_iframe_variant){ .bandwidth_bps = measured ? r->iframe_peak_bps : r->declared_bps,
					   .average_bandwidth_bps = measured ? r->iframe_average_bps : 0,
					   .codecs = r->codecs,
					   .width = r->width,
					   .height = r->height,
					   .uri = uri };
}

/* Everything that a multivariant playlist borrows. */
struct multivariant {
	struct rendition renditions[RENDITIONS_MAX];
	uint32_t count;
	struct track_groups groups;
	struct hls_variant variants[TASK_RUNGS_MAX + 1]; /* the sound alone is the last */
	struct hls_iframe_variant iframes[TASK_RUNGS_MAX];
	char codecs[TASK_RUNGS_MAX][140];
	char *uris[TASK_RUNGS_MAX + 1], *iframe_uris[TASK_RUNGS_MAX];
};

/* A connection that carries no picture can still carry the sound: where no rung is as thin as Apple's rules want, the film's
 * sound is a variant of its own. By the caps, so that the variants stay what they are when the job is complete. */
static void add_sound(struct multivariant *all, bool measured, struct hls_multivariant *m)
{
	const struct rendition *sound = NULL;
	uint64_t thinnest_bps = UINT64_MAX;
	for (uint32_t i = 0; i < all->count; i++) {
		const struct rendition *x = &all->renditions[i];
		if (x->kind == RENDITION_VIDEO && x->declared_bps < thinnest_bps)
			thinnest_bps = x->declared_bps;
		if (x->kind == RENDITION_AUDIO && !sound)
			sound = x;
	}
	if (!sound || thinnest_bps == UINT64_MAX || sound->declared_bps > CELLULAR_BPS ||
	    thinnest_bps + sound->declared_bps <= CELLULAR_BPS)
		return;
	size_t n = m->variant_count++;
	all->uris[n] = key_playlist(sound);
	all->variants[n] = (struct hls_variant){ .bandwidth_bps = all->groups.peak_bps,
						  .average_bandwidth_bps = measured ? all->groups.average_bps : 0,
						  .codecs = sound->codecs,
						  .audio_group = all->groups.audio_group,
						  .subtitle_group = all->groups.subtitle_group,
						  .uri = all->uris[n] };
}

/* The variants are the rungs, or the first sound where there are none. */
static void describe_all(struct multivariant *all, bool ended, struct hls_multivariant *m)
{
	bool measured = ended && all->renditions[0].peak_bps;
	track_groups_init(&all->groups, all->renditions, all->count, measured);
	m->renditions = all->groups.items;
	m->rendition_count = all->groups.count;
	m->variants = all->variants;
	m->iframes = all->iframes;
	for (uint32_t i = 0; i < all->count && i < TASK_RUNGS_MAX; i++) {
		const struct rendition *x = &all->renditions[i];
		if (i > 0 && x->kind != RENDITION_VIDEO)
			break;
		all->uris[i] = key_playlist(x);
		describe_variant(&all->variants[m->variant_count++], x, &all->groups, measured, all->codecs[i],
				 sizeof(all->codecs[i]), all->uris[i]);
		if (!x->has_iframes)
			continue;
		all->iframe_uris[i] = key_iframes(x);
		describe_iframes(&all->iframes[m->iframe_count++], x, measured, all->iframe_uris[i]);
	}
	add_sound(all, measured, m);
}

int presentation_multivariant(struct repo *repo, const struct job *j, const struct presentation *p, struct buf *out,
			      struct err *e)
{
	_cleanup_free_ struct multivariant *all = mr_calloc(1, sizeof(*all));
	int r = repo_renditions(repo, j->id, all->renditions, &all->count, e);
	if (r < 0)
		return r;
	if (!p->segments || !all->count)
		return not_ready(e);
	struct hls_multivariant m = { .uri_fn = p->uri_fn, .uri_ctx = p->uri_ctx };
	describe_all(all, p->ended, &m);
	r = hls_render_multivariant(&m, out, e);
	track_groups_release(&all->groups);
	for (uint32_t i = 0; i < TASK_RUNGS_MAX; i++)
		free(all->iframe_uris[i]);
	for (uint32_t i = 0; i <= TASK_RUNGS_MAX; i++)
		free(all->uris[i]);
	return r < 0 ? err_wrap(e, "playlist of job %s", j->id) : 0;
}

static int find_rendition(struct repo *repo, const struct job *j, const char *name, struct rendition *ret,
			  struct err *e)
{
	struct rendition renditions[RENDITIONS_MAX];
	uint32_t count;
	int r = repo_renditions(repo, j->id, renditions, &count, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(renditions[i].name, name) == 0) {
			*ret = renditions[i];
			return 0;
		}
	return err_set(e, ERR_NOT_FOUND, "the job has no rendition \"%.32s\"", name);
}

/* What a list of one rendition is made of. */
struct listed {
	struct rendition rendition;
	struct segment *rows;
	uint32_t count;
	char **uris; /* of the segments */
	char *map;   /* NULL: TS */
};

static void listed_release(struct listed *l)
{
	for (uint32_t i = 0; l->uris && i < l->count; i++)
		free(l->uris[i]);
	free(l->uris);
	free(l->rows);
	free(l->map);
}
#define _cleanup_listed_ MR_CLEANUP(listed_release)

static int container_of(const struct job *j, enum segment_container *ret, struct err *e)
{
	struct ladder_spec spec = { .container = CONTAINER_TS };
	int r = j->kind == JOB_NARRATION ? 0 : ladder_spec_parse(j->spec_json, &spec, e);
	if (r == 0)
		*ret = spec.container;
	return r;
}

static int load_listed(struct repo *repo, const struct job *j, const char *name, const struct presentation *p,
		       struct listed *ret, struct err *e)
{
	int r = find_rendition(repo, j, name, &ret->rendition, e);
	if (r < 0)
		return r;
	if (!p->segments)
		return not_ready(e);
	enum segment_container container;
	r = container_of(j, &container, e);
	if (r == 0)
		r = repo_segments(repo, j->id, ret->rendition.index, 0, p->segments, &ret->rows, &ret->count, e);
	if (r < 0)
		return r;
	if (ret->count < p->segments)
		return err_set(e, ERR_INTERNAL, "rendition %s has %u rows where %u are published", ret->rendition.name,
			       ret->count, p->segments);
	ret->uris = mr_calloc(ret->count, sizeof(*ret->uris));
	for (uint32_t i = 0; i < ret->count; i++)
		ret->uris[i] = beside(key_segment(&ret->rendition, container, ret->rows[i].index));
	bool mapped = container == CONTAINER_FMP4 && ret->rendition.kind != RENDITION_SUBTITLES;
	ret->map = mapped ? beside(key_init(&ret->rendition)) : NULL;
	return 0;
}

int presentation_media(struct repo *repo, const struct job *j, const char *rendition_name, const struct presentation *p,
		       struct buf *out, struct err *e)
{
	_cleanup_listed_ struct listed l = { 0 };
	int r = load_listed(repo, j, rendition_name, p, &l, e);
	if (r < 0)
		return r;
	_cleanup_free_ struct hls_segment *list = mr_calloc(l.count, sizeof(*list));
	for (uint32_t i = 0; i < l.count; i++)
		list[i] = (struct hls_segment){ .duration_ticks = l.rows[i].duration_ticks, .uri = l.uris[i] };
	struct hls_media m = { .type = HLS_EVENT,
			       .target_duration_s = j->target_duration_s,
			       .timescale = l.rendition.timescale,
			       .map_uri = l.map,
			       .segments = list,
			       .segment_count = l.count,
			       .ended = p->ended,
			       .start_at_zero = true,
			       .uri_fn = p->uri_fn,
			       .uri_ctx = p->uri_ctx };
	r = hls_render_media(&m, out, e);
	return r < 0 ? err_wrap(e, "playlist %s of job %s", l.rendition.name, j->id) : 0;
}

int presentation_iframes(struct repo *repo, const struct job *j, const char *rendition_name, const struct presentation *p,
			 struct buf *out, struct err *e)
{
	_cleanup_listed_ struct listed l = { 0 };
	int r = load_listed(repo, j, rendition_name, p, &l, e);
	if (r < 0)
		return r;
	if (!l.rendition.has_iframes)
		return err_set(e, ERR_NOT_FOUND, "rendition \"%s\" has no list of I-frames", l.rendition.name);
	_cleanup_free_ struct hls_iframe *list = mr_calloc((size_t)l.count * TASK_IFRAMES_MAX, sizeof(*list));
	struct hls_iframes m = { .type = HLS_EVENT,
				 .target_duration_s = j->target_duration_s,
				 .timescale = l.rendition.timescale,
				 .map_uri = l.map,
				 .iframes = list,
				 .ended = p->ended,
				 .uri_fn = p->uri_fn,
				 .uri_ctx = p->uri_ctx };
	for (uint32_t i = 0; i < l.count; i++)
		for (uint32_t k = 0; k < l.rows[i].iframe_count; k++)
			list[m.iframe_count++] = (struct hls_iframe){ .duration_ticks = iframes_duration(&l.rows[i], k),
								       .offset = l.rows[i].iframes[k].offset,
								       .size_bytes = l.rows[i].iframes[k].size_bytes,
								       .uri = l.uris[i] };
	r = hls_render_iframes(&m, out, e);
	return r < 0 ? err_wrap(e, "I-frames %s of job %s", l.rendition.name, j->id) : 0;
}
