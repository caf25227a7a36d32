/* Answers. A handler makes exactly one of these calls and returns its value.
 *
 *   http_response_header(req, "Location", http_request_printf(req, "/api/jobs/%s", id));
 *   return http_respond_json(req, 202, json_pack("{s:s}", "job_id", id));
 *
 *   return err_set_code(e, ERR_CONFLICT, "WRONG_STATE", "the job has been canceled");      // → 409, JSON error
 *
 *   return http_respond_object(req, store, key, &(struct http_object_opts){ .filename = "film.mp4" }, e);
 *
 * Nothing is sent before the handler has returned, so none of these block; a later call replaces the earlier answer.
 * The layer adds X-Request-Id, X-Content-Type-Options: nosniff, CORS headers, Date, Content-Length, and
 * `Cache-Control: no-store` if the handler has not set Cache-Control (assets and objects have their own). HEAD is the
 * same call: the layer leaves the body out.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/request.h"
#include "store/store.h"

/* A header of the answer, before or after http_respond_…; errors carry it too. Replaces one of the same name (except
 * Set-Cookie, Vary and Link, which are added). Control characters in `value` are left out. Copies both. */
void http_response_header(struct http_request *req, const char *name, const char *value);

/* Takes `take_value` (a new reference); NULL (out of memory in json_pack, or its misuse) answers 500. Returns 0. */
int http_respond_json(struct http_request *req, unsigned status, json_t *take_value);
/* Copies the bytes. Returns 0. */
int http_respond_bytes(struct http_request *req, unsigned status, const char *content_type, const void *data,
		       size_t len);
int http_respond_text(struct http_request *req, unsigned status, const char *content_type, const char *text);
/* 204, or 201/202… without content. Returns 0. */
int http_respond_empty(struct http_request *req, unsigned status);
/* 303 for a page, 307 to keep the method. Returns 0. */
int http_respond_redirect(struct http_request *req, unsigned status, const char *location);
/* Calls fn(server's ctx, copy of text) on the pool once this answer has been sent to its last byte; never for one that was cut, and
 * perhaps not at all when the server stops. For whole answers alone: not for HEAD, not for a status other than 200. */
void http_response_on_sent(struct http_request *req, void (*fn)(void *ctx, const char *text), const char *text);
/* What the layer does with a handler's failure; for handlers that want the error's shape and still return 0. ERR_BUSY,
 * ERR_UNAVAILABLE and ERR_NO_SPACE carry Retry-After (5 s unless the handler set it). Details of ERR_INTERNAL and
 * ERR_IO are logged, not shown. */
int http_respond_error(struct http_request *req, const struct err *why);
/* The status that an error of that kind gets. Pure. */
unsigned http_status_of(enum err_kind kind);

/* A file of the page, embedded in the binary: static storage. Answers If-None-Match with 304. */
struct http_asset {
	const char *path;
	const char *content_type;
	const void *data;
	size_t len;
	const void *gzip;	/* the same, compressed; NULL: none */
	size_t gzip_len;
	const char *etag;	/* without quotes; the gzip form's gets "-gz" appended */
	const char *cache_control; /* e.g. "public, max-age=31536000, immutable"; NULL: "no-cache" */
};
int http_respond_asset(struct http_request *req, const struct http_asset *asset);

struct http_object_opts {
	const char *content_type;	 /* NULL: the object's */
	const char *filename;		 /* Content-Disposition with this name (any UTF-8; cleaned); NULL: none */
	bool attachment;		 /* with filename: save it rather than show it */
	const char *content_disposition; /* verbatim, instead of filename */
	const char *cache_control;	 /* NULL: "private, no-cache" (kept, but revalidated) */
	/* SIGNED routes: response-content-type, -disposition, -language, -expires, -cache-control and -encoding of the
	 * query (which are part of the signature) override the above, as S3 does. */
	bool s3_overrides;
};
/* An object of the store: 200, 206 (one range: first-last, first-, -suffix; several as multipart/byteranges), 304, 412 or 416 by
 * the request's Range, If-Range, If-Match, If-None-Match, If-(Un)Modified-Since. More than 16 ranges, and those that are together
 * more than the object, are refused with 416 (RFC 9110, 14.2).
 * Sent by sendfile when the reader has a descriptor, else read on the pool into a bounded buffer while the connection
 * is suspended. On an HTTP thread (HTTP_INLINE_FIRST) it returns HTTP_LATER unless the object was sent to somebody less
 * than a second ago. `active content` (HTML, SVG, XML, JavaScript) is sent as attachment
 * with a sandboxing CSP, so that an upload can't act in our origin. */
int http_respond_object(struct http_request *req, struct store *store, const char *key,
			const struct http_object_opts *opts, struct err *e) MR_MUST_USE;
