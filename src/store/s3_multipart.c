/* Multipart uploads. In every process that has an S3 store open; any thread.
 *
 * Guarantees: a part is what was sent (its digest goes with it, and its ETag is compared); what was completed is the
 * parts that were meant, whether or not the answer to that arrived. Source: "Uploading and copying objects using
 * multipart upload" (Amazon S3 User Guide). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/encode.h"
#include "store/s3.h"

#define MD5_BYTES 16
#define PART_TEXT_MAX 200u
#define COPY_SOURCE_MAX 4096
#define COMPLETE_FIRST_S 3 /* before it is asked whether the upload is there at all */
#define ABORT_PATIENCE_S 5 /* the sweep comes again */
#define HOUR_MS (3600 * INT64_C(1000))

size_t s3_object_headers(const struct store_s3 *s, const char *content_type, struct sigv4_pair *headers)
{
	const struct s3_config *c = &s->config;
	const struct sigv4_pair all[] = {
		{ "content-type", content_type },
		{ "x-amz-acl", c->acl },
		{ "x-amz-server-side-encryption", c->sse },
		{ "x-amz-server-side-encryption-aws-kms-key-id", c->sse_kms_key },
		{ "x-amz-storage-class", c->storage_class },
	};
	memcpy(headers, all, sizeof(all));
	return MR_ARRAY_SIZE(all);
}

static int no_such_upload(struct err *e)
{
	return err_set_code(e, ERR_NOT_FOUND, "NoSuchUpload", "there is no such upload");
}

static void copy_etag(char to[STORE_ETAG_SIZE], const char *text)
{
	size_t n = strlen(text);
	bool quoted = n >= 2 && text[0] == '"' && text[n - 1] == '"';
	(void)snprintf(to, STORE_ETAG_SIZE, "%.*s", (int)(quoted ? n - 2 : n), text + quoted);
}

/* ---- begin ---- */

static int on_begin_field(void *ctx, const char *path, const char *text, struct err *e)
{
	if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0)
		return 0;
	if (strlen(text) >= STORE_UPLOAD_ID_SIZE)
		return err_set(e, ERR_PROTOCOL, "an upload id of %zu characters", strlen(text));
	(void)snprintf(ctx, STORE_UPLOAD_ID_SIZE, "%s", text);
	return 0;
}

static int check_begin(void *ctx, const struct s3_answer *a, struct err *e)
{
	int r = s3_xml_read(a->text.data, a->text.len, on_begin_field, ctx, e);
	return r < 0 || *(char *)ctx ? r : err_set(e, ERR_UNAVAILABLE, "S3 gives no upload id");
}

int s3_upload_begin(struct store *store, const char *key, const char *content_type, char ret_id[STORE_UPLOAD_ID_SIZE],
		    struct err *e)
{
	struct store_s3 *s = s3_of(store);
	char id[STORE_UPLOAD_ID_SIZE] = "";
	struct s3_answer a;
	struct s3_request q = {
		.method = "POST", .key = key, .query = { { "uploads", "" } }, .check = check_begin, .ctx = id
	};
	(void)s3_object_headers(s, content_type, q.headers);
	int r = s3_call(s, &q, &a, e);
	if (r < 0)
		return s3_wrap(e, r, "begin the upload of", key);
	s3_answer_release(&a);
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

/* ---- parts ---- */

char *s3_buffer_resize(char *buffer, size_t bytes, size_t to_bytes)
{
	void *p = buffer ? mremap(buffer, bytes, to_bytes, MREMAP_MAYMOVE)
			 : mmap(NULL, to_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void s3_buffer_free(char *buffer, size_t bytes)
{
	if (buffer)
		(void)munmap(buffer, bytes);
}

static int check_sent(void *ctx, const struct s3_answer *a, struct err *e)
{
	struct s3_part *p = ctx;
	memcpy(p->found.etag, a->info.etag, sizeof(p->found.etag));
	if (a->etag_is_opaque || strlen(a->info.etag) != strlen(p->md5_hex) ||
	    strcasecmp(a->info.etag, p->md5_hex) == 0)
		return *a->info.etag ? 0 : err_set(e, ERR_UNAVAILABLE, "S3 gives no ETag");
	return err_set(e, ERR_UNAVAILABLE, "S3 has other bytes than were sent");
}

static int on_copy_field(void *ctx, const char *path, const char *text, struct err *e)
{
	struct s3_part *p = ctx;
	(void)e;
	if (strcmp(path, "CopyPartResult/ETag") == 0)
		copy_etag(p->found.etag, text);
	return 0;
}

static int check_copied(void *ctx, const struct s3_answer *a, struct err *e)
{
	struct s3_part *p = ctx;
	int r = s3_xml_read(a->text.data, a->text.len, on_copy_field, p, e);
	return r < 0 || *p->found.etag ? r : err_set(e, ERR_UNAVAILABLE, "S3 gives no ETag");
}

static struct s3_request part_request(const char *key, const char *id, uint32_t number, struct s3_part *part)
{
	part->found = (struct store_part) { .number = number };
	(void)snprintf(part->number, sizeof(part->number), "%u", number);
	return (struct s3_request) { .method = "PUT",
				     .key = key,
				     .query = { { "partNumber", part->number }, { "uploadId", id } },
				     .ctx = part };
}

void s3_part_send(struct store_s3 *s, const char *key, const char *id, uint32_t number, const void *data, size_t len,
		  struct s3_part *part)
{
	uint8_t raw[MD5_BYTES];
	struct s3_request q = part_request(key, id, number, part);
	s3_md5(len ? data : "", len, raw, part->md5);
	hex_encode(raw, sizeof(raw), part->md5_hex);
	part->found.size = len;
	q.headers[0] = (struct sigv4_pair) { "content-md5", part->md5 };
	q.body = data;
	q.body_len = len;
	q.check = check_sent;
	part->flight = s3_start(s, &q);
}

void s3_part_copy(struct store_s3 *s, const char *key, const char *id, uint32_t number, const struct s3_reader *from,
		  uint64_t offset, uint64_t len, struct s3_part *part)
{
	struct s3_request q = part_request(key, id, number, part);
	_cleanup_free_ char *plain = mr_asprintf("/%s/%s%s", s->config.bucket, s->config.prefix, from->key);
	_cleanup_buf_ struct buf source;
	buf_init(&source, COPY_SOURCE_MAX);
	uri_encode(&source, plain, strlen(plain), true);
	part->source = buf_steal(&source);
	part->range = mr_asprintf("bytes=%" PRIu64 "-%" PRIu64, offset, offset + len - 1);
	part->match = mr_asprintf("\"%s\"", from->etag);
	part->found.size = len;
	q.headers[0] = (struct sigv4_pair) { "x-amz-copy-source", part->source };
	q.headers[1] = (struct sigv4_pair) { "x-amz-copy-source-range", part->range };
	q.headers[2] = (struct sigv4_pair) { "x-amz-copy-source-if-match", part->match };
	q.stall_s = S3_LONG_STALL * s->config.stall_s;
	q.check = check_copied;
	part->flight = s3_start(s, &q);
}

static void part_release(struct s3_part *part)
{
	s3_buffer_free(part->take_data, part->take_bytes);
	free(part->source);
	free(part->range);
	free(part->match);
	*part = (struct s3_part) { 0 };
}

int s3_part_finish(struct s3_part *part, struct store_part *ret, struct err *e)
{
	struct s3_answer a;
	int r = s3_finish(mr_steal(part->flight), &a, e);
	if (r == 0) {
		s3_answer_release(&a);
		*ret = part->found;
	}
	part_release(part);
	return r;
}

void s3_part_drop(struct s3_part *part)
{
	if (part->flight)
		s3_drop(mr_steal(part->flight));
	part_release(part);
}

int s3_upload_put(struct store *store, const char *key, const char *id, uint32_t number, const void *data, size_t len,
		  struct store_part *ret, struct err *e)
{
	struct s3_part part = { 0 };
	if (!*id)
		return no_such_upload(e);
	s3_part_send(s3_of(store), key, id, number, data, len, &part);
	return s3_wrap(e, s3_part_finish(&part, ret, e), "store a part of", key);
}

/* ---- what is there ---- */

struct part_list {
	struct store_part *parts, now;
	size_t max, count, before; /* `before`: of earlier pages */
	bool more;
};

static int on_part_field(void *ctx, const char *path, const char *text, struct err *e)
{
	struct part_list *l = ctx;
	(void)e;
	if (strcmp(path, "ListPartsResult/Part/PartNumber") == 0)
		l->now.number = (uint32_t)strtoul(text, NULL, 10);
	else if (strcmp(path, "ListPartsResult/Part/Size") == 0)
		l->now.size = strtoull(text, NULL, 10);
	else if (strcmp(path, "ListPartsResult/Part/ETag") == 0)
		copy_etag(l->now.etag, text);
	else if (strcmp(path, "ListPartsResult/IsTruncated") == 0)
		l->more = strcmp(text, "true") == 0;
	else if (strcmp(path, "ListPartsResult/Part") == 0 && l->count < l->max)
		l->parts[l->count++] = l->now;
	return 0;
}

static int check_parts(void *ctx, const struct s3_answer *a, struct err *e)
{
	struct part_list *l = ctx;
	l->count = l->before;
	return s3_xml_read(a->text.data, a->text.len, on_part_field, l, e);
}

int s3_upload_list(struct store *store, const char *key, const char *id, struct store_part *parts, size_t max,
		   size_t *ret_count, struct err *e)
{
	struct part_list l = { .parts = parts, .max = max, .more = true };
	int r = *id ? 0 : no_such_upload(e);
	bool first = true;
	while (r == 0 && l.more && (first || l.count < max)) {
		char marker[12];
		struct s3_answer a;
		(void)snprintf(marker, sizeof(marker), "%u", l.count ? parts[l.count - 1].number : 0);
		const struct s3_request q = { .method = "GET",
					      .key = key,
					      .query = { { "uploadId", id }, { "part-number-marker", marker } },
					      .check = check_parts,
					      .ctx = &l };
		l.before = l.count;
		first = l.more = false;
		r = s3_call(s3_of(store), &q, &a, e);
		if (r == 0)
			s3_answer_release(&a);
		l.more = l.more && l.count > l.before;
	}
	if (r == -ERR_NOT_FOUND) /* some say that the key isn't there */
		r = no_such_upload(e);
	if (r < 0)
		return s3_wrap(e, r, "list the parts of", key);
	*ret_count = l.count;
	return 0;
}

/* ---- complete, abort ---- */

struct completed {
	char etag[STORE_ETAG_SIZE];
	bool opaque;
};

static int on_complete_field(void *ctx, const char *path, const char *text, struct err *e)
{
	struct completed *c = ctx;
	(void)e;
	if (strcmp(path, "CompleteMultipartUploadResult/ETag") == 0)
		copy_etag(c->etag, text);
	return 0;
}

static int check_complete(void *ctx, const struct s3_answer *a, struct err *e)
{
	struct completed *c = ctx;
	c->opaque = a->etag_is_opaque;
	int r = s3_xml_read(a->text.data, a->text.len, on_complete_field, ctx, e);
	return r < 0 || *c->etag ? r : err_set(e, ERR_UNAVAILABLE, "S3 doesn't say what it put together");
}

static bool is_token(const char *etag)
{
	return *etag &&
	       strspn(etag, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_+/=.") == strlen(etag);
}

static int send_complete(struct store_s3 *s, const char *key, const char *id, const struct store_part *parts,
			 size_t count, uint32_t patience_s, struct completed *ret, struct err *e)
{
	_cleanup_buf_ struct buf body;
	buf_init(&body, STORE_PARTS_MAX * PART_TEXT_MAX);
	buf_puts(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < count; i++) {
		if (!is_token(parts[i].etag))
			return err_set_code(e, ERR_INVALID, "InvalidPart", "part %u has no ETag", parts[i].number);
		buf_printf(&body, "<Part><PartNumber>%u</PartNumber><ETag>&quot;%s&quot;</ETag></Part>",
			   parts[i].number, parts[i].etag);
	}
	buf_puts(&body, "</CompleteMultipartUpload>");
	int r = buf_finish(&body, e);
	const struct s3_request q = { .method = "POST",
				      .key = key,
				      .query = { { "uploadId", id } },
				      .headers = { { "content-type", "application/xml" } },
				      .body = body.data,
				      .body_len = body.len,
				      .stall_s = S3_LONG_STALL * s->config.stall_s,
				      .patience_s = patience_s,
				      .check = check_complete,
				      .ctx = ret };
	struct s3_answer a;
	if (r == 0)
		r = s3_call(s, &q, &a, e);
	if (r == 0)
		s3_answer_release(&a);
	return r;
}

/* What the upload became. */
static int verify(struct store_s3 *s, const char *key, const struct completed *c, const struct store_part *parts,
		  size_t count, struct store_info *ret, struct err *e)
{
	uint64_t size = 0;
	char expected[STORE_ETAG_SIZE];
	struct store_info info;
	for (size_t i = 0; i < count; i++)
		size += parts[i].size;
	int r = s3_stat(&s->base, key, &info, e);
	if (r < 0)
		return r;
	if (strcmp(info.etag, c->etag) != 0) /* somebody put another since: it was ours for a moment */
		info.size = size;
	memcpy(info.etag, c->etag, sizeof(info.etag));
	bool other = s3_multipart_etag(parts, count, expected) && strlen(c->etag) == strlen(expected) && !c->opaque &&
		     strcmp(c->etag, expected) != 0;
	if (info.size != size || other)
		return err_set(e, ERR_IO, "S3 put together %" PRIu64 " bytes (%s), not %" PRIu64 " (%s)", info.size,
			       c->etag, size, expected);
	*ret = info;
	return 0;
}

/* Whether it isn't there any more; false where nobody can tell. */
static bool is_gone(struct store *store, const char *key, const char *id)
{
	struct store_part part;
	size_t count;
	return s3_upload_list(store, key, id, &part, 1, &count, NULL) == -ERR_NOT_FOUND;
}

/* It may have been completed, by an attempt whose answer was lost or by a call before: then the object says so. */
static int find_completed(struct store *store, const char *key, const struct store_part *parts, size_t count,
			  struct completed *ret, struct err *e)
{
	char expected[STORE_ETAG_SIZE];
	struct store_info info;
	if (!s3_multipart_etag(parts, count, expected) || s3_stat(store, key, &info, NULL) < 0 ||
	    strcmp(info.etag, expected) != 0)
		return no_such_upload(e);
	memcpy(ret->etag, expected, sizeof(ret->etag));
	err_clear(e);
	return 0;
}

int s3_upload_complete(struct store *store, const char *key, const char *id, const struct store_part *parts,
		       size_t count, struct store_info *ret, struct err *e)
{
	struct store_s3 *s = s3_of(store);
	struct completed c = { 0 };
	struct store_info info;
	int r = *id ? send_complete(s, key, id, parts, count, COMPLETE_FIRST_S, &c, e) : no_such_upload(e);
	bool failed = r == -ERR_UNAVAILABLE || r == -ERR_TIMEOUT;
	/* Some say 500 rather than that the upload is gone, for as long as they are asked. */
	if (r == -ERR_NOT_FOUND || (failed && is_gone(store, key, id)))
		r = find_completed(store, key, parts, count, &c, e);
	else if (failed)
		r = send_complete(s, key, id, parts, count, s->config.patience_s, &c, e);
	if (r == 0)
		r = verify(s, key, &c, parts, count, &info, e);
	if (r < 0)
		return s3_wrap(e, r, "complete", key);
	if (ret)
		*ret = info;
	return 0;
}

int s3_upload_abort(struct store *store, const char *key, const char *id, struct err *e)
{
	const struct s3_request q = {
		.method = "DELETE", .key = key, .query = { { "uploadId", id } }, .patience_s = ABORT_PATIENCE_S
	};
	struct s3_answer a;
	/* Without an id it would be the object's deletion. */
	int r = *id ? s3_call(s3_of(store), &q, &a, e) : 0;
	if (r == -ERR_NOT_FOUND) {
		err_clear(e);
		return 0;
	}
	if (r == 0 && *id)
		s3_answer_release(&a);
	return s3_wrap(e, r, "abort the upload of", key);
}

/* ---- what nobody finished ---- */

struct upload_list {
	struct store_s3 *store;
	int64_t before_ms, initiated_ms;
	char *key, *id;
	char **found; /* key and id in turn */
	size_t count;
	char *next_key, *next_id;
	bool more;
};

static void keep(char **to, const char *text)
{
	free(*to);
	*to = mr_strdup(text);
}

static int on_upload_field(void *ctx, const char *path, const char *text, struct err *e)
{
	struct upload_list *l = ctx;
	size_t skip = strlen(l->store->config.prefix);
	(void)e;
	if (strcmp(path, "ListMultipartUploadsResult/Upload/Key") == 0)
		keep(&l->key, strlen(text) > skip ? text + skip : "");
	else if (strcmp(path, "ListMultipartUploadsResult/Upload/UploadId") == 0)
		keep(&l->id, text);
	else if (strcmp(path, "ListMultipartUploadsResult/Upload/Initiated") == 0)
		l->initiated_ms = s3_time_parse(text);
	else if (strcmp(path, "ListMultipartUploadsResult/NextKeyMarker") == 0)
		keep(&l->next_key, text);
	else if (strcmp(path, "ListMultipartUploadsResult/NextUploadIdMarker") == 0)
		keep(&l->next_id, text);
	else if (strcmp(path, "ListMultipartUploadsResult/IsTruncated") == 0)
		l->more = strcmp(text, "true") == 0;
	else if (strcmp(path, "ListMultipartUploadsResult/Upload") == 0 && l->key && l->id &&
		 l->initiated_ms <= l->before_ms) {
		l->found = mr_reallocarray(l->found, l->count + 2, sizeof(*l->found));
		l->found[l->count++] = mr_steal(l->key);
		l->found[l->count++] = mr_steal(l->id);
	}
	return 0;
}

static void upload_list_clear(struct upload_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->found[i]);
	free(mr_steal(l->found));
	free(mr_steal(l->key));
	free(mr_steal(l->id));
	free(mr_steal(l->next_key));
	free(mr_steal(l->next_id));
	l->count = 0;
	l->more = false;
}

static int check_uploads(void *ctx, const struct s3_answer *a, struct err *e)
{
	upload_list_clear(ctx);
	return s3_xml_read(a->text.data, a->text.len, on_upload_field, ctx, e);
}

int s3_sweep(struct store *store, int64_t age_ms, struct err *e)
{
	struct store_s3 *s = s3_of(store);
	const int64_t least_ms = s->config.stale_hours * HOUR_MS;
	struct upload_list l = { .store = s, .before_ms = clock_wall_ms() - (age_ms > least_ms ? age_ms : least_ms) };
	_cleanup_free_ char *key_marker = NULL, *id_marker = NULL;
	int r = 0;
	do {
		const struct s3_request q = { .method = "GET",
					      .query = { { "uploads", "" },
							 { "prefix", *s->config.prefix ? s->config.prefix : NULL },
							 { "key-marker", key_marker },
							 { "upload-id-marker", id_marker } },
					      .check = check_uploads,
					      .ctx = &l };
		struct s3_answer a;
		r = s3_call(s, &q, &a, e);
		if (r == 0)
			s3_answer_release(&a);
		for (size_t i = 0; r == 0 && i + 1 < l.count; i += 2)
			r = s3_upload_abort(store, l.found[i], l.found[i + 1], e);
		free(key_marker);
		free(id_marker);
		key_marker = mr_steal(l.next_key);
		id_marker = mr_steal(l.next_id);
	} while (r == 0 && l.more && key_marker);
	upload_list_clear(&l);
	return s3_wrap(e, r, "sweep", "uploads");
}
