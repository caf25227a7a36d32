/* The by-products of a file: one task, its objects under their final keys, its result on the file's row in one last write.
 * Done again from the start if anything comes between, over the same keys. Runs on a worker thread of the server and worker
 * process.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "job/analysis.h"
#include "job/keys.h"
#include "worker/chunk_run.h"

#define NICE 15 /* behind later chunks (worker.c), too */
#define MEMORY_BYTES (1ull << 30)
/* It takes a few hundredths of the media's length on a core of its own; here it gets what is left over. */
#define WALL_FIRST_MS 60000
#define WALL_MAX_MS 1800000

static int on_object_begin(void *state, const struct task_object *head, char **ret_key, struct err *e)
{
	const struct chunk_run *c = state;
	(void)e;
	_cleanup_free_ char *name = key_byproduct(head->byproduct, head->index);
	*ret_key = key_in_job(c->claim->job.prefix, name);
	return 0;
}

static const struct chunk_objects objects = { .begin = on_object_begin };

static void set_limits(struct chunk_run *c)
{
	int64_t wall_ms = WALL_FIRST_MS + c->claim->job.duration_ticks / (VIDEO_TIMESCALE / 100); /* a tenth of its length */
	c->limits.wall_ms = (uint32_t)(wall_ms < WALL_MAX_MS ? wall_ms : WALL_MAX_MS);
	c->limits.nice = NICE;
	if (c->limits.memory_bytes > MEMORY_BYTES)
		c->limits.memory_bytes = MEMORY_BYTES;
}

int chunk_analyze(struct chunk_run *c, struct err *e)
{
	const struct job *j = &c->claim->job;
	struct task_spec *spec = mr_calloc(1, sizeof(*spec));
	struct task_result *result = mr_calloc(1, sizeof(*result));
	spec->kind = TASK_ANALYZE;
	set_limits(c);
	int r = analysis_spec_parse(j->spec_json, &spec->analyze, e);
	if (r == 0)
		r = chunk_run_task(c, spec, &objects, c, result, e);
	if (r == 0) {
		const struct analyze_result *made = &result->analyze;
		bool nothing = !analysis_made_anything(made) && (made->picture.code[0] || made->sound.code[0]);
		_cleanup_free_ char *json = analysis_json_format(made);
		r = repo_analysis_done(c->runner->repo, c->claim, nothing ? ANALYSIS_FAILED : ANALYSIS_DONE, json, e);
		if (r == 0)
			log_info("file_analyzed", LOG_S("file", j->file_id), LOG_I("attempt", c->claim->chunk.claims),
				 LOG_I("tiles", made->tile_count), LOG_I("points", made->point_count),
				 LOG_S("picture", made->picture.code), LOG_S("sound", made->sound.code),
				 LOG_I("ms", c->usage.wall_ms), LOG_I("cpu_ms", c->usage.cpu_ms),
				 LOG_I("max_rss_kb", c->usage.max_rss_kb));
	}
	free(spec);
	free(result);
	return r;
}
