/* The repository's jobs: reading, listing, and what users and the janitor do to them. Server process (and the janitor
 * wherever it runs). Every change of status asks job_after (job/policy.h) with the row locked.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "job/repo_internal.h"

#define LIST_SQL_MAX 2048

int repo_job_get(struct repo *repo, const char *user_id, const char *id, struct job *ret, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int r = db_acquire(repo->db, &c, e);
	return r < 0 ? r : repo_job_load(c, user_id, id, ret, e);
}

/* ---- lists ---- */

/* A WHERE that grows with what is asked; few texts in all, so that the statements stay prepared. */
struct list_query {
	struct buf sql;
	char cursor_id[UUID_SIZE]; /* a value points here */
	struct db_param values[8];
	size_t count;
};

/* `condition` ends where its parameter goes. */
static void where(struct list_query *q, const char *condition, struct db_param value)
{
	q->values[q->count++] = value;
	buf_printf(&q->sql, " AND %s $%zu", condition, q->count);
}

static int list_query_init(struct list_query *q, const struct job_filter *f, uint32_t limit, const char *cursor,
			   struct err *e)
{
	bool by_revision = f->after_revision > 0;
	int64_t number = 0;
	bool go_on = cursor && *cursor;
	if (go_on) {
		int r = repo_cursor_parse(cursor, by_revision ? 'r' : 'j', &number, q->cursor_id, e);
		if (r < 0)
			return r;
	}
	buf_init(&q->sql, LIST_SQL_MAX);
	buf_puts(&q->sql, "SELECT " JOB_COLUMNS " FROM job WHERE status <> 7 AND kind NOT IN (2, 5)");
	if (f->user_id)
		where(q, "user_id =", DB_TEXT(f->user_id));
	if (f->status)
		where(q, "status =", DB_INT(f->status));
	if (f->kind)
		where(q, "kind =", DB_INT(f->kind));
	if (f->file_id)
		where(q, "file_id =", DB_TEXT(f->file_id));
	if (by_revision) {
		where(q, "revision >", DB_INT(go_on ? number : f->after_revision));
		buf_puts(&q->sql, " ORDER BY revision");
	} else {
		if (go_on) {
			q->values[q->count++] = DB_INT(number);
			q->values[q->count++] = DB_TEXT(q->cursor_id);
			buf_printf(&q->sql, " AND (created_ms, id) < ($%zu, $%zu)", q->count - 1, q->count);
		}
		buf_puts(&q->sql, " ORDER BY created_ms DESC, id DESC");
	}
	q->values[q->count++] = DB_INT(limit);
	buf_printf(&q->sql, " LIMIT $%zu", q->count);
	return buf_finish(&q->sql, e);
}

int repo_job_list(struct repo *repo, const struct job_filter *f, uint32_t limit, const char *cursor, repo_job_fn fn,
		  void *ctx, char ret_cursor[64], struct err *e)
{
	if (limit < 1 || limit > REPO_LIST_MAX)
		limit = limit < 1 ? 1 : REPO_LIST_MAX;
	struct list_query q = { 0 };
	_cleanup_job_rows_ struct job_rows list = { 0 };
	int r = list_query_init(&q, f, limit + 1, cursor, e);
	if (r >= 0)
		r = repo_job_rows(repo, q.sql.data, &(struct db_params){ .values = q.values, .count = q.count }, &list,
				  e);
	buf_release(&q.sql);
	if (r < 0)
		return r;
	bool more = list.count > limit;
	uint32_t count = more ? limit : list.count;
	for (uint32_t i = 0; i < count; i++)
		fn(ctx, &list.items[i]);
	ret_cursor[0] = '\0';
	if (more) {
		const struct job *last = &list.items[count - 1];
		bool by_revision = f->after_revision > 0;
		repo_cursor_format(by_revision ? 'r' : 'j', by_revision ? last->revision : last->created_ms, last->id,
				   ret_cursor);
	}
	return 0;
}

/* ---- cancel, retry, delete ---- */

struct change_tx {
	const char *user_id, *id;
	enum job_event event;
	const char *refused; /* for people: why it can't be done now */
	struct job job;	     /* as it is afterwards */
};

static int enter_status(struct db_conn *c, struct change_tx *t, int64_t *ret_now, struct err *e)
{
	job_release(&t->job);
	int r = db_now_ms(c, ret_now, e);
	if (r < 0)
		return r;
	r = repo_job_lock(c, t->user_id, t->id, &t->job, e);
	if (r < 0)
		return r;
	enum job_status next = job_after(t->job.status, t->event);
	if (!next)
		return err_set(e, ERR_CONFLICT, "the job is %s: %s", job_status_name(t->job.status), t->refused);
	return db_exec(c, "UPDATE job SET status = $2 WHERE id = $1", DB_PARAMS(DB_TEXT(t->id), DB_INT(next)), NULL, e);
}

/* The end of a change: the next revision, and the job as it is now. */
static int leave(struct db_conn *c, struct change_tx *t, int64_t now, struct err *e)
{
	int r = repo_revise(c, t->id, now, e);
	if (r < 0)
		return r;
	job_release(&t->job);
	return repo_job_load(c, t->user_id, t->id, &t->job, e);
}

static int change(struct repo *repo, const char *what, db_tx_fn fn, struct change_tx *t, struct job *ret, struct err *e)
{
	int r = repo_transact(repo, what, fn, t, e);
	if (r < 0 || !ret)
		job_release(&t->job);
	else
		*ret = t->job;
	return r < 0 ? r : 0;
}

static int cancel_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct change_tx *t = ctx;
	int64_t now;
	int r;
	if ((r = enter_status(c, t, &now, e)) < 0 || (r = repo_cancel_chunks(c, t->id, e)) < 0 ||
	    (r = repo_parts_abandon(c, &t->job, now, e)) < 0 ||
	    (r = db_exec(c, "UPDATE job SET finished_ms = $2, speed = 0, eta_seconds = -1 WHERE id = $1",
			 DB_PARAMS(DB_TEXT(t->id), DB_INT(now)), NULL, e)) < 0)
		return r;
	return leave(c, t, now, e);
}

int repo_job_cancel(struct repo *repo, const char *user_id, const char *id, struct job *ret, struct err *e)
{
	struct change_tx t = { .user_id = user_id,
			       .id = id,
			       .event = JOB_EVENT_CANCEL,
			       .refused = "only an unfinished one can be canceled" };
	return change(repo, "cancel", cancel_tx, &t, ret, e);
}

/* What was made stays; what failed or was canceled by the failure is ready again, in the kinds' order. */
static int reopen_chunks(struct db_conn *c, const char *job_id, int64_t now, struct err *e)
{
	int r = db_exec(c,
			"UPDATE chunk SET state = 1, due_ms = NULL, failures = 0, worker = '' WHERE job_id = $1"
			" AND state IN (5, 6)",
			DB_PARAMS(DB_TEXT(job_id)), NULL, e);
	return r < 0 ? r : repo_open_next(c, job_id, now, e);
}

/* The object of a file that was deleted since is gone, too. */
static int check_source(struct db_conn *c, const struct job *j, struct err *e)
{
	if (!j->file_id[0])
		return 0;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT id FROM file WHERE id = $1" DB_LOCK, DB_PARAMS(DB_TEXT(j->file_id)),
			 &rows, e);
	if (r == 0)
		return err_set_code(e, ERR_CONFLICT, "FILE_GONE", "the job's file was deleted");
	return r < 0 ? r : 0;
}

static int retry_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct change_tx *t = ctx;
	int64_t now;
	int r = enter_status(c, t, &now, e);
	if (r < 0)
		return r;
	r = check_source(c, &t->job, e);
	if (r < 0)
		return r;
	r = db_exec(c,
		    "UPDATE job SET stage = 'queued', generation_attempt = generation_attempt + 1, error_code = '',"
		    " error_message = NULL, error_retriable = 0, finished_ms = 0, speed = 0, eta_seconds = -1,"
		    " served_ms = 0, expires_ms = CASE WHEN kind = 4 AND expires_ms > 0 THEN $2 ELSE expires_ms END"
		    " WHERE id = $1",
		    DB_PARAMS(DB_TEXT(t->id), DB_INT(now + NARRATION_LIFETIME_MS)), NULL, e);
	if (r >= 0 && t->job.kind == JOB_NARRATION)
		r = repo_narration_afresh(c, &t->job, e);
	if (r < 0)
		return r;
	r = reopen_chunks(c, t->id, now, e);
	if (r < 0)
		return r;
	return leave(c, t, now, e);
}

int repo_job_retry(struct repo *repo, const char *user_id, const char *id, struct job *ret, struct err *e)
{
	struct change_tx t = {
		.user_id = user_id, .id = id, .event = JOB_EVENT_RETRY, .refused = "only a failed one can be retried"
	};
	return change(repo, "retry", retry_tx, &t, ret, e);
}

/* What goes with the status `deleting`: its key is free again, and streams of events learn of it. */
static int leave_deleted(struct db_conn *c, const char *id, int64_t now, struct err *e)
{
	int r = db_exec(c, "DELETE FROM idempotency WHERE job_id = $1", DB_PARAMS(DB_TEXT(id)), NULL, e);
	if (r < 0 || (r = repo_download_drop(c, id, e)) < 0 || (r = repo_past_insert(c, id, e)) < 0 ||
	    (r = repo_revise(c, id, now, e)) < 0)
		return r;
	return db_exec(c,
		       "INSERT INTO deleted_job (job_id, user_id, revision, deleted_ms)"
		       " SELECT id, user_id, revision, $2 FROM job WHERE id = $1",
		       DB_PARAMS(DB_TEXT(id), DB_INT(now)), NULL, e);
}

static int delete_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct change_tx *t = ctx;
	int64_t now;
	int r = enter_status(c, t, &now, e);
	return r < 0 ? r : leave_deleted(c, t->id, now, e);
}

int repo_job_delete(struct repo *repo, const char *user_id, const char *id, struct err *e)
{
	struct change_tx t = { .user_id = user_id, .id = id, .event = JOB_EVENT_DELETE, .refused = "cancel it first" };
	return change(repo, "delete", delete_tx, &t, NULL, e);
}

/* ---- deletions, for streams of events ---- */

int repo_revision(struct repo *repo, int64_t *ret, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0)
		return r;
	r = db_first(c, "SELECT value FROM counter WHERE name = 'revision'", DB_NO_PARAMS, &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_INTERNAL, "the revision counter is gone");
	*ret = db_int(rows, 0);
	return 0;
}

int repo_job_deletions(struct repo *repo, const char *user_id, int64_t after_revision, struct job_deletion *out,
		       uint32_t max, uint32_t *ret_count, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0)
		return r;
	r = db_query(c,
		     "SELECT job_id, revision FROM deleted_job WHERE user_id = $1 AND revision > $2"
		     " ORDER BY revision LIMIT $3",
		     DB_PARAMS(DB_TEXT(user_id), DB_INT(after_revision), DB_INT(max)), &rows, e);
	uint32_t count = 0;
	while (r >= 0 && count < max && (r = db_next(rows, e)) > 0) {
		repo_copy_text(rows, 0, out[count].job_id, sizeof(out[count].job_id));
		out[count++].revision = db_int(rows, 1);
	}
	if (r < 0)
		return r;
	*ret_count = count;
	return 0;
}

/* ---- retention ---- */

static int forget_old(struct db_conn *c, int64_t now, struct err *e)
{
	int r = db_exec(c, "DELETE FROM idempotency WHERE created_ms <= $1",
			DB_PARAMS(DB_INT(now - IDEMPOTENCY_KEPT_MS)), NULL, e);
	if (r >= 0)
		r = db_exec(c, "DELETE FROM past_job WHERE finished_ms <= $1", DB_PARAMS(DB_INT(now - PAST_KEPT_MS)), NULL, e);
	if (r < 0)
		return r;
	return db_exec(c, "DELETE FROM deleted_job WHERE deleted_ms <= $1", DB_PARAMS(DB_INT(now - DELETION_KEPT_MS)),
		       NULL, e);
}

/* One at a time, because each deletion has a revision of its own. */
static int expire_tx(struct db_conn *c, void *ctx, struct err *e)
{
	(void)ctx;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0 || (r = forget_old(c, now, e)) < 0)
		return r;
	for (uint32_t i = 0; i < REPO_LIST_MAX; i++) {
		_cleanup_db_rows_ struct db_rows *rows = NULL;
		r = db_first(c,
			     "UPDATE job SET status = 7 WHERE id = (SELECT id FROM job WHERE expires_ms > 0"
			     " AND expires_ms <= $1 AND status IN (4, 5, 6) LIMIT 1" DB_LOCK_FREE ") RETURNING id",
			     DB_PARAMS(DB_INT(now)), &rows, e);
		if (r <= 0)
			return r;
		char id[UUID_SIZE];
		repo_copy_text(rows, 0, id, sizeof(id));
		db_finish(&rows);
		r = leave_deleted(c, id, now, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int repo_job_doomed(struct repo *repo, uint32_t limit, repo_job_fn fn, void *ctx, struct err *e)
{
	int r = repo_transact(repo, "expire jobs", expire_tx, NULL, e);
	if (r < 0)
		return r;
	return repo_job_each(repo, "SELECT " JOB_COLUMNS " FROM job WHERE status = 7 ORDER BY id LIMIT $1",
			     DB_PARAMS(DB_INT(limit)), fn, ctx, e);
}

struct purge_tx {
	const char *id;
};

static int purge_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct purge_tx *t = ctx;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT status FROM job WHERE id = $1" DB_LOCK, DB_PARAMS(DB_TEXT(t->id)), &rows, e);
	if (r <= 0)
		return r; /* it is gone already */
	if (db_int(rows, 0) != JOB_DELETING)
		return err_set(e, ERR_CONFLICT, "the job is not being deleted");
	db_finish(&rows);
	/* Its renditions, segments, chunks and keys go with it: ON DELETE CASCADE. */
	return db_exec(c, "DELETE FROM job WHERE id = $1", DB_PARAMS(DB_TEXT(t->id)), NULL, e);
}

int repo_job_purge(struct repo *repo, const char *id, struct err *e)
{
	struct purge_tx t = { .id = id };
	return repo_transact(repo, "purge a job", purge_tx, &t, e);
}
