/* /api/files: upload in one request, record with its probe, list, delete.
 *
 * An upload is streamed into the store while it arrives. Its row is made before the first byte (so that the janitor
 * finds what a crash left behind) and becomes ready only after the object is stored and a task has probed it. Whatever
 * fails removes both. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "job/probe_json.h"
#include "worker/file_probe.h"
#include "worker/upload_join.h"

#define LIST_DEFAULT 50
#define LIST_MAX 500
#define NAMED_MAX_BYTES 200

struct upload {
	struct api *api;
	struct store_put *put;
	struct file file; /* owned strings */
};

json_t *file_json(const struct api *a, const struct file *f, const char *base_url, const char *host)
{
	json_t *probe = f->probe_json ? json_loads(f->probe_json, 0, NULL) : json_null();
	if (json_is_object(probe))
		json_object_set_new(probe, "loudness", analysis_loudness(f));
	/* thousands of numbers, of use to the planner alone */
	(void)json_object_del(json_object_get(probe, "copy"), "keyframes");
	return json_pack("{ss ss ss? sI ss? so so ss so so}", "file_id", f->id, "filename", f->name, "content_type",
			 f->content_type && *f->content_type ? f->content_type : NULL, "size",
			 (json_int_t)f->size_bytes, "sha256", f->sha256[0] ? f->sha256 : NULL, "probe",
			 probe ? probe : json_null(), "analysis", analysis_json(a, f, base_url, host), "status",
			 f->ready ? "ready" : "uploading", "created_at", json_time(f->created_ms), "updated_at",
			 json_time(f->updated_ms));
}

static json_t *shown_to(const struct api *a, struct http_request *req, const struct file *f)
{
	return file_json(a, f, http_request_base_url(req), http_request_host(req));
}

static void upload_free(struct upload *u)
{
	file_release(&u->file);
	free(u);
}

/* Removes what an upload that failed has left. What cannot be removed now is the janitor's. Where its row was deleted while it
 * arrived, nobody else knows of the object any more. */
static void discard(struct upload *u)
{
	struct err e = { 0 };
	int r = file_remove(u->api->o.repo, u->api->o.store, NULL, u->file.id, &e);
	if (r == -ERR_NOT_FOUND)
		r = store_delete(u->api->o.store, u->file.key, &e);
	if (r < 0)
		log_warn("upload_discard_failed", LOG_S("file", u->file.id), LOG_E(&e));
	upload_free(u);
}

static int upload_begin(void *ctx, struct http_request *req, const struct http_upload *up, void **ret_state,
			struct err *e)
{
	struct upload *u = mr_calloc(1, sizeof(*u));
	u->api = ctx;
	struct file *f = &u->file;
	uuid7_new(f->id);
	(void)snprintf(f->user_id, sizeof(f->user_id), "%s", http_request_identity(req)->user);
	f->name = mr_strdup(up->filename ? up->filename : "upload");
	f->content_type = mr_strdup(up->content_type ? up->content_type : "");
	f->key = key_upload(f->user_id, f->id, f->name);
	http_request_log(req, "file", f->id);
	int r = repo_file_create(u->api->o.repo, f, e);
	if (r < 0) {
		upload_free(u);
		return r;
	}
	r = store_put_begin(u->api->o.store, f->key, up->content_type, &u->put, e);
	if (r < 0) {
		discard(u);
		return r;
	}
	*ret_state = u;
	return 0;
}

static int upload_write(void *state, const void *data, size_t len, struct err *e)
{
	struct upload *u = state;
	return store_put_write(u->put, data, len, e);
}

static void upload_abort(void *take_state)
{
	struct upload *u = take_state;
	store_put_abort(mr_steal(u->put));
	discard(u);
}

static int check_probe(const char *json, int (*check)(const struct probe_result *p, struct err *e), struct err *e)
{
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	int r = probe_json_parse(json, probe, e);
	if (r == 0)
		r = check(probe, e);
	probe_result_release(probe);
	free(probe);
	return r;
}

static int probe_and_record(struct upload *u, const struct store_info *info,
			    int (*check)(const struct probe_result *p, struct err *e), struct err *e)
{
	struct api *a = u->api;
	struct file_probe p = { 0 };
	int r = file_probe_run(a->o.worker, u->file.user_id, u->file.id, u->file.key, info->size, &p, e);
	if (r == 0 && check)
		r = check_probe(p.json, check, e);
	if (r == 0)
		r = repo_file_ready(a->o.repo, u->file.id, info->size, info->sha256, p.json, p.wanted, e);
	if (r == 0 && p.wanted)
		bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_WORK });
	file_probe_release(&p);
	return r;
}

int upload_settle(struct api *a, void *take_state, int (*check)(const struct probe_result *p, struct err *e), struct file *ret,
		  struct err *e)
{
	struct upload *u = take_state;
	struct store_info info;
	int r = store_put_finish(mr_steal(u->put), NULL, &info, e);
	if (r == 0 && info.size == 0)
		r = err_set_code(e, ERR_MEDIA, "EMPTY_MEDIA", "the file has no bytes");
	if (r == 0)
		r = probe_and_record(u, &info, check, e);
	if (r == 0)
		r = repo_file_get(a->o.repo, u->file.user_id, u->file.id, ret, e);
	if (r < 0)
		discard(u);
	else
		upload_free(u);
	return r;
}

static int upload_finish(void *ctx, struct http_request *req, void *take_state, struct err *e)
{
	struct api *a = ctx;
	struct file f;
	int r = upload_settle(a, take_state, NULL, &f, e);
	if (r < 0)
		return r;
	http_response_header(req, "Location", http_request_printf(req, "/api/files/%s", f.id));
	r = http_respond_json(req, 201, shown_to(a, req, &f));
	file_release(&f);
	return r;
}

const struct http_sink upload_sink = {
	.begin = upload_begin, .write = upload_write, .finish = upload_finish, .abort = upload_abort
};

struct file_list {
	struct api *api;
	struct http_request *req;
	json_t *files;
};

static void append_file(void *ctx, const struct file *f)
{
	struct file_list *l = ctx;
	json_array_append_new(l->files, shown_to(l->api, l->req, f));
}

int files_list(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	int64_t limit;
	char cursor[64];
	int r = http_request_query_int(req, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit, e);
	if (r < 0)
		return r;
	const char *named = http_request_query(req, "name");
	if (named && strlen(named) > NAMED_MAX_BYTES)
		return err_set(e, ERR_INVALID, "name: at most %d bytes", NAMED_MAX_BYTES);
	struct file_list list = { .api = a, .req = req, .files = json_array() };
	r = repo_file_list(a->o.repo, http_request_identity(req)->user, named, (uint32_t)limit,
			   http_request_query(req, "cursor"), append_file, &list, cursor, e);
	if (r < 0) {
		json_decref(list.files);
		return r;
	}
	return http_respond_json(req, 200, json_pack("{so ss?}", "files", list.files, "cursor", cursor[0] ? cursor : NULL));
}

int files_get(void *ctx, struct http_request *req, struct err *e)
{
	(void)e;
	return http_respond_json(req, 200, shown_to(ctx, req, http_request_resource(req)));
}

/* The source itself, under its own name. */
int files_content(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct file *f = http_request_resource(req);
	if (!f->ready)
		return err_set_code(e, ERR_CONFLICT, "FILE_NOT_READY", "the file has not arrived yet");
	struct http_object_opts opts = { .content_type = f->content_type && *f->content_type ? f->content_type : NULL,
					 .filename = f->name,
					 .attachment = true };
	int r = http_respond_object(req, a->o.store, f->key, &opts, e);
	return r == -ERR_NOT_FOUND ? err_set_code(e, ERR_GONE, "FILE_GONE", "the file is not in the store any more") : r;
}

int files_delete(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct file *f = http_request_resource(req);
	int r = file_remove(a->o.repo, a->o.store, f->user_id, f->id, e);
	if (r == 0 && f->analysis != ANALYSIS_OFF) /* its by-products are the janitor's */
		bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_DOOMED });
	return r < 0 ? r : http_respond_empty(req, 204);
}
