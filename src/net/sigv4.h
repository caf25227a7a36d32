/* AWS Signature Version 4: signing by headers, pre-signing by query, and checking of both. One implementation for the
 * store, the server's /media and /hls URLs, and the Kinesis Video Streams API.
 *
 * Source: "AWS Signature Version 4 for API requests" (IAM User Guide) and "Authenticating Requests: Using Query
 * Parameters" (Amazon S3 API Reference). Pure but for OpenSSL's digests; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define SIGV4_MAX_EXPIRES_S 604800

struct sigv4_key {
	const char *access_key_id;
	const char *secret;
	const char *session_token; /* NULL: none */
	const char *region;  /* of a key that is looked up, NULL: whichever the request was signed for */
	const char *service; /* "s3", "kinesisvideo" */
};

struct sigv4_pair {
	const char *name;
	const char *value;
};

struct sigv4_request {
	const char *method;
	const char *path;               /* decoded, absolute; encoded here (once for s3, twice for other services) */
	const struct sigv4_pair *query; /* decoded pairs, without X-Amz-Signature */
	size_t query_count;
	const struct sigv4_pair *headers; /* the headers to sign, "host" among them; names in any case */
	size_t header_count;
	const char *payload_hash; /* hex SHA-256, or SIGV4_UNSIGNED_PAYLOAD */
};

/* The value of the Authorization header for `req`, signed at `wall_ms`; an x-amz-date header must be among
 * req->headers. */
int sigv4_authorization(const struct sigv4_key *key, const struct sigv4_request *req, int64_t wall_ms, struct buf *out,
			struct err *e) MR_MUST_USE;

/* Appends "{path}?X-Amz-Algorithm=…&…&X-Amz-Signature=…" (path and query encoded, without scheme and host), signed
 * headers: host alone. `extra` are further query pairs (response-content-disposition…), signed too. */
int sigv4_presign(const struct sigv4_key *key, const char *method, const char *host, const char *path,
		  const struct sigv4_pair *extra, size_t extra_count, int64_t wall_ms, uint32_t expires_s,
		  struct buf *out, struct err *e) MR_MUST_USE;

/* The same for a request with a body of exactly so many bytes: content-length is signed, too. */
int sigv4_presign_body(const struct sigv4_key *key, const char *method, const char *host, const char *path,
		       const struct sigv4_pair *extra, size_t extra_count, int64_t wall_ms, uint32_t expires_s,
		       uint64_t body_bytes, struct buf *out, struct err *e) MR_MUST_USE;

/* Finds the secret of an access key: fills *ret_key (pointers valid as long as ctx) and returns true, or false. */
typedef bool (*sigv4_lookup_fn)(void *ctx, const char *access_key_id, struct sigv4_key *ret_key);

struct sigv4_verified {
	char access_key_id[128];
	int64_t signed_at_ms;
	int64_t expires_at_ms; /* INT64_MAX for header signatures */
	bool host_alone;       /* no other header is signed; of a query's signature */
};

/* Whether what was verified from a query is valid at this time (the rest of its check depends on no clock). Pure. */
bool sigv4_verified_at(const struct sigv4_verified *v, int64_t now_ms);

/* Checks a pre-signed request exactly as S3 does: algorithm, credential scope (date, service; region of the key),
 * expiry range 1–604800 s, not used before its date less 15 min, not after its expiry, signed headers present and
 * containing host, signature compared in constant time. req->query holds all pairs of the URL, X-Amz-Signature
 * included; req->headers all headers of the request. Fails with ERR_DENIED and S3's own codes: AccessDenied ("Request
 * has expired"), SignatureDoesNotMatch, InvalidAccessKeyId, AuthorizationQueryParametersError. */
int sigv4_verify_query(const struct sigv4_request *req, const char *service, sigv4_lookup_fn lookup, void *lookup_ctx,
		       int64_t now_ms, struct sigv4_verified *ret, struct err *e) MR_MUST_USE;
/* The same for an Authorization header (clock skew at most 15 min: RequestTimeTooSkewed). */
int sigv4_verify_header(const struct sigv4_request *req, const char *service, sigv4_lookup_fn lookup, void *lookup_ctx,
			int64_t now_ms, struct sigv4_verified *ret, struct err *e) MR_MUST_USE;
/* True if the query carries X-Amz-Signature. */
bool sigv4_is_presigned(const struct sigv4_request *req);
