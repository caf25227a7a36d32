/* JSON Web Tokens. The front process; pool threads. */
#include "http/jwt.h"

#include <cjose/cjose.h>
#include <stdatomic.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "http/json.h"

#define LEEWAY_S 60
#define KEYS_MAX 64
#define RSA_MIN_BITS 2048

struct jwt_key {
	cjose_jwk_t *jwk;
	const char *alg;
	char *kid; /* NULL: none */
};

struct jwt_keys {
	atomic_uint refs;
	size_t count;
	struct jwt_key keys[KEYS_MAX];
};

static int refuse(struct err *e, const char *why)
{
	return err_set_code(e, ERR_AUTH, "INVALID_TOKEN", "the token is refused: %s", why);
}

/* ---- keys ---- */

static struct jwt_keys *keys_new(void)
{
	struct jwt_keys *k = mr_calloc(1, sizeof(*k));
	atomic_store(&k->refs, 1);
	return k;
}

struct jwt_keys *jwt_keys_ref(struct jwt_keys *keys)
{
	(void)atomic_fetch_add(&keys->refs, 1);
	return keys;
}

void jwt_keys_unref(struct jwt_keys *keys)
{
	if (!keys || atomic_fetch_sub(&keys->refs, 1) != 1)
		return;
	for (size_t i = 0; i < keys->count; i++) {
		(void)cjose_jwk_release(keys->keys[i].jwk);
		free(keys->keys[i].kid);
	}
	free(keys);
}

struct jwt_keys *jwt_keys_from_secret(const void *secret, size_t len)
{
	struct jwt_keys *k = keys_new();
	cjose_err why;
	cjose_jwk_t *jwk = cjose_jwk_create_oct_spec(secret, len, &why);
	if (jwk)
		k->keys[k->count++] = (struct jwt_key) { jwk, CJOSE_HDR_ALG_HS256, NULL };
	return k;
}

/* What an imported key may verify; NULL: nothing that we take. */
static const char *alg_of(const cjose_jwk_t *jwk, const json_t *json)
{
	cjose_err why;
	const char *use = json_string_value(json_object_get(json, "use"));
	const char *alg = json_string_value(json_object_get(json, "alg"));
	const char *ours = NULL;
	if (use && strcmp(use, "sig") != 0)
		return NULL;
	switch (cjose_jwk_get_kty(jwk, &why)) {
	case CJOSE_JWK_KTY_RSA:
		ours = cjose_jwk_get_keysize(jwk, &why) >= RSA_MIN_BITS ? CJOSE_HDR_ALG_RS256 : NULL;
		break;
	case CJOSE_JWK_KTY_EC:
		ours = cjose_jwk_EC_get_curve(jwk, &why) == CJOSE_JWK_EC_P_256 ? CJOSE_HDR_ALG_ES256 : NULL;
		break;
	case CJOSE_JWK_KTY_OCT:
		break;
	}
	return ours && alg && strcmp(alg, ours) != 0 ? NULL : ours;
}

static void add_jwk(struct jwt_keys *k, const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);
	cjose_err why;
	cjose_jwk_t *jwk = text ? cjose_jwk_import(text, strlen(text), &why) : NULL;
	free(text);
	const char *alg = jwk ? alg_of(jwk, json) : NULL;
	if (!alg) {
		(void)cjose_jwk_release(jwk);
		return;
	}
	const char *kid = json_string_value(json_object_get(json, "kid"));
	k->keys[k->count++] = (struct jwt_key) { jwk, alg, kid ? mr_strdup(kid) : NULL };
}

int jwt_keys_from_jwks(const char *text, size_t len, struct jwt_keys **ret, struct err *e)
{
	json_t *root;
	if (json_parse(text, len, &root, e) < 0)
		return err_wrap(e, "the key set");
	const json_t *list = json_object_get(root, "keys");
	struct jwt_keys *k = keys_new();
	for (size_t i = 0; i < json_array_size(list) && k->count < KEYS_MAX; i++)
		add_jwk(k, json_array_get(list, i));
	json_decref(root);
	if (!k->count) {
		jwt_keys_unref(k);
		return err_set(e, ERR_INVALID, "the key set has no RSA or P-256 key for signatures");
	}
	*ret = k;
	return 0;
}

/* ---- verify ---- */

static enum jwt_result check_signature(const struct jwt_keys *keys, cjose_jws_t *jws, struct err *e)
{
	cjose_err why;
	json_t *header = cjose_jws_get_protected(jws);
	const char *alg = json_string_value(json_object_get(header, "alg"));
	const char *kid = json_string_value(json_object_get(header, "kid"));
	if (!alg || json_object_get(header, "crit") || json_object_get(header, "b64")) {
		(void)refuse(e, "its header asks for what is not supported");
		return JWT_REFUSED;
	}
	bool tried = false;
	for (size_t i = 0; i < keys->count; i++) {
		const struct jwt_key *k = &keys->keys[i];
		if (strcmp(k->alg, alg) != 0 || (kid && k->kid && strcmp(kid, k->kid) != 0))
			continue;
		tried = true;
		if (cjose_jws_verify(jws, k->jwk, &why))
			return JWT_OK;
	}
	if (!tried)
		(void)refuse(e, "no key of its id and algorithm is known");
	else
		(void)refuse(e, "its signature is wrong");
	return tried ? JWT_REFUSED : JWT_UNKNOWN_KEY;
}

enum jwt_result jwt_verify(struct jwt_keys *keys, const char *token, json_t **ret_claims, struct err *e)
{
	cjose_err why;
	size_t len = strnlen(token, JWT_MAX_BYTES + 1);
	cjose_jws_t *jws = len <= JWT_MAX_BYTES ? cjose_jws_import(token, len, &why) : NULL;
	if (!jws) {
		(void)refuse(e, "it is not a signed JSON Web Token");
		return JWT_REFUSED;
	}
	uint8_t *text;
	size_t text_len;
	json_t *claims = NULL;
	enum jwt_result r = check_signature(keys, jws, e);
	if (r == JWT_OK && (!cjose_jws_get_plaintext(jws, &text, &text_len, &why) ||
			    json_parse((const char *)text, text_len, &claims, e) < 0 || !json_is_object(claims))) {
		json_decref(claims);
		(void)refuse(e, "its claims are not a JSON object");
		r = JWT_REFUSED;
	}
	cjose_jws_release(jws);
	if (r == JWT_OK)
		*ret_claims = claims;
	return r;
}

/* ---- claims ---- */

static bool is_audience(const json_t *claims, const char *audience)
{
	const json_t *aud = json_object_get(claims, "aud");
	const char *use = json_string_value(json_object_get(claims, "token_use"));
	/* Cognito's access tokens carry no aud. */
	if (!aud && use && strcmp(use, "access") == 0)
		aud = json_object_get(claims, "client_id");
	if (json_is_string(aud))
		return strcmp(json_string_value(aud), audience) == 0;
	for (size_t i = 0; i < json_array_size(aud); i++) {
		const char *s = json_string_value(json_array_get(aud, i));
		if (s && strcmp(s, audience) == 0)
			return true;
	}
	return false;
}

/* A NumericDate in seconds; `fallback` if absent, NAN for what is no number. */
static double seconds(const json_t *claims, const char *name, double fallback)
{
	const json_t *v = json_object_get(claims, name);
	return !v ? fallback : json_is_number(v) ? json_number_value(v) : __builtin_nan("");
}

int user_check(const char *user, struct err *e)
{
	size_t len = strnlen(user, HTTP_USER_MAX + 1);
	bool ok = len >= 1 && len <= HTTP_USER_MAX && utf8_valid(user, len);
	for (size_t i = 0; ok && i < len; i++)
		ok = (unsigned char)user[i] >= 0x20 && user[i] != 0x7F;
	return ok ? 0
		  : err_set_code(e, ERR_INVALID, "INVALID_FIELD",
				 "the user must be 1 to %d bytes of UTF-8 without control characters", HTTP_USER_MAX);
}

/* The first of these claims that is there; false if it is not usable as a name. */
static bool scope_claim(const json_t *claims, const char *const names[], char out[HTTP_SCOPE_MAX + 1])
{
	const json_t *v = NULL;
	for (size_t i = 0; names[i] && !v; i++)
		v = json_object_get(claims, names[i]);
	if (!v)
		return true;
	const char *s = json_string_value(v);
	size_t len = s ? json_string_length(v) : 0;
	if (len < 1 || len > HTTP_SCOPE_MAX ||
	    strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != len)
		return false;
	memcpy(out, s, len + 1);
	return true;
}

int jwt_check_claims(const json_t *claims, const char *issuer, const char *audience, int64_t now_ms,
		     struct http_identity *ret, struct err *e)
{
	double now = (double)now_ms / 1000;
	double expires = seconds(claims, "exp", __builtin_nan(""));
	/* Comparisons with NAN are false, so each is written such that false refuses. */
	if (!(expires > 0))
		return refuse(e, "it has no expiry");
	if (!(now < expires + LEEWAY_S))
		return err_set_code(e, ERR_AUTH, "TOKEN_EXPIRED", "the token has expired");
	if (!(seconds(claims, "nbf", 0) <= now + LEEWAY_S) || !(seconds(claims, "iat", 0) <= now + LEEWAY_S))
		return refuse(e, "it is not valid yet");
	const char *iss = json_string_value(json_object_get(claims, "iss"));
	if (issuer && (!iss || strcmp(iss, issuer) != 0))
		return refuse(e, "it is from another issuer");
	if (audience && !is_audience(claims, audience))
		return refuse(e, "it is for another audience");
	const json_t *sub = json_object_get(claims, "sub");
	if (!json_is_string(sub) || user_check(json_string_value(sub), NULL) < 0)
		return refuse(e, "its subject is no usable user");
	*ret = (struct http_identity) { .by = HTTP_BY_TOKEN };
	memcpy(ret->user, json_string_value(sub), json_string_length(sub));
	ret->expires_ms = expires < 9e15 ? (int64_t)(expires * 1000) : INT64_MAX;
	static const char *const roles[] = { "role", "custom:role", NULL };
	static const char *const sessions[] = { "session_id", "sessionId", "custom:session_id", "custom:sessionId", NULL };
	/* What is no name matches no session: a token that is refused for it alone would be no use for anything else. */
	if (!scope_claim(claims, roles, ret->role) || !scope_claim(claims, sessions, ret->session))
		ret->role[0] = ret->session[0] = '\0';
	return 0;
}

/* ---- sign ---- */

int jwt_sign(const void *secret, size_t len, const json_t *claims, struct buf *out, struct err *e)
{
	cjose_err why;
	const char *compact = NULL;
	char *text = json_dumps(claims, JSON_COMPACT);
	json_t *header = cjose_header_new(&why);
	cjose_jwk_t *jwk = cjose_jwk_create_oct_spec(secret, len, &why);
	cjose_jws_t *jws = NULL;
	if (text && header && jwk && cjose_header_set(header, CJOSE_HDR_ALG, CJOSE_HDR_ALG_HS256, &why))
		jws = cjose_jws_sign(jwk, header, (const uint8_t *)text, strlen(text), &why);
	bool ok = jws && cjose_jws_export(jws, &compact, &why) && buf_puts(out, compact);
	cjose_jws_release(jws);
	(void)cjose_jwk_release(jwk);
	if (header)
		cjose_header_release(header);
	free(text);
	return ok ? 0 : err_set(e, ERR_INTERNAL, "a session token could not be signed");
}
