/* The repository of streams: create, find, list, change, delete, and who writes. In the server and worker process. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "job/keys.h"
#include "job/repo_internal.h"
#include "job/stream.h"

#define COLUMNS                                                                                                              \
	"id, user_id, name, status, retention_hours, version, media_type, device_name, tags_json, created_ms, epoch,"        \
	" writer_until_ms"
_Static_assert(STREAM_ACTIVE == 1 && STREAM_DELETING == 2, "SQL says the same");

static char *text_or_null(struct db_rows *rows, int column)
{
	const char *s = db_text(rows, column);
	return s ? mr_strdup(s) : NULL;
}

static void read_row(struct db_rows *rows, struct stream *ret)
{
	struct stream s = { .status = (enum stream_status)db_int(rows, 3),
			    .retention_hours = (uint32_t)db_int(rows, 4),
			    .version = db_int(rows, 5),
			    .media_type = text_or_null(rows, 6),
			    .device_name = text_or_null(rows, 7),
			    .tags_json = text_or_null(rows, 8),
			    .created_ms = db_int(rows, 9),
			    .epoch = db_int(rows, 10),
			    .writer_until_ms = db_int(rows, 11) };
	repo_copy_text(rows, 0, s.id, sizeof(s.id));
	repo_copy_text(rows, 1, s.user_id, sizeof(s.user_id));
	repo_copy_text(rows, 2, s.name, sizeof(s.name));
	*ret = s;
}

static int no_such_stream(struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is no such stream");
}

/* ---- create, find ---- */

struct create_tx {
	const char *user_id;
	const struct stream_new *n;
	struct stream made;
};

static int create_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct create_tx *t = ctx;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	char id[UUID_SIZE];
	int64_t now;
	stream_release(&t->made);
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	uuid7_new(id);
	r = db_first(
		c,
		"INSERT INTO stream (id, user_id, name, status, retention_hours, media_type, device_name, tags_json, created_ms)"
		" VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING " COLUMNS,
		DB_PARAMS(DB_TEXT(id), DB_TEXT(t->user_id), DB_TEXT(t->n->name), DB_INT(t->n->retention_hours),
			  DB_TEXT(t->n->media_type), DB_TEXT(t->n->device_name),
			  DB_TEXT(t->n->tags_json ? t->n->tags_json : "{}"), DB_INT(now)),
		&rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set_code(e, ERR_CONFLICT, "STREAM_EXISTS", "the stream %s already exists", t->n->name);
	read_row(rows, &t->made);
	return 0;
}

int repo_stream_create(struct repo *r, const char *user_id, const struct stream_new *n, struct stream *ret, struct err *e)
{
	struct create_tx t = { .user_id = user_id, .n = n };
	int rc = repo_transact(r, "create a stream", create_tx, &t, e);
	if (rc < 0)
		stream_release(&t.made);
	else
		*ret = t.made;
	return rc;
}

int repo_stream_get(struct repo *repo, const char *user_id, const char *name, struct stream *ret, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r == 0)
		r = db_first(c, "SELECT " COLUMNS " FROM stream WHERE name = $1 AND status = 1", DB_PARAMS(DB_TEXT(name)),
			     &rows, e);
	if (r < 0)
		return r;
	if (r == 0 || (user_id && strcmp(user_id, db_text(rows, 1)) != 0))
		return no_such_stream(e);
	read_row(rows, ret);
	return 0;
}

int repo_stream_is_live(struct repo *repo, const char *stream_id, bool *ret, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int64_t now;
	int r = db_acquire(repo->db, &c, e);
	if (r == 0)
		r = db_now_ms(c, &now, e);
	if (r == 0)
		r = db_first(c, "SELECT writer_until_ms FROM stream WHERE id = $1 AND status = 1",
			     DB_PARAMS(DB_TEXT(stream_id)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return no_such_stream(e);
	*ret = db_int(rows, 0) > now;
	return 0;
}

/* ---- lists ---- */

struct stream_rows {
	struct stream *items;
	uint32_t count;
};

/* Rows are gathered before they are handed out, so that a callback may use the repository again. */
static int each(struct repo *repo, const char *sql, const struct db_params *params, repo_stream_fn fn, void *ctx,
		struct err *e)
{
	struct stream_rows list = { 0 };
	{
		_cleanup_db_conn_ struct db_conn *c = NULL;
		_cleanup_db_rows_ struct db_rows *rows = NULL;
		int r = db_acquire(repo->db, &c, e);
		if (r == 0)
			r = db_query(c, sql, params, &rows, e);
		while (r >= 0 && (r = db_next(rows, e)) > 0) {
			if (list.count % 64 == 0)
				list.items = mr_reallocarray(list.items, list.count + 64, sizeof(*list.items));
			read_row(rows, &list.items[list.count++]);
		}
		if (r < 0)
			fn = NULL;
	}
	for (uint32_t i = 0; i < list.count; i++) {
		if (fn)
			fn(ctx, &list.items[i]);
		stream_release(&list.items[i]);
	}
	free(list.items);
	return fn ? 0 : -(int)e->kind;
}

int repo_stream_list(struct repo *r, const char *user_id, const char *prefix, const char *after, uint32_t limit,
		     repo_stream_fn fn, void *ctx, struct err *e)
{
	/* A prefix as a range, which an index can serve: '~' is behind all characters of names. */
	_cleanup_free_ char *end = mr_asprintf("%s~", prefix ? prefix : "");
	return each(r,
		    "SELECT " COLUMNS
		    " FROM stream WHERE status = 1 AND ($1 = '' OR user_id = $1) AND name > $2 AND name >= $3"
		    " AND name < $4 ORDER BY name LIMIT $5",
		    DB_PARAMS(DB_TEXT(user_id ? user_id : ""), DB_TEXT(after ? after : ""), DB_TEXT(prefix ? prefix : ""),
			      DB_TEXT(end), DB_INT(limit)),
		    fn, ctx, e);
}

int repo_streams_doomed(struct repo *r, uint32_t limit, repo_stream_fn fn, void *ctx, struct err *e)
{
	return each(r, "SELECT " COLUMNS " FROM stream WHERE status = 2 ORDER BY created_ms LIMIT $1",
		    DB_PARAMS(DB_INT(limit)), fn, ctx, e);
}

/* ---- change, delete ---- */

struct change_tx {
	const struct stream *s;
	const struct stream_change *to;
};

static int changed_meanwhile(struct err *e)
{
	return err_set_code(e, ERR_CONFLICT, "VERSION_MISMATCH", "the stream has another version by now, or was deleted");
}

static int change_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct change_tx *t = ctx;
	const struct stream_change *to = t->to;
	int64_t changes;
	int r = db_exec(
		c,
		"UPDATE stream SET version = version + 1, retention_hours = CASE WHEN $3 < 0 THEN retention_hours ELSE $3 END,"
		" media_type = COALESCE($4, media_type), device_name = COALESCE($5, device_name),"
		" tags_json = COALESCE($6, tags_json)"
		" WHERE id = $1 AND status = 1 AND ($2 = 0 OR version = $2)",
		DB_PARAMS(DB_TEXT(t->s->id), DB_INT(to->version), DB_INT(to->retention_hours), DB_TEXT(to->media_type),
			  DB_TEXT(to->device_name), DB_TEXT(to->tags_json)),
		&changes, e);
	if (r < 0 || !changes)
		return r < 0 ? r : changed_meanwhile(e);
	if (to->retention_hours < 0)
		return 0;
	int64_t kept_ms = stream_kept_ms((uint32_t)to->retention_hours);
	return db_exec(c, "UPDATE fragment SET expires_ms = server_ms + $2 WHERE stream_id = $1",
		       DB_PARAMS(DB_TEXT(t->s->id), DB_INT(kept_ms)), NULL, e);
}

int repo_stream_change(struct repo *r, const struct stream *s, const struct stream_change *to, struct err *e)
{
	struct change_tx t = { .s = s, .to = to };
	return repo_transact(r, "change a stream", change_tx, &t, e);
}

struct delete_tx {
	const char *id;
	int64_t version;
};

static int delete_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct delete_tx *t = ctx;
	int64_t changes;
	int r = db_exec(c,
			"UPDATE stream SET status = 2, epoch = epoch + 1, writer_until_ms = 0"
			" WHERE id = $1 AND status = 1 AND ($2 = 0 OR version = $2)",
			DB_PARAMS(DB_TEXT(t->id), DB_INT(t->version)), &changes, e);
	return r < 0 || changes ? r : changed_meanwhile(e);
}

int repo_stream_delete(struct repo *r, const struct stream *s, int64_t version, struct err *e)
{
	struct delete_tx t = { .id = s->id, .version = version };
	return repo_transact(r, "delete a stream", delete_tx, &t, e);
}

static int purge_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct stream *s = ctx;
	_cleanup_free_ char *prefix = key_stream(s->user_id, s->id);
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r == 0)
		r = db_exec(c, "DELETE FROM fragment WHERE stream_id = $1", DB_PARAMS(DB_TEXT(s->id)), NULL, e);
	if (r == 0)
		r = db_exec(c, "DELETE FROM listen WHERE stream_id = $1", DB_PARAMS(DB_TEXT(s->id)), NULL, e);
	if (r == 0)
		r = db_exec(c, "DELETE FROM stream WHERE id = $1 AND status = 2", DB_PARAMS(DB_TEXT(s->id)), NULL, e);
	/* A writer that doesn't know yet may be storing one more object. */
	return r < 0 ? r : repo_object_doom_at(c, prefix, now + DOOMED_LATER_MS, e);
}

int repo_stream_purge(struct repo *r, const struct stream *s, struct err *e)
{
	struct stream copy = *s;
	return repo_transact(r, "forget a stream", purge_tx, &copy, e);
}

/* ---- who writes ---- */

struct take_tx {
	const char *id;
	int64_t epoch;
};

static int take_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct take_tx *t = ctx;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r == 0)
		r = db_first(
			c,
			"UPDATE stream SET epoch = epoch + 1, writer_until_ms = $2 WHERE id = $1 AND status = 1 RETURNING epoch",
			DB_PARAMS(DB_TEXT(t->id), DB_INT(now + STREAM_WRITER_MS)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return no_such_stream(e);
	t->epoch = db_int(rows, 0);
	return 0;
}

int repo_stream_take(struct repo *r, const char *stream_id, int64_t *ret_epoch, struct err *e)
{
	struct take_tx t = { .id = stream_id };
	int rc = repo_transact(r, "write a stream", take_tx, &t, e);
	if (rc == 0)
		*ret_epoch = t.epoch;
	return rc;
}

static int leave_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct take_tx *t = ctx;
	return db_exec(c, "UPDATE stream SET writer_until_ms = 0 WHERE id = $1 AND epoch = $2",
		       DB_PARAMS(DB_TEXT(t->id), DB_INT(t->epoch)), NULL, e);
}

int repo_stream_leave(struct repo *r, const char *stream_id, int64_t epoch, struct err *e)
{
	struct take_tx t = { .id = stream_id, .epoch = epoch };
	return repo_transact(r, "leave a stream", leave_tx, &t, e);
}
