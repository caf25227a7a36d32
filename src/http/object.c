/* Objects of the store and embedded assets as answers: validators, ranges, sendfile. The front process; runs on the
 * pool (assets, and objects that are kept open: any thread).
 *
 * No HTTP thread may wait for the store, and sendfile(2) waits for the disk where the bytes are not in the page cache. So
 * what is small enough to stay there (segments are) is read once on the pool and then sent from memory or by sendfile,
 * for a second also to others who ask for it (open_objects.h); anything larger, or without a descriptor, is read on the
 * pool, 256 KiB at a time, with the connection suspended meanwhile. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/fields.h"
#include "http/internal.h"
#include "http/open_objects.h"
#include "http/response.h"
#include "os/fd.h"
#include "os/pool.h"

#define READ_BYTES (256u << 10)
#define BLOCK_BYTES (32u << 10)
#define SENDFILE_MAX_BYTES (4u << 20)
#define BOUNDARY_BYTES 12

/* ---- reading without a descriptor ---- */

/* What a body consists of: text, and the object's bytes behind it. */
struct piece {
	char *text; /* or NULL */
	uint64_t first, len;
};

/* What of the object is the answer. */
struct slice {
	uint64_t first, len; /* with pieces `len` is the body's, and `first` nothing */
	unsigned status;
	struct piece *pieces; /* of several ranges; else NULL */
	uint32_t piece_count;
};

struct source {
	struct http_server *server;
	struct MHD_Connection *mhd;
	struct store_reader *reader;
	struct piece *pieces;
	uint32_t piece_count, next; /* next: of them */
	uint64_t offset; /* in the object, of what is read next */
	uint64_t left;	 /* of the current piece */
	/* The job's while the connection is suspended, else the HTTP thread's. */
	char *data;
	size_t pos, len;
	bool failed;
};

static void read_job(void *arg)
{
	struct source *src = arg;
	struct http_server *s = src->server;
	struct err e;
	size_t want = src->left < READ_BYTES ? (size_t)src->left : READ_BYTES, got = 0;
	int r = store_reader_read(src->reader, src->offset, src->data, want, &got, &e);
	src->pos = 0;
	src->len = got;
	src->offset += got;
	src->left -= got;
	/* A short read would make the answer shorter than its Content-Length: only cutting the connection tells the
	 * client. */
	src->failed = r < 0 || got == 0;
	if (r < 0)
		log_error("object_read", LOG_E(&e));
	MHD_resume_connection(src->mhd);
	work_release(s);
}

/* Its text comes first, and is short. */
static void begin_piece(struct source *src)
{
	const struct piece *p = &src->pieces[src->next++];
	src->pos = 0;
	src->len = p->text ? strlen(p->text) : 0;
	if (p->text)
		memcpy(src->data, p->text, src->len);
	src->offset = p->first;
	src->left = p->len;
}

static ssize_t read_source(void *cls, uint64_t pos, char *out, size_t max)
{
	(void)pos;
	struct source *src = cls;
	while (!src->failed && src->pos == src->len && !src->left && src->next < src->piece_count)
		begin_piece(src);
	if (src->pos < src->len) {
		size_t n = src->len - src->pos < max ? src->len - src->pos : max;
		memcpy(out, src->data + src->pos, n);
		src->pos += n;
		return (ssize_t)n;
	}
	if (src->failed)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!src->left)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (!work_hold(src->server))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	MHD_suspend_connection(src->mhd);
	if (pool_submit(src->server->opts.pool, read_job, src) < 0) {
		src->failed = true;
		MHD_resume_connection(src->mhd);
		work_release(src->server);
	}
	return 0;
}

static void free_pieces(struct piece *pieces, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		free(pieces[i].text);
	free(pieces);
}

static void free_source(void *cls)
{
	struct source *src = cls;
	store_reader_close(src->reader);
	free_pieces(src->pieces, src->piece_count);
	free(src->data);
	free(src);
}

/* Takes reader and pieces. */
static struct MHD_Response *response_from_reader(struct http_request *req, struct store_reader *take_reader, struct slice *s)
{
	struct source *src = mr_calloc(1, sizeof(*src));
	src->server = req->server;
	src->mhd = req->mhd;
	src->reader = take_reader;
	if (s->pieces) {
		src->pieces = mr_steal(s->pieces);
		src->piece_count = s->piece_count;
	} else {
		src->offset = s->first;
		src->left = s->len;
	}
	src->data = malloc(READ_BYTES);
	struct MHD_Response *r =
		src->data ? MHD_create_response_from_callback(s->len, BLOCK_BYTES, read_source, src, free_source) : NULL;
	if (!r)
		free_source(src);
	return r;
}

/* Reads a range into the page cache. */
static int warm(struct store_reader *reader, uint64_t offset, uint64_t len, struct err *e)
{
	_cleanup_free_ char *block = malloc(READ_BYTES);
	if (!block)
		return err_set(e, ERR_UNAVAILABLE, "no memory to read the object");
	size_t got = 0;
	for (uint64_t done = 0; done < len; done += got) {
		size_t want = len - done < READ_BYTES ? (size_t)(len - done) : READ_BYTES;
		int r = store_reader_read(reader, offset + done, block, want, &got, e);
		if (r < 0)
			return r;
		if (got == 0)
			return err_set(e, ERR_IO, "the object is shorter than it was");
	}
	return 0;
}

static struct MHD_Response *response_from_fd(int object_fd, uint64_t offset, uint64_t len)
{
	_cleanup_fd_ int fd = fcntl(object_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return NULL;
	struct MHD_Response *r = MHD_create_response_from_fd_at_offset64(len, fd, offset);
	if (r)
		(void)fd_steal(fd); /* libmicrohttpd closes it */
	return r;
}

static void release_object(void *cls)
{
	open_object_release(cls);
}

static struct MHD_Response *response_from_memory(struct open_object *o, uint64_t offset, uint64_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer_with_free_callback_cls(
		(size_t)len, o->data + offset, release_object, open_object_hold(o));
	if (!r)
		open_object_release(o);
	return r;
}

/* ---- conditions (RFC 9110, 13.2.2) ---- */

enum verdict { VERDICT_SEND, VERDICT_NOT_MODIFIED, VERDICT_FAILED };

static enum verdict check_conditions(const struct http_request *req, const char *etag, int64_t modified_ms)
{
	int64_t since, modified_s = modified_ms / 1000;
	const char *if_match = http_request_header(req, "If-Match");
	const char *if_unmodified = http_request_header(req, "If-Unmodified-Since");
	const char *if_none = http_request_header(req, "If-None-Match");
	const char *if_modified = http_request_header(req, "If-Modified-Since");
	if (if_match) {
		if (!field_etag_matches(if_match, etag, false))
			return VERDICT_FAILED;
	} else if (if_unmodified && field_date_parse(if_unmodified, &since) && modified_s > since) {
		return VERDICT_FAILED;
	}
	if (if_none)
		return field_etag_matches(if_none, etag, true) ? VERDICT_NOT_MODIFIED : VERDICT_SEND;
	if (if_modified && modified_ms && field_date_parse(if_modified, &since) && modified_s <= since)
		return VERDICT_NOT_MODIFIED;
	return VERDICT_SEND;
}

/* If-Range: the range counts only if the object is still the one that the client has a part of. */
static bool range_still_valid(const struct http_request *req, const char *etag, int64_t modified_ms)
{
	const char *if_range = http_request_header(req, "If-Range");
	int64_t at;
	if (!if_range)
		return true;
	if (field_date_parse(if_range, &at))
		return modified_ms / 1000 == at;
	return *if_range != '*' && field_etag_matches(if_range, etag, false);
}

/* ---- headers ---- */

/* Whether the URL says anything of the answer's headers: usually not, and not asked six times then. */
static bool has_overrides(const struct http_request *req, const struct http_object_opts *o)
{
	for (size_t i = 0; o->s3_overrides && i < req->uri.query_count; i++)
		if (strncmp(req->uri.query[i].name, "response-", 9) == 0)
			return true;
	return false;
}

static const char * override(const struct http_request *req, bool any, const char *name, const char *value)
{
	const char *over = any ? http_request_query(req, name) : NULL;
	return over ? over : value;
}

/* Returns the type, which lives as long as the request. */
static const char *add_object_headers(struct http_request *req, const struct store_info *info, const struct http_object_opts *o)
{
	char date[HTTP_DATE_SIZE];
	const bool any = has_overrides(req, o);
	field_date_format(info->modified_ms, date);
	const char *type = o->content_type ? o->content_type : info->content_type;
	type = override(req, any, "response-content-type", *type ? type : "application/octet-stream");
	const char *disposition = o->content_disposition;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 4096);
	bool active = field_is_active_type(type);
	if (!disposition && o->filename && field_disposition_format(&b, o->attachment || active, o->filename))
		disposition = b.data;
	disposition = override(req, any, "response-content-disposition", disposition);
	if (active) {
		http_response_header(req, "Content-Security-Policy", "sandbox; default-src 'none'");
		if (!disposition || strncmp(disposition, "attachment", 10) != 0)
			disposition = "attachment";
	}
	if (disposition)
		http_response_header(req, "Content-Disposition", disposition);
	http_response_header(req, "Content-Type", type);
	http_response_header(req, "Last-Modified", date);
	http_response_header(req, "Accept-Ranges", "bytes");
	http_response_header(req, "ETag", http_request_printf(req, "\"%s\"", info->etag));
	const char *cache =
		override(req, any, "response-cache-control", o->cache_control ? o->cache_control : "private, no-cache");
	http_response_header(req, "Cache-Control", cache);
	if (!any)
		return type;
	http_response_header(req, "Content-Language", override(req, any, "response-content-language", ""));
	http_response_header(req, "Content-Encoding", override(req, any, "response-content-encoding", ""));
	http_response_header(req, "Expires", override(req, any, "response-expires", ""));
	return type;
}

static ssize_t never_read(void *cls, uint64_t pos, char *out, size_t max)
{
	(void)cls;
	(void)pos;
	(void)out;
	(void)max;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Without content, but libmicrohttpd writes the Content-Length that a 200 has or would have had (RFC 9110, 9.3.2 and
 * 15.4.5). */
static void respond_length_alone(struct http_request *req, unsigned status, uint64_t size)
{
	reply_set(req, status, MHD_create_response_from_callback(size, 1024, never_read, NULL, NULL), 0);
	req->reply.cacheable = true;
}

/* ---- an object ---- */

/* multipart/byteranges (RFC 9110, 14.6), whose length is known before anything is read. */
static void compose_several(struct http_request *req, const struct store_info *info, const char *type,
			    const struct field_span *spans, uint32_t count, struct slice *ret)
{
	uint8_t random[BOUNDARY_BYTES];
	char boundary[2 * BOUNDARY_BYTES + 1];
	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), boundary);
	struct slice s = { .status = 206, .pieces = mr_calloc(count + 1, sizeof(*s.pieces)), .piece_count = count + 1 };
	for (uint32_t i = 0; i < count; i++) {
		const uint64_t first = spans[i].first, last = spans[i].last;
		char *text = mr_asprintf("%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64
					 "\r\n\r\n",
					 i ? "\r\n" : "", boundary, type, first, last, info->size);
		s.pieces[i] = (struct piece){ text, first, last - first + 1 };
		s.len += strlen(text) + last - first + 1;
	}
	s.pieces[count].text = mr_asprintf("\r\n--%s--\r\n", boundary);
	s.len += strlen(s.pieces[count].text);
	http_response_header(req, "Content-Type", http_request_printf(req, "multipart/byteranges; boundary=%s", boundary));
	*ret = s;
}

static int find_slice(struct http_request *req, const struct store_info *info, const char *type, struct slice *ret, struct err *e)
{
	const uint64_t size = info->size;
	struct field_span spans[FIELD_RANGES_MAX];
	uint32_t count = 0;
	/* A range is defined for GET alone (RFC 9110, 14.2). */
	bool ranged = strcmp(req->method, "GET") == 0 && range_still_valid(req, info->etag, info->modified_ms);
	const char *range = ranged ? http_request_header(req, "Range") : NULL;
	switch (field_range_parse(range, size, spans, &count)) {
	case RANGE_UNSATISFIABLE:
		http_response_header(req, "Content-Range", http_request_printf(req, "bytes */%" PRIu64, size));
		return err_set(e, ERR_RANGE, "the range lies outside of the object's %" PRIu64 " bytes", size);
	case RANGE_EXCESSIVE:
		http_response_header(req, "Content-Range", http_request_printf(req, "bytes */%" PRIu64, size));
		return err_set(e, ERR_RANGE, "more than %d ranges, or together more than the object's %" PRIu64 " bytes",
			       FIELD_RANGES_MAX, size);
	case RANGE_SEVERAL:
		compose_several(req, info, type, spans, count, ret);
		return 0;
	case RANGE_ONE:
		http_response_header(req, "Content-Range",
				     http_request_printf(req, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, spans[0].first,
							 spans[0].last, size));
		*ret = (struct slice){ .first = spans[0].first, .len = spans[0].last - spans[0].first + 1, .status = 206 };
		return 0;
	case RANGE_NONE:
		break;
	}
	*ret = (struct slice){ .len = size, .status = 200 };
	return 0;
}

/* Everything but the content. ret->len is 0 when that is the whole answer. */
static int respond_head(struct http_request *req, const struct store_info *info, const struct http_object_opts *o,
			struct slice *ret, struct err *e)
{
	struct slice s = { 0 };
	enum verdict v = check_conditions(req, info->etag, info->modified_ms);
	if (v == VERDICT_FAILED)
		return err_set_code(e, ERR_CONFLICT, "PRECONDITION_FAILED", "the object is another one by now");
	const char *type = add_object_headers(req, info, o);
	int r = v == VERDICT_SEND ? find_slice(req, info, type, &s, e) : 0;
	if (r < 0)
		return r;
	bool head = strcmp(req->method, "HEAD") == 0;
	if (v == VERDICT_NOT_MODIFIED)
		respond_length_alone(req, 304, info->size);
	else if (head)
		respond_length_alone(req, s.status, s.len);
	else if (!s.len)
		(void)http_respond_empty(req, s.status);
	if (head)
		s.len = 0;
	*ret = s;
	return 0;
}

static int respond_content(struct http_request *req, const struct slice *s, struct MHD_Response *take, bool from_fd,
			   struct err *e)
{
	if (!take)
		return err_set(e, ERR_UNAVAILABLE, "no memory or descriptor for the answer");
	reply_set(req, s->status, take, s->len);
	req->reply.from_fd = from_fd;
	return 0;
}

static int respond_slice(struct http_request *req, const struct slice *s, struct open_object *o, struct err *e)
{
	if (o->data)
		return respond_content(req, s, response_from_memory(o, s->first, s->len), false, e);
	return respond_content(req, s, response_from_fd(o->fd, s->first, s->len), true, e);
}

static int respond_open(struct http_request *req, struct open_object *o, const struct http_object_opts *opts,
			struct err *e)
{
	struct slice s;
	int r = respond_head(req, &o->info, opts, &s, e);
	return r < 0 || !s.len ? r : respond_slice(req, &s, o, e);
}

static int respond_opened(struct http_request *req, const struct store *store, const char *key,
			  struct store_reader *take_reader, const struct store_info *info,
			  const struct http_object_opts *opts, struct err *e)
{
	struct slice s;
	int r = respond_head(req, info, opts, &s, e);
	if (r < 0 || !s.len) {
		store_reader_close(take_reader);
		return r;
	}
	if (s.pieces || s.len > SENDFILE_MAX_BYTES || store_reader_fd(take_reader) < 0)
		return respond_content(req, &s, response_from_reader(req, take_reader, &s), false, e);
	struct open_objects *all = req->server->objects;
	struct open_object *o = open_object_new(all, take_reader, info);
	r = o->data ? 0 : warm(take_reader, s.first, s.len, e);
	if (r == 0 && (o->data || s.len == info->size))
		open_objects_put(all, store, key, o);
	if (r == 0)
		r = respond_slice(req, &s, o, e);
	open_object_release(o);
	return r;
}

int http_respond_object(struct http_request *req, struct store *store, const char *key,
			const struct http_object_opts *opts, struct err *e)
{
	static const struct http_object_opts none;
	const struct http_object_opts *o = opts ? opts : &none;
	const char *range = http_request_header(req, "Range");
	/* Several ranges are always read anew. */
	struct open_object *open = range && strchr(range, ',') ? NULL : open_objects_find(req->server->objects, store, key);
	if (open) {
		int r = respond_open(req, open, o, e);
		open_object_release(open);
		return r;
	}
	if (!http_request_may_block(req))
		return HTTP_LATER;
	struct store_reader *reader;
	struct store_info info;
	int r = store_reader_open(store, key, &reader, &info, e);
	return r < 0 ? r : respond_opened(req, store, key, reader, &info, o, e);
}

int http_respond_asset(struct http_request *req, const struct http_asset *asset)
{
	bool gzip = asset->gzip && field_accepts_coding(http_request_header(req, "Accept-Encoding"), "gzip");
	const void *data = gzip ? asset->gzip : asset->data;
	size_t len = gzip ? asset->gzip_len : asset->len;
	const char *etag = http_request_printf(req, "%s%s", asset->etag, gzip ? "-gz" : "");
	http_response_header(req, "Content-Type", asset->content_type);
	http_response_header(req, "ETag", http_request_printf(req, "\"%s\"", etag));
	http_response_header(req, "Cache-Control", asset->cache_control ? asset->cache_control : "no-cache");
	if (asset->gzip)
		http_response_header(req, "Vary", "Accept-Encoding");
	if (check_conditions(req, etag, 0) == VERDICT_NOT_MODIFIED) {
		respond_length_alone(req, 304, len);
		return 0;
	}
	if (gzip)
		http_response_header(req, "Content-Encoding", "gzip");
	/* The parameter lacks const; static storage is only read. */
	reply_set(req, 200, MHD_create_response_from_buffer(len, (void *)(uintptr_t)data, MHD_RESPMEM_PERSISTENT), len);
	return 0;
}
