/* A chunk of a ladder: its specification from the rows, its segments into the store and the rows. Runs on a worker
 * thread of the server and worker process.
 *
 * Order on a segment: object stored with its digest verified, then the row committed, then the publisher nudged. A
 * crash between any two repeats work that has no other effect.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "job/plan.h"
#include "worker/chunk_run.h"

struct ladder_run {
	struct chunk_run *c;
	struct ladder_spec constants;
	struct rendition renditions[RENDITIONS_MAX];
	uint32_t rendition_count;
	bool *committed_before[RENDITIONS_MAX]; /* by segment of the chunk: a row that an earlier attempt committed */
	struct task_object head;		/* of the object that is arriving */
	uint32_t committed;			/* segments that this attempt added, for the log */
};

static int check_head(const struct ladder_run *run, const struct task_object *head, struct err *e)
{
	const struct chunk *c = &run->c->claim->chunk;
	if (head->rendition >= run->rendition_count)
		return err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "an object of rendition %u of %u",
				    head->rendition, run->rendition_count);
	if (head->kind == TASK_OBJECT_SEGMENT &&
	    (head->index < c->first_segment || (!c->last && head->index >= c->first_segment + c->segment_count)))
		return err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "segment %u is outside of chunk %u", head->index,
				    c->index);
	return 0;
}

/* Already stored and committed, by another chunk or an earlier attempt: what comes now is compared with it, not stored
 * again. */
static bool is_committed(const struct ladder_run *run, const struct task_object *head)
{
	const struct chunk *c = &run->c->claim->chunk;
	if (head->kind == TASK_OBJECT_INIT)
		return run->renditions[head->rendition].init_committed;
	uint32_t i = head->index - c->first_segment;
	return i < c->segment_count && run->committed_before[head->rendition][i];
}

static int on_object_begin(void *state, const struct task_object *head, char **ret_key, struct err *e)
{
	struct ladder_run *run = state;
	int r = check_head(run, head, e);
	if (r < 0)
		return r;
	run->head = *head;
	bool no_object =
		head->kind == TASK_OBJECT_INIT && head->size_bytes == 0; /* TS: the codecs are all there is to keep */
	if (no_object || is_committed(run, head))
		return 0;
	const struct rendition *rendition = &run->renditions[head->rendition];
	_cleanup_free_ char *relative = head->kind == TASK_OBJECT_INIT
						? key_init(rendition)
						: key_segment(rendition, run->constants.container, head->index);
	*ret_key = key_in_job(run->c->claim->job.prefix, relative);
	return 0;
}

static int on_object_end(void *state, const char *sha256, struct err *e)
{
	struct ladder_run *run = state;
	const struct runner *runner = run->c->runner;
	const struct task_object *h = &run->head;
	if (h->kind == TASK_OBJECT_INIT)
		return repo_commit_init(runner->repo, run->c->claim, h->rendition, h->codecs, h->size_bytes, sha256, e);
	struct segment s = { .rendition = h->rendition,
			     .index = h->index,
			     .committed = true,
			     .start_ticks = h->start_ticks,
			     .duration_ticks = h->duration_ticks,
			     .bytes = h->size_bytes };
	memcpy(s.sha256, sha256, SHA256_HEX_SIZE);
	s.iframe_count = h->iframe_count;
	memcpy(s.iframes, h->iframes, sizeof(s.iframes));
	int r = repo_commit_segment(runner->repo, run->c->claim, &s, e);
	if (r == 0 && !is_committed(run, h)) {
		run->committed++;
		publisher_nudge(runner->publisher, run->c->claim->job.id);
	}
	return r;
}

static const struct chunk_objects objects = { .begin = on_object_begin, .end = on_object_end, .behind = true };

/* The planned segments of one rendition in the chunk's range, and the first of them that is not committed. */
static int planned(struct ladder_run *run, uint32_t rendition, struct segment **ret, uint32_t *io_resume, struct err *e)
{
	const struct chunk *c = &run->c->claim->chunk;
	struct segment *rows;
	uint32_t count, i = 0;
	int r = repo_segments(run->c->runner->repo, run->c->claim->job.id, rendition, c->first_segment,
			      c->segment_count, &rows, &count, e);
	if (r < 0)
		return r;
	if (count != c->segment_count) {
		free(rows);
		return err_set(e, ERR_INTERNAL, "chunk %u: %u of %u planned segments", c->index, count,
			       c->segment_count);
	}
	run->committed_before[rendition] = mr_calloc(count, sizeof(bool));
	for (uint32_t k = 0; k < count; k++)
		run->committed_before[rendition][k] = rows[k].committed;
	while (i < count && rows[i].committed)
		i++;
	if (c->first_segment + i < *io_resume)
		*io_resume = c->first_segment + i;
	*ret = rows;
	return 0;
}

static int build_spec(struct ladder_run *run, struct ladder_spec *ret, struct err *e)
{
	const struct claim *claim = run->c->claim;
	int r = ladder_spec_parse(claim->job.spec_json, &run->constants, e);
	if (r == 0)
		r = repo_renditions(run->c->runner->repo, claim->job.id, run->renditions, &run->rendition_count, e);
	if (r < 0)
		return r;
	uint32_t resume = UINT32_MAX;
	_cleanup_free_ struct segment *video = NULL;
	_cleanup_free_ struct segment *audio = NULL;
	for (uint32_t i = 0; i < run->rendition_count; i++) {
		struct segment *rows = NULL;
		r = planned(run, i, &rows, &resume, e);
		if (r < 0)
			return r;
		enum rendition_kind kind = run->renditions[i].kind;
		if (kind == RENDITION_AUDIO && !audio)
			audio = rows;
		else if (kind == RENDITION_VIDEO && !video)
			video = rows;
		else
			free(rows);
	}
	return ladder_chunk_spec(&run->constants, &claim->chunk, video, audio, resume, ret, e);
}

static int work(struct ladder_run *run, struct task_result *result, struct err *e)
{
	struct task_spec spec = { .kind = TASK_LADDER };
	int r = build_spec(run, &spec.ladder, e);
	/* Somebody may wait for the first segment; the rest of its chunk is work as any other. */
	if (run->c->claim->chunk.index == 0)
		spec.ladder.ease_off = BESIDE_FIRST_NICENESS;
	if (r == 0)
		r = chunk_run_task(run->c, &spec, &objects, run, result, e);
	task_spec_release(&spec);
	return r < 0 ? r : repo_chunk_done(run->c->runner->repo, run->c->claim, result->ladder.next_segment, e);
}

int chunk_ladder(struct chunk_run *c, struct err *e)
{
	struct ladder_run *run = mr_calloc(1, sizeof(*run));
	struct task_result *result = mr_calloc(1, sizeof(*result));
	run->c = c;
	int r = work(run, result, e);
	if (r == 0) {
		log_info("chunk_done", LOG_S("job", c->claim->job.id), LOG_I("chunk", c->claim->chunk.index),
			 LOG_I("attempt", c->claim->chunk.claims), LOG_I("segments", run->committed),
			 LOG_I("ms", c->usage.wall_ms), LOG_I("cpu_ms", c->usage.cpu_ms),
			 LOG_I("max_rss_kb", c->usage.max_rss_kb), LOG_I("decode_errors", result->ladder.decode_errors));
		publisher_nudge(c->runner->publisher, c->claim->job.id);
	}
	for (uint32_t i = 0; i < RENDITIONS_MAX; i++)
		free(run->committed_before[i]);
	free(result);
	free(run);
	return r;
}
