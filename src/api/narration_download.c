/* POST …/download of a narration: its MP3, made once by a job that nobody sees. The request waits a moment for it, since that is
 * all that it takes for a narration of usual length; else it answers 202, and the next one tells. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "job/keys.h"
#include "job/plan_download.h"
#include "os/thread.h"

#define WAIT_MS 5000
#define LOOK_MS 500 /* hints may be lost */
#define GRACE_LEAST_S 60

/* How long the stream stays, for those who are listening. */
static int64_t grace_ms(const struct api *a, const struct job *j)
{
	if (a->o.stream_grace_s >= 0)
		return a->o.stream_grace_s * 1000;
	int64_t length_s = j->duration_ticks / VIDEO_TIMESCALE + 1;
	return 1000 * (length_s < GRACE_LEAST_S ? GRACE_LEAST_S : length_s);
}

int narration_download_start(struct api *a, const struct job *j, bool again, struct job *ret, struct err *e)
{
	struct convert_plan plan;
	int r = download_plan(j, &plan, e);
	if (r < 0)
		return r;
	_cleanup_free_ char *key = key_download(j->user_id, j->id);
	struct job_new n = { .user_id = j->user_id,
			     .kind = JOB_DOWNLOAD,
			     .source_key = "",
			     .prefix = key,
			     .params_json = "{}",
			     .plan = convert_job_plan(&plan),
			     .grace_ms = grace_ms(a, j) };
	uuid7_new(n.id);
	r = repo_download_start(a->o.repo, j->user_id, j->id, &n, again, ret, e);
	convert_plan_release(&plan);
	if (r == 0 && strcmp(ret->id, n.id) == 0)
		bus_publish(a->o.bus, &(struct bus_event){ .topic = BUS_WORK });
	return r;
}

/* ---- waiting ---- */

struct waiting {
	const char *job_id;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool changed;
};

static void on_job(void *ctx, const struct bus_event *ev)
{
	struct waiting *w = ctx;
	if (strcmp(ev->job_id, w->job_id) != 0)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->changed = true;
	(void)pthread_cond_signal(&w->wake);
	(void)pthread_mutex_unlock(&w->lock);
}

static void wait_for_change(struct waiting *w, int64_t until_mono_ms)
{
	int64_t look = clock_mono_ms() + LOOK_MS;
	(void)pthread_mutex_lock(&w->lock);
	while (!w->changed && cond_wait_until(&w->wake, &w->lock, look < until_mono_ms ? look : until_mono_ms))
		;
	w->changed = false;
	(void)pthread_mutex_unlock(&w->lock);
}

/* Looks at the job's row until it has ended, or the time is over; `io` is the job, and then what it is. */
static int watch(struct api *a, struct waiting *w, struct job *io, struct err *e)
{
	const int64_t until = clock_mono_ms() + WAIT_MS;
	for (bool first = true; !job_status_is_final(io->status); first = false) {
		struct job now;
		if (!first)
			wait_for_change(w, until);
		if (clock_mono_ms() >= until || worker_is_stopping(a->o.worker))
			return 0;
		int r = repo_job_get(a->o.repo, NULL, io->id, &now, e);
		if (r < 0)
			return r;
		job_release(io);
		*io = now;
	}
	return 0;
}

static int await(struct api *a, struct job *io, struct err *e)
{
	char id[UUID_SIZE];
	memcpy(id, io->id, UUID_SIZE);
	struct waiting w = { .job_id = id, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct bus_subscription *news;
	cond_init_monotonic(&w.wake);
	int r = bus_subscribe(a->o.bus, BUS_JOB, on_job, &w, &news, e);
	if (r == 0) {
		r = watch(a, &w, io, e);
		bus_unsubscribe(a->o.bus, news);
	}
	(void)pthread_cond_destroy(&w.wake);
	(void)pthread_mutex_destroy(&w.lock);
	return r;
}

/* A few requests wait; the others are told to come again, so that the pool's threads are not all taken. */
static int await_if_there_is_room(struct api *a, struct job *io, struct err *e)
{
	if (job_status_is_final(io->status))
		return 0;
	int r = atomic_fetch_add(&a->waiting, 1) < a->o.waiting_max ? await(a, io, e) : 0;
	atomic_fetch_sub(&a->waiting, 1);
	return r;
}

int narration_download(struct api *a, struct http_request *req, const struct job *j, struct err *e)
{
	if (*j->download_key)
		return job_respond_download(a, req, j, j->download_key, e);
	struct job download;
	int r = narration_download_start(a, j, true, &download, e);
	if (r < 0)
		return r;
	r = await_if_there_is_room(a, &download, e);
	if (r == 0 && download.status == JOB_FAILED)
		r = err_set_code(e, ERR_GONE, download.error_code, "the MP3 cannot be made: %s",
				 download.error_message ? download.error_message : "it failed");
	else if (r == 0 && download.status == JOB_COMPLETED)
		r = job_respond_download(a, req, j, download.prefix, e);
	else if (r == 0)
		r = http_respond_json(req, 202, job_json(a, j, http_request_base_url(req), http_request_host(req)));
	job_release(&download);
	return r;
}
