/* The parts of the local folder backend, and what they share. Private to store/local*.c.
 *
 * On disk, below the root:
 *
 *   hls/u/j/v0/init.mp4            an object: its key is its path
 *   .millrace/tmp/{uuid}           a put under way (or what a killed one left): flock'ed by its writer while it lives
 *   .millrace/uploads/{uuid}/      a multipart upload: "upload" (key and content type), parts "00001"…, and "done" (the
 *                                  ETag) once it is completed; flock'ed while it is being completed or removed
 *
 * An object's metadata is atomic with its content, because both are in one inode that is renamed into place when it is
 * complete: one extended attribute, user.millrace, holds the SHA-256 and the content type (local_file.c). There are no
 * sidecar files. On a file system without extended attributes, or for files that somebody else put there, the ETag is
 * made from size, modification time and inode, the type from the extension, and the SHA-256 is unknown.
 *
 * Folders exist only as long as there is something in them: a put makes them, a delete prunes them, and a put whose
 * folder was pruned between its making and the rename makes it again.
 *
 * Lifecycle of an object's file:  temp file (invisible) → sealed (metadata set, fsync) → renamed onto its key (visible)
 * → folder fsync (durable) → replaced or unlinked; readers that have it open keep it.
 *
 * Everything here is immutable after the open or lives on its caller's stack; the file system does the locking.
 */
#pragma once

#include <dirent.h>

#include "base/id.h"
#include "net/digest.h"
#include "os/fd.h"
#include "store/backend.h"

#define LOCAL_FILE_MODE 0640
#define LOCAL_DIR_MODE 0750

struct store_local {
	struct store base;
	int root_fd;
	int tmp_fd;
	int uploads_fd;
	size_t name_max;  /* bytes in one part of a key */
	bool has_openat2; /* since Linux 5.6; sandboxes may refuse it */
	bool on_local_fs; /* where fstat(2) of an open file never waits */
	bool unsynced;	  /* also where it is scratch */
	bool scratch;	  /* put in one piece has no digest */
};

static inline struct store_local *local_of(struct store *s)
{
	return (struct store_local *)s;
}

/* Like err_errno, for errors of our own disk: what the kernel calls "permission denied" or "no such file" there is an
 * I/O error to the caller, not a 403 or 404. */
int local_errno(struct err *e, int errnum, const char *fmt, ...) MR_PRINTF(3, 4);

/* ---- local_path.c: keys to descriptors; nothing below follows a symbolic link or leaves the root ---- */

/* ERR_INVALID with code KEY_TOO_LONG if a part is longer than the file system's names can be. */
int local_check_names(const struct store_local *s, const char *key, struct err *e) MR_MUST_USE;
/* Opens a path below the root ("": the root itself). A descriptor, or -errno; a symbolic link is -ENOTDIR. */
int local_open(const struct store_local *s, const char *path, int flags) MR_MUST_USE;
/* Opens the folder of `key`, making missing ones (durably) if `make`. A descriptor, or -errno: -ENOENT when a folder
 * was pruned meanwhile, -ENOTDIR when a part of the key is an object. *ret_name points into key. */
int local_open_parent(const struct store_local *s, const char *key, bool make, const char **ret_name) MR_MUST_USE;
/* Removes the folders above `key` that have become empty. */
void local_prune(const struct store_local *s, const char *key);
/* Removes `path` if it is a folder with nothing but empty folders in it; true if it is gone. */
bool local_remove_empty(const struct store_local *s, const char *path);
/* Opens a folder below the root for reading its entries; NULL with errno. */
DIR *local_opendir(const struct store_local *s, const char *path);
/* The same for an open descriptor, which is taken in any case; -1 gives NULL with errno as it is. */
DIR *local_fdopendir(int take_fd);

/* ---- local_file.c: a file with its metadata, from temporary to visible ---- */

struct local_temp {
	int fd; /* -1: none */
	char name[UUID_SIZE];
	uint64_t size;
	struct sha256_stream *sum; /* NULL once sealed, or if nobody wants it */
};

/* Kept in the extended attribute. */
struct local_meta {
	uint16_t parts;               /* 0: put in one piece, and digest is the content's SHA-256 */
	uint8_t digest[SHA256_BYTES]; /* else the SHA-256 of the parts' ETags */
	const char *content_type;
};

/* fsync, unless the store is unsynced; 0 or -errno. */
int local_sync(const struct store_local *s, int fd) MR_MUST_USE;
int local_temp_open(const struct store_local *s, struct local_temp *ret, struct err *e) MR_MUST_USE;
int local_temp_write(struct local_temp *t, const void *data, size_t len, struct err *e) MR_MUST_USE;
/* Appends all of the file `from_fd`, inside the kernel where it can. */
int local_temp_copy(struct local_temp *t, int from_fd, struct err *e) MR_MUST_USE;
/* The SHA-256 of what was written; stops the running sum. */
void local_temp_digest(struct local_temp *t, uint8_t ret[SHA256_BYTES]);
/* Sets the metadata and makes file and metadata durable. (In a scratch store only what has a digest comes here.) */
int local_temp_seal(const struct store_local *s, struct local_temp *t, const struct local_meta *meta, struct err *e) MR_MUST_USE;
/* Renames a sealed file to `name` in the folder and makes that durable. 0 or -errno; the temp is gone on success. */
int local_temp_rename(const struct store_local *s, struct local_temp *t, int dir_fd, const char *name) MR_MUST_USE;
/* The same onto a key, making its folders. ERR_CONFLICT with code KEY_CONFLICT where a folder and an object meet. */
int local_temp_publish(const struct store_local *s, struct local_temp *t, const char *key, struct err *e) MR_MUST_USE;
/* Closes, and removes what was not renamed. */
void local_temp_release(const struct store_local *s, struct local_temp *t);

/* Facts about an open file; `key` gives the type where the file does not know it. -ENOENT if it is no regular file. */
int local_info(int fd, const char *key, struct store_info *ret) MR_MUST_USE;
/* Puts a short text under `name` into the folder, whole or not at all. */
int local_write_text(const struct store_local *s, int dir_fd, const char *name, const char *text,
		     struct err *e) MR_MUST_USE;
/* Reads such a text; 0 or -errno. */
int local_read_text(int dir_fd, const char *name, char *buf, size_t size) MR_MUST_USE;

/* ---- local_list.c ---- */

int local_list(struct store *s, const char *prefix, const char *after, size_t max, store_list_fn fn, void *ctx,
	       struct err *e) MR_MUST_USE;
/* All keys, without opening the objects: info is NULL. */
int local_list_names(struct store_local *s, const char *prefix, store_list_fn fn, void *ctx, struct err *e) MR_MUST_USE;

/* ---- local_multipart.c ---- */

int local_multipart_begin(struct store *s, const char *key, const char *content_type,
			  char ret_upload_id[STORE_UPLOAD_ID_SIZE], struct err *e) MR_MUST_USE;
int local_multipart_put(struct store *s, const char *key, const char *upload_id, uint32_t number, const void *data,
			size_t len, struct store_part *ret, struct err *e) MR_MUST_USE;
int local_multipart_list(struct store *s, const char *key, const char *upload_id, struct store_part *parts, size_t max,
			 size_t *ret_count, struct err *e) MR_MUST_USE;
int local_multipart_complete(struct store *s, const char *key, const char *upload_id, const struct store_part *parts,
			     size_t count, struct store_info *ret, struct err *e) MR_MUST_USE;
int local_multipart_abort(struct store *s, const char *key, const char *upload_id, struct err *e) MR_MUST_USE;

/* ---- local_sweep.c ---- */

int local_sweep(struct store *s, int64_t age_ms, struct err *e) MR_MUST_USE;
/* Takes the folder of an upload, which the caller has locked, out of sight and removes it. */
int local_upload_remove(const struct store_local *s, const char *upload_id, struct err *e);
/* flock that goes on after a signal; 0 or -errno. */
int local_lock(int fd, int operation) MR_MUST_USE;
