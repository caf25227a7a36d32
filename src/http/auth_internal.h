/* What auth.c, session.c and identity.c share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/digest.h"

struct jwks;
struct jwt_keys;

/* Immutable after http_auth_new; what changes is inside of jwks. */
struct http_auth {
	bool configured, insecure;
	char *issuer, *audience;
	char *metrics_token; /* or NULL */
	char **admins;	     /* users */
	size_t admin_count;
	struct jwt_keys *secret;       /* HS256, or NULL */
	struct jwks *jwks;             /* or NULL */
	struct jwt_keys *session_keys; /* NULL: no cookie sessions */
	uint8_t session_key[SHA256_BYTES];
	int64_t session_ms;
};
