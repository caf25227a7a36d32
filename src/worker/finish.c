/* Finishing a job. */
#include "worker/finish.h"

#include <stdlib.h>

#include "base/mem.h"
#include "hls/playlist.h"
#include "job/iframes.h"

static void measure_segments(const struct claim *c, const struct rendition *x, const struct segment *rows, uint32_t count,
			     struct measured *ret)
{
	struct hls_bitrate_segment *list = mr_calloc(count, sizeof(*list));
	for (uint32_t i = 0; i < count; i++)
		list[i] = (struct hls_bitrate_segment){ .duration_ticks = rows[i].duration_ticks,
							 .bytes = rows[i].bytes };
	hls_measure_bandwidth(list, count, x->timescale, c->job.target_duration_s, &ret->peak_bps, &ret->average_bps);
	free(list);
}

static void measure_iframes(const struct claim *c, const struct rendition *x, const struct segment *rows, uint32_t count,
			    struct measured *ret)
{
	struct hls_bitrate_segment *list = mr_calloc((size_t)count * TASK_IFRAMES_MAX, sizeof(*list));
	size_t n = 0;
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < rows[i].iframe_count; k++)
			list[n++] = (struct hls_bitrate_segment){ .duration_ticks = iframes_duration(&rows[i], k),
								  .bytes = rows[i].iframes[k].size_bytes };
	hls_measure_bandwidth(list, n, x->timescale, c->job.target_duration_s, &ret->iframe_peak_bps,
			      &ret->iframe_average_bps);
	free(list);
}

static int measure(struct repo *repo, const struct claim *c, const struct rendition *rendition, struct err *e)
{
	_cleanup_free_ struct segment *rows = NULL;
	uint32_t count;
	int r = repo_segments(repo, c->job.id, rendition->index, 0, UINT32_MAX, &rows, &count, e);
	if (r < 0)
		return r;
	struct measured m = { 0 };
	measure_segments(c, rendition, rows, count, &m);
	if (rendition->has_iframes)
		measure_iframes(c, rendition, rows, count, &m);
	return repo_measured(repo, c, rendition->index, &m, e);
}

int finish_job(struct repo *repo, struct publisher *publisher, const struct claim *c, struct err *e)
{
	struct rendition renditions[RENDITIONS_MAX];
	uint32_t count;
	if (!c->job.segment_count)
		return err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "no segment could be made of the source");
	int r = repo_renditions(repo, c->job.id, renditions, &count, e);
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = measure(repo, c, &renditions[i], e);
	if (r == 0)
		r = repo_job_end(repo, c, e);
	if (r == 0)
		r = publisher_finish(publisher, c->job.id, e);
	if (r == 0)
		r = repo_job_complete(repo, c, e);
	return r;
}
