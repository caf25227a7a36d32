/* Objects read by range. In every process that has an S3 store open; a reader belongs to one thread at a time.
 *
 * Opening fetches the object's beginning, which tells all that a HEAD would: what is small enough needs no second
 * request. Each read behind that names the ETag of the open, so it sees that object or fails with
 * ERR_GONE/OBJECT_REPLACED. Reads that follow on one another fetch windows that grow up to WINDOW_MAX; a read elsewhere
 * fetches little more than was asked for. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/s3.h"

#define WINDOW_FIRST (256u << 10)
#define WINDOW_ELSEWHERE (64u << 10)
#define WINDOW_MAX (1u << 20)
#define PROBE_KEY "system/readiness"

int s3_stat(struct store *s, const char *key, struct store_info *ret, struct err *e)
{
	const struct s3_request q = { .method = "HEAD", .key = key };
	struct s3_answer a;
	int r = s3_call(s3_of(s), &q, &a, e);
	if (r < 0)
		return s3_wrap(e, r, "stat", key);
	*ret = a.info;
	s3_answer_release(&a);
	return 0;
}

/* GET rather than HEAD, which couldn't tell a missing bucket from a missing object. */
int s3_check(struct store *s, struct err *e)
{
	const struct s3_request q = { .method = "GET", .key = PROBE_KEY, .once = true };
	struct s3_answer a;
	int r = s3_call(s3_of(s), &q, &a, e);
	if (r == 0)
		s3_answer_release(&a);
	if (r == -ERR_NOT_FOUND) {
		err_clear(e);
		return 0;
	}
	return r;
}

static int check_range(void *ctx, const struct s3_answer *a, struct err *e)
{
	const size_t *want = ctx;
	if (a->status == 206 && a->has_range && a->got <= *want && a->got <= a->total_bytes)
		return 0;
	return err_set(e, ERR_UNAVAILABLE, "S3 answers a range with %d and %zu bytes", a->status, a->got);
}

/* `len` bytes at `offset` into `to`. */
static int fetch(struct store_s3 *s, const char *key, const char *etag, uint64_t offset, char *to, size_t len,
		 struct s3_answer *ret, struct err *e)
{
	_cleanup_free_ char *range = mr_asprintf("bytes=%" PRIu64 "-%" PRIu64, offset, offset + len - 1);
	_cleanup_free_ char *match = etag ? mr_asprintf("\"%s\"", etag) : NULL;
	const struct s3_request q = { .method = "GET",
				      .key = key,
				      .headers = { { "range", range }, { "if-match", match } },
				      .into = to,
				      .into_max = len,
				      .check = check_range,
				      .ctx = &len };
	return s3_call(s, &q, ret, e);
}

int s3_reader_open(struct store *store, const char *key, struct store_reader **ret, struct store_info *ret_info,
		   struct err *e)
{
	struct store_s3 *s = s3_of(store);
	struct store_info info;
	struct s3_answer a = { 0 };
	_cleanup_free_ char *window = malloc(WINDOW_FIRST);
	if (!window)
		return err_set(e, ERR_UNAVAILABLE, "no memory to read %s", key);
	int r = fetch(s, key, NULL, 0, window, WINDOW_FIRST, &a, e);
	if (r == 0)
		info = a.info;
	else if (r == -ERR_RANGE) /* an empty object has no first byte */
		r = s3_stat(store, key, &info, e);
	if (r < 0)
		return s3_wrap(e, r, "open", key);
	s3_answer_release(&a);
	struct s3_reader *reader = mr_calloc(1, sizeof(*reader));
	reader->base.ops = store->ops;
	reader->store = s;
	reader->key = mr_strdup(key);
	reader->etag = mr_strdup(info.etag);
	reader->size = info.size;
	reader->window = mr_steal(window);
	reader->window_len = a.got;
	reader->window_cap = WINDOW_FIRST;
	*ret = &reader->base;
	if (ret_info)
		*ret_info = info;
	return 0;
}

/* All of `len` bytes, which the object has. */
static int fetch_all(const struct s3_reader *r, uint64_t offset, char *to, size_t len, struct err *e)
{
	struct s3_answer a;
	int res = fetch(r->store, r->key, r->etag, offset, to, len, &a, e);
	if (res == -ERR_NOT_FOUND)
		res = err_set_code(e, ERR_GONE, "OBJECT_REPLACED", "the object was deleted while it was read");
	if (res < 0)
		return s3_wrap(e, res, "read", r->key);
	s3_answer_release(&a);
	return a.got == len ? 0 : err_set(e, ERR_IO, "read %s: %zu bytes of %zu", r->key, a.got, len);
}

static int fetch_window(struct s3_reader *r, uint64_t offset, size_t len, struct err *e)
{
	bool goes_on = offset == r->window_at + r->window_len;
	size_t want = goes_on ? 2 * r->window_cap : WINDOW_ELSEWHERE;
	want = want > len ? want : len;
	want = want < WINDOW_MAX ? want : WINDOW_MAX;
	if (want > r->window_cap) {
		char *grown = malloc(want);
		if (!grown)
			return err_set(e, ERR_UNAVAILABLE, "no memory to read %s", r->key);
		free(r->window);
		r->window = grown;
		r->window_cap = want;
	}
	want = want < r->size - offset ? want : (size_t)(r->size - offset);
	r->window_len = 0;
	int res = fetch_all(r, offset, r->window, want, e);
	if (res < 0)
		return res;
	r->window_at = offset;
	r->window_len = want;
	return 0;
}

int s3_reader_read(struct store_reader *reader, uint64_t offset, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	struct s3_reader *r = (struct s3_reader *)reader;
	size_t got = 0;
	uint64_t left = offset < r->size ? r->size - offset : 0;
	len = len < left ? len : (size_t)left;
	while (got < len) {
		uint64_t at = offset + got;
		if (at >= r->window_at && at < r->window_at + r->window_len) {
			size_t from = (size_t)(at - r->window_at), n = r->window_len - from;
			n = n < len - got ? n : len - got;
			memcpy((char *)buf + got, r->window + from, n);
			got += n;
			continue;
		}
		bool large = len - got >= WINDOW_MAX;
		int res =
			large ? fetch_all(r, at, (char *)buf + got, WINDOW_MAX, e) : fetch_window(r, at, len - got, e);
		if (res < 0)
			return res;
		got += large ? WINDOW_MAX : 0;
	}
	*ret_len = got;
	return 0;
}

void s3_reader_close(struct store_reader *reader)
{
	struct s3_reader *r = (struct s3_reader *)reader;
	free(r->key);
	free(r->etag);
	free(r->window);
	free(r);
}
