/* Reading once, forwards: see source_pipe.h. */
#include "worker/source_pipe.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "proto/task.h"

#define WAIT_MS 250
#define BLOCK_BYTES (256u << 10)

struct source_pipe {
	int fd;
	bool (*interrupted)(void);
	struct buf kept;
	uint64_t position; /* of the descriptor */
	bool ended; /* the last read gave nothing: all of it is kept, or was handed on */
};

struct source_pipe *source_pipe_new(int fd, bool (*interrupted)(void))
{
	struct source_pipe *p = mr_calloc(1, sizeof(*p));
	p->fd = fd;
	p->interrupted = interrupted;
	buf_init(&p->kept, SOURCE_PIPE_KEPT_BYTES);
	return p;
}

void source_pipe_free(struct source_pipe **p)
{
	if (!*p)
		return;
	buf_release(&(*p)->kept);
	free(*p);
	*p = NULL;
}

static int wait_for_bytes(struct source_pipe *p, int (*keep_alive)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	for (;;) {
		struct pollfd f = { .fd = p->fd, .events = POLLIN };
		int n = poll(&f, 1, WAIT_MS);
		if (n < 0 && errno != EINTR)
			return err_errno(e, errno, "wait for the input");
		if (p->interrupted && p->interrupted())
			return err_set(e, ERR_CANCELED, "interrupted");
		int r = n <= 0 && keep_alive ? keep_alive(ctx, e) : 0;
		if (r < 0 || n > 0)
			return r;
	}
}

static int read_on(struct source_pipe *p, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	ssize_t n;
	do
		n = read(p->fd, buf, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(e, errno, "read the input");
	const size_t room = SOURCE_PIPE_KEPT_BYTES - p->kept.len, got = (size_t)n;
	if (p->position == p->kept.len && !buf_append(&p->kept, buf, got < room ? got : room))
		return err_set(e, ERR_UNAVAILABLE, "no memory for the beginning of the input");
	p->ended = n == 0;
	p->position += got;
	*ret_len = (uint32_t)n;
	return 0;
}

int source_pipe_fill(struct source_pipe *p, uint64_t *ret_bytes, struct err *e)
{
	_cleanup_free_ char *block = mr_calloc(1, BLOCK_BYTES);
	while (!p->ended && p->kept.len < SOURCE_PIPE_KEPT_BYTES) {
		const size_t room = SOURCE_PIPE_KEPT_BYTES - p->kept.len;
		uint32_t got;
		int r = wait_for_bytes(p, NULL, NULL, e);
		if (r == 0)
			r = read_on(p, block, room < BLOCK_BYTES ? (uint32_t)room : BLOCK_BYTES, &got, e);
		if (r < 0)
			return r;
	}
	*ret_bytes = p->ended && p->position == p->kept.len ? p->position : TASK_INPUT_FORWARD;
	return 0;
}

int source_pipe_read(struct source_pipe *p, bool probing, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		     int (*keep_alive)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	if (offset < p->kept.len) {
		const size_t there = p->kept.len - (size_t)offset;
		*ret_len = there < len ? (uint32_t)there : len;
		memcpy(buf, p->kept.data + offset, *ret_len);
		return 0;
	}
	if (p->ended && offset >= p->position) {
		*ret_len = 0;
		return 0;
	}
	if (offset != p->position || (probing && offset >= SOURCE_PIPE_KEPT_BYTES))
		return err_set_code(e, ERR_MEDIA, "NOT_STREAMABLE",
				    "it can't be read once, forwards (its index is at its end, perhaps): give it as a file");
	int r = wait_for_bytes(p, keep_alive, ctx, e);
	return r < 0 ? r : read_on(p, buf, len, ret_len, e);
}
