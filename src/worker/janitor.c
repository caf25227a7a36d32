/* The janitor's thread. In the server and worker process. */
#include "worker/janitor.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/keys.h"
#include "job/live_session.h"
#include "os/thread.h"
#include "worker/identity.h"
#include "worker/speech.h"
#include "worker/stream_clean.h"
#include "worker/upload_join.h"
#include "worker/work_metrics.h"

#define SHORT_ROUND_MS 2000
#define QUIET_ROUND_MS 5000 /* where there was nothing to do and nobody had claimed anything */
#define LONG_ROUND_MS 30000
#define BATCH 100
#define STALE_PUT_MS (3600ll * 1000)

struct janitor {
	struct janitor_opts opts;
	struct bus_subscription *hints;
	pthread_t thread;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool hinted; /* something was deleted: don't wait for the long round */
	bool stopping;
};

static void on_doomed(void *ctx, const struct bus_event *ev)
{
	struct janitor *j = ctx;
	(void)ev;
	(void)pthread_mutex_lock(&j->lock);
	j->hinted = true;
	(void)pthread_cond_signal(&j->wake);
	(void)pthread_mutex_unlock(&j->lock);
}

/* What is left of a round can wait for the next start; with the store away, each step of it would try for a while. */
static bool is_stopping(struct janitor *j)
{
	(void)pthread_mutex_lock(&j->lock);
	bool stopping = j->stopping;
	(void)pthread_mutex_unlock(&j->lock);
	return stopping;
}

static bool gone(void *ctx, const char *worker_id)
{
	(void)ctx;
	return worker_identity_gone(worker_id);
}

static void nudge(void *ctx, const struct job *job)
{
	struct janitor *j = ctx;
	publisher_nudge(j->opts.publisher, job->id);
}

static void short_round(struct janitor *j)
{
	struct err e = { 0 };
	uint32_t count = 0;
	if (repo_release_workers(j->opts.repo, gone, NULL, &count, &e) < 0)
		log_warn("janitor_failed", LOG_S("what", "claims"), LOG_E(&e));
	if (count) {
		log_info("claims_recovered", LOG_I("chunks", count));
		work_count_recovered("claim", count);
		bus_publish(j->opts.bus, &(struct bus_event){ .topic = BUS_WORK });
	}
	if (repo_job_lagging(j->opts.repo, BATCH, nudge, j, &e) < 0)
		log_warn("janitor_failed", LOG_S("what", "lagging jobs"), LOG_E(&e));
}

static void remove_job(void *ctx, const struct job *job)
{
	struct janitor *j = ctx;
	struct err e = { 0 };
	if (is_stopping(j))
		return;
	_cleanup_free_ char *parts = key_parts(job->id);
	int r = job->prefix[0] ? store_delete_prefix(j->opts.store, job->prefix, &e) : 0;
	if (r == 0 && (job->kind == JOB_CONVERT || job->kind == JOB_DOWNLOAD))
		r = store_delete_prefix(j->opts.store, parts, &e);
	if (r == 0)
		r = repo_job_purge(j->opts.repo, job->id, &e);
	if (r < 0)
		log_warn("janitor_failed", LOG_S("what", "delete a job"), LOG_S("job", job->id), LOG_E(&e));
	else
		log_info("job_removed", LOG_S("job", job->id), LOG_S("user", job->user_id));
}

static void remove_object(void *ctx, const char *key)
{
	struct janitor *j = ctx;
	struct err e = { 0 };
	if (is_stopping(j))
		return;
	if (object_remove(j->opts.repo, j->opts.store, key, &e) < 0)
		log_warn("janitor_failed", LOG_S("what", "delete an object"), LOG_S("key", key), LOG_E(&e));
}

/* The row: its object is doomed by that, and goes in the same round. A direct upload's parts before it, since only the row names
 * them. */
static void remove_stale_upload(void *ctx, const struct file *f)
{
	struct janitor *j = ctx;
	struct err e = { 0 };
	if (is_stopping(j))
		return;
	_cleanup_free_ char *key = NULL;
	int r = upload_abort_parts(j->opts.repo, j->opts.store, NULL, f->id, &e);
	if (r == 0)
		r = repo_file_delete(j->opts.repo, NULL, f->id, &key, &e);
	if (r < 0 && e.kind != ERR_NOT_FOUND)
		log_warn("janitor_failed", LOG_S("what", "delete a stale upload"), LOG_S("file", f->id), LOG_E(&e));
}

/* Uploads that are complete but for the last step, because their server died or the store was away. */
static void join_uploads(struct janitor *j)
{
	const struct upload_join_opts o = { .repo = j->opts.repo, .store = j->opts.store, .worker = j->opts.worker };
	struct err e = { 0 };
	if (upload_join(&o, NULL, &e) < 0 && e.kind != ERR_NOT_FOUND && e.kind != ERR_BUSY)
		log_warn("janitor_failed", LOG_S("what", "join an upload"), LOG_E(&e));
}

/* Whatever it is that makes asking fail, the round would meet it, too. */
static void cannot_ask(const struct err *e)
{
	log_warn("janitor_failed", LOG_S("what", "look for work"), LOG_E(e));
}

/* True: there may be more of it soon. */
static bool soon(struct janitor *j)
{
	struct err e = { 0 };
	bool any = false;
	if (repo_chores_soon(j->opts.repo, &any, &e) < 0)
		cannot_ask(&e);
	if (!any)
		return false;
	short_round(j);
	join_uploads(j);
	return true;
}

static void long_round(struct janitor *j)
{
	struct err e = { 0 };
	if (repo_job_doomed(j->opts.repo, BATCH, remove_job, j, &e) < 0)
		log_warn("janitor_failed", LOG_S("what", "expired jobs"), LOG_E(&e));
	if (repo_file_stale(j->opts.repo, UPLOAD_LIFETIME_MS, BATCH, remove_stale_upload, j, &e) < 0)
		log_warn("janitor_failed", LOG_S("what", "stale uploads"), LOG_E(&e));
	if (repo_speech_expire(j->opts.repo, SPEECH_KEPT_MS, BATCH, &e) < 0)
		log_warn("janitor_failed", LOG_S("what", "spoken sentences"), LOG_E(&e));
	if (repo_objects_doomed(j->opts.repo, BATCH, remove_object, j, &e) < 0)
		log_warn("janitor_failed", LOG_S("what", "deleted files"), LOG_E(&e));
	if (repo_live_session_expire(j->opts.repo, &e) < 0)
		log_warn("janitor_failed", LOG_S("what", "live sessions"), LOG_E(&e));
	if (!is_stopping(j))
		streams_clean(j->opts.repo, j->opts.store);
}

static void late(struct janitor *j)
{
	const struct chore_ages ages = { .upload_ms = UPLOAD_LIFETIME_MS, .speech_ms = SPEECH_KEPT_MS };
	struct err e = { 0 };
	bool any = false;
	if (repo_chores_late(j->opts.repo, &ages, &any, &e) < 0)
		cannot_ask(&e);
	if (any)
		long_round(j);
	if (store_sweep(j->opts.store, STALE_PUT_MS, &e) < 0)
		log_warn("janitor_failed", LOG_S("what", "leftovers in the store"), LOG_E(&e));
}

/* Sleeps until the next short round or a hint; false when stopping. */
static bool rest(struct janitor *j, int64_t ms, bool *ret_hinted)
{
	int64_t due = clock_mono_ms() + ms;
	(void)pthread_mutex_lock(&j->lock);
	while (!j->stopping && !j->hinted)
		if (!cond_wait_until(&j->wake, &j->lock, due))
			break;
	bool go_on = !j->stopping;
	*ret_hinted = j->hinted;
	j->hinted = false;
	(void)pthread_mutex_unlock(&j->lock);
	return go_on;
}

static void *janitor_main(void *arg)
{
	struct janitor *j = arg;
	int64_t next_late = 0;
	bool hinted = false, busy;
	do {
		if (hinted || clock_mono_ms() >= next_late) {
			late(j);
			next_late = clock_mono_ms() + LONG_ROUND_MS;
		}
		busy = soon(j);
	} while (rest(j, busy ? SHORT_ROUND_MS : QUIET_ROUND_MS, &hinted));
	return NULL;
}

int janitor_start(const struct janitor_opts *opts, struct janitor **ret, struct err *e)
{
	struct janitor *j = mr_calloc(1, sizeof(*j));
	j->opts = *opts;
	(void)pthread_mutex_init(&j->lock, NULL);
	cond_init_monotonic(&j->wake);
	short_round(j);
	int r = bus_subscribe(opts->bus, BUS_DOOMED, on_doomed, j, &j->hints, e);
	if (r < 0) {
		free(j);
		return r;
	}
	r = thread_start(&j->thread, "janitor", janitor_main, j);
	if (r) {
		bus_unsubscribe(opts->bus, j->hints);
		free(j);
		return err_errno(e, r, "start the janitor");
	}
	*ret = j;
	return 0;
}

void janitor_stop(struct janitor *j)
{
	if (!j)
		return;
	bus_unsubscribe(j->opts.bus, j->hints);
	(void)pthread_mutex_lock(&j->lock);
	j->stopping = true;
	(void)pthread_cond_signal(&j->wake);
	(void)pthread_mutex_unlock(&j->lock);
	(void)pthread_join(j->thread, NULL);
	(void)pthread_mutex_destroy(&j->lock);
	(void)pthread_cond_destroy(&j->wake);
	free(j);
}
