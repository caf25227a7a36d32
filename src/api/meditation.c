/* The meditation app's routes, kept for its clients: thin adapters in the shapes that they know.
 *
 *   POST /  {"type": "meditation", "user_id", "script", "music_file_id"}   → {"job_id", "status": "pending"}
 *   GET  /job/{id}?user_id=                                                → the job, as GET /api/jobs/{id}
 *   POST /job/{id}/download?user_id=                                       → {"job_id", "download_url", "expires_in": 3600}
 *
 * All of a narration's parameters may stand beside the script.
 */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"

static int check_type(const json_t *in, struct err *e)
{
	const char *type = NULL;
	int r = json_get_string(in, "type", JSON_REQUIRED, &type, e);
	if (r < 0 || strcmp(type, "meditation") == 0)
		return r;
	if (strcmp(type, "summary") == 0)
		return err_set_code(e, ERR_INVALID, "SUMMARY_NOT_SUPPORTED",
				    "type: no summaries are made here, only \"meditation\"");
	return err_set_code(e, ERR_INVALID, "UNKNOWN_TYPE", "type: expected \"meditation\"");
}

int meditation_create(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct job j;
	int r = check_type(http_request_json(req), e);
	if (r < 0)
		return r;
	json_t *params = json_copy((json_t *)(uintptr_t)http_request_json(req)); /* json_copy takes what it only reads */
	json_object_del(params, "type");
	json_object_del(params, "user_id");
	r = narration_create(a, req, params, &(struct repeatable){ 0 }, &j, e);
	json_decref(params);
	if (r < 0)
		return r;
	r = http_respond_json(req, 202, json_pack("{ss ss}", "job_id", j.id, "status", job_status_name(j.status)));
	job_release(&j);
	return r;
}

static int only_narrations(const struct job *j, struct err *e)
{
	return j->kind == JOB_NARRATION ? 0 : err_set(e, ERR_NOT_FOUND, "there is no such job");
}

int meditation_get(void *ctx, struct http_request *req, struct err *e)
{
	int r = only_narrations(http_request_resource(req), e);
	return r < 0 ? r : jobs_get(ctx, req, e);
}

int meditation_download(void *ctx, struct http_request *req, struct err *e)
{
	int r = only_narrations(http_request_resource(req), e);
	return r < 0 ? r : jobs_download(ctx, req, e);
}
