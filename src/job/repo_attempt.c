/* What became of claims that didn't end with their chunk's being done. Worker threads, and the janitor's; see job/repo.h. */
#include "base/mem.h"
#include "job/repo_internal.h"

/* A store that is away for a night gives a chunk back thousands of times. */
#define KEPT 20

struct note_tx {
	const struct claim *claim;
	const char *outcome, *log;
	const struct err *why;
};

static int forget_old(struct db_conn *c, const struct chunk *k, struct err *e)
{
	return db_exec(c, "DELETE FROM attempt WHERE job_id = $1 AND idx = $2 AND claim <= $3",
		       DB_PARAMS(DB_TEXT(k->job_id), DB_INT(k->index), DB_INT((int64_t)k->claims - KEPT)), NULL, e);
}

/* From the chunk's row, so that nothing is noted of one that is gone. */
static int note_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct note_tx *t = ctx;
	const struct chunk *k = &t->claim->chunk;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r >= 0)
		r = db_exec(c,
			    "INSERT INTO attempt (job_id, idx, claim, worker, outcome, code, message, log, ended_ms)"
			    " SELECT job_id, idx, $3, $4, $5, $6, $7, $8, $9 FROM chunk WHERE job_id = $1 AND idx = $2"
			    " ON CONFLICT (job_id, idx, claim) DO UPDATE SET worker = excluded.worker, outcome = excluded.outcome,"
			    " code = excluded.code, message = excluded.message, log = excluded.log",
			    DB_PARAMS(DB_TEXT(k->job_id), DB_INT(k->index), DB_INT(k->claims),
				      DB_TEXT(t->claim->worker_id), DB_TEXT(t->outcome), DB_TEXT(err_code(t->why)),
				      DB_TEXT(t->why->message), DB_TEXT(t->log), DB_INT(now)),
			    NULL, e);
	return r < 0 ? r : forget_old(c, k, e);
}

int repo_attempt_note(struct repo *repo, const struct claim *claim, const char *outcome, const struct err *why, const char *log,
		      struct err *e)
{
	const struct err cause = *why; /* `why` may be `e` */
	struct note_tx t = { .claim = claim, .outcome = outcome, .log = log, .why = &cause };
	return repo_transact(repo, "note an attempt", note_tx, &t, e);
}

int repo_attempts_lost(struct db_conn *c, const char *worker_id, int64_t now_ms, struct err *e)
{
	return db_exec(c,
		       "INSERT INTO attempt (job_id, idx, claim, worker, outcome, code, message, log, ended_ms)"
		       " SELECT job_id, idx, claims, worker, 'lost', '', '', '', $2 FROM chunk WHERE worker = $1 AND state = 3"
		       " ON CONFLICT (job_id, idx, claim) DO NOTHING",
		       DB_PARAMS(DB_TEXT(worker_id), DB_INT(now_ms)), NULL, e);
}

int repo_attempt_before(struct db_conn *c, const struct chunk *claimed, int64_t now_ms, struct err *e)
{
	if (claimed->claims < 2)
		return 0;
	int r = db_exec(c,
			"INSERT INTO attempt (job_id, idx, claim, worker, outcome, code, message, log, ended_ms)"
			" VALUES ($1, $2, $3, '', 'lost', '', '', '', $4) ON CONFLICT (job_id, idx, claim) DO NOTHING",
			DB_PARAMS(DB_TEXT(claimed->job_id), DB_INT(claimed->index), DB_INT((int64_t)claimed->claims - 1),
				  DB_INT(now_ms)),
			NULL, e);
	return r < 0 ? r : forget_old(c, claimed, e);
}
