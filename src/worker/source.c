/* A task's input. */
#include "worker/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/fd.h"

static int open_file(struct source *s, const char *path, struct err *e)
{
	struct stat st;
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "%s is not a regular file", path);
	s->size_bytes = (uint64_t)st.st_size;
	s->fd = fd_steal(fd);
	return 0;
}

int source_open(struct source *s, struct store *store, struct source_pipe *pipe, const char *key, struct err *e)
{
	if (pipe && strcmp(key, "-") == 0) {
		s->pipe = pipe;
		return source_pipe_fill(pipe, &s->size_bytes, e);
	}
	if (!store)
		return open_file(s, key, e);
	struct store_info info;
	int r = store_reader_open(store, key, &s->reader, &info, e);
	if (r == -ERR_NOT_FOUND)
		return err_set_code(e, ERR_GONE, "SOURCE_GONE", "the source %s is not in the store any more", key);
	if (r < 0)
		return err_wrap(e, "open the source %s", key);
	s->size_bytes = info.size;
	return 0;
}

static int read_file(struct source *s, uint64_t offset, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	size_t got = 0;
	while (got < len) {
		ssize_t n = pread(s->fd, (char *)buf + got, len - got, (off_t)(offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "pread");
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_len = got;
	return 0;
}

static int read_object(void *ctx, uint64_t offset, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	return store_reader_read(((struct source *)ctx)->reader, offset, buf, len, ret_len, e);
}

void source_read_ahead(struct source *s)
{
	if (s->reader)
		s->ahead = read_ahead_new(read_object, s, s->size_bytes);
}

int source_read(struct source *s, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	size_t got;
	if (s->pipe)
		return source_pipe_read(s->pipe, s->probing, offset, buf, len, ret_len, s->keep_alive, s->ctx, e);
	int r;
	if (s->ahead)
		r = read_ahead_read(s->ahead, offset, buf, len, &got, e);
	else
		r = s->reader ? read_object(s, offset, buf, len, &got, e) : read_file(s, offset, buf, len, &got, e);
	if (r == -ERR_GONE) /* a bucket doesn't keep what is open, as a folder does */
		return err_set_code(e, ERR_GONE, "SOURCE_GONE", "the source was deleted or replaced while it was read");
	if (r < 0)
		return err_wrap(e, "read the source");
	*ret_len = (uint32_t)got;
	return 0;
}

void source_close(struct source *s)
{
	read_ahead_free(&s->ahead);
	if (s->reader)
		store_reader_close(mr_steal(s->reader));
	fd_close(&s->fd);
}
