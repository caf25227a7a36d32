/* The repository's narrations: attempts, and what becomes of their segments. Server and worker process. */
#include "job/repo_internal.h"

int repo_narration_again(struct db_conn *c, const char *job_id, int64_t now_ms, struct err *e)
{
	int r = db_exec(c, "UPDATE job SET generation_attempt = generation_attempt + 1 WHERE id = $1", DB_PARAMS(DB_TEXT(job_id)),
			NULL, e);
	return r < 0 ? r : repo_revise(c, job_id, now_ms, e);
}

int repo_narration_length(struct db_conn *c, const char *job_id, struct err *e)
{
	return db_exec(c,
		       "UPDATE job SET duration_ticks = (SELECT CAST(SUM(s.duration_ticks) AS BIGINT) * 90000 / MIN(x.timescale)"
		       " FROM segment s JOIN rendition x ON x.job_id = s.job_id AND x.idx = s.rendition WHERE s.job_id = $1)"
		       " WHERE id = $1",
		       DB_PARAMS(DB_TEXT(job_id)), NULL, e);
}

static int discard_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct claim *claim = ctx;
	struct fence f;
	int r = repo_fence(c, claim, &f, e);
	if (r < 0)
		return r;
	const struct db_params *id = DB_PARAMS(DB_TEXT(f.chunk.job_id));
	r = db_exec(c,
		    "UPDATE job SET visible_segments = 0, published_segments = 0, segment_count = 0, ended = 0 WHERE id = $1",
		    id, NULL, e);
	if (r >= 0)
		r = db_exec(c, "DELETE FROM segment WHERE job_id = $1", id, NULL, e);
	return r < 0 ? r : repo_revise(c, f.chunk.job_id, f.now_ms, e);
}

int repo_narration_discard(struct repo *repo, const struct claim *claim, struct err *e)
{
	struct claim borrowed = *claim;
	return repo_transact(repo, "discard a narration", discard_tx, &borrowed, e);
}
