/* Packets with descriptors over a SOCK_SEQPACKET socket: the zygote's control and status sockets. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "os/fd.h"
#include "proto/channel.h"

#define FDS_MAX 2

union control {
	char room[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	struct cmsghdr align;
};

int packet_send(int fd, const void *data, size_t len, const int *fds, size_t fd_count, struct err *e)
{
	assert(fd_count <= FDS_MAX);
	/* sendmsg doesn't write; iovec just has no const */
	struct iovec v = { (void *)(uintptr_t)data, len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	union control c;
	if (fd_count) {
		memset(&c, 0, sizeof(c));
		m.msg_control = c.room;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * fd_count);
	}
	for (;;) {
		ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (n >= 0)
			return 0; /* SEQPACKET: whole or not at all */
		if (errno == EINTR)
			continue;
		if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
			return err_set(e, ERR_LOST, "the peer closed its socket");
		return err_errno(e, errno, "send a packet");
	}
}

/* The kernel delivers at most FDS_MAX descriptors (the room given) and drops the rest. */
static void take_fds(struct msghdr *m, int ret_fds[FDS_MAX])
{
	size_t taken = 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n && taken < FDS_MAX; i++)
			memcpy(&ret_fds[taken++], CMSG_DATA(h) + i * sizeof(int), sizeof(int));
	}
}

int packet_recv(int fd, void *data, size_t len, size_t *ret_len, int ret_fds[2], struct err *e)
{
	struct iovec v = { data, len };
	union control c;
	memset(&c, 0, sizeof(c));
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.room, .msg_controllen = sizeof(c.room) };
	ssize_t n;
	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == ECONNRESET)
		return err_set(e, ERR_LOST, "the peer closed its socket");
	if (n < 0)
		return err_errno(e, errno, "receive a packet");
	int got[FDS_MAX] = { -1, -1 };
	take_fds(&m, got);
	if (n == 0 || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		fd_close(&got[0]);
		fd_close(&got[1]);
		if (n == 0)
			return err_set(e, ERR_LOST, "the peer closed its socket");
		return err_set(e, ERR_PROTOCOL, "a packet larger than %zu bytes or with more than %d descriptors", len, FDS_MAX);
	}
	memcpy(ret_fds, got, sizeof(got));
	*ret_len = (size_t)n;
	return 0;
}
