/* The repository's downloads: a narration's MP3, made once, by a job of its own that nobody sees. Server and worker process.
 *
 * Such a job is a conversion in all but its source. It belongs to its narration: it is found by it, and deleted with it. The last
 * write of its join also writes down, with the narration, where the file is and until when the stream stays.
 */
#include <string.h>

#include "base/mem.h"
#include "job/repo_internal.h"

struct start_tx {
	const char *user_id, *narration_id;
	const struct job_new *n;
	bool again;
	struct job job;
};

/* The narration's earlier one: 1; 0: there is none. One that failed makes room where it is to be made again. */
static int find_earlier(struct db_conn *c, const char *narration_id, bool again, struct job *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT " JOB_COLUMNS " FROM job WHERE parent_id = $1 AND status <> 7",
			 DB_PARAMS(DB_TEXT(narration_id)), &rows, e);
	if (r <= 0)
		return r;
	repo_job_row(rows, ret);
	db_finish(&rows);
	if (ret->status != JOB_FAILED || !again)
		return 1;
	/* Without its prefix, which the next one has, too; its parts have names of their own. */
	r = db_exec(c, "UPDATE job SET status = 7, prefix = '' WHERE id = $1", DB_PARAMS(DB_TEXT(ret->id)), NULL, e);
	job_release(ret);
	return r < 0 ? r : 0;
}

static int check_narration(const struct job *j, int64_t now, struct err *e)
{
	if (j->kind != JOB_NARRATION || j->status != JOB_COMPLETED)
		return err_set_code(e, ERR_CONFLICT, "NOT_COMPLETED", "the job is %s", job_status_name(j->status));
	if (j->stream_until_ms && j->stream_until_ms <= now && !*j->download_key)
		return err_set_code(e, ERR_GONE, "STREAM_REMOVED", "the stream is not there any more");
	return 0;
}

static int start_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct start_tx *t = ctx;
	struct job narration = { 0 };
	int64_t now;
	job_release(&t->job);
	int r = db_now_ms(c, &now, e);
	if (r >= 0)
		r = repo_job_lock(c, t->user_id, t->narration_id, &narration, e);
	if (r < 0)
		return r;
	r = check_narration(&narration, now, e);
	job_release(&narration);
	if (r < 0)
		return r;
	r = find_earlier(c, t->narration_id, t->again, &t->job, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = repo_job_insert(c, t->n, now, e);
	if (r >= 0)
		r = db_exec(c, "UPDATE job SET parent_id = $2, grace_ms = $3 WHERE id = $1",
			    DB_PARAMS(DB_TEXT(t->n->id), DB_TEXT(t->narration_id), DB_INT(t->n->grace_ms)), NULL, e);
	if (r >= 0)
		r = repo_revise(c, t->n->id, now, e);
	return r < 0 ? r : repo_job_load(c, NULL, t->n->id, &t->job, e);
}

int repo_download_start(struct repo *repo, const char *user_id, const char *narration_id, const struct job_new *n, bool again,
			struct job *ret, struct err *e)
{
	struct start_tx t = { .user_id = user_id, .narration_id = narration_id, .n = n, .again = again };
	int r = repo_transact(repo, "start a download", start_tx, &t, e);
	if (r < 0)
		job_release(&t.job);
	else
		*ret = t.job;
	return r < 0 ? r : 0;
}

int repo_download_done(struct db_conn *c, const struct job *download, int64_t now_ms, struct err *e)
{
	struct job narration = { 0 };
	int r = repo_job_lock(c, NULL, download->parent_id, &narration, e);
	if (r < 0)
		return r;
	_cleanup_free_ char *stream = mr_asprintf("%s/", narration.prefix);
	const int64_t until = now_ms + download->grace_ms;
	job_release(&narration);
	r = repo_object_doom_at(c, stream, until, e);
	if (r >= 0)
		r = db_exec(c, "UPDATE job SET download_key = $2, stream_until_ms = $3, expires_ms = $4 WHERE id = $1",
			    DB_PARAMS(DB_TEXT(download->parent_id), DB_TEXT(download->prefix), DB_INT(until),
				      DB_INT(now_ms + DOWNLOAD_LIFETIME_MS)),
			    NULL, e);
	return r < 0 ? r : repo_revise(c, download->parent_id, now_ms, e);
}

int repo_download_drop(struct db_conn *c, const char *narration_id, struct err *e)
{
	int r = db_exec(c,
			"UPDATE chunk SET state = 6, due_ms = NULL WHERE state IN (1, 2, 3) AND job_id IN"
			" (SELECT id FROM job WHERE parent_id = $1)",
			DB_PARAMS(DB_TEXT(narration_id)), NULL, e);
	if (r < 0)
		return r;
	return db_exec(c, "UPDATE job SET status = 7 WHERE parent_id = $1", DB_PARAMS(DB_TEXT(narration_id)), NULL, e);
}
