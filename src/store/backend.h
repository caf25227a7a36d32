/* What a backend of the object store has to provide. Private to store/: callers see store.h alone, so that a backend
 * can be added without touching them.
 *
 *   struct store_local { struct store base; int root_fd; … };      // base first: a struct store * is cast back
 *   static const struct store_backend local_backend = { .put_begin = …, … };
 *
 * store.c has checked every argument before a backend sees it: the key's and prefix's form, the content type's (never
 * NULL), a part's number and size, and that the parts to complete rise and are 1–10000. A backend answers for
 * everything else that store.h promises. Backends' functions may be called from any thread at once; a put or reader by
 * one thread at a time.
 */
#pragma once

#include "store/store.h"

struct store_backend {
	void (*close)(struct store *s);
	int (*check)(struct store *s, struct err *e);

	int (*put_begin)(struct store *s, const char *key, const char *content_type, struct store_put **ret,
			 struct err *e);
	int (*put_write)(struct store_put *p, const void *data, size_t len, struct err *e);
	/* `from` is a reader of the same backend. */
	int (*put_append)(struct store_put *p, struct store_reader *from, struct err *e);
	int (*put_copy)(struct store_put *p, struct store_reader *from, struct err *e);
	/* Frees `p` in any case. */
	int (*put_finish)(struct store_put *p, const char *expected_sha256, struct store_info *ret_info, struct err *e);
	void (*put_abort)(struct store_put *p);

	int (*stat)(struct store *s, const char *key, struct store_info *ret, struct err *e);
	int (*reader_open)(struct store *s, const char *key, struct store_reader **ret, struct store_info *ret_info,
			   struct err *e);
	int (*reader_read)(struct store_reader *r, uint64_t offset, void *buf, size_t len, size_t *ret_len,
			   struct err *e);
	int (*reader_fd)(const struct store_reader *r);
	/* NULL: the backend can't tell without I/O. */
	bool (*reader_is_current)(const struct store_reader *r);
	void (*reader_close)(struct store_reader *r);

	int (*delete_key)(struct store *s, const char *key, struct err *e);
	/* `prefix` is a valid key, without a '/' at its end. */
	int (*delete_prefix)(struct store *s, const char *prefix, struct err *e);
	/* `prefix` and `after` are never NULL; max > 0. */
	int (*list)(struct store *s, const char *prefix, const char *after, size_t max, store_list_fn fn, void *ctx,
		    struct err *e);

	int (*multipart_begin)(struct store *s, const char *key, const char *content_type,
			       char ret_upload_id[STORE_UPLOAD_ID_SIZE], struct err *e);
	int (*multipart_put)(struct store *s, const char *key, const char *upload_id, uint32_t number, const void *data,
			     size_t len, struct store_part *ret, struct err *e);
	int (*multipart_list)(struct store *s, const char *key, const char *upload_id, struct store_part *parts,
			      size_t max, size_t *ret_count, struct err *e);
	int (*multipart_complete)(struct store *s, const char *key, const char *upload_id,
				  const struct store_part *parts, size_t count, struct store_info *ret, struct err *e);
	int (*multipart_abort)(struct store *s, const char *key, const char *upload_id, struct err *e);
	int (*sweep)(struct store *s, int64_t age_ms, struct err *e);

	/* Both NULL: clients can't reach the objects by themselves. */
	int (*url)(struct store *s, const struct store_url *u, struct buf *out, struct err *e);
	bool (*origins)(const struct store *s, struct buf *out);

	/* Both NULL: there is nothing to prepare, and no clock but this machine's. */
	void (*prepare)(struct store *s, const struct store_needs *needs, bool change, store_need_fn fn, void *ctx);
	int (*clock)(struct store *s, int64_t *ret_ms, struct err *e);
};

int store_open_s3(const char *url, struct store **ret, struct err *e) MR_MUST_USE;

/* The first member of each backend's own struct. */
struct store {
	const struct store_backend *ops;
};

struct store_put {
	const struct store_backend *ops;
	/* store.c's: */
	int64_t took_ns; /* within its calls, so far */
	char *what;	 /* its key */
};

struct store_reader {
	const struct store_backend *ops;
};
