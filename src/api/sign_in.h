/* What the page is told about signing in at an OpenID provider, as the operator says it once.
 *
 *   struct sign_in_opts o = { "https://login.example/authorize", "https://login.example/token", "millrace", "openid" };
 *   if (sign_in_check(&o, http_auth_opts_configured(&auth), e) < 0) ...
 *
 * Strings are borrowed and outlive the API. Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct sign_in_opts {
	const char *authorize_url; /* where somebody is sent; NULL, like the others: tokens are pasted */
	const char *token_url;	   /* where the page changes the code into a token */
	const char *client_id, *scope;
};

/* ERR_INVALID: something is missing, isn't https (but on loopback), or no token would be accepted (`authentication`). */
int sign_in_check(const struct sign_in_opts *o, bool authentication, struct err *e) MR_MUST_USE;
/* For GET /api/session; null where nothing is configured. */
json_t *sign_in_json(const struct sign_in_opts *o);
/* Appends " https://login.example", the one address beside our own that the page may call; nothing where nothing is configured. */
void sign_in_put_origin(const struct sign_in_opts *o, struct buf *out);
