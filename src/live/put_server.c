/* PutMedia's listener: see put_server.h. In the server process. */
#include "live/put_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/listen.h"
#include "live/put_internal.h"
#include "os/fd.h"

#define TICK_MS 1000
#define POOL_THREADS 8
#define CONNECTIONS_USUAL 1000

struct adoption {
	struct put_loop *l;
	int fd;
};

static void adopt(void *arg)
{
	struct adoption *a = arg;
	put_conn_adopt(a->l, a->fd);
	free(a);
}

static bool may_open(struct put_server *p)
{
	(void)pthread_mutex_lock(&p->lock);
	bool ok = !p->stopping && p->count < p->o.max_connections;
	p->count += ok;
	(void)pthread_mutex_unlock(&p->lock);
	return ok;
}

static void on_connections(struct loop_watch *w, uint32_t events)
{
	struct put_server *p = (struct put_server *)((char *)w - offsetof(struct put_server, listener));
	(void)events;
	for (;;) {
		/* cppcheck-suppress nullPointer; the peer's address isn't asked for */
		int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			loop_change(p->loops[0].loop, w, 0); /* no descriptor is left: again at the next tick */
		if (fd < 0)
			return;
		if (!may_open(p)) {
			fd_close(&fd);
			continue;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int) { 1 }, sizeof(int));
		struct adoption *a = mr_calloc(1, sizeof(*a));
		a->l = &p->loops[p->next_loop++ % PUT_LOOPS];
		a->fd = fd;
		loop_post(a->l->loop, adopt, a);
	}
}

static void on_tick(void *ctx)
{
	struct put_loop *l = ctx;
	struct put_server *p = l->server;
	int64_t now = clock_mono_ms();
	if (l == &p->loops[0] && p->listening)
		loop_change(l->loop, &p->listener, EPOLLIN);
	for (struct put_conn *c = l->conns, *next; c; c = next) {
		next = c->next;
		put_conn_check(c, now);
	}
}

static void watch_listener(void *arg)
{
	struct put_server *p = arg;
	struct err e = { 0 };
	if (loop_add(p->loops[0].loop, &p->listener, EPOLLIN, &e) < 0)
		log_error("put_media_failed", LOG_E(&e));
	else
		p->listening = true;
}

static int start_loops(struct put_server *p, struct err *e)
{
	static const char *const names[PUT_LOOPS] = { "put-0", "put-1" };
	int r = 0;
	for (size_t i = 0; i < PUT_LOOPS && r == 0; i++) {
		p->loops[i].server = p;
		r = loop_start(names[i], &(struct loop_opts) { .tick_ms = TICK_MS, .tick = on_tick, .ctx = &p->loops[i] },
			       &p->loops[i].loop, e);
	}
	return r;
}

static void server_free(struct put_server *p)
{
	for (size_t i = 0; i < PUT_LOOPS; i++)
		loop_stop(p->loops[i].loop);
	pool_free(p->pool);
	fd_close(&p->listener.fd);
	(void)pthread_mutex_destroy(&p->lock);
	(void)pthread_cond_destroy(&p->idle);
	free(p);
}

int put_server_start(const struct put_server_opts *opts, struct put_server **ret, struct err *e)
{
	struct listen_address address;
	struct put_server *p = mr_calloc(1, sizeof(*p));
	p->o = *opts;
	if (!p->o.max_connections)
		p->o.max_connections = CONNECTIONS_USUAL;
	p->listener = (struct loop_watch) { .fd = -1, .ready = on_connections };
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->idle, NULL);
	int r = listen_parse(opts->listen, &address, e);
	if (r == 0)
		r = listen_open(&address, &p->listener.fd, &p->port, e);
	/* A connection has at most one piece of work on the pool. */
	if (r == 0)
		r = pool_new("put", POOL_THREADS, p->o.max_connections + 1, &p->pool, e);
	if (r == 0)
		r = start_loops(p, e);
	if (r < 0) {
		server_free(p);
		return r;
	}
	loop_post(p->loops[0].loop, watch_listener, p);
	*ret = p;
	return 0;
}

uint16_t put_server_port(const struct put_server *p)
{
	return p->port;
}

static void end_listener(void *arg)
{
	struct put_server *p = arg;
	if (p->listening)
		loop_remove(p->loops[0].loop, &p->listener);
	p->listening = false;
}

static void cut_all(void *arg)
{
	struct put_loop *l = arg;
	while (l->conns)
		put_conn_cut(l->conns);
}

void put_server_stop(struct put_server *p)
{
	if (!p)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->stopping = true;
	(void)pthread_mutex_unlock(&p->lock);
	loop_post(p->loops[0].loop, end_listener, p);
	for (size_t i = 0; i < PUT_LOOPS; i++)
		loop_post(p->loops[i].loop, cut_all, &p->loops[i]);
	(void)pthread_mutex_lock(&p->lock);
	while (p->count)
		(void)pthread_cond_wait(&p->idle, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
	server_free(p);
}
