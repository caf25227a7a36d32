/* Server-Sent Events (WHATWG HTML, 9.2): an answer that stays open.
 *
 *   static int events(void *ctx, struct http_request *req, struct err *e)
 *   {
 *           struct sse_stream *st;
 *           if (http_respond_events(req, &(struct sse_opts){ .on_close = gone, .on_close_ctx = sub }, &st, e) < 0)
 *                   return -e->kind;
 *           const char *last = sse_last_event_id(req);      // replay what came after it, then subscribe
 *           sub->stream = st;                               // our reference: sse_unref(st) when we are done
 *           return 0;
 *   }
 *   sse_send(sub->stream, "17", "progress", "{\"percent\":42.5}");
 *
 * Guarantees: sends never block and may come from any thread, also before the handler has returned; events arrive in
 * order, whole or not at all. A client that doesn't read in time overflows the queue, and the stream is closed behind
 * what was queued before; it reconnects with Last-Event-ID. A heartbeat comment goes out every 15 s (server option), so
 * a vanished client is noticed then. on_close is called exactly once, when the connection is over or the server stops
 * (after sse_close it comes with the end of the connection), on an HTTP thread or inside http_server_stop: it must not
 * block and must not call this stream but for sse_unref. If http_respond_events fails it is not called.
 * Does not guarantee delivery: what was sent may be lost with the connection; that is what ids are for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/request.h"

struct sse_stream;

struct sse_opts {
	size_t queue_bytes;   /* most that waits for the client; 0: 64 KiB */
	uint32_t retry_ms;    /* `retry:` hint; 0: 2000 */
	void (*on_close)(void *ctx); /* may be NULL */
	void *on_close_ctx;
};

/* Answers 200 text/event-stream. *ret_stream is a reference that the caller gives back with sse_unref. ERR_BUSY when
 * too many streams are open (half of the connections), ERR_UNAVAILABLE while draining. */
int http_respond_events(struct http_request *req, const struct sse_opts *opts, struct sse_stream **ret_stream,
			struct err *e) MR_MUST_USE;
/* The header Last-Event-ID, or ?last_event_id= (for the first connect); NULL if none. */
const char *sse_last_event_id(const struct http_request *req);

/* One event. `id` and `event` may be NULL; control characters in them are left out. `data` may have several lines.
 * 0; -ERR_LOST when the stream is closed; -ERR_TOO_LARGE when this event overflowed the queue (it is closed now). */
int sse_send(struct sse_stream *st, const char *id, const char *event, const char *data) MR_MUST_USE;
/* Ends the stream after what is queued. Idempotent. */
void sse_close(struct sse_stream *st);
bool sse_is_closed(struct sse_stream *st);
struct sse_stream *sse_ref(struct sse_stream *st);
/* Gives a reference back; does not close. NULL is fine. */
void sse_unref(struct sse_stream *st);
