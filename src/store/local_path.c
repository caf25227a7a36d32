/* Keys to descriptors below the root. Guarantees: no path leaves the root and no symbolic link is followed, neither by
 * openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, nor by the fallback, which opens one part after the other with
 * O_NOFOLLOW; keys have no ".." in them (store.c), so both see the same. Does not need /proc.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/local.h"

#define PATH_SIZE 4096

int local_check_names(const struct store_local *s, const char *key, struct err *e)
{
	for (const char *p = key; *p;) {
		size_t len = strcspn(p, "/");
		if (len > s->name_max)
			return err_set_code(e, ERR_INVALID, "KEY_TOO_LONG",
					    "object key: a part of %zu bytes; %zu is the most here", len, s->name_max);
		p += len + (p[len] ? 1 : 0);
	}
	return 0;
}

/* What is no folder, whatever the kernel calls it. */
static int no_folder(int errnum)
{
	return errnum == ELOOP || errnum == EXDEV ? -ENOTDIR : -errnum;
}

static int open_with_openat2(int root_fd, const char *path, int flags)
{
	struct open_how how;
	memset(&how, 0, sizeof(how));
	how.flags = (uint64_t)(unsigned)flags | O_CLOEXEC;
	how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
	long fd;
	do
		fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? no_folder(errno) : (int)fd;
}

static int open_part(int dir_fd, const char *name, int flags)
{
	int fd;
	do
		fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? no_folder(errno) : fd;
}

/* Copies the next part of *path into `out` and steps over it. */
static bool next_part(const char **path, char *out, size_t out_size)
{
	size_t len = strcspn(*path, "/");
	if (len >= out_size)
		return false;
	memcpy(out, *path, len);
	out[len] = '\0';
	*path += len + ((*path)[len] ? 1 : 0);
	return true;
}

static int open_part_by_part(int root_fd, const char *path, int flags)
{
	_cleanup_fd_ int dir = -1;
	char part[PATH_SIZE];
	while (*path) {
		if (!next_part(&path, part, sizeof(part)))
			return -ENAMETOOLONG;
		int fd = open_part(dir < 0 ? root_fd : dir, part, *path ? O_PATH | O_DIRECTORY : flags);
		if (fd < 0)
			return fd;
		fd_close(&dir);
		dir = fd;
	}
	return fd_steal(dir);
}

int local_open(const struct store_local *s, const char *path, int flags)
{
	if (!*path)
		return open_part(s->root_fd, ".", flags);
	return s->has_openat2 ? open_with_openat2(s->root_fd, path, flags) : open_part_by_part(s->root_fd, path, flags);
}

/* Makes `name` in `dir_fd` if it is missing, durably, and opens it. */
static int make_folder(const struct store_local *s, int dir_fd, const char *name)
{
	if (mkdirat(dir_fd, name, LOCAL_DIR_MODE) == 0) {
		int r = local_sync(s, dir_fd);
		if (r < 0)
			return r;
	} else if (errno != EEXIST) {
		return -errno;
	}
	return open_part(dir_fd, name, O_RDONLY | O_DIRECTORY);
}

static int make_folders(const struct store_local *s, const char *path)
{
	_cleanup_fd_ int dir = local_open(s, "", O_RDONLY | O_DIRECTORY);
	char part[PATH_SIZE];
	while (dir >= 0 && *path) {
		if (!next_part(&path, part, sizeof(part)))
			return -ENAMETOOLONG;
		int fd = make_folder(s, dir, part);
		if (fd < 0)
			return fd;
		fd_close(&dir);
		dir = fd;
	}
	return fd_steal(dir);
}

/* The folder part of `path`, without its slash; "" at the top. Returns the name behind it. */
static const char *split(const char *path, char folder[PATH_SIZE])
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	assert(len < PATH_SIZE); /* keys are shorter, and so is what local_remove_empty puts together */
	memcpy(folder, path, len);
	folder[len] = '\0';
	return slash ? slash + 1 : path;
}

int local_open_parent(const struct store_local *s, const char *key, bool make, const char **ret_name)
{
	char folder[PATH_SIZE];
	const char *name = split(key, folder);
	int fd = local_open(s, folder, O_RDONLY | O_DIRECTORY);
	if (fd == -ENOENT && make)
		fd = make_folders(s, folder);
	if (fd >= 0)
		*ret_name = name;
	return fd;
}

/* rmdir of a path below the root; true if it is gone. */
static bool remove_folder(const struct store_local *s, const char *path)
{
	const char *name;
	_cleanup_fd_ int dir = local_open_parent(s, path, false, &name);
	if (dir < 0)
		return dir == -ENOENT;
	return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

void local_prune(const struct store_local *s, const char *key)
{
	char path[PATH_SIZE];
	(void)split(key, path);
	while (*path && remove_folder(s, path)) {
		char *slash = strrchr(path, '/');
		*(slash ? slash : path) = '\0';
	}
}

DIR *local_fdopendir(int take_fd)
{
	if (take_fd < 0)
		return NULL;
	DIR *dir = fdopendir(take_fd);
	if (!dir)
		fd_close(&take_fd);
	return dir;
}

DIR *local_opendir(const struct store_local *s, const char *path)
{
	int fd = local_open(s, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	return local_fdopendir(fd);
}

enum content { CONTENT_NONE, CONTENT_FOLDER, CONTENT_OTHER };

/* What is in a folder: nothing, or a folder (its name is appended to the path), or something else. */
static enum content look_into(const struct store_local *s, char path[PATH_SIZE])
{
	DIR *dir = local_opendir(s, path);
	if (!dir)
		return errno == ENOENT ? CONTENT_NONE : CONTENT_OTHER;
	enum content content = CONTENT_NONE;
	const struct dirent *d;
	while (content != CONTENT_OTHER && (d = readdir(dir))) {
		size_t path_len = strlen(path), name_len = strlen(d->d_name);
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (d->d_type != DT_DIR || path_len + name_len + 2 > PATH_SIZE) {
			content = CONTENT_OTHER;
		} else {
			path[path_len] = '/';
			memcpy(path + path_len + 1, d->d_name, name_len + 1);
			content = CONTENT_FOLDER;
			break;
		}
	}
	(void)closedir(dir);
	return content;
}

bool local_remove_empty(const struct store_local *s, const char *path)
{
	char at[PATH_SIZE];
	size_t top = strlen(path);
	if (!top || top >= sizeof(at))
		return false;
	memcpy(at, path, top + 1);
	/* Down into the first folder until there is none, then out of it and up again: one descriptor, no recursion. */
	for (;;) {
		enum content content = look_into(s, at);
		if (content == CONTENT_OTHER)
			return false;
		if (content == CONTENT_FOLDER)
			continue;
		if (!remove_folder(s, at))
			return false;
		if (strlen(at) <= top)
			return true;
		*strrchr(at, '/') = '\0';
	}
}
