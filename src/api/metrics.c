/* /metrics: this process's counters (base/metrics.h), and what rows say at this moment: the queue, open jobs, processes. The latter
 * are the same whichever process is asked, and left out where the database doesn't answer. */
#include "api/internal.h"
#include "base/metrics.h"
#include "job/figures.h"
#include "worker/monitor.h"
#include "worker/work_metrics.h"

#define TEXT_MAX_BYTES (4u << 20)
#define WEEK_MS (7 * 24 * 3600 * INT64_C(1000))

/* Of rows. */
static struct metric jobs = METRIC_GAUGE("millrace_jobs", "Users' jobs that are open now.", 1, "status");
static struct metric ended =
	METRIC_GAUGE("millrace_jobs_ended_week", "Users' jobs that ended within seven days.", 1, "kind", "status");
static struct metric chunks = METRIC_GAUGE("millrace_queue_chunks", "Chunks of open jobs.", 1, "kind", "state");
static struct metric oldest = METRIC_GAUGE("millrace_queue_oldest_seconds",
					    "How long the oldest chunk has waited that can be claimed.", 1e-3, "kind");
static struct metric processes = METRIC_GAUGE("millrace_processes", "Processes that were seen lately.", 1, "role");
static struct metric slots = METRIC_GAUGE("millrace_slots", "Chunks that these can work at at once.", 1, "role");
static struct metric *const of_rows[] = { &jobs, &ended, &chunks, &oldest, &processes, &slots };
/* Of this process. */
static struct metric status =
	METRIC_GAUGE("millrace_check", "How a dependency or resource is: 0 ok, 1 a warning, 2 failing.", 1, "check");
static struct metric load = METRIC_GAUGE("millrace_machine_load", "Runnable threads of the machine, over a minute.", 1e-3);
static struct metric memory = METRIC_GAUGE("millrace_machine_memory_bytes", "Memory that this process may use.", 1, "what");
static struct metric own = METRIC_GAUGE("process_resident_memory_bytes", "Of this process, without its tasks.", 1);
static struct metric cpu = METRIC_COUNTER("process_cpu_seconds_total", "Of this process and its ended tasks.", 1e-3);
static struct metric descriptors = METRIC_GAUGE("process_open_fds", "Open descriptors.", 1);
static struct metric descriptors_max = METRIC_GAUGE("process_max_fds", "So many are allowed.", 1);
static struct metric disk = METRIC_GAUGE("millrace_disk_free_ratio", "Of the fullest disk that is written to.", 1e-6);
static struct metric uptime = METRIC_GAUGE("millrace_uptime_seconds", "Since this process started.", 1e-3);
static struct metric version = METRIC_GAUGE("millrace_build_info", "1, with the version.", 1, "version");

static void on_queue(void *ctx, const struct queue_row *q)
{
	(void)ctx;
	const char *kind = work_job_kind(q->kind);
	metric_set(metric_of(&chunks, kind, "ready"), q->ready);
	metric_set(metric_of(&chunks, kind, "waiting"), q->waiting);
	metric_set(metric_of(&chunks, kind, "running"), q->running);
	metric_set(metric_of(&oldest, kind), q->oldest_ms > 0 ? q->oldest_ms : 0);
}

static void on_ended(void *ctx, const struct outcome_row *o)
{
	(void)ctx;
	metric_set(metric_of(&ended, job_kind_name(o->kind), job_status_name(o->status)), o->count);
}

static void on_process(void *ctx, const struct worker_row *w, int64_t now_ms)
{
	(void)ctx;
	if (now_ms - w->seen_ms >= WORKER_SILENT_MS)
		return;
	metric_add(metric_of(&processes, w->role), 1);
	metric_add(metric_of(&slots, w->role), w->slots);
}

static int read_rows(struct api *a)
{
	int64_t now_ms, pending, processing, streaming;
	int r = repo_now(a->o.repo, &now_ms, NULL);
	if (r < 0 || (r = repo_open_jobs(a->o.repo, &pending, &processing, &streaming, NULL)) < 0 ||
	    (r = repo_queue(a->o.repo, on_queue, NULL, NULL)) < 0 ||
	    (r = repo_outcomes(a->o.repo, now_ms - WEEK_MS, 2 * WEEK_MS, on_ended, NULL, NULL)) < 0 ||
	    (r = repo_worker_list(a->o.repo, on_process, NULL, NULL)) < 0)
		return r;
	metric_set(metric_of(&jobs, "pending"), pending);
	metric_set(metric_of(&jobs, "processing"), processing);
	metric_set(metric_of(&jobs, "streaming"), streaming);
	return 0;
}

static void read_process(struct api *a)
{
	struct check_list l;
	monitor_look(a->o.monitor, &l);
	for (size_t i = 0; i < CHECK_NAMES; i++)
		if (l.of[i].there)
			metric_set(metric_of(&status, check_names[i]), l.of[i].status);
	const struct machine *m = &l.machine;
	metric_set(metric_of(&load, NULL), (int64_t)(m->load * 1e3));
	metric_set(metric_of(&memory, "total"), (int64_t)m->memory_total);
	metric_set(metric_of(&memory, "available"), (int64_t)m->memory_available);
	metric_set(metric_of(&own, NULL), (int64_t)m->own_memory);
	metric_set(metric_of(&cpu, NULL), m->own_cpu_ms);
	metric_set(metric_of(&descriptors, NULL), m->descriptors);
	metric_set(metric_of(&descriptors_max, NULL), m->descriptors_max);
	if (l.disk_free >= 0)
		metric_set(metric_of(&disk, NULL), (int64_t)(l.disk_free * 1e6));
	metric_set(metric_of(&uptime, NULL), monitor_uptime_ms(a->o.monitor));
	metric_set(metric_of(&version, monitor_version(a->o.monitor)), 1);
}

int metrics_get(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX_BYTES);
	read_process(a);
	/* Two at a time would count each other's processes. */
	(void)pthread_mutex_lock(&a->scrape_lock);
	for (size_t i = 0; i < MR_ARRAY_SIZE(of_rows); i++)
		metric_reset(of_rows[i]);
	bool shown = read_rows(a) == 0;
	for (size_t i = 0; i < MR_ARRAY_SIZE(of_rows); i++)
		metric_hide(of_rows[i], !shown);
	metrics_format(&text);
	(void)pthread_mutex_unlock(&a->scrape_lock);
	int r = buf_finish(&text, e);
	return r < 0 ? r : http_respond_bytes(req, 200, METRICS_CONTENT_TYPE, text.data, text.len);
}
