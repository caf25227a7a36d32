/* The repository: opening, settings, and the parts that its transactions are made of (the fence, revisions, progress).
 * Runs in the server and worker process. Files: repo_file.c, jobs: repo_job.c and repo_create.c, work: repo_work.c and
 * repo_commit.c, publishing: repo_publish.c.
 */
#include "job/repo.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/timed.h"
#include "job/repo_internal.h"

int repo_open(struct db *db, struct repo **ret, struct err *e)
{
	int r = db_migrate(db, e);
	if (r < 0)
		return r;
	struct repo *repo = mr_calloc(1, sizeof(*repo));
	repo->db = db;
	*ret = repo;
	return 0;
}

void repo_close(struct repo *r)
{
	free(r);
}

int repo_transact(struct repo *r, const char *what, db_tx_fn fn, void *ctx, struct err *e)
{
	int64_t began = clock_mono_ns();
	int result = db_transact(r->db, fn, ctx, e);
	/* Finding nothing, or that the rows have moved on, is an answer of the database. */
	bool failed = result == -ERR_UNAVAILABLE || result == -ERR_NO_SPACE || result == -ERR_IO || result == -ERR_INTERNAL;
	timed_done(TIMED_DATABASE, "transaction", what, clock_mono_ns() - began, failed ? result : 0);
	if (result < 0 && e)
		(void)err_wrap(e, "%s", what);
	return result;
}

/* ---- settings ---- */

struct setting_tx {
	const char *name, *initial;
	char *value;
};

static int setting_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct setting_tx *t = ctx;
	int r = db_exec(c, "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
			DB_PARAMS(DB_TEXT(t->name), DB_TEXT(t->initial)), NULL, e);
	if (r < 0)
		return r;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	r = db_first(c, "SELECT value FROM setting WHERE name = $1", DB_PARAMS(DB_TEXT(t->name)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_INTERNAL, "the value is gone");
	free(t->value);
	t->value = mr_strdup(db_text(rows, 0));
	return 0;
}

int repo_setting_init(struct repo *repo, const char *name, const char *initial, char **ret, struct err *e)
{
	struct setting_tx t = { .name = name, .initial = initial };
	int r = repo_transact(repo, "setting", setting_tx, &t, e);
	if (r < 0)
		free(t.value);
	else
		*ret = t.value;
	return r;
}

/* ---- parts of transactions ---- */

static int job_first(struct db_conn *c, const char *sql, const char *user_id, const char *id, struct job *ret,
		     struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, sql, DB_PARAMS(DB_TEXT(id)), &rows, e);
	if (r < 0)
		return r;
	bool theirs = r > 0 && (!user_id || strcmp(user_id, db_text(rows, 1)) == 0);
	bool shown = !user_id || (db_int(rows, 2) != JOB_ANALYZE && db_int(rows, 2) != JOB_DOWNLOAD);
	if (!theirs || !shown || db_int(rows, 3) == JOB_DELETING)
		return err_set(e, ERR_NOT_FOUND, "there is no such job");
	repo_job_row(rows, ret);
	return 0;
}

int repo_job_load(struct db_conn *c, const char *user_id, const char *id, struct job *ret, struct err *e)
{
	return job_first(c, "SELECT " JOB_COLUMNS " FROM job WHERE id = $1", user_id, id, ret, e);
}

int repo_job_lock(struct db_conn *c, const char *user_id, const char *id, struct job *ret, struct err *e)
{
	return job_first(c, "SELECT " JOB_COLUMNS " FROM job WHERE id = $1" DB_LOCK, user_id, id, ret, e);
}

static int revise(struct db_conn *c, const char *job_id, int64_t now_ms, struct job_progress *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL, *job = NULL;
	int r = db_first(c, "UPDATE counter SET value = value + 1 WHERE name = 'revision' RETURNING value",
			 DB_NO_PARAMS, &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_INTERNAL, "the revision counter is gone");
	r = db_first(c, "UPDATE job SET revision = $2, updated_ms = $3 WHERE id = $1 RETURNING status, percent, stage",
		     DB_PARAMS(DB_TEXT(job_id), DB_INT(db_int(rows, 0)), DB_INT(now_ms)), &job, e);
	if (r <= 0 || !ret)
		return r < 0 ? r : 0;
	*ret = (struct job_progress){ .revision = db_int(rows, 0),
				      .status = (enum job_status)db_int(job, 0),
				      .percent = db_real(job, 1) };
	repo_copy_text(job, 2, ret->stage, sizeof(ret->stage));
	return 0;
}

int repo_revise(struct db_conn *c, const char *job_id, int64_t now_ms, struct err *e)
{
	return revise(c, job_id, now_ms, NULL, e);
}

/* Why the fence did not hold. */
static int not_held(struct db_conn *c, const struct claim *claim, struct err *e)
{
	const struct chunk *k = &claim->chunk;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT state, claims FROM chunk WHERE job_id = $1 AND idx = $2",
			 DB_PARAMS(DB_TEXT(k->job_id), DB_INT(k->index)), &rows, e);
	if (r < 0)
		return r;
	if (r > 0 && db_int(rows, 0) == CHUNK_CANCELED && db_int(rows, 1) == k->claims)
		return err_set(e, ERR_CANCELED, "the job was canceled or has failed");
	return err_set(e, ERR_LOST, "claim %u of chunk %u does not hold any more", k->claims, k->index);
}

int repo_fence(struct db_conn *c, const struct claim *claim, struct fence *ret, struct err *e)
{
	struct fence f;
	int r = db_now_ms(c, &f.now_ms, e);
	if (r < 0)
		return r;
	const struct chunk *k = &claim->chunk;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	r = db_first(c,
		     "UPDATE chunk SET due_ms = $5 WHERE job_id = $1 AND idx = $2 AND claims = $3 AND state = 3"
		     " AND worker = $4"
		     " RETURNING " CHUNK_COLUMNS,
		     DB_PARAMS(DB_TEXT(k->job_id), DB_INT(k->index), DB_INT(k->claims), DB_TEXT(claim->worker_id),
			       DB_INT(f.now_ms + claim->lease_ms)),
		     &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return not_held(c, claim, e);
	repo_chunk_row(rows, &f.chunk);
	*ret = f;
	return 0;
}

int repo_fence_finish(struct db_conn *c, const struct claim *claim, struct fence *ret, struct err *e)
{
	struct fence f;
	int r = repo_fence(c, claim, &f, e);
	if (r < 0)
		return r;
	if (f.chunk.kind != CHUNK_FINISH)
		return err_set(e, ERR_INTERNAL, "chunk %u is not the finish chunk", f.chunk.index);
	*ret = f;
	return 0;
}

int repo_progress(struct db_conn *c, const char *job_id, int64_t now_ms, int64_t added_ticks, struct job_progress *ret,
		  struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c,
			 "UPDATE job SET done_ticks = done_ticks + $2 WHERE id = $1"
			 " RETURNING done_ticks, weight_ticks, percent, run_ms, run_ticks",
			 DB_PARAMS(DB_TEXT(job_id), DB_INT(added_ticks)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_INTERNAL, "job %s is gone", job_id);
	struct progress p = progress_of(&(struct progress_facts){ .done_ticks = db_int(rows, 0),
								  .weight_ticks = db_int(rows, 1),
								  .percent = db_real(rows, 2),
								  .run_ms = db_int(rows, 3),
								  .run_ticks = db_int(rows, 4),
								  .now_ms = now_ms });
	r = db_exec(c, "UPDATE job SET percent = $2, speed = $3, eta_seconds = $4 WHERE id = $1",
		    DB_PARAMS(DB_TEXT(job_id), DB_REAL(p.percent), DB_REAL(p.speed), DB_REAL(p.eta_seconds)), NULL, e);
	return r < 0 ? r : revise(c, job_id, now_ms, ret, e);
}

int repo_cancel_chunks(struct db_conn *c, const char *job_id, struct err *e)
{
	return db_exec(c, "UPDATE chunk SET state = 6, due_ms = NULL WHERE job_id = $1 AND state IN (1, 2, 3)",
		       DB_PARAMS(DB_TEXT(job_id)), NULL, e);
}

int repo_committed_prefix(struct db_conn *c, const struct job *j, uint32_t *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c,
			 "SELECT (SELECT COUNT(*) FROM rendition WHERE job_id = $1 AND init_committed = 0),"
			 " (SELECT MIN(idx) FROM segment WHERE job_id = $1 AND committed = 0)",
			 DB_PARAMS(DB_TEXT(j->id)), &rows, e);
	if (r < 0)
		return r;
	if (db_int(rows, 0) > 0)
		*ret = 0;
	else
		*ret = db_is_null(rows, 1) ? j->segment_count : (uint32_t)db_int(rows, 1);
	return 0;
}
