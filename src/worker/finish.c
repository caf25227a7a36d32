/* Finishing a job. */
#include "worker/finish.h"

#include <stdlib.h>

#include "base/mem.h"
#include "hls/playlist.h"

static int measure(struct repo *repo, const struct claim *c, const struct rendition *rendition, struct err *e)
{
	_cleanup_free_ struct segment *rows = NULL;
	uint32_t count;
	int r = repo_segments(repo, c->job.id, rendition->index, 0, UINT32_MAX, &rows, &count, e);
	if (r < 0)
		return r;
	struct hls_bitrate_segment *list = mr_calloc(count, sizeof(*list));
	for (uint32_t i = 0; i < count; i++)
		list[i] = (struct hls_bitrate_segment){ .duration_ticks = rows[i].duration_ticks,
							 .bytes = rows[i].bytes };
	uint64_t peak, average;
	hls_measure_bandwidth(list, count, rendition->timescale, c->job.target_duration_s, &peak, &average);
	free(list);
	return repo_measured(repo, c, rendition->index, peak, average, e);
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
