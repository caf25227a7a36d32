/* The last chunk of a conversion: a task makes what comes before and behind the parts, then all is streamed into the file's
 * key, and the job is completed. Runs on a worker thread of the server and worker process.
 *
 * Killed anywhere it is done again: parts and indexes stay until the job's row says that the file is there; the file appears
 * whole or not at all. Memory is one buffer. The task reads the indexes, and where it must the parts, each kind as one input.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/convert_json.h"
#include "job/keys.h"
#include "worker/chunk_run.h"
#include "worker/leftovers.h"
#include "worker/object_chain.h"

#define IN_PLACE_HEAD_MAX_BYTES (16u << 20)

struct join {
	struct chunk_run *c;
	struct convert_constants constants;
	char *measured; /* the measuring chunk's text, or NULL */
	struct object_chain indexes, parts;
};

static int on_object_begin(void *state, const struct task_object *head, char **ret_key, struct err *e)
{
	const struct join *j = state;
	(void)e;
	const char *id = j->c->claim->job.id;
	*ret_key = head->kind == TASK_OBJECT_HEAD ? key_part_head(id) : key_part_tail(id);
	return 0;
}

static int on_read(void *state, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		   struct err *e)
{
	struct join *j = state;
	return object_chain_read(input == CONVERT_INPUT_INDEX ? &j->indexes : &j->parts, offset, buf, len, ret_len, e);
}

static const struct chunk_objects objects = { .begin = on_object_begin, .read = on_read };

static int add_chunk(struct join *j, const struct step_result *step, struct err *e)
{
	struct convert_result done;
	int r = convert_step_parse(step->json, &done, e);
	uint64_t before = j->parts.size_bytes;
	const char *id = j->c->claim->job.id;
	if (r == 0)
		r = object_chain_add(&j->indexes, key_part_index(id, step->chunk), e);
	if (r == 0 && in_place_used(j->c->runner->in_place)) { /* they are where they belong */
		j->parts.size_bytes += done.bytes;
		return 0;
	}
	for (uint32_t i = 0; r == 0 && i < done.part_count; i++)
		r = object_chain_add(&j->parts, key_part(id, step->chunk, i), e);
	if (r == 0 && j->parts.size_bytes - before != done.bytes)
		r = err_set(e, ERR_INTERNAL, "the parts of chunk %u have %llu bytes, not %llu", step->chunk,
			    (unsigned long long)(j->parts.size_bytes - before), (unsigned long long)done.bytes);
	return r;
}

static int gather(struct join *j, struct err *e)
{
	struct step_result *steps;
	uint32_t count;
	struct repo *repo = j->c->runner->repo;
	const char *id = j->c->claim->job.id;
	int r = convert_constants_parse(j->c->claim->job.spec_json, &j->constants, e);
	if (r == 0)
		r = repo_step_results(repo, id, CHUNK_MEASURE, &steps, &count, e);
	if (r < 0)
		return r;
	if (count)
		j->measured = mr_strdup(steps[0].json);
	step_results_free(steps, count);
	r = repo_step_results(repo, id, CHUNK_CONVERT, &steps, &count, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = add_chunk(j, &steps[i], e);
	step_results_free(steps, count);
	return r;
}

static int run_task(struct join *j, struct task_result *ret, struct err *e)
{
	struct task_spec spec = { .kind = TASK_JOIN, .convert = j->constants.spec, .input_count = CONVERT_JOIN_INPUTS };
	memcpy(spec.inputs[CONVERT_INPUT_INDEX].name, "index", sizeof("index"));
	memcpy(spec.inputs[CONVERT_INPUT_PARTS].name, "parts", sizeof("parts"));
	spec.inputs[CONVERT_INPUT_INDEX].size_bytes = j->indexes.size_bytes;
	spec.inputs[CONVERT_INPUT_PARTS].size_bytes = j->parts.size_bytes;
	j->c->range_ticks = j->c->claim->job.duration_ticks;
	return chunk_run_task(j->c, &spec, &objects, j, ret, e);
}

static int keep_alive(void *ctx, struct err *e)
{
	return chunk_run_keep_alive(ctx, e);
}

/* Head and tail around what the chunks have written into the file itself. */
static int finish_in_place(struct join *j, struct object_chain *head, struct object_chain *tail, struct store_info *ret,
			   struct err *e)
{
	char end[16];
	uint32_t head_bytes = 0, tail_bytes = 0;
	if (head->size_bytes > IN_PLACE_HEAD_MAX_BYTES || tail->size_bytes > sizeof(end))
		return err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "a head or a tail too large");
	_cleanup_free_ char *start = mr_calloc(1, (size_t)head->size_bytes + 1);
	int r = object_chain_read(head, 0, start, (uint32_t)head->size_bytes, &head_bytes, e);
	if (r == 0)
		r = object_chain_read(tail, 0, end, (uint32_t)tail->size_bytes, &tail_bytes, e);
	if (r == 0)
		r = in_place_finish(j->c->runner->in_place, start, head_bytes, end, tail_bytes, j->parts.size_bytes, e);
	if (r == 0)
		*ret = (struct store_info){ 0 };
	return r;
}

/* Head, parts and tail to a reader, once. Nobody can take back what has been written, so the claim is made sure of at the start. */
static int pipe_file(struct join *j, struct object_chain *head, struct object_chain *tail, struct store_info *ret, struct err *e)
{
	struct output_pipe *out = j->c->runner->output_pipe;
	int r = keep_alive(j->c, e);
	if (r == 0)
		r = output_pipe_write(out, head, keep_alive, j->c, e);
	if (r == 0)
		r = output_pipe_write(out, &j->parts, keep_alive, j->c, e);
	if (r == 0)
		r = output_pipe_write(out, tail, keep_alive, j->c, e);
	if (r == 0)
		*ret = (struct store_info){ 0 };
	return r;
}

/* Head, parts and tail into the file's key. */
static int put_file(struct join *j, struct object_chain *head, struct object_chain *tail, struct store_info *ret, struct err *e)
{
	const struct job *job = &j->c->claim->job;
	struct store_put *put = NULL;
	int r = store_put_begin(j->c->runner->output, job->prefix, store_content_type(job->prefix), &put, e);
	if (r == 0)
		r = object_chain_copy(head, put, keep_alive, j->c, e);
	if (r == 0)
		r = object_chain_copy(&j->parts, put, keep_alive, j->c, e);
	if (r == 0)
		r = object_chain_copy(tail, put, keep_alive, j->c, e);
	if (r == 0)
		r = store_put_finish(mr_steal(put), NULL, ret, e);
	if (put)
		store_put_abort(put);
	return r;
}

static int write_file(struct join *j, const struct join_result *made, struct store_info *ret, struct err *e)
{
	const struct job *job = &j->c->claim->job;
	struct object_chain head, tail;
	object_chain_init(&head, j->c->runner->output);
	object_chain_init(&tail, j->c->runner->output);
	int r = made->head_bytes ? object_chain_add(&head, key_part_head(job->id), e) : 0;
	if (r == 0 && made->tail_bytes)
		r = object_chain_add(&tail, key_part_tail(job->id), e);
	const uint64_t size = head.size_bytes + j->parts.size_bytes + tail.size_bytes;
	if (r == 0 && size != made->bytes)
		r = err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "the join says %llu bytes, and there are %llu",
				 (unsigned long long)made->bytes, (unsigned long long)size);
	const struct runner *runner = j->c->runner;
	if (r == 0)
		r = in_place_used(runner->in_place) ? finish_in_place(j, &head, &tail, ret, e)
		    : runner->output_pipe	    ? pipe_file(j, &head, &tail, ret, e)
						    : put_file(j, &head, &tail, ret, e);
	object_chain_release(&head);
	object_chain_release(&tail);
	return r;
}

static int work(struct join *j, struct task_result *result, struct err *e)
{
	struct store_info info;
	int r = gather(j, e);
	if (r == 0)
		r = run_task(j, result, e);
	if (r == 0)
		r = write_file(j, &result->join, &info, e);
	if (r < 0)
		return r;
	_cleanup_free_ char *json = convert_result_format(&j->constants, &result->join, info.sha256, j->measured);
	return repo_convert_complete(j->c->runner->repo, j->c->claim, json, e);
}

int chunk_join(struct chunk_run *c, struct err *e)
{
	struct task_result *result = mr_calloc(1, sizeof(*result));
	struct join j = { .c = c };
	const struct job *job = &c->claim->job;
	object_chain_init(&j.indexes, c->runner->output);
	object_chain_init(&j.parts, c->runner->output);
	int r = work(&j, result, e);
	object_chain_release(&j.indexes);
	object_chain_release(&j.parts);
	free(j.measured);
	if (r == 0) {
		leftovers_remove_parts(c->runner->repo, c->runner->output, job);
		if (job->kind == JOB_DOWNLOAD && !job->grace_ms)
			bus_publish(c->runner->bus, &(struct bus_event){ .topic = BUS_DOOMED });
		log_info("job_completed", LOG_S("job", job->id), LOG_S("user", job->user_id), LOG_I("bytes", result->join.bytes),
			 LOG_I("ms", clock_wall_ms() - job->started_ms), LOG_I("join_cpu_ms", c->usage.cpu_ms),
			 LOG_I("max_rss_kb", c->usage.max_rss_kb));
	}
	free(result);
	return r;
}
