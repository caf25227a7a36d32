/* An answer without a known end whose bytes are made on the pool as the client takes them, and that may have to wait for
 * more.
 *
 *   static int fill(void *state, struct buf *out, struct err *e)
 *   {
 *           struct reader *r = state;
 *           return reader_next(r, out, e);           // HTTP_FLOW_MORE, _WAIT, _END, or an error
 *   }
 *   static const struct http_flow_ops ops = { .fill = fill, .close = reader_close };
 *   if (http_respond_flow(req, "video/webm", &ops, reader, &flow, e) < 0)
 *           reader_close(reader);
 *   ...
 *   http_flow_wake(flow);                            // there may be something again
 *
 * No thread waits: while fill works or has nothing, the connection is suspended. Memory: HTTP_FLOW_BYTES per answer. A client
 * that takes nothing is cut after the server's idle timeout; one that has gone is noticed within a second, even while nothing
 * is sent. An error cuts the connection, because the status has been sent long before. */
#pragma once

#include "base/buf.h"
#include "http/request.h"

#define HTTP_FLOW_BYTES (64u << 10)
#define HTTP_FLOW_POLL_MS 1000 /* without a wake-up fill is called again after so long */

enum http_flow_next { HTTP_FLOW_MORE, HTTP_FLOW_WAIT, HTTP_FLOW_END };

struct http_flow;
struct http_flow_ops {
	/* On the pool, one call at a time: appends to `out`, which is empty and takes HTTP_FLOW_BYTES. MORE with nothing
	 * appended calls again. May block. */
	int (*fill)(void *state, struct buf *out, struct err *e);
	/* Once, when the answer is over; any thread, must not block. No fill runs then or later. */
	void (*close)(void *state);
};

/* Answers 200. Takes `take_state` on success; fill is called after the handler has returned. *ret_flow is a reference that
 * the caller gives back with http_flow_unref, in `close` at the latest. ERR_BUSY: too many such answers. */
int http_respond_flow(struct http_request *req, const char *content_type, const struct http_flow_ops *ops, void *take_state,
		      struct http_flow **ret_flow, struct err *e) MR_MUST_USE;
/* Never blocks; any thread; harmless when the answer is over. */
void http_flow_wake(struct http_flow *f);
void http_flow_unref(struct http_flow *f);
