/* Which fragments the webhook hasn't been told of: repository. In the server process. */
#include <stdio.h>

#include "job/repo_internal.h"
#include "job/stream.h"

int repo_untold_list(struct repo *repo, const char *after, struct untold *ret, uint32_t max, uint32_t *ret_count, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	uint32_t n = 0;
	int r = db_acquire(repo->db, &c, e);
	if (r == 0)
		r = db_query(c,
			     "SELECT f.stream_id, f.number, f.producer_ms, f.server_ms, f.length_ms, f.size_bytes, s.name,"
			     " s.user_id, s.created_ms FROM stream s JOIN fragment f ON f.stream_id = s.id AND f.number ="
			     " (SELECT min(g.number) FROM fragment g WHERE g.stream_id = s.id AND g.number >"
			     " coalesce((SELECT told FROM fragment_hook h WHERE h.stream_id = s.id), -1))"
			     " WHERE s.status = 1 AND s.id > $1 ORDER BY s.id LIMIT $2",
			     DB_PARAMS(DB_TEXT(after), DB_INT(max)), &rows, e);
	while (r >= 0 && n < max && (r = db_next(rows, e)) > 0) {
		struct untold *u = &ret[n++];
		*u = (struct untold){ .created_ms = db_int(rows, 8),
				      .f = { .number = db_int(rows, 1),
					     .producer_ms = db_int(rows, 2),
					     .server_ms = db_int(rows, 3),
					     .length_ms = db_int(rows, 4),
					     .bytes = (uint64_t)db_int(rows, 5) } };
		repo_copy_text(rows, 0, u->f.stream_id, sizeof(u->f.stream_id));
		repo_copy_text(rows, 6, u->name, sizeof(u->name));
		repo_copy_text(rows, 7, u->user_id, sizeof(u->user_id));
	}
	if (r < 0)
		return r;
	*ret_count = n;
	return 0;
}

static int told_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct untold *told = ctx;
	/* A stream that was deleted meanwhile gets no mark. */
	return db_exec(c,
		       "INSERT INTO fragment_hook (stream_id, told) SELECT id, $2 FROM stream WHERE id = $1"
		       " ON CONFLICT (stream_id) DO UPDATE SET told = excluded.told WHERE fragment_hook.told < excluded.told",
		       DB_PARAMS(DB_TEXT(told->f.stream_id), DB_INT(told->f.number)), NULL, e);
}

int repo_told_save(struct repo *r, const struct untold *told, struct err *e)
{
	struct untold copy = *told;
	return repo_transact(r, "keep what the webhook was told", told_tx, &copy, e);
}

/* ---- whose turn it is ---- */

struct telling_tx {
	const char *holder;
	int64_t lease_ms;
	bool held;
};

static int telling_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct telling_tx *t = ctx;
	int64_t now, changes = 0;
	int r = db_now_ms(c, &now, e);
	if (r == 0)
		r = db_exec(c,
			    "INSERT INTO lease (name, holder, until_ms) VALUES ('fragment_hook', $1, $2) ON CONFLICT (name)"
			    " DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms"
			    " WHERE lease.holder = excluded.holder OR lease.until_ms <= $3",
			    DB_PARAMS(DB_TEXT(t->holder), DB_INT(now + t->lease_ms), DB_INT(now)), &changes, e);
	t->held = changes > 0;
	return r;
}

int repo_telling_claim(struct repo *r, const char *holder, int64_t lease_ms, bool *ret, struct err *e)
{
	struct telling_tx t = { .holder = holder, .lease_ms = lease_ms };
	int res = repo_transact(r, "take the webhook's turn", telling_tx, &t, e);
	if (res == 0)
		*ret = t.held;
	return res;
}

static int leave_tx(struct db_conn *c, void *ctx, struct err *e)
{
	return db_exec(c, "DELETE FROM lease WHERE name = 'fragment_hook' AND holder = $1", DB_PARAMS(DB_TEXT((const char *)ctx)),
		       NULL, e);
}

int repo_telling_leave(struct repo *r, const char *holder, struct err *e)
{
	char copy[UUID_SIZE];
	(void)snprintf(copy, sizeof(copy), "%s", holder);
	return repo_transact(r, "leave the webhook's turn", leave_tx, copy, e);
}
