/* /api/jobs: create, show, list, cancel or delete, retry. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "job/keys.h"
#include "job/plan.h"
#include "job/presentation.h"
#include "job/probe_json.h"
#include "net/digest.h"

#define LIST_DEFAULT 50
#define LIST_MAX 500
#define URL_EXPIRES_MIN_S 3600
#define URL_EXPIRES_MAX_S 86400
#define IDEMPOTENCY_KEY_MAX 255

/* How long a player may need the URLs: what remains to be made and twice the length, from an hour to a day. */
static uint32_t url_expires_s(const struct job *j)
{
	double length_s = (double)j->duration_ticks / VIDEO_TIMESCALE;
	double remaining_s = job_status_is_final(j->status) ? 0 : j->eta_seconds > 0 ? j->eta_seconds : length_s;
	double s = remaining_s + 2 * length_s;
	return s < URL_EXPIRES_MIN_S ? URL_EXPIRES_MIN_S : s > URL_EXPIRES_MAX_S ? URL_EXPIRES_MAX_S : (uint32_t)s;
}

/* A fresh signed address of one of the job's playlists; null where there is none. */
static json_t *hls_url(const struct api *a, const struct job *j, bool exists, const char *name, const char *base_url,
		       const char *host)
{
	if (!exists)
		return json_null();
	_cleanup_buf_ struct buf url;
	buf_init(&url, 4096);
	_cleanup_free_ char *path = mr_asprintf("/hls/%s/%s", j->id, name);
	if (!buf_puts(&url, base_url) ||
	    signer_presign(a->o.signer, "GET", host, path, clock_wall_ms(), url_expires_s(j), &url, NULL) < 0)
		return json_null();
	return json_string(url.data);
}

static json_t *error_json(const struct job *j)
{
	if (!j->error_message)
		return json_null();
	return json_pack("{ss ss sb}", "code", j->error_code, "message", j->error_message, "retriable",
			 (int)j->error_retriable);
}

/* Enough for people, and stable text: 42.5, not 42.499999999999996. Rounded down, so that 100 is said by completion
 * alone. */
static double tenths(double v)
{
	return (double)(int64_t)(v * 10) / 10;
}

json_t *job_json(const struct api *a, const struct job *j, const char *base_url, const char *host)
{
	json_t *progress = json_pack("{sf ss so so}", "percent", tenths(j->percent), "stage", j->stage, "speed",
				     j->speed > 0 ? json_real(tenths(j->speed)) : json_null(), "eta_seconds",
				     j->eta_seconds >= 0 ? json_real(tenths(j->eta_seconds)) : json_null());
	const bool narration = j->kind == JOB_NARRATION;
	bool plays = j->published_segments && j->status != JOB_CANCELED && narration_streams(j);
	json_t *streaming = json_pack(
		"{sb so so sI so so}", "enabled", (int)(j->kind == JOB_LADDER || narration), "playlist_url",
		hls_url(a, j, plays, narration ? KEY_PLAYLIST : KEY_MASTER, base_url, host), "dash_url",
		hls_url(a, j, presentation_has_manifest(j), KEY_MANIFEST, base_url, host), "segments_completed",
		(json_int_t)j->published_segments, "segments_total",
		j->kind == JOB_LADDER || (narration && j->ended) ? json_integer(j->segment_count) : json_null(), "started_at",
		json_time(j->streaming_ms));
	json_t *params = json_loads(j->params_json, 0, NULL);
	json_t *o = json_pack(
		"{ss ss ss ss ss? ss? so so so so s{sb sn sb} si sn so so so so so sn so}", "job_id", j->id, "user_id",
		j->user_id, "kind", job_kind_name(j->kind), "status", job_status_name(j->status), "file_id",
		j->file_id[0] ? j->file_id : NULL, "filename",
		j->source_name && *j->source_name ? j->source_name : NULL, "params", params ? params : json_object(),
		"duration", json_real((double)j->duration_ticks / VIDEO_TIMESCALE), "progress", progress, "streaming",
		streaming, "download", "available", 0, "url", "downloaded", 0, "generation_attempt",
		(int)j->generation_attempt, "tts_cache_key", "created_at", json_time(j->created_ms), "updated_at",
		json_time(j->updated_ms), "started_at", json_time(j->started_ms), "finished_at",
		json_time(j->finished_ms), "expires_at", json_time(j->expires_ms), "result", "error", error_json(j));
	if (o && j->kind == JOB_CONVERT)
		conversion_json(a, j, base_url, host, o);
	if (o && narration)
		narration_json(a, j, base_url, host, o);
	return o;
}

static int respond(struct api *a, struct http_request *req, unsigned status, const struct job *j)
{
	http_response_header(req, "Location", http_request_printf(req, "/api/jobs/%s", j->id));
	return http_respond_json(req, status, job_json(a, j, http_request_base_url(req), http_request_host(req)));
}

/* The request's file, ready and the caller's. */
int source_file(struct api *a, struct http_request *req, const char *file_id, struct file *ret, struct err *e)
{
	if (!uuid_valid(file_id))
		return err_set(e, ERR_INVALID, "file_id: \"%.40s\" is not the id of a file", file_id);
	int r = repo_file_get(a->o.repo, http_request_identity(req)->user, file_id, ret, e);
	if (r < 0)
		return r;
	if (ret->ready)
		return 0;
	file_release(ret);
	return err_set_code(e, ERR_CONFLICT, "FILE_NOT_READY", "the file is still arriving");
}

static int ladder_of(const struct file *f, const json_t *params, struct ladder_plan *ret, struct err *e)
{
	struct ladder_params p;
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	_cleanup_free_ char *text = params ? json_dumps(params, JSON_COMPACT) : NULL;
	int r = ladder_params_parse(text, &p, e);
	if (r == 0)
		r = probe_json_parse(f->probe_json, probe, e);
	if (r == 0)
		r = ladder_plan(probe, &p, ret, e);
	probe_result_release(probe);
	free(probe);
	return r;
}

static int read_repeatable(struct http_request *req, struct repeatable *ret, struct err *e)
{
	const char *key = http_request_header(req, "Idempotency-Key");
	if (key && (!*key || strlen(key) > IDEMPOTENCY_KEY_MAX))
		return err_set(e, ERR_INVALID, "Idempotency-Key: expected 1 to %d characters", IDEMPOTENCY_KEY_MAX);
	size_t body_len;
	const char *body = http_request_body(req, &body_len);
	ret->key = key;
	sha256_hex(body, body_len, ret->hash);
	return 0;
}

static int create_ladder(struct api *a, struct http_request *req, const struct file *f, const json_t *params,
			 const struct repeatable *rep, struct job *ret, struct err *e)
{
	struct ladder_plan plan;
	int r = ladder_of(f, params, &plan, e);
	if (r < 0)
		return r;
	struct job_new n = job_new_for(f, JOB_LADDER, rep);
	_cleanup_free_ char *prefix = key_job_prefix(n.kind, n.user_id, n.id);
	_cleanup_free_ char *params_json = ladder_params_format(&plan.params);
	n.prefix = prefix;
	n.params_json = params_json;
	n.plan = ladder_job_plan(&plan);
	r = job_create(a, req, &n, ret, e);
	ladder_plan_release(&plan);
	return r;
}

struct job_new job_new_for(const struct file *f, enum job_kind kind, const struct repeatable *rep)
{
	struct job_new n = { .user_id = f->user_id,
			     .kind = kind,
			     .file_id = f->id,
			     .source_key = f->key,
			     .source_bytes = f->size_bytes,
			     .source_name = f->name,
			     .idempotency_key = rep->key,
			     .request_hash = rep->hash };
	uuid7_new(n.id);
	return n;
}

int job_create(struct api *a, struct http_request *req, const struct job_new *n, struct job *ret, struct err *e)
{
	bool existing;
	int r = repo_job_create(a->o.repo, n, ret, &existing, e);
	if (r < 0)
		return r;
	http_request_log(req, "job", ret->id);
	bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_WORK });
	bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = ret->user_id, .job_id = ret->id });
	return 0;
}

enum create_kind { KIND_LADDER, KIND_CONVERT, KIND_NARRATION };

static int create_of_file(struct api *a, struct http_request *req, size_t kind, const char *file_id, const json_t *params,
			  const struct repeatable *rep, struct job *ret, struct err *e)
{
	struct file f;
	int r = source_file(a, req, file_id, &f, e);
	if (r < 0)
		return r;
	r = (kind == KIND_LADDER ? create_ladder : conversion_create)(a, req, &f, params, rep, ret, e);
	file_release(&f);
	return r;
}

int jobs_create(void *ctx, struct http_request *req, struct err *e)
{
	static const char *const fields[] = { "kind", "file_id", "params", "user_id", NULL };
	static const char *const kinds[] = { [KIND_LADDER] = "ladder",
					      [KIND_CONVERT] = "convert",
					      [KIND_NARRATION] = "narration",
					      NULL };
	struct api *a = ctx;
	const json_t *in = http_request_json(req);
	const char *file_id = NULL;
	struct repeatable rep;
	json_t *params = NULL;
	size_t kind;
	if (json_only_fields(in, fields, e) < 0 || json_get_choice(in, "kind", JSON_REQUIRED, kinds, &kind, e) < 0 ||
	    json_get_string(in, "file_id", kind == KIND_NARRATION ? JSON_OPTIONAL : JSON_REQUIRED, &file_id, e) < 0 ||
	    json_get_object(in, "params", JSON_OPTIONAL, &params, e) < 0)
		return -ERR_INVALID;
	int r = read_repeatable(req, &rep, e);
	if (r < 0)
		return r;
	if (rep.key) {
		struct job first;
		r = repo_job_earlier(a->o.repo, http_request_identity(req)->user, rep.key, rep.hash, &first, e);
		if (r == 0) {
			http_request_log(req, "job", first.id);
			r = respond(a, req, 202, &first);
			job_release(&first);
			return r;
		}
		if (r != -ERR_NOT_FOUND)
			return r;
	}
	struct job j;
	if (kind == KIND_NARRATION)
		r = file_id ? err_set(e, ERR_INVALID, "file_id: a narration's music is params.music_file_id")
			    : narration_create(a, req, params, &rep, &j, e);
	else
		r = create_of_file(a, req, kind, file_id, params, &rep, &j, e);
	if (r < 0)
		return r;
	r = respond(a, req, 202, &j);
	job_release(&j);
	return r;
}

struct job_list {
	struct api *api;
	struct http_request *req;
	json_t *jobs;
};

static void append_job(void *ctx, const struct job *j)
{
	struct job_list *l = ctx;
	json_array_append_new(l->jobs, job_json(l->api, j, http_request_base_url(l->req), http_request_host(l->req)));
}

int read_kind(struct http_request *req, int *ret, struct err *e)
{
	const char *kind = http_request_query(req, "kind");
	enum job_kind k;
	if (!kind || !*kind)
		return 0;
	if (!job_kind_parse(kind, &k))
		return err_set(e, ERR_INVALID, "kind: expected ladder, convert or narration");
	*ret = (int)k;
	return 0;
}

static int read_filter(struct http_request *req, struct job_filter *f, struct err *e)
{
	const char *status = http_request_query(req, "status");
	enum job_status s;
	*f = (struct job_filter){ .user_id = http_request_identity(req)->user };
	if (status && *status) {
		if (!job_status_parse(status, &s) || s == JOB_DELETING)
			return err_set(
				e, ERR_INVALID,
				"status: expected pending, processing, streaming, completed, failed or canceled");
		f->status = (int)s;
	}
	return read_kind(req, &f->kind, e);
}

int jobs_list(void *ctx, struct http_request *req, struct err *e)
{
	struct job_list l = { .api = ctx, .req = req };
	struct job_filter filter;
	int64_t limit;
	char cursor[64];
	int r = read_filter(req, &filter, e);
	if (r == 0)
		r = http_request_query_int(req, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit, e);
	if (r < 0)
		return r;
	l.jobs = json_array();
	r = repo_job_list(l.api->o.repo, &filter, (uint32_t)limit, http_request_query(req, "cursor"), append_job, &l,
			  cursor, e);
	if (r < 0) {
		json_decref(l.jobs);
		return r;
	}
	return http_respond_json(req, 200, json_pack("{so ss?}", "jobs", l.jobs, "cursor", cursor[0] ? cursor : NULL));
}

int jobs_get(void *ctx, struct http_request *req, struct err *e)
{
	const struct job *j = http_request_resource(req);
	json_t *job = job_json(ctx, j, http_request_base_url(req), http_request_host(req));
	int r = narration_inline(ctx, j, job, e);
	if (r < 0) {
		json_decref(job);
		return r;
	}
	return http_respond_json(req, 200, job);
}

/* Cancels a job that is being made; deletes one that has ended. */
int jobs_delete(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct job *j = http_request_resource(req);
	struct job now;
	int r;
	if (!job_status_is_final(j->status)) {
		r = repo_job_cancel(a->o.repo, j->user_id, j->id, &now, e);
		if (r == 0) {
			r = respond(a, req, 200, &now);
			job_release(&now);
		}
	} else {
		r = repo_job_delete(a->o.repo, j->user_id, j->id, e);
		if (r == 0)
			r = http_respond_empty(req, 204);
		bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_DOOMED });
	}
	if (r == 0)
		bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = j->user_id, .job_id = j->id });
	return r;
}

int jobs_retry(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct job *j = http_request_resource(req);
	struct job now;
	int r = repo_job_retry(a->o.repo, j->user_id, j->id, &now, e);
	if (r < 0)
		return r;
	bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_WORK });
	bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = j->user_id, .job_id = j->id });
	r = respond(a, req, 202, &now);
	job_release(&now);
	return r;
}
