/* Conversions: making the job, what its JSON says, GET /api/jobs/{id}/file and POST /api/jobs/{id}/download. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/fields.h"
#include "job/keys.h"
#include "job/plan_convert.h"
#include "job/probe_json.h"

#define URL_EXPIRES_S 3600
#define URL_MAX_BYTES 4096
#define NAME_MAX_BYTES 255

static int plan_of(const struct file *f, const json_t *params, struct convert_plan *ret, struct err *e)
{
	struct convert_params p;
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	_cleanup_free_ char *text = params ? json_dumps(params, JSON_COMPACT) : NULL;
	int r = convert_params_parse(text, &p, e);
	if (r == 0)
		r = probe_json_parse(f->probe_json, probe, e);
	if (r == 0)
		r = convert_plan(probe, &p, ret, e);
	probe_result_release(probe);
	free(probe);
	return r;
}

int conversion_create(struct api *a, struct http_request *req, const struct file *f, const json_t *params,
		      const struct repeatable *rep, struct job *ret, struct err *e)
{
	struct convert_plan plan;
	int r = plan_of(f, params, &plan, e);
	if (r < 0)
		return r;
	struct job_new n = job_new_for(f, JOB_CONVERT, rep);
	_cleanup_free_ char *key = key_conversion(n.user_id, n.id, convert_format_extension(plan.params.format));
	_cleanup_free_ char *params_json = convert_params_format(&plan.params);
	n.prefix = key;
	n.params_json = params_json;
	n.plan = convert_job_plan(&plan);
	n.expires_ms = clock_wall_ms() + CONVERSION_LIFETIME_MS;
	r = job_create(a, req, &n, ret, e);
	convert_plan_release(&plan);
	return r;
}

/* "film.flac" converted to MP3 is "film.mp3"; a narration isn't named after its music. */
static char *file_name(const struct job *j, const char *key)
{
	const char *source = j->kind == JOB_NARRATION ? "narration" : j->source_name && *j->source_name ? j->source_name : "sound";
	const char *dot = strrchr(source, '.'), *extension = strrchr(key, '.');
	size_t n = dot && dot != source ? (size_t)(dot - source) : strlen(source);
	size_t room = NAME_MAX_BYTES - strlen(extension);
	while (n > room || (n > 0 && ((unsigned char)source[n] & 0xc0) == 0x80)) /* not within a character */
		n--;
	return mr_asprintf("%.*s%s", (int)n, source, extension);
}

const char *job_file_key(const struct job *j)
{
	if (j->kind == JOB_NARRATION)
		return *j->download_key ? j->download_key : NULL;
	return j->kind == JOB_CONVERT && j->status == JOB_COMPLETED && !j->removed_ms ? j->prefix : NULL;
}

/* The store's own address of the file, which anybody may fetch for an hour, saved under the right name. */
static int put_url(const struct api *a, const struct job *j, const char *key, const char *base_url, const char *host,
		   struct buf *out, struct err *e)
{
	_cleanup_free_ char *name = file_name(j, key);
	_cleanup_buf_ struct buf disposition;
	buf_init(&disposition, URL_MAX_BYTES);
	if (!field_disposition_format(&disposition, true, name))
		return err_set(e, ERR_UNAVAILABLE, "no memory for the address");
	const struct sigv4_pair extra = { .name = "response-content-disposition", .value = disposition.data };
	const struct media_link link = { .base_url = base_url,
					 .host = host,
					 .key = key,
					 .extra = &extra,
					 .signed_at_ms = clock_wall_ms(),
					 .expires_s = URL_EXPIRES_S };
	return media_url(a, &link, out, e);
}

static json_t *url_json(const struct api *a, const struct job *j, const char *base_url, const char *host)
{
	const char *key = job_file_key(j);
	_cleanup_buf_ struct buf url;
	buf_init(&url, URL_MAX_BYTES);
	return key && put_url(a, j, key, base_url, host, &url, NULL) == 0 ? json_string(url.data) : json_null();
}

json_t *job_download_json(const struct api *a, const struct job *j, bool downloaded, const char *base_url, const char *host)
{
	return json_pack("{sb so sb}", "available", (int)(job_file_key(j) != NULL), "url", url_json(a, j, base_url, host),
			 "downloaded", (int)downloaded);
}

static void set_alias(json_t *job, const char *alias, const char *name)
{
	json_object_set(job, alias, json_object_get(job, name));
}

void conversion_json(const struct api *a, const struct job *j, const char *base_url, const char *host, json_t *job)
{
	struct convert_constants c;
	bool known = convert_constants_parse(j->spec_json, &c, NULL) == 0;
	json_t *result = j->result_json ? json_loads(j->result_json, 0, NULL) : NULL;
	if (result)
		json_object_set_new(job, "result", result);
	json_object_set_new(job, "input",
			    known ? json_pack("{ss}", "access", c.spec.sequential ? "forward" : "seekable") : json_null());
	json_object_set_new(job, "download", job_download_json(a, j, j->removed_ms != 0, base_url, host));
	set_alias(job, "jobId", "job_id");
	set_alias(job, "fileId", "file_id");
	set_alias(job, "createdAt", "created_at");
	set_alias(job, "updatedAt", "updated_at");
}

/* ---- the file ---- */

static int check_file(const struct job *j, struct err *e)
{
	if (job_file_key(j))
		return 0;
	if (j->kind == JOB_NARRATION)
		return err_set_code(e, ERR_CONFLICT, "NO_FILE", "no MP3 has been made of it: POST /api/jobs/%s/download", j->id);
	if (j->kind != JOB_CONVERT)
		return err_set_code(e, ERR_CONFLICT, "NO_FILE", "a job of kind %s makes no single file", job_kind_name(j->kind));
	if (j->removed_ms)
		return err_set_code(e, ERR_GONE, "FILE_REMOVED", "the file was removed after it had been downloaded");
	return err_set_code(e, ERR_CONFLICT, "NOT_COMPLETED", "the job is %s", job_status_name(j->status));
}

static void remove_fetched(void *ctx, const char *job_id)
{
	struct api *a = ctx;
	struct err e = { 0 };
	int r = repo_result_remove(a->o.repo, NULL, job_id, &e);
	if (r < 0 && r != -ERR_NOT_FOUND)
		log_warn("remove_after_download_failed", LOG_S("job", job_id), LOG_E(&e));
	bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_DOOMED });
}

static bool is_to_be_removed(struct http_request *req, const struct job *j)
{
	struct convert_constants c;
	const char *asked = http_request_query(req, "remove");
	if (asked && *asked)
		return strcmp(asked, "1") == 0;
	return convert_constants_parse(j->spec_json, &c, NULL) == 0 && c.remove_after_download;
}

int conversion_respond_file(struct api *a, struct http_request *req, const struct job *j, struct err *e)
{
	int r = check_file(j, e);
	if (r < 0)
		return r;
	const char *key = job_file_key(j);
	_cleanup_free_ char *name = file_name(j, key);
	struct http_object_opts opts = { .filename = name, .attachment = true };
	r = http_respond_object(req, a->o.store, key, &opts, e);
	if (r == -ERR_NOT_FOUND)
		return err_set_code(e, ERR_GONE, "FILE_GONE", "the file is not in the store any more");
	if (r == 0 && j->kind == JOB_CONVERT && is_to_be_removed(req, j))
		http_response_on_sent(req, remove_fetched, j->id);
	return r;
}

int conversion_respond_url(struct api *a, struct http_request *req, const struct job *j, const char *url_name,
			   const char *expires_name, struct err *e)
{
	_cleanup_buf_ struct buf url;
	buf_init(&url, URL_MAX_BYTES);
	int r = check_file(j, e);
	if (r == 0)
		r = put_url(a, j, job_file_key(j), http_request_base_url(req), http_request_host(req), &url, e);
	return r < 0 ? r : http_respond_json(req, 200, json_pack("{ss si}", url_name, url.data, expires_name, URL_EXPIRES_S));
}

int jobs_file(void *ctx, struct http_request *req, struct err *e)
{
	const struct job *j = http_request_resource(req);
	const char *presigned = http_request_query(req, "presigned");
	if (presigned && strcmp(presigned, "1") == 0)
		return conversion_respond_url(ctx, req, j, "url", "expires_in", e);
	return conversion_respond_file(ctx, req, j, e);
}

/* {"format": "mp3"}: there is only the one that the job's file has. */
static int check_format(struct http_request *req, const char *made, struct err *e)
{
	static const char *const fields[] = { "format", "user_id", NULL };
	const json_t *in = http_request_json(req);
	const char *format = NULL;
	int r = json_only_fields(in, fields, e);
	if (r == 0)
		r = json_get_string(in, "format", JSON_OPTIONAL, &format, e);
	if (r == 0 && format && made && strcmp(format, made + 1) != 0)
		r = err_set(e, ERR_INVALID, "format: this job's file is %s", made + 1);
	return r;
}

int job_respond_download(struct api *a, struct http_request *req, const struct job *j, const char *key, struct err *e)
{
	_cleanup_buf_ struct buf url;
	buf_init(&url, URL_MAX_BYTES);
	int r = put_url(a, j, key, http_request_base_url(req), http_request_host(req), &url, e);
	if (r < 0)
		return r;
	return http_respond_json(req, 200,
				 json_pack("{ss ss si}", "job_id", j->id, "download_url", url.data, "expires_in", URL_EXPIRES_S));
}

int jobs_download(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const struct job *j = http_request_resource(req);
	int r = 0;
	if (j->kind == JOB_NARRATION) {
		r = check_format(req, ".mp3", e);
		return r < 0 ? r : narration_download(a, req, j, e);
	}
	if (j->kind == JOB_CONVERT)
		r = check_format(req, strrchr(j->prefix, '.'), e);
	if (r == 0 && j->kind == JOB_CONVERT && !job_status_is_final(j->status))
		return http_respond_json(req, 202, job_json(a, j, http_request_base_url(req), http_request_host(req)));
	if (r == 0)
		r = check_file(j, e);
	return r < 0 ? r : job_respond_download(a, req, j, job_file_key(j), e);
}
