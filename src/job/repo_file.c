/* The repository's files: uploads from their first byte to their deletion. Server process (and the janitor wherever it
 * runs). */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "job/analysis.h"
#include "job/keys.h"
#include "job/repo_internal.h"

struct file_rows {
	struct file *items;
	uint32_t count;
};

static void file_rows_release(struct file_rows *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		file_release(&list->items[i]);
	free(list->items);
}
#define _cleanup_file_rows_ MR_CLEANUP(file_rows_release)

/* Gathers the rows, and gives the connection back before anybody is called. */
static int gather(struct repo *repo, const char *sql, const struct db_params *params, struct file_rows *list,
		  struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0)
		return r;
	r = db_query(c, sql, params, &rows, e);
	if (r < 0)
		return r;
	while ((r = db_next(rows, e)) > 0) {
		if (list->count % 16 == 0)
			list->items = mr_reallocarray(list->items, list->count + 16, sizeof(*list->items));
		repo_file_row(rows, &list->items[list->count++]);
	}
	return r;
}

int repo_file_insert(struct db_conn *c, const struct file *f, struct err *e)
{
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	return db_exec(c, "INSERT INTO file (" FILE_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, 0, NULL, $8,"
			  " $8, 0, NULL)",
		       DB_PARAMS(DB_TEXT(f->id), DB_TEXT(f->user_id), DB_TEXT(f->name ? f->name : ""),
				 DB_TEXT(f->content_type ? f->content_type : ""), DB_TEXT(f->key),
				 DB_INT(f->size_bytes), DB_TEXT(f->sha256), DB_INT(now)),
		       NULL, e);
}

static int create_tx(struct db_conn *c, void *ctx, struct err *e)
{
	return repo_file_insert(c, ctx, e);
}

int repo_file_create(struct repo *r, const struct file *f, struct err *e)
{
	struct file borrowed = *f;
	return repo_transact(r, "create a file", create_tx, &borrowed, e);
}

struct ready_tx {
	const char *id;
	uint64_t size;
	const char *sha256, *probe_json;
	const struct analysis_plan *analysis;
};

static int make_analysis(struct db_conn *c, const char *id, uint64_t size, const struct analysis_plan *analysis,
			 struct db_rows *file, int64_t now, struct err *e)
{
	struct job_new n = { .user_id = db_text(file, 0),
			     .kind = JOB_ANALYZE,
			     .file_id = id,
			     .source_key = db_text(file, 1),
			     .source_bytes = size,
			     .prefix = analysis->prefix,
			     .params_json = "{}",
			     .plan = analysis_job_plan(analysis) };
	uuid7_new(n.id);
	return repo_job_insert(c, &n, now, e);
}

int repo_file_make_ready(struct db_conn *c, const char *id, uint64_t size, const char *sha256, const char *probe_json,
			 const struct analysis_plan *analysis, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	r = db_first(c,
		     "UPDATE file SET ready = 1, size_bytes = $2, sha256 = $3, probe_json = $4, updated_ms = $5,"
		     " analysis_state = $6 WHERE id = $1 RETURNING user_id, object_key",
		     DB_PARAMS(DB_TEXT(id), DB_INT(size), DB_TEXT(sha256), DB_TEXT(probe_json), DB_INT(now),
			       DB_INT(analysis ? ANALYSIS_PENDING : ANALYSIS_OFF)),
		     &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no such file");
	return analysis ? make_analysis(c, id, size, analysis, rows, now, e) : 0;
}

static int ready_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct ready_tx *t = ctx;
	return repo_file_make_ready(c, t->id, t->size, t->sha256, t->probe_json, t->analysis, e);
}

int repo_file_ready(struct repo *r, const char *id, uint64_t size, const char *sha256, const char *probe_json,
		    const struct analysis_plan *analysis, struct err *e)
{
	struct ready_tx t = {
		.id = id, .size = size, .sha256 = sha256, .probe_json = probe_json, .analysis = analysis
	};
	return repo_transact(r, "finish a file", ready_tx, &t, e);
}

int repo_file_get(struct repo *repo, const char *user_id, const char *id, struct file *ret, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0)
		return r;
	r = db_first(c, "SELECT " FILE_COLUMNS " FROM file WHERE id = $1", DB_PARAMS(DB_TEXT(id)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0 || (user_id && strcmp(user_id, db_text(rows, 1)) != 0))
		return err_set(e, ERR_NOT_FOUND, "there is no such file");
	repo_file_row(rows, ret);
	return 0;
}

/* "50%" becomes "%50!%%": what LIKE takes for any text with this in it. */
static char *like_pattern(const char *named)
{
	char *pattern = mr_calloc(1, 2 * strlen(named) + 3), *to = pattern;
	*to++ = '%';
	for (const char *s = named; *s; s++) {
		if (strchr("%_!", *s))
			*to++ = '!';
		*to++ = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
	}
	*to = '%';
	return pattern;
}

int repo_file_list(struct repo *repo, const char *user_id, const char *named, uint32_t limit, const char *cursor, repo_file_fn fn,
		   void *ctx, char ret_cursor[64], struct err *e)
{
	int64_t created_ms = INT64_MAX;
	char id[UUID_SIZE] = "~"; /* behind every id */
	if (cursor && *cursor) {
		int r = repo_cursor_parse(cursor, 'f', &created_ms, id, e);
		if (r < 0)
			return r;
	}
	if (limit < 1 || limit > REPO_LIST_MAX)
		limit = limit < 1 ? 1 : REPO_LIST_MAX;
	_cleanup_file_rows_ struct file_rows list = { 0 };
	_cleanup_free_ char *pattern = named && *named ? like_pattern(named) : NULL;
	int r;
	if (user_id && pattern)
		r = gather(repo,
			   "SELECT " FILE_COLUMNS " FROM file WHERE user_id = $1 AND ready = 1 AND (created_ms, id) < ($2, $3)"
			   " AND lower(name) LIKE $5 ESCAPE '!' ORDER BY created_ms DESC, id DESC LIMIT $4",
			   DB_PARAMS(DB_TEXT(user_id), DB_INT(created_ms), DB_TEXT(id), DB_INT(limit + 1), DB_TEXT(pattern)), &list,
			   e);
	else if (user_id)
		r = gather(repo,
			   "SELECT " FILE_COLUMNS " FROM file WHERE user_id = $1 AND ready = 1 AND (created_ms, id) < ($2, $3)"
			   " ORDER BY created_ms DESC, id DESC LIMIT $4",
			   DB_PARAMS(DB_TEXT(user_id), DB_INT(created_ms), DB_TEXT(id), DB_INT(limit + 1)), &list, e);
	else
		r = gather(repo,
			   "SELECT " FILE_COLUMNS " FROM file WHERE ready = 1 AND (created_ms, id) < ($1, $2)"
			   " ORDER BY created_ms DESC, id DESC LIMIT $3",
			   DB_PARAMS(DB_INT(created_ms), DB_TEXT(id), DB_INT(limit + 1)), &list, e);
	if (r < 0)
		return r;
	bool more = list.count > limit;
	uint32_t count = more ? limit : list.count;
	for (uint32_t i = 0; i < count; i++)
		fn(ctx, &list.items[i]);
	ret_cursor[0] = '\0';
	if (more)
		repo_cursor_format('f', list.items[count - 1].created_ms, list.items[count - 1].id, ret_cursor);
	return 0;
}

struct delete_tx {
	const char *user_id, *id;
	char *key;
};

/* Whose it is and whether it has by-products. Not locked: they are the same for ever, or only ever set. */
static int look_up(struct db_conn *c, struct delete_tx *t, char user_id[USER_ID_MAX + 1], bool *ret_analysed, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT user_id, object_key, analysis_state FROM file WHERE id = $1",
			 DB_PARAMS(DB_TEXT(t->id)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0 || (t->user_id && strcmp(t->user_id, db_text(rows, 0)) != 0))
		return err_set(e, ERR_NOT_FOUND, "there is no such file");
	repo_copy_text(rows, 0, user_id, USER_ID_MAX + 1);
	free(t->key);
	t->key = mr_strdup(db_text(rows, 1));
	*ret_analysed = db_int(rows, 2) != ANALYSIS_OFF;
	return 0;
}

/* The object, and the pieces of a resumable upload that isn't joined. Who joins it at this moment may store the object once
 * more before it learns of the end. */
static int doom_objects(struct db_conn *c, const struct delete_tx *t, int64_t now, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT join_due_ms FROM upload WHERE id = $1 AND joined = 0", DB_PARAMS(DB_TEXT(t->id)), &rows, e);
	if (r < 0)
		return r;
	bool arriving = r > 0;
	int64_t lease_ms = arriving ? db_int(rows, 0) : 0;
	db_finish(&rows);
	r = repo_object_doom_at(c, t->key, lease_ms ? now + DOOMED_LATER_MS : now, e);
	if (r < 0 || !arriving)
		return r;
	_cleanup_free_ char *pieces = key_upload_pieces(t->id);
	return repo_object_doom(c, pieces, e);
}

static int check_unused(struct db_conn *c, const char *file_id, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT id FROM file WHERE id = $1" DB_LOCK, DB_PARAMS(DB_TEXT(file_id)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no such file");
	db_finish(&rows);
	r = db_first(c, "SELECT id FROM job WHERE file_id = $1 AND " JOB_IS_OPEN " LIMIT 1", DB_PARAMS(DB_TEXT(file_id)),
		     &rows, e);
	if (r > 0)
		return err_set_code(e, ERR_CONFLICT, "FILE_IN_USE", "job %s reads the file", db_text(rows, 0));
	return r < 0 ? r : 0;
}

/* The analysis goes first, because chunks and jobs are locked before files; if the file stays, so does it. */
static int delete_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct delete_tx *t = ctx;
	char user_id[USER_ID_MAX + 1];
	bool analysed = false;
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0 || (r = look_up(c, t, user_id, &analysed, e)) < 0)
		return r;
	if (analysed)
		r = repo_analysis_drop(c, user_id, t->id, now, e);
	if (r < 0 || (r = check_unused(c, t->id, e)) < 0)
		return r;
	r = doom_objects(c, t, now, e);
	if (r < 0)
		return r;
	return db_exec(c, "DELETE FROM file WHERE id = $1", DB_PARAMS(DB_TEXT(t->id)), NULL, e);
}

int repo_file_delete(struct repo *repo, const char *user_id, const char *id, char **ret_key, struct err *e)
{
	struct delete_tx t = { .user_id = user_id, .id = id };
	int r = repo_transact(repo, "delete a file", delete_tx, &t, e);
	if (r < 0)
		free(t.key);
	else
		*ret_key = t.key;
	return r;
}

int repo_file_stale(struct repo *repo, int64_t age_ms, uint32_t limit, repo_file_fn fn, void *ctx, struct err *e)
{
	_cleanup_file_rows_ struct file_rows list = { 0 };
	/* The age is of days: this machine's clock is near enough to the database's. */
	int r = gather(repo,
		       "SELECT " FILE_COLUMNS " FROM file WHERE ready = 0 AND updated_ms < $1"
		       " ORDER BY updated_ms LIMIT $2",
		       DB_PARAMS(DB_INT(clock_wall_ms() - age_ms), DB_INT(limit)), &list, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < list.count; i++)
		fn(ctx, &list.items[i]);
	return 0;
}

/* ---- objects without a row ---- */

int repo_object_doom(struct db_conn *c, const char *key, struct err *e)
{
	int64_t now;
	int r = db_now_ms(c, &now, e);
	return r < 0 ? r : repo_object_doom_at(c, key, now, e);
}

int repo_object_doom_at(struct db_conn *c, const char *key, int64_t due_ms, struct err *e)
{
	return db_exec(c,
		       "INSERT INTO doomed_object (object_key, doomed_ms) VALUES ($1, $2)"
		       " ON CONFLICT (object_key) DO NOTHING",
		       DB_PARAMS(DB_TEXT(key), DB_INT(due_ms)), NULL, e);
}

struct key_list {
	char **keys;
	uint32_t count;
};

static int gather_keys(struct repo *repo, uint32_t limit, struct key_list *list, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_acquire(repo->db, &c, e);
	if (r < 0)
		return r;
	int64_t now;
	r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	r = db_query(c, "SELECT object_key FROM doomed_object WHERE doomed_ms <= $1 ORDER BY doomed_ms LIMIT $2",
		     DB_PARAMS(DB_INT(now), DB_INT(limit)), &rows, e);
	if (r < 0)
		return r;
	while ((r = db_next(rows, e)) > 0) {
		list->keys = mr_reallocarray(list->keys, list->count + 1, sizeof(*list->keys));
		list->keys[list->count++] = mr_strdup(db_text(rows, 0));
	}
	return r;
}

int repo_objects_doomed(struct repo *repo, uint32_t limit, repo_key_fn fn, void *ctx, struct err *e)
{
	struct key_list list = { 0 };
	int r = gather_keys(repo, limit, &list, e);
	for (uint32_t i = 0; i < list.count; i++) {
		if (r >= 0)
			fn(ctx, list.keys[i]);
		free(list.keys[i]);
	}
	free(list.keys);
	return r;
}

static int gone_tx(struct db_conn *c, void *ctx, struct err *e)
{
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	return db_exec(c, "DELETE FROM doomed_object WHERE object_key = $1 AND doomed_ms <= $2",
		       DB_PARAMS(DB_TEXT((const char *)ctx), DB_INT(now)), NULL, e);
}

int repo_object_gone(struct repo *repo, const char *key, struct err *e)
{
	_cleanup_free_ char *copy = mr_strdup(key);
	return repo_transact(repo, "forget an object", gone_tx, copy, e);
}
