/* Listen addresses and their socket. The front process, at its start. */
#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "http/fields.h"
#include "os/fd.h"

#define BACKLOG 1024

int listen_parse(const char *text, struct listen_address *ret, struct err *e)
{
	struct listen_address a = { 0 };
	const char *colon = text ? strrchr(text, ':') : NULL;
	size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
	if (!digits || digits > 5 || colon[1 + digits] || strtol(colon + 1, NULL, 10) > 65535)
		return err_set(e, ERR_INVALID, "listen address \"%s\" must be HOST:PORT", text ? text : "");
	(void)snprintf(a.port, sizeof(a.port), "%s", colon + 1);
	size_t len = (size_t)(colon - text);
	bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	if (bracketed) {
		text++;
		len -= 2;
	}
	if (len >= sizeof(a.host) || (!bracketed && memchr(text, ':', len)))
		return err_set(e, ERR_INVALID, "listen address: an IPv6 address needs brackets, as in [::1]:8080");
	memcpy(a.host, text, len);
	if (!len)
		(void)snprintf(a.host, sizeof(a.host), "127.0.0.1");
	char shown[260];
	(void)snprintf(shown, sizeof(shown), bracketed ? "[%s]" : "%s", a.host);
	a.loopback = field_host_is_loopback(shown);
	*ret = a;
	return 0;
}

static int open_one(const struct addrinfo *ai)
{
	_cleanup_fd_ int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		return -1;
	return fd_steal(fd);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return 0;
	return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
					      : ((struct sockaddr_in *)&sa)->sin_port);
}

int listen_open(const struct listen_address *a, int *ret_fd, uint16_t *ret_port, struct err *e)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int r = getaddrinfo(strcmp(a->host, "*") == 0 ? NULL : a->host, a->port, &hints, &list);
	if (r)
		return err_set(e, ERR_INVALID, "listen on %s: %s", a->host, gai_strerror(r));
	int fd = -1;
	for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = open_one(ai);
	int why = errno;
	freeaddrinfo(list);
	if (fd < 0)
		return why == EADDRINUSE ? err_set_code(e, ERR_CONFLICT, "ADDRESS_IN_USE", "port %s of %s is in use",
							a->port, a->host)
					 : err_errno(e, why, "listen on %s:%s", a->host, a->port);
	*ret_port = port_of(fd);
	*ret_fd = fd;
	return 0;
}
