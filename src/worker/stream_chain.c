/* A narration's segments as one stream. In the server and worker process. */
#include "worker/stream_chain.h"

#include <stdlib.h>

#include "base/mem.h"
#include "job/keys.h"
#include "job/plan_download.h"

static int add(struct object_chain *chain, const struct job *narration, const struct segment *s, struct err *e)
{
	const struct rendition sound = { .kind = RENDITION_AUDIO };
	_cleanup_free_ char *relative = key_segment(&sound, CONTAINER_TS, s->index);
	int r = s->committed ? object_chain_add(chain, key_in_job(narration->prefix, relative), e) : -ERR_NOT_FOUND;
	if (r == -ERR_NOT_FOUND)
		return err_set_code(e, ERR_GONE, "SEGMENT_MISSING", "segment %u is not in the store any more", s->index);
	return r;
}

static int add_range(struct object_chain *chain, const struct job *narration, const struct segment *rows, uint32_t count,
		     const struct convert_spec *spec, struct err *e)
{
	const int64_t from = spec->first_sample - DOWNLOAD_MARGIN_SAMPLES;
	const int64_t to = spec->last ? INT64_MAX : spec->first_sample + spec->sample_count + DOWNLOAD_MARGIN_SAMPLES;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < count; i++)
		if (rows[i].start_ticks + rows[i].duration_ticks > from && rows[i].start_ticks < to)
			r = add(chain, narration, &rows[i], e);
	return r;
}

int stream_chain_open(const struct runner *runner, const struct job *download, const struct convert_spec *spec,
		      struct object_chain *ret, struct err *e)
{
	struct job narration;
	struct segment *rows = NULL;
	struct object_chain chain;
	uint32_t count = 0;
	int r = repo_job_get(runner->repo, NULL, download->parent_id, &narration, e);
	if (r < 0)
		return r;
	object_chain_init(&chain, runner->output);
	r = repo_segments(runner->repo, narration.id, 0, 0, UINT32_MAX, &rows, &count, e);
	if (r == 0)
		r = add_range(&chain, &narration, rows, count, spec, e);
	free(rows);
	job_release(&narration);
	if (r < 0)
		object_chain_release(&chain);
	else
		*ret = chain;
	return r;
}
