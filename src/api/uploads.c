/* /api/uploads: resumable uploads as tus 1.0 has them (https://tus.io/protocols/resumable-upload, "the protocol" here), with its
 * extensions creation, creation-with-upload, expiration, checksum and termination. Server process.
 *
 * An upload is a file that isn't ready: its id is the file's. What a PATCH brings is cut into pieces, each stored under a key
 * of its own and then added to the upload's rows; the offset that a client is told is what is stored and added, so it never
 * falls, whatever dies. When the last byte is there, the pieces are joined and probed (worker/upload_join.h) before the answer.
 *
 * Locks can't go stale: whoever asks last at the right offset is the writer, and what an earlier request, on a connection
 * that hangs, still wants to add is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/fields.h"
#include "job/keys.h"
#include "net/digest.h"
#include "worker/upload_join.h"

#define TUS_VERSION "1.0.0"
#define TUS_EXTENSIONS "creation,creation-with-upload,expiration,checksum,termination"
#define TUS_CHECKSUMS "sha1,sha256,md5"
#define TUS_TYPE "application/offset+octet-stream"
#define PIECE_BYTES (8u << 20) /* what a crash of the server costs a client at most */
#define PIECES_UNVERIFIED_MAX 4096 /* of one PATCH with a checksum: they count when all of it has come */
#define TYPE_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/+-.;= "
#define LENGTH_MAX (UINT64_C(1) << 53) /* what a client's JavaScript can count */

/* One PATCH, or the body of a POST. */
struct transfer {
	struct api *api;
	struct resumable upload; /* owned; offset: of the next byte that comes */
	char writer[UUID_SIZE];
	struct store_put *put; /* the piece that is arriving */
	char *put_key;
	uint64_t put_bytes;
	struct upload_piece *pieces; /* stored, not added yet */
	uint32_t piece_count;
	bool created; /* by this request */
	struct digest_stream *digest; /* of this body; NULL: no checksum was given */
	uint8_t expected[DIGEST_MAX_BYTES];
	size_t expected_bytes;
};

/* ---- headers ---- */

/* The protocol: every answer says its version, every request too. */
static int check_version(struct http_request *req, struct err *e)
{
	const char *version = http_request_header(req, "Tus-Resumable");
	http_response_header(req, "Tus-Resumable", TUS_VERSION);
	if (version && strcmp(version, TUS_VERSION) == 0)
		return 0;
	http_response_header(req, "Tus-Version", TUS_VERSION);
	return err_set_code(e, ERR_INVALID, "TUS_VERSION", "Tus-Resumable: expected " TUS_VERSION);
}

static int header_number(struct http_request *req, const char *name, uint64_t *ret, struct err *e)
{
	const char *text = http_request_header(req, name);
	size_t n = text ? strlen(text) : 0;
	if (n < 1 || n > 16 || strspn(text, "0123456789") != n)
		return err_set(e, ERR_INVALID, "%s: expected a number of bytes", name);
	uint64_t v = strtoull(text, NULL, 10);
	if (v > LENGTH_MAX)
		return err_set(e, ERR_TOO_LARGE, "%s: too large", name);
	*ret = v;
	return 0;
}

/* Upload-Checksum: algorithm, a blank, the digest in base64. */
static int read_checksum(struct transfer *t, struct http_request *req, struct err *e)
{
	const char *text = http_request_header(req, "Upload-Checksum");
	if (!text)
		return 0;
	char algorithm[16];
	size_t n = strcspn(text, " ");
	(void)snprintf(algorithm, sizeof(algorithm), "%.*s", (int)(n < sizeof(algorithm) ? n : sizeof(algorithm) - 1), text);
	t->digest = digest_stream_new(algorithm);
	if (!t->digest || !text[n])
		return err_set_code(e, ERR_INVALID, "UNSUPPORTED_CHECKSUM",
				    "Upload-Checksum: expected one of " TUS_CHECKSUMS " and the digest in base64");
	_cleanup_buf_ struct buf raw;
	buf_init(&raw, DIGEST_MAX_BYTES);
	if (!base64_decode(&raw, text + n + 1, strlen(text + n + 1)) || raw.len == 0)
		return err_set(e, ERR_INVALID, "Upload-Checksum: the digest isn't base64");
	memcpy(t->expected, raw.data, raw.len);
	t->expected_bytes = raw.len;
	return 0;
}

/* The value of `key` in Upload-Metadata ("name base64, name base64…"), decoded into `out`. */
static bool metadata_find(const char *metadata, const char *key, struct buf *out)
{
	size_t key_len = strlen(key);
	for (const char *at = metadata; *at;) {
		at += strspn(at, " ,");
		size_t n = strcspn(at, ",");
		size_t name = strcspn(at, " ,");
		if (name == key_len && strncmp(at, key, name) == 0 && name + 1 < n)
			return base64_decode(out, at + name + 1, n - name - 1) && utf8_valid(out->data, out->len);
		at += n;
	}
	return false;
}

static char *metadata_name(const char *metadata)
{
	_cleanup_buf_ struct buf raw, clean;
	buf_init(&raw, 4096);
	buf_init(&clean, 1024);
	bool found = metadata_find(metadata, "filename", &raw) || (buf_clear(&raw), metadata_find(metadata, "name", &raw));
	return mr_strdup(found && field_filename_clean(raw.data, raw.len, &clean) ? clean.data : "upload");
}

static char *metadata_type(const char *metadata)
{
	_cleanup_buf_ struct buf raw;
	buf_init(&raw, 256);
	bool found = metadata_find(metadata, "filetype", &raw) || (buf_clear(&raw), metadata_find(metadata, "type", &raw));
	bool plain = found && raw.len > 0 && raw.len < 128 && strspn(raw.data, TYPE_CHARACTERS) == raw.len;
	return mr_strdup(plain ? raw.data : "");
}

static void tell_progress(struct http_request *req, const struct resumable *u)
{
	http_response_header(req, "Upload-Offset", http_request_printf(req, "%llu", (unsigned long long)u->offset));
	if (u->joined)
		return;
	char date[HTTP_DATE_SIZE];
	field_date_format((u->updated_ms ? u->updated_ms : clock_wall_ms()) + UPLOAD_LIFETIME_MS, date);
	http_response_header(req, "Upload-Expires", date);
}

/* ---- a body ---- */

static void transfer_free(struct transfer *t)
{
	upload_pieces_free(t->pieces, t->piece_count);
	digest_stream_free(t->digest);
	resumable_release(&t->upload);
	free(t->put_key);
	free(t);
}

/* What was stored but doesn't count. Best effort: the whole folder goes with the upload. */
static void drop_pieces(struct transfer *t)
{
	struct err ignored = { 0 };
	if (t->put)
		store_put_abort(mr_steal(t->put));
	for (uint32_t i = 0; i < t->piece_count; i++)
		if (store_delete(t->api->o.store, t->pieces[i].key, &ignored) < 0)
			log_warn("upload_discard_failed", LOG_S("key", t->pieces[i].key), LOG_E(&ignored));
	upload_pieces_free(t->pieces, t->piece_count);
	t->pieces = NULL;
	t->piece_count = 0;
}

/* The pieces that are stored become part of the upload. */
static int add_pieces(struct transfer *t, struct err *e)
{
	if (t->piece_count == 0)
		return 0;
	int r = repo_upload_extend(t->api->o.repo, t->upload.id, t->writer, t->pieces, t->piece_count, e);
	if (r == -ERR_LOST)
		r = err_set_code(e, ERR_CONFLICT, "UPLOAD_TAKEN_OVER", "another request goes on with this upload");
	if (r < 0)
		return r;
	upload_pieces_free(t->pieces, t->piece_count);
	t->pieces = NULL;
	t->piece_count = 0;
	t->upload.updated_ms = 0;
	return 0;
}

static int end_piece(struct transfer *t, struct err *e)
{
	if (!t->put)
		return 0;
	int r = store_put_finish(mr_steal(t->put), NULL, NULL, e);
	if (r < 0)
		return r;
	t->pieces = mr_reallocarray(t->pieces, t->piece_count + 1, sizeof(*t->pieces));
	char *key = mr_steal(t->put_key);
	t->pieces[t->piece_count++] = (struct upload_piece){ .key = key, .bytes = t->put_bytes };
	if (t->digest && t->piece_count >= PIECES_UNVERIFIED_MAX)
		return err_set(e, ERR_TOO_LARGE, "a request with Upload-Checksum is larger than %llu bytes",
			       (unsigned long long)PIECES_UNVERIFIED_MAX * PIECE_BYTES);
	return t->digest ? 0 : add_pieces(t, e);
}

static int begin_piece(struct transfer *t, struct err *e)
{
	free(t->put_key);
	t->put_key = key_upload_piece(t->upload.id, t->upload.offset, t->writer);
	t->put_bytes = 0;
	return store_put_begin(t->api->o.store, t->put_key, NULL, &t->put, e);
}

static int transfer_write(void *state, const void *data, size_t len, struct err *e)
{
	struct transfer *t = state;
	const char *from = data;
	if (len > t->upload.length - t->upload.offset)
		return err_set(e, ERR_TOO_LARGE, "more bytes than Upload-Length: %llu", (unsigned long long)t->upload.length);
	if (t->digest)
		digest_stream_update(t->digest, data, len);
	int r = 0;
	while (r == 0 && len > 0) {
		if (!t->put)
			r = begin_piece(t, e);
		if (r < 0)
			return r;
		size_t room = PIECE_BYTES - (size_t)t->put_bytes, n = len < room ? len : room;
		r = store_put_write(t->put, from, n, e);
		if (r < 0)
			return r;
		from += n;
		len -= n;
		t->put_bytes += n;
		t->upload.offset += n;
		if (t->put_bytes == PIECE_BYTES)
			r = end_piece(t, e);
	}
	return r;
}

/* The client has gone in mid-body: what has come counts, unless its checksum was to be seen first. */
static void transfer_abort(void *take_state)
{
	struct transfer *t = take_state;
	struct err e = { 0 };
	if (t->digest || end_piece(t, &e) < 0)
		drop_pieces(t);
	transfer_free(t);
}

static int verify(struct transfer *t, struct err *e)
{
	uint8_t sum[DIGEST_MAX_BYTES];
	if (!t->digest)
		return 0;
	size_t n = digest_stream_final(mr_steal(t->digest), sum);
	if (n == t->expected_bytes && digest_equal(sum, t->expected, n))
		return 0;
	return err_set_code(e, ERR_INVALID, "UPLOAD_CHECKSUM_MISMATCH",
			    "Upload-Checksum: the body has another digest; it was dropped");
}

static int complete(struct transfer *t, struct err *e)
{
	const struct api *a = t->api;
	const struct upload_join_opts o = { .repo = a->o.repo, .store = a->o.store, .worker = a->o.worker };
	int r = upload_join(&o, t->upload.id, e);
	if (r == 0) /* its analysis */
		bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_WORK });
	/* The janitor, or a request that came before, is at it or has done it: the bytes are safe. */
	return r == -ERR_BUSY || r == -ERR_NOT_FOUND || r == -ERR_LOST ? 0 : r;
}

static int transfer_finish(void *ctx, struct http_request *req, void *take_state, struct err *e)
{
	(void)ctx;
	struct transfer *t = take_state;
	int r = end_piece(t, e);
	if (r == 0)
		r = verify(t, e);
	if (r == 0)
		r = add_pieces(t, e);
	if (r < 0)
		drop_pieces(t);
	if (r == 0 && t->upload.offset == t->upload.length)
		r = complete(t, e);
	if (r == 0) {
		tell_progress(req, &t->upload);
		r = http_respond_empty(req, t->created ? 201 : 204);
	}
	transfer_free(t);
	return r;
}

/* ---- PATCH ---- */

static int patch_begin(void *ctx, struct http_request *req, const struct http_upload *up, void **ret_state, struct err *e)
{
	const struct resumable *found = http_request_resource(req);
	uint64_t offset;
	int r = check_version(req, e);
	if (r < 0)
		return r;
	if (!field_is_type(http_request_header(req, "Content-Type"), TUS_TYPE))
		return err_set(e, ERR_UNSUPPORTED, "Content-Type: expected " TUS_TYPE);
	r = header_number(req, "Upload-Offset", &offset, e);
	if (r == 0 && up->length > 0 && (uint64_t)up->length > found->length - (offset < found->length ? offset : found->length))
		r = err_set(e, ERR_TOO_LARGE, "more bytes than Upload-Length: %llu", (unsigned long long)found->length);
	if (r < 0)
		return r;
	struct api *a = ctx;
	struct transfer *t = mr_calloc(1, sizeof(*t));
	t->api = a;
	uuid7_new(t->writer);
	r = read_checksum(t, req, e);
	if (r == 0)
		r = repo_upload_take(a->o.repo, found->id, t->writer, offset, e);
	if (r == 0)
		r = repo_upload_get(a->o.repo, NULL, found->id, &t->upload, e);
	if (r < 0) {
		transfer_free(t);
		return r;
	}
	*ret_state = t;
	return 0;
}

const struct http_sink uploads_patch_sink = { .begin = patch_begin,
					      .write = transfer_write,
					      .finish = transfer_finish,
					      .abort = transfer_abort,
					      .write_rest = true };

/* ---- POST ---- */

static int create(struct transfer *t, struct http_request *req, uint64_t length, struct err *e)
{
	const char *metadata = http_request_header(req, "Upload-Metadata");
	struct file f = { .name = metadata_name(metadata ? metadata : ""),
			  .content_type = metadata_type(metadata ? metadata : "") };
	uuid7_new(f.id);
	(void)snprintf(f.user_id, sizeof(f.user_id), "%s", http_request_identity(req)->user);
	f.key = key_upload(f.user_id, f.id, f.name);
	http_request_log(req, "file", f.id);
	int r = repo_upload_create(t->api->o.repo, &f, length, metadata ? metadata : "", e);
	if (r == 0)
		r = repo_upload_take(t->api->o.repo, f.id, t->writer, 0, e);
	if (r == 0)
		r = repo_upload_get(t->api->o.repo, NULL, f.id, &t->upload, e);
	if (r == 0)
		http_response_header(req, "Location",
				     http_request_printf(req, "%s/api/uploads/%s", http_request_base_url(req), f.id));
	file_release(&f);
	return r;
}

static int create_begin(void *ctx, struct http_request *req, const struct http_upload *up, void **ret_state, struct err *e)
{
	struct api *a = ctx;
	uint64_t length = 0;
	int r = check_version(req, e);
	if (r == 0 && http_request_header(req, "Upload-Concat"))
		r = err_set(e, ERR_INVALID, "Upload-Concat: concatenation is not supported");
	if (r == 0)
		r = header_number(req, "Upload-Length", &length, e);
	if (r == 0 && length > a->o.max_upload_bytes)
		r = err_set(e, ERR_TOO_LARGE, "Upload-Length: at most %llu bytes", (unsigned long long)a->o.max_upload_bytes);
	if (r == 0 && up->length > 0 && (uint64_t)up->length > length)
		r = err_set(e, ERR_TOO_LARGE, "more bytes than Upload-Length: %llu", (unsigned long long)length);
	if (r == 0 && up->length != 0 && !field_is_type(http_request_header(req, "Content-Type"), TUS_TYPE))
		r = err_set(e, ERR_UNSUPPORTED, "Content-Type: expected " TUS_TYPE);
	if (r < 0)
		return r;
	struct transfer *t = mr_calloc(1, sizeof(*t));
	t->api = a;
	t->created = true;
	uuid7_new(t->writer);
	r = read_checksum(t, req, e);
	if (r == 0)
		r = create(t, req, length, e);
	if (r < 0) {
		transfer_free(t);
		return r;
	}
	*ret_state = t;
	return 0;
}

const struct http_sink uploads_create_sink = { .begin = create_begin,
					       .write = transfer_write,
					       .finish = transfer_finish,
					       .abort = transfer_abort,
					       .write_rest = true };

/* ---- HEAD, DELETE, OPTIONS ---- */

int uploads_head(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	const struct resumable *u = http_request_resource(req);
	int r = check_version(req, e);
	if (r < 0)
		return r;
	tell_progress(req, u);
	http_response_header(req, "Upload-Length", http_request_printf(req, "%llu", (unsigned long long)u->length));
	if (*u->metadata)
		http_response_header(req, "Upload-Metadata", u->metadata);
	return http_respond_empty(req, 200);
}

/* Ends an upload, at whatever offset. A file that is ready is deleted as a file, not as an upload. */
int uploads_delete(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct resumable *u = http_request_resource(req);
	int r = check_version(req, e);
	if (r == 0 && u->joined)
		r = err_set_code(e, ERR_CONFLICT, "UPLOAD_COMPLETE", "the upload is complete: DELETE /api/files/%s", u->id);
	if (r == 0)
		r = file_remove(a->o.repo, a->o.store, u->user_id, u->id, e);
	if (r < 0)
		return r;
	bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_DOOMED }); /* its pieces */
	return http_respond_empty(req, 204);
}

int uploads_options(void *ctx, struct http_request *req, struct err *e)
{
	(void)e;
	const struct api *a = ctx;
	http_response_header(req, "Tus-Resumable", TUS_VERSION);
	http_response_header(req, "Tus-Version", TUS_VERSION);
	http_response_header(req, "Tus-Extension", TUS_EXTENSIONS);
	http_response_header(req, "Tus-Checksum-Algorithm", TUS_CHECKSUMS);
	http_response_header(req, "Tus-Max-Size",
			     http_request_printf(req, "%llu", (unsigned long long)a->o.max_upload_bytes));
	return http_respond_empty(req, 204);
}

int load_upload(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e)
{
	struct api *a = ctx;
	const char *id = http_request_param(req, "id");
	if (!uuid_valid(id))
		return err_set(e, ERR_NOT_FOUND, "there is no such upload");
	struct resumable *u = mr_calloc(1, sizeof(*u));
	int r = repo_upload_get(a->o.repo, who->user, id, u, e);
	if (r < 0) {
		free(u);
		return r;
	}
	if (*u->multipart_id) { /* the protocol knows no such upload: uploads_direct.c */
		unload_upload(ctx, u);
		return err_set(e, ERR_NOT_FOUND, "there is no such upload");
	}
	http_request_log(req, "file", id);
	*ret = u;
	return 0;
}

void unload_upload(void *ctx, void *upload)
{
	(void)ctx;
	resumable_release(upload);
	free(upload);
}
