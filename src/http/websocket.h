/* The opening handshake of a WebSocket (RFC 6455, 4.2), and the hand-over of its connection. Knows no frames: whoever takes the
 * socket speaks them (live/websocket.h).
 *
 *   static int live_connect(void *ctx, struct http_request *req, struct err *e)
 *   {
 *           struct arrival *a = arrival_new(http_request_identity(req));
 *           return http_respond_websocket(req, &(struct http_websocket_opts){ .accept = take, .drop = arrival_free, .ctx = a }, e);
 *   }
 *   { "GET", "/api/live", live_connect, .access = HTTP_ACCESS_USER, .websocket = true }
 *
 * The connection leaves the server: its descriptor is duplicated and libmicrohttpd closes its own, so that it counts against
 * none of its limits, holds none of its memory, and the server can drain and stop without waiting for it.
 *
 * A route with .websocket takes the token from Authorization, from ?token=, or from the list of subprotocols (a browser's WebSocket
 * can't set headers): `new WebSocket(url, ["millrace", "bearer." + token])`, of which "millrace" is the answer. Since nothing else
 * keeps another site's page from opening one with our cookie, Origin is checked as for state-changing requests.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "http/request.h"

#define HTTP_WEBSOCKET_PROTOCOL "millrace"
#define HTTP_WEBSOCKET_BEARER "bearer."

struct http_websocket_opts {
	/* The 101 has been sent and the socket is the caller's (non-blocking, CLOEXEC, TCP_NODELAY); `early` are bytes that came
	 * behind the request, borrowed for the call. On an HTTP thread: must not block. */
	void (*accept)(void *ctx, int take_fd, const void *early, size_t early_len);
	/* Instead of it, when the connection was gone before. Any thread. */
	void (*drop)(void *ctx);
	void *ctx;
};

/* Answers 101. ERR_INVALID where the request is no handshake (code WEBSOCKET_VERSION: 426, another version's), ERR_UNAVAILABLE
 * while draining; then neither accept nor drop is called. */
int http_respond_websocket(struct http_request *req, const struct http_websocket_opts *opts, struct err *e) MR_MUST_USE;
/* The token of the query or of the subprotocols, or NULL. Borrowed from the request. */
const char *http_websocket_token(struct http_request *req);
