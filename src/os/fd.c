/* Descriptors: whole reads and writes, small files, directories. Any process, any thread; blocking.
 *
 * Guarantees: EINTR never shows; a write to a closed socket is an error, never a signal. Does not time out: whoever needs a
 * deadline shuts the descriptor down. */
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

void fd_close(int *fd)
{
	if (*fd < 0)
		return;
	int saved = errno;
	(void)close(*fd); /* on Linux the descriptor is gone even after EINTR */
	*fd = -1;
	errno = saved;
}

int fd_read_full(int fd, void *buf, size_t len, struct err *e)
{
	size_t got = 0;
	while (got < len) {
		ssize_t n = read(fd, (char *)buf + got, len - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ECONNRESET)
			return err_set(e, ERR_LOST, "the peer is gone");
		if (n < 0)
			return err_errno(e, errno, "read");
		if (n == 0 && got == 0)
			return err_set(e, ERR_LOST, "the peer closed");
		if (n == 0)
			return err_set(e, ERR_IO, "end of file after %zu of %zu bytes", got, len);
		got += (size_t)n;
	}
	return 0;
}

/* MSG_NOSIGNAL spares sockets the SIGPIPE; what isn't a socket takes plain writes. */
static ssize_t write_some(int fd, const void *data, size_t len)
{
	ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
	if (n < 0 && errno == ENOTSOCK)
		n = write(fd, data, len);
	return n;
}

int fd_write_full(int fd, const void *buf, size_t len, struct err *e)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = write_some(fd, (const char *)buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return err_set(e, ERR_LOST, "the peer closed");
		if (n < 0)
			return err_errno(e, errno, "write");
		done += (size_t)n;
	}
	return 0;
}

int file_read_all(const char *path, size_t max, char **ret, size_t *ret_len, struct err *e)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	_cleanup_buf_ struct buf b;
	buf_init(&b, max);
	/* One byte beyond the maximum tells a full file from one that is too long; its size is not asked, /proc lies. */
	char chunk[4096];
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "read %s", path);
		if (n == 0)
			break;
		if (!buf_append(&b, chunk, (size_t)n))
			return err_set(e, ERR_TOO_LARGE, "%s: more than %zu bytes", path, max);
	}
	size_t len = b.len;
	*ret = buf_steal(&b);
	if (ret_len)
		*ret_len = len;
	return 0;
}

static int dir_make_one(const char *path, unsigned mode, struct err *e)
{
	if (mkdir(path, (mode_t)mode) == 0)
		return 0;
	int why = errno;
	struct stat st;
	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return 0;
		why = ENOTDIR;
	}
	return err_errno(e, why, "create directory %s", path);
}

int dir_make(const char *path, unsigned mode, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof(part))
		return err_set(e, ERR_INVALID, "a path of %zu bytes", len);
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (dir_make_one(part, mode, e) < 0)
			return -(int)(e ? e->kind : ERR_IO);
	}
	return 0;
}
