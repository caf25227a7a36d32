/* One chunk, from claim to settlement. Runs on a worker thread of the server and worker process. */
#include "worker/runner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "job/plan.h"
#include "worker/finish.h"
#include "worker/leftovers.h"
#include "worker/source.h"

#define HEARTBEAT_MS 500
#define AFTER_TASK_LOST_MS 500 /* the zygote may be unable to start: don't spin */
#define AFTER_OUTAGE_MS 5000   /* an encoded chunk is too much work to be thrown at a full disk again and again */

struct run {
	const struct runner *r;
	struct claim *c;
	struct ladder_spec constants;
	struct rendition renditions[RENDITIONS_MAX];
	uint32_t rendition_count;
	bool *committed_before[RENDITIONS_MAX]; /* by segment of the chunk: a row that an earlier attempt committed */
	struct source source;
	/* the object that is arriving */
	struct task_object head;
	struct store_put *put;
	struct sha256_stream *digest;
	uint32_t committed; /* segments that this attempt added, for the log */
	int64_t done_ticks;
	int64_t next_heartbeat_mono_ms;
	/* why the repository told us to stop, or OK */
	struct err verdict;
};

static void tell_job(const struct runner *r, const struct job *j)
{
	bus_publish(r->bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = j->user_id, .job_id = j->id });
}

static int heartbeat(struct run *run, struct err *e)
{
	int64_t now = clock_mono_ms();
	if (now < run->next_heartbeat_mono_ms)
		return 0;
	run->next_heartbeat_mono_ms = now + HEARTBEAT_MS;
	int r = repo_heartbeat(run->r->repo, run->c, run->done_ticks, e);
	if (r == 0)
		tell_job(run->r, &run->c->job);
	return r;
}

static int on_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		   struct err *e)
{
	struct run *run = ctx;
	(void)input; /* one input: the source; task_client checked the index */
	return source_read(&run->source, offset, buf, len, ret_len, e);
}

static int check_head(const struct run *run, const struct task_object *head, struct err *e)
{
	const struct chunk *c = &run->c->chunk;
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
static bool is_committed(const struct run *run, const struct task_object *head)
{
	const struct chunk *c = &run->c->chunk;
	if (head->kind == TASK_OBJECT_INIT)
		return run->renditions[head->rendition].init_committed;
	uint32_t i = head->index - c->first_segment;
	return i < c->segment_count && run->committed_before[head->rendition][i];
}

static int on_object_begin(void *ctx, const struct task_object *head, struct err *e)
{
	struct run *run = ctx;
	int r = check_head(run, head, e);
	if (r < 0)
		return r;
	run->head = *head;
	run->digest = sha256_stream_new();
	bool no_object =
		head->kind == TASK_OBJECT_INIT && head->size_bytes == 0; /* TS: the codecs are all there is to keep */
	if (no_object || is_committed(run, head))
		return 0;
	const struct rendition *rendition = &run->renditions[head->rendition];
	_cleanup_free_ char *relative = head->kind == TASK_OBJECT_INIT
						? key_init(rendition)
						: key_segment(rendition, run->constants.container, head->index);
	_cleanup_free_ char *key = key_in_job(run->c->job.prefix, relative);
	r = store_put_begin(run->r->output, key, store_content_type(key), &run->put, e);
	return r < 0 ? err_wrap(e, "publish %s", key) : 0;
}

static int on_object_data(void *ctx, const void *data, size_t len, struct err *e)
{
	struct run *run = ctx;
	sha256_stream_update(run->digest, data, len);
	return run->put ? store_put_write(run->put, data, len, e) : 0;
}

static void on_object_abort(void *ctx)
{
	struct run *run = ctx;
	if (run->put)
		store_put_abort(mr_steal(run->put));
	if (run->digest)
		sha256_stream_free(mr_steal(run->digest));
}

static int commit(struct run *run, const char *sha256, struct err *e)
{
	const struct task_object *h = &run->head;
	if (h->kind == TASK_OBJECT_INIT)
		return repo_commit_init(run->r->repo, run->c, h->rendition, h->codecs, h->size_bytes, sha256, e);
	struct segment s = { .rendition = h->rendition,
			     .index = h->index,
			     .committed = true,
			     .start_ticks = h->start_ticks,
			     .duration_ticks = h->duration_ticks,
			     .bytes = h->size_bytes };
	memcpy(s.sha256, sha256, SHA256_HEX_SIZE);
	int r = repo_commit_segment(run->r->repo, run->c, &s, e);
	if (r == 0 && !is_committed(run, h)) {
		run->committed++;
		publisher_nudge(run->r->publisher, run->c->job.id);
	}
	return r;
}

static int on_object_end(void *ctx, struct err *e)
{
	struct run *run = ctx;
	uint8_t raw[SHA256_BYTES];
	char sha256[SHA256_HEX_SIZE];
	sha256_stream_final(mr_steal(run->digest), raw);
	hex_encode(raw, sizeof(raw), sha256);
	if (run->put) {
		int r = store_put_finish(mr_steal(run->put), sha256, NULL, e);
		if (r < 0)
			return err_wrap(e, "publish segment %u of %s", run->head.index,
					run->renditions[run->head.rendition].name);
	}
	int r = commit(run, sha256, e);
	if (r < 0 && e)
		run->verdict = *e;
	return r;
}

static int on_progress(void *ctx, const struct task_progress *p, struct err *e)
{
	struct run *run = ctx;
	(void)e;
	if (p->done_ticks > run->done_ticks)
		run->done_ticks =
			p->done_ticks < run->c->chunk.weight_ticks ? p->done_ticks : run->c->chunk.weight_ticks;
	return 0;
}

static bool keep_going(void *ctx)
{
	struct run *run = ctx;
	if (atomic_load(run->r->stopping))
		return false;
	struct err e = { 0 };
	int r = heartbeat(run, &e);
	if (r == -ERR_LOST || r == -ERR_CANCELED) {
		run->verdict = e;
		return false;
	}
	/* A database that is away for a moment doesn't stop the work: the lease is longer than that, and commits are
	 * fenced. */
	return true;
}

/* The planned segments of one rendition in the chunk's range, and the first of them that is not committed. */
static int planned(struct run *run, uint32_t rendition, struct segment **ret, uint32_t *io_resume, struct err *e)
{
	const struct chunk *c = &run->c->chunk;
	struct segment *rows;
	uint32_t count, i = 0;
	int r = repo_segments(run->r->repo, run->c->job.id, rendition, c->first_segment, c->segment_count, &rows,
			      &count, e);
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

static int build_spec(struct run *run, struct ladder_spec *ret, struct err *e)
{
	int r = ladder_spec_parse(run->c->job.spec_json, &run->constants, e);
	if (r == 0)
		r = repo_renditions(run->r->repo, run->c->job.id, run->renditions, &run->rendition_count, e);
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
		if (run->renditions[i].is_audio)
			audio = rows;
		else if (!video)
			video = rows;
		else
			free(rows);
	}
	return ladder_chunk_spec(&run->constants, &run->c->chunk, video, audio, resume, ret, e);
}

static int run_ladder(struct run *run, struct task_result *result, struct task_usage *usage, struct err *e)
{
	struct task_spec spec = { .kind = TASK_LADDER, .input_count = 1 };
	memcpy(spec.inputs[0].name, "source", sizeof("source"));
	int r = build_spec(run, &spec.ladder, e);
	if (r == 0)
		r = source_open(&run->source, run->r->input, run->c->job.source_key, e);
	if (r == 0) {
		spec.inputs[0].size_bytes = run->source.size_bytes;
		struct task_handlers h = { .ctx = run,
					   .read = on_read,
					   .object_begin = on_object_begin,
					   .object_data = on_object_data,
					   .object_end = on_object_end,
					   .object_abort = on_object_abort,
					   .progress = on_progress,
					   .keep_going = keep_going };
		r = task_run(run->r->zygote, &spec, &h, &run->r->limits, result, usage, e);
	}
	source_close(&run->source);
	task_spec_release(&spec);
	return r;
}

/* Killed from outside, or a store, disk or database that is away: nothing that the chunk did, so no failure of its own.
 */
static bool is_blameless(const struct err *why)
{
	return why->kind == ERR_UNAVAILABLE || why->kind == ERR_NO_SPACE || why->kind == ERR_TIMEOUT;
}

/* A task that died or hung may have met a fault of the machine rather than of the file: it gets its three attempts.
 * What a task itself says of the file is final. */
static bool may_pass(const struct err *why)
{
	return why->retriable || strncmp(why->code, "TASK_", 5) == 0 || strcmp(why->code, "SANDBOX_VIOLATION") == 0;
}

/* Settles a claim whose work ended with `why`; returns as runner_run. */
static uint32_t settle_failure(const struct runner *r, const struct claim *c, struct err *why)
{
	struct err e = { 0 };
	bool final = false, blameless = is_blameless(why);
	const char *event;
	int rc = 0;
	why->retriable = may_pass(why);
	if (why->kind == ERR_LOST || (why->kind == ERR_CANCELED && !atomic_load(r->stopping))) {
		event = "chunk_dropped"; /* the rows have moved on */
		leftovers_remove(r->repo, r->output, &c->job);
	} else if (blameless || atomic_load(r->stopping)) {
		event = "chunk_released";
		rc = repo_chunk_release(r->repo, c, &e);
	} else {
		rc = repo_chunk_failed(r->repo, c, why, &final, &e);
		event = final ? "job_failed" : "chunk_failed";
	}
	log_warn(event, LOG_S("job", c->job.id), LOG_I("chunk", c->chunk.index), LOG_I("attempt", c->chunk.claims),
		 LOG_E(why));
	if (rc == -ERR_LOST || rc == -ERR_CANCELED)
		leftovers_remove(r->repo, r->output, &c->job);
	else if (rc < 0)
		log_error("settle_failed", LOG_S("job", c->job.id), LOG_I("chunk", c->chunk.index), LOG_E(&e));
	tell_job(r, &c->job);
	if (!blameless)
		return 0;
	return strcmp(err_code(why), "TASK_LOST") == 0 ? AFTER_TASK_LOST_MS : AFTER_OUTAGE_MS;
}

static uint32_t settle(struct run *run, int outcome, const struct task_result *result, struct err *why,
		   const struct task_usage *usage)
{
	const struct claim *c = run->c;
	if (outcome < 0)
		return settle_failure(run->r, c, run->verdict.kind ? &run->verdict : why);
	struct err e = { 0 };
	int r = repo_chunk_done(run->r->repo, c, result->ladder.next_segment, &e);
	if (r < 0)
		return settle_failure(run->r, c, &e);
	log_info("chunk_done", LOG_S("job", c->job.id), LOG_I("chunk", c->chunk.index),
		 LOG_I("attempt", c->chunk.claims), LOG_I("segments", run->committed), LOG_I("ms", usage->wall_ms),
		 LOG_I("cpu_ms", usage->cpu_ms), LOG_I("max_rss_kb", usage->max_rss_kb),
		 LOG_I("decode_errors", result->ladder.decode_errors));
	publisher_nudge(run->r->publisher, c->job.id);
	bus_publish(run->r->bus, &(struct bus_event){ .topic = BUS_WORK });
	tell_job(run->r, &run->c->job);
	return 0;
}

static uint32_t run_finish(const struct runner *r, struct claim *c)
{
	struct err e = { 0 };
	if (finish_job(r->repo, r->publisher, c, &e) < 0)
		return settle_failure(r, c, &e);
	log_info("job_completed", LOG_S("job", c->job.id), LOG_S("user", c->job.user_id),
		 LOG_I("segments", c->job.segment_count), LOG_I("ms", clock_wall_ms() - c->job.started_ms));
	tell_job(r, &c->job);
	return 0;
}

uint32_t runner_run(const struct runner *r, struct claim *c)
{
	if (c->chunk.kind == CHUNK_FINISH)
		return run_finish(r, c);
	struct run *run = mr_calloc(1, sizeof(*run));
	run->r = r;
	run->c = c;
	run->source = SOURCE_INIT;
	run->next_heartbeat_mono_ms = clock_mono_ms() + HEARTBEAT_MS;
	struct task_result *result = mr_calloc(1, sizeof(*result));
	struct task_usage usage = { 0 };
	struct err e = { 0 };
	tell_job(run->r, &run->c->job);
	int outcome = run_ladder(run, result, &usage, &e);
	on_object_abort(run);
	uint32_t wait_ms = settle(run, outcome, result, &e, &usage);
	for (uint32_t i = 0; i < RENDITIONS_MAX; i++)
		free(run->committed_before[i]);
	free(result);
	free(run);
	return wait_ms;
}
