/* Playlists from rows. */
#include "job/presentation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/keys.h"
#include "job/plan.h"

#define AUDIO_GROUP "audio"

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

static const struct rendition *audio_of(const struct rendition *r, uint32_t count)
{
	return count && r[count - 1].is_audio ? &r[count - 1] : NULL;
}

static void describe_variant(struct hls_variant *v, const struct rendition *r, const struct rendition *audio,
			     bool measured, char *codecs, size_t codecs_size, const char *uri)
{
	uint64_t peak = measured ? r->peak_bps : r->declared_bps, average = measured ? r->average_bps : 0;
	bool with_audio = audio && audio != r;
	if (with_audio) {
		peak += measured ? audio->peak_bps : audio->declared_bps;
		average += measured ? audio->average_bps : 0;
	}
	(void)snprintf(codecs, codecs_size, "%s%s%s", r->codecs, with_audio ? "," : "",
		       with_audio ? audio->codecs : "");
	*v = (struct hls_variant){ .bandwidth_bps = peak,
				    .average_bandwidth_bps = average,
				    .codecs = codecs,
				    .width = r->width,
				    .height = r->height,
				    .frame_rate_milli = r->frame_rate_milli,
				    .audio_group = with_audio ? AUDIO_GROUP : NULL,
				    .uri = uri };
}

int presentation_multivariant(struct repo *repo, const struct job *j, const struct presentation *p, struct buf *out,
			      struct err *e)
{
	struct rendition renditions[RENDITIONS_MAX];
	uint32_t count;
	int r = repo_renditions(repo, j->id, renditions, &count, e);
	if (r < 0)
		return r;
	if (!p->segments || !count)
		return not_ready(e);
	const struct rendition *audio = audio_of(renditions, count);
	uint32_t variant_count = audio && count > 1 ? count - 1 : count;
	struct hls_variant variants[RENDITIONS_MAX];
	char codecs[RENDITIONS_MAX][140];
	char *uris[RENDITIONS_MAX] = { NULL };
	for (uint32_t i = 0; i < count; i++)
		uris[i] = key_playlist(&renditions[i]);
	bool measured = p->ended && renditions[0].peak_bps;
	for (uint32_t i = 0; i < variant_count; i++)
		describe_variant(&variants[i], &renditions[i], audio, measured, codecs[i], sizeof(codecs[i]), uris[i]);
	struct hls_audio_rendition group = { .group_id = AUDIO_GROUP, .is_default = true };
	if (audio) {
		group.name = audio->language[0] ? audio->language : "Audio";
		group.language = audio->language[0] ? audio->language : NULL;
		group.channels = audio->channels;
		group.uri = uris[count - 1];
	}
	struct hls_multivariant m = { .variants = variants,
				      .variant_count = variant_count,
				      .audio = &group,
				      .audio_count = audio && count > 1 ? 1 : 0,
				      .uri_fn = p->uri_fn,
				      .uri_ctx = p->uri_ctx };
	r = hls_render_multivariant(&m, out, e);
	for (uint32_t i = 0; i < count; i++)
		free(uris[i]);
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

int presentation_media(struct repo *repo, const struct job *j, const char *rendition_name, const struct presentation *p,
		       struct buf *out, struct err *e)
{
	struct rendition rendition;
	int r = find_rendition(repo, j, rendition_name, &rendition, e);
	if (r < 0)
		return r;
	if (!p->segments)
		return not_ready(e);
	struct ladder_spec spec;
	r = ladder_spec_parse(j->spec_json, &spec, e);
	if (r < 0)
		return r;
	_cleanup_free_ struct segment *rows = NULL;
	uint32_t count;
	r = repo_segments(repo, j->id, rendition.index, 0, p->segments, &rows, &count, e);
	if (r < 0)
		return r;
	if (count < p->segments)
		return err_set(e, ERR_INTERNAL, "rendition %s has %u rows where %u are published", rendition.name,
			       count, p->segments);
	struct hls_segment *list = mr_calloc(count, sizeof(*list));
	char **uris = mr_calloc(count, sizeof(*uris));
	for (uint32_t i = 0; i < count; i++) {
		uris[i] = beside(key_segment(&rendition, spec.container, rows[i].index));
		list[i] = (struct hls_segment){ .duration_ticks = rows[i].duration_ticks, .uri = uris[i] };
	}
	_cleanup_free_ char *map = spec.container == CONTAINER_FMP4 ? beside(key_init(&rendition)) : NULL;
	struct hls_media m = { .type = HLS_EVENT,
			       .target_duration_s = j->target_duration_s,
			       .timescale = rendition.timescale,
			       .map_uri = map,
			       .segments = list,
			       .segment_count = count,
			       .ended = p->ended,
			       .start_at_zero = true,
			       .uri_fn = p->uri_fn,
			       .uri_ctx = p->uri_ctx };
	r = hls_render_media(&m, out, e);
	for (uint32_t i = 0; i < count; i++)
		free(uris[i]);
	free(uris);
	free(list);
	return r < 0 ? err_wrap(e, "playlist %s of job %s", rendition.name, j->id) : 0;
}
