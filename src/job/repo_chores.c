/* Whether a janitor has anything to do: one query each, where looking for each kind of work would be a dozen. Server and worker
 * process. What it says may be done by somebody else a moment later: those that do the work look again. */
#include "base/clock.h"
#include "job/live_session.h"
#include "job/repo_internal.h"

/* Claims that may be a dead process's; playlists that lag; uploads that nobody joins. */
static const char soon_sql[] = "SELECT EXISTS (SELECT 1 FROM chunk WHERE state = 3)"
			       " OR EXISTS (SELECT 1 FROM job WHERE " JOB_LAGS ")"
			       " OR EXISTS (SELECT 1 FROM upload WHERE " UPLOAD_WAITS ")";

/* What has expired or was deleted. */
static const char late_sql[] =
	"SELECT EXISTS (SELECT 1 FROM job WHERE status = 7)"
	" OR EXISTS (SELECT 1 FROM job WHERE expires_ms > 0 AND expires_ms <= $1 AND status IN (4, 5, 6))"
	" OR EXISTS (SELECT 1 FROM doomed_object WHERE doomed_ms <= $1)"
	" OR EXISTS (SELECT 1 FROM fragment WHERE expires_ms <= $1)"
	" OR EXISTS (SELECT 1 FROM stream WHERE status = 2)"
	" OR EXISTS (SELECT 1 FROM idempotency WHERE created_ms <= $2)"
	" OR EXISTS (SELECT 1 FROM deleted_job WHERE deleted_ms <= $3)"
	" OR EXISTS (SELECT 1 FROM live_session WHERE updated_ms < $4)"
	" OR EXISTS (SELECT 1 FROM file WHERE ready = 0 AND updated_ms < $5)"
	" OR EXISTS (SELECT 1 FROM speech WHERE used_ms < $6)";

static int ask(struct db_conn *c, const char *sql, const struct db_params *params, bool *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, sql, params, &rows, e);
	if (r >= 0)
		*ret = r > 0 && db_int(rows, 0) != 0;
	return r < 0 ? r : 0;
}

int repo_chores_soon(struct repo *repo, bool *ret, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0 || (r = db_now_ms(c, &now, e)) < 0)
		return r;
	return ask(c, soon_sql, DB_PARAMS(DB_INT(now)), ret, e);
}

int repo_chores_late(struct repo *repo, const struct chore_ages *ages, bool *ret, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0 || (r = db_now_ms(c, &now, e)) < 0)
		return r;
	/* The last two as those that remove them reckon: by this machine's clock. */
	const int64_t wall = clock_wall_ms();
	return ask(c, late_sql,
		   DB_PARAMS(DB_INT(now), DB_INT(now - IDEMPOTENCY_KEPT_MS), DB_INT(now - DELETION_KEPT_MS),
			     DB_INT(now - LIVE_SESSION_KEPT_MS), DB_INT(wall - ages->upload_ms), DB_INT(wall - ages->speech_ms)),
		   ret, e);
}
