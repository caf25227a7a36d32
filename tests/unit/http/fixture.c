/* The tests' server and gate. */
#include "fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/log.h"

void fixture_start(struct fixture *f, struct http_server_opts opts, const struct http_auth_opts *auth,
		   const struct http_route *routes, size_t count)
{
	struct err e = { 0 };
	struct http_auth_opts open_door = { 0 };
	*f = (struct fixture) { 0 };
	log_setup(LOG_ERROR, false);
	f->pool = opts.pool;
	if ((!f->pool && pool_new("test", 4, 4096, &f->pool, &e) < 0) ||
	    http_auth_new(auth ? auth : &open_door, &f->auth, &e) < 0)
		fail_msg("%s", e.message);
	opts.listen = opts.listen ? opts.listen : ":0";
	opts.pool = f->pool;
	opts.auth = f->auth;
	opts.access_log = true;
	if (http_server_start(&opts, routes, count, &f->server, &e) < 0)
		fail_msg("%s", e.message);
	f->port = http_server_port(f->server);
}

void fixture_stop(struct fixture *f)
{
	http_server_stop(f->server);
	http_auth_free(f->auth);
	pool_free(f->pool);
}

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned inside;
	bool open;
};

struct gate *gate_new(void)
{
	struct gate *g = mr_calloc(1, sizeof(*g));
	(void)pthread_mutex_init(&g->lock, NULL);
	(void)pthread_cond_init(&g->changed, NULL);
	return g;
}

void gate_free(struct gate *g)
{
	(void)pthread_mutex_destroy(&g->lock);
	(void)pthread_cond_destroy(&g->changed);
	free(g);
}

void gate_pass(struct gate *g)
{
	(void)pthread_mutex_lock(&g->lock);
	g->inside++;
	(void)pthread_cond_broadcast(&g->changed);
	while (!g->open)
		(void)pthread_cond_wait(&g->changed, &g->lock);
	(void)pthread_mutex_unlock(&g->lock);
}

void gate_wait(struct gate *g, unsigned count)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	(void)pthread_mutex_lock(&g->lock);
	while (g->inside < count)
		if (pthread_cond_timedwait(&g->changed, &g->lock, &until))
			abort();
	(void)pthread_mutex_unlock(&g->lock);
}

void gate_open(struct gate *g)
{
	(void)pthread_mutex_lock(&g->lock);
	g->open = true;
	(void)pthread_cond_broadcast(&g->changed);
	(void)pthread_mutex_unlock(&g->lock);
}
