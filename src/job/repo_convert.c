/* The repository's conversions: chunks that end with a result for later ones, the job's file, and its removal after a
 * download. Server and worker process.
 *
 * Parts (parts/{job}/) need no rows of their own: a chunk's result says how many there are, and all of them go together.
 */
#include <stdlib.h>
#include <string.h>

#include "job/keys.h"
#include "job/repo_internal.h"

int repo_parts_doom(struct db_conn *c, const struct job *j, int64_t due_ms, struct err *e)
{
	if (j->kind != JOB_CONVERT && j->kind != JOB_DOWNLOAD)
		return 0;
	_cleanup_free_ char *parts = key_parts(j->id);
	return repo_object_doom_at(c, parts, due_ms, e);
}

/* A claim that still runs may store parts until its next heartbeat tells it that the job was canceled. */
int repo_parts_abandon(struct db_conn *c, const struct job *j, int64_t now_ms, struct err *e)
{
	return repo_parts_doom(c, j, now_ms + DOOMED_LATER_MS, e);
}

/* ---- steps ---- */

struct step_tx {
	const struct claim *claim;
	const char *result_json;
};

static int step_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct step_tx *t = ctx;
	struct fence f;
	int r = repo_fence(c, t->claim, &f, e);
	if (r < 0)
		return r;
	const struct chunk *k = &f.chunk;
	if (k->kind != CHUNK_MEASURE && k->kind != CHUNK_CONVERT)
		return err_set(e, ERR_INTERNAL, "chunk %u is no step of a conversion", k->index);
	r = db_exec(c,
		    "UPDATE chunk SET state = 4, due_ms = NULL, done_ticks = weight_ticks, result_json = $3"
		    " WHERE job_id = $1 AND idx = $2",
		    DB_PARAMS(DB_TEXT(k->job_id), DB_INT(k->index), DB_TEXT(t->result_json)), NULL, e);
	if (r >= 0)
		r = repo_progress(c, k->job_id, f.now_ms, k->weight_ticks - k->done_ticks, NULL, e);
	return r < 0 ? r : repo_open_next(c, k->job_id, f.now_ms, e);
}

int repo_step_done(struct repo *repo, const struct claim *claim, const char *result_json, struct err *e)
{
	struct step_tx t = { .claim = claim, .result_json = result_json };
	return repo_transact(repo, "finish a step", step_tx, &t, e);
}

void step_results_free(struct step_result *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		free(list[i].json);
	free(list);
}

int repo_step_results(struct repo *repo, const char *job_id, enum chunk_kind kind, struct step_result **ret,
		      uint32_t *ret_count, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0)
		return r;
	r = db_query(c,
		     "SELECT idx, result_json FROM chunk WHERE job_id = $1 AND kind = $2 AND state = 4 ORDER BY idx",
		     DB_PARAMS(DB_TEXT(job_id), DB_INT(kind)), &rows, e);
	struct step_result *list = NULL;
	uint32_t n = 0;
	while (r >= 0 && (r = db_next(rows, e)) > 0) {
		const char *json = db_text(rows, 1);
		list = mr_reallocarray(list, n + 1, sizeof(*list));
		list[n++] = (struct step_result){ .chunk = (uint32_t)db_int(rows, 0), .json = mr_strdup(json ? json : "") };
	}
	if (r < 0) {
		step_results_free(list, n);
		return r;
	}
	*ret = list;
	*ret_count = n;
	return 0;
}

/* ---- the end ---- */

static int complete(struct db_conn *c, const struct fence *f, const struct job *j, const char *result_json,
		    struct err *e)
{
	enum job_status next = job_after(j->status, JOB_EVENT_COMPLETE);
	if (!next)
		return err_set(e, ERR_CONFLICT, "the job is %s", job_status_name(j->status));
	int r = db_exec(c,
			"UPDATE chunk SET state = 4, due_ms = NULL, done_ticks = weight_ticks WHERE job_id = $1 AND idx = $2",
			DB_PARAMS(DB_TEXT(j->id), DB_INT(f->chunk.index)), NULL, e);
	if (r < 0)
		return r;
	r = db_exec(c,
		    "UPDATE job SET status = $2, stage = 'done', percent = 100, eta_seconds = 0, finished_ms = $3,"
		    " done_ticks = weight_ticks, expires_ms = CASE WHEN expires_ms > 0 THEN $4 ELSE 0 END,"
		    " result_json = $5 WHERE id = $1",
		    DB_PARAMS(DB_TEXT(j->id), DB_INT(next), DB_INT(f->now_ms), DB_INT(f->now_ms + CONVERSION_LIFETIME_MS),
			      DB_TEXT(result_json)),
		    NULL, e);
	if (r >= 0)
		r = repo_parts_doom(c, j, f->now_ms, e);
	if (r >= 0 && j->kind == JOB_DOWNLOAD)
		r = repo_download_done(c, j, f->now_ms, e);
	if (r < 0)
		return r;
	return repo_revise(c, j->id, f->now_ms, e);
}

static int complete_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct step_tx *t = ctx;
	struct fence f;
	int r = repo_fence(c, t->claim, &f, e);
	if (r < 0)
		return r;
	if (f.chunk.kind != CHUNK_JOIN)
		return err_set(e, ERR_INTERNAL, "chunk %u is not the join", f.chunk.index);
	struct job j = { 0 };
	r = repo_job_lock(c, NULL, f.chunk.job_id, &j, e);
	if (r >= 0)
		r = complete(c, &f, &j, t->result_json, e);
	job_release(&j);
	return r;
}

int repo_convert_complete(struct repo *repo, const struct claim *claim, const char *result_json, struct err *e)
{
	struct step_tx t = { .claim = claim, .result_json = result_json };
	return repo_transact(repo, "complete the conversion", complete_tx, &t, e);
}

/* ---- fetched and removed ---- */

struct remove_tx {
	const char *user_id, *id;
};

static int remove_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct remove_tx *t = ctx;
	struct job j = { 0 };
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r >= 0)
		r = repo_job_lock(c, t->user_id, t->id, &j, e);
	if (r < 0)
		return r;
	if (j.kind != JOB_CONVERT || j.status != JOB_COMPLETED)
		r = err_set(e, ERR_CONFLICT, "the job has no file");
	else if (!j.removed_ms) {
		r = db_exec(c, "UPDATE job SET removed_ms = $2 WHERE id = $1", DB_PARAMS(DB_TEXT(j.id), DB_INT(now)), NULL,
			    e);
		if (r >= 0)
			r = repo_object_doom(c, j.prefix, e);
		if (r >= 0)
			r = repo_revise(c, j.id, now, e);
	}
	job_release(&j);
	return r;
}

int repo_result_remove(struct repo *repo, const char *user_id, const char *id, struct err *e)
{
	struct remove_tx t = { .user_id = user_id, .id = id };
	return repo_transact(repo, "remove a fetched file", remove_tx, &t, e);
}
