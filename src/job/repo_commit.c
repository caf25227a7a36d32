/* The repository's results of a chunk: init segments, segments, the chunk's end. Worker process (or the server's worker
 * threads). A segment's commit is four short statements on indexed rows, so that its cost is that of the disk's flush.
 * What a chunk claims is checked against its row: a task that breaks its range commits nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "job/iframes.h"
#include "job/repo_internal.h"

/* ---- init segments ---- */

struct init_tx {
	const struct claim *claim;
	uint32_t rendition;
	const char *codecs, *sha256;
	uint64_t bytes;
};

static int init_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct init_tx *t = ctx;
	struct fence f;
	int r = repo_fence(c, t->claim, &f, e);
	if (r < 0)
		return r;
	int64_t changes;
	r = db_exec(c,
		    "UPDATE rendition SET init_committed = 1, codecs = $3, init_bytes = $4, init_sha256 = $5"
		    " WHERE job_id = $1 AND idx = $2 AND init_committed = 0",
		    DB_PARAMS(DB_TEXT(f.chunk.job_id), DB_INT(t->rendition), DB_TEXT(t->codecs), DB_INT(t->bytes),
			      DB_TEXT(t->sha256)),
		    &changes, e);
	if (r < 0 || changes)
		return r;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	r = db_first(c, "SELECT codecs, init_bytes, init_sha256 FROM rendition WHERE job_id = $1 AND idx = $2",
		     DB_PARAMS(DB_TEXT(f.chunk.job_id), DB_INT(t->rendition)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_PROTOCOL, "the job has no rendition %u", t->rendition);
	if (strcmp(db_text(rows, 0), t->codecs) != 0 || (uint64_t)db_int(rows, 1) != t->bytes ||
	    strcmp(db_text(rows, 2), t->sha256) != 0)
		return err_set_code(e, ERR_MEDIA, "INIT_MISMATCH",
				    "chunk %u makes another init segment of rendition %u than before", f.chunk.index,
				    t->rendition);
	return 0;
}

int repo_commit_init(struct repo *repo, const struct claim *claim, uint32_t rendition, const char *codecs,
		     uint64_t bytes, const char *sha256, struct err *e)
{
	struct init_tx t = {
		.claim = claim, .rendition = rendition, .codecs = codecs, .sha256 = sha256, .bytes = bytes
	};
	return repo_transact(repo, "commit an init segment", init_tx, &t, e);
}

/* ---- segments ---- */

struct segment_tx {
	const struct claim *claim;
	const struct segment *s;
};

/* The row exists and is written for the first time: 1; 0: it is not a planned one. */
static int fill_planned(struct db_conn *c, const char *job_id, const struct segment *s, struct err *e)
{
	int64_t changes;
	_cleanup_free_ char *iframes = iframes_format(s);
	int r = db_exec(c,
			"UPDATE segment SET committed = 1, start_ticks = $4, duration_ticks = $5, bytes = $6, sha256"
			" = $7, iframes = $8 WHERE job_id = $1 AND rendition = $2 AND idx = $3 AND committed = 0",
			DB_PARAMS(DB_TEXT(job_id), DB_INT(s->rendition), DB_INT(s->index), DB_INT(s->start_ticks),
				  DB_INT(s->duration_ticks), DB_INT(s->bytes), DB_TEXT(s->sha256), DB_TEXT(iframes)),
			&changes, e);
	return r < 0 ? r : changes > 0;
}

/* Is it committed already, with these bytes? 1: yes; 0: there is no row. */
static int compare_committed(struct db_conn *c, const char *job_id, const struct segment *s, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT sha256 FROM segment WHERE job_id = $1 AND rendition = $2 AND idx = $3",
			 DB_PARAMS(DB_TEXT(job_id), DB_INT(s->rendition), DB_INT(s->index)), &rows, e);
	if (r <= 0)
		return r;
	if (strcmp(db_text(rows, 0), s->sha256) != 0)
		return err_set_code(e, ERR_INTERNAL, "NOT_REPRODUCIBLE",
				    "segment %u of rendition %u came out with other bytes than before", s->index,
				    s->rendition);
	return 1;
}

/* The source goes on behind the plan: one more segment of every rendition. */
static int grow(struct db_conn *c, const struct fence *f, uint32_t index, struct err *e)
{
	struct job j = { 0 };
	int r = repo_job_lock(c, NULL, f->chunk.job_id, &j, e);
	if (r < 0)
		return r;
	uint32_t count = j.segment_count, renditions = j.rendition_count;
	job_release(&j);
	if (!f->chunk.last || index != count)
		return err_set(e, ERR_PROTOCOL, "segment %u does not follow on the %u of the job", index, count);
	if (index >= TASK_SEGMENTS_MAX)
		return err_set(e, ERR_TOO_LARGE, "more than %d segments", TASK_SEGMENTS_MAX);
	for (uint32_t i = 0; i < renditions; i++) {
		r = db_exec(c,
			    "INSERT INTO segment (job_id, rendition, idx, start_ticks, duration_ticks)"
			    " VALUES ($1, $2, $3, 0, 0)",
			    DB_PARAMS(DB_TEXT(f->chunk.job_id), DB_INT(i), DB_INT(index)), NULL, e);
		if (r < 0)
			return r;
	}
	r = db_exec(c, "UPDATE job SET segment_count = $2 WHERE id = $1",
		    DB_PARAMS(DB_TEXT(f->chunk.job_id), DB_INT(index + 1)), NULL, e);
	return r < 0 ? r : repo_revise(c, f->chunk.job_id, f->now_ms, e);
}

static int check_segment(const struct fence *f, const struct claim *claim, const struct segment *s, struct err *e)
{
	const struct chunk *k = &f->chunk;
	bool inside = s->index >= k->first_segment && (k->last || s->index - k->first_segment < k->segment_count);
	if ((k->kind != CHUNK_LADDER && k->kind != CHUNK_NARRATE) || !inside)
		return err_set(e, ERR_PROTOCOL, "segment %u does not belong to chunk %u", s->index, k->index);
	if (s->rendition >= claim->job.rendition_count)
		return err_set(e, ERR_PROTOCOL, "the job has no rendition %u", s->rendition);
	if (s->duration_ticks <= 0)
		return err_set(e, ERR_PROTOCOL, "segment %u has no duration", s->index);
	return 0;
}

static int segment_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct segment_tx *t = ctx;
	struct fence f;
	int r = repo_fence(c, t->claim, &f, e);
	if (r < 0)
		return r;
	const char *job_id = f.chunk.job_id;
	r = check_segment(&f, t->claim, t->s, e);
	if (r < 0)
		return r;
	r = fill_planned(c, job_id, t->s, e);
	if (r == 0) {
		r = compare_committed(c, job_id, t->s, e);
		if (r != 0)
			return r < 0 ? r : 0; /* nothing new, so failures are not forgotten */
		r = grow(c, &f, t->s->index, e);
		if (r >= 0)
			r = fill_planned(c, job_id, t->s, e);
	}
	if (r < 0 || !f.chunk.failures || f.chunk.kind == CHUNK_NARRATE)
		return r < 0 ? r : 0;
	return db_exec(c, "UPDATE chunk SET failures = 0 WHERE job_id = $1 AND idx = $2",
		       DB_PARAMS(DB_TEXT(job_id), DB_INT(f.chunk.index)), NULL, e);
}

int repo_commit_segment(struct repo *repo, const struct claim *claim, const struct segment *s, struct err *e)
{
	struct segment_tx t = { .claim = claim, .s = s };
	return repo_transact(repo, "commit a segment", segment_tx, &t, e);
}

/* ---- the chunk's end ---- */

struct done_tx {
	const struct claim *claim;
	uint32_t next_segment;
};

/* Every segment from the chunk's first up to `next` must be there. */
static int check_complete(struct db_conn *c, const struct chunk *k, const struct job *j, uint32_t next, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT MIN(idx) FROM segment WHERE job_id = $1 AND committed = 0 AND idx >= $2",
			 DB_PARAMS(DB_TEXT(j->id), DB_INT(k->first_segment)), &rows, e);
	if (r < 0)
		return r;
	uint32_t missing = db_is_null(rows, 0) ? j->segment_count : (uint32_t)db_int(rows, 0);
	if (missing < next)
		return err_set_code(e, ERR_PROTOCOL, "SEGMENTS_MISSING",
				    "chunk %u says it is done, but segment %u was not committed", k->index, missing);
	return 0;
}

/* The source ended early: nothing exists from `next` on. *ret_ticks: the work that this saves. */
static int cut(struct db_conn *c, const struct fence *f, const struct job *j, uint32_t next, int64_t *ret_ticks,
	       struct err *e)
{
	if (next < j->visible_segments)
		return err_set_code(e, ERR_INTERNAL, "NOT_REPRODUCIBLE",
				    "the source ends before segment %u now, but %u were made of it before", next,
				    j->visible_segments);
	int r = db_exec(c, "DELETE FROM segment WHERE job_id = $1 AND idx >= $2",
			DB_PARAMS(DB_TEXT(j->id), DB_INT(next)), NULL, e);
	if (r < 0)
		return r;
	r = db_exec(c, "UPDATE job SET segment_count = $2 WHERE id = $1", DB_PARAMS(DB_TEXT(j->id), DB_INT(next)), NULL,
		    e);
	if (r < 0)
		return r;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	r = db_first(c,
		     "SELECT COALESCE(SUM(weight_ticks - done_ticks), 0) FROM chunk"
		     " WHERE job_id = $1 AND kind = 1 AND idx <> $2 AND first_segment >= $3 AND state <> 4",
		     DB_PARAMS(DB_TEXT(j->id), DB_INT(f->chunk.index), DB_INT(next)), &rows, e);
	if (r < 0)
		return r;
	*ret_ticks = db_int(rows, 0);
	return db_exec(c,
		       "UPDATE chunk SET state = 4, done_ticks = weight_ticks, due_ms = NULL"
		       " WHERE job_id = $1 AND kind = 1 AND idx <> $2 AND first_segment >= $3 AND state <> 4",
		       DB_PARAMS(DB_TEXT(j->id), DB_INT(f->chunk.index), DB_INT(next)), NULL, e);
}

static int finish_chunk(struct db_conn *c, const struct fence *f, int64_t saved_ticks, struct err *e)
{
	const struct chunk *k = &f->chunk;
	int r = db_exec(c,
			"UPDATE chunk SET state = 4, due_ms = NULL, done_ticks = weight_ticks WHERE job_id = $1"
			" AND idx = $2",
			DB_PARAMS(DB_TEXT(k->job_id), DB_INT(k->index)), NULL, e);
	if (r < 0)
		return r;
	r = repo_progress(c, k->job_id, f->now_ms, k->weight_ticks - k->done_ticks + saved_ticks, NULL, e);
	return r < 0 ? r : repo_open_next(c, k->job_id, f->now_ms, e);
}

static int check_end(const struct chunk *k, uint32_t next, struct err *e)
{
	if (k->kind != CHUNK_LADDER && k->kind != CHUNK_NARRATE)
		return err_set(e, ERR_INTERNAL, "the finish chunk ends with repo_job_complete");
	if (next > k->first_segment + k->segment_count && !k->last)
		return err_set(e, ERR_PROTOCOL, "chunk %u went beyond its range", k->index);
	if (next == 0)
		return err_set_code(e, ERR_MEDIA, "NO_SEGMENTS",
				    "the source holds no picture or sound that can be decoded");
	return 0;
}

static int done_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct done_tx *t = ctx;
	struct fence f;
	int r = repo_fence(c, t->claim, &f, e);
	if (r < 0)
		return r;
	/* A source that ended before the chunk's first segment: what lies before is for others to say. */
	uint32_t next = t->next_segment > f.chunk.first_segment ? t->next_segment : f.chunk.first_segment;
	r = check_end(&f.chunk, next, e);
	if (r < 0)
		return r;
	struct job j = { 0 };
	int64_t saved_ticks = 0;
	r = repo_job_lock(c, NULL, f.chunk.job_id, &j, e);
	if (r >= 0)
		r = check_complete(c, &f.chunk, &j, next, e);
	bool early = next < f.chunk.first_segment + f.chunk.segment_count || f.chunk.last;
	if (r >= 0 && early && next < j.segment_count)
		r = cut(c, &f, &j, next, &saved_ticks, e);
	job_release(&j);
	if (r >= 0 && f.chunk.kind == CHUNK_NARRATE)
		r = repo_narration_length(c, f.chunk.job_id, e);
	return r < 0 ? r : finish_chunk(c, &f, saved_ticks, e);
}

int repo_chunk_done(struct repo *repo, const struct claim *claim, uint32_t next_segment, struct err *e)
{
	struct done_tx t = { .claim = claim, .next_segment = next_segment };
	return repo_transact(repo, "finish a chunk", done_tx, &t, e);
}
