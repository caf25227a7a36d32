/* The timer thread of the front process: heads and bodies that take too long, heartbeats, connections that linger,
 * objects that were kept open. Sleeps while there is no connection at all.
 *
 * Lingering (RFC 9112, 9.6): a connection that is closed with unread bytes in its socket is reset, and the reset may
 * overtake the answer. So after an early refusal a copy of the descriptor is kept, and what still comes is read away
 * until the client closes, for two seconds at most. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"
#include "http/internal.h"
#include "http/open_objects.h"
#include "os/fd.h"

#define LINGER_MS 2000
#define LINGER_TICK_MS 20
#define LINGER_MAX 256

struct lingering {
	struct lingering *next;
	int fd;
	int64_t until_ms;
};

void linger_add(struct http_server *s, int take_fd)
{
	_cleanup_fd_ int fd = take_fd;
	if (fd < 0)
		return;
	struct lingering *l = mr_calloc(1, sizeof(*l));
	l->until_ms = clock_mono_ms() + LINGER_MS;
	size_t count = 0;
	(void)pthread_mutex_lock(&s->lock);
	for (const struct lingering *o = s->lingering; o; o = o->next)
		count++;
	if (!s->timer_end && count < LINGER_MAX) {
		l->fd = fd_steal(fd);
		l->next = s->lingering;
		s->lingering = l;
		l = NULL;
		(void)pthread_cond_signal(&s->tick);
	}
	(void)pthread_mutex_unlock(&s->lock);
	free(l);
}

/* True when it is over. */
static bool read_away(const struct lingering *l, int64_t now_ms)
{
	/* Bounded, so that one fast sender can't keep the thread. MSG_TRUNC drops the bytes in the kernel (tcp(7)). */
	for (int i = 0; i < 16; i++) {
		/* cppcheck-suppress nullPointer; nothing is written */
		ssize_t n = recv(l->fd, NULL, 256u << 10, MSG_DONTWAIT | MSG_TRUNC);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return true;
		if (n < 0)
			break;
	}
	return now_ms >= l->until_ms;
}

static void check_lingering_locked(struct http_server *s, int64_t now_ms, bool all)
{
	for (struct lingering **at = &s->lingering; *at;) {
		struct lingering *l = *at;
		if (!all && !read_away(l, now_ms)) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		fd_close(&l->fd);
		free(l);
	}
}

/* The connection's HTTP thread is waiting for bytes, so the socket is idle in our direction; the lock keeps the
 * descriptor open. */
static void cut_locked(struct http_conn *c)
{
	static const char body[] =
		"{\"error\":{\"code\":\"REQUEST_TIMEOUT\",\"message\":\"the request did not arrive in time\","
		"\"retriable\":true,\"request_id\":\"%s\"}}";
	char id[UUID_SIZE], text[256];
	uuid7_new(id);
	c->wait = WAIT_NOTHING;
	if (c->first_byte_seen) {
		(void)snprintf(text, sizeof(text), body, id);
		_cleanup_buf_ struct buf b;
		buf_init(&b, 1024);
		(void)buf_printf(
			&b,
			"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/json\r\n"
			"X-Request-Id: %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
			"Content-Length: %zu\r\n\r\n%s",
			id, strlen(text), text);
		conn_send_raw(c, &b);
	}
	(void)shutdown(c->fd, SHUT_RDWR);
}

/* libmicrohttpd 0.9.75 watches edges, and takes a short read for an empty socket: an end of file that came together
 * with the last bytes is never seen, until the idle timeout. Ending our reading direction, which the peer has ended
 * already, makes a new edge and breaks nothing that is under way. */
static void nudge_locked(const struct http_conn *c)
{
	char byte;
	if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		(void)shutdown(c->fd, SHUT_RD);
}

static void check_conns_locked(struct http_server *s, int64_t now_ms)
{
	for (struct http_conn *c = s->conns; c; c = c->next) {
		if (c->wait == WAIT_NOTHING)
			continue;
		bool late = c->upload ? upload_is_too_slow(c->upload, now_ms, s->opts.upload_min_bytes_per_s)
				      : now_ms >= c->deadline_ms;
		if (late)
			cut_locked(c);
		else
			nudge_locked(c);
	}
}

/* A quarter of the shortest limit, so that none is overrun by more than that. */
static int64_t tick_ms(const struct http_server *s)
{
	uint32_t shortest = s->opts.header_timeout_ms;
	if (s->opts.body_timeout_ms < shortest)
		shortest = s->opts.body_timeout_ms;
	if (s->opts.sse_heartbeat_ms < shortest)
		shortest = s->opts.sse_heartbeat_ms;
	int64_t tick = shortest / 4;
	return tick < LINGER_TICK_MS ? LINGER_TICK_MS : tick > 1000 ? 1000 : tick;
}

static void wait_locked(struct http_server *s)
{
	if (!s->conn_count && !s->lingering && !open_objects_count(s->objects)) {
		(void)pthread_cond_wait(&s->tick, &s->lock);
		return;
	}
	int64_t ms = s->lingering ? LINGER_TICK_MS : tick_ms(s);
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += (time_t)(ms / 1000) + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&s->tick, &s->lock, &until);
}

static void *timer_main(void *arg)
{
	struct http_server *s = arg;
	(void)pthread_mutex_lock(&s->lock);
	while (!s->timer_end) {
		wait_locked(s);
		int64_t now = clock_mono_ms();
		check_conns_locked(s, now);
		check_lingering_locked(s, now, false);
		bool streams = s->stream_count > 0, flows = s->flow_count > 0;
		(void)pthread_mutex_unlock(&s->lock);
		open_objects_expire(s->objects);
		if (streams)
			sse_heartbeat_all(s, now);
		if (flows)
			flow_poll_all(s, now);
		(void)pthread_mutex_lock(&s->lock);
	}
	check_lingering_locked(s, 0, true);
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

int timer_start(struct http_server *s, struct err *e)
{
	pthread_attr_t attr;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, HTTP_STACK_BYTES);
	int r = pthread_create(&s->timer, &attr, timer_main, s);
	(void)pthread_attr_destroy(&attr);
	if (r)
		return err_errno(e, r, "start the timer thread");
	(void)pthread_setname_np(s->timer, "http-timer");
	return 0;
}

void timer_stop(struct http_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->timer_end = true;
	(void)pthread_cond_signal(&s->tick);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->timer, NULL);
}
