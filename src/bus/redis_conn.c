/* A connection to Redis: hiredis' protocol over a socket of our own, by OpenSSL where it is TLS. On the bus's thread. */
#include "bus/redis_conn.h"

#include <errno.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "os/fd.h"

#define OUT_MAX_BYTES (1u << 20)
#define REPLY_MAX_BYTES (1u << 20) /* ours are small */

struct redis_conn {
	int fd;
	SSL_CTX *tls_ctx; /* NULL: plain */
	SSL *tls;
	bool write_wants_read; /* TLS has to read before it can write */
	redisReader *reader; /* never NULL once it is open */
	struct buf out;
};

/* ---- bytes ---- */

static int tls_failed(const char *doing, struct err *e)
{
	char text[200] = "";
	unsigned long code = ERR_get_error();
	if (code)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return err_set(e, ERR_UNAVAILABLE, "%s: %s", doing, code ? text : "the connection was closed");
}

static int lost(struct err *e)
{
	return err_set(e, ERR_UNAVAILABLE, "the connection was closed");
}

/* Bytes, 0: none now, or negative. */
static int read_some(struct redis_conn *c, char *buf, int len, struct err *e)
{
	if (!c->tls) {
		ssize_t n = recv(c->fd, buf, (size_t)len, MSG_DONTWAIT);
		if (n > 0)
			return (int)n;
		if (n == 0)
			return lost(e);
		return errno == EAGAIN || errno == EINTR ? 0 : err_errno(e, errno, "read");
	}
	ERR_clear_error();
	int n = SSL_read(c->tls, buf, len), why = n > 0 ? SSL_ERROR_NONE : SSL_get_error(c->tls, n);
	if (n > 0)
		return n;
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : tls_failed("read", e);
}

static int write_some(struct redis_conn *c, const char *data, size_t len, struct err *e)
{
	if (!c->tls) {
		ssize_t n = send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		return n >= 0 ? (int)n : errno == EAGAIN || errno == EINTR ? 0 : err_errno(e, errno, "write");
	}
	ERR_clear_error();
	int n = SSL_write(c->tls, data, (int)len), why = n > 0 ? SSL_ERROR_NONE : SSL_get_error(c->tls, n);
	c->write_wants_read = why == SSL_ERROR_WANT_READ;
	if (n > 0)
		return n;
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : tls_failed("write", e);
}

int redis_conn_fd(const struct redis_conn *c)
{
	return c->fd;
}

short redis_conn_events(const struct redis_conn *c)
{
	return (short)(POLLIN | (c->out.len && !c->write_wants_read ? POLLOUT : 0));
}

int redis_conn_send(struct redis_conn *c, const char *const *words, int count, struct err *e)
{
	const char *argv[8];
	char *text = NULL;
	if (count > (int)MR_ARRAY_SIZE(argv))
		return err_set(e, ERR_INTERNAL, "a command of %d words", count);
	memcpy(argv, words, (size_t)count * sizeof(*argv));
	int len = redisFormatCommandArgv(&text, count, argv, NULL);
	bool fits = len > 0 && buf_append(&c->out, text, (size_t)len);
	redisFreeCommand(text);
	return fits ? 0 : err_set(e, ERR_UNAVAILABLE, "it takes nothing any more");
}

int redis_conn_flush(struct redis_conn *c, struct err *e)
{
	while (c->out.len) {
		int n = write_some(c, c->out.data, c->out.len, e);
		if (n <= 0)
			return n;
		buf_consume(&c->out, (size_t)n);
	}
	return 0;
}

int redis_conn_receive(struct redis_conn *c, redisReply **ret, struct err *e)
{
	char buf[4096];
	for (;;) {
		void *reply = NULL;
		if (redisReaderGetReply(c->reader, &reply) != REDIS_OK)
			return err_set(e, ERR_PROTOCOL, "%s", c->reader->errstr);
		if (reply) {
			*ret = reply;
			return 1;
		}
		int n = read_some(c, buf, sizeof(buf), e);
		if (n <= 0)
			return n;
		if (c->reader->len > REPLY_MAX_BYTES || redisReaderFeed(c->reader, buf, (size_t)n) != REDIS_OK)
			return err_set(e, ERR_PROTOCOL, "a reply is too long");
	}
}

/* ---- opening ---- */

static int await(int fd, short events, int stop_fd, int64_t due, struct err *e)
{
	for (;;) {
		struct pollfd p[] = { { .fd = fd, .events = events }, { .fd = stop_fd, .events = POLLIN } };
		int64_t left = due - clock_mono_ms();
		if (left <= 0)
			return err_set(e, ERR_TIMEOUT, "no answer in time");
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return err_errno(e, errno, "poll");
		if (p[1].revents)
			return err_set(e, ERR_CANCELED, "told to stop");
		if (p[0].revents)
			return 0;
	}
}

static int connect_one(const struct addrinfo *a, int stop_fd, int64_t due, int *ret_fd, struct err *e)
{
	const int on = 1;
	_cleanup_fd_ int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	if (fd < 0)
		return err_errno(e, errno, "socket");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		int r = errno == EINPROGRESS ? await(fd, POLLOUT, stop_fd, due, e) : err_errno(e, errno, "connect");
		int failed = 0;
		socklen_t size = sizeof(failed);
		if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) == 0 && failed)
			r = err_errno(e, failed, "connect");
		if (r < 0)
			return r;
	}
	*ret_fd = fd_steal(fd);
	return 0;
}

static int connect_any(const struct redis_url *u, int stop_fd, int64_t due, int *ret_fd, struct err *e)
{
	struct addrinfo *list = NULL, hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC };
	int rc = getaddrinfo(u->host, u->port, &hints, &list);
	if (rc)
		return err_set(e, ERR_UNAVAILABLE, "look up %s: %s", u->host, gai_strerror(rc));
	int r = err_set(e, ERR_UNAVAILABLE, "%s has no address", u->host);
	for (const struct addrinfo *a = list; a && r < 0 && r != -ERR_CANCELED; a = a->ai_next)
		r = connect_one(a, stop_fd, due, ret_fd, e);
	freeaddrinfo(list);
	return r;
}

static int tls_prepare(struct redis_conn *c, const struct redis_url *u, struct err *e)
{
	c->tls_ctx = SSL_CTX_new(TLS_client_method());
	if (!c->tls_ctx)
		return tls_failed("TLS", e);
	(void)SSL_CTX_set_min_proto_version(c->tls_ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(c->tls_ctx, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_mode(c->tls_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	int ok = u->ca ? SSL_CTX_load_verify_file(c->tls_ctx, u->ca) : SSL_CTX_set_default_verify_paths(c->tls_ctx);
	if (ok != 1)
		return tls_failed("load the trusted certificates", e);
	c->tls = SSL_new(c->tls_ctx);
	/* A name is told to the server (SNI) and looked for in its certificate; an address only the latter. */
	uint8_t raw[sizeof(struct in6_addr)];
	bool address = inet_pton(AF_INET, u->host, raw) == 1 || inet_pton(AF_INET6, u->host, raw) == 1;
	if (!c->tls || SSL_set_fd(c->tls, c->fd) != 1)
		return tls_failed("TLS", e);
	ok = address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->tls), u->host)
		     : SSL_set1_host(c->tls, u->host) == 1 && SSL_set_tlsext_host_name(c->tls, u->host) == 1;
	return ok == 1 ? 0 : tls_failed("TLS", e);
}

static int tls_handshake(struct redis_conn *c, int stop_fd, int64_t due, struct err *e)
{
	for (;;) {
		ERR_clear_error();
		int n = SSL_connect(c->tls);
		if (n == 1)
			return 0;
		int why = SSL_get_error(c->tls, n);
		long verdict = SSL_get_verify_result(c->tls);
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			return verdict == X509_V_OK ? tls_failed("TLS handshake", e)
						    : err_set(e, ERR_UNAVAILABLE, "its certificate: %s",
							      X509_verify_cert_error_string(verdict));
		int r = await(c->fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, stop_fd, due, e);
		if (r < 0)
			return r;
	}
}

/* One command and its reply, which must be OK. */
static int command(struct redis_conn *c, const char *const *words, int count, int stop_fd, int64_t due, struct err *e)
{
	redisReply *reply = NULL;
	int r = redis_conn_send(c, words, count, e);
	while (r == 0) {
		r = redis_conn_flush(c, e);
		if (r == 0)
			r = redis_conn_receive(c, &reply, e);
		if (r == 0)
			r = await(c->fd, redis_conn_events(c), stop_fd, due, e);
	}
	if (r < 0 || !reply)
		return r;
	r = reply->type == REDIS_REPLY_ERROR ? err_set(e, ERR_AUTH, "%s: %s", words[0], reply->str) : 0;
	freeReplyObject(reply);
	return r;
}

static int introduce(struct redis_conn *c, const struct redis_url *u, int stop_fd, int64_t due, struct err *e)
{
	int r = 0;
	if (u->password && u->user)
		r = command(c, (const char *const[]){ "AUTH", u->user, u->password }, 3, stop_fd, due, e);
	else if (u->password)
		r = command(c, (const char *const[]){ "AUTH", u->password }, 2, stop_fd, due, e);
	if (r == 0 && u->db)
		r = command(c, (const char *const[]){ "SELECT", u->db }, 2, stop_fd, due, e);
	return r == 0 ? command(c, (const char *const[]){ "PING" }, 1, stop_fd, due, e) : r;
}

int redis_conn_open(const struct redis_url *u, int stop_fd, int64_t due_mono_ms, struct redis_conn **ret, struct err *e)
{
	struct redis_conn *c = mr_calloc(1, sizeof(*c));
	c->fd = -1;
	buf_init(&c->out, OUT_MAX_BYTES);
	c->reader = redisReaderCreate();
	if (!c->reader)
		abort(); /* as all small allocations */
	int r = connect_any(u, stop_fd, due_mono_ms, &c->fd, e);
	if (r == 0 && u->tls)
		r = tls_prepare(c, u, e);
	if (r == 0 && u->tls)
		r = tls_handshake(c, stop_fd, due_mono_ms, e);
	if (r == 0)
		r = introduce(c, u, stop_fd, due_mono_ms, e);
	if (r < 0) {
		redis_conn_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

void redis_conn_close(struct redis_conn *c)
{
	if (!c)
		return;
	SSL_free(c->tls);
	SSL_CTX_free(c->tls_ctx);
	fd_close(&c->fd);
	redisReaderFree(c->reader);
	buf_release(&c->out);
	free(c);
}
