/* Accessors of a request. The front process; the thread that runs the handler. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/fields.h"
#include "http/internal.h"

const char *http_request_method(const struct http_request *req)
{
	return req->method;
}

const char *http_request_path(const struct http_request *req)
{
	return req->uri.path ? req->uri.path : "/";
}

const struct http_route *http_request_route(const struct http_request *req)
{
	return req->match.route;
}

const char *http_request_param(const struct http_request *req, const char *name)
{
	for (size_t i = 0; i < req->match.param_count; i++)
		if (strcmp(req->match.params[i].name, name) == 0)
			return req->match.params[i].value;
	return NULL;
}

const char *http_request_query(const struct http_request *req, const char *name)
{
	for (size_t i = 0; i < req->uri.query_count; i++)
		if (strcmp(req->uri.query[i].name, name) == 0)
			return req->uri.query[i].value;
	return NULL;
}

const struct sigv4_pair *http_request_query_pairs(const struct http_request *req, size_t *ret_count)
{
	*ret_count = req->uri.query_count;
	return req->uri.query;
}

int http_request_query_int(const struct http_request *req, const char *name, int64_t min, int64_t max, int64_t fallback,
			   int64_t *ret, struct err *e)
{
	const char *s = http_request_query(req, name);
	int64_t v = fallback;
	int end = 0;
	if (s && (strlen(s) > 18 || sscanf(s, "%18" SCNd64 "%n", &v, &end) != 1 || s[end] || s[0] == '+' || s[0] == ' ' ||
		  v < min || v > max))
		return err_set_code(e, ERR_INVALID, "INVALID_FIELD",
				    "%s must be a whole number from %" PRId64 " to %" PRId64, name, min, max);
	*ret = v;
	return 0;
}

const char *http_request_header(const struct http_request *req, const char *name)
{
	for (size_t i = 0; i < req->header_count; i++)
		if (strcasecmp(req->headers[i].name, name) == 0)
			return req->headers[i].value;
	return NULL;
}

const struct sigv4_pair *http_request_headers(const struct http_request *req, size_t *ret_count)
{
	*ret_count = req->header_count;
	return req->headers;
}

bool http_request_header_has(const struct http_request *req, const char *name, const char *token)
{
	for (size_t i = 0; i < req->header_count; i++)
		if (strcasecmp(req->headers[i].name, name) == 0 && field_has_token(req->headers[i].value, token))
			return true;
	return false;
}

const char *http_request_cookie(const struct http_request *req, const char *name)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, HTTP_CONNECTION_BYTES);
	for (size_t i = 0; i < req->header_count; i++)
		if (strcasecmp(req->headers[i].name, "Cookie") == 0 &&
		    field_cookie_find(req->headers[i].value, name, &b)) {
			/* The arena only grows; what is read of the request does not change by it. */
			struct arena *a = (struct arena *)(uintptr_t)&req->arena;
			return arena_strdup(a, b.data ? b.data : "");
		}
	return NULL;
}

const struct http_identity *http_request_identity(const struct http_request *req)
{
	return req->has_identity ? &req->identity : NULL;
}

const struct sigv4_verified *http_request_signature(const struct http_request *req)
{
	return req->has_signature ? &req->signature : NULL;
}

void *http_request_resource(const struct http_request *req)
{
	return req->resource;
}

const char *http_request_id(const struct http_request *req)
{
	return req->id;
}

bool http_request_may_block(const struct http_request *req)
{
	return req->phase == PHASE_JOB;
}

const char *http_request_remote(const struct http_request *req)
{
	/* A memory of what does not change; the request belongs to one thread at a time. */
	if (!req->remote[0])
		conn_find_remote((struct http_request *)(uintptr_t)req);
	return req->remote;
}

const char *http_request_scheme(const struct http_request *req)
{
	return req->scheme;
}

const char *http_request_host(const struct http_request *req)
{
	return req->host;
}

const char *http_request_base_url(const struct http_request *req)
{
	return req->base_url;
}

json_t *http_request_json(const struct http_request *req)
{
	return req->json;
}

const char *http_request_body(const struct http_request *req, size_t *ret_len)
{
	*ret_len = req->body.len;
	return req->body.data ? req->body.data : "";
}

int64_t http_request_content_length(const struct http_request *req)
{
	return req->content_length;
}

void *http_request_keep(struct http_request *req, size_t size)
{
	if (!req->kept)
		req->kept = http_request_alloc(req, size);
	return req->kept;
}

void *http_request_alloc(struct http_request *req, size_t size)
{
	return arena_alloc(&req->arena, size);
}

char *http_request_strdup(struct http_request *req, const char *s)
{
	return arena_strdup(&req->arena, s);
}

char *http_request_printf(struct http_request *req, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *out = arena_vprintf(&req->arena, fmt, ap);
	va_end(ap);
	return out;
}

void http_request_log(struct http_request *req, const char *key, const char *value)
{
	unsigned slot = req->log_count++ % HTTP_LOG_FIELDS;
	(void)snprintf(req->log[slot].key, sizeof(req->log[slot].key), "%s", key);
	(void)snprintf(req->log[slot].value, sizeof(req->log[slot].value), "%s", value);
}
