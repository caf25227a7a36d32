/* Flows: see flow.h. The front process.
 *
 * Who may touch the buffer is told by `owner`: the connection's HTTP thread, or a job on the pool, while the connection is
 * suspended. With OWNER_NOBODY it is suspended and waits: whoever ends that (a wake-up, the timer, the end) sets the owner
 * under the lock.
 *
 *   HTTP ── buffer empty ──► JOB ── bytes, end, error ──► HTTP
 *                             ▲ │
 *                    wake-up, │ └ nothing ──► NOBODY
 *                    poll ────┴─────────────────┘
 *
 * References: the caller's, the answer's (given back when libmicrohttpd frees it), one for each job. Lock: flow.lock, inside
 * of it libmicrohttpd's own and the pool's; server.lock is never taken with it held. */
#include "http/flow.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/internal.h"
#include "http/response.h"
#include "os/pool.h"

#define BLOCK_BYTES (32u << 10)

enum owner { OWNER_HTTP, OWNER_JOB, OWNER_NOBODY };

struct http_flow {
	struct http_flow *next, *prev; /* protected by server.lock */
	struct http_server *server;
	struct MHD_Connection *mhd;
	int fd; /* the connection's; valid while it is suspended */
	atomic_uint refs;
	const struct http_flow_ops *ops;
	void *state;

	struct buf bytes; /* the owner's */
	size_t taken;

	pthread_mutex_t lock;
	/* protected by lock */
	enum owner owner;
	bool woken;  /* while a job was at it */
	bool closed; /* no more is wanted */
	bool ended, failed;
	int64_t poll_ms; /* monotonic; with OWNER_NOBODY */
};

void http_flow_unref(struct http_flow *f)
{
	if (!f || atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	buf_release(&f->bytes);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

static struct http_flow *ref(struct http_flow *f)
{
	(void)atomic_fetch_add(&f->refs, 1);
	return f;
}

/* ---- filling ---- */

static void give_back_locked(struct http_flow *f)
{
	f->owner = OWNER_HTTP;
	MHD_resume_connection(f->mhd);
}

/* True when the job is done with it. */
static bool settle(struct http_flow *f, int r, const struct err *e)
{
	bool done = true;
	(void)pthread_mutex_lock(&f->lock);
	f->failed = r < 0;
	f->ended = r == HTTP_FLOW_END;
	if (f->bytes.len || f->failed || f->ended || f->closed) {
		give_back_locked(f);
	} else if (r == HTTP_FLOW_MORE || f->woken) {
		f->woken = false;
		done = false;
	} else {
		f->owner = OWNER_NOBODY;
		f->poll_ms = clock_mono_ms() + HTTP_FLOW_POLL_MS;
	}
	(void)pthread_mutex_unlock(&f->lock);
	if (r < 0)
		log_warn("flow_failed", LOG_E(e));
	return done;
}

static void fill_job(void *arg)
{
	struct http_flow *f = arg;
	struct http_server *s = f->server;
	struct err e;
	int r;
	do {
		buf_clear(&f->bytes);
		f->taken = 0;
		e = (struct err) { 0 };
		r = f->ops->fill(f->state, &f->bytes, &e);
	} while (!settle(f, r, &e));
	http_flow_unref(f);
	work_release(s);
}

/* Hands it to the pool; the connection is suspended. Where that can't be, it is tried again soon. */
static void start_job_locked(struct http_flow *f)
{
	if (!work_hold(f->server)) {
		f->closed = true;
		give_back_locked(f);
		return;
	}
	f->owner = OWNER_JOB;
	f->woken = false;
	if (pool_submit(f->server->opts.pool, fill_job, ref(f)) == 0)
		return;
	(void)atomic_fetch_sub(&f->refs, 1); /* never the last: the answer's remains */
	work_release(f->server);
	f->owner = OWNER_NOBODY;
	f->poll_ms = clock_mono_ms() + HTTP_FLOW_POLL_MS;
}

static ssize_t read_flow(void *cls, uint64_t pos, char *out, size_t max)
{
	(void)pos;
	struct http_flow *f = cls;
	ssize_t n = 0;
	(void)pthread_mutex_lock(&f->lock);
	size_t left = f->bytes.len - f->taken;
	if (left) {
		n = (ssize_t)(left < max ? left : max);
		memcpy(out, f->bytes.data + f->taken, (size_t)n);
		f->taken += (size_t)n;
	} else if (f->failed || (f->closed && !f->ended)) {
		n = MHD_CONTENT_READER_END_WITH_ERROR;
	} else if (f->ended) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		buf_release(&f->bytes); /* who waits holds no buffer */
		f->taken = 0;
		MHD_suspend_connection(f->mhd);
		start_job_locked(f);
	}
	(void)pthread_mutex_unlock(&f->lock);
	return n;
}

void http_flow_wake(struct http_flow *f)
{
	(void)pthread_mutex_lock(&f->lock);
	f->woken = true;
	if (f->owner == OWNER_NOBODY)
		start_job_locked(f);
	(void)pthread_mutex_unlock(&f->lock);
}

/* ---- the server's list ---- */

static int enlist(struct http_server *s, struct http_flow *f, struct err *e)
{
	int r = 0;
	(void)pthread_mutex_lock(&s->lock);
	if (s->stopping || s->draining) {
		r = err_set_code(e, ERR_UNAVAILABLE, "DRAINING", "the server is stopping");
	} else if (s->flow_count + s->stream_count >= (s->opts.max_connections + 1) / 2) {
		r = err_set(e, ERR_BUSY, "too many streams are open");
	} else {
		f->next = s->flows;
		if (f->next)
			f->next->prev = f;
		s->flows = f;
		s->flow_count++;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

static void delist(struct http_server *s, struct http_flow *f)
{
	(void)pthread_mutex_lock(&s->lock);
	if (f->prev)
		f->prev->next = f->next;
	else
		s->flows = f->next;
	if (f->next)
		f->next->prev = f->prev;
	s->flow_count--;
	(void)pthread_mutex_unlock(&s->lock);
}

/* libmicrohttpd has ended the answer: it was not suspended, so no job runs. */
static void on_free(void *cls)
{
	struct http_flow *f = cls;
	(void)pthread_mutex_lock(&f->lock);
	f->closed = true;
	(void)pthread_mutex_unlock(&f->lock);
	delist(f->server, f);
	f->ops->close(f->state);
	http_flow_unref(f);
}

int http_respond_flow(struct http_request *req, const char *content_type, const struct http_flow_ops *ops, void *take_state,
		      struct http_flow **ret_flow, struct err *e)
{
	struct http_flow *f = mr_calloc(1, sizeof(*f));
	f->server = req->server;
	f->mhd = req->mhd;
	f->fd = req->conn->fd;
	f->ops = ops;
	f->state = take_state;
	atomic_store(&f->refs, 2);
	(void)pthread_mutex_init(&f->lock, NULL);
	buf_init(&f->bytes, HTTP_FLOW_BYTES);
	int r = enlist(req->server, f, e);
	struct MHD_Response *mhd = NULL;
	if (r == 0) {
		mhd = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_flow, f, on_free);
		if (!mhd) {
			delist(req->server, f);
			r = err_set(e, ERR_UNAVAILABLE, "no memory for the answer");
		}
	}
	if (r < 0) {
		atomic_store(&f->refs, 1);
		http_flow_unref(f);
		return r;
	}
	reply_set(req, 200, mhd, UINT64_MAX);
	http_response_header(req, "Content-Type", content_type);
	http_response_header(req, "Cache-Control", "no-store");
	*ret_flow = f;
	return 0;
}

/* References to all flows, taken under server.lock and used without it. */
static struct http_flow **snapshot(struct http_server *s, size_t *ret_count)
{
	(void)pthread_mutex_lock(&s->lock);
	struct http_flow **all = mr_calloc(s->flow_count, sizeof(struct http_flow *));
	size_t n = 0;
	for (struct http_flow *f = s->flows; f; f = f->next)
		all[n++] = ref(f);
	(void)pthread_mutex_unlock(&s->lock);
	*ret_count = n;
	return all;
}

/* A suspended connection is not watched by libmicrohttpd. A client that has only ended its own direction counts as gone, too.
 */
static bool client_gone(const struct http_flow *f)
{
	char byte;
	ssize_t n = recv(f->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void flow_poll_all(struct http_server *s, int64_t now_ms)
{
	size_t count;
	_cleanup_free_ struct http_flow **all = snapshot(s, &count);
	for (size_t i = 0; i < count; i++) {
		struct http_flow *f = all[i];
		(void)pthread_mutex_lock(&f->lock);
		if (f->owner == OWNER_NOBODY && client_gone(f)) {
			f->closed = true;
			give_back_locked(f);
		} else if (f->owner == OWNER_NOBODY && now_ms >= f->poll_ms) {
			start_job_locked(f);
		}
		(void)pthread_mutex_unlock(&f->lock);
		http_flow_unref(f);
	}
}

void flow_close_all(struct http_server *s)
{
	size_t count;
	_cleanup_free_ struct http_flow **all = snapshot(s, &count);
	for (size_t i = 0; i < count; i++) {
		struct http_flow *f = all[i];
		(void)pthread_mutex_lock(&f->lock);
		f->closed = true;
		if (f->owner == OWNER_NOBODY)
			give_back_locked(f);
		(void)pthread_mutex_unlock(&f->lock);
		http_flow_unref(f);
	}
}
