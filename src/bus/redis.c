/* The bus's thread: what was published here goes to Redis, what comes from there to the subscribers here. In the server and
 * worker process. Guarantees nothing but that it neither blocks a publisher nor tells of its own events twice. */
#include "bus/redis.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/id.h"
#include "base/mem.h"
#include "bus/redis_conn.h"
#include "os/fd.h"
#include "os/thread.h"

#define QUEUE_MAX 512
#define CONNECT_MS 5000
#define REST_FIRST_MS 200
#define REST_MAX_MS 15000
#define PING_MS 5000 /* silent for so long: asked; silent for as long again: given up */
#define ORIGIN_SIZE 17
#define PROGRESS_KEPT_S "30"
#define PROGRESS "progress "
#define CHANNEL_VERSION "events1" /* of the events' text */

struct bus_redis {
	struct bus *bus;
	struct bus_opts opts;
	struct redis_url url;
	char *channel;
	char origin[ORIGIN_SIZE]; /* tells our own events from others' */
	pthread_t thread;
	int stop_fd, wake_fd;
	/* the thread's alone */
	struct redis_conn *in, *out;
	int64_t ping_mono_ns; /* when `out` was asked; 0: it has answered */
	int64_t heard_in_ms, heard_out_ms, asked_in_ms;
	bool told, told_connected; /* what on_state was told last */
	/* protected by lock */
	pthread_mutex_t lock;
	char (*queue)[BUS_EVENT_MAX];
	size_t queued;
	struct bus_state state;
};

static void poke(int fd)
{
	const uint64_t one = 1;
	(void)!write(fd, &one, sizeof(one));
}

/* ---- the queue ---- */

/* The words that tell what an event is about: "job ID", "stream ID", "work". */
static size_t subject_len(const char *text)
{
	size_t n = strcspn(text, " ");
	return text[n] ? n + 1 + strcspn(text + n + 1, " ") : n;
}

static void enqueue(void *ctx, const struct bus_event *ev)
{
	struct bus_redis *r = ctx;
	char text[BUS_EVENT_MAX];
	bus_event_format(ev, text);
	size_t len = subject_len(text), i = 0;
	(void)pthread_mutex_lock(&r->lock);
	while (i < r->queued && (strncmp(r->queue[i], text, len) != 0 || subject_len(r->queue[i]) != len))
		i++;
	bool taken = r->state.connected && i < QUEUE_MAX;
	if (taken) {
		memcpy(r->queue[i], text, sizeof(text));
		r->queued += i == r->queued;
	} else {
		r->state.dropped++;
	}
	(void)pthread_mutex_unlock(&r->lock);
	if (taken)
		poke(r->wake_fd);
}

/* For those who look instead of listening: PREFIX:progress:JOB holds "REVISION STATUS PERCENT STAGE USER" for a while. */
static int keep_progress(struct bus_redis *r, const char *text, struct err *e)
{
	const char *id = text + strlen(PROGRESS), *rest = strchr(id, ' ');
	if (strncmp(text, PROGRESS, strlen(PROGRESS)) != 0 || !rest)
		return 0;
	_cleanup_free_ char *key = mr_asprintf("%s:progress:%.*s", r->url.prefix, (int)(rest - id), id);
	return redis_conn_send(r->out, (const char *const[]){ "SET", key, rest + 1, "EX", PROGRESS_KEPT_S }, 5, e);
}

/* Puts what waits in line for Redis, at most so much that the connection takes it. */
static int send_queue(struct bus_redis *r, struct err *e)
{
	char text[BUS_EVENT_MAX], message[ORIGIN_SIZE + BUS_EVENT_MAX];
	for (;;) {
		(void)pthread_mutex_lock(&r->lock);
		bool any = r->queued > 0;
		if (any) {
			memcpy(text, r->queue[0], sizeof(text));
			memmove(r->queue[0], r->queue[1], --r->queued * sizeof(r->queue[0]));
			r->state.sent++;
		}
		(void)pthread_mutex_unlock(&r->lock);
		if (!any)
			return redis_conn_flush(r->out, e);
		(void)snprintf(message, sizeof(message), "%s %s", r->origin, text);
		int rc = redis_conn_send(r->out, (const char *const[]){ "PUBLISH", r->channel, message }, 3, e);
		if (rc == 0)
			rc = keep_progress(r, text, e);
		if (rc < 0)
			return rc;
	}
}

/* ---- what comes ---- */

static bool is_text(const redisReply *reply, size_t i, const char *text)
{
	return reply->type == REDIS_REPLY_ARRAY && i < reply->elements && reply->element[i]->type == REDIS_REPLY_STRING &&
	       (!text || strcasecmp(reply->element[i]->str, text) == 0);
}

/* ["message", channel, "ORIGIN EVENT"]; else the answer to SUBSCRIBE or PING. */
static void hear(struct bus_redis *r, const redisReply *reply)
{
	struct bus_event_copy copy;
	if (!is_text(reply, 0, "message") || !is_text(reply, 2, NULL))
		return;
	const char *text = reply->element[2]->str, *event = strchr(text, ' ');
	if (!event || strncmp(text, r->origin, ORIGIN_SIZE - 1) == 0 || !bus_event_parse(event + 1, &copy))
		return;
	(void)pthread_mutex_lock(&r->lock);
	r->state.received++;
	(void)pthread_mutex_unlock(&r->lock);
	bus_deliver(r->bus, &copy.event);
}

static int receive_in(struct bus_redis *r, struct err *e)
{
	redisReply *reply;
	int rc;
	while ((rc = redis_conn_receive(r->in, &reply, e)) > 0) {
		r->heard_in_ms = clock_mono_ms();
		if (reply->type == REDIS_REPLY_ERROR)
			rc = err_set(e, ERR_DENIED, "%s", reply->str);
		else
			hear(r, reply);
		freeReplyObject(reply);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int receive_out(struct bus_redis *r, struct err *e)
{
	redisReply *reply;
	int rc;
	while ((rc = redis_conn_receive(r->out, &reply, e)) > 0) {
		r->heard_out_ms = clock_mono_ms();
		if (reply->type == REDIS_REPLY_ERROR)
			rc = err_set(e, ERR_DENIED, "%s", reply->str);
		if (reply->type == REDIS_REPLY_STATUS && r->ping_mono_ns && strcasecmp(reply->str, "PONG") == 0) {
			(void)pthread_mutex_lock(&r->lock);
			r->state.latency_us = (clock_mono_ns() - r->ping_mono_ns) / 1000;
			(void)pthread_mutex_unlock(&r->lock);
			r->ping_mono_ns = 0;
		}
		freeReplyObject(reply);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* ---- the connections ---- */

/* Asks the silent ones; in the end an error. */
static int look_after(struct bus_redis *r, struct err *e)
{
	int64_t now = clock_mono_ms();
	const char *const ping[] = { "PING" };
	int rc = 0;
	int64_t asked_ns = r->ping_mono_ns ? clock_mono_ns() - r->ping_mono_ns : 0;
	if (now - r->heard_in_ms > 2 * PING_MS || asked_ns > PING_MS * INT64_C(1000000))
		return err_set(e, ERR_TIMEOUT, "it doesn't answer");
	if (!r->ping_mono_ns && now - r->heard_out_ms >= PING_MS) {
		r->ping_mono_ns = clock_mono_ns();
		rc = redis_conn_send(r->out, ping, 1, e);
	}
	if (rc == 0 && now - r->heard_in_ms >= PING_MS && now - r->asked_in_ms >= PING_MS) {
		r->asked_in_ms = now;
		rc = redis_conn_send(r->in, ping, 1, e);
	}
	return rc == 0 ? redis_conn_flush(r->in, e) : rc;
}

static void drain(int fd)
{
	uint64_t n;
	(void)!read(fd, &n, sizeof(n));
}

/* 1: told to stop. */
static int serve_once(struct bus_redis *r, struct err *e)
{
	struct pollfd p[] = { { .fd = r->stop_fd, .events = POLLIN },
			      { .fd = r->wake_fd, .events = POLLIN },
			      { .fd = redis_conn_fd(r->in), .events = redis_conn_events(r->in) },
			      { .fd = redis_conn_fd(r->out), .events = redis_conn_events(r->out) } };
	if (poll(p, MR_ARRAY_SIZE(p), PING_MS / 2) < 0 && errno != EINTR)
		return err_errno(e, errno, "poll");
	if (p[0].revents)
		return 1;
	if (p[1].revents)
		drain(r->wake_fd);
	int rc = p[2].revents ? receive_in(r, e) : 0;
	if (rc == 0 && p[3].revents)
		rc = receive_out(r, e);
	if (rc == 0)
		rc = look_after(r, e);
	return rc == 0 ? send_queue(r, e) : rc;
}

static int connect_both(struct bus_redis *r, struct err *e)
{
	const int64_t due = clock_mono_ms() + CONNECT_MS;
	int rc = redis_conn_open(&r->url, r->stop_fd, due, &r->in, e);
	if (rc == 0)
		rc = redis_conn_open(&r->url, r->stop_fd, due, &r->out, e);
	if (rc == 0)
		rc = redis_conn_send(r->in, (const char *const[]){ "SUBSCRIBE", r->channel }, 2, e);
	/* Refused or not is known before anything is said to be connected. */
	for (r->heard_in_ms = 0; rc == 0 && !r->heard_in_ms;) {
		struct pollfd p[] = { { .fd = redis_conn_fd(r->in), .events = POLLIN }, { .fd = r->stop_fd, .events = POLLIN } };
		rc = redis_conn_flush(r->in, e);
		if (rc == 0 && poll(p, 2, 50) < 0 && errno != EINTR)
			rc = err_errno(e, errno, "poll");
		if (rc == 0)
			rc = p[1].revents ? err_set(e, ERR_CANCELED, "told to stop") : receive_in(r, e);
		if (rc == 0 && !r->heard_in_ms && clock_mono_ms() > due)
			rc = err_set(e, ERR_TIMEOUT, "no answer in time");
	}
	r->ping_mono_ns = 0;
	r->heard_out_ms = r->asked_in_ms = 0; /* asked at once: so there is a latency to tell */
	return rc;
}

static void set_connected(struct bus_redis *r, bool connected, const char *why)
{
	(void)pthread_mutex_lock(&r->lock);
	if (connected)
		r->state.connections++;
	else
		r->state.dropped += r->queued;
	r->queued = 0;
	r->state.connected = connected;
	(void)snprintf(r->state.error, sizeof(r->state.error), "%s", why);
	(void)pthread_mutex_unlock(&r->lock);
	if (r->opts.on_state && (!r->told || r->told_connected != connected))
		r->opts.on_state(r->opts.ctx, connected, why);
	r->told = true;
	r->told_connected = connected;
}

/* What was said meanwhile wasn't heard. */
static void tell_of_gap(struct bus_redis *r)
{
	bus_deliver(r->bus, &(struct bus_event){ .topic = BUS_WORK });
	bus_deliver(r->bus, &(struct bus_event){ .topic = BUS_DOOMED });
}

/* Until it fails (negative) or is told to stop. */
static int serve(struct bus_redis *r, bool *ret_was_connected, struct err *e)
{
	int rc = connect_both(r, e);
	*ret_was_connected = rc == 0;
	if (rc == 0) {
		set_connected(r, true, "");
		tell_of_gap(r);
	}
	while (rc == 0)
		rc = serve_once(r, e);
	redis_conn_close(mr_steal(r->in));
	redis_conn_close(mr_steal(r->out));
	return rc;
}

/* False: told to stop. */
static bool rest(struct bus_redis *r, int64_t ms)
{
	uint8_t random;
	random_bytes(&random, 1);
	struct pollfd p = { .fd = r->stop_fd, .events = POLLIN };
	return poll(&p, 1, (int)(ms * (192 + random / 2) / 256)) <= 0;
}

static void *redis_main(void *arg)
{
	struct bus_redis *r = arg;
	int64_t rest_ms = REST_FIRST_MS;
	for (;;) {
		struct err e = { 0 };
		bool was_connected;
		int rc = serve(r, &was_connected, &e);
		if (rc > 0 || rc == -ERR_CANCELED)
			return NULL;
		if (was_connected)
			rest_ms = REST_FIRST_MS;
		set_connected(r, false, e.message);
		if (!rest(r, rest_ms))
			return NULL;
		rest_ms = rest_ms * 2 < REST_MAX_MS ? rest_ms * 2 : REST_MAX_MS;
	}
}

static void release(struct bus_redis *r)
{
	fd_close(&r->stop_fd);
	fd_close(&r->wake_fd);
	redis_url_release(&r->url);
	(void)pthread_mutex_destroy(&r->lock);
	free(r->channel);
	free(r->queue);
	free(r);
}

int bus_redis_start(struct bus *b, const struct bus_opts *opts, struct bus_redis **ret, struct err *e)
{
	struct bus_redis *r = mr_calloc(1, sizeof(*r));
	uint8_t raw[(ORIGIN_SIZE - 1) / 2];
	*r = (struct bus_redis){ .bus = b, .opts = *opts, .stop_fd = -1, .wake_fd = -1 };
	r->state = (struct bus_state){ .remote = true, .latency_us = -1, .error = "not connected yet" };
	r->queue = mr_calloc(QUEUE_MAX, sizeof(*r->queue));
	(void)pthread_mutex_init(&r->lock, NULL);
	random_bytes(raw, sizeof(raw));
	hex_encode(raw, sizeof(raw), r->origin);
	int rc = redis_url_parse(opts->url, &r->url, e);
	if (rc == 0) {
		r->channel = mr_asprintf("%s:" CHANNEL_VERSION, r->url.prefix);
		r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (r->stop_fd < 0 || r->wake_fd < 0)
			rc = err_errno(e, errno, "eventfd");
	}
	int errnum = rc == 0 ? thread_start(&r->thread, "bus", redis_main, r) : 0;
	if (errnum)
		rc = err_errno(e, errnum, "start the bus");
	if (rc < 0) {
		release(r);
		return rc;
	}
	bus_relay(b, enqueue, r);
	*ret = r;
	return 0;
}

void bus_redis_stop(struct bus_redis *r)
{
	if (!r)
		return;
	bus_relay(r->bus, NULL, NULL);
	poke(r->stop_fd);
	(void)pthread_join(r->thread, NULL);
	release(r);
}

void bus_redis_state(struct bus_redis *r, struct bus_state *ret)
{
	(void)pthread_mutex_lock(&r->lock);
	*ret = r->state;
	(void)pthread_mutex_unlock(&r->lock);
}
