/* JSON Web Tokens (RFC 7515, 7519) over cjose: verify against a set of keys, check the claims, sign with HS256.
 *
 *   struct jwt_keys *keys = jwt_keys_from_secret(secret, len);
 *   json_t *claims;
 *   enum jwt_result r = jwt_verify(keys, token, &claims, e);
 *
 * Which algorithm a key may be used with is fixed when it is read: an RSA key is RS256, a P-256 key ES256, a secret
 * HS256. The token's `alg` only chooses among keys; so neither `none` nor an RSA public key used as an HMAC secret can
 * pass. Sets are counted and immutable: any thread.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/auth.h"

#define JWT_MAX_BYTES (16u << 10)

struct jwt_keys;

struct jwt_keys *jwt_keys_from_secret(const void *secret, size_t len);
/* A JWK set (RFC 7517): RSA of 2048 bits at least and P-256 keys for signatures; others are passed over. ERR_INVALID if
 * it is none, or without one usable key. */
int jwt_keys_from_jwks(const char *text, size_t len, struct jwt_keys **ret, struct err *e) MR_MUST_USE;
struct jwt_keys *jwt_keys_ref(struct jwt_keys *keys);
void jwt_keys_unref(struct jwt_keys *keys);

enum jwt_result { JWT_OK, JWT_REFUSED, JWT_UNKNOWN_KEY };
/* JWT_UNKNOWN_KEY: well-formed, but no key of that id and algorithm is in the set; another set may have it. The caller
 * owns *ret_claims (an object). *e is set unless JWT_OK. */
enum jwt_result jwt_verify(struct jwt_keys *keys, const char *token, json_t **ret_claims, struct err *e);

/* iss, aud (or Cognito's client_id), exp, nbf, iat with 60 s leeway; sub becomes ret->user. issuer and audience may be
 * NULL. Pure. */
int jwt_check_claims(const json_t *claims, const char *issuer, const char *audience, int64_t now_ms,
		     struct http_identity *ret, struct err *e) MR_MUST_USE;
/* 1–256 bytes of UTF-8 without control characters. */
int user_check(const char *user, struct err *e) MR_MUST_USE;

/* Appends the compact form, signed with HS256. */
int jwt_sign(const void *secret, size_t len, const json_t *claims, struct buf *out, struct err *e) MR_MUST_USE;
