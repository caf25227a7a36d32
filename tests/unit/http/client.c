/* The tests' HTTP client. */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"

#define ANSWER_MAX (64u << 20)

int dial(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 30 }; /* a hang is a failure, not a hang */
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		abort();
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

bool send_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

bool send_text(int fd, const char *fmt, ...)
{
	char *text;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	bool ok = n >= 0 && send_all(fd, text, (size_t)n);
	free(text);
	return ok;
}

const char *header(const struct answer *a, const char *name)
{
	static _Thread_local char value[8][4096];
	static _Thread_local unsigned slot;
	size_t len = strlen(name);
	for (const char *s = a->head; s && (s = strstr(s, "\r\n")) && s[2];) {
		s += 2;
		if (strncasecmp(s, name, len) == 0 && s[len] == ':') {
			s += len + 1;
			s += strspn(s, " ");
			char *out = value[slot++ % 8];
			(void)snprintf(out, sizeof(value[0]), "%.*s", (int)strcspn(s, "\r\n"), s);
			return out;
		}
	}
	return NULL;
}

static bool read_some(int fd, struct buf *b, size_t max)
{
	char tmp[65536];
	ssize_t n = recv(fd, tmp, max < sizeof(tmp) ? max : sizeof(tmp), 0);
	return n > 0 && buf_append(b, tmp, (size_t)n);
}

struct answer read_head(int fd)
{
	struct answer a = { 0 };
	struct buf b;
	buf_init(&b, 1 << 16);
	while (!b.data || b.len < 4 || memcmp(b.data + b.len - 4, "\r\n\r\n", 4) != 0)
		if (!read_some(fd, &b, 1)) {
			a.closed = true;
			break;
		}
	a.head = buf_steal(&b);
	if (sscanf(a.head, "HTTP/1.%*d %d", &a.status) != 1)
		a.status = 0;
	return a;
}

static bool read_exactly(int fd, struct buf *b, size_t len)
{
	for (size_t want = b->len + len; b->len < want;)
		if (!read_some(fd, b, want - b->len))
			return false;
	return true;
}

static bool read_chunked(int fd, struct buf *b)
{
	for (;;) {
		char line[64] = "";
		size_t n = 0;
		while (n < 2 || memcmp(line + n - 2, "\r\n", 2) != 0)
			if (n == sizeof(line) - 1 || recv(fd, line + n++, 1, 0) != 1)
				return false;
		size_t len = strtoul(line, NULL, 16);
		if (!read_exactly(fd, b, len + 2))
			return false;
		b->len -= 2;
		if (!len)
			return true;
	}
}

struct answer read_answer(int fd, bool has_body)
{
	struct answer a = read_head(fd);
	struct buf b;
	buf_init(&b, ANSWER_MAX);
	const char *length = header(&a, "Content-Length");
	const char *coding = header(&a, "Transfer-Encoding");
	if (a.status == 304 || a.status == 204 || !has_body || a.closed)
		;
	else if (coding)
		a.closed = !read_chunked(fd, &b);
	else if (length)
		a.closed = !read_exactly(fd, &b, strtoul(length, NULL, 10));
	a.len = b.len;
	if (b.data)
		b.data[b.len] = '\0';
	a.body = buf_steal(&b);
	return a;
}

void answer_free(struct answer *a)
{
	free(a->head);
	free(a->body);
	*a = (struct answer) { 0 };
}

const char *read_until(int fd, const char *text)
{
	static char seen[1 << 16];
	size_t n = 0;
	seen[0] = '\0';
	while (n < sizeof(seen) - 1) {
		if (recv(fd, seen + n, 1, 0) != 1)
			return NULL;
		seen[++n] = '\0';
		if (n >= strlen(text) && strcmp(seen + n - strlen(text), text) == 0)
			return seen;
	}
	return NULL;
}

long read_to_end(int fd)
{
	static char tmp[1 << 16];
	long total = 0;
	for (;;) {
		ssize_t n = recv(fd, tmp, sizeof(tmp), 0);
		if (n <= 0)
			return n < 0 ? -1 : total;
		total += n;
	}
}

struct answer request(uint16_t port, const char *method, const char *target, const char *headers, const char *body)
{
	int fd = dial(port);
	if (body)
		(void)send_text(fd, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%sContent-Length: %zu\r\n\r\n%s", method,
				target, port, headers, strlen(body), body);
	else
		(void)send_text(fd, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", method, target, port, headers);
	struct answer a = read_answer(fd, strcmp(method, "HEAD") != 0);
	close(fd);
	return a;
}
