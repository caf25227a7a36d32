/* The repository's queue: claim, heartbeat, give back, fail. Worker process (or the server's worker threads).
 *
 * Whose turn it is: users take turns (who was served longest ago first; one who has nothing running yet before all);
 * among a user's jobs again the one that was served longest ago, a new one first; within a job its chunks by index. So
 * the first chunk of a new job never waits behind a film: not behind another user's, and of one's own only until the
 * next turn.
 *
 * Who has little left goes before those that have much: a turn counts as if it had been later by what is left of the
 * work, at most by TURN_MAX. So a short conversion doesn't wait for a turn of twenty long ones; and nobody waits longer
 * than that for others that came later, however many short ones there are. A user's are taken together there, so that many
 * short jobs are no way to go first. Even the first in turn would still wait until a chunk of something long ends and a thread
 * is free; so there are threads that take narrations and short conversions alone (WORK_SHORT), in the same order.
 *
 * An idle worker's poll is one look at the index of due chunks; it takes no lock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/analysis.h"
#include "job/repo_internal.h"

/* ---- claim ---- */

struct claim_tx {
	enum work_class class;
	uint32_t without;
	const char *worker_id;
	int64_t lease_ms;
	struct claim claim;
};

static int nothing_to_do(struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is nothing to do");
}

/* The jobs in turn; of the first that has one, its first chunk that nobody else is just claiming. So no claim waits for another,
 * and none goes away with nothing while there is something. */
#define TURN_MAX "30000" /* ms */
/* What is left of a job, in ms of media; of a conversion a twentieth, since it is so much less work. */
#define LEFT "(weight_ticks - done_ticks) / (CASE WHEN kind IN (3, 5) THEN 1800 ELSE 90 END)"
#define TURN(left) "CASE WHEN " left " < " TURN_MAX " THEN " left " ELSE " TURN_MAX " END"
/* A conversion of a minute at most; a narration and its MP3, for which somebody listens or waits. */
#define IS_SHORT "(kind IN (4, 5) OR (kind = 3 AND weight_ticks <= 60 * 90000))"
#define JOBS_LOOKED_AT "64" /* more than that are not all being claimed at the same moment */
#define CLAIM_JOB(which) \
	"UPDATE chunk SET state = 3, claims = claims + 1, worker = $2, due_ms = $3 WHERE (job_id, idx) = (" \
	" SELECT id, idx FROM (" \
	"  SELECT id, (SELECT c.idx FROM chunk c WHERE c.job_id = t.id AND c.due_ms <= $1 ORDER BY c.idx LIMIT 1" DB_LOCK_FREE \
	"  ) AS idx FROM (SELECT j.id" \
	"  FROM (SELECT id, kind, weight_ticks, created_ms, served_ms, left_ms," \
	"         MAX(served_ms) OVER (PARTITION BY user_id) AS user_served_ms," \
	"         SUM(left_ms) OVER (PARTITION BY user_id) AS user_left_ms" \
	"        FROM (SELECT id, user_id, kind, weight_ticks, created_ms, served_ms, " LEFT " AS left_ms" \
	"              FROM job WHERE " JOB_IS_OPEN " AND kind <> 2) o) j" \
	"  WHERE " which " AND (($4 >> j.kind) & 1) = 0" \
	"   AND EXISTS (SELECT 1 FROM chunk c WHERE c.job_id = j.id AND c.due_ms <= $1)" \
	"  ORDER BY j.user_served_ms + " TURN("j.user_left_ms") ", j.served_ms + " TURN("j.left_ms") "," \
	"   j.created_ms, j.id LIMIT " JOBS_LOOKED_AT ") t) f WHERE idx IS NOT NULL LIMIT 1)" \
	" AND due_ms <= $1 RETURNING " CHUNK_COLUMNS
static const char claim_job_sql[] = CLAIM_JOB("1 = 1");
static const char claim_short_sql[] = CLAIM_JOB(IS_SHORT);

/* Analyses: the one that waits longest, and none while a chunk of a job could be claimed. */
static const char claim_background_sql[] =
	"UPDATE chunk SET state = 3, claims = claims + 1, worker = $2, due_ms = $3 WHERE (job_id, idx) = ("
	"  SELECT job_id, idx FROM chunk WHERE due_ms <= $1 AND kind = 3 ORDER BY due_ms, job_id LIMIT 1" DB_LOCK_FREE ")"
	" AND due_ms <= $1 AND NOT EXISTS (SELECT 1 FROM chunk o WHERE o.due_ms <= $1 AND o.kind <> 3"
	"  AND ($4 = 0 OR (($4 >> (SELECT j.kind FROM job j WHERE j.id = o.job_id)) & 1) = 0))"
	" RETURNING " CHUNK_COLUMNS;

static const char *const claim_sql[] = { [WORK_JOBS] = claim_job_sql,
					 [WORK_BACKGROUND] = claim_background_sql,
					 [WORK_SHORT] = claim_short_sql };

#define DUE_BACKGROUND "SELECT MIN(due_ms) FROM chunk WHERE due_ms IS NOT NULL AND kind = 3"
#define DUE_SHORT                                                                                                     \
	"SELECT MIN((SELECT MIN(c.due_ms) FROM chunk c WHERE c.job_id = job.id AND c.due_ms IS NOT NULL)) FROM job"   \
	" WHERE " JOB_IS_OPEN " AND " IS_SHORT
static const char *const next_due_sql[] = {
	[WORK_JOBS] = DUE_JOBS, [WORK_BACKGROUND] = DUE_BACKGROUND, [WORK_SHORT] = DUE_SHORT
};
/* Columns in the classes' order. */
static const char next_dues_sql[] =
	"SELECT (" DUE_JOBS " AND ($1 = 0 OR (($1 >> (SELECT j.kind FROM job j WHERE j.id = chunk.job_id)) & 1) = 0)),"
	" (" DUE_BACKGROUND "), (" DUE_SHORT " AND (($1 >> job.kind) & 1) = 0)";
_Static_assert(WORK_JOBS == 0 && WORK_BACKGROUND == 1 && WORK_SHORT == 2 && WORK_CLASSES == 3, "columns of next_dues_sql");

const char *repo_stage_of(enum chunk_kind kind)
{
	switch (kind) {
	case CHUNK_MEASURE:
		return "measuring";
	case CHUNK_CONVERT:
		return "converting";
	case CHUNK_FINISH:
	case CHUNK_JOIN:
		return "finishing";
	case CHUNK_NARRATE:
		return "narrating";
	case CHUNK_LADDER:
	case CHUNK_ANALYZE:
		break;
	}
	return "encoding";
}

/* A job's first claim (of this generation) starts it: processing, or streaming at once where something is visible
 * already. */
static int start_job(struct db_conn *c, const struct job *j, const struct chunk *k, int64_t now, struct err *e)
{
	enum job_status next = job_after(j->status, JOB_EVENT_CLAIM);
	if (!next)
		return err_set(e, ERR_INTERNAL, "a chunk of job %s is due, but the job is %s", j->id,
			       job_status_name(j->status));
	if (j->visible_segments > 0)
		next = job_after(next, JOB_EVENT_SHOW);
	int r = db_exec(c, "UPDATE job SET served_ms = $2 WHERE id = $1", DB_PARAMS(DB_TEXT(j->id), DB_INT(now)), NULL,
			e);
	if (r < 0 || next == j->status)
		return r;
	r = db_exec(c,
		    "UPDATE job SET status = $2, stage = $3, run_ms = $4, run_ticks = done_ticks,"
		    " started_ms = CASE WHEN started_ms = 0 THEN $4 ELSE started_ms END WHERE id = $1",
		    DB_PARAMS(DB_TEXT(j->id), DB_INT(next), DB_TEXT(repo_stage_of(k->kind)),
			      DB_INT(now)),
		    NULL, e);
	return r < 0 ? r : repo_revise(c, j->id, now, e);
}

static int claim_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct claim_tx *t = ctx;
	claim_release(&t->claim);
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	r = db_first(c, claim_sql[t->class],
		     DB_PARAMS(DB_INT(now), DB_TEXT(t->worker_id), DB_INT(now + t->lease_ms), DB_INT(t->without)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return nothing_to_do(e);
	struct claim *k = &t->claim;
	repo_chunk_row(rows, &k->chunk);
	r = repo_job_lock(c, NULL, k->chunk.job_id, &k->job, e);
	if (r < 0)
		return r;
	r = start_job(c, &k->job, &k->chunk, now, e);
	if (r >= 0)
		r = repo_attempt_before(c, &k->chunk, now, e);
	if (r < 0)
		return r;
	job_release(&k->job);
	return repo_job_load(c, NULL, k->chunk.job_id, &k->job, e);
}

int repo_claim_within(struct db_conn *c, const char *worker_id, int64_t lease_ms, struct claim *ret, struct err *e)
{
	struct claim_tx t = { .class = WORK_JOBS, .worker_id = worker_id, .lease_ms = lease_ms };
	int r = claim_tx(c, &t, e);
	if (r < 0)
		claim_release(&t.claim);
	else
		*ret = t.claim;
	return r;
}

int repo_claim(struct repo *repo, enum work_class class, uint32_t without, const char *worker_id, int64_t lease_ms,
	       struct claim *ret, struct err *e)
{
	int64_t due_ms;
	int r = repo_next_due(repo, class, &due_ms, e); /* without a transaction: most asks are in vain */
	if (r < 0)
		return r;
	if (due_ms != 0)
		return nothing_to_do(e);
	struct claim_tx t = { .class = class, .without = without, .worker_id = worker_id, .lease_ms = lease_ms };
	r = repo_transact(repo, "claim", claim_tx, &t, e);
	if (r < 0) {
		claim_release(&t.claim);
		return r;
	}
	t.claim.lease_ms = lease_ms;
	(void)snprintf(t.claim.worker_id, sizeof(t.claim.worker_id), "%s", worker_id);
	*ret = t.claim;
	return 0;
}

int repo_open_next(struct db_conn *c, const char *job_id, int64_t now_ms, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	/* In an open job exactly the chunks that are neither done nor waiting have a due time. */
	int r = db_first(c,
			 "UPDATE chunk SET state = 2, due_ms = $2 WHERE job_id = $1 AND state = 1"
			 " AND kind = (SELECT w.kind FROM chunk w WHERE w.job_id = $1 AND w.state = 1"
			 "             ORDER BY w.kind = 2, w.kind LIMIT 1)"
			 " AND NOT EXISTS (SELECT 1 FROM chunk o WHERE o.job_id = $1 AND o.due_ms IS NOT NULL)"
			 " RETURNING kind",
			 DB_PARAMS(DB_TEXT(job_id), DB_INT(now_ms)), &rows, e);
	if (r <= 0)
		return r;
	const char *stage = repo_stage_of((enum chunk_kind)db_int(rows, 0));
	db_finish(&rows);
	return db_exec(c, "UPDATE job SET stage = $2 WHERE id = $1 AND status <> 1",
		       DB_PARAMS(DB_TEXT(job_id), DB_TEXT(stage)), NULL, e);
}

/* ---- heartbeat ---- */

struct heartbeat_tx {
	const struct claim *claim;
	int64_t done_ticks;
	struct job_progress now;
};

static int heartbeat_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct heartbeat_tx *t = ctx;
	struct fence f;
	t->now.revision = 0;
	int r = repo_fence(c, t->claim, &f, e);
	if (r < 0)
		return r;
	int64_t done = t->done_ticks < f.chunk.weight_ticks ? t->done_ticks : f.chunk.weight_ticks;
	int64_t added = done - f.chunk.done_ticks;
	if (added <= 0)
		return 0;
	r = db_exec(c, "UPDATE chunk SET done_ticks = $3 WHERE job_id = $1 AND idx = $2",
		    DB_PARAMS(DB_TEXT(f.chunk.job_id), DB_INT(f.chunk.index), DB_INT(done)), NULL, e);
	return r < 0 ? r : repo_progress(c, f.chunk.job_id, f.now_ms, added, &t->now, e);
}

int repo_heartbeat(struct repo *repo, const struct claim *claim, int64_t done_ticks, struct job_progress *ret, struct err *e)
{
	struct heartbeat_tx t = { .claim = claim, .done_ticks = done_ticks };
	int r = repo_transact(repo, "heartbeat", heartbeat_tx, &t, e);
	if (r == 0 && ret)
		*ret = t.now;
	return r;
}

/* ---- failed, released ---- */

struct failed_tx {
	const struct claim *claim;
	const struct err *why;
	double jitter;
	bool final;
};

/* What the job shows as its error. */
static void error_of_job(const struct job *j, const struct err *why, struct err *ret)
{
	*ret = *why;
	if (j->kind != JOB_NARRATION)
		return;
	(void)err_set_code(ret, why->kind, "GENERATION_FAILED", "%s: %s", err_code(why), why->message);
	ret->retriable = false;
}

static int fail_locked_job(struct db_conn *c, const struct job *j, const struct fence *f, const struct err *why, struct err *e)
{
	enum job_status next = job_after(j->status, JOB_EVENT_FAIL);
	if (!next)
		return err_set(e, ERR_INTERNAL, "a chunk of job %s runs, but the job does not", j->id);
	if (j->kind == JOB_ANALYZE) {
		_cleanup_free_ char *json = analysis_json_failure(why);
		return repo_analysis_end(c, j->id, j->file_id, ANALYSIS_FAILED, json, f->now_ms, e);
	}
	int r = repo_cancel_chunks(c, j->id, e);
	if (r >= 0 && j->kind == JOB_NARRATION)
		r = repo_narration_failed(c, j, f->now_ms, e);
	if (r < 0)
		return r;
	struct err shown;
	error_of_job(j, why, &shown);
	r = db_exec(c,
		    "UPDATE job SET status = $2, error_code = $3, error_message = $4, error_retriable = $5,"
		    " finished_ms = $6, speed = 0, eta_seconds = -1 WHERE id = $1",
		    DB_PARAMS(DB_TEXT(j->id), DB_INT(next), DB_TEXT(err_code(&shown)), DB_TEXT(shown.message),
			      DB_INT(shown.retriable), DB_INT(f->now_ms)),
		    NULL, e);
	return r < 0 ? r : repo_revise(c, j->id, f->now_ms, e);
}

static int fail_job(struct db_conn *c, const struct fence *f, const struct err *why, struct err *e)
{
	struct job j = { 0 };
	int r = repo_job_lock(c, NULL, f->chunk.job_id, &j, e);
	if (r < 0)
		return r;
	r = fail_locked_job(c, &j, f, why, e);
	job_release(&j);
	return r;
}

static int failed_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct failed_tx *t = ctx;
	const struct retry_policy policy = RETRY_POLICY_DEFAULT;
	struct fence f;
	int r = repo_fence(c, t->claim, &f, e);
	if (r < 0)
		return r;
	uint32_t failures = f.chunk.failures + 1;
	t->final = retry_is_final(&policy, failures, t->why->retriable);
	int64_t again_ms = f.now_ms + retry_delay_ms(&policy, failures, t->jitter);
	r = db_exec(c,
		    "UPDATE chunk SET state = $3, failures = $4, due_ms = $5, worker = '' WHERE job_id = $1"
		    " AND idx = $2",
		    DB_PARAMS(DB_TEXT(f.chunk.job_id), DB_INT(f.chunk.index),
			      DB_INT(t->final ? CHUNK_FAILED : CHUNK_READY), DB_INT(failures),
			      t->final ? DB_NULL : DB_INT(again_ms)),
		    NULL, e);
	if (r < 0)
		return r;
	if (t->final)
		return fail_job(c, &f, t->why, e);
	return f.chunk.kind == CHUNK_NARRATE ? repo_narration_again(c, f.chunk.job_id, f.now_ms, e) : 0;
}

int repo_chunk_failed(struct repo *repo, const struct claim *claim, const struct err *why, bool *ret_final,
		      struct err *e)
{
	uint16_t random;
	random_bytes(&random, sizeof(random));
	const struct err cause = *why; /* `why` may be `e` */
	struct failed_tx t = { .claim = claim, .why = &cause, .jitter = random / 32767.5 - 1 };
	int r = repo_transact(repo, "note a failure", failed_tx, &t, e);
	if (r >= 0)
		*ret_final = t.final;
	return r;
}

static int release_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct claim *claim = ctx;
	struct fence f;
	int r = repo_fence(c, claim, &f, e);
	if (r < 0)
		return r;
	return db_exec(c, "UPDATE chunk SET state = 2, due_ms = $3, worker = '' WHERE job_id = $1 AND idx = $2",
		       DB_PARAMS(DB_TEXT(f.chunk.job_id), DB_INT(f.chunk.index), DB_INT(f.now_ms)), NULL, e);
}

int repo_chunk_release(struct repo *repo, const struct claim *c, struct err *e)
{
	struct claim borrowed = *c;
	return repo_transact(repo, "give a chunk back", release_tx, &borrowed, e);
}

/* ---- workers that are gone ---- */

struct release_workers_tx {
	char **workers;
	uint32_t count;
	int64_t released;
};

static int release_workers_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct release_workers_tx *t = ctx;
	t->released = 0;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	for (uint32_t i = 0; i < t->count && r >= 0; i++) {
		int64_t changes = 0;
		r = repo_attempts_lost(c, t->workers[i], now, e);
		if (r >= 0)
			r = db_exec(c, "UPDATE chunk SET state = 2, due_ms = $2, worker = '' WHERE worker = $1 AND state = 3",
			    DB_PARAMS(DB_TEXT(t->workers[i]), DB_INT(now)), &changes, e);
		t->released += changes;
	}
	return r;
}

static int holders(struct repo *repo, struct release_workers_tx *t, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0)
		return r;
	r = db_query(c, "SELECT DISTINCT worker FROM chunk WHERE state = 3", DB_NO_PARAMS, &rows, e);
	if (r < 0)
		return r;
	while ((r = db_next(rows, e)) > 0) {
		t->workers = mr_reallocarray(t->workers, t->count + 1, sizeof(*t->workers));
		t->workers[t->count++] = mr_strdup(db_text(rows, 0));
	}
	return r;
}

/* Keeps those of which `gone` says true. */
static void keep_gone(struct release_workers_tx *t, bool (*gone)(void *ctx, const char *worker_id), void *ctx)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < t->count; i++) {
		if (gone(ctx, t->workers[i]))
			t->workers[kept++] = t->workers[i];
		else
			free(t->workers[i]);
	}
	t->count = kept;
}

int repo_release_workers(struct repo *repo, bool (*gone)(void *ctx, const char *worker_id), void *ctx,
			 uint32_t *ret_count, struct err *e)
{
	struct release_workers_tx t = { 0 };
	int r = holders(repo, &t, e);
	if (r >= 0)
		keep_gone(&t, gone, ctx);
	if (r >= 0 && t.count)
		r = repo_transact(repo, "give back the chunks of workers that are gone", release_workers_tx, &t, e);
	if (r >= 0)
		*ret_count = (uint32_t)t.released;
	for (uint32_t i = 0; i < t.count; i++)
		free(t.workers[i]);
	free(t.workers);
	return r < 0 ? r : 0;
}

static int next_due(struct repo *repo, const char *sql, const struct db_params *params, int64_t *ret_ms, int columns,
		    struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0 || (r = db_now_ms(c, &now, e)) < 0)
		return r;
	r = db_first(c, sql, params, &rows, e);
	if (r < 0)
		return r;
	for (int i = 0; i < columns; i++) {
		bool none = r == 0 || db_is_null(rows, i);
		ret_ms[i] = none ? -1 : db_int(rows, i) > now ? db_int(rows, i) - now : 0;
	}
	return 0;
}

int repo_next_due(struct repo *repo, enum work_class class, int64_t *ret_ms, struct err *e)
{
	return next_due(repo, next_due_sql[class], DB_NO_PARAMS, ret_ms, 1, e);
}

int repo_next_dues(struct repo *repo, uint32_t without, int64_t ret_ms[WORK_CLASSES], struct err *e)
{
	return next_due(repo, next_dues_sql, DB_PARAMS(DB_INT(without)), ret_ms, WORK_CLASSES, e);
}
