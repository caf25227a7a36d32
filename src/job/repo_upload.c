/* The repository's resumable uploads: pieces until they are joined. Server process (and the janitor wherever it runs).
 *
 * Guarantees: offset_bytes is the sum of the pieces that are stored, and it only rises; one writer at a time adds pieces, the
 * last that took the upload; one joiner at a time holds the lease. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/keys.h"
#include "job/repo_internal.h"

#define UPLOAD_COLUMNS                                                                                                    \
	"u.id, f.user_id, f.name, f.content_type, f.object_key, u.metadata, u.length, u.offset_bytes, u.joined," \
	" f.updated_ms, u.multipart_id, u.part_bytes"

void resumable_release(struct resumable *u)
{
	free(u->name);
	free(u->content_type);
	free(u->key);
	free(u->metadata);
	free(u->multipart_id);
	*u = (struct resumable){ 0 };
}

void upload_pieces_free(struct upload_piece *pieces, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		free(pieces[i].key);
	free(pieces);
}

static void upload_row(struct db_rows *rows, struct resumable *ret)
{
	*ret = (struct resumable){ .name = mr_strdup(db_text(rows, 2)),
				   .content_type = mr_strdup(db_text(rows, 3)),
				   .key = mr_strdup(db_text(rows, 4)),
				   .metadata = mr_strdup(db_text(rows, 5)),
				   .length = (uint64_t)db_int(rows, 6),
				   .offset = (uint64_t)db_int(rows, 7),
				   .joined = db_int(rows, 8) != 0,
				   .updated_ms = db_int(rows, 9),
				   .multipart_id = mr_strdup(db_text(rows, 10)),
				   .part_bytes = (uint64_t)db_int(rows, 11) };
	repo_copy_text(rows, 0, ret->id, sizeof(ret->id));
	repo_copy_text(rows, 1, ret->user_id, sizeof(ret->user_id));
}

static int no_such_upload(struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is no such upload");
}

static int load(struct db_conn *c, const char *user_id, const char *id, struct resumable *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT " UPLOAD_COLUMNS " FROM upload u JOIN file f ON f.id = u.id WHERE u.id = $1",
			 DB_PARAMS(DB_TEXT(id)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0 || (user_id && strcmp(user_id, db_text(rows, 1)) != 0))
		return no_such_upload(e);
	upload_row(rows, ret);
	return 0;
}

/* ---- receiving ---- */

struct create_tx {
	const struct file *file;
	uint64_t length;
	const char *metadata, *multipart_id;
	uint64_t part_bytes;
};

static int create_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct create_tx *t = ctx;
	int r = repo_file_insert(c, t->file, e);
	if (r < 0)
		return r;
	return db_exec(c, "INSERT INTO upload (id, length, metadata, multipart_id, part_bytes) VALUES ($1, $2, $3, $4, $5)",
		       DB_PARAMS(DB_TEXT(t->file->id), DB_INT(t->length), DB_TEXT(t->metadata), DB_TEXT(t->multipart_id),
				 DB_INT(t->part_bytes)),
		       NULL, e);
}

int repo_upload_create(struct repo *r, const struct file *f, uint64_t length, const char *metadata, struct err *e)
{
	struct create_tx t = { .file = f, .length = length, .metadata = metadata, .multipart_id = "" };
	return repo_transact(r, "create an upload", create_tx, &t, e);
}

int repo_upload_create_direct(struct repo *r, const struct file *f, uint64_t length, const char *multipart_id,
			      uint64_t part_bytes, struct err *e)
{
	struct create_tx t = {
		.file = f, .length = length, .metadata = "", .multipart_id = multipart_id, .part_bytes = part_bytes
	};
	return repo_transact(r, "create an upload", create_tx, &t, e);
}

static int touch(struct db_conn *c, const char *id, struct err *e)
{
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	return db_exec(c, "UPDATE file SET updated_ms = $2 WHERE id = $1", DB_PARAMS(DB_TEXT(id), DB_INT(now)), NULL, e);
}

static int arrived_tx(struct db_conn *c, void *ctx, struct err *e)
{
	int64_t changes;
	int r = db_exec(c, "UPDATE upload SET offset_bytes = length WHERE id = $1 AND multipart_id <> ''",
			DB_PARAMS(DB_TEXT(ctx)), &changes, e);
	if (r < 0)
		return r;
	return changes ? touch(c, ctx, e) : no_such_upload(e);
}

int repo_upload_arrived(struct repo *repo, const char *id, struct err *e)
{
	char own[UUID_SIZE];
	(void)snprintf(own, sizeof(own), "%s", id);
	return repo_transact(repo, "complete an upload", arrived_tx, own, e);
}

int repo_upload_get(struct repo *repo, const char *user_id, const char *id, struct resumable *ret, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int r = db_acquire(repo->db, &c, e);
	return r < 0 ? r : load(c, user_id, id, ret, e);
}

struct take_tx {
	const char *id, *writer;
	uint64_t offset;
};

static int take_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct take_tx *t = ctx;
	int64_t changes;
	/* Of what is complete the writer is whoever joins it. */
	int r = db_exec(c,
			"UPDATE upload SET writer = CASE WHEN offset_bytes < length THEN $2 ELSE writer END"
			" WHERE id = $1 AND offset_bytes = $3",
			DB_PARAMS(DB_TEXT(t->id), DB_TEXT(t->writer), DB_INT(t->offset)), &changes, e);
	if (r < 0 || changes)
		return r;
	struct resumable now;
	r = load(c, NULL, t->id, &now, e);
	if (r < 0)
		return r;
	uint64_t offset = now.offset;
	resumable_release(&now);
	return err_set_code(e, ERR_CONFLICT, "OFFSET_MISMATCH", "Upload-Offset: the upload has %llu bytes, not %llu",
			    (unsigned long long)offset, (unsigned long long)t->offset);
}

int repo_upload_take(struct repo *r, const char *id, const char *writer, uint64_t offset, struct err *e)
{
	struct take_tx t = { .id = id, .writer = writer, .offset = offset };
	return repo_transact(r, "continue an upload", take_tx, &t, e);
}

struct extend_tx {
	const char *id, *writer;
	const struct upload_piece *pieces;
	uint32_t count;
};

static int insert_pieces(struct db_conn *c, const struct extend_tx *t, int64_t first, struct err *e)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < t->count; i++)
		r = db_exec(c,
			    "INSERT INTO upload_piece (upload_id, idx, object_key, size_bytes) VALUES ($1, $2, $3, $4)",
			    DB_PARAMS(DB_TEXT(t->id), DB_INT(first + i), DB_TEXT(t->pieces[i].key),
				      DB_INT(t->pieces[i].bytes)),
			    NULL, e);
	return r;
}

static int extend_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct extend_tx *t = ctx;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < t->count; i++)
		bytes += t->pieces[i].bytes;
	int64_t first;
	{
		_cleanup_db_rows_ struct db_rows *rows = NULL;
		int r = db_first(c,
				 "UPDATE upload SET offset_bytes = offset_bytes + $3, piece_count = piece_count + $4"
				 " WHERE id = $1 AND writer = $2 RETURNING piece_count",
				 DB_PARAMS(DB_TEXT(t->id), DB_TEXT(t->writer), DB_INT(bytes), DB_INT(t->count)), &rows, e);
		if (r < 0)
			return r;
		if (r == 0)
			return err_set(e, ERR_LOST, "another request has taken the upload over, or it was deleted");
		first = db_int(rows, 0) - (int64_t)t->count;
	}
	int r = insert_pieces(c, t, first, e);
	return r < 0 ? r : touch(c, t->id, e);
}

int repo_upload_extend(struct repo *r, const char *id, const char *writer, const struct upload_piece *pieces, uint32_t count,
		       struct err *e)
{
	struct extend_tx t = { .id = id, .writer = writer, .pieces = pieces, .count = count };
	return repo_transact(r, "extend an upload", extend_tx, &t, e);
}

/* ---- joining ---- */

struct join_tx {
	const char *id, *joiner;
	int64_t lease_ms;
	char found[UUID_SIZE];
	struct resumable upload;
};

/* The one that waits longest for a joiner. */
static int find_due(struct db_conn *c, int64_t now, struct join_tx *t, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c,
			 "SELECT id FROM upload WHERE " UPLOAD_WAITS " ORDER BY join_due_ms LIMIT 1",
			 DB_PARAMS(DB_INT(now)), &rows, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "no upload waits to be joined");
	repo_copy_text(rows, 0, t->found, sizeof(t->found));
	return 0;
}

static int join_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct join_tx *t = ctx;
	int64_t now, changes;
	resumable_release(&t->upload);
	int r = db_now_ms(c, &now, e);
	if (r == 0 && t->id)
		(void)snprintf(t->found, sizeof(t->found), "%s", t->id);
	else if (r == 0)
		r = find_due(c, now, t, e);
	if (r < 0)
		return r;
	r = db_exec(c,
		    "UPDATE upload SET join_due_ms = $2, writer = $4 WHERE id = $1 AND joined = 0 AND offset_bytes = length"
		    " AND (join_due_ms < $3 OR writer = $4)",
		    DB_PARAMS(DB_TEXT(t->found), DB_INT(now + t->lease_ms), DB_INT(now), DB_TEXT(t->joiner)), &changes, e);
	if (r == 0)
		r = load(c, NULL, t->found, &t->upload, e);
	if (r < 0 || changes)
		return r;
	bool joined = t->upload.joined;
	resumable_release(&t->upload);
	return joined ? no_such_upload(e) : err_set(e, ERR_BUSY, "the upload is being put together");
}

int repo_upload_join_claim(struct repo *repo, const char *id, const char *joiner, int64_t lease_ms, struct resumable *ret,
			   struct err *e)
{
	struct join_tx t = { .id = id, .joiner = joiner, .lease_ms = lease_ms };
	int r = repo_transact(repo, "join an upload", join_tx, &t, e);
	if (r < 0)
		resumable_release(&t.upload);
	else
		*ret = t.upload;
	return r;
}

int repo_upload_pieces(struct repo *repo, const char *id, struct upload_piece **ret, uint32_t *ret_count, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	struct upload_piece *list = NULL;
	uint32_t count = 0;
	int r = db_acquire(repo->db, &c, e);
	if (r == 0)
		r = db_query(c, "SELECT object_key, size_bytes FROM upload_piece WHERE upload_id = $1 ORDER BY idx",
			     DB_PARAMS(DB_TEXT(id)), &rows, e);
	while (r >= 0 && (r = db_next(rows, e)) > 0) {
		if (count % 64 == 0)
			list = mr_reallocarray(list, count + 64, sizeof(*list));
		list[count++] = (struct upload_piece){ .key = mr_strdup(db_text(rows, 0)), .bytes = (uint64_t)db_int(rows, 1) };
	}
	if (r < 0) {
		upload_pieces_free(list, count);
		return r;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

struct joined_tx {
	const char *id, *joiner, *sha256, *probe_json;
	const struct analysis_plan *analysis;
};

/* Deleted, or somebody else's: a joiner whose lease ran out may be slow rather than dead. */
static int not_ours(struct db_conn *c, const char *id, struct err *e)
{
	struct resumable now;
	int r = load(c, NULL, id, &now, e);
	if (r < 0)
		return r;
	resumable_release(&now);
	return err_set(e, ERR_LOST, "somebody else joins the upload, or has joined it");
}

static int joined_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const struct joined_tx *t = ctx;
	_cleanup_free_ char *pieces = key_upload_pieces(t->id);
	uint64_t length;
	{
		_cleanup_db_rows_ struct db_rows *rows = NULL;
		int r = db_first(c,
				 "UPDATE upload SET joined = 1, writer = ''"
				 " WHERE id = $1 AND joined = 0 AND writer = $2 RETURNING length",
				 DB_PARAMS(DB_TEXT(t->id), DB_TEXT(t->joiner)), &rows, e);
		if (r <= 0)
			return r < 0 ? r : not_ours(c, t->id, e);
		length = (uint64_t)db_int(rows, 0);
	}
	int r = db_exec(c, "DELETE FROM upload_piece WHERE upload_id = $1", DB_PARAMS(DB_TEXT(t->id)), NULL, e);
	if (r == 0)
		r = repo_object_doom(c, pieces, e);
	return r < 0 ? r : repo_file_make_ready(c, t->id, length, t->sha256, t->probe_json, t->analysis, e);
}

int repo_upload_joined(struct repo *r, const char *id, const char *joiner, const char *sha256, const char *probe_json,
		       const struct analysis_plan *analysis, struct err *e)
{
	struct joined_tx t = {
		.id = id, .joiner = joiner, .sha256 = sha256, .probe_json = probe_json, .analysis = analysis
	};
	return repo_transact(r, "finish an upload", joined_tx, &t, e);
}
