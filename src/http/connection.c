/* libmicrohttpd's callbacks: one connection, its requests one after the other, and the phases of each (internal.h).
 * Runs on the HTTP threads of the front process and never blocks; what may block is handed to the pool. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/fields.h"
#include "http/internal.h"
#include "http/response.h"
#include "http/signed_urls.h"
#include "os/fd.h"

/* ---- connections ---- */

static void conn_open(struct http_server *s, struct MHD_Connection *mhd, void **socket_ctx)
{
	struct http_conn *c = mr_calloc(1, sizeof(*c));
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	c->fd = info ? info->connect_fd : -1;
	c->wait = WAIT_HEAD;
	c->deadline_ms = clock_mono_ms() + s->opts.header_timeout_ms;
	(void)pthread_mutex_lock(&s->lock);
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	if (s->conn_count++ == 0)
		(void)pthread_cond_signal(&s->tick);
	(void)pthread_mutex_unlock(&s->lock);
	*socket_ctx = c;
}

static void conn_close(struct http_server *s, struct http_conn *c)
{
	(void)pthread_mutex_lock(&s->lock);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->conn_count--;
	bool linger = c->linger && !s->stopping;
	(void)pthread_mutex_unlock(&s->lock);
	/* libmicrohttpd closes its descriptor after this call. */
	if (linger)
		linger_add(s, fcntl(c->fd, F_DUPFD_CLOEXEC, 3));
	free(c);
}

void conn_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_ctx,
			enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		conn_open(cls, mhd, socket_ctx);
	else if (*socket_ctx)
		conn_close(cls, *socket_ctx);
}

static struct http_conn *conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void wait_locked(struct http_request *req, enum conn_wait wait, int64_t deadline_ms)
{
	req->conn->wait = wait;
	req->conn->deadline_ms = deadline_ms;
	req->conn->upload = wait == WAIT_BODY ? req->upload : NULL;
}

void conn_wait(struct http_request *req, enum conn_wait wait, uint32_t timeout_ms)
{
	struct http_server *s = req->server;
	int64_t deadline_ms = clock_mono_ms() + timeout_ms;
	(void)pthread_mutex_lock(&s->lock);
	wait_locked(req, wait, deadline_ms);
	(void)pthread_mutex_unlock(&s->lock);
}

bool conn_answers(struct http_request *req)
{
	struct http_server *s = req->server;
	(void)pthread_mutex_lock(&s->lock);
	wait_locked(req, WAIT_NOTHING, 0);
	bool draining = s->draining;
	(void)pthread_mutex_unlock(&s->lock);
	return draining;
}

void conn_send_raw(struct http_conn *c, const struct buf *message)
{
	/* Nothing else has been sent since the last answer, so the socket's buffer has room; if not, the client gets a
	 * close alone. */
	if (message->data && send(c->fd, message->data, message->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

void conn_cork(const struct http_conn *c, bool on)
{
	/* Where it fails (a socket that is closed) nothing is lost but packets. */
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &(int) { on }, sizeof(int));
}

/* ---- one request's begin and end ---- */

void *conn_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct http_server *s = cls;
	struct http_request *req = mr_calloc(1, sizeof(*req));
	req->server = s;
	req->mhd = mhd;
	req->conn = conn_of(mhd);
	req->content_length = -1;
	req->started_ns = clock_mono_ns();
	req->target = arena_strdup(&req->arena, uri);
	buf_init(&req->body, 0);
	(void)pthread_mutex_lock(&s->lock);
	wait_locked(req, WAIT_HEAD, req->started_ns / 1000000 + s->opts.header_timeout_ms);
	req->conn->first_byte_seen = true;
	(void)pthread_mutex_unlock(&s->lock);
	return req;
}

static void write_access_line(const struct http_request *req, bool whole)
{
	bool no_body = strcmp(req->method, "HEAD") == 0 || req->reply.status == 304 || req->reply.length == UINT64_MAX;
	struct log_field f[10 + HTTP_LOG_FIELDS + 1] = {
		LOG_S("request_id", req->id),
		LOG_S("method", req->method),
		LOG_S("path", http_request_path(req)),
		LOG_I("status", req->reply.status),
		LOG_I("bytes", no_body ? 0 : req->reply.length),
		LOG_I("received", req->received),
		LOG_F("ms", (double)(clock_mono_ns() - req->started_ns) / 1e6),
		LOG_S("user", req->has_identity ? req->identity.user : ""),
		LOG_S("remote", http_request_remote(req)),
	};
	size_t n = 9;
	for (unsigned i = 0; i < req->log_count && i < HTTP_LOG_FIELDS; i++)
		f[n++] = LOG_S(req->log[i].key, req->log[i].value);
	if (!whole)
		f[n++] = LOG_S("end", "cut");
	f[n].type = LOG_END;
	log_event(LOG_INFO, "http_request", f);
}

static const int64_t quick_us[] = METRIC_QUICK_US;
static struct metric requests = METRIC_COUNTER("millrace_http_requests_total", "Requests that were answered or cut off.", 1,
						"method", "route", "status");
static struct metric request_seconds = METRIC_HISTOGRAM(
	"millrace_http_request_seconds", "From a request's head to the end of its answer.", 1e-6, quick_us, "route");

/* By the route's pattern: there are few of them, whatever clients ask for. */
static void count_request(const struct http_request *req)
{
	const struct http_route *r = req->match.route;
	const char *route = r ? r->pattern : "none", *method = r ? r->method : "none";
	char status[16];
	(void)snprintf(status, sizeof(status), "%u", req->reply.status);
	metric_add(metric_of(&requests, method, route, status), 1);
	metric_observe(metric_of(&request_seconds, route), (clock_mono_ns() - req->started_ns) / 1000);
}

static void request_free(struct http_request *req)
{
	reply_clear(req);
	websocket_release(req);
	signed_url_release(req->remembered);
	json_decref(req->json);
	buf_release(&req->body);
	arena_release(&req->arena);
	free(req);
}

void conn_on_completed(void *cls, struct MHD_Connection *mhd, void **req_cls, enum MHD_RequestTerminationCode why)
{
	(void)mhd;
	struct http_server *s = cls;
	struct http_request *req = *req_cls;
	if (!req)
		return;
	*req_cls = NULL;
	if (req->corked)
		conn_cork(req->conn, false);
	if (req->upload) {
		conn_wait(req, WAIT_NOTHING, 0);
		upload_detach(req);
	}
	admit_unload(req);
	if (req->active)
		count_request(req);
	if (req->active && s->opts.access_log && log_is_on(LOG_INFO))
		write_access_line(req, why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	if (req->reply.on_sent && why == MHD_REQUEST_TERMINATED_COMPLETED_OK && req->reply.status == 200 &&
	    strcmp(req->method, "HEAD") != 0)
		work_later(s, req->reply.on_sent, req->reply.on_sent_text);
	/* Between two requests libmicrohttpd's idle timeout counts; this one stops a first line that never ends. */
	int64_t deadline_ms = clock_mono_ms() + s->opts.idle_timeout_ms + s->opts.header_timeout_ms;
	(void)pthread_mutex_lock(&s->lock);
	wait_locked(req, WAIT_HEAD, deadline_ms);
	req->conn->first_byte_seen = false;
	if (req->active) {
		s->active--;
		s->requests++;
		s->errors += req->reply.status >= 500;
		(void)pthread_cond_broadcast(&s->idle);
	}
	(void)pthread_mutex_unlock(&s->lock);
	request_free(req);
}

/* ---- the head ---- */

struct collect {
	struct http_request *req;
	size_t room;
};

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)kind;
	(void)name;
	(void)value;
	++*(size_t *)cls;
	return MHD_YES;
}

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)kind;
	struct collect *c = cls;
	if (c->req->header_count == c->room)
		return MHD_NO;
	c->req->bad_header |= !field_is_token(name);
	/* libmicrohttpd keeps both until the request's end. Blanks behind a value are no part of it (RFC 9110, 5.5). */
	size_t len = value ? strlen(value) : 0;
	while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		len--;
	c->req->headers[c->req->header_count++] =
		(struct sigv4_pair) { name, len && value[len] ? arena_strndup(&c->req->arena, value, len)
					    : value           ? value
							      : "" };
	return MHD_YES;
}

static void collect_headers(struct http_request *req)
{
	struct collect c = { .req = req };
	(void)MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, count_header, &c.room);
	req->headers = arena_alloc(&req->arena, (c.room + 1) * sizeof(*req->headers));
	(void)MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, take_header, &c);
}

void conn_find_remote(struct http_request *req)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(req->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;
	if (sa && sa->sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, req->remote,
				sizeof(req->remote));
	else if (sa && sa->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, req->remote,
				sizeof(req->remote));
	const char *forwarded = req->server->opts.trust_proxy ? http_request_header(req, "X-Forwarded-For") : NULL;
	if (!forwarded)
		return;
	const char *last = strrchr(forwarded, ',');
	last = last ? last + 1 : forwarded;
	last += strspn(last, " \t");
	if (*last && strlen(last) < sizeof(req->remote) && strspn(last, "0123456789abcdefABCDEF.:[]") == strlen(last))
		(void)snprintf(req->remote, sizeof(req->remote), "%s", last);
}

static void find_id(struct http_request *req)
{
	const char *given = http_request_header(req, "X-Request-Id");
	if (given && field_request_id_valid(given))
		(void)snprintf(req->id, sizeof(req->id), "%s", given);
	else
		uuid7_new(req->id);
}

/* The body can still be refused before it is read: at once with a close, or, if it is small and on its way already,
 * after reading it away, which keeps the connection. */
static enum MHD_Result answer_before_body(struct http_request *req)
{
	if (req->content_length >= 0 && req->content_length <= HTTP_DISCARD_BYTES && !req->expects_continue) {
		req->phase = PHASE_DISCARD;
		req->body_begun = true;
		conn_wait(req, WAIT_BODY, req->server->opts.body_timeout_ms);
		return MHD_YES;
	}
	(void)pthread_mutex_lock(&req->server->lock);
	req->conn->linger = true;
	(void)pthread_mutex_unlock(&req->server->lock);
	return reply_queue(req);
}

static enum MHD_Result on_head(struct http_request *req, const char *method, const char *version)
{
	struct http_server *s = req->server;
	(void)snprintf(req->method, sizeof(req->method), "%s", method);
	req->needs_host = strcmp(version, MHD_HTTP_VERSION_1_0) != 0;
	(void)pthread_mutex_lock(&s->lock);
	s->active++;
	wait_locked(req, WAIT_NOTHING, 0);
	(void)pthread_mutex_unlock(&s->lock);
	req->active = true;
	collect_headers(req);
	find_id(req);
	struct err e;
	if (admit_head(req, &e) < 0)
		(void)http_respond_error(req, &e);
	if (!req->has_body) {
		/* An answer in this first call would close the connection; the second comes at once. */
		req->phase = req->reply.set ? PHASE_RESPOND : PHASE_READY;
		return MHD_YES;
	}
	if (!req->reply.set && work_start(req, admit_job))
		return MHD_YES;
	return answer_before_body(req);
}

/* ---- the body ---- */

/* libmicrohttpd takes no answer between a body's first and last byte. */
static enum MHD_Result fail_in_body(struct http_request *req, const struct err *why)
{
	int64_t rest = req->content_length - (int64_t)req->received;
	if (req->content_length >= 0 && rest <= HTTP_DISCARD_BYTES) {
		(void)http_respond_error(req, why);
		req->phase = PHASE_DISCARD;
		conn_wait(req, WAIT_BODY, req->server->opts.body_timeout_ms);
		return MHD_YES;
	}
	_cleanup_buf_ struct buf message;
	buf_init(&message, HTTP_CONNECTION_BYTES);
	(void)reply_format_raw(req, why, &message);
	(void)pthread_mutex_lock(&req->server->lock);
	req->conn->linger = true;
	req->conn->wait = WAIT_NOTHING;
	(void)pthread_mutex_unlock(&req->server->lock);
	conn_send_raw(req->conn, &message);
	return MHD_NO;
}

static enum MHD_Result on_body_data(struct http_request *req, const char *data, size_t *size)
{
	struct err e;
	size_t offered = *size;
	if (req->received + offered > req->body_max) {
		(void)err_set(&e, ERR_TOO_LARGE, "the body is larger than %" PRIu64 " bytes", req->body_max);
		req->received += offered;
		*size = 0;
		return fail_in_body(req, &e);
	}
	if (req->upload) {
		bool ok = upload_data(req, data, size, &e);
		if (!ok)
			*size = 0; /* what is left unread here would never be offered again */
		req->received += offered - *size;
		return ok ? MHD_YES : fail_in_body(req, &e);
	}
	req->received += offered;
	*size = 0;
	if (!buf_append(&req->body, data, offered)) {
		(void)err_set(&e, ERR_UNAVAILABLE, "no memory for the body");
		return fail_in_body(req, &e);
	}
	return MHD_YES;
}

static enum MHD_Result on_body_end(struct http_request *req)
{
	conn_wait(req, WAIT_NOTHING, 0);
	if (req->upload)
		return upload_end(req) ? MHD_YES : reply_queue(req);
	return work_start(req, admit_handle_job) ? MHD_YES : reply_queue(req);
}

enum MHD_Result conn_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
				const char *version, const char *data, size_t *size, void **req_cls)
{
	(void)cls;
	(void)mhd;
	(void)url;
	struct http_request *req = *req_cls;
	switch (req->phase) {
	case PHASE_NEW:
		return on_head(req, method, version);
	case PHASE_READY:
		if (req->match.route->where == HTTP_INLINE) {
			admit_run_handler(req);
			return reply_queue(req);
		}
		if (req->match.route->where == HTTP_INLINE_FIRST && admit_run_first(req))
			return reply_queue(req);
		return work_start(req, admit_job) ? MHD_YES : reply_queue(req);
	case PHASE_ADMITTED:
		req->phase = PHASE_BODY;
		req->body_begun = true;
		conn_wait(req, WAIT_BODY, req->server->opts.body_timeout_ms);
		return MHD_YES;
	case PHASE_BODY:
		return *size ? on_body_data(req, data, size) : on_body_end(req);
	case PHASE_DISCARD:
		if (!*size)
			return reply_queue(req);
		req->received += *size;
		*size = 0;
		return MHD_YES;
	case PHASE_RESPOND:
		return req->has_body && !req->body_begun ? answer_before_body(req) : reply_queue(req);
	case PHASE_JOB:
	case PHASE_SENT:
		break;
	}
	return MHD_YES;
}
