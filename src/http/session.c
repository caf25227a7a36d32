/* Cookie sessions: our own HS256 token in an HttpOnly cookie, for what a browser requests by itself. Nothing is stored;
 * a session ends with its expiry or with the cookie. The front process; pool threads. */
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/id.h"
#include "http/auth_internal.h"
#include "http/internal.h"
#include "http/jwt.h"
#include "http/response.h"

#define SESSION_AUDIENCE "millrace-session"

int http_session_mint(struct http_auth *a, const struct http_identity *who, char ret_jwt[HTTP_SESSION_MAX],
		      char ret_csrf[HTTP_CSRF_SIZE], struct err *e)
{
	if (!a->session_keys)
		return err_set(e, ERR_UNSUPPORTED, "cookie sessions are not configured");
	uint8_t secret[32];
	random_bytes(secret, sizeof(secret));
	_cleanup_buf_ struct buf csrf, jwt;
	buf_init(&csrf, HTTP_CSRF_SIZE);
	buf_init(&jwt, HTTP_SESSION_MAX - 1);
	(void)base64_encode(&csrf, secret, sizeof(secret), true);
	int64_t now = clock_wall_ms(), until = now + a->session_ms;
	if (who->expires_ms < until)
		until = who->expires_ms;
	json_t *claims = json_pack("{s:s,s:s,s:s,s:I,s:I,s:s*,s:s*}", "sub", who->user, "aud", SESSION_AUDIENCE, "csrf",
				   csrf.data, "iat", (json_int_t)(now / 1000), "exp", (json_int_t)(until / 1000), "role",
				   who->role[0] ? who->role : NULL, "session_id", who->session[0] ? who->session : NULL);
	int r = claims ? jwt_sign(a->session_key, sizeof(a->session_key), claims, &jwt, e)
		       : err_set(e, ERR_INTERNAL, "a session could not be put together");
	json_decref(claims);
	if (r < 0)
		return r;
	memcpy(ret_jwt, jwt.data, jwt.len + 1);
	memcpy(ret_csrf, csrf.data, csrf.len + 1);
	return 0;
}

int http_session_verify(struct http_auth *a, const char *jwt, struct http_identity *ret, struct err *e)
{
	struct err why;
	struct http_identity who;
	json_t *claims = NULL;
	if (!a->session_keys)
		return err_set(e, ERR_UNSUPPORTED, "cookie sessions are not configured");
	if (jwt_verify(a->session_keys, jwt, &claims, &why) != JWT_OK)
		return err_set_code(e, ERR_AUTH, "INVALID_SESSION", "the session cookie is refused");
	int r = jwt_check_claims(claims, NULL, SESSION_AUDIENCE, clock_wall_ms(), &who, &why);
	const char *csrf = json_string_value(json_object_get(claims, "csrf"));
	bool ok = r == 0 && csrf && strlen(csrf) == HTTP_CSRF_SIZE - 1;
	if (ok) {
		who.by = HTTP_BY_COOKIE;
		memcpy(who.csrf, csrf, HTTP_CSRF_SIZE);
		*ret = who;
	}
	json_decref(claims);
	return ok ? 0 : err_set_code(e, ERR_AUTH, "SESSION_EXPIRED", "the session is over");
}

static void set_cookie(struct http_request *req, const char *value, int64_t max_age_s)
{
	bool secure = strcmp(req->scheme, "https") == 0;
	http_response_header(req, "Set-Cookie",
			     http_request_printf(req, "%s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s",
						 HTTP_SESSION_COOKIE, value, (long long)max_age_s,
						 secure ? "; Secure" : ""));
}

int http_session_start_as(struct http_request *req, const struct http_identity *who, char ret_csrf[HTTP_CSRF_SIZE],
			  struct err *e)
{
	struct http_auth *a = req->server->opts.auth;
	char jwt[HTTP_SESSION_MAX], csrf[HTTP_CSRF_SIZE];
	if (!a)
		return err_set(e, ERR_UNSUPPORTED, "this server has no sessions");
	int r = http_session_mint(a, who, jwt, csrf, e);
	if (r < 0)
		return r;
	int64_t left_s = (who->expires_ms - clock_wall_ms()) / 1000;
	set_cookie(req, jwt, left_s < a->session_ms / 1000 ? left_s : a->session_ms / 1000);
	memcpy(ret_csrf, csrf, sizeof(csrf));
	return 0;
}

int http_session_start(struct http_request *req, char ret_csrf[HTTP_CSRF_SIZE], struct err *e)
{
	if (!req->has_identity)
		return err_set(e, ERR_AUTH, "a session needs a token");
	return http_session_start_as(req, &req->identity, ret_csrf, e);
}

void http_session_end(struct http_request *req)
{
	set_cookie(req, "", 0);
}
