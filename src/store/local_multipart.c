/* Multipart uploads in the local folder, with S3's rules: a folder per upload, a file per part (see local.h).
 * Guarantees: a part is there whole or not; completing is atomic, durable and idempotent: the object is made in a
 * temporary file beside the parts, which stay until "done" says that it is in place, so that a completion that was cut
 * off at any point can be repeated and gives the same object. Whoever completes or removes an upload holds a lock on
 * its folder, across processes. Does not guarantee: room. The parts and the object are there at once, unless the file
 * system shares their blocks.
 *
 * Lifecycle:  begin → part puts, in any order, again and again → complete → (sweep) or  → abort
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "store/local.h"

#define RECORD_NAME "upload"
#define DONE_NAME "done"
#define PART_NAME_SIZE 6 /* "00001" and NUL */

struct upload {
	int dir;
	char content_type[sizeof(((struct store_info *)0)->content_type)];
};

static void upload_close(struct upload *u)
{
	fd_close(&u->dir);
}

#define _cleanup_upload_ MR_CLEANUP(upload_close)

static int no_such_upload(struct err *e)
{
	return err_set_code(e, ERR_NOT_FOUND, "NoSuchUpload",
			    "the upload does not exist: the id may be wrong, or it was completed or aborted");
}

static void part_name(uint32_t number, char out[PART_NAME_SIZE])
{
	for (int i = PART_NAME_SIZE - 2; i >= 0; i--, number /= 10)
		out[i] = (char)('0' + number % 10);
	out[PART_NAME_SIZE - 1] = '\0';
}

/* Reads key and type from the record; false if it is not this key's upload. */
static bool record_read(struct upload *u, const char *key)
{
	char record[STORE_KEY_MAX + sizeof(u->content_type) + 2];
	if (local_read_text(u->dir, RECORD_NAME, record, sizeof(record)) < 0)
		return false;
	size_t key_len = strlen(key);
	if (strncmp(record, key, key_len) != 0 || record[key_len] != '\n')
		return false;
	(void)snprintf(u->content_type, sizeof(u->content_type), "%s", record + key_len + 1);
	return true;
}

static int upload_open(const struct store_local *s, const char *key, const char *upload_id, struct upload *ret,
		       struct err *e)
{
	struct upload u = { .dir = -1 };
	if (strlen(upload_id) != UUID_SIZE - 1 || !uuid_valid(upload_id))
		return no_such_upload(e);
	u.dir = openat(s->uploads_fd, upload_id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (u.dir < 0)
		return errno == ENOENT ? no_such_upload(e) : local_errno(e, errno, "open the upload of %s", key);
	if (!record_read(&u, key)) {
		upload_close(&u);
		return no_such_upload(e);
	}
	*ret = u;
	return 0;
}

static bool upload_is_done(const struct upload *u)
{
	return faccessat(u->dir, DONE_NAME, F_OK, 0) == 0;
}

/* As above, for those who want to work on the parts. */
static int upload_open_active(const struct store_local *s, const char *key, const char *upload_id, struct upload *ret,
			      struct err *e)
{
	struct upload u;
	int r = upload_open(s, key, upload_id, &u, e);
	if (r < 0)
		return r;
	if (upload_is_done(&u)) {
		upload_close(&u);
		return no_such_upload(e);
	}
	*ret = u;
	return 0;
}

static int upload_make(const struct store_local *s, const char *id, const char *record, struct err *e)
{
	if (mkdirat(s->uploads_fd, id, LOCAL_DIR_MODE) < 0)
		return local_errno(e, errno, "make a multipart upload");
	_cleanup_fd_ int dir = openat(s->uploads_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return local_errno(e, errno, "open a multipart upload");
	int r = local_write_text(s, dir, RECORD_NAME, record, e);
	int synced = r == 0 ? local_sync(s, s->uploads_fd) : 0;
	if (synced < 0)
		r = local_errno(e, -synced, "fsync the multipart uploads");
	return r;
}

int local_multipart_begin(struct store *store, const char *key, const char *content_type,
			  char ret_upload_id[STORE_UPLOAD_ID_SIZE], struct err *e)
{
	struct store_local *s = local_of(store);
	if (local_check_names(s, key, e) < 0)
		return -ERR_INVALID;
	char id[UUID_SIZE];
	uuid7_new(id);
	_cleanup_free_ char *record = mr_asprintf("%s\n%s", key, content_type);
	int r = upload_make(s, id, record, e);
	if (r == 0) {
		memcpy(ret_upload_id, id, sizeof(id));
		return 0;
	}
	/* What cannot be removed now is the sweep's. */
	(void)local_upload_remove(s, id, NULL);
	return e ? err_wrap(e, "%s", key) : r;
}

static int part_store(const struct store_local *s, struct local_temp *t, int dir, uint32_t number, const void *data,
		      size_t len, struct store_part *ret, struct err *e)
{
	struct local_meta meta = { .content_type = "" };
	struct store_info info;
	char name[PART_NAME_SIZE];
	part_name(number, name);
	int r = local_temp_write(t, data, len, e);
	if (r < 0)
		return r;
	local_temp_digest(t, meta.digest);
	r = local_temp_seal(s, t, &meta, e);
	if (r < 0)
		return r;
	r = local_info(t->fd, name, &info);
	if (r == 0)
		r = local_temp_rename(s, t, dir, name);
	if (r < 0)
		return r == -ENOENT ? no_such_upload(e) : local_errno(e, -r, "store part %u", number);
	*ret = (struct store_part) { .number = number, .size = info.size };
	memcpy(ret->etag, info.etag, sizeof(ret->etag));
	return 0;
}

int local_multipart_put(struct store *store, const char *key, const char *upload_id, uint32_t number, const void *data,
			size_t len, struct store_part *ret, struct err *e)
{
	struct store_local *s = local_of(store);
	_cleanup_upload_ struct upload u = { .dir = -1 };
	int r = upload_open_active(s, key, upload_id, &u, e);
	if (r < 0)
		return r;
	struct local_temp t;
	r = local_temp_open(s, &t, e);
	if (r == 0) {
		r = part_store(s, &t, u.dir, number, data, len, ret, e);
		local_temp_release(s, &t);
	}
	return r < 0 && e ? err_wrap(e, "put part %u of %s", number, key) : r;
}

/* Opens a part and tells about it; -ENOENT if there is none. */
static int part_open(int dir, uint32_t number, struct store_part *ret)
{
	char name[PART_NAME_SIZE];
	part_name(number, name);
	_cleanup_fd_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	struct store_info info;
	int r = local_info(fd, name, &info);
	if (r < 0)
		return r;
	*ret = (struct store_part) { .number = number, .size = info.size };
	memcpy(ret->etag, info.etag, sizeof(ret->etag));
	return fd_steal(fd);
}

/* Which parts are there, as bits: the kernel gives names in no order, and there are at most 10,000. */
static int parts_present(int dir_fd, uint8_t present[STORE_PARTS_MAX / 8 + 1])
{
	DIR *dir = local_fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!dir)
		return -errno;
	const struct dirent *d;
	memset(present, 0, STORE_PARTS_MAX / 8 + 1);
	errno = 0;
	while ((d = readdir(dir))) {
		uint32_t number = 0;
		if (strlen(d->d_name) != PART_NAME_SIZE - 1 || strspn(d->d_name, "0123456789") != PART_NAME_SIZE - 1)
			continue;
		for (size_t i = 0; i < PART_NAME_SIZE - 1; i++)
			number = number * 10 + (uint32_t)(d->d_name[i] - '0');
		if (number <= STORE_PARTS_MAX)
			present[number / 8] |= (uint8_t)(1 << number % 8);
		errno = 0;
	}
	int why = errno;
	(void)closedir(dir);
	return -why;
}

int local_multipart_list(struct store *store, const char *key, const char *upload_id, struct store_part *parts,
			 size_t max, size_t *ret_count, struct err *e)
{
	struct store_local *s = local_of(store);
	_cleanup_upload_ struct upload u = { .dir = -1 };
	int r = upload_open_active(s, key, upload_id, &u, e);
	if (r < 0)
		return r;
	uint8_t present[STORE_PARTS_MAX / 8 + 1];
	r = parts_present(u.dir, present);
	if (r < 0)
		return local_errno(e, -r, "list the parts of %s", key);
	size_t count = 0;
	for (uint32_t number = 1; number <= STORE_PARTS_MAX && count < max; number++) {
		if (!(present[number / 8] >> number % 8 & 1))
			continue;
		_cleanup_fd_ int fd = part_open(u.dir, number, &parts[count]);
		if (fd < 0 && fd != -ENOENT)
			return local_errno(e, -fd, "list the parts of %s", key);
		if (fd >= 0)
			count++;
	}
	*ret_count = count;
	return 0;
}

/* The part that the caller means, open: it is there, with that ETag, and large enough unless it is the last. */
static int part_check(const struct upload *u, const struct store_part *wanted, bool last, struct err *e)
{
	struct store_part found;
	_cleanup_fd_ int fd = part_open(u->dir, wanted->number, &found);
	if (fd < 0 && fd != -ENOENT)
		return local_errno(e, -fd, "open part %u", wanted->number);
	if (fd < 0 || strncmp(found.etag, wanted->etag, sizeof(found.etag)) != 0)
		return err_set_code(e, ERR_INVALID, "InvalidPart", "part %u is not there, or has another ETag",
				    wanted->number);
	if (!last && found.size < STORE_PART_MIN_BYTES)
		return err_set_code(e, ERR_INVALID, "EntityTooSmall",
				    "part %u has %llu bytes; all but the last need at least %u", wanted->number,
				    (unsigned long long)found.size, STORE_PART_MIN_BYTES);
	return fd_steal(fd);
}

static int parts_check(const struct upload *u, const struct store_part *parts, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		_cleanup_fd_ int fd = part_check(u, &parts[i], i + 1 == count, e);
		if (fd < 0)
			return fd;
	}
	return 0;
}

static int parts_join(const struct upload *u, struct local_temp *t, const struct store_part *parts, size_t count,
		      struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		/* Checked again: somebody may have sent a part anew since. */
		_cleanup_fd_ int fd = part_check(u, &parts[i], i + 1 == count, e);
		if (fd < 0)
			return fd;
		int r = local_temp_copy(t, fd, e);
		if (r < 0)
			return err_wrap(e, "part %u", parts[i].number);
	}
	return 0;
}

static void parts_digest(const struct store_part *parts, size_t count, uint8_t ret[SHA256_BYTES])
{
	struct sha256_stream *sum = sha256_stream_new();
	for (size_t i = 0; i < count; i++) {
		sha256_stream_update(sum, parts[i].etag, strnlen(parts[i].etag, sizeof(parts[i].etag)));
		sha256_stream_update(sum, "\n", 1);
	}
	sha256_stream_final(sum, ret);
}

static int object_make(const struct store_local *s, const struct upload *u, const char *key,
		       const struct local_meta *meta, const struct store_part *parts, size_t count,
		       struct store_info *ret, struct err *e)
{
	struct local_temp t;
	int r = local_temp_open(s, &t, e);
	if (r < 0)
		return r;
	/* The whole content's sum would cost reading it all; the ETag is made from the parts'. */
	sha256_stream_free(t.sum);
	t.sum = NULL;
	r = parts_join(u, &t, parts, count, e);
	if (r == 0)
		r = local_temp_seal(s, &t, meta, e);
	struct store_info info;
	if (r == 0 && local_info(t.fd, key, &info) < 0)
		r = local_errno(e, errno, "stat");
	if (r == 0)
		r = local_temp_publish(s, &t, key, e);
	if (r == 0)
		*ret = info;
	local_temp_release(s, &t);
	return r;
}

/* Best effort: what is left over is the sweep's. */
static void parts_remove(const struct upload *u)
{
	uint8_t present[STORE_PARTS_MAX / 8 + 1];
	if (parts_present(u->dir, present) < 0)
		return;
	for (uint32_t number = 1; number <= STORE_PARTS_MAX; number++) {
		char name[PART_NAME_SIZE];
		part_name(number, name);
		if (present[number / 8] >> number % 8 & 1)
			(void)unlinkat(u->dir, name, 0);
	}
}

static int complete_locked(struct store_local *s, const struct upload *u, const char *key,
			   const struct store_part *parts, size_t count, struct store_info *ret, struct err *e)
{
	struct local_meta meta = { .parts = (uint16_t)count, .content_type = u->content_type };
	parts_digest(parts, count, meta.digest);
	char wanted[SHA256_HEX_SIZE], done[SHA256_HEX_SIZE];
	hex_encode(meta.digest, sizeof(meta.digest), wanted);
	int r = local_read_text(u->dir, DONE_NAME, done, sizeof(done));
	if (r == 0 && strcmp(done, wanted) != 0)
		return err_set_code(e, ERR_INVALID, "InvalidPart", "the upload was completed with other parts");
	if (r == 0)
		return store_stat(&s->base, key, ret, e);
	if (r != -ENOENT)
		return local_errno(e, -r, "read the upload's state");

	struct store_info info;
	r = parts_check(u, parts, count, e);
	if (r == 0)
		r = object_make(s, u, key, &meta, parts, count, &info, e);
	if (r < 0)
		return r;
	/* The object is stored, whatever happens now; without the mark, the parts have to stay for a repetition. */
	if (local_write_text(s, u->dir, DONE_NAME, wanted, NULL) == 0)
		parts_remove(u);
	*ret = info;
	return 0;
}

int local_multipart_complete(struct store *store, const char *key, const char *upload_id,
			     const struct store_part *parts, size_t count, struct store_info *ret, struct err *e)
{
	struct store_local *s = local_of(store);
	_cleanup_upload_ struct upload u = { .dir = -1 };
	int r = upload_open(s, key, upload_id, &u, e);
	if (r < 0)
		return r;
	r = local_lock(u.dir, LOCK_EX);
	if (r < 0)
		return local_errno(e, -r, "lock the upload of %s", key);
	if (!record_read(&u, key))
		return no_such_upload(e); /* removed while we waited */
	struct store_info info;
	r = complete_locked(s, &u, key, parts, count, &info, e);
	if (r < 0)
		return e ? err_wrap(e, "complete %s", key) : r;
	if (ret)
		*ret = info;
	return 0;
}

int local_multipart_abort(struct store *store, const char *key, const char *upload_id, struct err *e)
{
	struct store_local *s = local_of(store);
	_cleanup_upload_ struct upload u = { .dir = -1 };
	int r = upload_open(s, key, upload_id, &u, e);
	if (r == -ERR_NOT_FOUND) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return r;
	r = local_lock(u.dir, LOCK_EX);
	if (r < 0)
		return local_errno(e, -r, "lock the upload of %s", key);
	return local_upload_remove(s, upload_id, e);
}
