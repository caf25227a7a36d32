/* The parts of the S3 backend, and what they share. Private to store/s3*.c.
 *
 *   store.c ─► s3.c            the backend's table, open, stat, check
 *              s3_put.c        streamed puts: one PUT, or a multipart upload with parts under way beside what is
 * written s3_read.c       ranged GETs, pinned to the object that was opened s3_multipart.c  multipart uploads by hand,
 * what is left of them, copying inside the bucket s3_list.c       listing and deleting s3_url.c        pre-signed URLs
 *              s3_setup.c      the bucket itself, its CORS and lifecycle rules (s3_rules.c)
 *                   │
 *              s3_call.c       one request: signed, tried again, its answer told apart    s3_retry.c: when, purely
 *              s3_config.c     the store's URL    s3_xml.c: answers
 *                   │
 *              net/call.h      one thread with libcurl's multi interface, whose connections all requests share
 *
 * Everything in struct store_s3 is immutable after the open but for what the loop, the credentials and `lock` guard.
 */
#pragma once

#include <pthread.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/aws_credentials.h"
#include "net/call.h"
#include "net/sigv4.h"
#include "store/backend.h"

#define S3_PART_BYTES (8u << 20) /* of an upload's first parts, and what a put holds before it becomes an upload */
#define S3_PARTS_IN_FLIGHT 3     /* of one put, beside the one that is being filled */
#define S3_PARTS_IN_FLIGHT_ALL 8 /* of all puts: then each has one */
#define S3_TEXT_MAX (8u << 20)   /* an answer in XML: a thousand of the longest keys */
#define S3_PATIENCE_S 25         /* for one call of store.h's, all attempts together */
#define S3_STALL_S 8
#define S3_LONG_STALL 15 /* times as long where S3 itself copies or puts together before it answers */

/* ---- s3_config.c: what "s3://bucket/prefix?…" says; pure ---- */

struct s3_config {
	char *bucket;
	char *prefix;     /* "" or with a '/' at its end */
	char *base;       /* "http://127.0.0.1:9000" or "https://bucket.s3.eu-west-1.amazonaws.com" */
	const char *host; /* in `base`, as the Host header says it */
	char *root;       /* decoded path of the bucket: "" or "/bucket" */
	char *region;
	char *public_url;                              /* NULL: URLs are signed; no '/' at its end */
	char *acl, *sse, *sse_kms_key, *storage_class; /* NULL: not sent */
	bool sign_payload;
	uint32_t patience_s, stall_s;
	uint32_t stale_hours; /* no unfinished upload younger than that is swept */
};
/* `env` stands for getenv: AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL. ERR_INVALID says what
 * is wrong. */
int s3_config_parse(const char *url, const char *(*env)(const char *name), struct s3_config *ret,
		    struct err *e) MR_MUST_USE;
/* Fine with a zeroed one. */
void s3_config_release(struct s3_config *c);

/* ---- s3_xml.c: answers in XML; pure ---- */

/* Called at each element's end with its path ("ListBucketResult/Contents/Key") and its text, in the order of the
 * document; a negative return ends the reading. */
typedef int (*s3_xml_fn)(void *ctx, const char *path, const char *text, struct err *e);
/* ERR_PROTOCOL for what isn't well-formed UTF-8 XML without a document type, or is deeper or longer than any answer of
 * S3's. What it fails with may be retried: it is a damaged answer. */
int s3_xml_read(const char *text, size_t len, s3_xml_fn fn, void *ctx, struct err *e) MR_MUST_USE;

/* The text of each element with this path, from its first '<' to its last '>'. */
typedef int (*s3_xml_slice_fn)(void *ctx, const char *slice, size_t len, struct err *e);
int s3_xml_slices(const char *text, size_t len, const char *path, s3_xml_slice_fn fn, void *ctx, struct err *e) MR_MUST_USE;
void s3_xml_escape(struct buf *out, const char *s);

/* ---- s3_rules.c: a bucket's configuration that is a list of rules; pure ---- */

/* The rules that are wanted, each whole with its ID, which tells it from rules of others. */
struct s3_rules {
	const char *root; /* "LifecycleConfiguration" */
	const char *rule; /* "Rule" */
	char **wanted;
	size_t count;
};
void s3_rules_lifecycle(const char *prefix, const struct store_needs *needs, struct s3_rules *ret);
void s3_rules_cors(const char *prefix, const struct store_needs *needs, struct s3_rules *ret);
void s3_rules_release(struct s3_rules *r);
/* Appends the document that has what is wanted, first, and behind it what the bucket's document has of others (NULL: it
 * has none). *ret_same: that says as much already. *ret_others: how many rules are others'. */
int s3_rules_merge(const struct s3_rules *r, const char *current, size_t len, struct buf *out, bool *ret_same,
		   size_t *ret_others, struct err *e) MR_MUST_USE;

/* ---- s3_retry.c: what an answer means and when to try again; pure ---- */

enum s3_verdict {
	S3_DONE,
	S3_AGAIN,      /* the same may succeed: 5xx, SlowDown, a broken connection */
	S3_AGAIN_KEYS, /* with other credentials */
	S3_FINAL,
};
/* `code`: S3's own, "" where the answer has none. Sets *e for everything but S3_DONE. */
enum s3_verdict s3_verdict_of(int status, const char *code, const char *message, struct err *e);
/* The pause before the next attempt, `attempts` having failed; -1: there is none. `random` is in [0, 1). */
int64_t s3_retry_pause_ms(uint32_t attempts, int64_t elapsed_ms, int64_t patience_ms, int64_t retry_after_ms,
			  double random);
/* The ETag that S3 gives to what is put together of these parts; false where their ETags aren't digests. */
bool s3_multipart_etag(const struct store_part *parts, size_t count, char ret[STORE_ETAG_SIZE]);
/* Bytes of part `number` of an upload whose length isn't known: 10,000 of them are 520 GiB. */
size_t s3_part_bytes(uint32_t number);

/* ---- s3_call.c ---- */

struct store_s3 {
	struct store base; /* first: a struct store * is cast back */
	struct s3_config config;
	struct exchange_loop *loop;
	struct aws_credentials *credentials;
	pthread_mutex_t lock;
	uint32_t parts_in_flight; /* protected by lock */
};

static inline struct store_s3 *s3_of(struct store *s)
{
	return (struct store_s3 *)s;
}

struct s3_answer {
	int status;
	size_t got;           /* bytes in `into` */
	uint64_t total_bytes; /* of the object: Content-Range's, else Content-Length's */
	int64_t date_ms; /* when it was sent; 0: it doesn't say */
	bool has_range;
	bool etag_is_opaque;    /* encrypted by a key of KMS: no digest of the bytes */
	struct store_info info; /* what the headers say of the object */
	struct buf text;        /* the body, where it isn't in `into` */
};
void s3_answer_release(struct s3_answer *a);

#define S3_PAIRS_MAX 12
struct s3_request {
	const char *method;
	const char *key; /* NULL: the bucket's own */
	struct sigv4_pair query[S3_PAIRS_MAX],
		headers[S3_PAIRS_MAX]; /* beside those that every request has; NULL values aren't sent */
	const void *body;
	size_t body_len;
	const char *sha256; /* of the body, hex, where it is known already */
	void *into;
	size_t into_max;
	uint32_t stall_s;    /* 0: the store's */
	uint32_t patience_s; /* 0: the store's */
	bool once;           /* no second attempt */
	/* Looks at a 2xx answer; fails if it won't do: once more, if the error is retriable. May be NULL. */
	int (*check)(void *ctx, const struct s3_answer *a, struct err *e);
	void *ctx;
};
/* One request to its end. *ret is to be released after success only. */
int s3_call(struct store_s3 *s, const struct s3_request *q, struct s3_answer *ret, struct err *e) MR_MUST_USE;
/* The same in two steps: what `q` points to is borrowed until s3_finish, which has to be called. Further attempts are
 * made there. */
struct s3_flight;
struct s3_flight *s3_start(struct store_s3 *s, const struct s3_request *q) __attribute__((returns_nonnull));
int s3_finish(struct s3_flight *take_f, struct s3_answer *ret, struct err *e) MR_MUST_USE;
/* Waits for the attempt under way, whatever it comes to. */
void s3_drop(struct s3_flight *take_f);
/* Content-MD5's value. */
#define S3_MD5_SIZE 25
void s3_md5(const void *data, size_t len, uint8_t raw[16], char text[S3_MD5_SIZE]);
/* Says that the object is `name`d so in errors. */
int s3_wrap(struct err *e, int r, const char *doing, const char *key);

/* ---- s3_put.c ---- */
int s3_put_begin(struct store *s, const char *key, const char *content_type, struct store_put **ret,
		 struct err *e) MR_MUST_USE;
int s3_put_write(struct store_put *p, const void *data, size_t len, struct err *e) MR_MUST_USE;
int s3_put_append(struct store_put *p, struct store_reader *from, struct err *e) MR_MUST_USE;
int s3_put_copy(struct store_put *put, struct store_reader *reader, struct err *e) MR_MUST_USE;
int s3_put_finish(struct store_put *p, const char *expected_sha256, struct store_info *ret, struct err *e) MR_MUST_USE;
void s3_put_abort(struct store_put *p);

/* ---- s3_read.c ---- */
struct s3_reader {
	struct store_reader base;
	struct store_s3 *store;
	char *key, *etag;
	uint64_t size;
	/* The last window that was fetched. */
	char *window;
	uint64_t window_at;
	size_t window_len, window_cap;
};
int s3_stat(struct store *s, const char *key, struct store_info *ret, struct err *e) MR_MUST_USE;
int s3_check(struct store *s, struct err *e) MR_MUST_USE;
int s3_reader_open(struct store *s, const char *key, struct store_reader **ret, struct store_info *ret_info,
		   struct err *e) MR_MUST_USE;
int s3_reader_read(struct store_reader *r, uint64_t offset, void *buf, size_t len, size_t *ret_len,
		   struct err *e) MR_MUST_USE;
void s3_reader_close(struct store_reader *r);

/* ---- s3_multipart.c ---- */

/* Fills in the headers that a new object gets: its type and what the store's URL asks for. Returns how many. */
size_t s3_object_headers(const struct store_s3 *s, const char *content_type, struct sigv4_pair *headers);
int s3_upload_begin(struct store *s, const char *key, const char *content_type, char ret_id[STORE_UPLOAD_ID_SIZE],
		    struct err *e) MR_MUST_USE;
int s3_upload_put(struct store *s, const char *key, const char *id, uint32_t number, const void *data, size_t len,
		  struct store_part *ret, struct err *e) MR_MUST_USE;

/* Memory of whole parts, straight from the kernel and back: malloc would keep what is freed for each thread that wrote a part.
 * NULL: there is none, and the old one is as it was. `bytes` are multiples of 64 KiB. */
char *s3_buffer_resize(char *buffer, size_t bytes, size_t to_bytes) MR_MUST_USE;
/* NULL is fine. */
void s3_buffer_free(char *buffer, size_t bytes);

/* A part on its way: sent, or copied by S3 itself from an object of this store. Zeroed: none. */
struct s3_part {
	struct s3_flight *flight;
	char *take_data; /* freed at the end: a buffer of take_bytes */
	size_t take_bytes;
	char number[12], md5[S3_MD5_SIZE], md5_hex[33];
	char *source, *range, *match;
	struct store_part found;
};
/* `data` is borrowed until the end, unless it is part->take_data. Everything else that is pointed to, too. */
void s3_part_send(struct store_s3 *s, const char *key, const char *id, uint32_t number, const void *data, size_t len,
		  struct s3_part *part);
void s3_part_copy(struct store_s3 *s, const char *key, const char *id, uint32_t number, const struct s3_reader *from,
		  uint64_t offset, uint64_t len, struct s3_part *part);
/* Waits for it and fills in `ret`; the part is zeroed. */
int s3_part_finish(struct s3_part *part, struct store_part *ret, struct err *e) MR_MUST_USE;
void s3_part_drop(struct s3_part *part);
int s3_upload_list(struct store *s, const char *key, const char *id, struct store_part *parts, size_t max,
		   size_t *ret_count, struct err *e) MR_MUST_USE;
int s3_upload_complete(struct store *s, const char *key, const char *id, const struct store_part *parts, size_t count,
		       struct store_info *ret, struct err *e) MR_MUST_USE;
int s3_upload_abort(struct store *s, const char *key, const char *id, struct err *e) MR_MUST_USE;
int s3_sweep(struct store *s, int64_t age_ms, struct err *e) MR_MUST_USE;
/* ---- s3_list.c ---- */
int s3_list(struct store *s, const char *prefix, const char *after, size_t max, store_list_fn fn, void *ctx,
	    struct err *e) MR_MUST_USE;
int s3_delete(struct store *s, const char *key, struct err *e) MR_MUST_USE;
int s3_delete_prefix(struct store *s, const char *prefix, struct err *e) MR_MUST_USE;

/* ---- s3_url.c ---- */
int s3_url(struct store *s, const struct store_url *u, struct buf *out, struct err *e) MR_MUST_USE;
bool s3_origins(const struct store *s, struct buf *out) MR_MUST_USE;

/* ---- s3_setup.c ---- */
void s3_prepare(struct store *s, const struct store_needs *needs, bool change, store_need_fn fn, void *ctx);
int s3_clock(struct store *s, int64_t *ret_ms, struct err *e);

/* "2026-11-21T21:53:03.779Z" and "Sat, 21 Nov 2026 21:53:03 GMT" as Unix time; 0: neither. */
int64_t s3_time_parse(const char *text);
