/* The API's context and the loaders by which every route with an {id} finds what belongs to its caller. */
#include "api/internal.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"

int api_new(const struct api_opts *opts, struct api **ret, struct err *e)
{
	struct api *a = mr_calloc(1, sizeof(*a));
	a->o = *opts;
	int r = events_new(a, &a->events, e);
	if (r == 0)
		r = progress_cache_new(a, &a->progress, e);
	if (r < 0) {
		events_free(a->events);
		free(a);
		return r;
	}
	a->kvs_readers = kvs_readers_new();
	a->previews = preview_limit_new();
	a->stats = admin_stats_new();
	(void)pthread_mutex_init(&a->scrape_lock, NULL);
	*ret = a;
	return 0;
}

void api_free(struct api *a)
{
	if (!a)
		return;
	progress_cache_free(a->progress);
	events_free(a->events);
	kvs_readers_free(a->kvs_readers);
	preview_limit_free(a->previews);
	admin_stats_free(a->stats);
	(void)pthread_mutex_destroy(&a->scrape_lock);
	free(a);
}

json_t *json_time(int64_t wall_ms)
{
	char text[ISO8601_SIZE];
	if (!wall_ms)
		return json_null();
	iso8601_format(wall_ms, text);
	return json_string(text);
}

/* The {id} of the path, or NOT_FOUND: an id that cannot be one needs no query. */
static int path_id(struct http_request *req, const char *what, const char **ret, struct err *e)
{
	const char *id = http_request_param(req, "id");
	if (!uuid_valid(id))
		return err_set(e, ERR_NOT_FOUND, "there is no such %s", what);
	*ret = id;
	return 0;
}

int load_file(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e)
{
	struct api *a = ctx;
	const char *id = NULL;
	int r = path_id(req, "file", &id, e);
	if (r < 0)
		return r;
	struct file *f = mr_calloc(1, sizeof(*f));
	r = repo_file_get(a->o.repo, who->user, id, f, e);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret = f;
	return 0;
}

void unload_file(void *ctx, void *file)
{
	(void)ctx;
	file_release(file);
	free(file);
}

int load_job(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e)
{
	struct api *a = ctx;
	const char *id = NULL;
	int r = path_id(req, "job", &id, e);
	if (r < 0)
		return r;
	struct job *j = mr_calloc(1, sizeof(*j));
	r = repo_job_get(a->o.repo, who->user, id, j, e);
	if (r < 0) {
		free(j);
		return r;
	}
	http_request_log(req, "job", id);
	*ret = j;
	return 0;
}

void unload_job(void *ctx, void *job)
{
	(void)ctx;
	job_release(job);
	free(job);
}
