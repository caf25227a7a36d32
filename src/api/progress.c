/* How far a job is, for clients that ask again and again: remembered in this process, and kept up by what the bus tells of its
 * progress, here or on other machines, so that the database is asked only when something else has changed or nothing was heard
 * for a while (half a second after a look at the database, since not every process may be heard; else three heartbeats).
 *
 * What is told never falls: an answer that was read before a hint is given, but not remembered; progress counts where a look at the
 * database has been remembered that is older by its revision.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"

#define SLOTS 1024 /* a power of two; jobs that meet in one push each other out */
#define FRESH_MS 500
#define HEARD_MS 1500

struct slot {
	struct progress_view view; /* job_id empty: none */
	int64_t revision;
	int64_t until_mono_ms;
	uint64_t changes; /* rises with every hint and everything remembered */
};

struct progress_cache {
	struct api *api;
	struct bus_subscription *hints;
	pthread_mutex_t lock;
	struct slot slots[SLOTS]; /* protected by lock */
};

/* FNV-1a */
static struct slot *slot_of(struct progress_cache *p, const char *job_id)
{
	uint64_t h = 14695981039346656037u;
	for (; *job_id; job_id++)
		h = (h ^ (unsigned char)*job_id) * 1099511628211u;
	return &p->slots[(h ^ h >> 32) & (SLOTS - 1)];
}

static void on_hint(void *ctx, const struct bus_event *ev)
{
	struct progress_cache *p = ctx;
	struct slot *s = slot_of(p, ev->job_id);
	const struct bus_progress *now = ev->progress;
	(void)pthread_mutex_lock(&p->lock);
	if (!now) {
		s->view.job_id[0] = '\0';
		s->changes++;
	} else if (strcmp(s->view.job_id, ev->job_id) == 0 && now->revision > s->revision &&
		   (now->status == JOB_PROCESSING || now->status == JOB_STREAMING)) {
		s->revision = now->revision;
		s->view.status = (enum job_status)now->status;
		s->view.percent = now->percent;
		memcpy(s->view.stage, now->stage, sizeof(s->view.stage));
		s->until_mono_ms = clock_mono_ms() + HEARD_MS;
		s->changes++;
	}
	(void)pthread_mutex_unlock(&p->lock);
}

int progress_cache_new(struct api *a, struct progress_cache **ret, struct err *e)
{
	struct progress_cache *p = mr_calloc(1, sizeof(*p));
	p->api = a;
	(void)pthread_mutex_init(&p->lock, NULL);
	int r = bus_subscribe(a->o.bus, BUS_JOB, on_hint, p, &p->hints, e);
	if (r < 0) {
		(void)pthread_mutex_destroy(&p->lock);
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void progress_cache_free(struct progress_cache *p)
{
	if (!p)
		return;
	bus_unsubscribe(p->api->o.bus, p->hints);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

static bool remembered(struct progress_cache *p, const char *job_id, struct progress_view *ret, uint64_t *ret_changes)
{
	struct slot *s = slot_of(p, job_id);
	(void)pthread_mutex_lock(&p->lock);
	bool ok = strcmp(s->view.job_id, job_id) == 0 && clock_mono_ms() < s->until_mono_ms;
	if (ok)
		*ret = s->view;
	*ret_changes = s->changes;
	(void)pthread_mutex_unlock(&p->lock);
	return ok;
}

static void remember(struct progress_cache *p, const struct progress_view *v, int64_t revision, uint64_t changes)
{
	struct slot *s = slot_of(p, v->job_id);
	(void)pthread_mutex_lock(&p->lock);
	if (s->changes == changes) {
		s->view = *v;
		s->revision = revision;
		s->until_mono_ms = clock_mono_ms() + FRESH_MS;
		s->changes++;
	}
	(void)pthread_mutex_unlock(&p->lock);
}

int progress_cache_get(struct progress_cache *p, const char *user_id, const char *job_id, struct progress_view *ret,
		       struct err *e)
{
	uint64_t changes;
	struct progress_view v = { 0 };
	if (!remembered(p, job_id, &v, &changes)) {
		struct job j;
		int r = repo_job_get(p->api->o.repo, NULL, job_id, &j, e);
		if (r < 0)
			return r;
		v = (struct progress_view){ .status = j.status, .percent = j.percent };
		memcpy(v.job_id, j.id, sizeof(v.job_id));
		memcpy(v.user_id, j.user_id, sizeof(v.user_id));
		memcpy(v.stage, j.stage, sizeof(v.stage));
		const int64_t revision = j.revision;
		bool shown = j.kind != JOB_ANALYZE && j.kind != JOB_DOWNLOAD;
		job_release(&j);
		if (!shown)
			return err_set(e, ERR_NOT_FOUND, "there is no such job");
		remember(p, &v, revision, changes);
	}
	if (strcmp(v.user_id, user_id) != 0)
		return err_set(e, ERR_NOT_FOUND, "there is no such job");
	*ret = v;
	return 0;
}
