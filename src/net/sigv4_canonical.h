/* What signing and checking share: the canonical request, the string to sign and the signature. Private to
 * net/sigv4*.c.
 *
 *   sigv4_signed_headers(req, &names, e);                          // "host;range;x-amz-date"
 *   sigv4_canonical_request(req, "s3", names.data, hash, &canonical, e);
 *   sigv4_signature(key, "20130524T000000Z", &canonical, hex);
 *
 * Pure; any thread. Sizes are capped: what exceeds them is ERR_TOO_LARGE.
 */
#pragma once

#include "net/digest.h"
#include "net/sigv4.h"

#define SIGV4_ALGORITHM "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR "aws4_request"
#define SIGV4_CANONICAL_MAX (256u << 10)
#define SIGV4_QUERY_MAX 1000 /* pairs */
#define SIGV4_DATE_LEN 8     /* "20130524", the day at the start of X-Amz-Date */

/* The names of all headers of `req`: lower case, sorted, each once, joined by ';'. */
int sigv4_signed_headers(const struct sigv4_request *req, struct buf *out, struct err *e) MR_MUST_USE;
/* `signed_headers` decides which headers of `req` go in, and their order. A query pair named X-Amz-Signature is left
 * out. */
int sigv4_canonical_request(const struct sigv4_request *req, const char *service, const char *signed_headers,
			    const char *payload_hash, struct buf *out, struct err *e) MR_MUST_USE;
/* Appends the canonical query of `req`, without X-Amz-Signature. */
int sigv4_canonical_query(const struct sigv4_request *req, struct buf *out, struct err *e) MR_MUST_USE;
/* Hex signature of a canonical request made at `amz_date` ("20130524T000000Z") in the key's region and service. */
void sigv4_signature(const struct sigv4_key *key, const char *amz_date, const struct buf *canonical,
		     char out[SHA256_HEX_SIZE]);

/* The first header (query pair) of that name, or NULL; header names compare without case. */
const char *sigv4_header(const struct sigv4_request *req, const char *name);
/* The payload hash to use where the request names none: unsigned for S3, that of nothing for everybody else. */
const char *sigv4_default_payload_hash(const char *service);
