/* /api/session: exchanges a token for a cookie, for what a browser requests by itself. */
#include "api/internal.h"
#include "base/clock.h"

int session_get(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	(void)e;
	const struct http_identity *who = http_request_identity(req);
	bool required = http_auth_configured(a->o.auth);
	return http_respond_json(req, 200,
				 json_pack("{sb sb sb ss? ss? so}", "authenticated", who != NULL, "required", (int)required,
					   "admin", who && http_auth_is_admin(a->o.auth, who),
					   "user_id", who ? who->user : NULL, "csrf_token",
					   who && who->csrf[0] ? who->csrf : NULL, "sign_in", sign_in_json(&a->o.sign_in)));
}

/* The token comes in the Authorization header or, from a form, in the body. */
int session_start(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	char csrf[HTTP_CSRF_SIZE];
	struct http_identity from_body;
	const struct http_identity *who = http_request_identity(req);
	const char *token = NULL;
	int r = json_get_string(http_request_json(req), "token", JSON_OPTIONAL, &token, e);
	if (r < 0)
		return r;
	if (token) {
		r = http_auth_verify_token(a->o.auth, token, &from_body, e);
		if (r < 0)
			return r;
		who = &from_body;
	}
	if (!who)
		return err_set(e, ERR_AUTH, "a token is needed: Authorization: Bearer …, or {\"token\": …}");
	r = http_session_start_as(req, who, csrf, e);
	if (r < 0)
		return r;
	return http_respond_json(req, 201,
				 json_pack("{ss ss so}", "user_id", who->user, "csrf_token", csrf, "expires_at",
					   json_time(who->expires_ms == INT64_MAX ? 0 : who->expires_ms)));
}

int session_end(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)e;
	http_session_end(req);
	return http_respond_empty(req, 204);
}
