/* The way of a request from its head to its handler: route, limits, who may, what it names. The one mechanism that
 * decides on access; a handler cannot run without it. admit_head runs on an HTTP thread, the jobs on the pool. The
 * front process. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "http/fields.h"
#include "http/internal.h"
#include "http/response.h"

/* ---- the head ---- */

static size_t count_headers(const struct http_request *req, const char *name)
{
	size_t n = 0;
	for (size_t i = 0; i < req->header_count; i++)
		n += strcasecmp(req->headers[i].name, name) == 0;
	return n;
}

/* What makes two parsers disagree about where a request ends is refused (RFC 9112, 6.1–6.3). */
static int check_framing(struct http_request *req, struct err *e)
{
	const char *length = http_request_header(req, "Content-Length");
	const char *coding = http_request_header(req, "Transfer-Encoding");
	if (req->bad_header)
		return err_set(e, ERR_INVALID, "a header's name holds what is no token");
	req->expects_continue = http_request_header_has(req, "Expect", "100-continue");
	if (length && coding)
		return err_set(e, ERR_INVALID, "Content-Length and Transfer-Encoding exclude each other");
	if (coding) {
		req->has_body = true;
		if (strcasecmp(coding, "chunked") != 0 || count_headers(req, "Transfer-Encoding") != 1)
			return err_set(e, ERR_INVALID, "Transfer-Encoding must be chunked");
	}
	if (length) {
		size_t digits = strspn(length, "0123456789");
		if (!digits || digits > 18 || length[digits] || count_headers(req, "Content-Length") != 1) {
			req->has_body = true;
			return err_set(e, ERR_INVALID, "Content-Length must be one number");
		}
		req->content_length = (int64_t)strtoll(length, NULL, 10);
		req->has_body = req->content_length > 0;
	}
	return 0;
}

static int find_base_url(struct http_request *req, struct err *e)
{
	const struct http_server_opts *o = &req->server->opts;
	const char *host = http_request_header(req, "Host");
	if (!host && req->needs_host)
		return err_set(e, ERR_INVALID, "the Host header is missing");
	if (count_headers(req, "Host") > 1 || (host && *host && !field_host_valid(host)))
		return err_set(e, ERR_INVALID, "the Host header is not a host name");
	req->scheme = "http";
	req->host = host && *host ? host : strstr(req->server->url, "://") + 3;
	if (o->trust_proxy) {
		const char *proto = http_request_header(req, "X-Forwarded-Proto");
		const char *forwarded = http_request_header(req, "X-Forwarded-Host");
		if (proto && strcasecmp(proto, "https") == 0)
			req->scheme = "https";
		if (forwarded && field_host_valid(forwarded))
			req->host = forwarded;
	}
	if (o->public_url) {
		const char *sep = strstr(o->public_url, "://");
		req->scheme = strncasecmp(o->public_url, "https:", 6) == 0 ? "https" : "http";
		req->host = arena_strndup(&req->arena, sep + 3, strcspn(sep + 3, "/"));
		req->base_url = o->public_url;
	} else {
		req->base_url = http_request_printf(req, "%s://%s", req->scheme, req->host);
	}
	return 0;
}

static int check_sizes(struct http_request *req, struct err *e)
{
	const struct http_server_opts *o = &req->server->opts;
	if (strlen(req->target) > o->max_url_bytes)
		return err_set_code(e, ERR_TOO_LARGE, "URL_TOO_LONG", "the URL is longer than %u bytes",
				    o->max_url_bytes);
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	if (info && info->header_size > o->max_header_bytes)
		return err_set_code(e, ERR_TOO_LARGE, "HEADERS_TOO_LARGE", "the headers are larger than %u bytes",
				    o->max_header_bytes);
	return 0;
}

static int check_body(struct http_request *req, struct err *e)
{
	const struct http_route *r = req->match.route;
	const struct http_server_opts *o = &req->server->opts;
	bool streamed = r->body == HTTP_BODY_STREAM || r->body == HTTP_BODY_STREAM_RAW;
	req->body_max = r->body_max_bytes ? r->body_max_bytes : streamed ? o->max_upload_bytes : o->max_json_bytes;
	if (r->body == HTTP_BODY_NONE)
		req->body_max = 0;
	if (!req->has_body)
		return 0;
	if (r->body == HTTP_BODY_NONE)
		return err_set(e, ERR_TOO_LARGE, "this request takes no body");
	if (req->content_length > 0 && (uint64_t)req->content_length > req->body_max)
		return err_set(e, ERR_TOO_LARGE, "the body has %" PRId64 " bytes; at most %" PRIu64 " are taken",
			       req->content_length, req->body_max);
	req->body.max = streamed ? 0 : (size_t)req->body_max;
	return 0;
}

static int find_route(struct http_request *req, struct err *e)
{
	int r = router_find(req->server->router, req->method, req->uri.raw_path, &req->arena, &req->match, e);
	if (r < 0)
		return r;
	if (cors_is_preflight(req)) {
		cors_preflight(req);
		return 0;
	}
	if (req->match.route)
		return check_body(req, e);
	http_response_header(req, "Allow", req->match.allow);
	if (strcmp(req->method, "OPTIONS") == 0)
		return http_respond_empty(req, 204);
	return err_set_code(e, ERR_INVALID, "METHOD_NOT_ALLOWED", "%s is not allowed here, but %s", req->method,
			    req->match.allow);
}

int admit_head(struct http_request *req, struct err *e)
{
	int r = check_framing(req, e);
	if (r == 0)
		r = find_base_url(req, e);
	if (r == 0)
		r = check_sizes(req, e);
	if (r < 0)
		return r;
	if (strcmp(req->target, "*") == 0 && strcmp(req->method, "OPTIONS") == 0)
		return http_respond_empty(req, 204);
	if (signature_recall(req))
		return check_body(req, e);
	r = uri_parse(&req->arena, req->target, &req->uri, e);
	return r < 0 ? r : find_route(req, e);
}

/* ---- on the pool ---- */

static int load(struct http_request *req, struct err *e)
{
	const struct http_route *r = req->match.route;
	if (r->access != HTTP_ACCESS_OWNER || req->loaded)
		return 0;
	void *resource = NULL;
	int rc = r->load(req->server->opts.ctx, req->has_signature ? NULL : &req->identity, req, &resource, e);
	if (rc < 0)
		return rc;
	req->loaded = true;
	req->resource = resource;
	return 0;
}

void admit_unload(struct http_request *req)
{
	if (req->loaded && req->resource && req->match.route->unload)
		req->match.route->unload(req->server->opts.ctx, req->resource);
	req->loaded = false;
	req->resource = NULL;
}

static int check_access(struct http_request *req, struct err *e)
{
	const struct http_route *r = req->match.route;
	struct err ignored;
	switch (r->access) {
	case HTTP_ACCESS_PUBLIC:
		if (req->server->opts.auth && identity_find(req, &ignored) < 0)
			req->has_identity = false;
		return 0;
	case HTTP_ACCESS_USER:
		return identity_find(req, e);
	case HTTP_ACCESS_ADMIN:
		return identity_find_admin(req, e);
	case HTTP_ACCESS_OWNER: {
		const bool by_signature = r->signed_too && http_request_query(req, "X-Amz-Signature");
		int rc = by_signature ? signature_check(req, e) : identity_find(req, e);
		/* A JSON body may name the user; then loading waits for it. */
		return rc < 0 || r->body == HTTP_BODY_JSON ? rc : load(req, e);
	}
	case HTTP_ACCESS_SIGNED:
		return req->has_signature ? 0 : signature_check(req, e);
	case HTTP_ACCESS_SIGNED_HEADER:
		return 0; /* the signature covers the body, which isn't there: handle() */
	case HTTP_ACCESS_UNSET:
		break;
	}
	return err_set(e, ERR_INTERNAL, "a route without access");
}

static int parse_json(struct http_request *req, struct err *e)
{
	json_t *v;
	const char *text = req->body.data ? req->body.data : "";
	bool empty = strspn(text, " \t\r\n") == req->body.len;
	int r = empty ? json_parse("{}", 2, &v, e) : json_parse(text, req->body.len, &v, e);
	if (r < 0)
		return r;
	if (!json_is_object(v)) {
		json_decref(v);
		return err_set_code(e, ERR_INVALID, "INVALID_JSON", "the body must be a JSON object");
	}
	req->json = v;
	return identity_from_body(req, e);
}

static int refuse(struct http_request *req, const struct err *why)
{
	const struct http_route *r = req->match.route;
	return r && r->refuse ? r->refuse(req, why) : http_respond_error(req, why);
}

static int run_handler(struct http_request *req)
{
	struct err e = { 0 };
	int r = req->match.route->handler(req->server->opts.ctx, req, &e);
	if (r >= 0)
		return r;
	if (e.kind == ERR_OK) /* the handler passed the kind on alone */
		(void)err_set(&e, (enum err_kind) - r, "%s", err_kind_name((enum err_kind) - r));
	return refuse(req, &e);
}

void admit_run_handler(struct http_request *req)
{
	(void)run_handler(req);
}

bool admit_run_first(struct http_request *req)
{
	struct err e;
	if (!req->has_signature && signature_check(req, &e) < 0)
		return http_respond_error(req, &e) == 0;
	return run_handler(req) != HTTP_LATER;
}

/* True: the handler waits for something, and runs again behind that. */
static bool handle(struct http_request *req)
{
	struct err e = { 0 };
	int r = req->match.route->access == HTTP_ACCESS_SIGNED_HEADER ? signature_check_header(req, &e) : 0;
	if (r == 0 && req->match.route->body == HTTP_BODY_JSON)
		r = parse_json(req, &e);
	if (r == 0)
		r = load(req, &e);
	bool later = false;
	if (r < 0)
		(void)refuse(req, &e);
	else
		later = run_handler(req) == HTTP_LATER;
	admit_unload(req);
	return later;
}

void admit_handle_job(void *arg)
{
	struct http_request *req = arg;
	while (handle(req))
		if (work_wait(req))
			return;
	work_end(req, PHASE_RESPOND);
}

void admit_job(void *arg)
{
	struct http_request *req = arg;
	struct err e = { 0 };
	bool streamed = req->match.route->sink != NULL;
	enum phase next = PHASE_RESPOND;
	int r = check_access(req, &e);
	if (r == 0 && streamed)
		r = upload_begin(req, &e);
	if (r < 0)
		(void)refuse(req, &e);
	else if (req->has_body)
		next = PHASE_ADMITTED;
	else if (streamed)
		upload_finish_empty(req);
	else {
		admit_handle_job(req);
		return;
	}
	if (next == PHASE_RESPOND)
		admit_unload(req);
	work_end(req, next);
}
