/* The repository's narrations: attempts, and what becomes of their segments. Server and worker process. */
#include <stdlib.h>

#include "base/mem.h"
#include "job/keys.h"
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

int repo_narration_failed(struct db_conn *c, const struct job *j, int64_t now_ms, struct err *e)
{
	const struct db_params *id = DB_PARAMS(DB_TEXT(j->id));
	int r = db_exec(c,
			"UPDATE job SET visible_segments = 0, published_segments = 0, segment_count = 0, ended = 0 WHERE id = $1",
			id, NULL, e);
	if (r >= 0)
		r = db_exec(c, "DELETE FROM segment WHERE job_id = $1", id, NULL, e);
	if (r >= 0)
		r = db_exec(c, "UPDATE chunk SET state = 6, done_ticks = 0 WHERE job_id = $1 AND state = 4", id, NULL, e);
	if (r < 0)
		return r;
	_cleanup_free_ char *below = mr_asprintf("%s/", j->prefix);
	return repo_object_doom_at(c, below, now_ms + DOOMED_LATER_MS, e);
}

/* Whoever still stores something of the failed one, or removes it, has nothing to do with the objects of this one. */
int repo_narration_afresh(struct db_conn *c, const struct job *j, struct err *e)
{
	_cleanup_free_ char *prefix = key_narration_again(j->user_id, j->id, j->generation_attempt + 1);
	return db_exec(c, "UPDATE job SET prefix = $2 WHERE id = $1", DB_PARAMS(DB_TEXT(j->id), DB_TEXT(prefix)), NULL, e);
}
