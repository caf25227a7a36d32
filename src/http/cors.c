/* Cross-origin requests (WHATWG Fetch, CORS protocol). HTTP threads of the front process. */
#include <string.h>
#include <strings.h>

#include "http/internal.h"
#include "http/response.h"

static const char exposed[] =
	"X-Request-Id, ETag, Location, Content-Length, Content-Range, Accept-Ranges, Content-Disposition, "
	"Retry-After, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Upload-Offset, "
	"Upload-Length, Upload-Expires, Upload-Metadata";
static const char accepted[] =
	"Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Range, If-Range, If-None-Match, "
	"X-CSRF-Token, X-Request-Id, Tus-Resumable, Upload-Offset, "
	"Upload-Length, Upload-Metadata, Upload-Defer-Length, Upload-Checksum, Upload-Concat";

static bool any_origin(const struct http_server *s)
{
	return s->opts.cors_origins && s->opts.cors_origins[0] && strcmp(s->opts.cors_origins[0], "*") == 0;
}

bool cors_origin_allowed(const struct http_server *s, const char *origin)
{
	for (const char *const *o = s->opts.cors_origins; o && *o; o++)
		if (strcasecmp(*o, origin) == 0)
			return true;
	return false;
}

bool cors_is_preflight(const struct http_request *req)
{
	return strcmp(req->method, "OPTIONS") == 0 && http_request_header(req, "Origin") &&
	       http_request_header(req, "Access-Control-Request-Method");
}

void cors_add(struct http_request *req)
{
	const struct http_server *s = req->server;
	const char *origin = http_request_header(req, "Origin");
	if (!s->opts.cors_origins || !s->opts.cors_origins[0])
		return;
	if (any_origin(s)) {
		http_response_header(req, "Access-Control-Allow-Origin", "*");
	} else {
		http_response_header(req, "Vary", "Origin");
		if (!origin || !cors_origin_allowed(s, origin))
			return;
		http_response_header(req, "Access-Control-Allow-Origin", origin);
		http_response_header(req, "Access-Control-Allow-Credentials", "true");
	}
	if (origin)
		http_response_header(req, "Access-Control-Expose-Headers", exposed);
}

void cors_preflight(struct http_request *req)
{
	/* Without Allow-Origin, which cors_add gives to allowed origins alone, the browser reads the rest as a refusal.
	 * */
	http_response_header(req, "Access-Control-Allow-Methods", req->match.allow);
	http_response_header(req, "Access-Control-Allow-Headers", accepted);
	http_response_header(req, "Access-Control-Max-Age", "7200");
	(void)http_respond_empty(req, 204);
}
