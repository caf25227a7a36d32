/* Threads of live ingest: start, drain, end. The server process. */
#include "live/service.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "live/service_internal.h"
#include "os/thread.h"

#define THREADS 2
#define MAX_CONNECTIONS 2000
#define TICK_MS 250

int live_service_new(const struct live_service_opts *opts, struct live_service **ret, struct err *e)
{
	struct live_service *svc = mr_calloc(1, sizeof(*svc));
	svc->opts = *opts;
	svc->session_url = opts->session_url ? mr_strdup(opts->session_url) : NULL;
	if (!svc->opts.max_connections)
		svc->opts.max_connections = MAX_CONNECTIONS;
	(void)pthread_mutex_init(&svc->lock, NULL);
	cond_init_monotonic(&svc->changed);
	uint32_t count = opts->threads ? opts->threads : THREADS;
	svc->threads = mr_calloc(count, sizeof(*svc->threads));
	for (uint32_t i = 0; i < count; i++) {
		struct live_thread *t = &svc->threads[i];
		char name[16];
		(void)snprintf(name, sizeof(name), "live-%u", (unsigned)(i % 1000));
		t->service = svc;
		const struct loop_opts o = { .tick_ms = TICK_MS, .tick = live_thread_tick, .ctx = t };
		int r = loop_start(name, &o, &t->loop, e);
		if (r < 0) {
			live_service_free(svc);
			return r;
		}
		svc->thread_count++;
	}
	*ret = svc;
	return 0;
}

void live_service_less(struct live_service *svc, atomic_uint *count)
{
	(void)pthread_mutex_lock(&svc->lock);
	(void)atomic_fetch_sub(count, 1);
	(void)pthread_cond_broadcast(&svc->changed);
	(void)pthread_mutex_unlock(&svc->lock);
}

static unsigned left(struct live_service *svc)
{
	return atomic_load(&svc->connections) + atomic_load(&svc->sessions);
}

int live_service_drain(struct live_service *svc, int64_t timeout_ms)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	atomic_store(&svc->draining, true);
	for (uint32_t i = 0; i < svc->thread_count; i++)
		loop_post(svc->threads[i].loop, live_thread_drain, &svc->threads[i]);
	(void)pthread_mutex_lock(&svc->lock);
	while (left(svc) && clock_mono_ms() < until_ms)
		(void)cond_wait_until(&svc->changed, &svc->lock, until_ms);
	unsigned n = left(svc);
	(void)pthread_mutex_unlock(&svc->lock);
	return n ? -ERR_TIMEOUT : 0;
}

void live_service_free(struct live_service *svc)
{
	if (!svc)
		return;
	(void)pthread_mutex_lock(&svc->lock);
	while (atomic_load(&svc->sessions) || atomic_load(&svc->claiming))
		(void)pthread_cond_wait(&svc->changed, &svc->lock);
	(void)pthread_mutex_unlock(&svc->lock);
	for (uint32_t i = 0; i < svc->thread_count; i++) {
		loop_stop(svc->threads[i].loop);
		live_thread_release(&svc->threads[i]);
	}
	(void)pthread_mutex_destroy(&svc->lock);
	(void)pthread_cond_destroy(&svc->changed);
	free(svc->threads);
	free(svc->session_url);
	free(svc);
}

void live_service_get_stats(struct live_service *svc, struct live_service_stats *ret)
{
	*ret = (struct live_service_stats){ .connections = atomic_load(&svc->connections),
					    .sessions = atomic_load(&svc->sessions),
					    .chunks = atomic_load(&svc->counters.chunks),
					    .duplicates = atomic_load(&svc->counters.duplicates),
					    .lost_chunks = atomic_load(&svc->counters.lost_chunks),
					    .fragments = atomic_load(&svc->counters.fragments),
					    .failed_sessions = atomic_load(&svc->counters.failed_sessions) };
}
