/* Removing what nobody finished: temporary files and multipart uploads of killed processes and absent clients.
 * Guarantees: never touches an object, nor what somebody is working on, whatever its age (writers hold a lock on it).
 * Runs in the janitor; several may run at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/local.h"

#define REMOVE_TRIES 100

int local_lock(int fd, int operation)
{
	while (flock(fd, operation) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Removes a folder of files that is out of sight already. A part may still come in while its folder goes: look again.
 */
static int remove_flat(int at_fd, const char *name)
{
	for (int i = 0; i < REMOVE_TRIES; i++) {
		DIR *dir = local_fdopendir(openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		if (!dir)
			return errno == ENOENT ? 0 : -errno;
		const struct dirent *d;
		while ((d = readdir(dir)))
			if (!is_dot(d->d_name))
				(void)unlinkat(dirfd(dir), d->d_name, 0);
		(void)closedir(dir);
		if (unlinkat(at_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return -errno;
	}
	return -EBUSY;
}

int local_upload_remove(const struct store_local *s, const char *upload_id, struct err *e)
{
	/* First out of sight in one step: half an upload must not be found by anybody. */
	char name[UUID_SIZE];
	uuid7_new(name);
	if (renameat(s->uploads_fd, upload_id, s->tmp_fd, name) < 0)
		return errno == ENOENT ? 0 : local_errno(e, errno, "remove an upload");
	int r = local_sync(s, s->uploads_fd);
	if (r == 0)
		r = remove_flat(s->tmp_fd, name);
	return r < 0 ? local_errno(e, -r, "remove an upload") : 0;
}

/* Opens an entry that is older than `before_ms` and that nobody holds; -1 otherwise. The lock goes with the descriptor.
 */
static int claim(int at_fd, const char *name, int64_t before_ms, bool *ret_is_dir)
{
	_cleanup_fd_ int fd = openat(at_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 > before_ms)
		return -1;
	if (local_lock(fd, LOCK_EX | LOCK_NB) == -EWOULDBLOCK)
		return -1;
	*ret_is_dir = S_ISDIR(st.st_mode);
	return fd_steal(fd);
}

static int sweep_temp(const struct store_local *s, const char *name, int64_t before_ms, struct err *e)
{
	bool is_dir = false;
	_cleanup_fd_ int fd = claim(s->tmp_fd, name, before_ms, &is_dir);
	if (fd < 0)
		return 0;
	int r = is_dir ? remove_flat(s->tmp_fd, name) : unlinkat(s->tmp_fd, name, 0) < 0 ? -errno : 0;
	return r < 0 && r != -ENOENT ? local_errno(e, -r, "sweep") : 0;
}

/* An upload's age is that of its last part: each one touches the folder. */
static int sweep_upload(const struct store_local *s, const char *name, int64_t before_ms, struct err *e)
{
	bool is_dir = false;
	_cleanup_fd_ int fd = claim(s->uploads_fd, name, before_ms, &is_dir);
	return fd < 0 ? 0 : local_upload_remove(s, name, e);
}

static int sweep_folder(const struct store_local *s, int folder_fd, int64_t before_ms,
			int (*sweep_one)(const struct store_local *, const char *, int64_t, struct err *),
			struct err *e)
{
	DIR *dir = local_fdopendir(openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!dir)
		return local_errno(e, errno, "sweep");
	int r = 0;
	const struct dirent *d;
	while (r == 0 && (d = readdir(dir)))
		if (!is_dot(d->d_name))
			r = sweep_one(s, d->d_name, before_ms, e);
	(void)closedir(dir);
	return r;
}

int local_sweep(struct store *store, int64_t age_ms, struct err *e)
{
	const struct store_local *s = local_of(store);
	int64_t before_ms = clock_wall_ms() - age_ms;
	int r = sweep_folder(s, s->uploads_fd, before_ms, sweep_upload, e);
	return r < 0 ? r : sweep_folder(s, s->tmp_fd, before_ms, sweep_temp, e);
}
