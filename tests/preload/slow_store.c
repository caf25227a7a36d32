/* Makes a folder slow, as a network file system or a disk at its end is: LD_PRELOAD=slow_store.so.
 *
 *   SLOW_STORE_ROOT=/tmp/x/store SLOW_STORE_MS=200 LD_PRELOAD=…/slow_store.so build/millrace serve …
 *
 * Every call below that names or holds something under SLOW_STORE_ROOT sleeps SLOW_STORE_MS milliseconds first, on its own
 * thread and no other: open, openat, openat2 (by syscall(2)), read, pread, write, pwrite, sendfile, fsync, fdatasync,
 * linkat, rename, renameat, renameat2, unlinkat. A test that measures other requests meanwhile proves that no HTTP thread
 * waits for the store. As on a slow disk, what has been read or written is in the page cache: sending it by sendfile is quick.
 *
 * A path is judged as it is written (after the working directory, if relative: links in it are not followed), a descriptor
 * by what it has open. Variables that are missing or malformed switch it off. Under ASan set
 * ASAN_OPTIONS=verify_asan_link_order=0. Not for production.
 */
/* The names as the C library has them: not open as another name of open64, no checked variants in their place. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static char root[PATH_MAX];
static size_t root_len;
static struct timespec delay;

__attribute__((constructor)) static void setup(void)
{
	const char *folder = getenv("SLOW_STORE_ROOT");
	const char *text = getenv("SLOW_STORE_MS");
	char *end = NULL;
	long ms = text ? strtol(text, &end, 10) : 0;
	if (!folder || !text || end == text || *end || ms <= 0 || ms > 60000)
		return;
	if (!realpath(folder, root) && snprintf(root, sizeof(root), "%s", folder) >= (int)sizeof(root))
		return;
	delay = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	root_len = strlen(root);
}

static void wait_a_while(void)
{
	int saved = errno;
	struct timespec left = delay;
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	errno = saved;
}

static bool below(const char *path)
{
	return root_len && strncmp(path, root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == '\0');
}

static bool fd_below(int fd)
{
	char link[64], target[PATH_MAX];
	if (!root_len || fd < 0)
		return false;
	int saved = errno;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, target, sizeof(target) - 1);
	errno = saved;
	if (n < 0)
		return false;
	target[n] = '\0';
	return below(target);
}

static bool path_below(int dir, const char *path)
{
	char joined[PATH_MAX];
	if (!root_len || !path)
		return false;
	if (path[0] == '/')
		return below(path);
	if (dir != AT_FDCWD)
		return fd_below(dir);
	int saved = errno;
	bool known = getcwd(joined, sizeof(joined)) != NULL;
	errno = saved;
	size_t used = known ? strlen(joined) : 0;
	size_t room = sizeof(joined) - used;
	return known && snprintf(joined + used, room, "/%s", path) < (int)room && below(joined);
}

static void slow_path(int dir, const char *path)
{
	if (path_below(dir, path))
		wait_a_while();
}

static void slow_fd(int fd)
{
	if (fd_below(fd))
		wait_a_while();
}

/* ---- the page cache: up to which byte each file has been read or written ---- */

#define FILES_MAX 4096

static struct {
	dev_t dev;
	ino_t ino;
	off64_t cached;
} files[FILES_MAX];
static size_t file_count;
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;

/* The entry of a file, under the lock; NULL where the table is full. */
static off64_t *cached_of(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return NULL;
	for (size_t i = 0; i < file_count; i++)
		if (files[i].dev == st.st_dev && files[i].ino == st.st_ino)
			return &files[i].cached;
	if (file_count == FILES_MAX)
		return NULL;
	files[file_count].dev = st.st_dev;
	files[file_count].ino = st.st_ino;
	return &files[file_count++].cached;
}

/* `n` bytes at `at` have passed through memory; runs on from what is known. */
static void remember(int fd, off64_t at, ssize_t n)
{
	int saved = errno;
	if (n > 0 && fd_below(fd)) {
		pthread_mutex_lock(&files_lock);
		off64_t *cached = cached_of(fd);
		if (cached && at <= *cached && at + n > *cached)
			*cached = at + n;
		pthread_mutex_unlock(&files_lock);
	}
	errno = saved;
}

static void slow_unless_cached(int fd, off64_t end)
{
	int saved = errno;
	if (fd_below(fd)) {
		pthread_mutex_lock(&files_lock);
		off64_t *cached = cached_of(fd);
		bool quick = cached && end <= *cached;
		pthread_mutex_unlock(&files_lock);
		if (!quick)
			wait_a_while();
	}
	errno = saved;
}

/* The next definition of the function that is replaced; what dlsym answers is a function, which C can't cast from void *. */
#define NEXT(name)                                           \
	({                                                   \
		static __typeof__(&name) _next;              \
		if (!_next)                                  \
			*(void **)&_next = dlsym(RTLD_NEXT, #name); \
		_next;                                       \
	})

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? (mode_t)va_arg(ap, unsigned) : 0;
}

#define OPEN(name)                                        \
	EXPORT int name(const char *path, int flags, ...)       \
	{                                                       \
		va_list ap;                                     \
		va_start(ap, flags);                            \
		mode_t mode = mode_of(flags, ap);               \
		va_end(ap);                                     \
		slow_path(AT_FDCWD, path);                      \
		return NEXT(name)(path, flags, mode);           \
	}
#define OPENAT(name)                                      \
	EXPORT int name(int dir, const char *path, int flags, ...) \
	{                                                       \
		va_list ap;                                     \
		va_start(ap, flags);                            \
		mode_t mode = mode_of(flags, ap);               \
		va_end(ap);                                     \
		slow_path(dir, path);                           \
		return NEXT(name)(dir, path, flags, mode);      \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* What a fortified build calls instead (glibc, bits/fcntl2.h and bits/unistd.h). */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t size);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t at, size_t size);

#define OPEN_CHECKED(name)                              \
	EXPORT int name(const char *path, int flags)    \
	{                                               \
		slow_path(AT_FDCWD, path);              \
		return NEXT(name)(path, flags);         \
	}
#define OPENAT_CHECKED(name)                                    \
	EXPORT int name(int dir, const char *path, int flags)   \
	{                                                       \
		slow_path(dir, path);                           \
		return NEXT(name)(dir, path, flags);            \
	}
OPEN_CHECKED(__open_2)
OPEN_CHECKED(__open64_2)
OPENAT_CHECKED(__openat_2)
OPENAT_CHECKED(__openat64_2)

EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t size)
{
	slow_fd(fd);
	return NEXT(__read_chk)(fd, buf, n, size);
}

EXPORT ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t size)
{
	slow_fd(fd);
	ssize_t r = NEXT(__pread_chk)(fd, buf, n, at, size);
	remember(fd, at, r);
	return r;
}

EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t at, size_t size)
{
	slow_fd(fd);
	ssize_t r = NEXT(__pread64_chk)(fd, buf, n, at, size);
	remember(fd, at, r);
	return r;
}

EXPORT long syscall(long number, ...)
{
	long a[6];
	va_list ap;
	va_start(ap, number);
	for (size_t i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_openat2) {
		const char *path;
		memcpy(&path, &a[1], sizeof(path));
		slow_path((int)a[0], path);
	}
	return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
	slow_fd(fd);
	return NEXT(read)(fd, buf, n);
}

EXPORT ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
	slow_fd(fd);
	ssize_t r = NEXT(pread)(fd, buf, n, at);
	remember(fd, at, r);
	return r;
}

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
	slow_fd(fd);
	off64_t at = lseek64(fd, 0, SEEK_CUR);
	ssize_t r = NEXT(write)(fd, buf, n);
	if (at >= 0)
		remember(fd, at, r);
	return r;
}

EXPORT ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
	slow_fd(fd);
	ssize_t r = NEXT(pwrite)(fd, buf, n, at);
	remember(fd, at, r);
	return r;
}

EXPORT ssize_t pread64(int fd, void *buf, size_t n, off64_t at)
{
	slow_fd(fd);
	ssize_t r = NEXT(pread64)(fd, buf, n, at);
	remember(fd, at, r);
	return r;
}

EXPORT ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t at)
{
	slow_fd(fd);
	ssize_t r = NEXT(pwrite64)(fd, buf, n, at);
	remember(fd, at, r);
	return r;
}

EXPORT ssize_t sendfile(int out, int in, off_t *at, size_t n)
{
	slow_unless_cached(in, at ? *at + (off64_t)n : INT64_MAX);
	return NEXT(sendfile)(out, in, at, n);
}

EXPORT ssize_t sendfile64(int out, int in, off64_t *at, size_t n)
{
	slow_unless_cached(in, at ? *at + (off64_t)n : INT64_MAX);
	return NEXT(sendfile64)(out, in, at, n);
}

EXPORT int fsync(int fd)
{
	slow_fd(fd);
	return NEXT(fsync)(fd);
}

EXPORT int fdatasync(int fd)
{
	slow_fd(fd);
	return NEXT(fdatasync)(fd);
}

EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	slow_path(to_dir, to);
	return NEXT(linkat)(from_dir, from, to_dir, to, flags);
}

EXPORT int rename(const char *from, const char *to)
{
	slow_path(AT_FDCWD, to);
	return NEXT(rename)(from, to);
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	slow_path(to_dir, to);
	return NEXT(renameat)(from_dir, from, to_dir, to);
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	slow_path(to_dir, to);
	return NEXT(renameat2)(from_dir, from, to_dir, to, flags);
}

EXPORT int unlinkat(int dir, const char *path, int flags)
{
	slow_path(dir, path);
	return NEXT(unlinkat)(dir, path, flags);
}
