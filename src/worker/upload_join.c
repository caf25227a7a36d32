/* Joining a resumable upload: see upload_join.h. */
#include "worker/upload_join.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "worker/file_probe.h"
#include "worker/worker.h"

#define LEASE_MS 20000
#define PROLONG_EVERY_BYTES (32ull << 20)

int object_remove(struct repo *repo, struct store *store, const char *key, struct err *e)
{
	size_t n = strlen(key);
	int r = n && key[n - 1] == '/' ? store_delete_prefix(store, key, e) : store_delete(store, key, e);
	return r < 0 ? r : repo_object_gone(repo, key, e);
}

int file_remove(struct repo *repo, struct store *store, const char *user_id, const char *id, struct err *e)
{
	_cleanup_free_ char *key = NULL;
	int r = upload_abort_parts(repo, store, user_id, id, e);
	if (r == 0)
		r = repo_file_delete(repo, user_id, id, &key, e);
	return r < 0 || !key ? r : object_remove(repo, store, key, e);
}

struct join {
	const struct upload_join_opts *o;
	char joiner[UUID_SIZE];
	struct resumable upload;
	uint64_t since_prolonged;
};

static int prolong(struct join *j, struct err *e)
{
	struct resumable again;
	j->since_prolonged = 0;
	int r = repo_upload_join_claim(j->o->repo, j->upload.id, j->joiner, LEASE_MS, &again, e);
	if (r == 0)
		resumable_release(&again);
	return r;
}

static int copy_piece(struct join *j, const struct upload_piece *piece, struct store_put *put, struct err *e)
{
	struct store_reader *in;
	struct store_info info;
	if (worker_is_stopping(j->o->worker))
		return err_set(e, ERR_UNAVAILABLE, "the server stops: the upload is joined when it is back");
	int r = store_reader_open(j->o->store, piece->key, &in, &info, e);
	if (r < 0)
		return r;
	if (info.size != piece->bytes)
		r = err_set(e, ERR_INTERNAL, "piece %s has %llu bytes, not %llu", piece->key, (unsigned long long)info.size,
			    (unsigned long long)piece->bytes);
	else
		r = store_put_copy(put, in, e);
	store_reader_close(in);
	j->since_prolonged += piece->bytes;
	return r == 0 && j->since_prolonged >= PROLONG_EVERY_BYTES ? prolong(j, e) : r;
}

static int join_pieces(struct join *j, struct store_info *ret, struct err *e)
{
	struct upload_piece *pieces;
	uint32_t count;
	struct store_put *put;
	int r = repo_upload_pieces(j->o->repo, j->upload.id, &pieces, &count, e);
	if (r < 0)
		return r;
	const char *type = j->upload.content_type[0] ? j->upload.content_type : NULL;
	r = store_put_begin(j->o->store, j->upload.key, type, &put, e);
	for (uint32_t i = 0; r == 0 && i < count; i++) {
		r = copy_piece(j, &pieces[i], put, e);
		if (r < 0)
			store_put_abort(put);
	}
	upload_pieces_free(pieces, count);
	struct store_info info;
	if (r == 0)
		r = store_put_finish(put, NULL, &info, e);
	if (r == 0 && info.size != j->upload.length)
		r = err_set(e, ERR_INTERNAL, "the pieces give %llu bytes of %llu", (unsigned long long)info.size,
			    (unsigned long long)j->upload.length);
	if (r == 0)
		*ret = info;
	return r;
}

/* Of a direct upload. What the store knows nothing of any more was put together by somebody who died before he could say so. */
static int join_parts(struct join *j, struct store_info *ret, struct err *e)
{
	_cleanup_free_ struct store_part *parts = NULL;
	uint32_t count = 0;
	int r = upload_parts(j->o->store, &j->upload, &parts, &count, e);
	if (r == 0)
		r = upload_parts_check(&j->upload, parts, count, e);
	if (r == 0)
		r = store_multipart_complete(j->o->store, j->upload.key, j->upload.multipart_id, parts, count, ret, e);
	if (r == -ERR_NOT_FOUND) {
		err_clear(e);
		r = store_stat(j->o->store, j->upload.key, ret, e);
	}
	if (r == 0 && ret->size != j->upload.length)
		r = err_set(e, ERR_INTERNAL, "the parts give %llu bytes of %llu", (unsigned long long)ret->size,
			    (unsigned long long)j->upload.length);
	return r;
}

static int join(struct join *j, struct err *e)
{
	struct store_info info;
	if (j->upload.length == 0)
		return err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "the file has no bytes");
	int r = *j->upload.multipart_id ? join_parts(j, &info, e) : join_pieces(j, &info, e);
	if (r == 0)
		r = prolong(j, e); /* somebody else may be at it, if that took too long */
	if (r < 0)
		return r;
	struct file_probe p = { 0 };
	r = file_probe_run(j->o->worker, j->upload.user_id, j->upload.id, j->upload.key, info.size, &p, e);
	if (r == 0)
		r = repo_upload_joined(j->o->repo, j->upload.id, j->joiner, info.sha256, p.json, p.wanted, e);
	file_probe_release(&p);
	return r;
}

/* What the file is can't be mended by another try. Only who still holds the lease may say so: another joiner may have made
 * the file ready. */
static bool is_final(struct join *j, const struct err *why)
{
	struct err ignored;
	return (why->kind == ERR_MEDIA || why->kind == ERR_UNSUPPORTED || why->kind == ERR_TOO_LARGE) && prolong(j, &ignored) == 0;
}

/* What can't be removed now is doomed already, and the janitor's. */
static void clean_up(const struct upload_join_opts *o, const char *id, bool file_too)
{
	struct err e = { 0 };
	_cleanup_free_ char *pieces = key_upload_pieces(id);
	if (file_too && file_remove(o->repo, o->store, NULL, id, &e) < 0)
		log_warn("upload_discard_failed", LOG_S("file", id), LOG_E(&e));
	if (object_remove(o->repo, o->store, pieces, &e) < 0)
		log_warn("upload_discard_failed", LOG_S("key", pieces), LOG_E(&e));
}

int upload_join(const struct upload_join_opts *o, const char *id, struct err *e)
{
	struct join j = { .o = o };
	uuid7_new(j.joiner);
	int r = repo_upload_join_claim(o->repo, id, j.joiner, LEASE_MS, &j.upload, e);
	if (r < 0)
		return r;
	struct err why = { 0 };
	r = join(&j, &why);
	if (r < 0)
		log_info("upload_join_failed", LOG_S("file", j.upload.id), LOG_E(&why));
	if (r == 0 || is_final(&j, &why))
		clean_up(o, j.upload.id, r < 0);
	resumable_release(&j.upload);
	return r < 0 ? err_copy(e, &why) : 0;
}
