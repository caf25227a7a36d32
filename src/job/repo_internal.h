/* What the repository's files share. Private to job/repo*.c.
 *
 * Rules of their transactions: rows are locked by the statement that reads them, an UPDATE or a SELECT with DB_LOCK, in the order
 * chunk, job, counter (who has to do otherwise, as a cancel, may meet a deadlock and is run again); what a
 * user sees changes together with the job's revision (repo_revise, at the end); SQL is the common part of SQLite and
 * PostgreSQL. In a callback of repo_transact `e` is never NULL, and outputs go into its context, whole again on each
 * run. */
#pragma once

#include "db/db.h"
#include "job/policy.h"
#include "job/repo.h"

struct repo {
	struct db *db;
};

/* Constants of SQL texts: partial indices are used only where the text says exactly this. */
#define JOB_IS_OPEN "status <= 3"
/* Of a job: fewer segments are visible, or published, than are committed. */
#define JOB_LAGS                                                                                                               \
	JOB_IS_OPEN " AND status >= 2"                                                                                         \
		    " AND (published_segments < visible_segments OR (visible_segments <"                                       \
		    "  COALESCE((SELECT MIN(s.idx) FROM segment s WHERE s.job_id = job.id AND s.committed = 0), segment_count)" \
		    "  AND NOT EXISTS (SELECT 1 FROM rendition x WHERE x.job_id = job.id AND x.init_committed = 0)))"
/* When the next chunk of anything but an analysis is to be worked at. */
#define DUE_JOBS "SELECT MIN(due_ms) FROM chunk WHERE due_ms IS NOT NULL AND kind <> 3"
/* Of an upload: all of it is there, but nobody joins it. For its first seconds it is for the request that brought the last byte,
 * whose client is waiting to hear what the file is. $1: now. */
#define UPLOAD_WAITS \
	"joined = 0 AND offset_bytes = length AND join_due_ms < $1" \
	" AND EXISTS (SELECT 1 FROM file WHERE file.id = upload.id AND file.updated_ms < $1 - 5000)"
_Static_assert(JOB_PENDING == 1 && JOB_PROCESSING == 2 && JOB_STREAMING == 3, "SQL says the same");
_Static_assert(JOB_COMPLETED == 4 && JOB_FAILED == 5 && JOB_CANCELED == 6 && JOB_DELETING == 7, "SQL says the same");
_Static_assert(CHUNK_WAITING == 1 && CHUNK_READY == 2 && CHUNK_RUNNING == 3, "SQL says the same");
_Static_assert(CHUNK_DONE == 4 && CHUNK_FAILED == 5 && CHUNK_CANCELED == 6, "SQL says the same");
_Static_assert(CHUNK_LADDER == 1 && CHUNK_FINISH == 2 && CHUNK_ANALYZE == 3, "SQL says the same");
_Static_assert(CHUNK_MEASURE == 4 && CHUNK_CONVERT == 5 && CHUNK_JOIN == 6, "SQL says the same");
_Static_assert(JOB_ANALYZE == 2 && JOB_CONVERT == 3 && JOB_NARRATION == 4 && JOB_DOWNLOAD == 5, "SQL says the same");

#define REPO_LIST_MAX 1000 /* rows that one call gives */
#define IDEMPOTENCY_KEPT_MS (24 * 3600 * (int64_t)1000)
#define DELETION_KEPT_MS (3600 * (int64_t)1000)
#define PAST_KEPT_MS (8 * 24 * 3600 * (int64_t)1000) /* figures show a week */

/* Attempts (repo_attempt.c), within a transaction: all that a worker which is gone still holds; and the one before a claim that was
 * just made, unless it is noted. */
int repo_attempts_lost(struct db_conn *c, const char *worker_id, int64_t now_ms, struct err *e) MR_MUST_USE;
int repo_attempt_before(struct db_conn *c, const struct chunk *claimed, int64_t now_ms, struct err *e) MR_MUST_USE;

/* db_transact with the operation's name as a clause of the error. */
int repo_transact(struct repo *r, const char *what, db_tx_fn fn, void *ctx, struct err *e) MR_MUST_USE;

/* ---- rows and values (repo_row.c) ---- */

#define JOB_COLUMNS                                                                                             \
	"id, user_id, kind, status, params_json, file_id, source_key, source_bytes, prefix, spec_json,"         \
	" duration_ticks, segment_count, target_duration_s, rendition_count, visible_segments,"                 \
	" published_segments, ended, percent, speed, eta_seconds, stage, generation_attempt, error_code,"       \
	" error_message, error_retriable, created_ms, updated_ms, started_ms, streaming_ms, finished_ms,"       \
	" expires_ms, revision, source_name, result_json, removed_ms, download_key, stream_until_ms,"           \
	" parent_id, grace_ms"
void repo_job_row(struct db_rows *rows, struct job *ret);

#define FILE_COLUMNS                                                                                                    \
	"id, user_id, name, content_type, object_key, size_bytes, sha256, ready, probe_json, created_ms, updated_ms," \
	" analysis_state, analysis_json"
void repo_file_row(struct db_rows *rows, struct file *ret);

#define CHUNK_COLUMNS \
	"job_id, idx, kind, first_segment, segment_count, is_last, state, claims, failures, weight_ticks, done_ticks"
void repo_chunk_row(struct db_rows *rows, struct chunk *ret);

/* Copies a column's text into a fixed array; NULL becomes "". */
void repo_copy_text(struct db_rows *rows, int column, char *out, size_t size);

/* Where a list goes on: after the row with this number and id. `order` names the list's order, so that the cursor of
 * one isn't taken for another's. */
void repo_cursor_format(char order, int64_t number, const char *id, char out[64]);
int repo_cursor_parse(const char *cursor, char order, int64_t *ret_number, char ret_id[UUID_SIZE],
		      struct err *e) MR_MUST_USE;

/* Rows are gathered before they are handed out, so that a callback may use the repository again. */
struct job_rows {
	struct job *items;
	uint32_t count;
};
int repo_job_rows(struct repo *repo, const char *sql, const struct db_params *params, struct job_rows *ret,
		  struct err *e) MR_MUST_USE;
void repo_job_rows_release(struct job_rows *rows);
#define _cleanup_job_rows_ MR_CLEANUP(repo_job_rows_release)
/* The same, handed out at once. */
int repo_job_each(struct repo *repo, const char *sql, const struct db_params *params, repo_job_fn fn, void *ctx,
		  struct err *e) MR_MUST_USE;

/* ---- parts of transactions (repo_file.c) ---- */

/* A file's row, not ready. */
int repo_file_insert(struct db_conn *c, const struct file *f, struct err *e) MR_MUST_USE;
/* ERR_NOT_FOUND if it was deleted meanwhile. */
int repo_file_make_ready(struct db_conn *c, const char *id, uint64_t size, const char *sha256, const char *probe_json,
			 const struct analysis_plan *analysis, struct err *e) MR_MUST_USE;
/* For so long somebody who doesn't know yet that a file was deleted or a job has ended may store objects of it. */
#define DOOMED_LATER_MS 60000
/* The object's row goes with this transaction; the object itself soon after: repo_objects_doomed. */
int repo_object_doom(struct db_conn *c, const char *key, struct err *e) MR_MUST_USE;
/* Not before a time. */
int repo_object_doom_at(struct db_conn *c, const char *key, int64_t due_ms, struct err *e) MR_MUST_USE;

/* ---- parts of transactions (repo.c) ---- */

/* The job as it is; ERR_NOT_FOUND if there is none, it is being deleted, or it belongs to another (user_id NULL:
 * anybody's). */
int repo_job_load(struct db_conn *c, const char *user_id, const char *id, struct job *ret, struct err *e) MR_MUST_USE;
/* The same, and nobody else changes it until the transaction ends. */
int repo_job_lock(struct db_conn *c, const char *user_id, const char *id, struct job *ret, struct err *e) MR_MUST_USE;
/* Gives the job the next revision and updated_ms. */
int repo_revise(struct db_conn *c, const char *job_id, int64_t now_ms, struct err *e) MR_MUST_USE;

/* The first statement of everything that a worker writes: the claim must still hold, and is prolonged by its lease.
 * ERR_CANCELED: the job was canceled or failed; ERR_LOST: the chunk has moved on. A lease that ran out is still its
 * holder's as long as nobody else has claimed the chunk. */
struct fence {
	int64_t now_ms;
	struct chunk chunk;
};
int repo_fence(struct db_conn *c, const struct claim *claim, struct fence *ret, struct err *e) MR_MUST_USE;
/* The same, for the finish chunk's operations alone. */
int repo_fence_finish(struct db_conn *c, const struct claim *claim, struct fence *ret, struct err *e) MR_MUST_USE;
/* Adds finished work to the job and shows it: percent, speed, what remains. `ret` may be NULL. */
int repo_progress(struct db_conn *c, const char *job_id, int64_t now_ms, int64_t added_ticks, struct job_progress *ret,
		  struct err *e) MR_MUST_USE;
/* "encoding": what a job's stage is called while chunks of this kind run. */
const char *repo_stage_of(enum chunk_kind kind);
/* A running or waiting chunk of the job becomes canceled; what is done stays done. */
int repo_cancel_chunks(struct db_conn *c, const char *job_id, struct err *e) MR_MUST_USE;
/* Once no chunk of the (open) job is ready or running, those of the lowest kind that waits become ready, the finishing
 * step last. */
int repo_open_next(struct db_conn *c, const char *job_id, int64_t now_ms, struct err *e) MR_MUST_USE;
/* A conversion's parts are to be removed at that time: all was put together. No other kind of job has any. */
int repo_parts_doom(struct db_conn *c, const struct job *j, int64_t due_ms, struct err *e) MR_MUST_USE;
/* The same where somebody may still be making some: a little later. */
int repo_parts_abandon(struct db_conn *c, const struct job *j, int64_t now_ms, struct err *e) MR_MUST_USE;
/* A narration's attempt has failed, and there will be another. */
int repo_narration_again(struct db_conn *c, const char *job_id, int64_t now_ms, struct err *e) MR_MUST_USE;
/* A narration has failed, and nothing of it is kept: its segments aren't there any more, and all of its chunks are to be done
 * again. What is stored below its prefix is doomed a little later; whoever failed it removes it at once (worker/leftovers.h). */
int repo_narration_failed(struct db_conn *c, const struct job *j, int64_t now_ms, struct err *e) MR_MUST_USE;
/* One that failed begins again, below another prefix. */
int repo_narration_afresh(struct db_conn *c, const struct job *j, struct err *e) MR_MUST_USE;
/* All of its segments are there: its length isn't an estimate any more. */
int repo_narration_length(struct db_conn *c, const char *job_id, struct err *e) MR_MUST_USE;
/* The MP3 is there: with the download's last write. */
int repo_download_done(struct db_conn *c, const struct job *download, int64_t now_ms, struct err *e) MR_MUST_USE;
/* A narration is being deleted, and what makes its MP3 with it. */
int repo_download_drop(struct db_conn *c, const char *narration_id, struct err *e) MR_MUST_USE;
/* A claim as part of a transaction. */
int repo_claim_within(struct db_conn *c, const char *worker_id, int64_t lease_ms, struct claim *ret, struct err *e) MR_MUST_USE;
/* The job is being deleted: it is remembered for figures (repo_history.c). */
int repo_past_insert(struct db_conn *c, const char *job_id, struct err *e) MR_MUST_USE;
/* Writes down a new job with its plan. */
int repo_job_insert(struct db_conn *c, const struct job_new *n, int64_t now_ms, struct err *e) MR_MUST_USE;
/* The last write of an analysis: its job goes, its result stays with the file. */
int repo_analysis_end(struct db_conn *c, const char *job_id, const char *file_id, enum analysis_state state,
		      const char *json, int64_t now_ms, struct err *e) MR_MUST_USE;
/* A file's analysis and what was made by it go with the file: the job now, the objects by the list of doomed ones. */
int repo_analysis_drop(struct db_conn *c, const char *user_id, const char *file_id, int64_t now_ms,
		       struct err *e) MR_MUST_USE;
/* How many segments from the first on are committed in every rendition, with their init segments; the job's row is at
 * hand. */
int repo_committed_prefix(struct db_conn *c, const struct job *j, uint32_t *ret, struct err *e) MR_MUST_USE;
