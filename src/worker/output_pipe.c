/* Writing once, forwards: see output_pipe.h. */
#include "worker/output_pipe.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define WAIT_MS 250
#define BLOCK_BYTES (256u << 10)

struct output_pipe {
	int fd;
	bool (*interrupted)(void);
	size_t write_bytes; /* at once, so that no write waits where poll(2) said that there is room */
	struct err failure; /* the first */
};

struct output_pipe *output_pipe_new(int fd, bool (*interrupted)(void))
{
	struct output_pipe *p = mr_calloc(1, sizeof(*p));
	struct stat st;
	p->fd = fd;
	p->interrupted = interrupted;
	p->write_bytes = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? BLOCK_BYTES : PIPE_BUF;
	return p;
}

void output_pipe_free(struct output_pipe **p)
{
	free(*p);
	*p = NULL;
}

/* Whatever the reason is, what has been written can't be written again. */
static int fail(int errnum, const char *what, struct err *e)
{
	struct err why;
	(void)err_errno(&why, errnum, "%s", what);
	why.kind = ERR_IO;
	why.retriable = false;
	return err_copy(e, &why);
}

static int wait_for_room(struct output_pipe *p, int (*keep_alive)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	for (;;) {
		struct pollfd f = { .fd = p->fd, .events = POLLOUT };
		int n = poll(&f, 1, WAIT_MS);
		if (n < 0 && errno != EINTR)
			return fail(errno, "wait for the output's reader", e);
		if (p->interrupted && p->interrupted())
			return err_set(e, ERR_CANCELED, "interrupted");
		int r = n <= 0 ? keep_alive(ctx, e) : 0;
		if (r < 0 || n > 0)
			return r;
	}
}

static int write_block(struct output_pipe *p, const char *block, size_t len, int (*keep_alive)(void *ctx, struct err *e), void *ctx,
		       struct err *e)
{
	for (size_t done = 0; done < len;) {
		const size_t left = len - done;
		int r = wait_for_room(p, keep_alive, ctx, e);
		if (r < 0)
			return r;
		ssize_t n = write(p->fd, block + done, left < p->write_bytes ? left : p->write_bytes);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return fail(errno, "write the output", e);
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int write_chain(struct output_pipe *p, struct object_chain *chain, int (*keep_alive)(void *ctx, struct err *e), void *ctx,
		       struct err *e)
{
	_cleanup_free_ char *block = mr_calloc(1, BLOCK_BYTES);
	for (uint64_t at = 0; at < chain->size_bytes;) {
		uint32_t got;
		int r = object_chain_read(chain, at, block, BLOCK_BYTES, &got, e);
		if (r == 0)
			r = write_block(p, block, got, keep_alive, ctx, e);
		if (r < 0)
			return r;
		at += got;
	}
	return 0;
}

int output_pipe_write(struct output_pipe *p, struct object_chain *chain, int (*keep_alive)(void *ctx, struct err *e), void *ctx,
		      struct err *e)
{
	int r = p->failure.kind == ERR_OK ? write_chain(p, chain, keep_alive, ctx, &p->failure) : -(int)p->failure.kind;
	return r < 0 ? err_copy(e, &p->failure) : 0;
}
