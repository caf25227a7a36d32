/* Frames over a stream socket. Runs on both sides; what it reads is hostile: a length is compared with its type's maximum
 * before a byte of the payload is read or room is made for it. */
#include "proto/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "os/fd.h"
#include "proto/listen.h"
#include "proto/live.h"

/* The largest payload of each type; 0: no such type. */
static uint32_t type_max(uint32_t type)
{
	switch (type) {
	case MSG_SPEC:
		return MSG_MAX_BYTES;
	case MSG_DATA:
		return TASK_READ_MAX_BYTES;
	case MSG_BLOB:
		return TASK_BLOB_MAX_BYTES;
	case MSG_RESULT:
		return 1u << 20; /* 65,536 keyframes are 768 KiB */
	case MSG_OBJECT:
		return 512; /* sixteen I-frames */
	case MSG_READ:
	case MSG_PROGRESS:
		return 256;
	case MSG_READ_FAILED:
	case MSG_FAILURE:
		return 1024;
	case MSG_LIVE_OPEN:
	case MSG_LIVE_BYTES:
	case MSG_LIVE_EVENT:
		return LIVE_MESSAGE_MAX_BYTES + LIVE_HEAD_MAX_BYTES;
	case MSG_LISTEN_BYTES:
	case MSG_LISTEN_FRAMES:
		return LISTEN_MESSAGE_MAX_BYTES;
	case MSG_LISTEN_ORDER:
		return 64;
	case MSG_LISTEN_DONE:
		return 1024;
	case MSG_LIVE_LOST:
	case MSG_LIVE_CLOSE:
	case MSG_LIVE_TAKEN:
		return 16;
	default:
		return 0;
	}
}

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int channel_header_encode(enum msg_type type, size_t len, uint8_t ret[MSG_HEADER_BYTES], struct err *e)
{
	uint32_t max = type_max(type);
	if (max == 0 || len > max)
		return err_set(e, ERR_PROTOCOL, "a message of type %d with %zu bytes", (int)type, len);
	put_u32(ret, (uint32_t)len);
	put_u32(ret + 4, (uint32_t)type);
	return 0;
}

int channel_header_decode(const uint8_t header[MSG_HEADER_BYTES], enum msg_type *ret_type, uint32_t *ret_len, struct err *e)
{
	uint32_t len = get_u32(header), type = get_u32(header + 4), max = type_max(type);
	if (max == 0 || len > max)
		return err_set(e, ERR_PROTOCOL, "a message of type %u with %u bytes", type, len);
	*ret_type = (enum msg_type)type;
	*ret_len = len;
	return 0;
}

/* Header and payload go out in one call where the socket takes them, so that a small message is one packet of work. */
int channel_send(int fd, enum msg_type type, const void *data, size_t len, struct err *e)
{
	uint8_t header[MSG_HEADER_BYTES];
	int r = channel_header_encode(type, len, header, e);
	if (r < 0)
		return r;
	size_t done = 0, total = sizeof(header) + len;
	while (done < total) {
		struct iovec v[2];
		size_t n = 0;
		if (done < sizeof(header))
			v[n++] = (struct iovec){ header + done, sizeof(header) - done };
		size_t sent = done < sizeof(header) ? 0 : done - sizeof(header);
		if (len > sent)
			/* sendmsg doesn't write; iovec just has no const */
			v[n++] = (struct iovec){ (void *)((uintptr_t)data + sent), len - sent };
		struct msghdr m = { .msg_iov = v, .msg_iovlen = n };
		ssize_t w = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && (errno == EPIPE || errno == ECONNRESET))
			return err_set(e, ERR_LOST, "the peer closed the channel");
		if (w < 0)
			return err_errno(e, errno, "send on the channel");
		done += (size_t)w;
	}
	return 0;
}

static int read_part(int fd, void *data, size_t len, bool within, struct err *e)
{
	int r = len ? fd_read_full(fd, data, len, e) : 0;
	if (r == -ERR_IO || (within && r == -ERR_LOST))
		return err_set(e, ERR_LOST, "the peer closed the channel within a message");
	return r;
}

int channel_recv(int fd, enum msg_type *ret_type, struct buf *payload, struct err *e)
{
	uint8_t header[MSG_HEADER_BYTES];
	enum msg_type type = MSG_SPEC;
	uint32_t len = 0;
	buf_clear(payload);
	int r = read_part(fd, header, sizeof(header), false, e);
	if (r == 0)
		r = channel_header_decode(header, &type, &len, e);
	if (r < 0)
		return r;
	void *room = buf_reserve(payload, len);
	if (!room)
		return err_set(e, ERR_TOO_LARGE, "no room for a message of %u bytes", len);
	r = read_part(fd, room, len, true, e);
	if (r < 0)
		return r;
	buf_commit(payload, len);
	*ret_type = type;
	return 0;
}
