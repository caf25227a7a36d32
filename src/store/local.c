/* The local folder as an object store: open, put, read, delete. See local.h for what is on disk and why. Runs in the
 * front process and the worker, of which several may use one folder at once. Guarantees what store.h promises; does not
 * guarantee anything on a file system whose rename is not atomic.
 */
#include "store/local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/encode.h"

struct local_put {
	struct store_put base;
	const struct store_local *store;
	struct local_temp temp;
	char *key;
	char *content_type;
	struct err failure; /* the first failed write; finish repeats it */
};

struct local_reader {
	struct store_reader base;
	const struct store_local *store;
	int fd;
};

static void put_free(struct local_put *p)
{
	local_temp_release(p->store, &p->temp);
	free(p->key);
	free(p->content_type);
	free(p);
}

static int put_begin(struct store *store, const char *key, const char *content_type, struct store_put **ret,
		     struct err *e)
{
	struct store_local *s = local_of(store);
	if (local_check_names(s, key, e) < 0)
		return -ERR_INVALID;
	struct local_temp temp;
	int r = local_temp_open(s, &temp, e);
	if (r < 0)
		return r;
	struct local_put *p = mr_calloc(1, sizeof(*p));
	p->base.ops = store->ops;
	p->store = s;
	p->temp = temp;
	p->key = mr_strdup(key);
	p->content_type = mr_strdup(content_type);
	*ret = &p->base;
	return 0;
}

static int put_write(struct store_put *put, const void *data, size_t len, struct err *e)
{
	struct local_put *p = (struct local_put *)put;
	if (p->failure.kind)
		return err_copy(e, &p->failure);
	if (local_temp_write(&p->temp, data, len, &p->failure) < 0) {
		(void)err_wrap(&p->failure, "put %s", p->key);
		return err_copy(e, &p->failure);
	}
	return 0;
}

static int put_append(struct store_put *put, struct store_reader *from, struct err *e)
{
	struct local_put *p = (struct local_put *)put;
	const int fd = ((const struct local_reader *)from)->fd;
	if (p->failure.kind)
		return err_copy(e, &p->failure);
	if (lseek(fd, 0, SEEK_SET) < 0)
		(void)local_errno(&p->failure, errno, "append to %s", p->key);
	else if (local_temp_copy(&p->temp, fd, &p->failure) < 0)
		(void)err_wrap(&p->failure, "append to %s", p->key);
	return p->failure.kind ? err_copy(e, &p->failure) : 0;
}

static int check_sum(const uint8_t digest[SHA256_BYTES], const char *expected, struct err *e)
{
	uint8_t wanted[SHA256_BYTES];
	if (hex_decode(expected, strlen(expected), wanted, sizeof(wanted)) &&
	    digest_equal(digest, wanted, sizeof(wanted)))
		return 0;
	return err_set_code(e, ERR_INVALID, "CHECKSUM_MISMATCH",
			    "the bytes' SHA-256 is not the one that was announced");
}

static int put_store(struct local_put *p, const char *expected_sha256, struct store_info *ret_info, struct err *e)
{
	if (p->failure.kind)
		return err_copy(e, &p->failure);
	struct local_meta meta = { .content_type = p->content_type };
	int r = 0;
	if (p->temp.sum) {
		local_temp_digest(&p->temp, meta.digest);
		r = expected_sha256 ? check_sum(meta.digest, expected_sha256, e) : 0;
		if (r == 0)
			r = local_temp_seal(p->store, &p->temp, &meta, e);
	} else if (expected_sha256) {
		r = err_set(e, ERR_INTERNAL, "a scratch store compares no digests");
	}
	struct store_info info;
	if (r == 0 && local_info(p->temp.fd, p->key, &info) < 0)
		r = local_errno(e, errno, "stat");
	if (r == 0)
		r = local_temp_publish(p->store, &p->temp, p->key, e);
	if (r == 0 && ret_info)
		*ret_info = info;
	return r;
}

static int put_finish(struct store_put *put, const char *expected_sha256, struct store_info *ret_info, struct err *e)
{
	struct local_put *p = (struct local_put *)put;
	bool wrapped = p->failure.kind != ERR_OK;
	int r = put_store(p, expected_sha256, ret_info, e);
	if (r < 0 && !wrapped && e)
		(void)err_wrap(e, "put %s", p->key);
	put_free(p);
	return r;
}

static void put_abort(struct store_put *put)
{
	put_free((struct local_put *)put);
}

/* Opens an object for reading. O_NONBLOCK keeps a FIFO that somebody put there from hanging us. */
static int object_open(struct store_local *s, const char *key, struct store_info *ret_info, struct err *e)
{
	if (local_check_names(s, key, e) < 0)
		return -ERR_INVALID;
	_cleanup_fd_ int fd = local_open(s, key, O_RDONLY | O_NONBLOCK);
	int r = fd < 0 ? fd : local_info(fd, key, ret_info);
	if (r == -ENOENT || r == -ENOTDIR || r == -ENXIO)
		return err_set(e, ERR_NOT_FOUND, "there is no object %s", key);
	if (r < 0)
		return local_errno(e, -r, "open %s", key);
	return fd_steal(fd);
}

static int stat_key(struct store *store, const char *key, struct store_info *ret, struct err *e)
{
	_cleanup_fd_ int fd = object_open(local_of(store), key, ret, e);
	return fd < 0 ? fd : 0;
}

static int reader_open(struct store *store, const char *key, struct store_reader **ret, struct store_info *ret_info,
		       struct err *e)
{
	struct store_info info;
	int fd = object_open(local_of(store), key, &info, e);
	if (fd < 0)
		return fd;
	struct local_reader *r = mr_calloc(1, sizeof(*r));
	r->base.ops = store->ops;
	r->store = local_of(store);
	r->fd = fd;
	*ret = &r->base;
	if (ret_info)
		*ret_info = info;
	return 0;
}

static int reader_read(struct store_reader *reader, uint64_t offset, void *buf, size_t len, size_t *ret_len,
		       struct err *e)
{
	const struct local_reader *r = (const struct local_reader *)reader;
	size_t got = 0;
	/* pread refuses what would end behind the largest offset; no object reaches that far. */
	uint64_t most = offset < INT64_MAX ? INT64_MAX - offset : 0;
	if (len > most)
		len = (size_t)most;
	while (got < len) {
		ssize_t n = pread(r->fd, (char *)buf + got, len - got, (off_t)(offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return local_errno(e, errno, "read an object");
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_len = got;
	return 0;
}

static int reader_fd(const struct store_reader *reader)
{
	return ((const struct local_reader *)reader)->fd;
}

/* Replacing (by rename) and deleting take the inode's only name away, whichever process does it. Somebody who moves a
 * folder of the store by hand does not: nothing here would notice that. */
static bool reader_is_current(const struct store_reader *reader)
{
	const struct local_reader *r = (const struct local_reader *)reader;
	struct stat st;
	return r->store->on_local_fs && fstat(r->fd, &st) == 0 && st.st_nlink > 0;
}

static void reader_close(struct store_reader *reader)
{
	struct local_reader *r = (struct local_reader *)reader;
	fd_close(&r->fd);
	free(r);
}

static bool is_absent(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR || errnum == EISDIR;
}

static int delete_key(struct store *store, const char *key, struct err *e)
{
	struct store_local *s = local_of(store);
	if (local_check_names(s, key, e) < 0)
		return -ERR_INVALID;
	const char *name;
	_cleanup_fd_ int dir = local_open_parent(s, key, false, &name);
	if (dir < 0)
		return is_absent(-dir) ? 0 : local_errno(e, -dir, "delete %s", key);
	if (unlinkat(dir, name, 0) < 0)
		return is_absent(errno) ? 0 : local_errno(e, errno, "delete %s", key);
	/* An object whose record is gone must not come back after a crash; an empty folder may. */
	int synced = local_sync(s, dir);
	if (synced < 0)
		return local_errno(e, -synced, "delete %s", key);
	local_prune(s, key);
	return 0;
}

/* The folder that keys are being deleted from, one after the other. */
struct deletion {
	const struct store_local *store;
	int dir;
	char last[STORE_KEY_MAX + 1]; /* the last key deleted from it */
	struct err failure;
};

static bool same_folder(const char *a, const char *b)
{
	const char *slash = strrchr(a, '/');
	size_t len = slash ? (size_t)(slash - a) + 1 : 0;
	return strncmp(a, b, len) == 0 && !strchr(b + len, '/');
}

static void folder_done(struct deletion *d)
{
	if (d->dir < 0)
		return;
	int synced = local_sync(d->store, d->dir);
	if (synced < 0 && !d->failure.kind)
		(void)local_errno(&d->failure, -synced, "delete %s", d->last);
	fd_close(&d->dir);
	local_prune(d->store, d->last);
}

static bool delete_one(void *ctx, const char *key, const struct store_info *info)
{
	(void)info;
	struct deletion *d = ctx;
	if (d->dir >= 0 && !same_folder(d->last, key))
		folder_done(d);
	const char *name = strrchr(key, '/');
	name = name ? name + 1 : key;
	if (d->dir < 0)
		d->dir = local_open_parent(d->store, key, false, &name);
	int why = d->dir < 0 ? -d->dir : unlinkat(d->dir, name, 0) < 0 ? errno : 0;
	if (why && !is_absent(why))
		(void)local_errno(&d->failure, why, "delete %s", key);
	(void)snprintf(d->last, sizeof(d->last), "%s", key);
	return !d->failure.kind;
}

static int delete_prefix(struct store *store, const char *prefix, struct err *e)
{
	struct store_local *s = local_of(store);
	int r = delete_key(store, prefix, e);
	if (r < 0)
		return r;
	char below[STORE_KEY_MAX + 2];
	(void)snprintf(below, sizeof(below), "%s/", prefix);
	struct deletion d = { .store = s, .dir = -1 };
	r = local_list_names(s, below, delete_one, &d, e);
	folder_done(&d);
	if (r == 0 && d.failure.kind)
		r = err_copy(e, &d.failure);
	if (r == 0 && local_remove_empty(s, prefix))
		local_prune(s, prefix);
	return r;
}

static int check_local(struct store *store, struct err *e)
{
	struct local_temp t;
	int r = local_temp_open(local_of(store), &t, e);
	if (r == 0)
		local_temp_release(local_of(store), &t);
	return r;
}

static void close_local(struct store *store)
{
	struct store_local *s = local_of(store);
	fd_close(&s->uploads_fd);
	fd_close(&s->tmp_fd);
	fd_close(&s->root_fd);
	free(s);
}

static const struct store_backend local_backend = {
	.close = close_local,
	.check = check_local,
	.put_begin = put_begin,
	.put_write = put_write,
	.put_append = put_append,
	.put_copy = put_append,
	.put_finish = put_finish,
	.put_abort = put_abort,
	.stat = stat_key,
	.reader_open = reader_open,
	.reader_read = reader_read,
	.reader_fd = reader_fd,
	.reader_is_current = reader_is_current,
	.reader_close = reader_close,
	.delete_key = delete_key,
	.delete_prefix = delete_prefix,
	.list = local_list,
	.multipart_begin = local_multipart_begin,
	.multipart_put = local_multipart_put,
	.multipart_list = local_multipart_list,
	.multipart_complete = local_multipart_complete,
	.multipart_abort = local_multipart_abort,
	.sweep = local_sweep,
};

static int open_folder(int at, const char *name, int *ret_fd, struct err *e)
{
	if (at != AT_FDCWD && mkdirat(at, name, LOCAL_DIR_MODE) < 0 && errno != EEXIST)
		return err_errno(e, errno, "make %s", name);
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (at == AT_FDCWD ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return err_errno(e, errno, "open %s", name);
	*ret_fd = fd;
	return 0;
}

static int open_folders(struct store_local *s, const char *root, struct err *e)
{
	_cleanup_fd_ int hidden = -1;
	int r = dir_make(root, LOCAL_DIR_MODE, e);
	if (r == 0)
		r = open_folder(AT_FDCWD, root, &s->root_fd, e);
	if (r == 0)
		r = open_folder(s->root_fd, STORE_RESERVED_PART, &hidden, e);
	if (r == 0)
		r = open_folder(hidden, "tmp", &s->tmp_fd, e);
	if (r == 0)
		r = open_folder(hidden, "uploads", &s->uploads_fd, e);
	int synced = r == 0 ? local_sync(s, hidden) : 0;
	if (r == 0 && synced == 0)
		synced = local_sync(s, s->root_fd);
	if (synced < 0)
		r = err_errno(e, -synced, "fsync %s", root);
	return r;
}

/* File systems whose inodes in use are in memory; a network's ask their server. An overlay's lower files keep their link
 * when they are deleted, so it is none of these. */
static bool is_local_fs(int fd)
{
	static const long local[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
				      TMPFS_MAGIC };
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < MR_ARRAY_SIZE(local); i++)
		if (fs.f_type == local[i])
			return true;
	return false;
}

int store_open_local(const struct store_local_opts *opts, struct store **ret, struct err *e)
{
	struct store_local *s = mr_calloc(1, sizeof(*s));
	s->base.ops = &local_backend;
	s->root_fd = s->tmp_fd = s->uploads_fd = -1;
	s->unsynced = opts->unsynced || opts->scratch;
	s->scratch = opts->scratch;
	int r = open_folders(s, opts->root, e);
	if (r < 0) {
		close_local(&s->base);
		return e ? err_wrap(e, "open the store %s", opts->root) : r;
	}
	long name_max = fpathconf(s->root_fd, _PC_NAME_MAX);
	s->name_max = name_max > 0 ? (size_t)name_max : NAME_MAX;
	s->on_local_fs = is_local_fs(s->root_fd);
	s->has_openat2 = true;
	int fd = local_open(s, STORE_RESERVED_PART, O_RDONLY | O_DIRECTORY);
	s->has_openat2 = fd >= 0;
	fd_close(&fd);
	*ret = &s->base;
	return 0;
}
