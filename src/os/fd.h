/* Descriptors: cleanup, whole reads and writes. All descriptors that this project opens are CLOEXEC. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

/* Closes and sets -1; does nothing for -1. errno is kept. */
void fd_close(int *fd);
#define _cleanup_fd_ MR_CLEANUP(fd_close)
/* Takes the descriptor out of a cleanup variable. */
#define fd_steal(fd)            \
	({                      \
		int _fd = (fd); \
		(fd) = -1;      \
		_fd;            \
	})

/* Exactly `len` bytes; end of file before the first byte is -ERR_LOST, in the middle -ERR_IO. */
int fd_read_full(int fd, void *buf, size_t len, struct err *e) MR_MUST_USE;
/* All of it; a closed peer (EPIPE) is -ERR_LOST. Never raises SIGPIPE on sockets. */
int fd_write_full(int fd, const void *buf, size_t len, struct err *e) MR_MUST_USE;
/* A whole small file, at most `max` bytes, NUL-terminated; the caller frees. */
int file_read_all(const char *path, size_t max, char **ret, size_t *ret_len, struct err *e) MR_MUST_USE;
/* mkdir -p; existing directories are fine. */
int dir_make(const char *path, unsigned mode, struct err *e) MR_MUST_USE;
