/* The repository's figures: processes, queue, outcomes, storage. Server and worker process; see job/figures.h. */
#include "job/figures.h"

#include <string.h>

#include "job/repo_internal.h"

/* What users made: analyses and what makes MP3s is nobody's. */
#define USERS_KINDS "kind IN (1, 3, 4)"

/* A read: rows of one statement, each given to `row`. */
typedef void (*row_fn)(void *ctx, struct db_rows *rows, int64_t now_ms);
static int each(struct repo *repo, const char *sql, const struct db_params *params, row_fn row, void *ctx, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0 || (r = db_now_ms(c, &now, e)) < 0 || (r = db_query(c, sql, params, &rows, e)) < 0)
		return r;
	while ((r = db_next(rows, e)) > 0)
		row(ctx, rows, now);
	return r;
}

/* The caller's function, and what it wants to be handed. */
struct to {
	void (*fn)(void);
	void *ctx;
};
#define TO(f, c) (&(struct to){ .fn = (void (*)(void))(f), .ctx = (c) })

int repo_now(struct repo *repo, int64_t *ret_ms, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int r = db_acquire(repo->db, &c, e);
	return r < 0 ? r : db_now_ms(c, ret_ms, e);
}

/* ---- processes ---- */

/* One statement that may as well be run twice: a transaction around it would be two more, for ever, in each process. */
int repo_worker_beat(struct repo *repo, const struct worker_row *w, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0 || (r = db_now_ms(c, &now, e)) < 0)
		return r;
	return db_exec(c,
		       "INSERT INTO worker (id, host, pid, role, version, slots, started_ms, seen_ms, report_json)"
		       " VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8) ON CONFLICT (id) DO UPDATE SET slots = $6, seen_ms = $7,"
		       " report_json = $8",
		       DB_PARAMS(DB_TEXT(w->id), DB_TEXT(w->host), DB_INT(w->pid), DB_TEXT(w->role), DB_TEXT(w->version),
				 DB_INT(w->slots), DB_INT(now), DB_TEXT(w->report_json)),
		       NULL, e);
}

struct forget_tx {
	const char *id;
	int64_t silent_ms, changes;
};

static int forget_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct forget_tx *t = ctx;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	return db_exec(c, "DELETE FROM worker WHERE id = $1 AND seen_ms <= $2",
		       DB_PARAMS(DB_TEXT(t->id), DB_INT(now - t->silent_ms)), &t->changes, e);
}

int repo_worker_forget(struct repo *repo, const char *id, int64_t silent_ms, bool *ret_mine, struct err *e)
{
	struct forget_tx t = { .id = id, .silent_ms = silent_ms };
	int r = repo_transact(repo, "forget a process", forget_tx, &t, e);
	if (r < 0)
		return r;
	*ret_mine = t.changes > 0;
	return 0;
}

int repo_worker_leave(struct repo *repo, const char *id, struct err *e)
{
	bool mine;
	return repo_worker_forget(repo, id, 0, &mine, e);
}

static void worker_row(void *ctx, struct db_rows *rows, int64_t now_ms)
{
	const struct to *to = ctx;
	((repo_worker_fn)to->fn)(to->ctx,
				 &(struct worker_row){ .id = db_text(rows, 0),
						       .host = db_text(rows, 1),
						       .pid = db_int(rows, 2),
						       .role = db_text(rows, 3),
						       .version = db_text(rows, 4),
						       .slots = db_int(rows, 5),
						       .started_ms = db_int(rows, 6),
						       .seen_ms = db_int(rows, 7),
						       .report_json = db_text(rows, 8) },
				 now_ms);
}

int repo_worker_list(struct repo *repo, repo_worker_fn fn, void *ctx, struct err *e)
{
	return each(repo,
		    "SELECT id, host, pid, role, version, slots, started_ms, seen_ms, report_json FROM worker"
		    " ORDER BY host, role, pid, id",
		    DB_NO_PARAMS, worker_row, TO(fn, ctx), e);
}

static void running_row(void *ctx, struct db_rows *rows, int64_t now_ms)
{
	const struct to *to = ctx;
	(void)now_ms;
	double weight = (double)db_int(rows, 7);
	((repo_running_fn)to->fn)(to->ctx, &(struct running_row){ .worker = db_text(rows, 0),
								  .job_id = db_text(rows, 1),
								  .user_id = db_text(rows, 2),
								  .kind = (enum job_kind)db_int(rows, 3),
								  .chunk = (uint32_t)db_int(rows, 4),
								  .chunk_kind = (enum chunk_kind)db_int(rows, 5),
								  .percent = weight > 0 ? 100.0 * (double)db_int(rows, 6) / weight
											: 0 });
}

int repo_running(struct repo *repo, repo_running_fn fn, void *ctx, struct err *e)
{
	return each(repo,
		    "SELECT c.worker, c.job_id, j.user_id, j.kind, c.idx, c.kind, c.done_ticks, c.weight_ticks"
		    " FROM chunk c JOIN job j ON j.id = c.job_id WHERE c.state = 3 ORDER BY c.worker, c.job_id, c.idx",
		    DB_NO_PARAMS, running_row, TO(fn, ctx), e);
}

static void chunk_row(void *ctx, struct db_rows *rows, int64_t now_ms)
{
	const struct to *to = ctx;
	(void)now_ms;
	double weight = (double)db_int(rows, 8);
	((repo_chunk_fn)to->fn)(to->ctx, &(struct chunk_row){ .index = (uint32_t)db_int(rows, 0),
							      .kind = (enum chunk_kind)db_int(rows, 1),
							      .state = (enum chunk_state)db_int(rows, 2),
							      .claims = db_int(rows, 3),
							      .failures = db_int(rows, 4),
							      .first_segment = db_int(rows, 5),
							      .segment_count = db_int(rows, 6),
							      .percent = weight > 0 ? 100.0 * (double)db_int(rows, 7) / weight : 0,
							      .worker = db_text(rows, 9),
							      .due_ms = db_int(rows, 10) });
}

int repo_chunks(struct repo *repo, const char *job_id, repo_chunk_fn fn, void *ctx, struct err *e)
{
	return each(repo,
		    "SELECT idx, kind, state, claims, failures, first_segment, segment_count, done_ticks, weight_ticks, worker,"
		    " due_ms FROM chunk WHERE job_id = $1 ORDER BY idx",
		    DB_PARAMS(DB_TEXT(job_id)), chunk_row, TO(fn, ctx), e);
}

static void attempt_row(void *ctx, struct db_rows *rows, int64_t now_ms)
{
	const struct to *to = ctx;
	(void)now_ms;
	((repo_attempt_fn)to->fn)(to->ctx, &(struct attempt_row){ .chunk = (uint32_t)db_int(rows, 0),
								  .claim = db_int(rows, 1),
								  .worker = db_text(rows, 2),
								  .outcome = db_text(rows, 3),
								  .code = db_text(rows, 4),
								  .message = db_text(rows, 5),
								  .log = db_text(rows, 6),
								  .ended_ms = db_int(rows, 7) });
}

int repo_attempts(struct repo *repo, const char *job_id, repo_attempt_fn fn, void *ctx, struct err *e)
{
	return each(repo,
		    "SELECT idx, claim, worker, outcome, code, message, log, ended_ms FROM attempt WHERE job_id = $1"
		    " ORDER BY idx, claim",
		    DB_PARAMS(DB_TEXT(job_id)), attempt_row, TO(fn, ctx), e);
}

/* ---- the queue ---- */

static void queue_row(void *ctx, struct db_rows *rows, int64_t now_ms)
{
	const struct to *to = ctx;
	int64_t due = db_is_null(rows, 5) ? INT64_MAX : db_int(rows, 5);
	((repo_queue_fn)to->fn)(to->ctx, &(struct queue_row){ .kind = (enum job_kind)db_int(rows, 0),
							      .jobs = db_int(rows, 1),
							      .ready = db_int(rows, 2),
							      .waiting = db_int(rows, 3),
							      .running = db_int(rows, 4),
							      .oldest_ms = due <= now_ms ? now_ms - due : -1 });
}

int repo_queue(struct repo *repo, repo_queue_fn fn, void *ctx, struct err *e)
{
	return each(repo,
		    "SELECT j.kind, COUNT(DISTINCT j.id), SUM(CASE WHEN c.state = 2 THEN 1 ELSE 0 END),"
		    " SUM(CASE WHEN c.state = 1 THEN 1 ELSE 0 END), SUM(CASE WHEN c.state = 3 THEN 1 ELSE 0 END), MIN(c.due_ms)"
		    " FROM job j JOIN chunk c ON c.job_id = j.id WHERE j." JOB_IS_OPEN " AND c.state IN (1, 2, 3)"
		    " GROUP BY j.kind ORDER BY j.kind",
		    DB_NO_PARAMS, queue_row, TO(fn, ctx), e);
}

int repo_queue_oldest(struct repo *repo, int64_t *ret_ms, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0 || (r = db_now_ms(c, &now, e)) < 0)
		return r;
	r = db_first(c, DUE_JOBS, DB_NO_PARAMS, &rows, e);
	if (r < 0)
		return r;
	*ret_ms = r == 0 || db_is_null(rows, 0) || db_int(rows, 0) > now ? -1 : now - db_int(rows, 0);
	return 0;
}

static void open_row(void *ctx, struct db_rows *rows, int64_t now_ms)
{
	int64_t *counts = ctx;
	(void)now_ms;
	if (db_int(rows, 0) >= JOB_PENDING && db_int(rows, 0) <= JOB_STREAMING)
		counts[db_int(rows, 0)] = db_int(rows, 1);
}

int repo_open_jobs(struct repo *repo, int64_t *ret_pending, int64_t *ret_processing, int64_t *ret_streaming, struct err *e)
{
	int64_t counts[JOB_STREAMING + 1] = { 0 };
	int r = each(repo, "SELECT status, COUNT(*) FROM job WHERE " JOB_IS_OPEN " AND " USERS_KINDS " GROUP BY status",
		     DB_NO_PARAMS, open_row, counts, e);
	if (r < 0)
		return r;
	*ret_pending = counts[JOB_PENDING];
	*ret_processing = counts[JOB_PROCESSING];
	*ret_streaming = counts[JOB_STREAMING];
	return 0;
}

/* ---- what became of jobs ---- */

#define ENDED_SINCE                                                                                                       \
	"(SELECT kind, status, error_code, duration_ticks, created_ms, started_ms, finished_ms FROM job"                  \
	" WHERE finished_ms > 0 AND finished_ms >= $1 AND status IN (4, 5, 6) AND " USERS_KINDS                           \
	" UNION ALL SELECT kind, status, error_code, duration_ticks, created_ms, started_ms, finished_ms FROM past_job"  \
	" WHERE finished_ms >= $1) ended"

static void outcome_row(void *ctx, struct db_rows *rows, int64_t now_ms)
{
	const struct to *to = ctx;
	(void)now_ms;
	((repo_outcome_fn)to->fn)(to->ctx, &(struct outcome_row){ .kind = (enum job_kind)db_int(rows, 0),
								  .status = (enum job_status)db_int(rows, 1),
								  .bucket = db_int(rows, 2),
								  .count = db_int(rows, 3),
								  .media_ticks = db_int(rows, 4),
								  .run_ms = db_int(rows, 5),
								  .waited_ms = db_int(rows, 6),
								  .started = db_int(rows, 7) });
}

int repo_outcomes(struct repo *repo, int64_t from_ms, int64_t bucket_ms, repo_outcome_fn fn, void *ctx, struct err *e)
{
	/* PostgreSQL's sums of BIGINT are NUMERIC. */
	return each(repo,
		    "SELECT kind, status, (finished_ms - $1) / $2 AS bucket, COUNT(*),"
		    " CAST(SUM(CASE WHEN started_ms > 0 THEN duration_ticks ELSE 0 END) AS BIGINT),"
		    " CAST(SUM(CASE WHEN started_ms > 0 THEN finished_ms - started_ms ELSE 0 END) AS BIGINT),"
		    " CAST(SUM(CASE WHEN started_ms > 0 THEN started_ms - created_ms ELSE 0 END) AS BIGINT),"
		    " SUM(CASE WHEN started_ms > 0 THEN 1 ELSE 0 END)"
		    " FROM " ENDED_SINCE " GROUP BY kind, status, bucket",
		    DB_PARAMS(DB_INT(from_ms), DB_INT(bucket_ms)), outcome_row, TO(fn, ctx), e);
}

static void failure_row(void *ctx, struct db_rows *rows, int64_t now_ms)
{
	const struct to *to = ctx;
	(void)now_ms;
	((repo_failure_fn)to->fn)(to->ctx, &(struct failure_row){ .kind = (enum job_kind)db_int(rows, 0),
								  .code = db_text(rows, 1),
								  .count = db_int(rows, 2),
								  .last_ms = db_int(rows, 3) });
}

int repo_failures(struct repo *repo, int64_t from_ms, repo_failure_fn fn, void *ctx, struct err *e)
{
	return each(repo,
		    "SELECT kind, error_code, COUNT(*) AS n, MAX(finished_ms) FROM " ENDED_SINCE
		    " WHERE status = 5 GROUP BY kind, error_code ORDER BY n DESC, error_code, kind LIMIT 50",
		    DB_PARAMS(DB_INT(from_ms)), failure_row, TO(fn, ctx), e);
}

/* ---- what is stored ---- */

static void storage_row(void *ctx, struct db_rows *rows, int64_t now_ms)
{
	const struct to *to = ctx;
	(void)now_ms;
	((repo_storage_fn)to->fn)(to->ctx, &(struct storage_row){ .kind = db_text(rows, 0),
								  .objects = db_int(rows, 1),
								  .bytes = db_is_null(rows, 2) ? -1 : db_int(rows, 2) });
}

#define SEGMENTS_OF(kind)                                                                                          \
	" COALESCE(SUM(1), 0), CAST(COALESCE(SUM(s.bytes), 0) AS BIGINT) FROM segment s JOIN job j ON j.id = s.job_id" \
	" WHERE s.committed = 1 AND j.kind = " kind

int repo_storage(struct repo *repo, repo_storage_fn fn, void *ctx, struct err *e)
{
	static const char *const sql[] = {
		"SELECT 'uploads', COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM file WHERE ready = 1",
		"SELECT 'parts', COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM upload_piece",
		"SELECT 'ladders'," SEGMENTS_OF("1"),
		"SELECT 'narrations'," SEGMENTS_OF("4"),
		"SELECT 'conversions', COUNT(*), NULL FROM job WHERE kind = 3 AND status = 4 AND removed_ms = 0",
		"SELECT 'downloads', COUNT(*), NULL FROM job WHERE kind = 4 AND download_key <> ''",
		"SELECT 'streams', COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM fragment",
		"SELECT 'speech', COUNT(*), NULL FROM speech",
		"SELECT 'doomed', COUNT(*), NULL FROM doomed_object",
	};
	int r = 0;
	for (size_t i = 0; i < MR_ARRAY_SIZE(sql) && r >= 0; i++)
		r = each(repo, sql[i], DB_NO_PARAMS, storage_row, TO(fn, ctx), e);
	return r;
}
