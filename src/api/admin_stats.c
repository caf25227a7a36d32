/* /api/admin/stats: what a monitor shows, in one answer. What it costs grows with the rows of a week and of all segments, so an
 * answer stays for twenty times as long as it took to make (that of the storage for a hundred times), and who asks more often gets
 * it again: however many monitors are open, the database is busy with them for a twentieth of one thread at most. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "job/figures.h"
#include "worker/monitor.h"
#include "worker/work_metrics.h"

#define KEPT_MIN_MS 500
#define KEPT_MAX_MS 60000
#define STORAGE_KEPT_MIN_MS 1000
#define STORAGE_KEPT_MAX_MS 600000
#define WEEK_MS (7 * 24 * 3600 * INT64_C(1000))

static const struct window {
	const char *name;
	int64_t bucket_ms;
	size_t buckets;
} windows[] = { { "hour", 60000, 60 }, { "day", 1800000, 48 }, { "week", 10800000, 56 } };
#define WINDOWS MR_ARRAY_SIZE(windows)
#define BUCKETS_MAX 60
#define KINDS (JOB_DOWNLOAD + 1)

struct admin_stats {
	pthread_mutex_t lock; /* also: one is made at a time */
	/* protected by lock */
	struct {
		char *text; /* NULL: none */
		int64_t until_ms;
	} answers[WINDOWS];
	json_t *storage; /* NULL: none */
	int64_t storage_until_ms, storage_at_ms;
};

struct admin_stats *admin_stats_new(void)
{
	struct admin_stats *s = mr_calloc(1, sizeof(*s));
	(void)pthread_mutex_init(&s->lock, NULL);
	return s;
}

void admin_stats_free(struct admin_stats *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < WINDOWS; i++)
		free(s->answers[i].text);
	json_decref(s->storage);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- what became of jobs ---- */

struct sums {
	int64_t of[JOB_CANCELED + 1]; /* by status */
	int64_t media_ticks, run_ms;  /* of what was completed */
	int64_t waited_ms, started;   /* of all that were begun */
	int64_t took_ms, took;	      /* waiting and working, of what was completed */
};

struct outcomes {
	struct sums buckets[BUCKETS_MAX], kinds[KINDS];
	size_t count;
};

static void add(struct sums *s, const struct outcome_row *o)
{
	s->of[o->status] += o->count;
	s->waited_ms += o->waited_ms;
	s->started += o->started;
	if (o->status != JOB_COMPLETED)
		return;
	s->media_ticks += o->media_ticks;
	s->run_ms += o->run_ms;
	s->took_ms += o->run_ms + o->waited_ms;
	s->took += o->started;
}

static void on_outcome(void *ctx, const struct outcome_row *o)
{
	struct outcomes *all = ctx;
	if (o->status < JOB_COMPLETED || o->status > JOB_CANCELED)
		return;
	if (o->bucket >= 0 && (size_t)o->bucket < all->count)
		add(&all->buckets[o->bucket], o);
	if (o->kind > 0 && (size_t)o->kind < KINDS)
		add(&all->kinds[o->kind], o);
}

static json_t *mean(int64_t sum_ms, int64_t count)
{
	return count > 0 ? json_real((double)sum_ms / 1e3 / (double)count) : json_null();
}

static json_t *sums_json(const struct sums *s)
{
	return json_pack("{sI sI sI sf sf so so}", "completed", (json_int_t)s->of[JOB_COMPLETED], "failed",
			 (json_int_t)s->of[JOB_FAILED], "canceled", (json_int_t)s->of[JOB_CANCELED], "media_seconds",
			 (double)s->media_ticks / 90e3, "run_seconds", (double)s->run_ms / 1e3, "speed",
			 s->run_ms > 0 ? json_real((double)s->media_ticks / 90 / (double)s->run_ms) : json_null(), "waited_seconds",
			 mean(s->waited_ms, s->started));
}

static void on_failure(void *ctx, const struct failure_row *f)
{
	json_array_append_new(ctx, json_pack("{ss ss sI so}", "kind", job_kind_name(f->kind), "code", f->code, "count",
					     (json_int_t)f->count, "last_at", json_time(f->last_ms)));
}

/* buckets, by_kind and failures of the window. */
static int put_window(struct api *a, const struct window *w, int64_t now_ms, json_t *out, struct err *e)
{
	int64_t from_ms = (now_ms / w->bucket_ms - (int64_t)w->buckets + 1) * w->bucket_ms;
	_cleanup_free_ struct outcomes *all = mr_calloc(1, sizeof(*all));
	all->count = w->buckets;
	json_t *buckets = json_array(), *kinds = json_array(), *failures = json_array();
	(void)json_object_set_new(out, "buckets",
				  json_pack("{sI so}", "seconds", (json_int_t)(w->bucket_ms / 1000), "list", buckets));
	(void)json_object_set_new(out, "by_kind", kinds);
	(void)json_object_set_new(out, "failures", failures);
	int r = repo_outcomes(a->o.repo, from_ms, w->bucket_ms, on_outcome, all, e);
	if (r < 0 || (r = repo_failures(a->o.repo, from_ms, on_failure, failures, e)) < 0)
		return r;
	for (size_t i = 0; i < w->buckets; i++) {
		json_t *b = sums_json(&all->buckets[i]);
		(void)json_object_set_new(b, "start", json_time(from_ms + (int64_t)i * w->bucket_ms));
		json_array_append_new(buckets, b);
	}
	for (size_t k = 0; k < KINDS; k++) {
		const struct sums *s = &all->kinds[k];
		if (!(s->of[JOB_COMPLETED] + s->of[JOB_FAILED] + s->of[JOB_CANCELED]))
			continue;
		json_t *o = sums_json(s);
		(void)json_object_set_new(o, "kind", json_string(job_kind_name((enum job_kind)k)));
		(void)json_object_set_new(o, "took_seconds", mean(s->took_ms, s->took));
		json_array_append_new(kinds, o);
	}
	return 0;
}

static void on_week(void *ctx, const struct outcome_row *o)
{
	add(ctx, o);
}

static int put_jobs(struct api *a, int64_t now_ms, json_t *out, struct err *e)
{
	struct sums week = { 0 };
	int64_t pending = 0, processing = 0, streaming = 0;
	int r = repo_open_jobs(a->o.repo, &pending, &processing, &streaming, e);
	if (r >= 0)
		r = repo_outcomes(a->o.repo, now_ms - WEEK_MS, 2 * WEEK_MS, on_week, &week, e);
	if (r < 0)
		return r;
	return json_object_set_new(out, "jobs",
				   json_pack("{sI sI sI sI sI sI}", "pending", (json_int_t)pending, "processing",
					     (json_int_t)processing, "streaming", (json_int_t)streaming, "completed",
					     (json_int_t)week.of[JOB_COMPLETED], "failed", (json_int_t)week.of[JOB_FAILED],
					     "canceled", (json_int_t)week.of[JOB_CANCELED]));
}

/* ---- the queue ---- */

struct queue {
	json_t *kinds;
	int64_t ready, waiting, running, oldest_ms;
};

static void on_queue(void *ctx, const struct queue_row *row)
{
	struct queue *q = ctx;
	q->ready += row->ready;
	q->waiting += row->waiting;
	q->running += row->running;
	/* Analyses wait for whatever else there is: they don't tell whether there are enough workers. */
	if (row->kind != JOB_ANALYZE && row->oldest_ms > q->oldest_ms)
		q->oldest_ms = row->oldest_ms;
	json_array_append_new(q->kinds, json_pack("{ss sI sI sI sI so}", "kind", work_job_kind(row->kind), "jobs",
						  (json_int_t)row->jobs, "ready", (json_int_t)row->ready, "waiting",
						  (json_int_t)row->waiting, "running", (json_int_t)row->running,
						  "oldest_waiting_seconds", json_seconds(row->oldest_ms)));
}

static int put_queue(struct api *a, json_t *out, struct err *e)
{
	struct queue q = { .kinds = json_array(), .oldest_ms = -1 };
	int r = repo_queue(a->o.repo, on_queue, &q, e);
	(void)json_object_set_new(out, "queue", json_pack("{sI sI sI so so}", "ready", (json_int_t)q.ready, "waiting",
							  (json_int_t)q.waiting, "running", (json_int_t)q.running,
							  "oldest_waiting_seconds", json_seconds(q.oldest_ms), "by_kind", q.kinds));
	return r;
}

/* ---- processes ---- */

struct processes {
	json_t *workers, *alerts, *doing; /* doing: by process */
};

static void on_running(void *ctx, const struct running_row *r)
{
	struct processes *p = ctx;
	json_t *list = json_object_get(p->doing, r->worker);
	if (!list) {
		list = json_array();
		(void)json_object_set_new(p->doing, r->worker, list);
	}
	json_array_append_new(list, json_pack("{ss ss ss si ss sf}", "job_id", r->job_id, "user_id", r->user_id, "kind",
					      work_job_kind(r->kind), "chunk", (int)r->chunk, "stage",
					      work_chunk_kind(r->chunk_kind), "percent", r->percent));
}

static void put_alerts(json_t *all, json_t *names, const json_t *report, const struct worker_row *w)
{
	size_t i;
	json_t *alert;
	json_array_foreach(json_object_get(report, "alerts"), i, alert) {
		json_t *o = json_copy(alert);
		(void)json_object_set_new(o, "since", json_time(json_integer_value(json_object_get(alert, "since_ms"))));
		(void)json_object_del(o, "since_ms");
		(void)json_object_set_new(o, "host", json_string(w->host));
		(void)json_object_set_new(o, "pid", json_integer(w->pid));
		(void)json_array_append(names, json_object_get(alert, "alert"));
		(void)json_array_append_new(all, o);
	}
}

static void put_report(json_t *worker, const json_t *report)
{
	static const char *const as_is[] = { "load", "cores", "cpu_percent", "memory_bytes", "chunks_done", "chunks_failed" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(as_is); i++) {
		json_t *v = json_object_get(report, as_is[i]);
		(void)json_object_set_new(worker, as_is[i], v ? json_incref(v) : json_null());
	}
	int64_t done = json_integer_value(json_object_get(report, "chunks_done"));
	int64_t took_ms = json_integer_value(json_object_get(report, "chunk_ms"));
	int64_t media_ms = json_integer_value(json_object_get(report, "media_ms"));
	(void)json_object_set_new(worker, "chunk_seconds", mean(took_ms, done));
	(void)json_object_set_new(worker, "speed", took_ms > 0 ? json_real((double)media_ms / (double)took_ms) : json_null());
}

static void on_worker(void *ctx, const struct worker_row *w, int64_t now_ms)
{
	struct processes *p = ctx;
	json_t *report = NULL, *doing = json_object_get(p->doing, w->id), *names = json_array();
	bool alive = now_ms - w->seen_ms < WORKER_SILENT_MS;
	if (json_parse(w->report_json, strlen(w->report_json), &report, NULL) < 0)
		report = json_object();
	json_t *o = json_pack("{ss ss sI ss ss sI sI sb so so sf}", "id", w->id, "host", w->host, "pid", (json_int_t)w->pid, "role",
			      w->role, "version", w->version, "slots", (json_int_t)w->slots, "busy",
			      (json_int_t)json_array_size(doing), "alive", (int)alive, "started_at", json_time(w->started_ms),
			      "last_seen_at", json_time(w->seen_ms), "last_seen_seconds", (double)(now_ms - w->seen_ms) / 1e3);
	(void)json_object_set_new(o, "doing", doing ? json_incref(doing) : json_array());
	put_report(o, report);
	if (alive)
		put_alerts(p->alerts, names, report, w);
	(void)json_object_set_new(o, "alerts", names);
	json_array_append_new(p->workers, o);
	json_decref(report);
}

static int put_processes(struct api *a, json_t *out, struct err *e)
{
	struct processes p = { .workers = json_array(), .alerts = json_array(), .doing = json_object() };
	(void)json_object_set_new(out, "workers", p.workers);
	(void)json_object_set_new(out, "alerts", p.alerts);
	int r = repo_running(a->o.repo, on_running, &p, e);
	if (r >= 0)
		r = repo_worker_list(a->o.repo, on_worker, &p, e);
	json_decref(p.doing);
	return r;
}

/* ---- storage ---- */

static void on_storage(void *ctx, const struct storage_row *s)
{
	json_array_append_new(ctx, json_pack("{ss sI so}", "kind", s->kind, "objects", (json_int_t)s->objects, "bytes",
					     s->bytes < 0 ? json_null() : json_integer(s->bytes)));
}

static int64_t kept_until(int64_t began_ms, int64_t times, int64_t min_ms, int64_t max_ms)
{
	int64_t now = clock_mono_ms(), keep = (now - began_ms) * times;
	return now + (keep < min_ms ? min_ms : keep > max_ms ? max_ms : keep);
}

static int put_storage(struct api *a, json_t *out, struct err *e)
{
	struct admin_stats *s = a->stats;
	if (!s->storage || clock_mono_ms() >= s->storage_until_ms) {
		int64_t began = clock_mono_ms();
		json_t *list = json_array();
		int r = repo_storage(a->o.repo, on_storage, list, e);
		if (r < 0) {
			json_decref(list);
			return r;
		}
		json_decref(s->storage);
		s->storage = list;
		s->storage_at_ms = clock_wall_ms();
		s->storage_until_ms = kept_until(began, 100, STORAGE_KEPT_MIN_MS, STORAGE_KEPT_MAX_MS);
	}
	(void)json_object_set(out, "storage", s->storage);
	(void)json_object_set_new(out, "storage_at", json_time(s->storage_at_ms));
	return 0;
}

/* ---- the answer ---- */

static int make_locked(struct api *a, const struct window *w, char **ret, struct err *e)
{
	int64_t now_ms;
	int r = repo_now(a->o.repo, &now_ms, e);
	if (r < 0)
		return r;
	json_t *out = json_pack("{so ss ss}", "now", json_time(now_ms), "window", w->name, "version",
				monitor_version(a->o.monitor));
	if ((r = put_jobs(a, now_ms, out, e)) >= 0 && (r = put_queue(a, out, e)) >= 0 &&
	    (r = put_window(a, w, now_ms, out, e)) >= 0 && (r = put_processes(a, out, e)) >= 0 && (r = put_storage(a, out, e)) >= 0)
		*ret = json_dumps(out, JSON_ANSWER);
	json_decref(out);
	return r < 0 ? r : 0;
}

int admin_stats_get(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const char *name = http_request_query(req, "window");
	size_t i = 0;
	while (i < WINDOWS && name && *name && strcmp(windows[i].name, name) != 0)
		i++;
	if (i == WINDOWS)
		return err_set(e, ERR_INVALID, "window: expected hour, day or week");
	int r = 0;
	(void)pthread_mutex_lock(&a->stats->lock);
	if (!a->stats->answers[i].text || clock_mono_ms() >= a->stats->answers[i].until_ms) {
		int64_t began = clock_mono_ms();
		char *text = NULL;
		r = make_locked(a, &windows[i], &text, e);
		if (r == 0) {
			free(a->stats->answers[i].text);
			a->stats->answers[i].text = text;
			a->stats->answers[i].until_ms = kept_until(began, 20, KEPT_MIN_MS, KEPT_MAX_MS);
		}
	}
	if (r == 0)
		r = http_respond_text(req, 200, "application/json", a->stats->answers[i].text);
	(void)pthread_mutex_unlock(&a->stats->lock);
	return r;
}
