/* How far a job is, for clients that ask again and again: remembered in this process until the bus says that the job has
 * changed, for half a second at most (other machines' changes give no hint here); then read from the database.
 *
 * What is told never falls: an answer that was read before a hint is given, but not remembered.
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

struct slot {
	struct progress_view view; /* job_id empty: none */
	int64_t read_mono_ms;
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
	(void)pthread_mutex_lock(&p->lock);
	s->view.job_id[0] = '\0';
	s->changes++;
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
	bool ok = strcmp(s->view.job_id, job_id) == 0 && clock_mono_ms() - s->read_mono_ms < FRESH_MS;
	if (ok)
		*ret = s->view;
	*ret_changes = s->changes;
	(void)pthread_mutex_unlock(&p->lock);
	return ok;
}

static void remember(struct progress_cache *p, const struct progress_view *v, uint64_t changes)
{
	struct slot *s = slot_of(p, v->job_id);
	(void)pthread_mutex_lock(&p->lock);
	if (s->changes == changes) {
		s->view = *v;
		s->read_mono_ms = clock_mono_ms();
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
		bool shown = j.kind != JOB_ANALYZE && j.kind != JOB_DOWNLOAD;
		job_release(&j);
		if (!shown)
			return err_set(e, ERR_NOT_FOUND, "there is no such job");
		remember(p, &v, changes);
	}
	if (strcmp(v.user_id, user_id) != 0)
		return err_set(e, ERR_NOT_FOUND, "there is no such job");
	*ret = v;
	return 0;
}
