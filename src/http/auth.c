/* Authentication as configured: which tokens count. The front process; pool threads. */
#include "http/auth.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/auth_internal.h"
#include "http/jwks.h"
#include "http/jwt.h"
#include "http/listen.h"
#include "net/digest.h"

#define SECRET_MIN_BYTES 32 /* RFC 7518, 3.2: as long as the hash at least */
#define SESSION_KEY_MIN_BYTES 16
#define METRICS_TOKEN_MIN_BYTES 16
#define SESSION_MS (12 * 3600 * 1000)
#define UNKNOWN_KID_MS 60000

bool http_auth_opts_configured(const struct http_auth_opts *o)
{
	return o->hs256_secret || o->jwks_url || o->jwks_file;
}

static int check_listen(bool open_door, const struct listen_address *a, struct err *e)
{
	if (!open_door || a->loopback)
		return 0;
	return err_set_code(
		e, ERR_INVALID, "INSECURE_LISTEN",
		"listening on %s without authentication lets everybody in: configure tokens, listen on loopback, or "
		"say --insecure",
		a->host);
}

int http_auth_check(const struct http_auth_opts *o, const char *listen, struct err *e)
{
	struct listen_address a;
	int r = listen_parse(listen, &a, e);
	if (r < 0)
		return r;
	if (o->hs256_secret && strlen(o->hs256_secret) < SECRET_MIN_BYTES)
		return err_set(e, ERR_INVALID, "the HS256 secret must have %d bytes at least", SECRET_MIN_BYTES);
	if (o->jwks_url && o->jwks_file)
		return err_set(e, ERR_INVALID, "the keys come from a JWKS URL or from a file, not from both");
	if (o->metrics_token && strlen(o->metrics_token) < METRICS_TOKEN_MIN_BYTES)
		return err_set(e, ERR_INVALID, "the token for metrics must have %d bytes at least", METRICS_TOKEN_MIN_BYTES);
	if (o->session_key && o->session_key_len < SESSION_KEY_MIN_BYTES)
		return err_set(e, ERR_INVALID, "the session key must have %d bytes at least", SESSION_KEY_MIN_BYTES);
	return check_listen(!http_auth_opts_configured(o) && !o->insecure, &a, e);
}

int auth_check_listen(const struct http_auth *auth, const struct listen_address *a, struct err *e)
{
	return check_listen(!auth->configured && !auth->insecure, a, e);
}

static char *copy(const char *s)
{
	return s ? mr_strdup(s) : NULL;
}

int http_auth_new(const struct http_auth_opts *o, struct http_auth **ret, struct err *e)
{
	int r = http_auth_check(o, ":0", e);
	if (r < 0)
		return r;
	struct http_auth *a = mr_calloc(1, sizeof(*a));
	a->configured = http_auth_opts_configured(o);
	a->insecure = o->insecure;
	a->issuer = copy(o->issuer);
	a->audience = copy(o->audience);
	a->metrics_token = copy(o->metrics_token);
	a->admins = mr_calloc(o->admin_count + 1, sizeof(*a->admins));
	for (; a->admin_count < o->admin_count; a->admin_count++)
		a->admins[a->admin_count] = mr_strdup(o->admins[a->admin_count]);
	a->session_ms = o->session_ms ? o->session_ms : SESSION_MS;
	if (o->hs256_secret)
		a->secret = jwt_keys_from_secret(o->hs256_secret, strlen(o->hs256_secret));
	if (o->jwks_url || o->jwks_file)
		a->jwks = jwks_new(o->jwks_url, o->jwks_file,
				   o->jwks_unknown_kid_ms ? o->jwks_unknown_kid_ms : UNKNOWN_KID_MS);
	if (o->session_key) {
		/* A key of its own, so that a session can't be taken for a token nor a token for a session, even if
		 * somebody configures the same secret for both. */
		static const char label[] = "millrace session cookie v1";
		hmac_sha256(o->session_key, o->session_key_len, label, sizeof(label) - 1, a->session_key);
		a->session_keys = jwt_keys_from_secret(a->session_key, sizeof(a->session_key));
	}
	*ret = a;
	return 0;
}

void http_auth_free(struct http_auth *a)
{
	if (!a)
		return;
	jwt_keys_unref(a->secret);
	jwt_keys_unref(a->session_keys);
	jwks_free(a->jwks);
	free(a->issuer);
	free(a->audience);
	free(a->metrics_token);
	for (size_t i = 0; i < a->admin_count; i++)
		free(a->admins[i]);
	free(a->admins);
	explicit_bzero(a->session_key, sizeof(a->session_key));
	free(a);
}

bool http_auth_configured(const struct http_auth *a)
{
	return a->configured;
}

bool http_auth_is_admin(const struct http_auth *a, const struct http_identity *who)
{
	if (!a->configured || strcmp(who->role, "admin") == 0)
		return true;
	for (size_t i = 0; i < a->admin_count; i++)
		if (strcmp(a->admins[i], who->user) == 0)
			return true;
	return false;
}

static enum jwt_result verify_by_jwks(struct http_auth *a, const char *token, json_t **ret_claims, struct err *e)
{
	struct jwt_keys *keys;
	if (jwks_get(a->jwks, &keys, e) < 0)
		return JWT_REFUSED;
	enum jwt_result r = jwt_verify(keys, token, ret_claims, e);
	bool other = r == JWT_UNKNOWN_KEY && jwks_refresh(a->jwks, keys);
	jwt_keys_unref(keys);
	if (other && jwks_get(a->jwks, &keys, e) == 0) {
		r = jwt_verify(keys, token, ret_claims, e);
		jwt_keys_unref(keys);
	}
	return r;
}

int http_auth_verify_token(struct http_auth *a, const char *token, struct http_identity *ret, struct err *e)
{
	struct err local = { 0 };
	struct err *why = e ? e : &local;
	json_t *claims = NULL;
	enum jwt_result r = JWT_UNKNOWN_KEY;
	(void)err_set_code(why, ERR_AUTH, "INVALID_TOKEN", "no tokens are taken here");
	if (a->secret)
		r = jwt_verify(a->secret, token, &claims, why);
	if (r == JWT_UNKNOWN_KEY && a->jwks)
		r = verify_by_jwks(a, token, &claims, why);
	if (r != JWT_OK)
		return -(int)why->kind;
	int rc = jwt_check_claims(claims, a->issuer, a->audience, clock_wall_ms(), ret, why);
	json_decref(claims);
	return rc;
}
