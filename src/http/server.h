/* The HTTP server: libmicrohttpd with an epoll thread pool below, a route table on top. Knows no jobs and no files.
 *
 *   struct http_server *srv;
 *   if (http_server_start(&(struct http_server_opts){ .listen = "127.0.0.1:8080", .pool = io_pool, .auth = auth, .ctx =
  * api },
 *                         routes, MR_ARRAY_SIZE(routes), &srv, e) < 0) ...
 *   log_info("listening", LOG_I("port", http_server_port(srv)));
 *   ... wait for SIGTERM ...
 *   (void)http_server_drain(srv, 20000);   // no new connections, what runs may finish, SSE streams end
 *   http_server_stop(srv);                 // whatever is left is cut off
 *   pool_free(io_pool);                    // the pool must outlive the server
 *
 * Threads: `threads` HTTP threads (256 KiB stacks) parse and move bytes and never block; handlers run on the pool while
 * their connection is suspended (INLINE ones on the HTTP threads); one timer thread watches deadlines and sends
 * heartbeats. All functions here belong to the thread that started the server.
 *
 * Guarantees: every response carries X-Request-Id; every refusal is a JSON error of API.md's shape, except for what
 * libmicrohttpd refuses before a request exists (a malformed request line, heads beyond 32 KiB: its own short HTML).
 * Memory per connection is bounded: 32 KiB, the buffered body's limit, or 512 KiB for an upload under way; what is kept
 * of objects sent lately is 16 MiB in all (open_objects.h).
 * SIGPIPE is ignored for the whole process from the start on.
 * Does not do: TLS, HTTP/2, compression on the fly (assets bring theirs).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/route.h"
#include "net/sigv4.h"

struct http_auth;
struct http_server;
struct pool;

struct http_server_opts {
	const char *listen;	/* "127.0.0.1:8080", "[::1]:0", "localhost:0", ":8080" (loopback); port 0 picks one */
	unsigned threads;	/* HTTP threads; 0: 2 */
	unsigned max_connections; /* in all; 0: 1000 */
	unsigned max_connections_per_ip; /* 0: no limit */

	uint32_t max_url_bytes;	     /* 414 beyond; 0: 8 KiB */
	uint32_t max_header_bytes;   /* 431 beyond; 0: 16 KiB */
	uint64_t max_json_bytes;     /* default of buffered bodies; 0: 1 MiB */
	uint64_t max_upload_bytes;   /* default of streamed bodies; 0: 16 GiB */

	uint32_t header_timeout_ms;  /* connection's start or request's first line → last header; 0: 10 s */
	uint32_t body_timeout_ms;    /* for a whole buffered body; 0: 30 s */
	uint32_t idle_timeout_ms;    /* nothing moves, or between requests; whole seconds; 0: 60 s */
	/* Of a streamed body, averaged after its first 30 s, our own waits not counted; 0: 128. */
	uint32_t upload_min_bytes_per_s;
	uint32_t sse_heartbeat_ms;   /* 0: 15 s */

	/* Origins that may call across sites: "*" alone, or exact origins ("https://app.example"), NULL-terminated;
	 * NULL: none. Named origins may send credentials; "*" never may. */
	const char *const *cors_origins;

	const char *public_url;	 /* "https://media.example": what clients see, if a proxy hides it; NULL: by Host */
	bool trust_proxy;	 /* believe X-Forwarded-For, -Proto, -Host; only behind a proxy that sets them */
	bool access_log;	 /* one line a request: event=http_request */

	/* Where handlers, sinks and reads run; borrowed, must outlive the server. When its backlog is full requests get
	 * 503, so let it be about twice max_connections. */
	struct pool *pool;
	struct http_auth *auth;	 /* borrowed; NULL only if all routes are PUBLIC or SIGNED */
	sigv4_lookup_fn key_lookup; /* for SIGNED routes; on HTTP threads too: must not block */
	sigv4_lookup_fn service_key_lookup; /* the same for SIGNED_HEADER routes, on the pool */
	void *key_lookup_ctx;		    /* of both */
	void *ctx;		 /* handed to every handler, load, unload and sink */
};

/* Listens and serves. Copies nothing of `routes` and opts' strings: they must live as long as the server.
 * Errors: ERR_INVALID (routes, address, options; see http_routes_check and http_auth_check), ERR_CONFLICT (address in
  * use). */
int http_server_start(const struct http_server_opts *opts, const struct http_route *routes, size_t count,
		      struct http_server **ret, struct err *e) MR_MUST_USE;
/* The port that is listened on. */
uint16_t http_server_port(const struct http_server *s);
/* "http://127.0.0.1:8080", or public_url. Owned by the server. */
const char *http_server_url(const struct http_server *s);

/* Stops accepting, tells keep-alive clients to close, ends SSE streams, waits for running requests: 0 when there is
 * none left, -ERR_TIMEOUT after timeout_ms. Requests that arrive on connections still open are answered meanwhile. May
 * be called again. */
int http_server_drain(struct http_server *s, int64_t timeout_ms) MR_MUST_USE;
/* Cuts what is left, waits for handlers under way, frees everything. NULL is fine. Streams (sse.h) that callers hold
 * stay valid handles, but closed. */
void http_server_stop(struct http_server *s);

struct http_server_stats {
	uint64_t requests;	/* answered or cut off, since the start */
	uint64_t errors;	/* of these, with 5xx */
	unsigned connections;	/* open now */
	unsigned active;	/* requests under way now */
	unsigned streams;	/* SSE streams and flows open now */
};
/* Any thread. */
void http_server_get_stats(struct http_server *s, struct http_server_stats *ret);
