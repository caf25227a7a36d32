/* The repository's lists of jobs for those who run the product: what is being made, and what has ended, deleted jobs included.
 * Server process; see job/figures.h. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "job/figures.h"
#include "job/repo_internal.h"

#define LIST_SQL_MAX 4096

/* ---- what is being made ---- */

struct counts {
	int64_t of[CHUNK_CANCELED + 1], failures, due_ms, now_ms;
};

static int count_chunks(struct db_conn *c, const char *job_id, struct counts *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	*ret = (struct counts){ .due_ms = INT64_MAX };
	int r = db_now_ms(c, &ret->now_ms, e);
	if (r >= 0)
		r = db_query(c,
			     "SELECT state, COUNT(*), CAST(SUM(failures) AS BIGINT), MIN(due_ms) FROM chunk WHERE job_id = $1"
			     " GROUP BY state",
			     DB_PARAMS(DB_TEXT(job_id)), &rows, e);
	while (r >= 0 && (r = db_next(rows, e)) > 0) {
		int64_t state = db_int(rows, 0);
		if (state < 0 || state > CHUNK_CANCELED)
			continue;
		ret->of[state] = db_int(rows, 1);
		ret->failures += db_int(rows, 2);
		if (!db_is_null(rows, 3) && db_int(rows, 3) < ret->due_ms)
			ret->due_ms = db_int(rows, 3);
	}
	return r;
}

int repo_active(struct repo *repo, uint32_t limit, repo_active_fn fn, void *ctx, struct err *e)
{
	_cleanup_job_rows_ struct job_rows list = { 0 };
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int r = repo_job_rows(repo,
			      "SELECT " JOB_COLUMNS " FROM job WHERE " JOB_IS_OPEN " AND kind IN (1, 3, 4) ORDER BY created_ms, id"
			      " LIMIT $1",
			      DB_PARAMS(DB_INT(limit)), &list, e);
	if (r >= 0)
		r = db_acquire(repo->db, &c, e);
	for (uint32_t i = 0; i < list.count && r >= 0; i++) {
		struct counts n;
		r = count_chunks(c, list.items[i].id, &n, e);
		if (r >= 0)
			fn(ctx, &(struct active_row){ .job = &list.items[i],
						      .ready = n.of[CHUNK_READY],
						      .waiting = n.of[CHUNK_WAITING],
						      .running = n.of[CHUNK_RUNNING],
						      .done = n.of[CHUNK_DONE],
						      .failures = n.failures,
						      .waiting_ms = n.due_ms <= n.now_ms ? n.now_ms - n.due_ms : -1 });
	}
	return r < 0 ? r : 0;
}

/* ---- what has ended ---- */

#define PAST_COLUMNS                                                                                              \
	"id, user_id, kind, status, error_code, source_bytes, duration_ticks, generation_attempt, created_ms,"    \
	" started_ms, streaming_ms, finished_ms"
#define ENDED                                                                                                     \
	"SELECT * FROM (SELECT " PAST_COLUMNS ", source_name, error_message, 0 AS deleted FROM job"               \
	" WHERE finished_ms > 0 AND status IN (4, 5, 6) AND kind IN (1, 3, 4)"                                    \
	" UNION ALL SELECT " PAST_COLUMNS ", NULL AS source_name, NULL AS error_message, 1 AS deleted FROM past_job) ended" \
	" WHERE 1 = 1"

struct history_query {
	struct buf sql;
	char cursor_id[UUID_SIZE];
	struct db_param values[8];
	size_t count;
};

static void where(struct history_query *q, const char *condition, struct db_param value)
{
	q->values[q->count++] = value;
	(void)buf_printf(&q->sql, " AND %s $%zu", condition, q->count);
}

static int history_query_init(struct history_query *q, const struct history_filter *f, uint32_t limit, const char *cursor,
			      struct err *e)
{
	int64_t finished_ms = 0;
	bool go_on = cursor && *cursor;
	int r = go_on ? repo_cursor_parse(cursor, 'f', &finished_ms, q->cursor_id, e) : 0;
	if (r < 0)
		return r;
	buf_init(&q->sql, LIST_SQL_MAX);
	(void)buf_puts(&q->sql, ENDED);
	if (f->status)
		where(q, "status =", DB_INT(f->status));
	if (f->kind)
		where(q, "kind =", DB_INT(f->kind));
	if (f->user_id)
		where(q, "user_id =", DB_TEXT(f->user_id));
	if (f->code)
		where(q, "error_code =", DB_TEXT(f->code));
	if (go_on) {
		q->values[q->count++] = DB_INT(finished_ms);
		q->values[q->count++] = DB_TEXT(q->cursor_id);
		(void)buf_printf(&q->sql, " AND (finished_ms, id) < ($%zu, $%zu)", q->count - 1, q->count);
	}
	q->values[q->count++] = DB_INT(limit);
	(void)buf_printf(&q->sql, " ORDER BY finished_ms DESC, id DESC LIMIT $%zu", q->count);
	return buf_finish(&q->sql, e);
}

static struct history_row history_row(struct db_rows *rows)
{
	return (struct history_row){ .id = db_text(rows, 0),
				     .user_id = db_text(rows, 1),
				     .kind = (enum job_kind)db_int(rows, 2),
				     .status = (enum job_status)db_int(rows, 3),
				     .error_code = db_text(rows, 4),
				     .source_bytes = db_int(rows, 5),
				     .duration_ticks = db_int(rows, 6),
				     .generation_attempt = db_int(rows, 7),
				     .created_ms = db_int(rows, 8),
				     .started_ms = db_int(rows, 9),
				     .streaming_ms = db_int(rows, 10),
				     .finished_ms = db_int(rows, 11),
				     .source_name = db_text(rows, 12),
				     .error_message = db_text(rows, 13),
				     .deleted = db_int(rows, 14) != 0 };
}

int repo_history(struct repo *repo, const struct history_filter *f, uint32_t limit, const char *cursor, repo_history_fn fn,
		 void *ctx, char ret_cursor[64], struct err *e)
{
	struct history_query q = { 0 };
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = history_query_init(&q, f, limit + 1, cursor, e);
	if (r >= 0)
		r = db_acquire(repo->db, &c, e);
	if (r >= 0)
		r = db_query(c, q.sql.data, &(struct db_params){ .values = q.values, .count = q.count }, &rows, e);
	buf_release(&q.sql);
	char next[64] = "";
	char last_id[UUID_SIZE] = "";
	int64_t last_ms = 0;
	for (uint32_t i = 0; r >= 0 && (r = db_next(rows, e)) > 0; i++) {
		if (i == limit) {
			repo_cursor_format('f', last_ms, last_id, next);
			break;
		}
		struct history_row row = history_row(rows);
		(void)snprintf(last_id, sizeof(last_id), "%s", row.id);
		last_ms = row.finished_ms;
		fn(ctx, &row);
	}
	if (r < 0)
		return r;
	memcpy(ret_cursor, next, sizeof(next));
	return 0;
}

/* ---- jobs that are gone ---- */

int repo_past_insert(struct db_conn *c, const char *job_id, struct err *e)
{
	/* The status says "deleting" already; what the job had come to shows in its other columns. */
	return db_exec(c,
		       "INSERT INTO past_job (" PAST_COLUMNS ") SELECT id, user_id, kind,"
		       " CASE WHEN error_code <> '' THEN 5 WHEN stage = 'done' THEN 4 ELSE 6 END, error_code, source_bytes,"
		       " duration_ticks, generation_attempt, created_ms, started_ms, streaming_ms, finished_ms"
		       " FROM job WHERE id = $1 AND kind IN (1, 3, 4) AND finished_ms > 0",
		       DB_PARAMS(DB_TEXT(job_id)), NULL, e);
}
