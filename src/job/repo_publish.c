/* The repository's publishing: how many segments everybody sees, and the job's end. Also the rows that playlists are
 * made of. Server and worker process.
 *
 * visible_segments is the one number that all renditions share, so they grow in lock-step. It rises only, and never
 * beyond what is committed in every rendition (init segments included).
 */
#include <stdlib.h>
#include <string.h>

#include "job/iframes.h"
#include "job/repo_internal.h"

/* ---- rows ---- */

int repo_renditions(struct repo *repo, const char *job_id, struct rendition ret[RENDITIONS_MAX], uint32_t *ret_count,
		    struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0)
		return r;
	r = db_query(c,
		     "SELECT idx, kind, name, width, height, frame_rate_milli, channels, language, timescale,"
		     " declared_bps, peak_bps, average_bps, init_committed, codecs, init_bytes, init_sha256,"
		     " has_iframes, iframe_peak_bps, iframe_average_bps, label, is_default, forced, commentary,"
		     " hearing_impaired, visual_impaired FROM rendition WHERE job_id = $1 ORDER BY idx",
		     DB_PARAMS(DB_TEXT(job_id)), &rows, e);
	uint32_t count = 0;
	while (r >= 0 && count < RENDITIONS_MAX && (r = db_next(rows, e)) > 0) {
		struct rendition *x = &ret[count++];
		*x = (struct rendition){ .index = (uint32_t)db_int(rows, 0),
					 .kind = (enum rendition_kind)db_int(rows, 1),
					 .width = (uint32_t)db_int(rows, 3),
					 .height = (uint32_t)db_int(rows, 4),
					 .frame_rate_milli = (uint32_t)db_int(rows, 5),
					 .channels = (uint32_t)db_int(rows, 6),
					 .timescale = (uint32_t)db_int(rows, 8),
					 .declared_bps = (uint64_t)db_int(rows, 9),
					 .peak_bps = (uint64_t)db_int(rows, 10),
					 .average_bps = (uint64_t)db_int(rows, 11),
					 .init_committed = db_int(rows, 12) != 0,
					 .init_bytes = (uint64_t)db_int(rows, 14),
					 .has_iframes = db_int(rows, 16) != 0,
					 .iframe_peak_bps = (uint64_t)db_int(rows, 17),
					 .iframe_average_bps = (uint64_t)db_int(rows, 18),
					 .is_default = db_int(rows, 20) != 0,
					 .forced = db_int(rows, 21) != 0,
					 .commentary = db_int(rows, 22) != 0,
					 .hearing_impaired = db_int(rows, 23) != 0,
					 .visual_impaired = db_int(rows, 24) != 0 };
		repo_copy_text(rows, 2, x->name, sizeof(x->name));
		repo_copy_text(rows, 7, x->language, sizeof(x->language));
		repo_copy_text(rows, 13, x->codecs, sizeof(x->codecs));
		repo_copy_text(rows, 15, x->init_sha256, sizeof(x->init_sha256));
		repo_copy_text(rows, 19, x->label, sizeof(x->label));
	}
	if (r < 0)
		return r;
	*ret_count = count;
	return 0;
}

static int segment_row(struct db_rows *rows, uint32_t rendition, struct segment *ret, struct err *e)
{
	*ret = (struct segment){ .rendition = rendition,
				 .index = (uint32_t)db_int(rows, 0),
				 .committed = db_int(rows, 1) != 0,
				 .start_ticks = db_int(rows, 2),
				 .duration_ticks = db_int(rows, 3),
				 .bytes = (uint64_t)db_int(rows, 4) };
	repo_copy_text(rows, 5, ret->sha256, sizeof(ret->sha256));
	return iframes_parse(db_text(rows, 6), ret, e);
}

int repo_segments(struct repo *repo, const char *job_id, uint32_t rendition, uint32_t first, uint32_t count,
		  struct segment **ret, uint32_t *ret_count, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0)
		return r;
	r = db_query(c,
		     "SELECT idx, committed, start_ticks, duration_ticks, bytes, sha256, iframes FROM segment"
		     " WHERE job_id = $1 AND rendition = $2 AND idx >= $3 AND idx < $4 ORDER BY idx",
		     DB_PARAMS(DB_TEXT(job_id), DB_INT(rendition), DB_INT(first), DB_INT((int64_t)first + count)),
		     &rows, e);
	if (r < 0)
		return r;
	_cleanup_free_ struct segment *list = NULL;
	uint32_t n = 0, room = 0;
	while ((r = db_next(rows, e)) > 0) {
		if (n == room) {
			room = room ? room * 2 : 64;
			list = mr_reallocarray(list, room, sizeof(*list));
		}
		r = segment_row(rows, rendition, &list[n++], e);
		if (r < 0)
			break;
	}
	if (r < 0)
		return r;
	*ret = mr_steal(list);
	*ret_count = n;
	return 0;
}

/* ---- advance ---- */

struct advance_tx {
	const char *job_id;
	int64_t min_interval_ms;
	bool flush;
	bool changed;
	int64_t wait_ms;
};

/* 0: not yet, t->wait_ms says when; otherwise how many will be visible. */
static int decide(struct db_conn *c, struct advance_tx *t, const struct job *j, int64_t now, uint32_t *ret,
		  struct err *e)
{
	*ret = 0;
	t->wait_ms = -1;
	uint32_t prefix;
	if (!job_after(j->status, JOB_EVENT_SHOW))
		return 0;
	int r = repo_committed_prefix(c, j, &prefix, e);
	if (r < 0 || prefix <= j->visible_segments)
		return r;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	r = db_first(c, "SELECT advanced_ms FROM job WHERE id = $1", DB_PARAMS(DB_TEXT(j->id)), &rows, e);
	if (r < 0)
		return r;
	int64_t since_ms = now - db_int(rows, 0);
	if (j->visible_segments > 0 && !t->flush && since_ms < t->min_interval_ms) {
		t->wait_ms = t->min_interval_ms - (since_ms > 0 ? since_ms : 0);
		return 0;
	}
	*ret = prefix;
	return 0;
}

/* Makes the first `segments` visible. */
static int show(struct db_conn *c, const struct job *j, uint32_t segments, bool ended, int64_t now, struct err *e)
{
	int r = db_exec(c,
			"UPDATE job SET visible_segments = $2, advanced_ms = $3, status = $4, ended = $5,"
			" streaming_ms = CASE WHEN streaming_ms = 0 THEN $3 ELSE streaming_ms END WHERE id = $1",
			DB_PARAMS(DB_TEXT(j->id), DB_INT(segments), DB_INT(now),
				  DB_INT(job_after(j->status, JOB_EVENT_SHOW)), DB_INT(ended)),
			NULL, e);
	return r < 0 ? r : repo_revise(c, j->id, now, e);
}

static int advance_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct advance_tx *t = ctx;
	t->changed = false;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	struct job j = { 0 };
	uint32_t segments = 0;
	r = repo_job_lock(c, NULL, t->job_id, &j, e);
	if (r >= 0)
		r = decide(c, t, &j, now, &segments, e);
	if (r >= 0 && segments) {
		t->changed = true;
		r = show(c, &j, segments, j.ended, now, e);
	}
	job_release(&j);
	return r;
}

/* Whether a transaction is worth it: most calls find nothing new. */
static int look(struct repo *repo, struct advance_tx *t, bool *ret, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0 || (r = db_now_ms(c, &now, e)) < 0)
		return r;
	struct job j = { 0 };
	uint32_t segments;
	r = repo_job_load(c, NULL, t->job_id, &j, e);
	if (r < 0)
		return r;
	r = decide(c, t, &j, now, &segments, e);
	job_release(&j);
	if (r >= 0)
		*ret = segments > 0;
	return r;
}

int repo_advance(struct repo *repo, const char *job_id, int64_t min_interval_ms, bool flush, bool *ret_changed,
		 int64_t *ret_wait_ms, struct err *e)
{
	struct advance_tx t = { .job_id = job_id, .min_interval_ms = min_interval_ms, .flush = flush };
	bool worth_it = false;
	int r = look(repo, &t, &worth_it, e);
	if (r >= 0 && worth_it)
		r = repo_transact(repo, "advance", advance_tx, &t, e);
	if (r < 0)
		return r;
	*ret_changed = t.changed;
	*ret_wait_ms = t.wait_ms;
	return 0;
}

/* ---- stored playlists ---- */

struct published_tx {
	const char *job_id;
	uint32_t segments;
};

static int published_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct published_tx *t = ctx;
	int64_t now, changes;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	r = db_exec(c,
		    "UPDATE job SET published_segments = $2 WHERE id = $1 AND published_segments < $2"
		    " AND visible_segments >= $2",
		    DB_PARAMS(DB_TEXT(t->job_id), DB_INT(t->segments)), &changes, e);
	return r < 0 || !changes ? r : repo_revise(c, t->job_id, now, e);
}

int repo_published(struct repo *repo, const char *job_id, uint32_t segments, struct err *e)
{
	struct published_tx t = { .job_id = job_id, .segments = segments };
	return repo_transact(repo, "note stored playlists", published_tx, &t, e);
}

static const char lagging_sql[] = "SELECT " JOB_COLUMNS " FROM job WHERE " JOB_LAGS " ORDER BY advanced_ms LIMIT $1";

int repo_job_lagging(struct repo *repo, uint32_t limit, repo_job_fn fn, void *ctx, struct err *e)
{
	return repo_job_each(repo, lagging_sql, DB_PARAMS(DB_INT(limit)), fn, ctx, e);
}

/* ---- the finish chunk ---- */

struct measured_tx {
	const struct claim *claim;
	uint32_t rendition;
	const struct measured *m;
};

static int measured_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct measured_tx *t = ctx;
	struct fence f;
	int64_t changes;
	int r = repo_fence_finish(c, t->claim, &f, e);
	if (r < 0)
		return r;
	r = db_exec(c,
		    "UPDATE rendition SET peak_bps = $3, average_bps = $4, iframe_peak_bps = $5, iframe_average_bps = $6"
		    " WHERE job_id = $1 AND idx = $2",
		    DB_PARAMS(DB_TEXT(f.chunk.job_id), DB_INT(t->rendition), DB_INT(t->m->peak_bps), DB_INT(t->m->average_bps),
			      DB_INT(t->m->iframe_peak_bps), DB_INT(t->m->iframe_average_bps)),
		    &changes, e);
	if (r < 0)
		return r;
	return changes ? 0 : err_set(e, ERR_INTERNAL, "the job has no rendition %u", t->rendition);
}

int repo_measured(struct repo *repo, const struct claim *claim, uint32_t rendition, const struct measured *m, struct err *e)
{
	struct measured_tx t = { .claim = claim, .rendition = rendition, .m = m };
	return repo_transact(repo, "note bit rates", measured_tx, &t, e);
}

/* What a finish chunk does to its job, both locked. */
typedef int (*finish_fn)(struct db_conn *c, const struct fence *f, const struct job *j, struct err *e);

static int finish(struct db_conn *c, const struct claim *claim, finish_fn fn, struct err *e)
{
	struct fence f;
	int r = repo_fence_finish(c, claim, &f, e);
	if (r < 0)
		return r;
	struct job j = { 0 };
	r = repo_job_lock(c, NULL, f.chunk.job_id, &j, e);
	if (r >= 0)
		r = fn(c, &f, &j, e);
	job_release(&j);
	return r;
}

static int end(struct db_conn *c, const struct fence *f, const struct job *j, struct err *e)
{
	uint32_t prefix = 0;
	int r = repo_committed_prefix(c, j, &prefix, e);
	if (r < 0)
		return r;
	if (prefix < j->segment_count)
		return err_set(e, ERR_INTERNAL, "only %u of %u segments are committed", prefix, j->segment_count);
	return j->ended ? 0 : show(c, j, j->segment_count, true, f->now_ms, e);
}

static int end_tx(struct db_conn *c, void *ctx, struct err *e)
{
	return finish(c, ctx, end, e);
}

int repo_job_end(struct repo *repo, const struct claim *claim, struct err *e)
{
	struct claim borrowed = *claim;
	return repo_transact(repo, "end the playlists", end_tx, &borrowed, e);
}

static int complete(struct db_conn *c, const struct fence *f, const struct job *j, struct err *e)
{
	enum job_status next = job_after(j->status, JOB_EVENT_COMPLETE);
	if (!next || !j->ended)
		return err_set(e, ERR_CONFLICT, "the job is %s and its playlists have%s ended",
			       job_status_name(j->status), j->ended ? "" : " not");
	int r = db_exec(c, "UPDATE chunk SET state = 4, due_ms = NULL WHERE job_id = $1 AND idx = $2",
			DB_PARAMS(DB_TEXT(f->chunk.job_id), DB_INT(f->chunk.index)), NULL, e);
	if (r < 0)
		return r;
	r = db_exec(c,
		    "UPDATE job SET status = $2, stage = 'done', percent = 100, eta_seconds = 0, finished_ms = $3"
		    " WHERE id = $1",
		    DB_PARAMS(DB_TEXT(j->id), DB_INT(next), DB_INT(f->now_ms)), NULL, e);
	return r < 0 ? r : repo_revise(c, j->id, f->now_ms, e);
}

static int complete_tx(struct db_conn *c, void *ctx, struct err *e)
{
	return finish(c, ctx, complete, e);
}

int repo_job_complete(struct repo *repo, const struct claim *claim, struct err *e)
{
	struct claim borrowed = *claim;
	return repo_transact(repo, "complete the job", complete_tx, &borrowed, e);
}
