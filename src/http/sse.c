/* Server-Sent Events: a bounded queue of bytes between any thread and the connection's HTTP thread. The front process.
 *
 * An idle stream's connection is suspended; sse_send resumes it. References: one is the caller's, one is the answer's
 * (given back when libmicrohttpd frees it, which is when on_close is called). Lock: sse_stream.lock, inside of it
 * libmicrohttpd's own; server.lock is never taken with it held. */
#include "http/sse.h"

#include <string.h>

#include "base/clock.h"
#include "http/internal.h"
#include "http/response.h"

#define QUEUE_BYTES (64u << 10)
#define RETRY_MS 2000
#define BLOCK_BYTES 4096

struct sse_stream {
	struct sse_stream *next, *prev; /* protected by server.lock */
	struct http_server *server;     /* valid while `over` is false */
	atomic_uint refs;
	void (*on_close)(void *ctx);
	void *on_close_ctx;
	size_t queue_max;

	pthread_mutex_t lock;
	/* protected by lock */
	struct MHD_Connection *mhd;
	struct buf queue;
	int64_t last_ms;
	bool suspended, closed, over;
};

struct sse_stream *sse_ref(struct sse_stream *st)
{
	(void)atomic_fetch_add(&st->refs, 1);
	return st;
}

void sse_unref(struct sse_stream *st)
{
	if (!st || atomic_fetch_sub(&st->refs, 1) != 1)
		return;
	buf_release(&st->queue);
	(void)pthread_mutex_destroy(&st->lock);
	free(st);
}

const char *sse_last_event_id(const struct http_request *req)
{
	const char *id = http_request_header(req, "Last-Event-ID");
	return id ? id : http_request_query(req, "last_event_id");
}

static void wake_locked(struct sse_stream *st)
{
	if (st->suspended && !st->over) {
		st->suspended = false;
		MHD_resume_connection(st->mhd);
	}
}

static ssize_t read_queue(void *cls, uint64_t pos, char *out, size_t max)
{
	(void)pos;
	struct sse_stream *st = cls;
	ssize_t n = 0;
	(void)pthread_mutex_lock(&st->lock);
	if (st->queue.len) {
		n = (ssize_t)(st->queue.len < max ? st->queue.len : max);
		memcpy(out, st->queue.data, (size_t)n);
		buf_consume(&st->queue, (size_t)n);
		if (!st->queue.len)
			buf_release(&st->queue); /* an idle stream holds no buffer */
	} else if (st->closed) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		st->suspended = true;
		MHD_suspend_connection(st->mhd);
	}
	(void)pthread_mutex_unlock(&st->lock);
	return n;
}

static void on_free(void *cls)
{
	struct sse_stream *st = cls;
	struct http_server *s = st->server;
	(void)pthread_mutex_lock(&st->lock);
	st->closed = st->over = true;
	st->suspended = false;
	(void)pthread_mutex_unlock(&st->lock);
	(void)pthread_mutex_lock(&s->lock);
	if (st->prev)
		st->prev->next = st->next;
	else
		s->streams = st->next;
	if (st->next)
		st->next->prev = st->prev;
	s->stream_count--;
	(void)pthread_mutex_unlock(&s->lock);
	if (st->on_close)
		st->on_close(st->on_close_ctx);
	sse_unref(st);
}

/* Into the server's list, unless it wants no more. */
static int enlist(struct http_server *s, struct sse_stream *st, struct err *e)
{
	int r = 0;
	(void)pthread_mutex_lock(&s->lock);
	if (s->stopping || s->draining) {
		r = err_set_code(e, ERR_UNAVAILABLE, "DRAINING", "the server is stopping");
	} else if (s->stream_count + s->flow_count >= (s->opts.max_connections + 1) / 2) {
		r = err_set(e, ERR_BUSY, "too many event streams are open");
	} else {
		st->next = s->streams;
		if (st->next)
			st->next->prev = st;
		s->streams = st;
		s->stream_count++;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

int http_respond_events(struct http_request *req, const struct sse_opts *opts, struct sse_stream **ret_stream,
			struct err *e)
{
	struct sse_stream *st = mr_calloc(1, sizeof(*st));
	st->server = req->server;
	st->mhd = req->mhd;
	st->last_ms = clock_mono_ms();
	atomic_store(&st->refs, 1);
	(void)pthread_mutex_init(&st->lock, NULL);
	st->queue_max = opts->queue_bytes ? opts->queue_bytes : QUEUE_BYTES;
	buf_init(&st->queue, st->queue_max);
	(void)buf_printf(&st->queue, "retry: %u\n\n", opts->retry_ms ? opts->retry_ms : RETRY_MS);
	int r = enlist(req->server, st, e);
	if (r < 0) {
		sse_unref(st);
		return r;
	}
	(void)sse_ref(st);
	struct MHD_Response *mhd =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_queue, st, on_free);
	if (!mhd) {
		on_free(st);
		/* the second of two references, which the analyzer can't count: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		sse_unref(st);
		return err_set(e, ERR_UNAVAILABLE, "no memory for an event stream");
	}
	st->on_close = opts->on_close;
	st->on_close_ctx = opts->on_close_ctx;
	reply_set(req, 200, mhd, UINT64_MAX);
	http_response_header(req, "Content-Type", "text/event-stream");
	http_response_header(req, "Cache-Control", "no-store");
	/* nginx in front would collect events instead of passing them on. */
	http_response_header(req, "X-Accel-Buffering", "no");
	*ret_stream = st;
	return 0;
}

static void put_line(struct buf *b, const char *field, const char *value)
{
	(void)buf_printf(b, "%s: ", field);
	for (const char *s = value; *s; s++)
		if ((unsigned char)*s >= 0x20 && *s != 0x7F)
			(void)buf_append(b, s, 1);
	(void)buf_puts(b, "\n");
}

/* All three line ends of the format separate lines; none may end an event early. */
static void put_data(struct buf *b, const char *data)
{
	for (;;) {
		size_t len = strcspn(data, "\r\n");
		(void)buf_puts(b, "data: ");
		(void)buf_append(b, data, len);
		(void)buf_puts(b, "\n");
		data += len;
		if (!*data)
			return;
		data += data[0] == '\r' && data[1] == '\n' ? 2 : 1;
	}
}

int sse_send(struct sse_stream *st, const char *id, const char *event, const char *data)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, st->queue_max);
	if (id)
		put_line(&b, "id", id);
	if (event)
		put_line(&b, "event", event);
	put_data(&b, data);
	(void)buf_puts(&b, "\n");

	int r = 0;
	(void)pthread_mutex_lock(&st->lock);
	if (st->closed) {
		r = -ERR_LOST;
	} else if (b.failed || !buf_append(&st->queue, b.data, b.len)) {
		st->closed = true;
		r = -ERR_TOO_LARGE;
	} else {
		st->last_ms = clock_mono_ms();
	}
	wake_locked(st);
	(void)pthread_mutex_unlock(&st->lock);
	return r;
}

void sse_close(struct sse_stream *st)
{
	(void)pthread_mutex_lock(&st->lock);
	st->closed = true;
	wake_locked(st);
	(void)pthread_mutex_unlock(&st->lock);
}

bool sse_is_closed(struct sse_stream *st)
{
	(void)pthread_mutex_lock(&st->lock);
	bool closed = st->closed;
	(void)pthread_mutex_unlock(&st->lock);
	return closed;
}

/* References to all streams, taken under server.lock and used without it. */
static struct sse_stream **snapshot(struct http_server *s, size_t *ret_count)
{
	(void)pthread_mutex_lock(&s->lock);
	struct sse_stream **all = mr_calloc(s->stream_count, sizeof(struct sse_stream *));
	size_t n = 0;
	for (struct sse_stream *st = s->streams; st; st = st->next)
		all[n++] = sse_ref(st);
	(void)pthread_mutex_unlock(&s->lock);
	*ret_count = n;
	return all;
}

void sse_heartbeat_all(struct http_server *s, int64_t now_ms)
{
	size_t count;
	_cleanup_free_ struct sse_stream **all = snapshot(s, &count);
	for (size_t i = 0; i < count; i++) {
		struct sse_stream *st = all[i];
		(void)pthread_mutex_lock(&st->lock);
		if (!st->closed && now_ms - st->last_ms >= s->opts.sse_heartbeat_ms) {
			st->last_ms = now_ms;
			if (!buf_puts(&st->queue, ":\n\n"))
				st->closed = true;
			wake_locked(st);
		}
		(void)pthread_mutex_unlock(&st->lock);
		sse_unref(st);
	}
}

void sse_close_all(struct http_server *s)
{
	size_t count;
	_cleanup_free_ struct sse_stream **all = snapshot(s, &count);
	for (size_t i = 0; i < count; i++) {
		sse_close(all[i]);
		sse_unref(all[i]);
	}
}
