/* Which fragments the webhook hasn't been told of: repository. In the server process. */
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
		       " ON CONFLICT (stream_id) DO UPDATE SET told = excluded.told",
		       DB_PARAMS(DB_TEXT(told->f.stream_id), DB_INT(told->f.number)), NULL, e);
}

int repo_told_save(struct repo *r, const struct untold *told, struct err *e)
{
	struct untold copy = *told;
	return repo_transact(r, "keep what the webhook was told", told_tx, &copy, e);
}
