/* /api/direct-uploads: uploads that go from the client straight into the bucket, by pre-signed URLs, a part each.
 * Server process.
 *
 *   create → (parts: URLs; the client PUTs) … → complete: the parts are looked at, put together and probed
 *
 * As with other uploads the id is the file's, which isn't ready until then; what can't be used is refused and removed
 * with it. A URL is good for one part of one length: so no more than was announced can be stored, and nothing that a
 * row doesn't know of. Only where the store is a bucket: a folder's objects have no URLs but this server's. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/fields.h"
#include "http/json.h"
#include "job/keys.h"
#include "worker/upload_join.h"

#define PART_BYTES (8ull << 20)
#define PARTS_ASKED_MAX 100 /* URLs of one answer: some 60 KB */
#define EXPIRES_S 3600
#define NAME_MAX_BYTES 1024
#define TYPE_MAX_BYTES 127
#define URL_MAX 8192

static int no_such_upload(struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is no such upload");
}

int load_direct(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e)
{
	struct api *a = ctx;
	const char *id = http_request_param(req, "id");
	if (!uuid_valid(id))
		return no_such_upload(e);
	struct resumable *u = mr_calloc(1, sizeof(*u));
	int r = repo_upload_get(a->o.repo, who->user, id, u, e);
	if (r < 0) {
		free(u);
		return r;
	}
	if (!*u->multipart_id) {
		unload_upload(ctx, u);
		return no_such_upload(e);
	}
	http_request_log(req, "file", id);
	*ret = u;
	return 0;
}

static json_t *upload_json(const struct resumable *u)
{
	return json_pack("{ss ss sI sI si so}", "upload_id", u->id, "file_id", u->id, "size", (json_int_t)u->length,
			 "part_bytes", (json_int_t)u->part_bytes, "part_count", (int)upload_part_count(u), "expires_at",
			 json_time(u->updated_ms + UPLOAD_LIFETIME_MS));
}

/* ---- create ---- */

struct wish {
	const char *name, *type;
	int64_t bytes;
};

static int read_wish(const struct api *a, const json_t *in, struct wish *w, struct err *e)
{
	static const char *const fields[] = { "filename", "content_type", "size", "user_id", NULL };
	if (json_only_fields(in, fields, e) < 0 ||
	    json_get_string_max(in, "filename", JSON_OPTIONAL, NAME_MAX_BYTES, &w->name, e) < 0 ||
	    json_get_string_max(in, "content_type", JSON_OPTIONAL, TYPE_MAX_BYTES, &w->type, e) < 0 ||
	    json_get_int(in, "size", JSON_REQUIRED, 0, INT64_C(1) << 53, &w->bytes, e) < 0)
		return -ERR_INVALID;
	for (const char *c = w->type; *c; c++)
		if (*c < 0x20 || *c >= 0x7f)
			return err_set(e, ERR_INVALID, "content_type: not what a header can say");
	if (w->bytes == 0)
		return err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "the file has no bytes");
	if ((uint64_t)w->bytes > a->o.max_upload_bytes)
		return err_set(e, ERR_TOO_LARGE, "size: at most %llu bytes", (unsigned long long)a->o.max_upload_bytes);
	return 0;
}

/* The smallest multiple of our usual part that doesn't need more parts than there may be. */
static uint64_t part_bytes_for(uint64_t length)
{
	uint64_t least = (length + STORE_PARTS_MAX - 1) / STORE_PARTS_MAX;
	return (least + PART_BYTES - 1) / PART_BYTES * PART_BYTES;
}

static int begin(struct api *a, const struct file *f, uint64_t length, struct resumable *ret, struct err *e)
{
	char id[STORE_UPLOAD_ID_SIZE];
	struct err ignored = { 0 };
	int r = store_multipart_begin(a->o.store, f->key, *f->content_type ? f->content_type : NULL, id, e);
	if (r < 0)
		return r;
	r = repo_upload_create_direct(a->o.repo, f, length, id, part_bytes_for(length), e);
	if (r < 0 && store_multipart_abort(a->o.store, f->key, id, &ignored) < 0)
		log_warn("upload_discard_failed", LOG_S("key", f->key), LOG_E(&ignored));
	return r < 0 ? r : repo_upload_get(a->o.repo, f->user_id, f->id, ret, e);
}

int direct_create(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct wish w = { .name = "", .type = "" };
	if (!store_has_urls(a->o.store))
		return err_set_code(e, ERR_CONFLICT, "NO_DIRECT_UPLOADS",
				    "this server keeps its objects in a folder, not in a bucket: upload to it, by POST "
				    "/api/uploads or /api/files");
	int r = read_wish(a, http_request_json(req), &w, e);
	if (r < 0)
		return r;
	_cleanup_buf_ struct buf clean;
	buf_init(&clean, NAME_MAX_BYTES);
	bool named = field_filename_clean(w.name, strlen(w.name), &clean);
	struct file f = { .name = mr_strdup(named ? clean.data : "upload"), .content_type = mr_strdup(w.type) };
	uuid7_new(f.id);
	(void)snprintf(f.user_id, sizeof(f.user_id), "%s", http_request_identity(req)->user);
	f.key = key_upload(f.user_id, f.id, f.name);
	http_request_log(req, "file", f.id);
	struct resumable u;
	r = begin(a, &f, (uint64_t)w.bytes, &u, e);
	file_release(&f);
	if (r < 0)
		return r;
	json_t *out = upload_json(&u);
	resumable_release(&u);
	return http_respond_json(req, 201, out);
}

/* ---- under way ---- */

static int gone(struct err *e)
{
	return err_set_code(e, ERR_GONE, "UPLOAD_EXPIRED",
			    "the bucket doesn't have this upload's parts any more: begin anew");
}

int direct_get(void *ctx, struct http_request *req, struct err *e)
{
	const struct api *a = ctx;
	const struct resumable *u = http_request_resource(req);
	_cleanup_free_ struct store_part *parts = NULL;
	uint32_t count = 0;
	int r = u->joined ? 0 : upload_parts(a->o.store, u, &parts, &count, e);
	if (r == -ERR_NOT_FOUND && u->offset == u->length) { /* it is just being put together */
		err_clear(e);
		r = 0;
	}
	if (r < 0)
		return r == -ERR_NOT_FOUND ? gone(e) : r;
	json_t *out = upload_json(u), *list = json_array();
	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(
			list, json_pack("{si sI}", "number", (int)parts[i].number, "size", (json_int_t)parts[i].size));
	json_object_set_new(out, "parts", list);
	json_object_set_new(out, "complete", json_boolean(u->joined));
	return http_respond_json(req, 200, out);
}

static int add_url(const struct api *a, const struct resumable *u, uint32_t number, int64_t now, json_t *list,
		   struct err *e)
{
	char text[12];
	_cleanup_buf_ struct buf url;
	(void)snprintf(text, sizeof(text), "%u", number);
	buf_init(&url, URL_MAX);
	const struct sigv4_pair query[] = { { "partNumber", text }, { "uploadId", u->multipart_id } };
	const struct store_url wanted = { .method = "PUT",
					  .key = u->key,
					  .extra = query,
					  .extra_count = MR_ARRAY_SIZE(query),
					  .signed_at_ms = now,
					  .expires_s = EXPIRES_S,
					  .body_bytes = upload_part_bytes(u, number) };
	int r = store_url(a->o.store, &wanted, &url, e);
	if (r < 0)
		return r;
	json_array_append_new(list, json_pack("{si sI ss}", "number", (int)number, "size",
					      (json_int_t)wanted.body_bytes, "url", url.data));
	return 0;
}

int direct_parts(void *ctx, struct http_request *req, struct err *e)
{
	static const char *const fields[] = { "numbers", "user_id", NULL };
	const struct api *a = ctx;
	const struct resumable *u = http_request_resource(req);
	const json_t *in = http_request_json(req), *item;
	json_t *numbers = NULL;
	size_t i;
	if (json_only_fields(in, fields, e) < 0 ||
	    json_get_array(in, "numbers", JSON_REQUIRED, PARTS_ASKED_MAX, &numbers, e) < 0)
		return -ERR_INVALID;
	if (u->offset == u->length)
		return err_set_code(e, ERR_CONFLICT, "UPLOAD_COMPLETE", "the upload is complete");
	json_t *list = json_array();
	int64_t now = clock_wall_ms();
	int r = 0;
	json_array_foreach(numbers, i, item)
	{
		json_int_t number = json_is_integer(item) ? json_integer_value(item) : 0;
		if (r == 0 && (number < 1 || number > upload_part_count(u)))
			r = err_set(e, ERR_INVALID, "numbers must be whole numbers from 1 to %u", upload_part_count(u));
		if (r == 0)
			r = add_url(a, u, (uint32_t)number, now, list, e);
	}
	if (r < 0) {
		json_decref(list);
		return r;
	}
	return http_respond_json(req, 200, json_pack("{so si}", "parts", list, "expires_in", EXPIRES_S));
}

/* ---- the end ---- */

static int see_parts(const struct api *a, const struct resumable *u, struct err *e)
{
	_cleanup_free_ struct store_part *parts = NULL;
	uint32_t count = 0;
	int r = upload_parts(a->o.store, u, &parts, &count, e);
	if (r == -ERR_NOT_FOUND)
		return gone(e);
	return r < 0 ? r : upload_parts_check(u, parts, count, e);
}

int direct_complete(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct resumable *u = http_request_resource(req);
	const struct upload_join_opts o = { .repo = a->o.repo, .store = a->o.store, .worker = a->o.worker };
	int r = 0;
	if (u->offset < u->length) {
		r = see_parts(a, u, e);
		if (r == 0)
			r = repo_upload_arrived(a->o.repo, u->id, e);
	}
	if (r == 0 && !u->joined) {
		r = upload_join(&o, u->id, e);
		if (r == 0) /* its analysis */
			bus_publish(a->o.bus, &(struct bus_event) { .topic = BUS_WORK });
		/* The janitor, or another request, is at it or has done it: the bytes are safe, and the file says how
		 * far it is. */
		if (r == -ERR_BUSY || r == -ERR_LOST || r == -ERR_NOT_FOUND) {
			err_clear(e);
			r = 0;
		}
	}
	struct file f;
	if (r == 0)
		r = repo_file_get(a->o.repo, u->user_id, u->id, &f, e);
	if (r < 0)
		return r;
	json_t *out = file_json(a, &f, http_request_base_url(req), http_request_host(req));
	unsigned status = f.ready ? 200 : 202;
	file_release(&f);
	return http_respond_json(req, status, out);
}

int direct_delete(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct resumable *u = http_request_resource(req);
	int r = 0;
	if (u->joined)
		r = err_set_code(e, ERR_CONFLICT, "UPLOAD_COMPLETE", "the upload is complete: DELETE /api/files/%s",
				 u->id);
	if (r == 0)
		r = file_remove(a->o.repo, a->o.store, u->user_id, u->id, e);
	return r < 0 ? r : http_respond_empty(req, 204);
}
