/* Streamed request bodies: straight from the socket into a sink, with back-pressure.
 *
 *   static int begin(void *ctx, struct http_request *req, const struct http_upload *up, void **ret_state, struct err
  * *e)
 *   {
 *           if (!type_is_taken(up->filename)) return err_set(e, ERR_UNSUPPORTED, "…");     // before the body, where it
  * can
 *           return store_put_begin(…);
 *   }
 *   static int write(void *state, const void *data, size_t len, struct err *e) { return store_put_write(…); }
 *   static int finish(void *ctx, struct http_request *req, void *take_state, struct err *e)
 *   {
 *           ...store_put_finish…
 *           return http_respond_json(req, 201, file_to_json(f));
 *   }
 *   static void abort_(void *take_state) { store_put_abort(…); }
 *   static const struct http_sink file_sink = { begin, write, finish, abort_ };
 *
 * Lifecycle: begin → write… → finish, or abort. After a begin that succeeded exactly one of finish and abort is called,
 * exactly once: abort when the client goes away, a write fails (its error is the answer), a limit is exceeded or the
 * server stops. A finish that fails has cleaned up itself. All run on the pool, one at a time, in order, but on
 * different threads; a slow client holds none. At most 512 KiB are in flight; then the connection is suspended.
 *
 * HTTP_BODY_STREAM: multipart/form-data gives its first part named "file" (other parts before it, at most 16 of 8 KiB
 * each, are form values; parts behind it are read and dropped; no such part is ERR_INVALID); any other type is the file
 * itself. HTTP_BODY_STREAM_RAW never looks inside. Content-Length beyond the limit is 413 before the body; a chunked
 * body is cut when it passes the limit. For a multipart body the limit counts the whole body.
 *
 * "Expect: 100-continue": access is checked, and for raw bodies begin has succeeded, before 100 is sent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/request.h"

struct http_upload {
	/* The client's name for it, cleaned: no directories, no control characters, at most 255 bytes of UTF-8. From
	 * the part, or a raw body's Content-Disposition or ?filename=. NULL: none given. */
	const char *filename;
	const char *content_type; /* of the part or the request; NULL: none, or curl -d's form-urlencoded */
	int64_t length;		  /* bytes to come; -1: unknown (chunked or multipart) */
	bool multipart;
};

struct http_sink {
	int (*begin)(void *ctx, struct http_request *req, const struct http_upload *up, void **ret_state,
		     struct err *e);
	int (*write)(void *state, const void *data, size_t len, struct err *e); /* len > 0 */
	int (*finish)(void *ctx, struct http_request *req, void *take_state, struct err *e);
	void (*abort)(void *take_state);
	/* When the client goes away, write what had arrived before calling abort (resumable uploads want it). */
	bool write_rest;
};

/* In finish: a small form field that came before the file, NULL if none. */
const char *http_request_form(const struct http_request *req, const char *name);
