/* The one chunk of a narration with media: sentences are spoken ahead of the task that mixes them, segments go into the store and
 * become rows as they come. Runs on a worker thread of the server and worker process.
 *
 * It continues at the first segment that isn't committed, with the same bytes. The task's read of a sentence that isn't spoken
 * yet is answered when it is; meanwhile the lease is prolonged as ever, and a cancelation seen. Sounds stay in the store, under
 * the hash of what was said by whom, so that another attempt doesn't ask for them again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "job/plan_narrate.h"
#include "worker/chunk_run.h"
#include "worker/sentence_reader.h"

struct narrate_run {
	struct chunk_run *c;
	struct narrate_constants constants;
	struct rendition rendition;
	struct sentence_reader sentences;
	struct task_object head; /* of the object that is arriving */
	uint32_t committed;	 /* segments that this attempt added, for the log */
};

static int on_read(void *state, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	return sentence_reader_read(&((struct narrate_run *)state)->sentences, input, offset, buf, len, ret_len, e);
}

/* ---- segments ---- */

static int on_object_begin(void *state, const struct task_object *head, char **ret_key, struct err *e)
{
	struct narrate_run *run = state;
	(void)e;
	run->head = *head;
	if (head->kind == TASK_OBJECT_INIT)
		return 0;
	_cleanup_free_ char *relative = key_segment(&run->rendition, CONTAINER_TS, head->index);
	*ret_key = key_in_job(run->c->claim->job.prefix, relative);
	return 0;
}

static int on_object_end(void *state, const char *sha256, struct err *e)
{
	struct narrate_run *run = state;
	const struct runner *runner = run->c->runner;
	const struct task_object *h = &run->head;
	if (h->kind == TASK_OBJECT_INIT)
		return repo_commit_init(runner->repo, run->c->claim, 0, h->codecs, h->size_bytes, sha256, e);
	struct segment s = { .index = h->index,
			     .committed = true,
			     .start_ticks = h->start_ticks,
			     .duration_ticks = h->duration_ticks,
			     .bytes = h->size_bytes };
	memcpy(s.sha256, sha256, SHA256_HEX_SIZE);
	int r = repo_commit_segment(runner->repo, run->c->claim, &s, e);
	if (r == 0) {
		run->committed++;
		publisher_nudge(runner->publisher, run->c->claim->job.id);
	}
	return r;
}

static const struct chunk_objects objects = { .begin = on_object_begin, .end = on_object_end, .read = on_read };

/* ---- the chunk ---- */

/* How many segments are there: they are made in order, so all rows are committed. */
static int committed_before(struct narrate_run *run, uint32_t *ret, struct err *e)
{
	struct segment *rows;
	uint32_t count;
	int r = repo_segments(run->c->runner->repo, run->c->claim->job.id, 0, 0, NARRATE_SEGMENTS_MAX, &rows, &count, e);
	if (r < 0)
		return r;
	uint32_t n = 0;
	while (n < count && rows[n].committed && rows[n].index == n)
		n++;
	free(rows);
	*ret = n;
	return 0;
}

static int work(struct narrate_run *run, struct task_result *result, struct err *e)
{
	const struct claim *claim = run->c->claim;
	struct rendition renditions[RENDITIONS_MAX];
	uint32_t count, resume = 0;
	int r = narrate_constants_parse(claim->job.spec_json, &run->constants, e);
	if (r == 0)
		r = sentence_reader_open(&run->sentences, run->c, &run->constants, e);
	if (r == 0)
		r = repo_renditions(run->c->runner->repo, claim->job.id, renditions, &count, e);
	if (r == 0)
		r = committed_before(run, &resume, e);
	if (r < 0)
		return r;
	run->rendition = renditions[0];
	struct task_spec spec = { .kind = TASK_NARRATE, .input_count = NARRATE_INPUTS };
	memcpy(spec.inputs[NARRATE_INPUT_SPEECH].name, "speech", sizeof("speech"));
	spec.narrate = narrate_chunk_spec(&run->constants, resume);
	r = chunk_run_task(run->c, &spec, &objects, run, result, e);
	task_spec_release(&spec);
	return r < 0 ? r : repo_chunk_done(run->c->runner->repo, claim, result->narrate.next_segment, e);
}

int chunk_narrate(struct chunk_run *c, struct err *e)
{
	struct narrate_run *run = mr_calloc(1, sizeof(*run));
	struct task_result *result = mr_calloc(1, sizeof(*result));
	run->c = c;
	int r = work(run, result, e);
	sentence_reader_close(&run->sentences);
	if (r == 0) {
		log_info("chunk_done", LOG_S("job", c->claim->job.id), LOG_I("chunk", c->claim->chunk.index),
			 LOG_I("attempt", c->claim->chunk.claims), LOG_I("segments", run->committed), LOG_I("ms", c->usage.wall_ms),
			 LOG_I("cpu_ms", c->usage.cpu_ms), LOG_I("max_rss_kb", c->usage.max_rss_kb),
			 LOG_I("sentences", run->constants.script.sentence_count));
		publisher_nudge(c->runner->publisher, c->claim->job.id);
	}
	narrate_constants_release(&run->constants);
	free(result);
	free(run);
	return r;
}
