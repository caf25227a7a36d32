/* Streamed puts. In every process that has an S3 store open; a put belongs to one thread at a time.
 *
 * Lifecycle:  collecting (in memory, nothing is sent) → finish: one PUT, which carries the SHA-256 as metadata
 *                      └ a part is full, or something is copied → uploading (multipart) → finish: complete; abort:
 * abort
 *
 * Memory: what is being filled and at most S3_PARTS_IN_FLIGHT parts beside it; of all puts of a store together
 * S3_PARTS_IN_FLIGHT_ALL, but for one each. Parts are 8 MiB, later ones of a very long upload more (s3_part_bytes).
 * What is sent is digested by MD5 as each part's check and by SHA-256 over the whole, so what was copied inside S3
 * leaves the latter unknown. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "net/digest.h"
#include "store/s3.h"

#define FIRST_BYTES (64u << 10)
#define COPY_BYTES (256u << 10)
#define PART_COPY_MAX (UINT64_C(1) << 30)
#define ONE_AT_A_TIME_BYTES (32u << 20)
#define PARTS_GROW_BY 64

struct s3_put {
	struct store_put base;
	struct store_s3 *store;
	char *key, *content_type;
	char *data; /* of the part that is being filled */
	size_t len, cap;
	uint64_t size;
	struct sha256_stream *sum; /* NULL: something was copied */
	bool uploading;
	char id[STORE_UPLOAD_ID_SIZE];
	struct store_part *parts; /* those that were begun; in order */
	size_t count, parts_cap;
	struct s3_part flying[S3_PARTS_IN_FLIGHT]; /* a ring: the oldest is at `oldest` */
	size_t oldest, flying_count;
};

int s3_put_begin(struct store *s, const char *key, const char *content_type, struct store_put **ret, struct err *e)
{
	if (strlen(s3_of(s)->config.prefix) + strlen(key) > STORE_KEY_MAX)
		return err_set_code(e, ERR_INVALID, "KEY_TOO_LONG",
				    "the key with the store's prefix is longer than 1024 bytes");
	struct s3_put *p = mr_calloc(1, sizeof(*p));
	p->base.ops = s->ops;
	p->store = s3_of(s);
	p->key = mr_strdup(key);
	p->content_type = mr_strdup(content_type);
	p->sum = sha256_stream_new();
	*ret = &p->base;
	return 0;
}

static void put_free(struct s3_put *p)
{
	sha256_stream_free(p->sum);
	free(p->key);
	free(p->content_type);
	s3_buffer_free(p->data, p->cap);
	free(p->parts);
	free(p);
}

/* ---- parts under way ---- */

static void count_flying(struct store_s3 *s, int by)
{
	(void)pthread_mutex_lock(&s->lock);
	s->parts_in_flight += (uint32_t)by;
	(void)pthread_mutex_unlock(&s->lock);
}

static bool all_are_flying(struct store_s3 *s)
{
	(void)pthread_mutex_lock(&s->lock);
	bool all = s->parts_in_flight >= S3_PARTS_IN_FLIGHT_ALL;
	(void)pthread_mutex_unlock(&s->lock);
	return all;
}

/* Waits for the oldest. */
static int land(struct s3_put *p, struct err *e)
{
	struct s3_part *part = &p->flying[p->oldest];
	uint32_t number = part->found.number;
	p->oldest = (p->oldest + 1) % S3_PARTS_IN_FLIGHT;
	p->flying_count--;
	int r = s3_part_finish(part, &p->parts[number - 1], e);
	count_flying(p->store, -1);
	return r;
}

static int land_all(struct s3_put *p, struct err *e)
{
	int r = 0;
	while (r == 0 && p->flying_count)
		r = land(p, e);
	return r;
}

static int ensure_upload(struct s3_put *p, struct err *e)
{
	if (p->uploading)
		return 0;
	int r = s3_upload_begin(&p->store->base, p->key, p->content_type, p->id, e);
	p->uploading = r == 0;
	return r;
}

/* Room for one more part: *ret_number is its. */
static int make_room(struct s3_put *p, size_t bytes, uint32_t *ret_number, struct s3_part **ret, struct err *e)
{
	int r = ensure_upload(p, e);
	if (r == 0 && p->count == STORE_PARTS_MAX)
		r = err_set_code(e, ERR_TOO_LARGE, "EntityTooLarge", "an object of more than %d parts",
				 STORE_PARTS_MAX);
	size_t most = bytes >= ONE_AT_A_TIME_BYTES ? 1 : S3_PARTS_IN_FLIGHT;
	while (r == 0 && p->flying_count && (p->flying_count >= most || all_are_flying(p->store)))
		r = land(p, e);
	if (r < 0)
		return r;
	if (p->count == p->parts_cap) {
		p->parts_cap += PARTS_GROW_BY;
		p->parts = mr_reallocarray(p->parts, p->parts_cap, sizeof(*p->parts));
	}
	*ret_number = (uint32_t)++p->count;
	*ret = &p->flying[(p->oldest + p->flying_count++) % S3_PARTS_IN_FLIGHT];
	count_flying(p->store, 1);
	return 0;
}

/* Sends what was collected. */
static int send_part(struct s3_put *p, struct err *e)
{
	struct s3_part *part;
	uint32_t number;
	int r = make_room(p, p->len, &number, &part, e);
	if (r < 0)
		return r;
	part->take_data = mr_steal(p->data);
	part->take_bytes = p->cap;
	s3_part_send(p->store, p->key, p->id, number, part->take_data, p->len, part);
	p->len = p->cap = 0;
	return 0;
}

/* ---- writing ---- */

static int grow(struct s3_put *p, size_t need, size_t most, struct err *e)
{
	size_t cap = p->cap ? p->cap : FIRST_BYTES;
	while (cap < need)
		cap *= 2;
	cap = cap < most ? cap : most;
	if (cap <= p->cap)
		return 0;
	char *grown = s3_buffer_resize(p->data, p->cap, cap);
	if (!grown)
		return err_set(e, ERR_UNAVAILABLE, "no memory to put %s", p->key);
	p->data = grown;
	p->cap = cap;
	return 0;
}

int s3_put_write(struct store_put *put, const void *data, size_t len, struct err *e)
{
	struct s3_put *p = (struct s3_put *)put;
	if (p->sum && len)
		sha256_stream_update(p->sum, data, len);
	for (size_t done = 0; done < len;) {
		size_t most = s3_part_bytes((uint32_t)p->count + 1);
		int r = p->len == most ? send_part(p, e) : 0;
		size_t n = most - p->len < len - done ? most - p->len : len - done;
		if (r == 0 && n)
			r = grow(p, p->len + n, most, e);
		if (r < 0)
			return s3_wrap(e, r, "put", p->key);
		if (p->data && n) {
			memcpy(p->data + p->len, (const char *)data + done, n);
			p->len += n;
			p->size += n;
			done += n;
		}
	}
	return 0;
}

/* `len` bytes of an object, through this process. */
static int pass_through(struct s3_put *p, struct s3_reader *from, uint64_t offset, uint64_t len, struct err *e)
{
	char *block = malloc(COPY_BYTES);
	if (!block)
		return err_set(e, ERR_UNAVAILABLE, "no memory to put %s", p->key);
	int r = 0;
	for (size_t got = 0; r == 0 && len; offset += got, len -= got) {
		size_t want = len < COPY_BYTES ? (size_t)len : COPY_BYTES;
		r = s3_reader_read(&from->base, offset, block, want, &got, e);
		if (r == 0 && got < want)
			r = err_set(e, ERR_IO, "%s is shorter than it was", from->key);
		if (r == 0)
			r = s3_put_write(&p->base, block, got, e);
	}
	free(block);
	return r;
}

int s3_put_append(struct store_put *put, struct store_reader *from, struct err *e)
{
	struct s3_reader *r = (struct s3_reader *)from;
	return pass_through((struct s3_put *)put, r, 0, r->size, e);
}

/* Parts but the last have at least 5 MiB: what was collected is filled up to that, and what would be too small to be
 * copied goes through this process. */
int s3_put_copy(struct store_put *put, struct store_reader *reader, struct err *e)
{
	struct s3_put *p = (struct s3_put *)put;
	struct s3_reader *from = (struct s3_reader *)reader;
	uint64_t fill = p->len && p->len < STORE_PART_MIN_BYTES ? STORE_PART_MIN_BYTES - p->len : 0;
	if (from->store != p->store || from->size < fill + STORE_PART_MIN_BYTES)
		return pass_through(p, from, 0, from->size, e);
	sha256_stream_free(mr_steal(p->sum));
	int r = pass_through(p, from, 0, fill, e);
	if (r == 0 && p->len)
		r = send_part(p, e);
	for (uint64_t at = fill; r == 0 && at < from->size;) {
		struct s3_part *part;
		uint32_t number;
		uint64_t n = from->size - at;
		if (n > PART_COPY_MAX) /* and what is left isn't too small either */
			n = n - PART_COPY_MAX < STORE_PART_MIN_BYTES ? n / 2 : PART_COPY_MAX;
		r = make_room(p, 0, &number, &part, e);
		if (r < 0)
			break;
		s3_part_copy(p->store, p->key, p->id, number, from, at, n, part);
		at += n;
		p->size += n;
	}
	return s3_wrap(e, r, "put", p->key);
}

/* ---- the end ---- */

struct single {
	char md5[S3_MD5_SIZE], md5_hex[33];
};

static int check_stored(void *ctx, const struct s3_answer *a, struct err *e)
{
	const struct single *s = ctx;
	if (!*a->info.etag)
		return err_set(e, ERR_UNAVAILABLE, "S3 gives no ETag");
	if (a->etag_is_opaque || strlen(a->info.etag) != strlen(s->md5_hex) ||
	    strcasecmp(a->info.etag, s->md5_hex) == 0)
		return 0;
	return err_set(e, ERR_UNAVAILABLE, "S3 has other bytes than were sent");
}

static int put_whole(struct s3_put *p, const char *sha256, struct store_info *ret, struct err *e)
{
	struct single single;
	uint8_t raw[16];
	s3_md5(p->len ? p->data : "", p->len, raw, single.md5);
	hex_encode(raw, sizeof(raw), single.md5_hex);
	struct s3_request q = { .method = "PUT",
				.key = p->key,
				.body = p->len ? p->data : "",
				.body_len = p->len,
				.sha256 = sha256,
				.check = check_stored,
				.ctx = &single };
	size_t n = s3_object_headers(p->store, p->content_type, q.headers);
	q.headers[n++] = (struct sigv4_pair) { "content-md5", single.md5 };
	q.headers[n] = (struct sigv4_pair) { "x-amz-meta-millrace-sha256", sha256 };
	struct s3_answer a;
	int r = s3_call(p->store, &q, &a, e);
	if (r < 0)
		return r;
	*ret = (struct store_info) { .size = p->size, .modified_ms = a.info.modified_ms };
	memcpy(ret->etag, a.info.etag, sizeof(ret->etag));
	s3_answer_release(&a);
	return 0;
}

static int put_parts(struct s3_put *p, struct store_info *ret, struct err *e)
{
	int r = p->len ? send_part(p, e) : 0;
	if (r == 0)
		r = land_all(p, e);
	if (r == 0)
		r = s3_upload_complete(&p->store->base, p->key, p->id, p->parts, p->count, ret, e);
	if (r == 0)
		p->uploading = false;
	return r;
}

int s3_put_finish(struct store_put *put, const char *expected, struct store_info *ret, struct err *e)
{
	struct s3_put *p = (struct s3_put *)put;
	struct store_info info = { 0 };
	uint8_t raw[SHA256_BYTES];
	char sha256[SHA256_HEX_SIZE] = "";
	assert(p->sum || !expected);
	if (p->sum) {
		sha256_stream_final(mr_steal(p->sum), raw);
		hex_encode(raw, sizeof(raw), sha256);
	}
	int r = 0;
	if (expected && strcasecmp(expected, sha256) != 0)
		r = err_set_code(e, ERR_INVALID, "CHECKSUM_MISMATCH", "put %s: the bytes have SHA-256 %s", p->key,
				 sha256);
	else
		r = s3_wrap(e, p->uploading ? put_parts(p, &info, e) : put_whole(p, sha256, &info, e), "put", p->key);
	if (r == 0 && ret) {
		memcpy(info.sha256, sha256, sizeof(sha256));
		(void)snprintf(info.content_type, sizeof(info.content_type), "%s", p->content_type);
		*ret = info;
	}
	s3_put_abort(put);
	return r;
}

void s3_put_abort(struct store_put *put)
{
	struct s3_put *p = (struct s3_put *)put;
	for (; p->flying_count; p->flying_count--, count_flying(p->store, -1)) {
		s3_part_drop(&p->flying[p->oldest]);
		p->oldest = (p->oldest + 1) % S3_PARTS_IN_FLIGHT;
	}
	/* What can't be aborted now is left to the sweep and the bucket's rules. */
	struct err ignored = { 0 };
	if (p->uploading && s3_upload_abort(&p->store->base, p->key, p->id, &ignored) < 0)
		p->uploading = false;
	put_free(p);
}
