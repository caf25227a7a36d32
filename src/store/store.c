/* The object store's front: checks what callers hand in, once for every backend, and passes it on. Runs in the front
 * process and the worker. Guarantees: no malformed key, prefix, content type or part number reaches a backend, and S3's
 * limits hold on every backend. Stateless; any thread.
 */
#include "store/store.h"

#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/timed.h"
#include "store/backend.h"

#define PART_MAX_BYTES (UINT64_C(5) << 30) /* S3: "Amazon S3 multipart upload limits" */

/* Printable UTF-8: no C0 or C1 control character, no DEL. */
static bool text_ok(const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = utf8_sequence(s + i, len - i);
		uint8_t c = (uint8_t)s[i];
		if (!n || c < 0x20 || c == 0x7F || (c == 0xC2 && (uint8_t)s[i + 1] < 0xA0))
			return false;
		i += n;
	}
	return true;
}

static int bad_key(struct err *e, const char *why)
{
	return err_set_code(e, ERR_INVALID, "INVALID_KEY", "object key: %s", why);
}

/* `len` bytes of `key` as whole parts. */
static int check_parts(const char *key, size_t len, struct err *e)
{
	if (len > STORE_KEY_MAX)
		return bad_key(e, "longer than 1024 bytes");
	if (!text_ok(key, len))
		return bad_key(e, "not UTF-8, or with control characters");
	for (size_t at = 0; at <= len;) {
		const char *part = key + at;
		const char *slash = memchr(part, '/', len - at);
		size_t part_len = slash ? (size_t)(slash - part) : len - at;
		if (!part_len)
			return bad_key(e, "empty, or with an empty part (a '/' at an end, or two in a row)");
		if (part[0] == '.' && (part_len == 1 || (part_len == 2 && part[1] == '.')))
			return bad_key(e, "\".\" and \"..\" cannot be parts");
		if (at == 0 && part_len == strlen(STORE_RESERVED_PART) &&
		    memcmp(part, STORE_RESERVED_PART, part_len) == 0)
			return bad_key(e, "\"" STORE_RESERVED_PART "\" is reserved");
		at += part_len + 1;
	}
	return 0;
}

int store_key_check(const char *key, struct err *e)
{
	return check_parts(key, strnlen(key, STORE_KEY_MAX + 1), e);
}

/* A prefix is empty, or whole parts followed by '/' and the beginning of a part, which may be empty. */
static int check_prefix(const char *prefix, struct err *e)
{
	size_t len = strnlen(prefix, STORE_KEY_MAX + 1);
	if (len > STORE_KEY_MAX)
		return bad_key(e, "prefix longer than 1024 bytes");
	const char *slash = memrchr(prefix, '/', len);
	if (slash && check_parts(prefix, (size_t)(slash - prefix), e) < 0)
		return err_wrap(e, "prefix");
	const char *rest = slash ? slash + 1 : prefix;
	return text_ok(rest, strlen(rest)) ? 0 : bad_key(e, "prefix is not UTF-8, or has control characters");
}

/* NULL becomes the type of the key's extension. */
static int check_content_type(const char *key, const char **content_type, struct err *e)
{
	if (!*content_type)
		*content_type = store_content_type(key);
	size_t len = strlen(*content_type);
	bool ok = len > 0 && len < sizeof(((struct store_info *)0)->content_type);
	for (size_t i = 0; ok && i < len; i++)
		ok = (*content_type)[i] >= 0x20 && (*content_type)[i] < 0x7F;
	return ok ? 0
		  : err_set_code(e, ERR_INVALID, "INVALID_CONTENT_TYPE",
				 "content type: 1–127 printable ASCII characters");
}

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}

int store_open(const char *url, struct store **ret, struct err *e)
{
	if (strncmp(url, "file:", 5) == 0 && url[5])
		return store_open_local(&(struct store_local_opts){ .root = url + 5 }, ret, e);
	if (strncmp(url, "s3:", 3) == 0)
		return store_open_s3(url, ret, e);
	return err_set(e, ERR_INVALID, "the store's URL: expected file:PATH or s3://BUCKET[/PREFIX][?OPTIONS]");
}

/* ---- how long it takes ---- */

/* The rest of an operation that began then: counted, and its result passed on. */
static int timed(const char *operation, const char *what, int64_t began_ns, int result)
{
	timed_done(TIMED_STORE, operation, what, clock_mono_ns() - began_ns, result);
	return result;
}

static int timed_part(struct store_put *p, int64_t began_ns, int result)
{
	p->took_ns += clock_mono_ns() - began_ns;
	if (result < 0)
		timed_done(TIMED_STORE, "put", p->what, p->took_ns, result);
	return result;
}

/* ---- ---- */

int store_check(struct store *s, struct err *e)
{
	int64_t began = clock_mono_ns();
	return timed("check", NULL, began, s->ops->check(s, e));
}

int store_put(struct store *s, const char *key, const void *data, size_t len, const char *content_type,
	      struct store_info *ret_info, struct err *e)
{
	struct store_put *p;
	int r = store_put_begin(s, key, content_type, &p, e);
	if (r < 0)
		return r;
	r = store_put_write(p, data, len, e);
	if (r < 0) {
		store_put_abort(p);
		return r;
	}
	return store_put_finish(p, NULL, ret_info, e);
}

int store_put_begin(struct store *s, const char *key, const char *content_type, struct store_put **ret, struct err *e)
{
	int r = store_key_check(key, e);
	if (r == 0)
		r = check_content_type(key, &content_type, e);
	if (r < 0)
		return r;
	int64_t began = clock_mono_ns();
	struct store_put *p;
	r = s->ops->put_begin(s, key, content_type, &p, e);
	if (r < 0)
		return timed("put", key, began, r);
	p->took_ns = clock_mono_ns() - began;
	p->what = mr_strdup(key);
	*ret = p;
	return r;
}

int store_put_write(struct store_put *p, const void *data, size_t len, struct err *e)
{
	int64_t began = clock_mono_ns();
	return timed_part(p, began, p->ops->put_write(p, data, len, e));
}

int store_put_append(struct store_put *p, struct store_reader *from, struct err *e)
{
	int64_t began = clock_mono_ns();
	return timed_part(p, began, p->ops->put_append(p, from, e));
}

int store_put_copy(struct store_put *p, struct store_reader *from, struct err *e)
{
	int64_t began = clock_mono_ns();
	return timed_part(p, began, p->ops->put_copy(p, from, e));
}

int store_put_finish(struct store_put *p, const char *expected_sha256, struct store_info *ret_info, struct err *e)
{
	/* It is gone afterwards. */
	_cleanup_free_ char *what = mr_steal(p->what);
	int64_t began = clock_mono_ns() - p->took_ns;
	return timed("put", what, began, p->ops->put_finish(p, expected_sha256, ret_info, e));
}

void store_put_abort(struct store_put *p)
{
	if (!p)
		return;
	free(mr_steal(p->what));
	p->ops->put_abort(p);
}

int store_stat(struct store *s, const char *key, struct store_info *ret, struct err *e)
{
	int r = store_key_check(key, e);
	int64_t began = clock_mono_ns();
	return r < 0 ? r : timed("stat", key, began, s->ops->stat(s, key, ret, e));
}

int store_reader_open(struct store *s, const char *key, struct store_reader **ret, struct store_info *ret_info,
		      struct err *e)
{
	int r = store_key_check(key, e);
	int64_t began = clock_mono_ns();
	return r < 0 ? r : timed("open", key, began, s->ops->reader_open(s, key, ret, ret_info, e));
}

int store_reader_read(struct store_reader *r, uint64_t offset, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	int64_t began = clock_mono_ns();
	return timed("read", NULL, began, r->ops->reader_read(r, offset, buf, len, ret_len, e));
}

int store_reader_fd(const struct store_reader *r)
{
	return r->ops->reader_fd(r);
}

bool store_reader_is_current(const struct store_reader *r)
{
	return r->ops->reader_is_current && r->ops->reader_is_current(r);
}

void store_reader_close(struct store_reader *r)
{
	if (r)
		r->ops->reader_close(r);
}

int store_delete(struct store *s, const char *key, struct err *e)
{
	int r = store_key_check(key, e);
	int64_t began = clock_mono_ns();
	return r < 0 ? r : timed("delete", key, began, s->ops->delete_key(s, key, e));
}

int store_delete_prefix(struct store *s, const char *prefix, struct err *e)
{
	char plain[STORE_KEY_MAX + 2];
	size_t len = strnlen(prefix, sizeof(plain));
	if (len == sizeof(plain))
		return bad_key(e, "prefix longer than 1024 bytes");
	memcpy(plain, prefix, len);
	if (len > 1 && plain[len - 1] == '/')
		len--;
	plain[len] = '\0';
	int r = store_key_check(plain, e);
	if (r < 0)
		return err_wrap(e, "prefix");
	int64_t began = clock_mono_ns();
	return timed("delete_prefix", plain, began, s->ops->delete_prefix(s, plain, e));
}

int store_list(struct store *s, const char *prefix, const char *after, size_t max, store_list_fn fn, void *ctx,
	       struct err *e)
{
	prefix = prefix ? prefix : "";
	int r = check_prefix(prefix, e);
	if (r < 0 || max == 0)
		return r;
	int64_t began = clock_mono_ns();
	return timed("list", prefix, began, s->ops->list(s, prefix, after ? after : "", max, fn, ctx, e));
}

int store_multipart_begin(struct store *s, const char *key, const char *content_type,
			  char ret_upload_id[STORE_UPLOAD_ID_SIZE], struct err *e)
{
	int r = store_key_check(key, e);
	if (r == 0)
		r = check_content_type(key, &content_type, e);
	int64_t began = clock_mono_ns();
	return r < 0 ? r : timed("multipart_begin", key, began, s->ops->multipart_begin(s, key, content_type, ret_upload_id, e));
}

int store_multipart_put(struct store *s, const char *key, const char *upload_id, uint32_t number, const void *data,
			size_t len, struct store_part *ret, struct err *e)
{
	int r = store_key_check(key, e);
	if (r < 0)
		return r;
	if (number < 1 || number > STORE_PARTS_MAX)
		return err_set_code(e, ERR_INVALID, "InvalidArgument", "part number %u is not in 1–%d", number,
				    STORE_PARTS_MAX);
	if (len > PART_MAX_BYTES)
		return err_set_code(e, ERR_TOO_LARGE, "EntityTooLarge", "part %u is larger than 5 GiB", number);
	int64_t began = clock_mono_ns();
	return timed("multipart_put", key, began, s->ops->multipart_put(s, key, upload_id, number, data, len, ret, e));
}

int store_multipart_list(struct store *s, const char *key, const char *upload_id, struct store_part *parts, size_t max,
			 size_t *ret_count, struct err *e)
{
	int r = store_key_check(key, e);
	int64_t began = clock_mono_ns();
	return r < 0 ? r : timed("multipart_list", key, began, s->ops->multipart_list(s, key, upload_id, parts, max, ret_count, e));
}

int store_multipart_complete(struct store *s, const char *key, const char *upload_id, const struct store_part *parts,
			     size_t count, struct store_info *ret, struct err *e)
{
	int r = store_key_check(key, e);
	if (r < 0)
		return r;
	if (count < 1 || count > STORE_PARTS_MAX)
		return err_set_code(e, ERR_INVALID, "MalformedXML", "%zu parts to complete; 1–%d are allowed", count,
				    STORE_PARTS_MAX);
	for (size_t i = 0; i < count; i++) {
		if (parts[i].number < 1 || parts[i].number > STORE_PARTS_MAX)
			return err_set_code(e, ERR_INVALID, "InvalidPart", "part number %u is not in 1–%d",
					    parts[i].number, STORE_PARTS_MAX);
		if (i && parts[i].number <= parts[i - 1].number)
			return err_set_code(e, ERR_INVALID, "InvalidPartOrder", "part %u after part %u",
					    parts[i].number, parts[i - 1].number);
	}
	int64_t began = clock_mono_ns();
	return timed("multipart_complete", key, began, s->ops->multipart_complete(s, key, upload_id, parts, count, ret, e));
}

int store_multipart_abort(struct store *s, const char *key, const char *upload_id, struct err *e)
{
	int r = store_key_check(key, e);
	int64_t began = clock_mono_ns();
	return r < 0 ? r : timed("multipart_abort", key, began, s->ops->multipart_abort(s, key, upload_id, e));
}

int store_sweep(struct store *s, int64_t age_ms, struct err *e)
{
	if (age_ms < 0)
		return err_set(e, ERR_INVALID, "sweep: negative age");
	int64_t began = clock_mono_ns();
	return timed("sweep", NULL, began, s->ops->sweep(s, age_ms, e));
}

bool store_has_urls(const struct store *s)
{
	return s->ops->url != NULL;
}

int store_url(struct store *s, const struct store_url *u, struct buf *out, struct err *e)
{
	if (!s->ops->url)
		return err_set(e, ERR_UNSUPPORTED, "this store's objects have no URLs of their own");
	int r = store_key_check(u->key, e);
	return r < 0 ? r : s->ops->url(s, u, out, e);
}

bool store_origins(const struct store *s, struct buf *out)
{
	return s->ops->origins && s->ops->origins(s, out);
}

int store_prepare(struct store *s, const struct store_needs *needs, bool change, store_need_fn fn, void *ctx, struct err *e)
{
	if (!s->ops->prepare)
		return err_set(e, ERR_UNSUPPORTED, "a folder needs nothing but itself");
	s->ops->prepare(s, needs, change, fn, ctx);
	return 0;
}

int store_clock(struct store *s, int64_t *ret_ms, struct err *e)
{
	if (!s->ops->clock)
		return err_set(e, ERR_UNSUPPORTED, "the store has no clock of its own");
	return s->ops->clock(s, ret_ms, e);
}
