/* AWS credentials from the usual places: found, kept, and fetched anew before they expire.
 *
 *   struct aws_credentials *c = aws_credentials_new(&(struct aws_credentials_opts){ .region = "eu-west-1" });
 *   struct aws_keys keys;
 *   if (aws_credentials_get(c, &keys, e) < 0) ...                 // may block: not on an HTTP or live thread
 *   struct sigv4_key key = { keys.access_key_id, keys.secret, keys.session_token, "eu-west-1", "s3" };
 *   ...
 *   aws_keys_release(&keys);
 *   aws_credentials_free(c);
 *
 * The first place that has any is asked, in the order of AWS's own SDKs:
 *
 *   1. environment           AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   2. web identity          AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN (AssumeRoleWithWebIdentity; AWS_ENDPOINT_URL_STS)
 *   3. shared files          AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE, AWS_PROFILE: keys, or a web identity of the profile
 *   4. container             AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI, AWS_CONTAINER_AUTHORIZATION_TOKEN[_FILE]
 *   5. instance metadata     version 2, with a session token (AWS_EC2_METADATA_SERVICE_ENDPOINT, AWS_EC2_METADATA_DISABLED)
 *
 * A place that is named but can't be used is an error: nothing is signed in another name than the one that was meant. Profiles that
 * assume a role by other keys, sign-on and credential_process are not known. AWS_CA_BUNDLE names a file of those who sign
 * certificates.
 *
 * What expires is fetched anew from five minutes before; while that fails the old is used until it has expired. Files are read
 * again every five minutes, so that keys can be changed while the server runs. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct aws_keys {
	char *access_key_id, *secret;
	char *session_token; /* NULL: none */
	int64_t expires_ms;  /* wall clock; INT64_MAX: never */
};
/* Zeroed afterwards. A zeroed one is fine. */
void aws_keys_release(struct aws_keys *k);

struct aws_credentials;
struct aws_credentials_opts {
	const char *region; /* whose STS is asked; NULL: AWS_REGION, AWS_DEFAULT_REGION, us-east-1. Copied */
	/* What stands for getenv in tests; NULL: getenv. */
	const char *(*env)(const char *name);
	int64_t (*now_ms)(void);    /* the wall clock in tests; NULL: clock_wall_ms */
	const char *container_host; /* of a relative URI; NULL: http://169.254.170.2 */
};
struct aws_credentials *aws_credentials_new(const struct aws_credentials_opts *opts) __attribute__((returns_nonnull));
/* NULL is fine. */
void aws_credentials_free(struct aws_credentials *c);

/* Copies the keys, which the caller releases. Blocks while they are fetched, ten seconds at most. ERR_AUTH/NO_CREDENTIALS: no
 * place has any; ERR_INVALID: a place is set up badly; ERR_AUTH: a place refused; ERR_UNAVAILABLE, ERR_TIMEOUT: it is away. */
int aws_credentials_get(struct aws_credentials *c, struct aws_keys *ret, struct err *e) MR_MUST_USE;
/* Copies what is kept, if it can be signed with now; never blocks. *ret_due: call aws_credentials_get soon, on a thread that may
 * block; set if it returns false, too. */
bool aws_credentials_peek(struct aws_credentials *c, struct aws_keys *ret, bool *ret_due);
/* A service said that these keys are expired or unknown: they are fetched anew by the next aws_credentials_get. */
void aws_credentials_reject(struct aws_credentials *c, const char *access_key_id);
