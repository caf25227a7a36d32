/* A PutMedia connection: its socket, HTTP, and time limits. On its loop's thread, in the server process. Parsing HTTP is
 * libhttp-parser's; the body's bytes are handed on unseen. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "live/kvs_error.h"
#include "live/put_internal.h"
#include "os/fd.h"

#define READ_BYTES (64u << 10)
#define OUT_MAX_BYTES (64u << 10) /* acknowledgements that a client doesn't read */
#define HEAD_MS 10000
#define LAST_MS 3000 /* for the rest of a body that isn't wanted, so that what we said isn't lost by a reset */
#define IDLE_TIMES 6 /* so many times at most IDLE is said before a silent connection is closed, less one */
#define BYTES_PER_S 12500000
#define BYTES_AT_ONCE (2 * BYTES_PER_S)

/* ---- life ---- */

static struct put_loop *loop_of(const struct put_conn *c)
{
	struct put_loop *l = c->server->loops;
	while (l->loop != c->loop)
		l++;
	return l;
}

void put_conn_cut(struct put_conn *c)
{
	if (c->state == PUT_CLOSED)
		return;
	struct put_loop *l = loop_of(c);
	c->state = PUT_CLOSED;
	loop_remove(c->loop, &c->watch);
	fd_close(&c->watch.fd);
	if (c->prev)
		c->prev->next = c->next;
	else
		l->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	put_stream_cut(c, 0);
	put_conn_unref(c);
}

/* ---- answers ---- */

static void flush(struct put_conn *c)
{
	while (c->out.len) {
		ssize_t n = send(c->watch.fd, c->out.data, c->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			put_conn_cut(c);
			return;
		}
		if (n <= 0)
			break;
		buf_consume(&c->out, (size_t)n);
	}
	loop_change(c->loop, &c->watch, c->out.len ? c->watch.events | EPOLLOUT : c->watch.events & ~(uint32_t)EPOLLOUT);
	if (!c->out.len && c->state == PUT_LAST_BYTES)
		(void)shutdown(c->watch.fd, SHUT_WR);
}

/* Sent by itself: a client that reads in small pieces gets one message at a time. */
static void write_out(struct put_conn *c, const char *data, size_t len)
{
	if (buf_append(&c->out, data, len))
		flush(c);
	else
		put_conn_cut(c); /* it doesn't read its acknowledgements */
}

/* The rest of the body is read away, until the client closes. */
static void begin_last_bytes(struct put_conn *c)
{
	c->state = PUT_LAST_BYTES;
	c->last_ms = clock_mono_ms();
	buf_release(&c->held);
	loop_change(c->loop, &c->watch, c->watch.events | EPOLLIN);
}

static void refuse(struct put_conn *c, const struct err *why)
{
	struct kvs_error k = kvs_error_of(why, put_head_get(&c->head, "Authorization") != NULL);
	const char *text = k.hide ? "the server failed; see its log" : why->message;
	_cleanup_buf_ struct buf body, all;
	buf_init(&body, 4096);
	buf_init(&all, 8192);
	(void)buf_puts(&body, "{\"Message\":");
	(void)json_quote(&body, text, strlen(text));
	(void)buf_puts(&body, "}");
	(void)buf_printf(
		&all,
		"HTTP/1.1 %u %s\r\nx-amzn-ErrorType: %s\r\nx-amz-ErrorType: %s\r\nx-amzn-RequestId: %s\r\n"
		"x-amz-request-id: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		k.status, k.type, k.type, k.type, c->id, c->id, body.len);
	(void)buf_append(&all, body.data, body.len);
	log_info("put_media", LOG_S("connection", c->id), LOG_I("status", k.status), LOG_S("code", k.type),
		 LOG_S("stream", c->target.name), LOG_S("error", why->message));
	begin_last_bytes(c);
	write_out(c, all.data, all.len);
}

struct said {
	struct put_conn *conn;
	bool last;
	size_t len;
	char text[];
};

static void write_line(struct put_conn *c, const char *text, size_t len)
{
	char chunk[512];
	int n = snprintf(chunk, sizeof(chunk), "%zx\r\n%.*s\r\n", len, (int)len, text);
	write_out(c, chunk, (size_t)n);
}

static void say(void *arg)
{
	struct said *s = arg;
	struct put_conn *c = s->conn;
	if (c->state == PUT_BODY && !s->last) {
		write_line(c, s->text, s->len);
	} else if (c->state == PUT_BODY) {
		begin_last_bytes(c);
		write_out(c, "0\r\n\r\n", 5);
	}
	put_conn_unref(c);
	free(s);
}

void put_conn_say(struct put_conn *c, const char *line)
{
	size_t len = line ? strlen(line) : 0;
	struct said *s = mr_calloc(1, sizeof(*s) + len + 1);
	s->conn = put_conn_ref(c);
	s->last = !line;
	s->len = len;
	if (line)
		memcpy(s->text, line, len);
	loop_post(c->loop, say, s);
}

/* ---- the body ---- */

static void pause_reading(struct put_conn *c, bool pause)
{
	loop_change(c->loop, &c->watch, pause ? c->watch.events & ~(uint32_t)EPOLLIN : c->watch.events | EPOLLIN);
}

/* What was held back first; then the end, if it has come. */
static void give_held(struct put_conn *c)
{
	if (c->state != PUT_BODY)
		return;
	if (c->held.len) {
		int r = put_stream_bytes(c, c->held.data, c->held.len);
		if (r == -ERR_BUSY) {
			pause_reading(c, true);
			return;
		}
		buf_clear(&c->held); /* given, or the session has ended and it is not wanted */
	}
	if (c->body_done)
		put_stream_finish(c);
	pause_reading(c, c->allowance <= 0);
}

static void resume(void *arg)
{
	struct put_conn *c = arg;
	give_held(c);
	put_conn_unref(c);
}

void put_conn_resume(struct put_conn *c)
{
	loop_post(c->loop, resume, put_conn_ref(c));
}

static int on_body(http_parser *parser, const char *data, size_t len)
{
	struct put_conn *c = parser->data;
	if (c->state == PUT_LAST_BYTES || c->state == PUT_CLOSED)
		return 0;
	/* READ_BYTES at most: nothing more is read until it has been given. */
	if (c->state != PUT_BODY || c->held.len)
		return buf_append(&c->held, data, len) ? 0 : 1;
	if (put_stream_bytes(c, data, len) == -ERR_BUSY)
		return buf_append(&c->held, data, len) ? 0 : 1;
	return 0;
}

static int on_message_complete(http_parser *parser)
{
	struct put_conn *c = parser->data;
	c->body_done = true;
	return 0;
}

/* ---- the head ---- */

static int on_url(http_parser *parser, const char *data, size_t len)
{
	return put_head_url(&((struct put_conn *)parser->data)->head, data, len) ? 0 : 1;
}

static int on_field(http_parser *parser, const char *data, size_t len)
{
	struct put_conn *c = parser->data;
	return c->head_done || put_head_field(&c->head, data, len) ? 0 : 1; /* trailers are not looked at */
}

static int on_value(http_parser *parser, const char *data, size_t len)
{
	struct put_conn *c = parser->data;
	return c->head_done || put_head_value(&c->head, data, len) ? 0 : 1;
}

static int on_headers_complete(http_parser *parser)
{
	struct put_conn *c = parser->data;
	c->head_done = true;
	return 0;
}

static void admitted(void *arg)
{
	struct put_conn *c = arg;
	char head[512];
	if (c->state == PUT_CLOSED) {
		put_stream_cut(c, 0);
	} else if (c->refusal.kind != ERR_OK) {
		refuse(c, &c->refusal);
	} else {
		log_info("put_media", LOG_S("connection", c->id), LOG_I("status", 200), LOG_S("stream", c->to.stream.name));
		c->state = PUT_BODY;
		if (c->target.expects_continue)
			write_out(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
		int n = snprintf(
			head, sizeof(head),
			"HTTP/1.1 200 OK\r\nx-amzn-RequestId: %s\r\nx-amz-request-id: %s\r\nContent-Type: application/json\r\n"
			"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
			c->id, c->id);
		if (c->state == PUT_BODY)
			write_out(c, head, (size_t)n);
		give_held(c);
	}
	put_conn_unref(c);
}

static void admit(void *arg)
{
	struct put_conn *c = arg;
	put_stream_admit(c, &c->refusal);
	loop_post(c->loop, admitted, c); /* with this work's reference */
}

static void handle_head(struct put_conn *c)
{
	const struct put_server_opts *o = &c->server->o;
	struct sigv4_verified key;
	struct err e = { 0 };
	int r = 0;
	if (strcmp(c->head.url.data, "/putMedia") != 0 || c->parser.method != HTTP_POST)
		r = err_set(&e, ERR_NOT_FOUND, "there is only POST /putMedia here");
	if (r == 0)
		r = put_head_verify(&c->head, o->key_lookup, o->key_ctx, clock_wall_ms(), &key, &e);
	if (r == 0)
		r = put_head_read(&c->head, &c->target, &e);
	if (r < 0) {
		refuse(c, &e);
		return;
	}
	c->user = o->key_user(o->key_ctx, key.access_key_id);
	c->state = PUT_ADMIT;
	pause_reading(c, true);
	if (pool_submit(c->server->pool, admit, put_conn_ref(c)) == 0)
		return;
	put_conn_unref(c);
	(void)err_set(&e, ERR_UNAVAILABLE, "too many connections");
	refuse(c, &e);
}

/* ---- the socket ---- */

static void parse(struct put_conn *c, const char *data, size_t len)
{
	static const http_parser_settings settings = { .on_url = on_url,
						       .on_header_field = on_field,
						       .on_header_value = on_value,
						       .on_headers_complete = on_headers_complete,
						       .on_body = on_body,
						       .on_message_complete = on_message_complete };
	struct err e;
	size_t n = http_parser_execute(&c->parser, &settings, data, len);
	bool bad = HTTP_PARSER_ERRNO(&c->parser) != HPE_OK || (n != len && !c->body_done);
	if (bad && c->state == PUT_HEAD) {
		(void)err_set(&e, ERR_INVALID, "the request is malformed, or its head is too large");
		refuse(c, &e);
	} else if (bad) {
		c->body_done = true; /* nothing behind it can be understood */
		put_stream_cut(c, PUT_E_READ);
	} else if (c->state == PUT_HEAD && c->head_done) {
		handle_head(c);
	} else if (c->state == PUT_BODY) {
		give_held(c);
	}
}

static void read_some(struct put_conn *c)
{
	char data[READ_BYTES];
	ssize_t n = recv(c->watch.fd, data, sizeof(data), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		put_conn_cut(c);
		return;
	}
	if (c->state == PUT_LAST_BYTES || HTTP_PARSER_ERRNO(&c->parser) != HPE_OK)
		return;
	c->last_ms = clock_mono_ms();
	c->allowance -= n;
	parse(c, data, (size_t)n);
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
	struct put_conn *c = (struct put_conn *)((char *)w - offsetof(struct put_conn, watch));
	(void)put_conn_ref(c);
	if (events & EPOLLOUT)
		flush(c);
	if (c->state != PUT_CLOSED && (events & (EPOLLERR | EPOLLHUP)) && !(events & EPOLLIN))
		put_conn_cut(c);
	if (c->state != PUT_CLOSED && (events & EPOLLIN))
		read_some(c);
	put_conn_unref(c);
}

void put_conn_adopt(struct put_loop *l, int take_fd)
{
	struct put_conn *c = mr_calloc(1, sizeof(*c));
	struct err e = { 0 };
	c->server = l->server;
	c->loop = l->loop;
	c->watch = (struct loop_watch) { .fd = take_fd, .ready = on_ready };
	atomic_store(&c->refs, 1);
	uuid7_new(c->id);
	http_parser_init(&c->parser, HTTP_REQUEST);
	c->parser.data = c;
	put_head_init(&c->head);
	buf_init(&c->held, 2 * READ_BYTES);
	buf_init(&c->out, OUT_MAX_BYTES);
	c->opened_ms = c->last_ms = clock_mono_ms();
	c->allowance = BYTES_AT_ONCE;
	c->tail = &c->items;
	(void)pthread_mutex_init(&c->lock, NULL);
	c->next = l->conns;
	if (c->next)
		c->next->prev = c;
	l->conns = c;
	(void)pthread_mutex_lock(&c->server->lock);
	bool stopping = c->server->stopping;
	(void)pthread_mutex_unlock(&c->server->lock);
	if (stopping || loop_add(l->loop, &c->watch, EPOLLIN, &e) < 0)
		put_conn_cut(c);
}

/* The producer says nothing, and is told that its connection lives. */
static void tell_idle(struct put_conn *c, int64_t now_ms)
{
	static const char line[] = "{\"EventType\":\"IDLE\"}\n";
	c->idle_told_ms = now_ms;
	if (c->target.acknowledge)
		write_line(c, line, sizeof(line) - 1);
}

void put_conn_check(struct put_conn *c, int64_t now_ms)
{
	bool busy = put_stream_check(c);
	c->allowance = c->allowance + BYTES_PER_S > BYTES_AT_ONCE ? BYTES_AT_ONCE : c->allowance + BYTES_PER_S;
	bool reading = c->watch.events & EPOLLIN;
	if (!reading || busy)
		c->last_ms = now_ms; /* it waits for us */
	int64_t quiet_ms = now_ms - c->last_ms, every_ms = c->server->o.idle_ms / IDLE_TIMES;
	if ((c->state == PUT_HEAD && now_ms - c->opened_ms > HEAD_MS) || (c->state == PUT_LAST_BYTES && quiet_ms > LAST_MS) ||
	    (c->state == PUT_BODY && quiet_ms > c->server->o.idle_ms && !c->body_done))
		put_conn_cut(c);
	else if (c->state == PUT_BODY && now_ms - c->opened_ms > c->server->o.age_ms)
		put_stream_cut(c, PUT_E_CONNECTION_AGE);
	else if (c->state == PUT_BODY && !c->held.len && !reading && c->allowance > 0 && !c->body_done)
		give_held(c);
	else if (c->state == PUT_BODY && !c->body_done && quiet_ms >= every_ms && now_ms - c->idle_told_ms >= every_ms)
		tell_idle(c, now_ms);
}
