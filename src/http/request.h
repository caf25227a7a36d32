/* One request, as its handler sees it.
 *
 *   static int job_create(void *ctx, struct http_request *req, struct err *e)
 *   {
 *           const struct http_identity *who = http_request_identity(req);
 *           json_t *in = http_request_json(req);
 *           const char *kind, *file_id;
 *           if (json_get_string(in, "kind", JSON_REQUIRED, &kind, e) < 0 ||
 *               json_get_string(in, "file_id", JSON_OPTIONAL, &file_id, e) < 0)
 *                   return -e->kind;
 *           const char *again = http_request_header(req, "Idempotency-Key");
 *           ...
 *           return http_respond_json(req, 202, job_to_json(j));
 *   }
 *
 * Everything returned here is owned by the request and lives until its response has been sent (until the handler, or
 * the sink's finish, has returned, to be safe). Accessors never block and never fail: what is absent is NULL. One
 * thread at a time: the one that runs the handler.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/auth.h"
#include "http/json.h"
#include "http/route.h"
#include "net/sigv4.h"

/* Upper case; "HEAD" for a HEAD request that a GET route answers. */
const char *http_request_method(const struct http_request *req);
/* Decoded, absolute, without query. */
const char *http_request_path(const struct http_request *req);
const struct http_route *http_request_route(const struct http_request *req);
/* A path parameter, decoded: valid UTF-8, no control characters. NULL if the pattern has none of that name. */
const char *http_request_param(const struct http_request *req, const char *name);

/* A query value, decoded ('+' is a space); the first of that name; "" for "?name". */
const char *http_request_query(const struct http_request *req, const char *name);
/* All decoded pairs in order. */
const struct sigv4_pair *http_request_query_pairs(const struct http_request *req, size_t *ret_count);
/* ?limit=20: absent → `fallback`; not a decimal number in [min, max] → ERR_INVALID naming it. */
int http_request_query_int(const struct http_request *req, const char *name, int64_t min, int64_t max, int64_t fallback,
			   int64_t *ret, struct err *e) MR_MUST_USE;

/* The first header of that name, in any case. */
const char *http_request_header(const struct http_request *req, const char *name);
const struct sigv4_pair *http_request_headers(const struct http_request *req, size_t *ret_count);
const char *http_request_cookie(const struct http_request *req, const char *name);
/* True if one of the comma-separated elements of the header equals `token` (case-insensitive). */
bool http_request_header_has(const struct http_request *req, const char *name, const char *token);

/* Who asks. Never NULL in USER and OWNER routes (but for signed requests to those with signed_too). In PUBLIC routes it is who
 * asks if a valid token or session came along, else NULL (a bad one is not an error there). NULL in SIGNED routes. */
const struct http_identity *http_request_identity(const struct http_request *req);
/* SIGNED and SIGNED_HEADER routes: which key signed, and until when. NULL elsewhere. */
const struct sigv4_verified *http_request_signature(const struct http_request *req);
/* OWNER routes: what `load` found. */
void *http_request_resource(const struct http_request *req);

/* The X-Request-Id of the response: the client's own if it is 1–64 of A–Z a–z 0–9 . _ -, else a new UUID. */
const char *http_request_id(const struct http_request *req);
/* False on an HTTP thread. */
bool http_request_may_block(const struct http_request *req);
/* Numeric address of the client; with trust_proxy, the last of X-Forwarded-For. */
const char *http_request_remote(const struct http_request *req);
/* "https" or "http"; "media.example:8443"; "https://media.example:8443": as the client sees the server. Links and
 * signatures use these. */
const char *http_request_scheme(const struct http_request *req);
const char *http_request_host(const struct http_request *req);
const char *http_request_base_url(const struct http_request *req);

/* HTTP_BODY_JSON: always an object. Borrowed; NULL for other bodies. */
json_t *http_request_json(const struct http_request *req);
/* HTTP_BODY_BYTES and _JSON: the body as it came, NUL-terminated behind its length. */
const char *http_request_body(const struct http_request *req, size_t *ret_len);
/* -1 if unknown (chunked) or no body. */
int64_t http_request_content_length(const struct http_request *req);

/* Waiting without a thread: a handler on the pool that can't answer yet returns HTTP_LATER (and has made no answer), and runs
 * again, from its beginning and with its resource loaded anew, when somebody calls http_request_again: exactly once for each
 * HTTP_LATER, from any thread, also before the handler has returned; never blocks. The client isn't watched meanwhile, and a
 * server that stops waits for it. */
void http_request_again(struct http_request *req);
/* What a handler keeps from one run to the next: zeroed by the first call, the same memory by later ones. */
void *http_request_keep(struct http_request *req, size_t size) __attribute__((returns_nonnull));

/* Zeroed memory that lives as long as the request; aborts when out of memory, so not for sizes that input decides
 * beyond the limits above. */
void *http_request_alloc(struct http_request *req, size_t size) __attribute__((returns_nonnull));
char *http_request_strdup(struct http_request *req, const char *s) __attribute__((returns_nonnull));
char *http_request_printf(struct http_request *req, const char *fmt, ...) MR_PRINTF(2, 3)
	__attribute__((returns_nonnull));
/* A mark for the access line (job id, file id…); copied. The last three count. */
void http_request_log(struct http_request *req, const char *key, const char *value);
