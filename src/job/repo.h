/* The repository: how everything above sees the rows. Implemented over SQL once for every database (job/repo_*.c); each
 * call is one conditional write, or one small transaction on the rows of one job, so that a key-value store can stand
 * behind it too.
 *
 * Time is the database's where leases are concerned. Every call may block for a short query; any thread. Values
 * returned own their strings (…_release). Calls that act for a user take the user's id and answer ERR_NOT_FOUND for
 * what is not theirs; `user_id` NULL means the system itself (worker, janitor). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"
#include "job/model.h"

struct repo;
/* Runs the migrations; the db stays the caller's and must outlive the repo. */
int repo_open(struct db *db, struct repo **ret, struct err *e) MR_MUST_USE;
void repo_close(struct repo *r);

/* ---- settings (the URL signing key, the session key…) ---- */
/* Returns the value of `name`, after storing `initial` if there was none; atomic between machines. The caller frees. */
int repo_setting_init(struct repo *r, const char *name, const char *initial, char **ret, struct err *e) MR_MUST_USE;

/* ---- files ---- */
int repo_file_create(struct repo *r, const struct file *f, struct err *e) MR_MUST_USE; /* ready = false */
struct analysis_plan;
/* Marks it ready with its size, digest and probe, and makes its analysis (NULL: none). ERR_NOT_FOUND if it was deleted
 * meanwhile. */
int repo_file_ready(struct repo *r, const char *id, uint64_t size, const char *sha256, const char *probe_json,
		    const struct analysis_plan *analysis, struct err *e) MR_MUST_USE;
int repo_file_get(struct repo *r, const char *user_id, const char *id, struct file *ret, struct err *e) MR_MUST_USE;
/* Those that are ready, newest first; `cursor` NULL or what the last call gave; *ret_cursor is "" at the end. Rows are
 * given to fn, which borrows. `named`: of a user's those alone whose name has this in it, a–z in either case; NULL:
 * all. */
typedef void (*repo_file_fn)(void *ctx, const struct file *f);
int repo_file_list(struct repo *r, const char *user_id, const char *named, uint32_t limit, const char *cursor, repo_file_fn fn,
		   void *ctx, char ret_cursor[64], struct err *e) MR_MUST_USE;
/* ERR_CONFLICT (FILE_IN_USE) while a job that is not final reads it, other than its analysis, which ends. Removes the row;
 * the caller deletes the object and what lies below key_analysis_prefix or leaves it to the janitor: *ret_key (freed by the
 * caller) tells which object. */
int repo_file_delete(struct repo *r, const char *user_id, const char *id, char **ret_key, struct err *e) MR_MUST_USE;
/* What repo_file_delete left of a file are its objects (of an upload its pieces). Their keys are remembered until somebody says
 * that they are gone, so that a crash in between leaves nothing behind for ever. A key that ends in '/' stands for all below
 * it. By-products' keys stay for a minute where an analysis was running, which may not have noticed yet: until then
 * repo_object_gone changes nothing. */
typedef void (*repo_key_fn)(void *ctx, const char *key);
int repo_objects_doomed(struct repo *r, uint32_t limit, repo_key_fn fn, void *ctx, struct err *e) MR_MUST_USE;
int repo_object_gone(struct repo *r, const char *key, struct err *e) MR_MUST_USE;
/* Files that never got ready and were last touched before now - age_ms. */
int repo_file_stale(struct repo *r, int64_t age_ms, uint32_t limit, repo_file_fn fn, void *ctx,
		    struct err *e) MR_MUST_USE;

/* ---- resumable uploads ----
 *
 * A file that isn't ready, and the pieces of it that have arrived, in order: each an object under key_upload_pieces.
 *
 *   create → (take → extend…)… → join_claim → pieces → joined
 *
 * Whoever takes an upload last is its writer: what an earlier one still wants to add is refused, so a connection that
 * hangs locks nobody out. */
struct resumable {
	char id[UUID_SIZE]; /* of the upload and its file */
	char user_id[USER_ID_MAX + 1];
	char *name, *content_type; /* of the file */
	char *key;      /* of the file's object */
	char *metadata; /* as the client sent it */
	/* Of a direct upload, which has parts in the store in place of pieces; "" and 0: it comes through a server. */
	char *multipart_id;
	uint64_t part_bytes; /* of every part but the last */
	uint64_t length, offset;
	bool joined;	    /* its file is ready */
	int64_t updated_ms; /* of the last piece */
};
void resumable_release(struct resumable *u);
struct upload_piece {
	char *key;
	uint64_t bytes;
};
void upload_pieces_free(struct upload_piece *pieces, uint32_t count);

/* The file's row (ready = false) and the upload's. */
int repo_upload_create(struct repo *r, const struct file *f, uint64_t length, const char *metadata,
		       struct err *e) MR_MUST_USE;
/* The same of a direct upload. */
int repo_upload_create_direct(struct repo *r, const struct file *f, uint64_t length, const char *multipart_id,
			      uint64_t part_bytes, struct err *e) MR_MUST_USE;
/* All parts of a direct upload are there: from now on it waits to be joined. ERR_NOT_FOUND: it was deleted. */
int repo_upload_arrived(struct repo *r, const char *id, struct err *e) MR_MUST_USE;
int repo_upload_get(struct repo *r, const char *user_id, const char *id, struct resumable *ret,
		    struct err *e) MR_MUST_USE;
/* `writer` (unique to this request) becomes the one that may extend, unless all is there. ERR_CONFLICT code
 * OFFSET_MISMATCH: not at `offset`. */
int repo_upload_take(struct repo *r, const char *id, const char *writer, uint64_t offset, struct err *e) MR_MUST_USE;
/* Adds stored pieces behind the others, all or none. ERR_LOST: there is another writer by now. */
int repo_upload_extend(struct repo *r, const char *id, const char *writer, const struct upload_piece *pieces,
		       uint32_t count, struct err *e) MR_MUST_USE;
/* Upload `id` (NULL: any that has been left alone for seconds, its lease run out), complete but not joined, to be joined by the
 * caller within lease_ms; called again it prolongs. ERR_NOT_FOUND: there is none. ERR_BUSY: somebody else is at it (only with
 * `id`). `joiner` names the caller. */
int repo_upload_join_claim(struct repo *r, const char *id, const char *joiner, int64_t lease_ms, struct resumable *ret,
			   struct err *e) MR_MUST_USE;
int repo_upload_pieces(struct repo *r, const char *id, struct upload_piece **ret, uint32_t *ret_count,
		       struct err *e) MR_MUST_USE;
/* The file is ready; the pieces are doomed. ERR_NOT_FOUND: it was deleted meanwhile. ERR_LOST: another joiner has taken
 * it over. */
int repo_upload_joined(struct repo *r, const char *id, const char *joiner, const char *sha256, const char *probe_json,
		       const struct analysis_plan *analysis, struct err *e) MR_MUST_USE;

/* ---- jobs ---- */
struct job_new {
	char id[UUID_SIZE];
	const char *user_id;
	enum job_kind kind;
	const char *file_id; /* "" in one-shot runs */
	const char *source_key;
	uint64_t source_bytes;
	const char *source_name; /* NULL: none */
	const char *prefix;
	const char *params_json;
	struct job_plan plan;
	int64_t expires_ms;
	int64_t grace_ms; /* of a download */
	const char *idempotency_key; /* NULL: none */
	const char *request_hash;    /* with a key: a repeat must be the same request, else ERR_CONFLICT
					IDEMPOTENCY_KEY_REUSED */
};
/* Job, renditions, planned segments and chunks (those that wait for the others too) in one transaction. With an idempotency
 * key (unique per user, kept 24 h) a repeat gives the first job and *ret_existing = true. ERR_NOT_FOUND: file_id isn't
 * the user's; ERR_CONFLICT code FILE_NOT_READY. */
int repo_job_create(struct repo *r, const struct job_new *n, struct job *ret, bool *ret_existing,
		    struct err *e) MR_MUST_USE;
/* What such a repeat would give, whatever has become of the file meanwhile; ERR_NOT_FOUND: the key is new. */
int repo_job_earlier(struct repo *r, const char *user_id, const char *key, const char *request_hash, struct job *ret,
		     struct err *e) MR_MUST_USE;
int repo_job_get(struct repo *r, const char *user_id, const char *id, struct job *ret, struct err *e) MR_MUST_USE;
struct job_filter {
	const char *user_id;
	int status;		/* 0: any (deleting never) */
	int kind;		/* 0: any */
	int64_t after_revision; /* > 0: only jobs with a higher revision, in rising order (for Last-Event-ID) */
	const char *file_id;	/* NULL: any */
};
typedef void (*repo_job_fn)(void *ctx, const struct job *j);
int repo_job_list(struct repo *r, const struct job_filter *f, uint32_t limit, const char *cursor, repo_job_fn fn,
		  void *ctx, char ret_cursor[64], struct err *e) MR_MUST_USE;
/* pending|processing|streaming → canceled, its open chunks too. ERR_CONFLICT if it is final. */
int repo_job_cancel(struct repo *r, const char *user_id, const char *id, struct job *ret, struct err *e) MR_MUST_USE;
/* failed → pending (chunks that failed or were canceled → ready, failures 0). ERR_CONFLICT otherwise, and (FILE_GONE)
 * where the source was deleted since. */
int repo_job_retry(struct repo *r, const char *user_id, const char *id, struct job *ret, struct err *e) MR_MUST_USE;
/* A final job → deleting: nobody sees it any more; the janitor removes its objects, then its rows. */
int repo_job_delete(struct repo *r, const char *user_id, const char *id, struct err *e) MR_MUST_USE;
/* Marks expired final jobs as deleting, then lists deleting ones. */
int repo_job_doomed(struct repo *r, uint32_t limit, repo_job_fn fn, void *ctx, struct err *e) MR_MUST_USE;
int repo_job_purge(struct repo *r, const char *id, struct err *e) MR_MUST_USE;

/* The newest revision: what is asked after this call has seen every change up to it. */
int repo_revision(struct repo *r, int64_t *ret, struct err *e) MR_MUST_USE;
struct job_deletion {
	char job_id[UUID_SIZE];
	int64_t revision;
};
/* The user's jobs that were deleted or expired behind that revision, in rising order; they are remembered for an hour. */
int repo_job_deletions(struct repo *r, const char *user_id, int64_t after_revision, struct job_deletion *out,
		       uint32_t max, uint32_t *ret_count, struct err *e) MR_MUST_USE;

int repo_renditions(struct repo *r, const char *job_id, struct rendition ret[RENDITIONS_MAX], uint32_t *ret_count,
		    struct err *e) MR_MUST_USE;
/* Segments of one rendition from `first`, at most `count` (committed or planned), by index; the caller frees the array. */
int repo_segments(struct repo *r, const char *job_id, uint32_t rendition, uint32_t first, uint32_t count,
		  struct segment **ret, uint32_t *ret_count, struct err *e) MR_MUST_USE;

/* ---- work ---- */
/* What a thread works on: jobs, what is only done while no chunk of a job can be claimed, or narrations and short conversions
 * (a minute of sound at most) alone, which then never wait for what is long. */
enum work_class { WORK_JOBS = 0, WORK_BACKGROUND, WORK_SHORT, WORK_CLASSES };
/* Kinds of job that nothing is to be claimed of, as bits. */
#define WITHOUT_KIND(kind) (UINT32_C(1) << (kind))
/* The next chunk that is ready (not before its back-off) or whose lease ran out; ERR_NOT_FOUND: nothing to do. Moves a
 * pending job to processing (streaming, where a retried one shows segments already). Order: users take turns, then the
 * user's jobs (a new one first), where little work is left a little earlier; then chunks by index: job/repo_work.c.
 * `without`: WITHOUT_KIND; no analysis is left out. */
int repo_claim(struct repo *r, enum work_class class, uint32_t without, const char *worker_id, int64_t lease_ms,
	       struct claim *ret, struct err *e) MR_MUST_USE;
/* How far a job was at a revision; it goes to other processes as a hint (bus/bus.h). */
struct job_progress {
	int64_t revision; /* 0: nothing has moved */
	enum job_status status;
	double percent;
	char stage[24];
};
/* Prolongs the lease and stores the progress of the chunk (never falling) and of its job. ERR_LOST: stop, it is not
 * yours; ERR_CANCELED: the job was canceled or failed. `ret` may be NULL. */
int repo_heartbeat(struct repo *r, const struct claim *c, int64_t done_ticks, struct job_progress *ret,
		   struct err *e) MR_MUST_USE;
/* The init segment of a rendition: the first commit sets it; a later one must be equal, else ERR_MEDIA code
 * INIT_MISMATCH. Fenced. */
int repo_commit_init(struct repo *r, const struct claim *c, uint32_t rendition, const char *codecs, uint64_t bytes,
		     const char *sha256, struct err *e) MR_MUST_USE;
/* A stored and verified segment; resets the chunk's failures. Beyond the plan it adds rows (open end). Committing again
 * what is committed with the same digest is no error; a different digest is ERR_INTERNAL code NOT_REPRODUCIBLE. Fenced. */
int repo_commit_segment(struct repo *r, const struct claim *c, const struct segment *s, struct err *e) MR_MUST_USE;
/* The chunk is done. If the source ended before the plan: next_segment < planned end removes the planned rows from
 * there on (of all renditions), and chunks that lie wholly behind become done. When all media chunks are done, the
 * finish chunk is ready. */
int repo_chunk_done(struct repo *r, const struct claim *c, uint32_t next_segment, struct err *e) MR_MUST_USE;
/* A failure of its own: back to ready after a back-off, or for good (the job fails with this error): when it isn't
 * retriable, or after CHUNK_FAILURES_MAX. *ret_final tells. */
int repo_chunk_failed(struct repo *r, const struct claim *c, const struct err *why, bool *ret_final,
		      struct err *e) MR_MUST_USE;
/* Gives the claim back: stopped or lost, not a failure. */
int repo_chunk_release(struct repo *r, const struct claim *c, struct err *e) MR_MUST_USE;
/* What became of a claim whose chunk isn't done, for who looks into it later (job/figures.h): "failed", "released" or "dropped";
 * and lines of the log, each ended. Those that end without a word are "lost", by themselves. Not fenced; of a chunk the last 20
 * stay. */
int repo_attempt_note(struct repo *r, const struct claim *c, const char *outcome, const struct err *why, const char *log,
		      struct err *e) MR_MUST_USE;
/* Gives back everything that `worker_id`-s for which `gone` says true still hold (a restarted process does not wait for
 * leases). */
int repo_release_workers(struct repo *r, bool (*gone)(void *ctx, const char *worker_id), void *ctx, uint32_t *ret_count,
			 struct err *e) MR_MUST_USE;
/* The soonest time (ms from now) at which a claim may succeed without a hint: back-off ends or leases. -1: nothing is
 * open. */
int repo_next_due(struct repo *r, enum work_class class, int64_t *ret_ms, struct err *e) MR_MUST_USE;
/* The same of every class, by one query: what an idle process asks for all its threads. `without` as repo_claim's. */
int repo_next_dues(struct repo *r, uint32_t without, int64_t ret_ms[WORK_CLASSES], struct err *e) MR_MUST_USE;

/* Whether a janitor has anything to do, by one query each: claims that may be a dead process's, playlists that lag, uploads that
 * wait to be joined; and what has expired or was deleted. */
int repo_chores_soon(struct repo *r, bool *ret, struct err *e) MR_MUST_USE;
struct chore_ages {
	int64_t upload_ms, speech_ms; /* as repo_file_stale's and repo_speech_expire's */
};
int repo_chores_late(struct repo *r, const struct chore_ages *ages, bool *ret, struct err *e) MR_MUST_USE;

/* An analysis is over, well or not: the file's row says so, and the job is gone. Fenced. (repo_chunk_failed does the same
 * with a failure that is final.) */
int repo_analysis_done(struct repo *r, const struct claim *c, enum analysis_state state, const char *json,
		       struct err *e) MR_MUST_USE;

/* ---- conversions ---- */
/* A chunk that measures or converts is done, and later ones can read what it found (job/convert_json.h). Fenced. */
int repo_step_done(struct repo *r, const struct claim *c, const char *result_json, struct err *e) MR_MUST_USE;
struct step_result {
	uint32_t chunk;
	char *json;
};
/* Of the job's chunks of that kind that are done, by index; freed with step_results_free. */
int repo_step_results(struct repo *r, const char *job_id, enum chunk_kind kind, struct step_result **ret,
		      uint32_t *ret_count, struct err *e) MR_MUST_USE;
void step_results_free(struct step_result *list, uint32_t count);
/* The file is stored: the job is completed, its parts are doomed. Fenced by the join's claim. */
int repo_convert_complete(struct repo *r, const struct claim *c, const char *result_json, struct err *e) MR_MUST_USE;
/* The file was fetched and is doomed; the job stays. ERR_CONFLICT: there is none. */
int repo_result_remove(struct repo *r, const char *user_id, const char *id, struct err *e) MR_MUST_USE;

/* ---- spoken sentences ---- */
/* These objects (key_speech) may be there from now on, and are wanted now: called before any of them is stored. */
int repo_speech_use(struct repo *r, const char *const *keys, uint32_t count, struct err *e) MR_MUST_USE;
/* Those that nobody wanted for so long are forgotten and doomed, at most `limit`. */
int repo_speech_expire(struct repo *r, int64_t age_ms, uint32_t limit, struct err *e) MR_MUST_USE;

/* ---- narrations ---- */
/* The job that makes the completed narration's MP3: the one that there is, or `n` (kind JOB_DOWNLOAD, prefix: the file's key). One
 * that failed is replaced, if it is to be made `again`. ERR_CONFLICT with NOT_COMPLETED; ERR_GONE with STREAM_REMOVED. */
int repo_download_start(struct repo *r, const char *user_id, const char *narration_id, const struct job_new *n, bool again,
			struct job *ret,
			struct err *e) MR_MUST_USE;

/* ---- publishing ---- */
/* Advances visible_segments to the longest prefix that is committed in every rendition, if it grew and at least
 * `min_interval_ms` passed since the last advance (or it is the first, or `flush`). The first makes a job streaming.
 * *ret_changed tells; *ret_wait_ms: when to try again if it was too early, else -1. */
int repo_advance(struct repo *r, const char *job_id, int64_t min_interval_ms, bool flush, bool *ret_changed,
		 int64_t *ret_wait_ms, struct err *e) MR_MUST_USE;
/* The stored playlists list this many now (only rises). */
int repo_published(struct repo *r, const char *job_id, uint32_t segments, struct err *e) MR_MUST_USE;
/* Writes the measured bit rates of a rendition. Fenced by the finish chunk's claim. */
struct measured {
	uint64_t peak_bps, average_bps;
	uint64_t iframe_peak_bps, iframe_average_bps; /* 0 without I-frames */
};
int repo_measured(struct repo *r, const struct claim *c, uint32_t rendition, const struct measured *m,
		  struct err *e) MR_MUST_USE;
/* Playlists end: ended = true, all segments visible. Then repo_job_complete after the final playlists are stored.
 * Fenced. */
int repo_job_end(struct repo *r, const struct claim *c, struct err *e) MR_MUST_USE;
int repo_job_complete(struct repo *r, const struct claim *c, struct err *e) MR_MUST_USE;
/* Jobs that are being made and whose visible or published segments lag behind what is committed. */
int repo_job_lagging(struct repo *r, uint32_t limit, repo_job_fn fn, void *ctx, struct err *e) MR_MUST_USE;
