/* /api/admin/active and /api/admin/history: everybody's jobs, for those who run the product. */
#include <stdio.h>
#include <string.h>

#include "api/internal.h"
#include "job/figures.h"
#include "worker/work_metrics.h"

#define LIST_DEFAULT 100
#define LIST_MAX 1000
#define WORKER_NAME_SIZE 96

json_t *json_seconds(int64_t ms)
{
	return ms < 0 ? json_null() : json_real((double)ms / 1e3);
}

/* ---- active ---- */

struct active {
	json_t *jobs;
	json_t *names; /* of processes, by id: {"…": "box:123"} */
	json_t *workers; /* by job: {"…": ["box:123"]} */
};

static void name_worker(void *ctx, const struct worker_row *w, int64_t now_ms)
{
	struct active *a = ctx;
	char name[WORKER_NAME_SIZE];
	(void)now_ms;
	(void)snprintf(name, sizeof(name), "%s:%lld", w->host, (long long)w->pid);
	(void)json_object_set_new(a->names, w->id, json_string(name));
}

static void note_worker(void *ctx, const struct running_row *r)
{
	struct active *a = ctx;
	json_t *list = json_object_get(a->workers, r->job_id), *name = json_object_get(a->names, r->worker), *other;
	size_t i;
	if (!list) {
		list = json_array();
		(void)json_object_set_new(a->workers, r->job_id, list);
	}
	json_array_foreach(list, i, other)
		if (name && strcmp(json_string_value(other), json_string_value(name)) == 0)
			return;
	if (name)
		(void)json_array_append(list, name);
}

static void append_active(void *ctx, const struct active_row *row)
{
	struct active *a = ctx;
	const struct job *j = row->job;
	json_t *workers = json_object_get(a->workers, j->id);
	json_t *o = json_pack("{ss ss ss ss ss sf}", "job_id", j->id, "user_id", j->user_id, "kind", job_kind_name(j->kind),
			      "status", job_status_name(j->status), "stage", j->stage, "percent", j->percent);
	json_t *more = json_pack("{so so si si ss sI sf si}", "speed", j->speed > 0 ? json_real(j->speed) : json_null(),
				 "eta_seconds", j->eta_seconds >= 0 ? json_real(j->eta_seconds) : json_null(), "segments_total",
				 (int)j->segment_count, "segments_completed", (int)j->visible_segments, "source_name",
				 j->source_name ? j->source_name : "", "source_bytes", (json_int_t)j->source_bytes,
				 "duration_seconds", (double)j->duration_ticks / 90e3, "generation_attempt",
				 (int)j->generation_attempt);
	json_t *work = json_pack("{s{sI sI sI sI sI} sO? so so so so}", "chunks", "ready", (json_int_t)row->ready, "waiting",
				 (json_int_t)row->waiting, "running", (json_int_t)row->running, "done", (json_int_t)row->done,
				 "failures", (json_int_t)row->failures, "workers", workers, "waiting_seconds",
				 json_seconds(row->waiting_ms), "created_at", json_time(j->created_ms), "started_at",
				 json_time(j->started_ms), "updated_at", json_time(j->updated_ms));
	if (!workers)
		(void)json_object_set_new(work, "workers", json_array());
	(void)json_object_update(o, more);
	(void)json_object_update(o, work);
	json_decref(more);
	json_decref(work);
	json_array_append_new(a->jobs, o);
}

int admin_active(void *ctx, struct http_request *req, struct err *e)
{
	struct api *api = ctx;
	int64_t limit, pending, processing, streaming;
	int r = http_request_query_int(req, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit, e);
	if (r < 0)
		return r;
	struct active a = { .jobs = json_array(), .names = json_object(), .workers = json_object() };
	r = repo_worker_list(api->o.repo, name_worker, &a, e);
	if (r >= 0)
		r = repo_running(api->o.repo, note_worker, &a, e);
	if (r >= 0)
		r = repo_open_jobs(api->o.repo, &pending, &processing, &streaming, e);
	if (r >= 0)
		r = repo_active(api->o.repo, (uint32_t)limit, append_active, &a, e);
	json_decref(a.names);
	json_decref(a.workers);
	if (r < 0) {
		json_decref(a.jobs);
		return r;
	}
	return http_respond_json(req, 200,
				 json_pack("{sI so}", "total", (json_int_t)pending + processing + streaming, "jobs", a.jobs));
}

/* ---- history ---- */

static json_t *text_or_null(const char *s)
{
	return s && *s ? json_string(s) : json_null();
}

static void append_past(void *ctx, const struct history_row *h)
{
	double media_s = (double)h->duration_ticks / 90e3, took_s = (double)(h->finished_ms - h->started_ms) / 1e3;
	bool begun = h->started_ms > 0;
	json_t *o = json_pack("{ss ss ss ss so sI sf sI}", "job_id", h->id, "user_id", h->user_id, "kind", job_kind_name(h->kind),
			      "status", job_status_name(h->status), "source_name", text_or_null(h->source_name), "source_bytes",
			      (json_int_t)h->source_bytes, "duration_seconds", media_s, "generation_attempt",
			      (json_int_t)h->generation_attempt);
	json_t *times = json_pack("{so so so so so so so sb}", "waited_seconds",
				  json_seconds(begun ? h->started_ms - h->created_ms : -1), "took_seconds",
				  json_seconds(begun ? h->finished_ms - h->started_ms : -1), "speed",
				  begun && took_s > 0 && h->status == JOB_COMPLETED ? json_real(media_s / took_s) : json_null(),
				  "created_at", json_time(h->created_ms), "started_at", json_time(h->started_ms), "streaming_at",
				  json_time(h->streaming_ms), "finished_at", json_time(h->finished_ms), "deleted", (int)h->deleted);
	(void)json_object_update(o, times);
	json_decref(times);
	bool failed = h->error_code && *h->error_code;
	(void)json_object_set_new(o, "error", failed ? json_pack("{ss so}", "code", h->error_code, "message",
								  text_or_null(h->error_message))
						      : json_null());
	json_array_append_new(ctx, o);
}

static int read_filter(struct http_request *req, struct history_filter *f, struct err *e)
{
	const char *status = http_request_query(req, "status");
	const char *user = http_request_query(req, "user"), *code = http_request_query(req, "code");
	enum job_status s = JOB_PENDING;
	*f = (struct history_filter){ .user_id = user && *user ? user : NULL, .code = code && *code ? code : NULL };
	if (status && *status && (!job_status_parse(status, &s) || !job_status_is_final(s)))
		return err_set(e, ERR_INVALID, "status: expected completed, failed or canceled");
	f->status = status && *status ? (int)s : 0;
	return read_kind(req, &f->kind, e);
}

int admin_history(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct history_filter filter;
	int64_t limit;
	char cursor[64];
	int r = read_filter(req, &filter, e);
	if (r == 0)
		r = http_request_query_int(req, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit, e);
	if (r < 0)
		return r;
	json_t *jobs = json_array();
	r = repo_history(a->o.repo, &filter, (uint32_t)limit, http_request_query(req, "cursor"), append_past, jobs, cursor, e);
	if (r < 0) {
		json_decref(jobs);
		return r;
	}
	return http_respond_json(req, 200, json_pack("{so ss?}", "jobs", jobs, "cursor", cursor[0] ? cursor : NULL));
}
