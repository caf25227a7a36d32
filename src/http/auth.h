/* Identities: bearer tokens (JWT, RFC 7519, by cjose), cookie sessions, and the open door on loopback.
 *
 *   struct http_auth *auth;
 *   struct http_auth_opts o = { .jwks_url = "https://…/.well-known/jwks.json", .issuer = "https://…", .audience =
  * "web",
 *                               .session_key = key, .session_key_len = 32 };
 *   if (http_auth_check(&o, listen, e) < 0 || http_auth_new(&o, &auth, e) < 0) ...
 *
 *   // POST /api/session
 *   char csrf[HTTP_CSRF_SIZE];
 *   if (http_session_start(req, csrf, e) < 0) return -e->kind;          // sets the cookie on the answer
 *   return http_respond_json(req, 201, json_pack("{s:s}", "csrf_token", csrf));
 *   // DELETE /api/session
 *   http_session_end(req);
 *
 * Which tokens: HS256 if hs256_secret is set; RS256 and ES256 if a JWKS is. Nothing else, `none` least of all; a JWKS
 * key is never used as a shared secret, and the other way round. `iss`, `aud`, `exp` (required), `nbf`, `iat` are
 * checked with 60 s leeway. A Cognito access token (token_use "access") has client_id instead of aud. `sub` is the
 * user: 1–256 bytes of UTF-8 without control characters.
 *
 * Nothing configured: the user is ?user_id=, or the JSON body's user_id, or "local"; such a server only answers to
 * loopback names in Host, so that a web page can't reach it by rebinding a DNS name (unless `insecure`). Configured: a
 * user_id in the request that is not the token's is 403.
 *
 * State-changing methods: by cookie they need X-CSRF-Token equal to the session's (403, code CSRF); by cookie or on the
 * open door an Origin header must be ours or one of the CORS origins.
 *
 * Threads: everything may be used from any thread at once. Verification may wait up to 3 s for a JWKS, so never on an
 * HTTP thread; the JWKS itself is fetched on a thread of its own: at the first need, every hour, and for an unknown key
 * id at most once a minute. Old keys are kept while the URL is away.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct http_auth;
struct http_request;

#define HTTP_USER_MAX 256
#define HTTP_CSRF_SIZE 44
#define HTTP_SESSION_COOKIE "millrace_session"

enum http_identity_by { HTTP_BY_LOCAL, HTTP_BY_TOKEN, HTTP_BY_COOKIE };

/* What a token may say beyond its user: a role, and the one session that it is good for (claims `role` and `session_id` or
 * `sessionId`, each also with Cognito's `custom:` before it). 1–128 of A–Z a–z 0–9 . _ -; "" where it says nothing. A cookie
 * session keeps them. */
#define HTTP_SCOPE_MAX 128

struct http_identity {
	char user[HTTP_USER_MAX + 1];
	char role[HTTP_SCOPE_MAX + 1];
	char session[HTTP_SCOPE_MAX + 1];
	enum http_identity_by by;
	int64_t expires_ms;	   /* wall clock; INT64_MAX for the open door */
	char csrf[HTTP_CSRF_SIZE]; /* of a cookie session, else empty */
};

struct http_auth_opts {
	const char *hs256_secret; /* at least 32 bytes; NULL: no HS256 */
	const char *jwks_url;	  /* http(s); NULL: none */
	const char *jwks_file;	  /* the same from a file, read again when it changes; NULL: none */
	const char *issuer;	  /* NULL: not checked */
	const char *audience;	  /* aud, or Cognito's client_id; NULL: not checked */
	const void *session_key;  /* signs cookies; shared by all fronts; NULL: no cookie sessions */
	size_t session_key_len;	  /* at least 16 */
	uint32_t session_ms;	  /* longest session; 0: 12 h. Never longer than its token */
	const char *metrics_token; /* who shows it may read metrics; NULL: nobody but administrators */
	const char *const *admins; /* users that are administrators whatever their token's role */
	size_t admin_count;
	bool insecure;		  /* serve strangers without authentication beyond loopback */
	uint32_t jwks_unknown_kid_ms; /* fetch again for an unknown key id at most this often; 0: one minute (tests) */
};

/* True if tokens are required. */
bool http_auth_opts_configured(const struct http_auth_opts *o);
/* ERR_INVALID: a secret or session key too short, a JWKS URL and a file, an address beyond loopback without
 * authentication and not `insecure`. `listen` as in http_server_opts. Resolves no names: a host name other than
  * localhost counts as beyond loopback. */
int http_auth_check(const struct http_auth_opts *o, const char *listen, struct err *e) MR_MUST_USE;
/* Copies the options. Fetches nothing yet. */
int http_auth_new(const struct http_auth_opts *o, struct http_auth **ret, struct err *e) MR_MUST_USE;
void http_auth_free(struct http_auth *a);
bool http_auth_configured(const struct http_auth *a);
/* Their token's role is "admin", or they are in the list; without tokens everybody. */
bool http_auth_is_admin(const struct http_auth *a, const struct http_identity *who);

/* A bearer token: 0, -ERR_AUTH (code INVALID_TOKEN or TOKEN_EXPIRED), or -ERR_UNAVAILABLE when keys can't be had yet.
 * May block. */
int http_auth_verify_token(struct http_auth *a, const char *token, struct http_identity *ret,
			   struct err *e) MR_MUST_USE;

/* Cookie sessions without a request (tests, WebSocket hand-over): mint a session of `who` into `ret_jwt`, which holds
 * HTTP_SESSION_MAX bytes, and check one. */
#define HTTP_SESSION_MAX 1792
int http_session_mint(struct http_auth *a, const struct http_identity *who, char ret_jwt[HTTP_SESSION_MAX],
		      char ret_csrf[HTTP_CSRF_SIZE], struct err *e) MR_MUST_USE;
int http_session_verify(struct http_auth *a, const char *jwt, struct http_identity *ret, struct err *e) MR_MUST_USE;
/* For the request's identity: sets HttpOnly, SameSite=Strict, Path=/ (Secure over https) on the answer. ERR_UNSUPPORTED
 * without a session_key. */
int http_session_start(struct http_request *req, char ret_csrf[HTTP_CSRF_SIZE], struct err *e) MR_MUST_USE;
/* The same for an identity that came in another way than by the request's headers (a token in the body). */
int http_session_start_as(struct http_request *req, const struct http_identity *who, char ret_csrf[HTTP_CSRF_SIZE],
			  struct err *e) MR_MUST_USE;
void http_session_end(struct http_request *req);
