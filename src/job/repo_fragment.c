/* The repository of fragments: commit, find, expire. In the server and worker process. */
#include <stdlib.h>
#include <string.h>

#include "job/repo_internal.h"
#include "job/stream.h"

#define COLUMNS "stream_id, number, producer_ms, server_ms, timecode_ms, length_ms, size_bytes, recording, last_chunk"

static void read_row(struct db_rows *rows, struct fragment *ret)
{
	*ret = (struct fragment) { .number = db_int(rows, 1),
				   .producer_ms = db_int(rows, 2),
				   .server_ms = db_int(rows, 3),
				   .timecode_ms = db_int(rows, 4),
				   .length_ms = db_int(rows, 5),
				   .bytes = (uint64_t)db_int(rows, 6),
				   .recording = db_int(rows, 7),
				   .last_chunk = db_int(rows, 8) };
	repo_copy_text(rows, 0, ret->stream_id, sizeof(ret->stream_id));
}

/* ---- commit ---- */

static int not_ours(struct db_conn *c, const struct fragment *f, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT epoch FROM stream WHERE id = $1 AND status = 1", DB_PARAMS(DB_TEXT(f->stream_id)), &rows,
			 e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "the stream was deleted");
	return err_set(e, ERR_LOST, "another producer has taken the stream over");
}

static int commit_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct fragment *f = ctx;
	int64_t now, kept_ms;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	{
		_cleanup_db_rows_ struct db_rows *rows = NULL;
		r = db_first(c,
			     "UPDATE stream SET writer_until_ms = $3 WHERE id = $1 AND epoch = $2 AND status = 1"
			     " RETURNING retention_hours",
			     DB_PARAMS(DB_TEXT(f->stream_id), DB_INT(f->number / FRAGMENTS_PER_WRITER),
				       DB_INT(now + STREAM_WRITER_MS)),
			     &rows, e);
		if (r < 0)
			return r;
		kept_ms = r ? stream_kept_ms((uint32_t)db_int(rows, 0)) : 0;
	}
	if (r == 0)
		return not_ours(c, f, e);
	return db_exec(c, "INSERT INTO fragment (" COLUMNS ", expires_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		       DB_PARAMS(DB_TEXT(f->stream_id), DB_INT(f->number), DB_INT(f->producer_ms), DB_INT(f->server_ms),
				 DB_INT(f->timecode_ms), DB_INT(f->length_ms), DB_INT(f->bytes),
				 DB_INT(f->recording), DB_INT(f->last_chunk), DB_INT(f->server_ms + kept_ms)),
		       NULL, e);
}

int repo_fragment_commit(struct repo *r, const struct fragment *f, struct err *e)
{
	struct fragment copy = *f;
	return repo_transact(r, "commit a fragment", commit_tx, &copy, e);
}

/* ---- find ---- */

static const char *const list_sql[] = {
	[FRAGMENT_ANY_TIME] = "SELECT " COLUMNS " FROM fragment WHERE stream_id = $1 AND number > $2 AND expires_ms > $3"
			      " AND $4 <= $5 ORDER BY number LIMIT $6",
	[FRAGMENT_PRODUCER_TIME] = "SELECT " COLUMNS " FROM fragment WHERE stream_id = $1 AND number > $2 AND expires_ms > $3"
				   " AND producer_ms BETWEEN $4 AND $5 ORDER BY number LIMIT $6",
	[FRAGMENT_SERVER_TIME] = "SELECT " COLUMNS " FROM fragment WHERE stream_id = $1 AND number > $2 AND expires_ms > $3"
				 " AND server_ms BETWEEN $4 AND $5 ORDER BY number LIMIT $6",
};

static int query(struct repo *repo, const char *sql, const struct fragment_query *q, struct fragment *ret, uint32_t max,
		 uint32_t *ret_count, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	uint32_t count = 0;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r == 0)
		r = db_now_ms(c, &now, e);
	if (r == 0)
		r = db_query(c, sql,
			     DB_PARAMS(DB_TEXT(q->stream_id), DB_INT(q->after), DB_INT(now), DB_INT(q->from_ms),
				       DB_INT(q->to_ms), DB_INT(max)),
			     &rows, e);
	while (r >= 0 && (r = db_next(rows, e)) > 0)
		read_row(rows, &ret[count++]);
	if (r == 0)
		*ret_count = count;
	return r;
}

int repo_fragment_list(struct repo *r, const struct fragment_query *q, struct fragment *ret, uint32_t max,
		       uint32_t *ret_count, struct err *e)
{
	return query(r, list_sql[q->time], q, ret, max, ret_count, e);
}

static int one(struct repo *r, const char *sql, const struct fragment_query *q, struct fragment *ret, struct err *e)
{
	uint32_t count = 0;
	int rc = query(r, sql, q, ret, 1, &count, e);
	return rc < 0 || count ? rc : err_set(e, ERR_NOT_FOUND, "there is no such fragment");
}

int repo_fragment_get(struct repo *r, const char *stream_id, int64_t number, struct fragment *ret, struct err *e)
{
	const struct fragment_query q = { .stream_id = stream_id, .after = number - 1, .from_ms = number, .to_ms = number };
	return one(r,
		   "SELECT " COLUMNS " FROM fragment WHERE stream_id = $1 AND number > $2 AND expires_ms > $3"
		   " AND number BETWEEN $4 AND $5 LIMIT $6",
		   &q, ret, e);
}

int repo_fragment_last(struct repo *r, const char *stream_id, struct fragment *ret, struct err *e)
{
	const struct fragment_query q = { .stream_id = stream_id, .after = -1 };
	return one(r,
		   "SELECT " COLUMNS " FROM fragment WHERE stream_id = $1 AND number > $2 AND expires_ms > $3 AND $4 <= $5"
		   " ORDER BY number DESC LIMIT $6",
		   &q, ret, e);
}

/* ---- expire ---- */

int repo_fragments_expired(struct repo *repo, struct expired_fragment *ret, uint32_t max, uint32_t *ret_count, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	uint32_t count = 0;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r == 0)
		r = db_now_ms(c, &now, e);
	if (r == 0)
		r = db_query(c,
			     "SELECT f.stream_id, f.number, s.user_id FROM fragment f JOIN stream s ON s.id = f.stream_id"
			     " WHERE f.expires_ms <= $1 ORDER BY f.expires_ms LIMIT $2",
			     DB_PARAMS(DB_INT(now), DB_INT(max)), &rows, e);
	while (r >= 0 && (r = db_next(rows, e)) > 0) {
		struct expired_fragment *x = &ret[count++];
		repo_copy_text(rows, 0, x->stream_id, sizeof(x->stream_id));
		x->number = db_int(rows, 1);
		repo_copy_text(rows, 2, x->user_id, sizeof(x->user_id));
	}
	if (r == 0)
		*ret_count = count;
	return r;
}

struct forget_tx {
	const struct expired_fragment *list;
	uint32_t count;
};

static int forget_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct forget_tx *t = ctx;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < t->count; i++)
		r = db_exec(c, "DELETE FROM fragment WHERE stream_id = $1 AND number = $2",
			    DB_PARAMS(DB_TEXT(t->list[i].stream_id), DB_INT(t->list[i].number)), NULL, e);
	return r;
}

int repo_fragments_forget(struct repo *r, const struct expired_fragment *list, uint32_t count, struct err *e)
{
	struct forget_tx t = { .list = list, .count = count };
	return repo_transact(r, "forget fragments", forget_tx, &t, e);
}
