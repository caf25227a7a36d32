/* The repository of live sessions. In the server process. */
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "job/live_session.h"
#include "job/repo_internal.h"

struct claim_tx {
	const char *id, *user_id;
	struct live_session_row row;
};

static int read_row(struct db_rows *rows, struct live_session_row *ret, struct err *e)
{
	struct live_session_row row = { .next_chunk = db_int(rows, 3), .end_ms = db_int(rows, 4) };
	repo_copy_text(rows, 0, row.id, sizeof(row.id));
	repo_copy_text(rows, 1, row.user_id, sizeof(row.user_id));
	const char *hex = db_text(rows, 2);
	size_t digits = hex ? strlen(hex) : 0;
	row.state_len = digits / 2;
	if (row.state_len > sizeof(row.state) || (digits && !hex_decode(hex, digits, row.state, row.state_len)))
		return err_set(e, ERR_INTERNAL, "the session's kept state cannot be read");
	*ret = row;
	return 0;
}

static int claim_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct claim_tx *t = ctx;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	r = db_first(c,
		     "INSERT INTO live_session (id, user_id, state_hex, next_chunk, end_ms, updated_ms)"
		     " VALUES ($1, $2, '', -1, 0, $3)"
		     " ON CONFLICT (id) DO UPDATE SET updated_ms = CASE WHEN live_session.user_id = excluded.user_id"
		     " THEN excluded.updated_ms ELSE live_session.updated_ms END"
		     " RETURNING id, user_id, state_hex, next_chunk, end_ms",
		     DB_PARAMS(DB_TEXT(t->id), DB_TEXT(t->user_id), DB_INT(now)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_INTERNAL, "the session's row was not given");
	if (strcmp(db_text(rows, 1), t->user_id) != 0)
		return err_set_code(e, ERR_DENIED, "NOT_YOUR_SESSION", "the session belongs to another speaker");
	return read_row(rows, &t->row, e);
}

int repo_live_session_claim(struct repo *r, const char *id, const char *user_id, struct live_session_row *ret, struct err *e)
{
	struct claim_tx t = { .id = id, .user_id = user_id };
	int rc = repo_transact(r, "claim a live session", claim_tx, &t, e);
	if (rc == 0)
		*ret = t.row;
	return rc;
}

static int save_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct live_session_row *row = ctx;
	char hex[2 * LIVE_SESSION_STATE_MAX + 1];
	int64_t now, changes = 0;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	hex_encode(row->state, row->state_len, hex);
	r = db_exec(c,
		    "UPDATE live_session SET state_hex = $3, next_chunk = $4, end_ms = $5, updated_ms = $6"
		    " WHERE id = $1 AND user_id = $2",
		    DB_PARAMS(DB_TEXT(row->id), DB_TEXT(row->user_id), DB_TEXT(hex), DB_INT(row->next_chunk), DB_INT(row->end_ms),
			      DB_INT(now)),
		    &changes, e);
	return r == 0 && changes == 0 ? err_set(e, ERR_LOST, "the session is not this speaker's any more") : r;
}

int repo_live_session_save(struct repo *r, const struct live_session_row *row, struct err *e)
{
	struct live_session_row copy = *row;
	return repo_transact(r, "save a live session", save_tx, &copy, e);
}

static int expire_tx(struct db_conn *c, void *ctx, struct err *e)
{
	(void)ctx;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	return db_exec(c, "DELETE FROM live_session WHERE updated_ms < $1", DB_PARAMS(DB_INT(now - LIVE_SESSION_KEPT_MS)), NULL, e);
}

int repo_live_session_expire(struct repo *r, struct err *e)
{
	return repo_transact(r, "expire live sessions", expire_tx, NULL, e);
}
