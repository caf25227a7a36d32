/* Where a stream's sliding window for listeners is: repository. In the server process. */
#include <string.h>

#include "job/repo_internal.h"
#include "job/stream.h"

#define COLUMNS "number, frame, discontinuity, media_sequence, discontinuity_sequence"

static int read_mark(struct db_conn *c, const char *stream_id, struct listen_mark *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT " COLUMNS " FROM listen WHERE stream_id = $1", DB_PARAMS(DB_TEXT(stream_id)), &rows, e);
	if (r <= 0)
		return r < 0 ? r : err_set(e, ERR_NOT_FOUND, "nobody has listened to the stream");
	*ret = (struct listen_mark){ .number = db_int(rows, 0),
				     .frame = db_int(rows, 1),
				     .discontinuity = db_int(rows, 2) != 0,
				     .media_sequence = (uint64_t)db_int(rows, 3),
				     .discontinuity_sequence = (uint64_t)db_int(rows, 4) };
	return 0;
}

int repo_listen_get(struct repo *repo, const char *stream_id, struct listen_mark *ret, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int r = db_acquire(repo->db, &c, e);
	return r < 0 ? r : read_mark(c, stream_id, ret, e);
}

struct save_tx {
	const char *stream_id;
	const struct listen_mark *mark;
	struct listen_mark stored;
};

static int save_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct save_tx *t = ctx;
	const struct listen_mark *m = t->mark;
	int r = db_exec(c,
			"INSERT INTO listen (stream_id, " COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6)"
			" ON CONFLICT (stream_id) DO UPDATE SET number = excluded.number, frame = excluded.frame,"
			" discontinuity = excluded.discontinuity, media_sequence = excluded.media_sequence,"
			" discontinuity_sequence = excluded.discontinuity_sequence"
			" WHERE excluded.media_sequence > listen.media_sequence",
			DB_PARAMS(DB_TEXT(t->stream_id), DB_INT(m->number), DB_INT(m->frame), DB_INT(m->discontinuity),
				  DB_INT(m->media_sequence), DB_INT(m->discontinuity_sequence)),
			NULL, e);
	return r < 0 ? r : read_mark(c, t->stream_id, &t->stored, e);
}

int repo_listen_save(struct repo *r, const char *stream_id, const struct listen_mark *m, struct listen_mark *ret, struct err *e)
{
	struct save_tx t = { .stream_id = stream_id, .mark = m };
	int rc = repo_transact(r, "keep where a window is", save_tx, &t, e);
	if (rc == 0)
		*ret = t.stored;
	return rc;
}
