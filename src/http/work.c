/* Work on the pool for a request whose connection is suspended meanwhile. The front process.
 *
 * The order matters: the connection is suspended before the work is handed over (it may be done before pool_submit
 * returns), and `jobs` is counted down after the resume, so that http_server_stop, which waits for zero, never stops
 * libmicrohttpd with a suspended connection, which would abort the process. */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "http/response.h"
#include "os/pool.h"

bool work_hold(struct http_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	bool ok = !s->stopping;
	s->jobs += ok;
	(void)pthread_mutex_unlock(&s->lock);
	return ok;
}

void work_release(struct http_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	if (--s->jobs == 0)
		(void)pthread_cond_broadcast(&s->idle);
	(void)pthread_mutex_unlock(&s->lock);
}

void work_end(struct http_request *req, enum phase phase)
{
	struct http_server *s = req->server;
	req->phase = phase;
	MHD_resume_connection(req->mhd);
	work_release(s);
}

static void submit(struct http_request *req, work_fn fn)
{
	struct err e;
	if (pool_submit(req->server->opts.pool, fn, req) == 0)
		return;
	(void)err_set_code(&e, ERR_UNAVAILABLE, "OVERLOADED", "too many requests are waiting; try again");
	(void)http_respond_error(req, &e);
	work_end(req, PHASE_RESPOND);
}

bool work_start(struct http_request *req, work_fn fn)
{
	struct err e;
	if (!work_hold(req->server)) {
		(void)err_set_code(&e, ERR_UNAVAILABLE, "DRAINING", "the server is stopping");
		(void)http_respond_error(req, &e);
		req->phase = PHASE_RESPOND;
		return false;
	}
	req->phase = PHASE_JOB;
	MHD_suspend_connection(req->mhd);
	submit(req, fn);
	return true;
}

bool work_wait(struct http_request *req)
{
	int was = LATER_NO;
	if (atomic_compare_exchange_strong(&req->later, &was, LATER_WAITING))
		return true;
	atomic_store(&req->later, LATER_NO);
	return false;
}

void http_request_again(struct http_request *req)
{
	if (atomic_exchange(&req->later, LATER_AGAIN) != LATER_WAITING)
		return; /* the handler hasn't returned yet: work_wait sees it */
	atomic_store(&req->later, LATER_NO);
	submit(req, admit_handle_job);
}

struct left_over {
	struct http_server *server;
	void (*fn)(void *ctx, const char *text);
	char text[];
};

static void run_later(void *arg)
{
	struct left_over *l = arg;
	struct http_server *s = l->server;
	l->fn(s->opts.ctx, l->text);
	free(l);
	work_release(s);
}

void work_later(struct http_server *s, void (*fn)(void *ctx, const char *text), const char *text)
{
	size_t n = strlen(text) + 1;
	if (!work_hold(s))
		return;
	struct left_over *l = mr_calloc(1, sizeof(*l) + n);
	l->server = s;
	l->fn = fn;
	memcpy(l->text, text, n);
	if (pool_submit(s->opts.pool, run_later, l) == 0)
		return;
	free(l);
	work_release(s);
}
