/* What the files of src/http share: the server, a connection, a request. Nobody else includes it.
 *
 * Life of a request. `phase` is touched by the HTTP thread of its connection, and by a job while the connection is
 * suspended, never by both at once:
 *
 *   NEW ── first call, head fine, no body ──► READY ── second call ──► JOB (admit, handle) ──► RESPOND
 *    │                                          └─ INLINE route: handled at once, answered; INLINE_FIRST: or JOB
 *    ├──── first call, head fine, a body ───► JOB (admit) ──► ADMITTED ──► BODY ── last call ──► JOB (handle) ──► RESPOND
 *    │                                          └─ refused ──► RESPOND
 *    └──── first call, refused ──► DISCARD (a small body is read away, then answered), or RESPOND
 *   RESPOND ── queued to libmicrohttpd ──► SENT ── conn_on_completed ──► freed (also from any other phase but JOB)
 *
 * libmicrohttpd 0.9.75 takes an answer in the first call (and then closes the connection, body or not) or in the last
 * one. So an answer in the middle of a large body is written to the socket by us, and the connection lingers (timer.c).
 *
 * Locks, in the order in which they may nest: upload.lock → server.lock → open_objects.lock; flow.lock → server.lock;
 * sse_stream.lock alone.
 * libmicrohttpd's own (suspend, resume) are innermost. Nothing calls out with server.lock held.
 */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "http/arena.h"
#include "http/auth.h"
#include "http/request.h"
#include "http/router.h"
#include "http/server.h"
#include "http/upload.h"
#include "http/uri.h"

/* libmicrohttpd's own daemon thread stack; ours need no more: handlers run on the pool. */
#define HTTP_STACK_BYTES (256u << 10)
#define HTTP_CONNECTION_BYTES (32u << 10)
/* A refused body up to this size is read away, so that the connection can be kept. */
#define HTTP_DISCARD_BYTES (64u << 10)
#define HTTP_LOG_FIELDS 3

struct http_flow;
struct open_objects;
struct signed_url;
struct signed_urls;
struct sse_stream;
struct upload;

enum conn_wait { WAIT_NOTHING, WAIT_HEAD, WAIT_BODY };

/* One TCP connection, from accept to close. Protected by server.lock. */
struct http_conn {
	struct http_conn *next, *prev;
	int fd; /* libmicrohttpd's; valid until its close is notified */
	enum conn_wait wait;
	bool first_byte_seen;  /* a request has begun: a timeout is answered with 408 */
	bool linger;           /* take a copy of fd at the close and read away what still comes */
	int64_t deadline_ms;   /* monotonic; of what `wait` says */
	struct upload *upload; /* whose pace is watched, or NULL */
};

struct http_server {
	struct http_server_opts opts; /* with the defaults filled in */
	const struct http_route *routes;
	struct router *router;
	struct MHD_Daemon *daemon;
	struct open_objects *objects;
	struct signed_urls *signed_urls;
	char *url;
	uint16_t port;
	bool loopback;

	pthread_mutex_t lock;
	pthread_cond_t idle; /* jobs or active went down */
	pthread_cond_t tick; /* the timer has something to watch, or must end */
	pthread_t timer;
	/* protected by lock */
	bool draining, stopping, timer_end;
	unsigned jobs;   /* pieces of work on the pool that will come back here */
	unsigned active; /* requests between their head and their end */
	unsigned conn_count;
	struct http_conn *conns;
	struct sse_stream *streams;
	unsigned stream_count;
	struct http_flow *flows;
	unsigned flow_count;
	struct lingering *lingering;
	uint64_t requests, errors;
};

enum phase { PHASE_NEW, PHASE_READY, PHASE_JOB, PHASE_ADMITTED, PHASE_BODY, PHASE_DISCARD, PHASE_RESPOND, PHASE_SENT };

struct header {
	struct header *next;
	const char *name, *value;
	size_t name_len;
};

struct reply {
	bool set;
	unsigned status;
	struct MHD_Response *mhd;
	uint64_t length; /* of the body; UINT64_MAX: unknown */
	bool cacheable;  /* has its own Cache-Control rules: no default no-store */
	bool from_fd;    /* by sendfile, behind headers sent before */
	void (*on_sent)(void *ctx, const char *text); /* http_response_on_sent; NULL: nobody asked */
	const char *on_sent_text;
	struct header *headers, **tail;
};

/* A handler that waits without a thread: `later` of its request. */
enum later { LATER_NO, LATER_WAITING, LATER_AGAIN };

struct http_request {
	struct http_server *server;
	struct MHD_Connection *mhd;
	struct http_conn *conn;
	struct arena arena;
	enum phase phase;
	bool active; /* counted in server.active */

	const char *target;
	char method[16];
	struct uri uri;
	struct sigv4_pair *headers;
	size_t header_count;
	struct router_match match;
	char id[65];
	char remote[64]; /* http_request_remote finds it; "" until somebody asks */
	const char *scheme, *host, *base_url;
	int64_t content_length; /* -1: unknown */
	bool bad_header;        /* a name that is no token */
	bool needs_host;        /* HTTP/1.1 */
	bool has_body;
	bool expects_continue;
	uint64_t body_max;

	bool has_identity;
	struct http_identity identity;
	bool has_signature;
	struct sigv4_verified signature;
	struct signed_url *remembered; /* to be released: uri and match are its */
	bool loaded;
	void *resource;

	struct buf body;
	json_t *json;
	struct upload *upload;
	uint64_t received; /* bytes of the body so far */

	struct reply reply;
	struct {
		void (*accept)(void *ctx, int take_fd, const void *early, size_t early_len); /* NULL: no WebSocket */
		void (*drop)(void *ctx);
		void *ctx;
		bool taken;
	} websocket;
	_Atomic int later; /* enum later */
	void *kept;	   /* http_request_keep */
	bool corked;     /* the connection is, until the answer has been sent */
	bool body_begun; /* libmicrohttpd has begun to hand out the body: no early answer any more */
	int64_t started_ns;
	struct {
		char key[24], value[72];
	} log[HTTP_LOG_FIELDS];
	unsigned log_count;
};

/* work.c: fn(server's ctx, copy of text) on the pool; where the pool is full or the server stops it is left out. */
void work_later(struct http_server *s, void (*fn)(void *ctx, const char *text), const char *text);

/* connection.c: libmicrohttpd's callbacks. */
void conn_find_remote(struct http_request *req);
enum MHD_Result conn_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
				const char *version, const char *data, size_t *size, void **req_cls);
void *conn_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd);
void conn_on_completed(void *cls, struct MHD_Connection *mhd, void **req_cls, enum MHD_RequestTerminationCode why);
void conn_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_ctx,
			enum MHD_ConnectionNotificationCode what);
/* Nothing is waited for any more. True if the server is draining: the answer should close the connection. */
bool conn_answers(struct http_request *req);
/* What is waited for from now on, and for how long. */
void conn_wait(struct http_request *req, enum conn_wait wait, uint32_t timeout_ms);

/* work.c: work on the pool while the connection is suspended. */
typedef void (*work_fn)(void *req);
/* Suspends the connection and runs fn(req) on the pool, which must end with work_end: true, libmicrohttpd calls again
 * then. False when the server is stopping: the answer (503) is set, phase RESPOND, and the caller goes on with it. */
bool work_start(struct http_request *req, work_fn fn);
/* Sets the phase and resumes; `req` may be gone when it returns. */
void work_end(struct http_request *req, enum phase phase);
/* Behind a handler that returned HTTP_LATER: true, whoever it waits for has the request now; false, it is to run again at once. */
bool work_wait(struct http_request *req);
/* Counts work that runs beside the connection; false when stopping. */
bool work_hold(struct http_server *s);
void work_release(struct http_server *s);

/* admit.c: route, limits, identity, access, handler. */
/* The head: 0, or the refusal's error. HTTP thread. */
int admit_head(struct http_request *req, struct err *e) MR_MUST_USE;
/* Job, its argument the request: identity and access; then the handler if there is no body, or the sink's begin. */
void admit_job(void *arg);
/* Job, the same: a buffered body is there. */
void admit_handle_job(void *arg);
/* The handler alone, for INLINE routes; the answer is set afterwards. */
void admit_run_handler(struct http_request *req);
/* Access and handler of an INLINE_FIRST route. False: the handler wants the pool; access has been granted. */
bool admit_run_first(struct http_request *req);
/* Gives the loaded resource back, once. */
void admit_unload(struct http_request *req);

/* response.c */
/* Replaces the answer; takes `take`. */
void reply_set(struct http_request *req, unsigned status, struct MHD_Response *take, uint64_t length);
void reply_clear(struct http_request *req);
/* Adds the layer's headers and hands the answer over. HTTP thread. */
enum MHD_Result reply_queue(struct http_request *req);
/* The error as a whole HTTP/1.1 message ("Connection: close"), for what libmicrohttpd takes no answer for. */
bool reply_format_raw(struct http_request *req, const struct err *why, struct buf *out);
/* {"error":{…}} */
bool error_format(const struct err *why, const char *request_id, struct buf *out);
/* Holds back (on), or sends (off), what does not fill a packet (tcp(7), TCP_CORK). */
void conn_cork(const struct http_conn *c, bool on);
/* Writes to the socket without waiting. */
void conn_send_raw(struct http_conn *c, const struct buf *message);

/* websocket.c: gives back what was to take the socket, if it hasn't. */
void websocket_release(struct http_request *req);

/* cors.c */
bool cors_origin_allowed(const struct http_server *s, const char *origin);
/* Adds CORS headers to the answer. */
void cors_add(struct http_request *req);
bool cors_is_preflight(const struct http_request *req);
void cors_preflight(struct http_request *req);

/* identity.c */
int identity_find(struct http_request *req, struct err *e) MR_MUST_USE;
/* The same, and it is an administrator's; or the token for metrics came, where the route takes it. */
int identity_find_admin(struct http_request *req, struct err *e) MR_MUST_USE;
/* After the JSON body: its user_id. */
int identity_from_body(struct http_request *req, struct err *e) MR_MUST_USE;
int signature_check(struct http_request *req, struct err *e) MR_MUST_USE;
/* True: the URL has been checked before and is still good; uri, match and signature are set. */
bool signature_recall(struct http_request *req);
/* Of the Authorization header, over the whole body, which is there. */
int signature_check_header(struct http_request *req, struct err *e) MR_MUST_USE;

/* upload.c */
/* Job: creates the upload; begins the sink for raw bodies. */
int upload_begin(struct http_request *req, struct err *e) MR_MUST_USE;
/* Job: there is no body at all: an empty upload, begun (or refused, if it was to be multipart) and finished. */
void upload_finish_empty(struct http_request *req);
/* HTTP thread: takes what it can of data; may suspend. False: failed, the error is in *e. */
bool upload_data(struct http_request *req, const char *data, size_t *size, struct err *e);
/* HTTP thread: the body is complete. True: suspended, and called again (the request is a job's now, don't look at it);
 * false: the answer is set. */
bool upload_end(struct http_request *req);
/* The request is over: aborts what is not finished. */
void upload_detach(struct http_request *req);
/* Average pace too low? Called by the timer with server.lock held; reads atomics only. */
bool upload_is_too_slow(const struct upload *u, int64_t now_ms, uint32_t min_bytes_per_s);

/* sse.c, for the timer and the end. */
void sse_heartbeat_all(struct http_server *s, int64_t now_ms);
void sse_close_all(struct http_server *s);

/* flow.c, for the timer and the end. */
void flow_poll_all(struct http_server *s, int64_t now_ms);
void flow_close_all(struct http_server *s);

/* timer.c */
int timer_start(struct http_server *s, struct err *e) MR_MUST_USE;
void timer_stop(struct http_server *s);
/* Takes the descriptor: reads away what comes until the peer closes, 2 s at most. */
void linger_add(struct http_server *s, int take_fd);
