/* One file of the local folder, from temporary to visible, with its metadata. See local.h for the lifecycle.
 * Guarantees: a name shows the whole file with its metadata or what was there before, across a crash too; what fails
 * leaves nothing. The one exception: when the fsync of the folder fails after the rename, the put is reported as failed
 * and the object may be there all the same.
 *
 * The extended attribute user.millrace: one byte of version, 32 of digest, 2 of parts (big endian), the content type as
 * text. At most 64 bytes for the types we use, so that ext4 keeps it in a 256-byte inode and no object costs a block
 * more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/encode.h"
#include "store/local.h"

#define META_NAME "user.millrace"
#define META_VERSION 1
#define META_HEAD (1 + SHA256_BYTES + 2)
#define META_MAX (META_HEAD + sizeof(((struct store_info *)0)->content_type))
#define ETAG_DIGEST_BYTES 16
#define COPY_BYTES (256u << 10)
#define PUBLISH_TRIES 10000
/* Kept free for the database, which usually lives on the same disk: on a disk filled to the brim it could not even
 * record that something was deleted. */
#define RESERVE_BYTES (16u << 20)
#define RESERVE_SHARE 16 /* of the disk, where that is less */
#define RESERVE_LOOK_BYTES (64u << 10)

int local_errno(struct err *e, int errnum, const char *fmt, ...)
{
	char what[256];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	struct err mine = { 0 };
	(void)err_errno(&mine, errnum, "%s", what);
	if (mine.kind == ERR_NOT_FOUND || mine.kind == ERR_DENIED || mine.kind == ERR_CONFLICT ||
	    mine.kind == ERR_INTERNAL) {
		mine.kind = ERR_IO;
		mine.retriable = err_kind_retriable(ERR_IO);
	}
	return err_copy(e, &mine);
}

/* Opens and locks a new name. The lock says "somebody is writing this", so that a sweep of any age leaves it alone; it
 * is taken after the name exists, hence the second look: a sweep may have been in between. */
static int temp_create(const struct store_local *s, struct local_temp *t)
{
	for (;;) {
		uuid7_new(t->name);
		t->fd = openat(s->tmp_fd, t->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, LOCAL_FILE_MODE);
		if (t->fd < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		int locked = local_lock(t->fd, LOCK_EX | LOCK_NB);
		struct stat st;
		if (fstat(t->fd, &st) == 0 && st.st_nlink > 0 && locked != -EWOULDBLOCK)
			return 0;
		(void)unlinkat(s->tmp_fd, t->name, 0);
		fd_close(&t->fd);
	}
}

int local_sync(const struct store_local *s, int fd)
{
	while (!s->unsynced && fsync(fd) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int check_reserve(int fd, struct err *e)
{
	struct statvfs fs;
	if (fstatvfs(fd, &fs) < 0 || fs.f_blocks == 0)
		return 0; /* a file system that doesn't tell will say when it is full */
	uint64_t block = fs.f_frsize, share = fs.f_blocks * block / RESERVE_SHARE;
	uint64_t reserve = share < RESERVE_BYTES ? share : RESERVE_BYTES;
	return fs.f_bavail * block < reserve ? local_errno(e, ENOSPC, "write") : 0;
}

int local_temp_open(const struct store_local *s, struct local_temp *ret, struct err *e)
{
	struct local_temp t = { .fd = -1 };
	int r = check_reserve(s->tmp_fd, e);
	if (r < 0)
		return r;
	r = temp_create(s, &t);
	if (r < 0)
		return local_errno(e, -r, "make a temporary file");
	t.sum = s->scratch ? NULL : sha256_stream_new();
	*ret = t;
	return 0;
}

int local_temp_write(struct local_temp *t, const void *data, size_t len, struct err *e)
{
	const char *p = data;
	if (t->size / RESERVE_LOOK_BYTES != (t->size + len) / RESERVE_LOOK_BYTES) {
		int r = check_reserve(t->fd, e);
		if (r < 0)
			return r;
	}
	for (size_t left = len; left;) {
		ssize_t n = write(t->fd, p, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return local_errno(e, n < 0 ? errno : EIO, "write");
		p += n;
		left -= (size_t)n;
	}
	if (t->sum)
		sha256_stream_update(t->sum, data, len);
	t->size += len;
	return 0;
}

static int copy_by_hand(struct local_temp *t, int from_fd, struct err *e)
{
	_cleanup_free_ char *block = mr_calloc(1, COPY_BYTES);
	for (;;) {
		ssize_t n = read(from_fd, block, COPY_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return local_errno(e, errno, "read");
		if (n == 0)
			return 0;
		int r = local_temp_write(t, block, (size_t)n, e);
		if (r < 0)
			return r;
	}
}

int local_temp_copy(struct local_temp *t, int from_fd, struct err *e)
{
	while (!t->sum) {
		ssize_t n = copy_file_range(from_fd, NULL, t->fd, NULL, (size_t)1 << 30, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP &&
		    errno != EPERM)
			return local_errno(e, errno, "copy");
		/* At its end, or where the kernel has no way: reading on by hand finds out. */
		if (n <= 0)
			break;
		t->size += (uint64_t)n;
	}
	return copy_by_hand(t, from_fd, e);
}

void local_temp_digest(struct local_temp *t, uint8_t ret[SHA256_BYTES])
{
	sha256_stream_final(t->sum, ret);
	t->sum = NULL;
}

/* 0, or -errno where the disk is at fault; a file system that has no such attributes gets a time stamp of its own
 * instead, finer than the kernel's clock tick, for the derived ETag to tell two puts apart. */
static int set_meta(int fd, const struct local_meta *meta)
{
	uint8_t value[META_MAX];
	size_t type_len = strlen(meta->content_type);
	if (type_len > sizeof(value) - META_HEAD)
		return -EINVAL;
	value[0] = META_VERSION;
	memcpy(value + 1, meta->digest, SHA256_BYTES);
	value[1 + SHA256_BYTES] = (uint8_t)(meta->parts >> 8);
	value[2 + SHA256_BYTES] = (uint8_t)meta->parts;
	memcpy(value + META_HEAD, meta->content_type, type_len);
	if (fsetxattr(fd, META_NAME, value, META_HEAD + type_len, 0) == 0)
		return 0;
	if (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == ENOMEM)
		return -errno;
	struct timespec times[2];
	(void)clock_gettime(CLOCK_REALTIME, &times[0]);
	times[1] = times[0];
	return futimens(fd, times) < 0 ? -errno : 0;
}

int local_temp_seal(const struct store_local *s, struct local_temp *t, const struct local_meta *meta, struct err *e)
{
	int r = set_meta(t->fd, meta);
	if (r < 0)
		return local_errno(e, -r, "set the metadata");
	/* fsync, not fdatasync: the attribute has to be as durable as the bytes. */
	r = local_sync(s, t->fd);
	return r < 0 ? local_errno(e, -r, "fsync") : 0;
}

int local_temp_rename(const struct store_local *s, struct local_temp *t, int dir_fd, const char *name)
{
	if (renameat(s->tmp_fd, t->name, dir_fd, name) < 0)
		return -errno;
	t->name[0] = '\0';
	return local_sync(s, dir_fd);
}

static int key_conflict(struct err *e)
{
	return err_set_code(e, ERR_CONFLICT, "KEY_CONFLICT",
			    "an object and a folder of other objects cannot have one name in a local store");
}

int local_temp_publish(const struct store_local *s, struct local_temp *t, const char *key, struct err *e)
{
	int r = 0;
	/* Each further try means that somebody else pruned the folder in between, that is, got something done. */
	for (int i = 0; i < PUBLISH_TRIES; i++) {
		const char *name;
		_cleanup_fd_ int dir = local_open_parent(s, key, true, &name);
		r = dir < 0 ? dir : local_temp_rename(s, t, dir, name);
		if (r == 0)
			return 0;
		if (r == -EISDIR && local_remove_empty(s, key))
			continue;
		struct stat st;
		if (r != -ENOENT || fstatat(s->tmp_fd, t->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			break;
	}
	local_prune(s, key);
	if (r == -EISDIR || r == -ENOTDIR || r == -EEXIST || r == -ENOTEMPTY)
		return key_conflict(e);
	return local_errno(e, -r, "rename into place");
}

void local_temp_release(const struct store_local *s, struct local_temp *t)
{
	sha256_stream_free(t->sum);
	t->sum = NULL;
	if (t->fd < 0)
		return;
	if (t->name[0])
		(void)unlinkat(s->tmp_fd, t->name, 0);
	fd_close(&t->fd);
}

static bool info_from_meta(int fd, struct store_info *info)
{
	uint8_t value[META_MAX];
	ssize_t n = fgetxattr(fd, META_NAME, value, sizeof(value));
	size_t type_len = (size_t)n - META_HEAD;
	if (n < (ssize_t)META_HEAD || value[0] != META_VERSION || type_len >= sizeof(info->content_type))
		return false;
	unsigned parts = (unsigned)value[1 + SHA256_BYTES] << 8 | value[2 + SHA256_BYTES];
	hex_encode(value + 1, ETAG_DIGEST_BYTES, info->etag);
	if (parts)
		(void)snprintf(info->etag + 2 * ETAG_DIGEST_BYTES, sizeof(info->etag) - 2 * ETAG_DIGEST_BYTES, "-%u",
			       parts);
	else
		hex_encode(value + 1, SHA256_BYTES, info->sha256);
	memcpy(info->content_type, value + META_HEAD, type_len);
	return true;
}

int local_info(int fd, const char *key, struct store_info *ret)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOENT;
	struct store_info info;
	memset(&info, 0, sizeof(info));
	info.size = (uint64_t)st.st_size;
	info.modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	if (!info_from_meta(fd, &info)) {
		int64_t mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
		(void)snprintf(info.etag, sizeof(info.etag), "%llx-%llx-%llx", (unsigned long long)st.st_size,
			       (unsigned long long)mtime_ns, (unsigned long long)st.st_ino);
		(void)snprintf(info.content_type, sizeof(info.content_type), "%s", store_content_type(key));
	}
	*ret = info;
	return 0;
}

int local_write_text(const struct store_local *s, int dir_fd, const char *name, const char *text, struct err *e)
{
	struct local_temp t;
	int r = local_temp_open(s, &t, e);
	if (r < 0)
		return r;
	const struct local_meta meta = { .content_type = "text/plain" };
	r = local_temp_write(&t, text, strlen(text), e);
	if (r == 0)
		r = local_temp_seal(s, &t, &meta, e);
	if (r == 0) {
		r = local_temp_rename(s, &t, dir_fd, name);
		if (r < 0)
			r = local_errno(e, -r, "%s", name);
	}
	local_temp_release(s, &t);
	return r;
}

int local_read_text(int dir_fd, const char *name, char *buf, size_t size)
{
	_cleanup_fd_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t len = 0;
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return 0;
}
