/* The route table: which handler answers which method and path, who may call it, and what body it takes.
 *
 *   static int job_load(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err
  * *e)
 *   {
 *           struct api *api = ctx;
 *           return job_find_of(api->jobs, http_request_param(req, "id"), who->user, ret, e);  // or -ERR_NOT_FOUND
 *   }
 *   static int job_get(void *ctx, struct http_request *req, struct err *e)
 *   {
 *           struct job *j = http_request_resource(req);
 *           return http_respond_json(req, 200, job_to_json(j));
 *   }
 *   static const struct http_route routes[] = {
 *           { "GET", "/healthz", healthz, .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE },
 *           { "POST", "/api/jobs", job_create, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_JSON },
 *           { "GET", "/api/jobs/{id}", job_get, .access = HTTP_ACCESS_OWNER, .load = job_load, .unload = job_unload },
 *           { "POST", "/api/files", NULL, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_STREAM, .sink = &file_sink },
 *           { "GET", "/media/{key...}", media_get, .access = HTTP_ACCESS_SIGNED, .where = HTTP_INLINE_FIRST },
 *   };
 *
 * Patterns: segments separated by '/', each either literal or "{name}" (one non-empty segment); the last may be
 * "{name...}", the rest of the path with its slashes (one byte at least). A literal segment beats a parameter, a
 * parameter beats a rest, whatever the order of the table. Paths are split at '/' before percent-decoding, so "%2F" in
 * a parameter never separates (it is refused there, and kept in a rest); "." and ".." segments in any encoding, bad
 * escapes and NUL are 400 before a route is looked for. A trailing slash is significant.
 *
 * GET routes answer HEAD too, unless a HEAD route is there. OPTIONS is answered by the layer (CORS preflight and Allow)
 * unless an OPTIONS route is there, which then answers all but preflights. An unknown path is 404, a known one with
 * another method 405 with Allow.
 *
 * Access is checked by the layer before the handler runs, and can't be forgotten: a route without it, or one that names
 * a resource by parameter and is open to every user, stops the server from starting (http_routes_check).
 *
 * Order for one request: route → limits by header → identity and access (`load` too, unless the body is JSON, which may
 * name the user) → 100-continue, body → (JSON: `load`) → handler → response → `unload`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct http_request;
struct http_identity;
struct http_sink;

enum http_access {
	HTTP_ACCESS_UNSET = 0, /* invalid: the server refuses to start */
	HTTP_ACCESS_PUBLIC,    /* anybody; with a parameter in the pattern `public_param` must say so, too */
	HTTP_ACCESS_USER,      /* an identity is needed; no parameter in the pattern */
	HTTP_ACCESS_OWNER,     /* an identity, and what `load` finds for it */
	/* An identity that is an administrator's (http_auth_is_admin); where no tokens are configured, as USER. With
	 * `metrics_token` the token for metrics does as well, without an identity. */
	HTTP_ACCESS_ADMIN,
	HTTP_ACCESS_SIGNED,    /* a valid SigV4 pre-signed URL (service s3), else 403; no other identity is looked at */
	/* A valid SigV4 Authorization header for the route's `service`, over the whole body; else what `refuse` says. The body is
	 * read before the signature can be checked, so its maximum should be small. */
	HTTP_ACCESS_SIGNED_HEADER,
};

enum http_where {
	HTTP_ON_POOL = 0, /* the handler may block on database and store */
	HTTP_INLINE,	  /* on the HTTP thread: must not block. Only PUBLIC without a body */
	/* Tried on the HTTP thread, where it must not block (http_request_may_block is false): it answers, fails, or
	 * returns HTTP_LATER and is called again on the pool. Only SIGNED without a body. */
	HTTP_INLINE_FIRST,
};

enum http_body {
	HTTP_BODY_NONE = 0, /* a body is refused with 413, but for an empty one */
	HTTP_BODY_JSON,	    /* buffered and parsed, whatever its Content-Type; empty counts as {}; else an object */
	HTTP_BODY_BYTES,    /* buffered: http_request_body() */
	HTTP_BODY_STREAM,   /* to `sink`, piece by piece (upload.h); multipart/form-data is taken apart */
	HTTP_BODY_STREAM_RAW, /* to `sink`, never interpreted */
};

/* Answers by one call of http_respond_…() and returns its 0, or fails with *e set, which becomes the JSON error. Or, on the pool,
 * returns HTTP_LATER: http_request_again (request.h). */
#define HTTP_LATER 1
typedef int (*http_handler_fn)(void *ctx, struct http_request *req, struct err *e);
/* Finds the resource that the request names and that belongs to `who`: 0 and *ret_resource (may be NULL if there is
 * nothing to hand over), or -ERR_NOT_FOUND for what is not there and for what is another's alike. Runs on the pool; may
 * block. `who` is NULL where the request is signed (signed_too): then http_request_signature says by whom. */
typedef int (*http_load_fn)(void *ctx, const struct http_identity *who, struct http_request *req, void **ret_resource,
			    struct err *e);

struct http_route {
	const char *method; /* "GET", "POST"…; upper case */
	const char *pattern;
	http_handler_fn handler; /* streamed bodies: NULL, the sink's finish answers */
	enum http_access access;
	enum http_where where;
	enum http_body body;
	uint64_t body_max_bytes;      /* 0: the server's default for this kind of body */
	const struct http_sink *sink; /* HTTP_BODY_STREAM* */
	http_load_fn load;	      /* HTTP_ACCESS_OWNER */
	/* Once for each resource (not NULL) that load returned, after the handler or when the client has gone before;
	 * any thread, must not block; may be NULL. */
	void (*unload)(void *ctx, void *resource);
	/* OWNER, without a body: a valid pre-signed URL does as well (as SIGNED); then `load` gets no identity. */
	bool signed_too;
	bool websocket;		      /* the handler hands the connection over: see websocket.h for tokens and Origin */
	bool metrics_token;	      /* ADMIN: the token for metrics does as well */
	bool public_param;	      /* PUBLIC on purpose although the pattern has a parameter */
	bool page;		      /* HTML for people: send `csp` and friends instead of the API's own headers */
	const char *csp;	      /* Content-Security-Policy of a page whose handler sets none; NULL: default-src 'none' */
	const char *service;	      /* SIGNED_HEADER: as signed ("kinesisvideo") */
	/* Answers with an error, of the layer or the handler, in another form than ours; NULL: http_respond_error. */
	int (*refuse)(struct http_request *req, const struct err *why);
	const void *arg;	      /* for the handler: http_request_route(req)->arg */
};

/* What http_server_start checks: access given and complete, INLINE only for PUBLIC without body,
 * INLINE_FIRST only for SIGNED without body, patterns well-formed,
 * no two routes alike. -ERR_INVALID naming the route. Pure. */
int http_routes_check(const struct http_route *routes, size_t count, struct err *e) MR_MUST_USE;
