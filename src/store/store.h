/* The object store: one interface over a local folder or a bucket of S3 (or of what speaks its protocol).
 *
 *   struct store *s;
 *   store_open("file:data/store", &s, e);
 *   store_put(s, "hls/u/j/v0/init.mp4", bytes, len, "video/mp4", &info, e);
 *
 * Guarantees: an object is visible whole or not at all; a put that failed leaves nothing; the last of two puts to a key
 * wins; what store_put or store_put_finish reported as stored survives a crash of the process and of the machine. Does
 * not guarantee: order between keys; that a list sees a put of the same millisecond on every backend.
 *
 * Keys: 1–1024 bytes of UTF-8, parts separated by single '/', no part empty, "." or "..", no control characters, not
 * beginning or ending with '/', and the first part is not ".millrace", where the local folder keeps what is under way.
 * A key that breaks this is ERR_INVALID and never reaches a backend. On a local folder a part is a file's name (at most
 * 255 bytes, else ERR_INVALID with code KEY_TOO_LONG), and "a" and "a/b" cannot both be objects: the later put is
 * ERR_CONFLICT with code KEY_CONFLICT. On S3 they can; portable code does without.
 *
 * Every call but store_reader_is_current may block on I/O: never call it on an HTTP thread. All calls may be used from
 * any thread at once; a put/reader/multipart handle belongs to one thread at a time. Memory per call is bounded and does
 * not depend on sizes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/digest.h"
#include "net/sigv4.h"

#define STORE_KEY_MAX 1024
#define STORE_RESERVED_PART ".millrace"
#define STORE_PART_MIN_BYTES (5u << 20) /* S3's rule: every part but the last */
#define STORE_PARTS_MAX 10000
#define STORE_ETAG_SIZE 80

struct store;

struct store_info {
	uint64_t size;
	int64_t modified_ms;
	char etag[STORE_ETAG_SIZE];   /* opaque, without quotes; changes whenever the bytes do */
	char sha256[SHA256_HEX_SIZE]; /* of the whole object; empty where the backend does not know it */
	char content_type[128];
};

struct store_local_opts {
	const char *root; /* made if it is not there */
	/* For what is begun anew if its process ends early: objects needn't survive a crash of the machine, nothing is synced. */
	bool unsynced;
	/* Unsynced, and those that are put in one piece have no SHA-256, so that none can be compared. */
	bool scratch;
};
int store_open_local(const struct store_local_opts *opts, struct store **ret, struct err *e) MR_MUST_USE;
/* "file:PATH", or "s3://BUCKET[/PREFIX][?endpoint=URL&region=…]" with the options of docs/OPERATIONS.md, values percent-encoded.
 * ERR_INVALID says what is wrong with it. Asks no network: a bucket that is away or not there is told by what is done with it. */
int store_open(const char *url, struct store **ret, struct err *e) MR_MUST_USE;
void store_close(struct store *s);

/* Whether the store answers and takes objects at this moment, in at most three seconds (all other calls go on trying for as long
 * as it may help). ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_NO_SPACE. */
int store_check(struct store *s, struct err *e) MR_MUST_USE;

int store_key_check(const char *key, struct err *e) MR_MUST_USE;

/* Whole small object from memory. ret_info may be NULL. */
int store_put(struct store *s, const char *key, const void *data, size_t len, const char *content_type,
	      struct store_info *ret_info, struct err *e) MR_MUST_USE;

/* Streamed put: begin → write… → finish or abort. expected_sha256 (hex) may be NULL; a mismatch is ERR_INVALID with
 * code CHECKSUM_MISMATCH and nothing is stored. Both finish and abort free the handle; finish frees it on failure too.
 */
struct store_put;
struct store_reader;
int store_put_begin(struct store *s, const char *key, const char *content_type, struct store_put **ret,
		    struct err *e) MR_MUST_USE;
int store_put_write(struct store_put *p, const void *data, size_t len, struct err *e) MR_MUST_USE;
/* All of an open object of the same store, inside the kernel where that is possible. */
int store_put_append(struct store_put *p, struct store_reader *from, struct err *e) MR_MUST_USE;
/* The same inside the store, too, where it can: the object's SHA-256 may then be unknown, and none can be expected. */
int store_put_copy(struct store_put *p, struct store_reader *from, struct err *e) MR_MUST_USE;
int store_put_finish(struct store_put *p, const char *expected_sha256, struct store_info *ret_info,
		     struct err *e) MR_MUST_USE;
void store_put_abort(struct store_put *p);

int store_stat(struct store *s, const char *key, struct store_info *ret, struct err *e) MR_MUST_USE;

/* An open object: reads see the bytes that were there at the open, whatever is put or deleted meanwhile, or fail with
 * ERR_GONE/OBJECT_REPLACED where the backend doesn't keep them. */
int store_reader_open(struct store *s, const char *key, struct store_reader **ret, struct store_info *ret_info,
		      struct err *e) MR_MUST_USE;
/* Up to `len` bytes at `offset`; *ret_len is short only at the end of the object (0 at or past it). */
int store_reader_read(struct store_reader *r, uint64_t offset, void *buf, size_t len, size_t *ret_len,
		      struct err *e) MR_MUST_USE;
/* A descriptor for sendfile(2), owned by the reader (dup it to keep it), or -1 where the backend has none. */
int store_reader_fd(const struct store_reader *r);
/* True if what the reader has open is the object that its key has at this moment. The one call that an HTTP thread may
 * make: it never blocks. False where the object was replaced or deleted, and wherever only I/O could tell. */
bool store_reader_is_current(const struct store_reader *r);
void store_reader_close(struct store_reader *r);

/* Deleting what is not there is no error. */
int store_delete(struct store *s, const char *key, struct err *e) MR_MUST_USE;
/* Everything below "prefix/" (or the key itself); idempotent. */
int store_delete_prefix(struct store *s, const char *prefix, struct err *e) MR_MUST_USE;

/* Keys with `prefix`, in byte order, after `after` (NULL: from the start), at most `max`; calls fn for each, which
 * returns false to stop. */
typedef bool (*store_list_fn)(void *ctx, const char *key, const struct store_info *info);
int store_list(struct store *s, const char *prefix, const char *after, size_t max, store_list_fn fn, void *ctx,
	       struct err *e) MR_MUST_USE;

/* Multipart upload with S3's limits. The upload id outlives the process: parts may be sent by several processes, again
 * (the last one counts), and in any order. */
#define STORE_UPLOAD_ID_SIZE 512
struct store_part {
	uint32_t number; /* 1–10000 */
	uint64_t size;
	char etag[STORE_ETAG_SIZE];
};
int store_multipart_begin(struct store *s, const char *key, const char *content_type,
			  char ret_upload_id[STORE_UPLOAD_ID_SIZE], struct err *e) MR_MUST_USE;
int store_multipart_put(struct store *s, const char *key, const char *upload_id, uint32_t number, const void *data,
			size_t len, struct store_part *ret, struct err *e) MR_MUST_USE;
int store_multipart_list(struct store *s, const char *key, const char *upload_id, struct store_part *parts, size_t max,
			 size_t *ret_count, struct err *e) MR_MUST_USE;
/* Idempotent: completing again what was completed answers with the object. */
int store_multipart_complete(struct store *s, const char *key, const char *upload_id, const struct store_part *parts,
			     size_t count, struct store_info *ret, struct err *e) MR_MUST_USE;
int store_multipart_abort(struct store *s, const char *key, const char *upload_id, struct err *e) MR_MUST_USE;
/* Removes what puts and multiparts that nobody finished left behind, older than `age_ms` (of a bucket: a day at least, because
 * nobody can tell there whether somebody is still at it). */
int store_sweep(struct store *s, int64_t age_ms, struct err *e) MR_MUST_USE;

/* Clients reach a bucket's objects by themselves, by URLs that are signed for a time (or the operator's public ones, which are
 * not); those of a folder only through the server. */
struct store_url {
	const char *method; /* "GET", "PUT" */
	const char *key;
	const struct sigv4_pair *extra; /* further query parameters, signed, too */
	size_t extra_count;
	int64_t signed_at_ms;
	uint32_t expires_s; /* from then on; 604800 at most, and no longer than the credentials last */
	uint64_t body_bytes; /* of a PUT: so long its body has to be; 0: any */
};
bool store_has_urls(const struct store *s);
/* Appends the URL. Asks no network but for credentials that expire. ERR_UNSUPPORTED where store_has_urls says no. */
int store_url(struct store *s, const struct store_url *u, struct buf *out, struct err *e) MR_MUST_USE;
/* Appends the origins of these URLs as a content security policy names them, with blanks between; false if there are none. */
bool store_origins(const struct store *s, struct buf *out) MR_MUST_USE;

/* ---- what a bucket needs beside objects: millrace setup, millrace doctor ---- */

struct store_lifetime {
	const char *folder; /* "parts": what lies below parts/ */
	uint32_t days;
};
struct store_needs {
	const struct store_lifetime *lifetimes;
	size_t lifetime_count;
	uint32_t multipart_days;    /* multipart uploads that nobody finishes */
	const char *const *origins; /* pages from there may read and put objects by their URLs; "*": any */
	size_t origin_count;
};
enum store_need_state { STORE_NEED_MET, STORE_NEED_MADE, STORE_NEED_CHANGED, STORE_NEED_MISSING, STORE_NEED_FAILED };
/* `what`: "bucket", "cors", "lifecycle"; `text` says what there is, or was made; `why` is set if it failed. */
typedef void (*store_need_fn)(void *ctx, const char *what, enum store_need_state state, const char *text, const struct err *why);
/* Sees to each, the later ones also where an earlier one failed, and tells of it. `change` false: only looks. Rules that
 * others gave the bucket stay; doing it again changes nothing. ERR_UNSUPPORTED where the store is no bucket: it needs nothing. */
int store_prepare(struct store *s, const struct store_needs *needs, bool change, store_need_fn fn, void *ctx,
		  struct err *e) MR_MUST_USE;
/* What time the store's server has, by its own word. ERR_UNSUPPORTED where the store is this machine's. */
int store_clock(struct store *s, int64_t *ret_ms, struct err *e) MR_MUST_USE;

/* Content types by a key's extension ("m4s" → "video/iso.segment"); never NULL. */
const char *store_content_type(const char *key);
