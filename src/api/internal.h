/* What the files of api/ share with each other: the context, and values as JSON. Not for other folders. */
#pragma once

#include <jansson.h>

#include "api/api.h"
#include "api/signer.h"
#include "http/request.h"
#include "http/response.h"
#include "http/upload.h"

struct events;

struct api {
	struct api_opts o;
	struct events *events;
};

/* ISO 8601, or null for 0. */
json_t *json_time(int64_t wall_ms);
/* With its by-products' URLs, signed for `host`. */
json_t *file_json(const struct api *a, const struct file *f, const char *base_url, const char *host);
/* Signs a fresh playlist_url if `host` (as the client sees the server, with scheme in base_url) is given. */
json_t *job_json(const struct api *a, const struct job *j, const char *base_url, const char *host);

/* http_load_fn / unload for routes with {id}. */
int load_file(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e);
void unload_file(void *ctx, void *file);
int load_job(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e);
void unload_job(void *ctx, void *job);

/* files.c */
extern const struct http_sink upload_sink;
int files_list(void *ctx, struct http_request *req, struct err *e);
int files_get(void *ctx, struct http_request *req, struct err *e);
int files_delete(void *ctx, struct http_request *req, struct err *e);
/* uploads.c */
extern const struct http_sink uploads_create_sink, uploads_patch_sink;
int uploads_head(void *ctx, struct http_request *req, struct err *e);
int uploads_delete(void *ctx, struct http_request *req, struct err *e);
int uploads_options(void *ctx, struct http_request *req, struct err *e);
int load_upload(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e);
void unload_upload(void *ctx, void *upload);
/* analysis.c */
json_t *analysis_json(const struct api *a, const struct file *f, const char *base_url, const char *host);
/* The measured loudness as the probe shows it, or null. */
json_t *analysis_loudness(const struct file *f);
int storyboard_get(void *ctx, struct http_request *req, struct err *e);
/* jobs.c */
int jobs_create(void *ctx, struct http_request *req, struct err *e);
int jobs_list(void *ctx, struct http_request *req, struct err *e);
int jobs_get(void *ctx, struct http_request *req, struct err *e);
int jobs_delete(void *ctx, struct http_request *req, struct err *e);
int jobs_retry(void *ctx, struct http_request *req, struct err *e);
/* events.c */
int events_new(struct api *a, struct events **ret, struct err *e) MR_MUST_USE;
void events_free(struct events *ev);
int events_all(void *ctx, struct http_request *req, struct err *e);
int events_job(void *ctx, struct http_request *req, struct err *e);
/* playlists.c */
int playlists_get(void *ctx, struct http_request *req, struct err *e);
/* media.c */
extern const struct http_sink media_sink;
int media_get(void *ctx, struct http_request *req, struct err *e);
/* session.c */
int session_get(void *ctx, struct http_request *req, struct err *e);
int session_start(void *ctx, struct http_request *req, struct err *e);
int session_end(void *ctx, struct http_request *req, struct err *e);
/* health.c */
int healthz(void *ctx, struct http_request *req, struct err *e);
int readyz(void *ctx, struct http_request *req, struct err *e);
/* page.c */
int page_get(void *ctx, struct http_request *req, struct err *e);
