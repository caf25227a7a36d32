/* A complete job's DASH manifest from its rows: see presentation.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hls/dash.h"
#include "job/keys.h"
#include "job/plan.h"
#include "job/presentation.h"

/* Everything that a manifest borrows. */
struct view {
	struct ladder_spec spec;
	struct rendition renditions[RENDITIONS_MAX];
	uint32_t count;
	struct dash_representation representations[RENDITIONS_MAX];
	struct dash_adaptation adaptations[RENDITIONS_MAX];
	size_t adaptation_count;
	struct hls_segment *lists[RENDITIONS_MAX];
	char **uris[RENDITIONS_MAX]; /* of the segments, and the init segment's last */
	uint64_t duration_us;
};

static void view_free(struct view *v)
{
	for (uint32_t i = 0; i < v->count; i++) {
		for (size_t k = 0; v->uris[i] && k <= v->representations[i].segment_count; k++)
			free(v->uris[i][k]);
		free(v->uris[i]);
		free(v->lists[i]);
	}
	free(v);
}

/* The first code of "avc1.64001f": what players don't switch across. */
static bool same_codec(const char *a, const char *b)
{
	size_t n = strcspn(a, ".");
	return strncmp(a, b, n) == 0 && (b[n] == '.' || b[n] == '\0');
}

static int64_t offset_of(const struct view *v, const struct rendition *x)
{
	/* rounded as the writer of the segments does */
	return (ladder_lead_ticks(&v->spec) * x->timescale + VIDEO_TIMESCALE / 2) / VIDEO_TIMESCALE;
}

static int load(struct repo *repo, const struct job *j, const struct presentation *p, struct view *v, uint32_t i, struct err *e)
{
	const struct rendition *x = &v->renditions[i];
	_cleanup_free_ struct segment *rows = NULL;
	uint32_t count;
	int r = repo_segments(repo, j->id, x->index, 0, p->segments, &rows, &count, e);
	if (r < 0)
		return r;
	if (!count || count < p->segments)
		return err_set(e, ERR_INTERNAL, "rendition %s has %u rows of %u", x->name, count, p->segments);
	v->lists[i] = mr_calloc(count, sizeof(*v->lists[i]));
	v->uris[i] = mr_calloc((size_t)count + 1, sizeof(*v->uris[i]));
	for (uint32_t k = 0; k < count; k++) {
		v->uris[i][k] = key_segment(x, v->spec.container, rows[k].index);
		v->lists[i][k] = (struct hls_segment){ .duration_ticks = rows[k].duration_ticks, .uri = v->uris[i][k] };
	}
	v->uris[i][count] = key_init(x);
	int64_t end = rows[count - 1].start_ticks + rows[count - 1].duration_ticks;
	uint64_t us = (uint64_t)((unsigned __int128)end * 1000000 / x->timescale);
	v->duration_us = us > v->duration_us ? us : v->duration_us;
	v->representations[i] = (struct dash_representation){ .id = x->name,
							       .codecs = x->codecs,
							       .bandwidth_bps = x->peak_bps ? x->peak_bps : x->declared_bps,
							       .width = x->width,
							       .height = x->height,
							       .frame_rate_milli = x->frame_rate_milli,
							       .sample_rate = x->kind == RENDITION_AUDIO ? x->timescale : 0,
							       .channels = x->channels,
							       .timescale = x->timescale,
							       .offset_ticks = offset_of(v, x),
							       .init_uri = v->uris[i][count],
							       .segments = v->lists[i],
							       .segment_count = count };
	return 0;
}

/* Neighbours of one codec are one set; each sound is a set of its own. */
static void group(struct view *v)
{
	struct dash_adaptation *a = NULL;
	for (uint32_t i = 0; i < v->count; i++) {
		const struct rendition *x = &v->renditions[i], *before = i ? x - 1 : NULL;
		if (before && x->kind == RENDITION_VIDEO && same_codec(x->codecs, before->codecs)) {
			a->count++;
			continue;
		}
		a = &v->adaptations[v->adaptation_count++];
		*a = (struct dash_adaptation){ .language = x->language[0] ? x->language : NULL,
						.is_main = x->kind == RENDITION_VIDEO || x->is_default,
						.representations = &v->representations[i],
						.count = 1 };
	}
}

bool presentation_has_manifest(const struct job *j)
{
	struct ladder_spec spec;
	struct err e;
	return j->kind == JOB_LADDER && j->status == JOB_COMPLETED && ladder_spec_parse(j->spec_json, &spec, &e) == 0 &&
	       spec.container == CONTAINER_FMP4;
}

static int render(struct repo *repo, const struct job *j, const struct presentation *p, struct view *v, struct buf *out,
		  struct err *e)
{
	int r = ladder_spec_parse(j->spec_json, &v->spec, e);
	if (r == 0)
		r = repo_renditions(repo, j->id, v->renditions, &v->count, e);
	if (r < 0)
		return r;
	if (!p->ended || !v->count || v->spec.container != CONTAINER_FMP4)
		return err_set_code(e, ERR_NOT_FOUND, "NOT_READY",
				    "there is a manifest when a job with fMP4 segments is complete");
	/* Subtitles are the last. They are WebVTT by themselves, which players of DASH don't take in segments. */
	while (v->count && v->renditions[v->count - 1].kind == RENDITION_SUBTITLES)
		v->count--;
	for (uint32_t i = 0; r == 0 && i < v->count; i++)
		r = load(repo, j, p, v, i, e);
	if (r < 0)
		return r;
	group(v);
	const struct dash_manifest m = { .duration_us = v->duration_us,
					 .target_duration_s = j->target_duration_s,
					 .adaptations = v->adaptations,
					 .adaptation_count = v->adaptation_count,
					 .uri_fn = p->uri_fn,
					 .uri_ctx = p->uri_ctx };
	return dash_render(&m, out, e);
}

int presentation_manifest(struct repo *repo, const struct job *j, const struct presentation *p, struct buf *out, struct err *e)
{
	struct view *v = mr_calloc(1, sizeof(*v));
	int r = render(repo, j, p, v, out, e);
	view_free(v);
	return r < 0 ? err_wrap(e, "manifest of job %s", j->id) : 0;
}
