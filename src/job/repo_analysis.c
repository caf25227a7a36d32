/* The repository's analyses: jobs that belong to a file rather than to a user. They are made with the file, shown to
 * nobody, done when nothing else is to do, and gone with their last write, which leaves their result on the file's row.
 * Server and worker process.
 */
#include <stdlib.h>
#include <string.h>

#include "job/analysis.h"
#include "job/keys.h"
#include "job/repo_internal.h"

int repo_analysis_end(struct db_conn *c, const char *job_id, const char *file_id, enum analysis_state state,
		      const char *json, int64_t now_ms, struct err *e)
{
	int r = db_exec(c, "DELETE FROM chunk WHERE job_id = $1", DB_PARAMS(DB_TEXT(job_id)), NULL, e);
	if (r >= 0)
		r = db_exec(c, "DELETE FROM job WHERE id = $1", DB_PARAMS(DB_TEXT(job_id)), NULL, e);
	if (r < 0)
		return r;
	return db_exec(c, "UPDATE file SET analysis_state = $2, analysis_json = $3, updated_ms = $4 WHERE id = $1",
		       DB_PARAMS(DB_TEXT(file_id), DB_INT(state), DB_TEXT(json), DB_INT(now_ms)), NULL, e);
}

struct done_tx {
	const struct claim *claim;
	enum analysis_state state;
	const char *json;
};

static int done_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct done_tx *t = ctx;
	struct fence f;
	int r = repo_fence(c, t->claim, &f, e);
	if (r < 0)
		return r;
	if (f.chunk.kind != CHUNK_ANALYZE)
		return err_set(e, ERR_INTERNAL, "chunk %u is no analysis", f.chunk.index);
	return repo_analysis_end(c, f.chunk.job_id, t->claim->job.file_id, t->state, t->json, f.now_ms, e);
}

int repo_analysis_done(struct repo *repo, const struct claim *claim, enum analysis_state state, const char *json,
		       struct err *e)
{
	struct done_tx t = { .claim = claim, .state = state, .json = json };
	return repo_transact(repo, "finish an analysis", done_tx, &t, e);
}

/* ---- the file goes ---- */

static int doom_prefix(struct db_conn *c, const char *user_id, const char *file_id, int64_t due_ms, struct err *e)
{
	_cleanup_free_ char *prefix = key_analysis_prefix(user_id, file_id);
	_cleanup_free_ char *below = mr_asprintf("%s/", prefix);
	return repo_object_doom_at(c, below, due_ms, e);
}

int repo_analysis_drop(struct db_conn *c, const char *user_id, const char *file_id, int64_t now_ms, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int64_t chunks;
	int r = db_first(c, "SELECT id FROM job WHERE file_id = $1 AND kind = 2", DB_PARAMS(DB_TEXT(file_id)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return doom_prefix(c, user_id, file_id, now_ms, e);
	const char *id = db_text(rows, 0);
	r = db_exec(c, "DELETE FROM chunk WHERE job_id = $1 AND state = 3", DB_PARAMS(DB_TEXT(id)), &chunks, e);
	if (r >= 0)
		r = db_exec(c, "DELETE FROM job WHERE id = $1", DB_PARAMS(DB_TEXT(id)), NULL, e);
	if (r < 0)
		return r;
	/* A claim that still runs learns of it with its next heartbeat. */
	return doom_prefix(c, user_id, file_id, chunks ? now_ms + DOOMED_LATER_MS : now_ms, e);
}
