/* The monitor's thread. In the server and worker process; see worker/monitor.h. */
#include "worker/monitor.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "job/figures.h"
#include "os/thread.h"
#include "worker/identity.h"
#include "worker/work_metrics.h"

#define ROUND_MS 5000
#define FRESH_MS 1000
#define LOOKS_TO_CHANGE 2
#define LOOK_AROUND_EVERY 6 /* rounds: for processes that are gone */
#define BEAT_EVERY 2	    /* rounds; at once when an alert changes */

static struct metric alert_gauge =
	METRIC_GAUGE("millrace_alert", "1 while a threshold is passed (docs/OPERATIONS.md).", 1, "alert");
static struct metric alert_counter = METRIC_COUNTER("millrace_alerts_total", "How often an alert was raised.", 1, "alert");

struct alert {
	unsigned looks; /* in a row that say the opposite of `raised` */
	bool raised;
	int64_t since_ms; /* wall clock */
};

struct monitor {
	struct monitor_opts opts;
	char id[WORKER_ID_SIZE];
	char host[MACHINE_NAME_SIZE];
	int64_t started_mono_ms;
	pthread_t thread;
	bool running;

	pthread_mutex_t look_lock; /* one looks at a time */
	/* protected by look_lock */
	struct checks_memory memory;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* protected by lock */
	bool stopping;
	struct check_list found;
	int64_t found_mono_ms; /* 0: nothing yet */

	/* The thread's own. */
	struct alert alerts[CHECK_NAMES];
	struct machine before;
	unsigned rounds;
};

static void look(struct monitor *m, int64_t fresh_ms, struct check_list *ret)
{
	(void)pthread_mutex_lock(&m->look_lock);
	(void)pthread_mutex_lock(&m->lock);
	bool fresh = m->found_mono_ms && clock_mono_ms() - m->found_mono_ms < fresh_ms;
	(void)pthread_mutex_unlock(&m->lock);
	struct check_list l = { 0 };
	if (!fresh)
		checks_run(&m->opts.checks, &m->memory, &l);
	(void)pthread_mutex_lock(&m->lock);
	if (!fresh) {
		m->found = l;
		m->found_mono_ms = clock_mono_ms();
	}
	*ret = m->found;
	(void)pthread_mutex_unlock(&m->lock);
	(void)pthread_mutex_unlock(&m->look_lock);
}

void monitor_look(struct monitor *m, struct check_list *ret)
{
	look(m, FRESH_MS, ret);
}

const char *monitor_version(const struct monitor *m)
{
	return m->opts.version;
}

int64_t monitor_uptime_ms(const struct monitor *m)
{
	return clock_mono_ms() - m->started_mono_ms;
}

/* ---- alerts ---- */

static void change(struct alert *a, const char *name, const struct check *c)
{
	a->raised = !a->raised;
	a->looks = 0;
	metric_set(metric_of(&alert_gauge, name), a->raised);
	if (!a->raised) {
		log_info("alert_cleared", LOG_S("alert", name), LOG_I("seconds", (clock_wall_ms() - a->since_ms) / 1000));
		return;
	}
	a->since_ms = clock_wall_ms();
	metric_add(metric_of(&alert_counter, name), 1);
	log_warn("alert_raised", LOG_S("alert", name), LOG_S("status", check_status_name(c->status)), LOG_F("value", c->value),
		 LOG_F("threshold", c->threshold), LOG_S("unit", c->unit), LOG_S("message", c->message));
}

/* True: one was raised or cleared. */
static bool watch(struct monitor *m, const struct check_list *l)
{
	bool changed = false;
	for (size_t i = 0; i < CHECK_NAMES; i++) {
		const struct check *c = &l->of[i];
		struct alert *a = &m->alerts[i];
		bool bad = c->there && c->status != CHECK_OK;
		if (!c->there && !a->raised)
			continue;
		(void)metric_of(&alert_gauge, check_names[i]); /* shows as 0 from the start */
		a->looks = bad == a->raised ? 0 : a->looks + 1;
		if (a->looks >= LOOKS_TO_CHANGE) {
			change(a, check_names[i], c);
			changed = true;
		}
	}
	return changed;
}

/* ---- this process's row ---- */

static json_t *alerts_json(const struct monitor *m, const struct check_list *l)
{
	json_t *list = json_array();
	for (size_t i = 0; i < CHECK_NAMES; i++) {
		const struct check *c = &l->of[i];
		if (m->alerts[i].raised)
			json_array_append_new(list, json_pack("{ss sf sf ss? sI ss}", "alert", check_names[i], "value", c->value,
							      "threshold", c->threshold, "unit", c->unit, "since_ms",
							      (json_int_t)m->alerts[i].since_ms, "message", c->message));
	}
	return list;
}

static char *report(struct monitor *m, const struct check_list *l)
{
	const struct machine *now = &l->machine;
	int64_t total = now->cpu_total - m->before.cpu_total, busy = now->cpu_busy - m->before.cpu_busy;
	struct work_sums sums = work_sums_now();
	json_t *o = json_pack("{sf si sI sI sI sI sI so}", "load", now->load, "cores", (int)now->cores, "memory_bytes",
			      (json_int_t)now->own_memory, "chunks_done", (json_int_t)sums.done, "chunks_failed",
			      (json_int_t)sums.failed, "chunk_ms", (json_int_t)sums.done_ms, "media_ms", (json_int_t)sums.media_ms,
			      "alerts", alerts_json(m, l));
	if (total > 0 && m->before.cpu_total)
		(void)json_object_set_new(o, "cpu_percent", json_real(100.0 * (double)busy / (double)total));
	m->before = *now;
	char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(o);
	return text ? text : mr_strdup("{}");
}

static void beat(struct monitor *m, const struct check_list *l)
{
	_cleanup_free_ char *text = report(m, l);
	const struct worker_row row = { .id = m->id,
					.host = m->host,
					.pid = getpid(),
					.role = m->opts.role,
					.version = m->opts.version,
					.slots = m->opts.slots,
					.report_json = text };
	struct err e = { 0 };
	/* Why it can't be written is the database's alert. */
	if (repo_worker_beat(m->opts.checks.repo, &row, &e) < 0)
		log_debug("heartbeat_failed", LOG_E(&e));
}

/* ---- others that are gone ---- */

struct gone {
	char id[WORKER_ID_SIZE], host[MACHINE_NAME_SIZE], role[16];
	int64_t pid, silent_ms;
	bool certain; /* its process is known not to be there */
};
struct gone_list {
	const struct monitor *m;
	struct gone of[16]; /* the rest next time */
	size_t count;
};

static void find_gone(void *ctx, const struct worker_row *w, int64_t now_ms)
{
	struct gone_list *l = ctx;
	int64_t silent_ms = now_ms - w->seen_ms;
	bool certain = worker_identity_gone(w->id);
	if (l->count == MR_ARRAY_SIZE(l->of) || strcmp(w->id, l->m->id) == 0 || (!certain && silent_ms < WORKER_KEPT_MS))
		return;
	struct gone *g = &l->of[l->count++];
	*g = (struct gone){ .pid = w->pid, .silent_ms = silent_ms, .certain = certain };
	(void)snprintf(g->id, sizeof(g->id), "%s", w->id);
	(void)snprintf(g->host, sizeof(g->host), "%s", w->host);
	(void)snprintf(g->role, sizeof(g->role), "%s", w->role);
}

static void look_around(struct monitor *m)
{
	struct gone_list l = { .m = m };
	struct repo *repo = m->opts.checks.repo;
	if (repo_worker_list(repo, find_gone, &l, NULL) < 0)
		return;
	for (size_t i = 0; i < l.count; i++) {
		const struct gone *g = &l.of[i];
		bool mine = false;
		if (repo_worker_forget(repo, g->id, g->certain ? 0 : WORKER_KEPT_MS, &mine, NULL) < 0 || !mine)
			continue;
		work_count_recovered("process", 1);
		log_warn(g->certain ? "process_died" : "process_lost", LOG_S("host", g->host), LOG_I("pid", g->pid),
			 LOG_S("role", g->role), LOG_I("last_seen_ms_ago", g->silent_ms));
	}
}

/* ---- the thread ---- */

static void round_of(struct monitor *m)
{
	struct check_list l;
	look(m, 0, &l);
	bool changed = watch(m, &l);
	if (l.of[CHECK_DATABASE].status == CHECK_FAIL)
		return;
	const unsigned round = m->rounds++;
	if (round % LOOK_AROUND_EVERY == 0)
		look_around(m);
	if (changed || round % BEAT_EVERY == 0)
		beat(m, &l);
}

static bool rest(struct monitor *m)
{
	int64_t due = clock_mono_ms() + m->opts.round_ms;
	(void)pthread_mutex_lock(&m->lock);
	while (!m->stopping)
		if (!cond_wait_until(&m->wake, &m->lock, due))
			break;
	bool go_on = !m->stopping;
	(void)pthread_mutex_unlock(&m->lock);
	return go_on;
}

static void *monitor_main(void *arg)
{
	struct monitor *m = arg;
	do
		round_of(m);
	while (rest(m));
	return NULL;
}

int monitor_start(const struct monitor_opts *opts, struct monitor **ret, struct err *e)
{
	struct monitor *m = mr_calloc(1, sizeof(*m));
	m->opts = *opts;
	if (!m->opts.round_ms)
		m->opts.round_ms = ROUND_MS;
	m->started_mono_ms = clock_mono_ms();
	worker_identity(m->id);
	machine_name(m->host);
	(void)pthread_mutex_init(&m->look_lock, NULL);
	(void)pthread_mutex_init(&m->lock, NULL);
	cond_init_monotonic(&m->wake);
	int r = thread_start(&m->thread, "monitor", monitor_main, m);
	if (r) {
		monitor_stop(m);
		return err_errno(e, r, "start the monitor");
	}
	m->running = true;
	log_info("process_started", LOG_S("role", opts->role), LOG_S("version", opts->version), LOG_S("host", m->host),
		 LOG_I("pid", getpid()), LOG_I("slots", opts->slots));
	*ret = m;
	return 0;
}

void monitor_stop(struct monitor *m)
{
	if (!m)
		return;
	if (m->running) {
		(void)pthread_mutex_lock(&m->lock);
		m->stopping = true;
		(void)pthread_cond_signal(&m->wake);
		(void)pthread_mutex_unlock(&m->lock);
		(void)pthread_join(m->thread, NULL);
		struct err e = { 0 };
		if (repo_worker_leave(m->opts.checks.repo, m->id, &e) < 0)
			log_debug("heartbeat_failed", LOG_E(&e));
		log_info("process_stopped", LOG_S("role", m->opts.role), LOG_I("seconds", monitor_uptime_ms(m) / 1000));
	}
	(void)pthread_cond_destroy(&m->wake);
	(void)pthread_mutex_destroy(&m->lock);
	(void)pthread_mutex_destroy(&m->look_lock);
	free(m);
}
