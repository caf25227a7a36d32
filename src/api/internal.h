/* What the files of api/ share with each other: the context, and values as JSON. Not for other folders. */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "api/api.h"
#include "api/signer.h"
#include "http/request.h"
#include "http/response.h"
#include "http/upload.h"

struct admin_stats;
struct events;
struct kvs_readers;
struct preview_limit;
struct progress_cache;

struct api {
	struct api_opts o;
	struct events *events;
	struct progress_cache *progress;
	struct kvs_readers *kvs_readers;
	struct admin_stats *stats;
	pthread_mutex_t scrape_lock;
	struct preview_limit *previews;
	atomic_uint waiting; /* requests that wait for an MP3 or a sentence */
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
/* The query's job kind; *ret stays as it is where it names none. ERR_INVALID. */
int read_kind(struct http_request *req, int *ret, struct err *e);
void unload_job(void *ctx, void *job);

/* media.c */
/* Appends the signed URL by which anybody may GET an object: the store's own where it has such, else this server's /media. */
struct media_link {
	const char *base_url, *host; /* of this server, as the client sees it */
	const char *key;
	const struct sigv4_pair *extra; /* S3's response-… parameters; NULL: none */
	int64_t signed_at_ms;
	uint32_t expires_s;
};
int media_url(const struct api *a, const struct media_link *l, struct buf *out, struct err *e) MR_MUST_USE;

/* files.c */
extern const struct http_sink upload_sink;
/* The end of an upload begun by upload_sink: stored, probed, ready; `check` (NULL: none) may refuse what the probe found. Takes
 * the state; what fails is removed. */
int upload_settle(struct api *a, void *take_state, int (*check)(const struct probe_result *p, struct err *e), struct file *ret,
		  struct err *e) MR_MUST_USE;
int files_list(void *ctx, struct http_request *req, struct err *e);
int files_get(void *ctx, struct http_request *req, struct err *e);
int files_content(void *ctx, struct http_request *req, struct err *e);
int files_delete(void *ctx, struct http_request *req, struct err *e);
/* uploads.c */
extern const struct http_sink uploads_create_sink, uploads_patch_sink;
int uploads_head(void *ctx, struct http_request *req, struct err *e);
int uploads_delete(void *ctx, struct http_request *req, struct err *e);
int uploads_options(void *ctx, struct http_request *req, struct err *e);
int load_upload(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e);
void unload_upload(void *ctx, void *upload);
/* uploads_direct.c */
int direct_create(void *ctx, struct http_request *req, struct err *e);
int direct_get(void *ctx, struct http_request *req, struct err *e);
int direct_parts(void *ctx, struct http_request *req, struct err *e);
int direct_complete(void *ctx, struct http_request *req, struct err *e);
int direct_delete(void *ctx, struct http_request *req, struct err *e);
int load_direct(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e);
/* analysis.c */
json_t *analysis_json(const struct api *a, const struct file *f, const char *base_url, const char *host);
/* The measured loudness as the probe shows it, or null. */
json_t *analysis_loudness(const struct file *f);
int storyboard_get(void *ctx, struct http_request *req, struct err *e);
/* jobs.c */
/* Of a request with an Idempotency-Key: `hash` tells its body. */
struct repeatable {
	const char *key; /* NULL: none */
	char hash[SHA256_HEX_SIZE];
};
/* The request's file, ready and the caller's. */
int source_file(struct api *a, struct http_request *req, const char *file_id, struct file *ret,
		struct err *e) MR_MUST_USE;
/* All of a new job but its prefix, params and plan; borrows. */
struct job_new job_new_for(const struct file *f, enum job_kind kind, const struct repeatable *rep);
/* Creates it (or finds the first of its key) and tells workers and listeners. */
int job_create(struct api *a, struct http_request *req, const struct job_new *n, struct job *ret,
	       struct err *e) MR_MUST_USE;
int jobs_create(void *ctx, struct http_request *req, struct err *e);
int jobs_list(void *ctx, struct http_request *req, struct err *e);
int jobs_get(void *ctx, struct http_request *req, struct err *e);
int jobs_delete(void *ctx, struct http_request *req, struct err *e);
int jobs_retry(void *ctx, struct http_request *req, struct err *e);
/* narrations.c */
int narration_create(struct api *a, struct http_request *req, const json_t *params, const struct repeatable *rep, struct job *ret,
		     struct err *e) MR_MUST_USE;
/* What a narration's JSON has beyond other jobs'. */
void narration_json(const struct api *a, const struct job *j, const char *base_url, const char *host, json_t *job);
/* Whether its stream is there (again and again: the time of its removal comes by itself). */
bool narration_streams(const struct job *j);
/* voices.c */
/* How many previews each user has had in the last minute. */
struct preview_limit;
struct preview_limit *preview_limit_new(void) __attribute__((returns_nonnull));
void preview_limit_free(struct preview_limit *l);
int voices_get(void *ctx, struct http_request *req, struct err *e);
int voices_preview(void *ctx, struct http_request *req, struct err *e);
/* narration_inline.c */
/* Where streaming is switched off: changes the narration's JSON accordingly. Other jobs' stays. */
int narration_inline(struct api *a, const struct job *j, json_t *job, struct err *e) MR_MUST_USE;
/* meditation.c */
int meditation_create(void *ctx, struct http_request *req, struct err *e);
int meditation_get(void *ctx, struct http_request *req, struct err *e);
int meditation_download(void *ctx, struct http_request *req, struct err *e);
/* narration_download.c */
/* The job that makes its MP3, begun if there is none, or `again` if it has failed. */
int narration_download_start(struct api *a, const struct job *j, bool again, struct job *ret, struct err *e) MR_MUST_USE;
/* Makes its MP3 if it isn't there, waits for that a moment, and answers with its address, or 202 and the job. */
int narration_download(struct api *a, struct http_request *req, const struct job *j, struct err *e) MR_MUST_USE;
/* conversions.c */
int conversion_create(struct api *a, struct http_request *req, const struct file *f, const json_t *params,
		      const struct repeatable *rep, struct job *ret, struct err *e) MR_MUST_USE;
/* What a conversion's JSON has beyond other jobs'. */
void conversion_json(const struct api *a, const struct job *j, const char *base_url, const char *host, json_t *job);
/* {"available", "url", "downloaded"} */
json_t *job_download_json(const struct api *a, const struct job *j, bool downloaded, const char *base_url, const char *host);
/* The key of the one file that the job has made, or NULL. */
const char *job_file_key(const struct job *j);
/* Answers with that file's signed address, as POST …/download does. */
int job_respond_download(struct api *a, struct http_request *req, const struct job *j, const char *key, struct err *e) MR_MUST_USE;
/* Answers with the file, or with its signed address in an object of these names. */
int conversion_respond_file(struct api *a, struct http_request *req, const struct job *j, struct err *e) MR_MUST_USE;
int conversion_respond_url(struct api *a, struct http_request *req, const struct job *j, const char *url_name,
			   const char *expires_name, struct err *e) MR_MUST_USE;
int jobs_file(void *ctx, struct http_request *req, struct err *e);
int jobs_download(void *ctx, struct http_request *req, struct err *e);
/* converter.c */
extern const struct http_sink converter_upload_sink;
int converter_convert(void *ctx, struct http_request *req, struct err *e);
int converter_progress(void *ctx, struct http_request *req, struct err *e);
int converter_download(void *ctx, struct http_request *req, struct err *e);
/* progress.c */
struct progress_cache;
int progress_cache_new(struct api *a, struct progress_cache **ret, struct err *e) MR_MUST_USE;
void progress_cache_free(struct progress_cache *p);
struct progress_view {
	char job_id[UUID_SIZE], user_id[USER_ID_MAX + 1];
	enum job_status status;
	double percent;
	char stage[24];
};
/* How far the user's job is; ERR_NOT_FOUND. */
int progress_cache_get(struct progress_cache *p, const char *user_id, const char *job_id, struct progress_view *ret,
		       struct err *e) MR_MUST_USE;
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
/* streams.c */
int load_stream(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e);
void unload_stream(void *ctx, void *stream);
int streams_list(void *ctx, struct http_request *req, struct err *e);
int streams_get(void *ctx, struct http_request *req, struct err *e);
int streams_events(void *ctx, struct http_request *req, struct err *e);
/* listen.c */
int listen_playlist(void *ctx, struct http_request *req, struct err *e);
int listen_segment(void *ctx, struct http_request *req, struct err *e);
int listen_link(void *ctx, struct http_request *req, struct err *e);
/* live.c */
int live_connect(void *ctx, struct http_request *req, struct err *e);
/* health.c */
int healthz(void *ctx, struct http_request *req, struct err *e);
int readyz(void *ctx, struct http_request *req, struct err *e);
int health_get(void *ctx, struct http_request *req, struct err *e);
/* admin_jobs.c */
int admin_active(void *ctx, struct http_request *req, struct err *e);
int admin_history(void *ctx, struct http_request *req, struct err *e);
/* Seconds, or null for less than 0. */
json_t *json_seconds(int64_t ms);
/* admin_job.c */
int admin_job(void *ctx, struct http_request *req, struct err *e);
/* metrics.c */
int metrics_get(void *ctx, struct http_request *req, struct err *e);
/* admin_stats.c */
struct admin_stats *admin_stats_new(void);
void admin_stats_free(struct admin_stats *s);
int admin_stats_get(void *ctx, struct http_request *req, struct err *e);
/* kvs.c: the Kinesis Video Streams API's errors */
int kvs_refuse(struct http_request *req, const struct err *why);
/* kvs_streams.c */
int kvs_create_stream(void *ctx, struct http_request *req, struct err *e);
int kvs_describe_stream(void *ctx, struct http_request *req, struct err *e);
int kvs_list_streams(void *ctx, struct http_request *req, struct err *e);
int kvs_update_retention(void *ctx, struct http_request *req, struct err *e);
int kvs_delete_stream(void *ctx, struct http_request *req, struct err *e);
int kvs_tag_stream(void *ctx, struct http_request *req, struct err *e);
int kvs_untag_stream(void *ctx, struct http_request *req, struct err *e);
int kvs_list_tags(void *ctx, struct http_request *req, struct err *e);
int kvs_get_data_endpoint(void *ctx, struct http_request *req, struct err *e);
/* kvs_media.c */
/* Who follows which stream. */
struct kvs_readers *kvs_readers_new(void) __attribute__((returns_nonnull));
void kvs_readers_free(struct kvs_readers *all);
int kvs_get_media(void *ctx, struct http_request *req, struct err *e);
int kvs_list_fragments(void *ctx, struct http_request *req, struct err *e);
int kvs_get_media_for_fragments(void *ctx, struct http_request *req, struct err *e);
/* page.c */
int page_get(void *ctx, struct http_request *req, struct err *e);
