/* One chunk, from claim to settlement, whatever its kind. Runs on a worker thread of the server and worker process. */
#include "worker/runner.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "worker/chunk_run.h"
#include "worker/leftovers.h"
#include "worker/work_metrics.h"

#define AFTER_TASK_LOST_MS 500 /* the zygote may be unable to start: don't spin */
#define NOTED_LOG_BYTES 8192
#define AFTER_OUTAGE_MS 5000   /* an encoded chunk is too much work to be thrown at a full disk again and again */

static chunk_handler *const handlers[] = {
	[CHUNK_LADDER] = chunk_ladder,
	[CHUNK_FINISH] = chunk_finish,
	[CHUNK_ANALYZE] = chunk_analyze,
	[CHUNK_MEASURE] = chunk_measure,
	[CHUNK_CONVERT] = chunk_convert,
	[CHUNK_JOIN] = chunk_join,
	[CHUNK_NARRATE] = chunk_narrate,
};

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

static void append_line(void *ctx, const char *line)
{
	struct buf *text = ctx;
	(void)buf_printf(text, "%s\n", line);
	while (text->len > NOTED_LOG_BYTES) /* the last lines count */
		buf_consume(text, (size_t)(strchr(text->data, '\n') - text->data) + 1);
}

/* Best effort: what is not noted is told as lost. */
static void note(const struct chunk_run *run, const char *outcome, const struct err *why)
{
	_cleanup_buf_ struct buf text;
	struct err ignored;
	buf_init(&text, 2 * NOTED_LOG_BYTES);
	log_recent(run->claim->job.id, append_line, &text);
	if (repo_attempt_note(run->runner->repo, run->claim, outcome, why, text.data ? text.data : "", &ignored) < 0)
		return;
}

/* Settles a claim whose work ended with `why`; returns as runner_run. */
static uint32_t settle_failure(struct chunk_run *run, struct err *why, int64_t began_ms)
{
	const struct runner *r = run->runner;
	const struct claim *c = run->claim;
	struct err e = { 0 };
	bool final = false, blameless = is_blameless(why);
	const bool dropped = why->kind == ERR_LOST || (why->kind == ERR_CANCELED && !atomic_load(r->stopping));
	const bool released = !dropped && (blameless || atomic_load(r->stopping));
	const char *event;
	int64_t took_ms = clock_mono_ms() - began_ms;
	int rc = 0;
	why->retriable = may_pass(why);
	if (dropped) {
		event = "chunk_dropped"; /* the rows have moved on */
		leftovers_remove(r->repo, r->output, &c->job);
	} else if (released) {
		event = "chunk_released";
		rc = repo_chunk_release(r->repo, c, &e);
	} else {
		rc = repo_chunk_failed(r->repo, c, why, &final, &e);
		event = final ? "job_failed" : "chunk_failed";
	}
	log_warn(event, LOG_S("job", c->job.id), LOG_I("chunk", c->chunk.index), LOG_I("attempt", c->chunk.claims),
		 LOG_I("ms", took_ms), LOG_E(why));
	note(run, dropped ? "dropped" : released ? "released" : "failed", why); /* with that line */
	work_count_chunk(&c->chunk, final ? event : event + strlen("chunk_"), took_ms);
	if (rc == -ERR_LOST || rc == -ERR_CANCELED || final)
		leftovers_remove(r->repo, r->output, &c->job);
	else if (rc < 0)
		log_error("settle_failed", LOG_S("job", c->job.id), LOG_I("chunk", c->chunk.index), LOG_E(&e));
	if (!blameless)
		return 0;
	return strcmp(err_code(why), "TASK_LOST") == 0 ? AFTER_TASK_LOST_MS : AFTER_OUTAGE_MS;
}

uint32_t runner_run(const struct runner *r, struct claim *claim)
{
	struct chunk_run c = { .runner = r, .claim = claim, .limits = r->limits };
	struct err e = { 0 };
	uint32_t wait_ms = 0;
	int64_t began_ms = clock_mono_ms();
	size_t kind = (size_t)claim->chunk.kind;
	chunk_handler *h = kind < MR_ARRAY_SIZE(handlers) ? handlers[kind] : NULL;
	chunk_run_tell(&c);
	/* A row of a newer release's: this one can't do it, and says so. */
	int res = h ? h(&c, &e) : err_set(&e, ERR_INTERNAL, "there is no handler for chunks of kind %zu", kind);
	if (res < 0) {
		wait_ms = settle_failure(&c, c.verdict.kind ? &c.verdict : &e, began_ms);
	} else {
		work_count_chunk(&claim->chunk, "done", clock_mono_ms() - began_ms);
		bus_publish(r->bus, &(struct bus_event){ .topic = BUS_WORK });
	}
	chunk_run_tell(&c);
	return wait_ms;
}
