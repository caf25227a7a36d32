/* Who sends this request, by token, cookie, open door or signature. The front process; pool threads. */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "http/auth_internal.h"
#include "http/fields.h"
#include "http/internal.h"
#include "http/json.h"
#include "http/jwt.h"
#include "http/signed_urls.h"
#include "http/websocket.h"
#include "net/digest.h"

static bool changes_state(const struct http_request *req)
{
	return strcmp(req->method, "GET") != 0 && strcmp(req->method, "HEAD") != 0 &&
	       strcmp(req->method, "OPTIONS") != 0;
}

/* A page of another site may send simple requests, and open WebSockets, without asking first; what it can't do is leave out or
 * forge Origin. */
static int check_origin(const struct http_request *req, bool by_cookie, struct err *e)
{
	const char *origin = http_request_header(req, "Origin");
	if (!origin || (!changes_state(req) && !req->match.route->websocket))
		return 0;
	const char *sep = strstr(origin, "://");
	/* Our own scheme may be hidden by a proxy, so the host alone counts. */
	if (sep && strcasecmp(sep + 3, req->host) == 0)
		return 0;
	if (cors_origin_allowed(req->server, origin) || (!by_cookie && cors_origin_allowed(req->server, "*")))
		return 0;
	return err_set_code(e, ERR_DENIED, "CROSS_ORIGIN", "requests from pages of %.200s are not allowed", origin);
}

static int check_csrf(const struct http_request *req, const struct http_identity *who, struct err *e)
{
	if (req->match.route->websocket) /* which can't carry a header */
		return check_origin(req, true, e);
	if (!changes_state(req))
		return 0;
	const char *given = http_request_header(req, "X-CSRF-Token");
	size_t len = strlen(who->csrf);
	if (!given || strlen(given) != len || !digest_equal(given, who->csrf, len))
		return err_set_code(e, ERR_DENIED, "CSRF", "X-CSRF-Token must be the session's csrf_token");
	return check_origin(req, true, e);
}

static int by_open_door(struct http_request *req, struct http_identity *who, struct err *e)
{
	const struct http_auth *a = req->server->opts.auth;
	/* DNS rebinding: a page's own name made to resolve to 127.0.0.1 shows in Host. */
	const char *host = http_request_header(req, "Host");
	bool ours = !host || field_host_is_loopback(host) ||
		    (req->server->opts.public_url && strcasecmp(host, req->host) == 0);
	if (!a->insecure && !ours)
		return err_set_code(e, ERR_DENIED, "MISDIRECTED", "this server answers to loopback names only");
	int r = check_origin(req, false, e);
	if (r < 0)
		return r;
	*who = (struct http_identity) { .by = HTTP_BY_LOCAL, .expires_ms = INT64_MAX };
	memcpy(who->user, "local", sizeof("local"));
	return 0;
}

static int by_token_or_cookie(struct http_request *req, struct http_identity *who, struct err *e)
{
	struct http_auth *a = req->server->opts.auth;
	const char *authorization = http_request_header(req, "Authorization");
	const char *token = NULL;
	if (authorization) {
		if (strncasecmp(authorization, "Bearer ", 7) != 0)
			return err_set(e, ERR_AUTH, "Authorization must be a Bearer token");
		token = authorization + 7 + strspn(authorization + 7, " ");
	} else if (req->match.route->websocket) {
		token = http_websocket_token(req);
	}
	if (token) {
		int rc = http_auth_verify_token(a, token, who, e);
		return rc < 0 || !req->match.route->websocket ? rc : check_origin(req, false, e);
	}
	const char *cookie = a->session_keys ? http_request_cookie(req, HTTP_SESSION_COOKIE) : NULL;
	if (!cookie)
		return err_set(e, ERR_AUTH, "this needs a token: Authorization: Bearer …");
	int r = http_session_verify(a, cookie, who, e);
	return r < 0 ? r : check_csrf(req, who, e);
}

/* A user named in the request: on the open door that is who it is, else it must be who it is. */
static int apply_user(struct http_identity *who, const char *user, struct err *e)
{
	if (!user)
		return 0;
	if (who->by != HTTP_BY_LOCAL)
		return strcmp(user, who->user) == 0
			       ? 0
			       : err_set(e, ERR_DENIED, "user_id is not the user that the token was made for");
	int r = user_check(user, e);
	if (r < 0)
		return r;
	memset(who->user, 0, sizeof(who->user));
	memcpy(who->user, user, strlen(user));
	return 0;
}

int identity_find(struct http_request *req, struct err *e)
{
	struct http_identity who;
	int r = req->server->opts.auth->configured ? by_token_or_cookie(req, &who, e) : by_open_door(req, &who, e);
	if (r == 0)
		r = apply_user(&who, http_request_query(req, "user_id"), e);
	if (r < 0)
		return r;
	req->identity = who;
	req->has_identity = true;
	return 0;
}

/* The token for metrics; where there is one, nobody reads them without it, who isn't an administrator by a token of their own. */
static bool has_metrics_token(const struct http_request *req)
{
	const char *token = req->server->opts.auth->metrics_token, *given = http_request_header(req, "Authorization");
	if (!token || !given || strncasecmp(given, "Bearer ", 7) != 0)
		return false;
	given += 7 + strspn(given + 7, " ");
	size_t len = strlen(token);
	return strlen(given) == len && digest_equal(given, token, len);
}

int identity_find_admin(struct http_request *req, struct err *e)
{
	const struct http_auth *a = req->server->opts.auth;
	const bool for_metrics = req->match.route->metrics_token;
	if (for_metrics && has_metrics_token(req))
		return 0;
	if (for_metrics && a->metrics_token && !a->configured)
		return err_set(e, ERR_AUTH, "this needs the token for metrics: Authorization: Bearer …");
	int r = identity_find(req, e);
	if (r < 0 || http_auth_is_admin(a, &req->identity))
		return r;
	req->has_identity = false;
	return err_set_code(e, ERR_DENIED, "ADMIN_ONLY", "this is for administrators: the token's role must be admin");
}

int identity_from_body(struct http_request *req, struct err *e)
{
	const char *user = NULL;
	if (!req->has_identity || req->match.route->access == HTTP_ACCESS_PUBLIC)
		return 0;
	int r = json_get_string(req->json, "user_id", JSON_OPTIONAL, &user, e);
	return r < 0 ? r : apply_user(&req->identity, user, e);
}

/* ---- signatures ---- */

static struct sigv4_pair *headers_with_host(struct http_request *req, const char *host)
{
	struct sigv4_pair *headers = arena_alloc(&req->arena, (req->header_count + 1) * sizeof(*headers));
	for (size_t i = 0; i < req->header_count; i++) {
		headers[i] = req->headers[i];
		if (strcasecmp(headers[i].name, "Host") == 0)
			headers[i].value = host;
	}
	return headers;
}

static struct sigv4_request as_signed(struct http_request *req, const char *host, const char *payload_hash)
{
	return (struct sigv4_request){
		.method = req->method,
		.path = req->uri.path,
		.query = req->uri.query,
		.query_count = req->uri.query_count,
		.headers = headers_with_host(req, host),
		.header_count = req->header_count,
		.payload_hash = payload_hash,
	};
}

static int verify_with_host(struct http_request *req, const char *host, struct err *e)
{
	const struct sigv4_request signed_request = as_signed(req, host, SIGV4_UNSIGNED_PAYLOAD);
	const struct http_server_opts *o = &req->server->opts;
	if (!sigv4_is_presigned(&signed_request))
		return err_set_code(e, ERR_DENIED, "AccessDenied", "this needs a pre-signed URL");
	return sigv4_verify_query(&signed_request, "s3", o->key_lookup, o->key_lookup_ctx, clock_wall_ms(),
				  &req->signature, e);
}

int signature_check(struct http_request *req, struct err *e)
{
	const char *host = http_request_header(req, "Host");
	int r = verify_with_host(req, req->host, e);
	if (r == 0 && req->signature.host_alone && strcmp(req->method, "GET") == 0)
		signed_urls_put(req->server->signed_urls, req->server->router, req->target, req->host, &req->signature);
	/* Behind a proxy: signed for the public name, or for the name that this server was asked by. */
	if (r < 0 && host && strcmp(host, req->host) != 0 && e->kind == ERR_DENIED)
		r = verify_with_host(req, host, e);
	req->has_signature = r == 0;
	return r;
}

bool signature_recall(struct http_request *req)
{
	if (strcmp(req->method, "GET") != 0)
		return false;
	for (size_t i = 0; i < req->header_count; i++)
		if (strncasecmp(req->headers[i].name, "x-amz-", 6) == 0)
			return false;
	struct signed_url *u = signed_urls_find(req->server->signed_urls, req->target, req->host, clock_wall_ms());
	if (!u)
		return false;
	req->remembered = u;
	req->uri = u->uri;
	req->match = u->match;
	req->signature = u->verified;
	req->has_signature = true;
	return true;
}

static int verify_header_with_host(struct http_request *req, const char *host, const char *payload_hash, struct err *e)
{
	const struct sigv4_request signed_request = as_signed(req, host, payload_hash);
	const struct http_server_opts *o = &req->server->opts;
	return sigv4_verify_header(&signed_request, req->match.route->service, o->service_key_lookup, o->key_lookup_ctx,
				   clock_wall_ms(), &req->signature, e);
}

int signature_check_header(struct http_request *req, struct err *e)
{
	char hash[SHA256_HEX_SIZE];
	const char *given = http_request_header(req, "Host");
	const char *host = given ? given : req->host;
	sha256_hex(req->body.data ? req->body.data : "", req->body.len, hash);
	int r = verify_header_with_host(req, host, hash, e);
	/* Behind a proxy it was signed for the public name; and some clients sign the host without its port. */
	if (r < 0 && strcmp(host, req->host) != 0)
		r = verify_header_with_host(req, req->host, hash, e);
	if (r < 0 && strchr(host, ':'))
		r = verify_header_with_host(req, arena_strndup(&req->arena, host, strcspn(host, ":")), hash, e);
	req->has_signature = r == 0;
	return r;
}
