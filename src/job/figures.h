/* What people who run the product see of its rows: processes, the queue, what became of jobs, how much is stored. Reads only, but
 * for a process's own row; any thread.
 *
 *   repo_worker_beat(repo, &row, e);                                  // every ten seconds
 *   repo_outcomes(repo, now - 3600000, 60000, on_outcome, ctx, e);    // the last hour by the minute
 *
 * Callbacks run while the rows are being read: they must not use the repository. Times are the database's. Nothing here is on the
 * way of a claim. Jobs that were deleted or have expired count on for eight days (sql/0016). */
#pragma once

#include "job/repo.h"

/* A process that was silent for so long counts as gone, and its row is removed after the longer time. */
#define WORKER_SILENT_MS 45000
#define WORKER_KEPT_MS (600 * INT64_C(1000))

/* The database's clock. */
int repo_now(struct repo *r, int64_t *ret_ms, struct err *e) MR_MUST_USE;

/* ---- processes ---- */

struct worker_row {
	const char *id; /* as claims name it: worker/identity.h */
	const char *host, *role, *version;
	int64_t pid;
	int64_t slots;
	int64_t started_ms, seen_ms;
	const char *report_json;
};
/* Makes or renews the row; started_ms and seen_ms are the database's (started_ms: of the first call). */
int repo_worker_beat(struct repo *r, const struct worker_row *w, struct err *e) MR_MUST_USE;
int repo_worker_leave(struct repo *r, const char *id, struct err *e) MR_MUST_USE;
typedef void (*repo_worker_fn)(void *ctx, const struct worker_row *w, int64_t now_ms);
int repo_worker_list(struct repo *r, repo_worker_fn fn, void *ctx, struct err *e) MR_MUST_USE;
/* Takes away the row of a process that is gone: *ret_mine says that this call has done it. `silent_ms` > 0: unless it was seen
 * since. */
int repo_worker_forget(struct repo *r, const char *id, int64_t silent_ms, bool *ret_mine, struct err *e) MR_MUST_USE;

/* Chunks that are being worked at. */
struct running_row {
	const char *worker, *job_id, *user_id;
	enum job_kind kind;
	enum chunk_kind chunk_kind;
	uint32_t chunk;
	double percent;
};
typedef void (*repo_running_fn)(void *ctx, const struct running_row *row);
int repo_running(struct repo *r, repo_running_fn fn, void *ctx, struct err *e) MR_MUST_USE;

/* ---- the queue ---- */

/* Of open jobs of one kind, analyses and what makes MP3s included. */
struct queue_row {
	enum job_kind kind;
	int64_t jobs, ready, waiting, running; /* waiting: for others of the job */
	int64_t oldest_ms; /* how long the chunk has waited that could be claimed first; -1: none can be */
};
typedef void (*repo_queue_fn)(void *ctx, const struct queue_row *row);
int repo_queue(struct repo *r, repo_queue_fn fn, void *ctx, struct err *e) MR_MUST_USE;
/* The longest of these alone: one look at an index. -1: none waits. */
int repo_queue_oldest(struct repo *r, int64_t *ret_ms, struct err *e) MR_MUST_USE;
/* Users' open jobs by status. */
int repo_open_jobs(struct repo *r, int64_t *ret_pending, int64_t *ret_processing, int64_t *ret_streaming,
		   struct err *e) MR_MUST_USE;

/* ---- what became of jobs ---- */

/* Users' jobs of one kind that ended alike in one stretch of time. Sums. */
struct outcome_row {
	enum job_kind kind;
	enum job_status status;
	int64_t bucket; /* (finished - from) / bucket_ms */
	int64_t count;
	int64_t media_ticks, run_ms, waited_ms; /* of those that were begun: their length, from first claim to end, before that */
	int64_t started; /* how many of them were */
};
typedef void (*repo_outcome_fn)(void *ctx, const struct outcome_row *row);
int repo_outcomes(struct repo *r, int64_t from_ms, int64_t bucket_ms, repo_outcome_fn fn, void *ctx, struct err *e) MR_MUST_USE;

struct failure_row {
	enum job_kind kind;
	const char *code;
	int64_t count, last_ms;
};
typedef void (*repo_failure_fn)(void *ctx, const struct failure_row *row);
int repo_failures(struct repo *r, int64_t from_ms, repo_failure_fn fn, void *ctx, struct err *e) MR_MUST_USE;

/* ---- lists of jobs ---- */

/* Users' open jobs, the oldest first. */
struct active_row {
	const struct job *job;
	int64_t ready, waiting, running, done, failures; /* chunks; failures: theirs since their last commit */
	int64_t waiting_ms; /* as queue_row's oldest_ms */
};
typedef void (*repo_active_fn)(void *ctx, const struct active_row *row);
int repo_active(struct repo *r, uint32_t limit, repo_active_fn fn, void *ctx, struct err *e) MR_MUST_USE;

/* A job's chunks as their rows are, by index. */
struct chunk_row {
	uint32_t index;
	enum chunk_kind kind;
	enum chunk_state state;
	int64_t claims, failures, first_segment, segment_count;
	double percent;
	const char *worker; /* "": nobody's */
	int64_t due_ms;	    /* 0: it isn't to be claimed */
};
typedef void (*repo_chunk_fn)(void *ctx, const struct chunk_row *row);
int repo_chunks(struct repo *r, const char *job_id, repo_chunk_fn fn, void *ctx, struct err *e) MR_MUST_USE;

/* A job's claims that didn't end with their chunk's being done, by chunk and claim. */
struct attempt_row {
	uint32_t chunk;
	int64_t claim;	     /* the chunk's nth */
	const char *worker;  /* "": nobody knows any more */
	const char *outcome; /* "failed": counted; "released": given back, not its fault; "dropped": too late, it was another's;
				"lost": its process ended, or was silent for longer than its lease */
	const char *code, *message; /* "": none is known */
	const char *log;     /* lines, each ended */
	int64_t ended_ms;
};
typedef void (*repo_attempt_fn)(void *ctx, const struct attempt_row *row);
int repo_attempts(struct repo *r, const char *job_id, repo_attempt_fn fn, void *ctx, struct err *e) MR_MUST_USE;

struct history_filter {
	int status, kind;      /* 0: any */
	const char *user_id;   /* NULL: any, as the next */
	const char *code;      /* of the error */
};
struct history_row {
	const char *id, *user_id, *source_name, *error_code, *error_message; /* NULL: gone with the job, or there is none */
	enum job_kind kind;
	enum job_status status;
	int64_t source_bytes, duration_ticks, generation_attempt, created_ms, started_ms, streaming_ms, finished_ms;
	bool deleted;
};
typedef void (*repo_history_fn)(void *ctx, const struct history_row *row);
/* Ended jobs, what ended last first; cursors as repo_job_list. */
int repo_history(struct repo *r, const struct history_filter *f, uint32_t limit, const char *cursor, repo_history_fn fn,
		 void *ctx, char ret_cursor[64], struct err *e) MR_MUST_USE;

/* ---- what is stored, as rows say ---- */

struct storage_row {
	const char *kind;
	int64_t objects, bytes; /* bytes -1: no row knows */
};
typedef void (*repo_storage_fn)(void *ctx, const struct storage_row *row);
/* Looks at all rows of files, segments and fragments: tenths of a second where there are millions. */
int repo_storage(struct repo *r, repo_storage_fn fn, void *ctx, struct err *e) MR_MUST_USE;
