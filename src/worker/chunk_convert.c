/* A chunk of a conversion: its parts and their index into the store, what came of it into its row. Done again from its start
 * if anything comes between: the same bytes over the same keys. Runs on a worker thread of the server and worker process.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "job/convert_json.h"
#include "job/keys.h"
#include "worker/chunk_run.h"
#include "worker/stream_chain.h"

struct parts {
	struct chunk_run *c;
	bool in_place;	  /* where the task knows the head's size */
	uint64_t body_at; /* the next part's place, behind the head */
};

/* task_run.c has checked that they are parts in order, then the index. */
static int on_object_begin(void *state, const struct task_object *head, char **ret_key, struct err *e)
{
	const struct parts *p = state;
	const struct chunk *k = &p->c->claim->chunk;
	if (p->in_place && head->kind == TASK_OBJECT_PART && head->head_bytes)
		return in_place_head(p->c->runner->in_place, head->head_bytes, e);
	*ret_key = head->kind == TASK_OBJECT_INDEX ? key_part_index(k->job_id, k->index)
						   : key_part(k->job_id, k->index, head->index);
	return 0;
}

/* Of a part that goes to its place. */
static int on_object_data(void *state, const void *data, size_t len, struct err *e)
{
	struct parts *p = state;
	int r = in_place_write(p->c->runner->in_place, p->body_at, data, len, e);
	p->body_at += len;
	return r;
}

static const struct chunk_objects objects = { .begin = on_object_begin, .data = on_object_data, .behind = true };

static struct parts parts_of(struct chunk_run *c, const struct convert_constants *constants, const struct convert_spec *chunk)
{
	const uint64_t sample = chunk->sample == SAMPLE_S16 ? 2 : chunk->sample == SAMPLE_S24 ? 3 : 4;
	return (struct parts){ .c = c,
			       .in_place = convert_length_known(constants) && in_place_fits(c->runner->in_place, &constants->spec),
			       .body_at = (uint64_t)chunk->first_sample * chunk->channels * sample };
}

/* What the measuring chunk found, where there is one. */
static int read_gain(struct chunk_run *c, int32_t *ret_gain_mb, struct err *e)
{
	struct step_result *steps;
	uint32_t count;
	int r = repo_step_results(c->runner->repo, c->claim->job.id, CHUNK_MEASURE, &steps, &count, e);
	if (r < 0)
		return r;
	r = count == 1 ? convert_measure_gain(steps[0].json, ret_gain_mb, e)
		       : err_set(e, ERR_INTERNAL, "the sound of job %s was not measured", c->claim->job.id);
	step_results_free(steps, count);
	return r;
}

/* The source are the stream's segments around the chunk, from the first of these on. */
static int run_download(struct chunk_run *c, struct task_spec *spec, struct parts *parts, struct task_result *result, struct err *e)
{
	struct object_chain chain;
	int r = stream_chain_open(c->runner, &c->claim->job, &spec->convert, &chain, e);
	if (r < 0)
		return r;
	spec->convert.sequential = true;
	c->chain = &chain;
	r = chunk_run_task(c, spec, &objects, parts, result, e);
	c->chain = NULL;
	object_chain_release(&chain);
	return r;
}

static int work(struct chunk_run *c, struct task_result *result, struct err *e)
{
	struct convert_constants constants;
	int r = convert_constants_parse(c->claim->job.spec_json, &constants, e);
	if (r < 0)
		return r;
	struct task_spec spec = { .kind = TASK_CONVERT, .convert = convert_chunk_spec(&constants, &c->claim->chunk) };
	if (constants.normalize)
		r = read_gain(c, &spec.convert.gain_mb, e);
	c->by_bytes = !convert_length_known(&constants);
	c->range_ticks = spec.convert.sample_count / spec.convert.rate * VIDEO_TIMESCALE;
	struct parts parts = parts_of(c, &constants, &spec.convert);
	if (r == 0 && c->claim->job.kind == JOB_DOWNLOAD)
		r = run_download(c, &spec, &parts, result, e);
	else if (r == 0)
		r = chunk_run_task(c, &spec, &objects, &parts, result, e);
	if (r < 0)
		return r;
	_cleanup_free_ char *json = convert_step_format(&result->convert);
	return repo_step_done(c->runner->repo, c->claim, json, e);
}

int chunk_convert(struct chunk_run *c, struct err *e)
{
	struct task_result *result = mr_calloc(1, sizeof(*result));
	int r = work(c, result, e);
	if (r == 0)
		log_info("chunk_done", LOG_S("job", c->claim->job.id), LOG_I("chunk", c->claim->chunk.index),
			 LOG_I("attempt", c->claim->chunk.claims), LOG_I("parts", result->convert.part_count),
			 LOG_I("bytes", result->convert.bytes), LOG_I("ms", c->usage.wall_ms),
			 LOG_I("cpu_ms", c->usage.cpu_ms), LOG_I("max_rss_kb", c->usage.max_rss_kb),
			 LOG_I("decode_errors", result->convert.decode_errors));
	free(result);
	return r;
}
