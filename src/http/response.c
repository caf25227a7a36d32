/* Answers: collected while the handler runs, queued on the HTTP thread afterwards. The front process. */
#include "http/response.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "http/fields.h"
#include "http/internal.h"

#define RETRY_AFTER_S "5"

unsigned http_status_of(enum err_kind kind)
{
	switch (kind) {
	case ERR_OK:
		return 200;
	case ERR_INVALID:
		return 400;
	case ERR_AUTH:
		return 401;
	case ERR_DENIED:
		return 403;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_CONFLICT:
	case ERR_LOST:
	case ERR_CANCELED:
		return 409;
	case ERR_GONE:
		return 410;
	case ERR_TOO_LARGE:
		return 413;
	case ERR_UNSUPPORTED:
		return 415;
	case ERR_RANGE:
		return 416;
	case ERR_MEDIA:
		return 422;
	case ERR_BUSY:
		return 429;
	case ERR_UNAVAILABLE:
	case ERR_NO_SPACE:
		return 503;
	case ERR_TIMEOUT:
		return 504;
	case ERR_PROTOCOL:
		return 502;
	case ERR_IO:
	case ERR_INTERNAL:
	case ERR_KINDS:
		break;
	}
	return 500;
}

static bool may_repeat(const char *name)
{
	return strcasecmp(name, "Set-Cookie") == 0 || strcasecmp(name, "Vary") == 0 || strcasecmp(name, "Link") == 0;
}

static struct header *find_header(const struct http_request *req, const char *name, size_t name_len)
{
	for (struct header *h = req->reply.headers; h; h = h->next)
		if (h->name_len == name_len && strcasecmp(h->name, name) == 0)
			return h;
	return NULL;
}

static const char *reply_header(const struct http_request *req, const char *name)
{
	const struct header *h = find_header(req, name, strlen(name));
	return h ? h->value : NULL;
}

void http_response_header(struct http_request *req, const char *name, const char *value)
{
	char *clean = arena_strdup(&req->arena, value), *to = clean;
	for (const char *s = value; *s; s++)
		if ((unsigned char)*s >= 0x20 && *s != 0x7F)
			*to++ = *s;
	*to = '\0';
	size_t name_len = strlen(name);
	struct header *h = find_header(req, name, name_len);
	if (h && !may_repeat(name)) {
		h->value = clean;
		return;
	}
	h = arena_alloc(&req->arena, sizeof(*h));
	h->name = arena_strndup(&req->arena, name, name_len);
	h->name_len = name_len;
	h->value = clean;
	if (!req->reply.headers)
		req->reply.tail = &req->reply.headers;
	*req->reply.tail = h;
	req->reply.tail = &h->next;
}

void reply_clear(struct http_request *req)
{
	if (req->reply.mhd)
		MHD_destroy_response(req->reply.mhd);
	req->reply.mhd = NULL;
	req->reply.set = false;
	req->reply.cacheable = false;
	req->reply.from_fd = false;
}

void http_response_on_sent(struct http_request *req, void (*fn)(void *ctx, const char *text), const char *text)
{
	req->reply.on_sent = fn;
	req->reply.on_sent_text = http_request_strdup(req, text);
}

void reply_set(struct http_request *req, unsigned status, struct MHD_Response *take, uint64_t length)
{
	reply_clear(req);
	req->reply.set = true;
	req->reply.status = status;
	req->reply.mhd = take;
	req->reply.length = length;
}

static struct MHD_Response *from_bytes(const void *data, size_t len, enum MHD_ResponseMemoryMode mode)
{
	/* The parameter lacks const; the bytes are only read (or freed as ours). */
	return MHD_create_response_from_buffer(len, (void *)(uintptr_t)data, mode);
}

int http_respond_bytes(struct http_request *req, unsigned status, const char *content_type, const void *data,
		       size_t len)
{
	reply_set(req, status, from_bytes(data, len, MHD_RESPMEM_MUST_COPY), len);
	http_response_header(req, "Content-Type", content_type);
	return 0;
}

int http_respond_text(struct http_request *req, unsigned status, const char *content_type, const char *text)
{
	return http_respond_bytes(req, status, content_type, text, strlen(text));
}

int http_respond_empty(struct http_request *req, unsigned status)
{
	reply_set(req, status, from_bytes("", 0, MHD_RESPMEM_PERSISTENT), 0);
	return 0;
}

int http_respond_redirect(struct http_request *req, unsigned status, const char *location)
{
	http_response_header(req, "Location", location);
	return http_respond_empty(req, status);
}

int http_respond_json(struct http_request *req, unsigned status, json_t *take_value)
{
	char *text = take_value ? json_dumps(take_value, JSON_ANSWER | JSON_ENCODE_ANY) : NULL;
	json_decref(take_value);
	if (!text) {
		struct err e;
		(void)err_set(&e, ERR_INTERNAL, "the answer could not be put together");
		return http_respond_error(req, &e);
	}
	/* json_dumps allocates with malloc (the default allocators are not replaced), so libmicrohttpd may free it. */
	size_t len = strlen(text);
	reply_set(req, status, from_bytes(text, len, MHD_RESPMEM_MUST_FREE), len);
	http_response_header(req, "Content-Type", "application/json");
	return 0;
}

bool error_format(const struct err *why, const char *request_id, struct buf *out)
{
	const char *code = err_code(why);
	(void)buf_puts(out, "{\"error\":{\"code\":");
	(void)json_quote(out, code, strlen(code));
	(void)buf_puts(out, ",\"message\":");
	(void)json_quote(out, why->message, strlen(why->message));
	(void)buf_printf(out, ",\"retriable\":%s,\"request_id\":", why->retriable ? "true" : "false");
	(void)json_quote(out, request_id, strlen(request_id));
	return buf_puts(out, "}}");
}

/* What went wrong inside is for the log, not for strangers. */
static struct err for_client(struct http_request *req, const struct err *why)
{
	struct err shown = *why;
	if (why->kind == ERR_INTERNAL || why->kind == ERR_IO || why->kind == ERR_PROTOCOL || why->kind == ERR_OK) {
		log_error("http_error", LOG_S("request_id", req->id), LOG_S("method", req->method),
			  LOG_S("path", http_request_path(req)), LOG_E(why));
		(void)snprintf(shown.message, sizeof(shown.message),
			       "the server failed; see its log by the request id");
	}
	return shown;
}

static void add_error_headers(struct http_request *req, const struct err *why)
{
	http_response_header(req, "Content-Type", "application/json");
	if (why->kind == ERR_AUTH && !reply_header(req, "WWW-Authenticate"))
		http_response_header(req, "WWW-Authenticate", "Bearer realm=\"millrace\"");
	bool later = why->kind == ERR_BUSY || why->kind == ERR_UNAVAILABLE || why->kind == ERR_NO_SPACE;
	if (later && !reply_header(req, "Retry-After"))
		http_response_header(req, "Retry-After", RETRY_AFTER_S);
}

/* A status that no kind has. */
static unsigned status_of(const struct err *why)
{
	static const struct {
		const char *code;
		unsigned status;
	} special[] = { { "METHOD_NOT_ALLOWED", 405 },  { "REQUEST_TIMEOUT", 408 }, { "LENGTH_REQUIRED", 411 },
			{ "PRECONDITION_FAILED", 412 }, { "URL_TOO_LONG", 414 },    { "HEADERS_TOO_LARGE", 431 },
			{ "MISDIRECTED", 421 },         { "DRAINING", 503 },
			{ "TUS_VERSION", 412 },         { "WEBSOCKET_VERSION", 426 }, { "NOT_A_WEBSOCKET", 426 },
			{ "UPLOAD_CHECKSUM_MISMATCH", 460 } /* tus 1.0 */ };
	for (size_t i = 0; i < MR_ARRAY_SIZE(special); i++)
		if (strcmp(why->code, special[i].code) == 0)
			return special[i].status;
	return http_status_of(why->kind);
}

int http_respond_error(struct http_request *req, const struct err *why)
{
	struct err shown = for_client(req, why);
	_cleanup_buf_ struct buf b;
	buf_init(&b, 8192);
	if (!error_format(&shown, req->id, &b)) {
		buf_clear(&b);
		(void)buf_puts(&b, "{\"error\":{\"code\":\"INTERNAL_ERROR\",\"message\":\"\",\"retriable\":false}}");
	}
	unsigned status = status_of(&shown);
	reply_set(req, status, from_bytes(b.data, b.len, MHD_RESPMEM_MUST_COPY), b.len);
	add_error_headers(req, &shown);
	/* What the handler meant for its success must not make an error cacheable or a download. */
	http_response_header(req, "Cache-Control", "no-store");
	http_response_header(req, "Content-Disposition", "");
	return 0;
}

static void add_page_headers(struct http_request *req)
{
	const struct http_route *r = req->match.route;
	http_response_header(req, "X-Content-Type-Options", "nosniff");
	if (r && r->page) {
		if (!reply_header(req, "Content-Security-Policy"))
			http_response_header(req, "Content-Security-Policy", r->csp ? r->csp : "default-src 'none'");
		http_response_header(req, "X-Frame-Options", "DENY");
		http_response_header(req, "Referrer-Policy", "same-origin");
	}
	if (!req->reply.cacheable && !reply_header(req, "Cache-Control"))
		http_response_header(req, "Cache-Control", "no-store");
}

enum MHD_Result reply_queue(struct http_request *req)
{
	if (!req->reply.set || !req->reply.mhd) {
		struct err e;
		(void)err_set(&e, ERR_INTERNAL, "no answer was given");
		(void)http_respond_error(req, &e);
	}
	if (!req->reply.mhd)
		return MHD_NO;
	http_response_header(req, "X-Request-Id", req->id);
	add_page_headers(req);
	cors_add(req);
	/* A hand-over is libmicrohttpd's "Connection: Upgrade". */
	if (conn_answers(req) && !req->websocket.accept)
		http_response_header(req, "Connection", "close");
	for (const struct header *h = req->reply.headers; h; h = h->next)
		if (*h->value)
			(void)MHD_add_response_header(req->reply.mhd, h->name, h->value);
	/* libmicrohttpd sends the headers by themselves before a file, and nothing else in that packet. */
	req->corked = req->reply.from_fd;
	if (req->corked)
		conn_cork(req->conn, true);
	enum MHD_Result r = MHD_queue_response(req->mhd, req->reply.status, req->reply.mhd);
	MHD_destroy_response(req->reply.mhd);
	req->reply.mhd = NULL;
	req->phase = PHASE_SENT;
	return r;
}

static const char *reason(unsigned status)
{
	const char *s = MHD_get_reason_phrase_for(status);
	return s ? s : "Error";
}

bool reply_format_raw(struct http_request *req, const struct err *why, struct buf *out)
{
	char date[HTTP_DATE_SIZE];
	field_date_format(clock_wall_ms(), date);
	reply_clear(req);
	struct err shown = for_client(req, why);
	_cleanup_buf_ struct buf body;
	buf_init(&body, 8192);
	(void)error_format(&shown, req->id, &body);
	req->reply.status = status_of(&shown);
	req->reply.length = body.len;
	add_error_headers(req, &shown);
	http_response_header(req, "X-Request-Id", req->id);
	http_response_header(req, "Cache-Control", "no-store");
	http_response_header(req, "X-Content-Type-Options", "nosniff");
	cors_add(req);
	(void)buf_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nContent-Length: %zu\r\n",
			 req->reply.status, reason(req->reply.status), date, body.len);
	for (const struct header *h = req->reply.headers; h; h = h->next)
		if (*h->value)
			(void)buf_printf(out, "%s: %s\r\n", h->name, h->value);
	(void)buf_puts(out, "\r\n");
	return buf_append(out, body.data, body.len);
}
