/* What is live in a server, put together: the decoder's processes, the built-in stream store, the sink of sessions, their
 * service, PutMedia's listener, and what is made for those who listen.
 *
 *   live_parts_start(&parts, &(struct live_parts_opts){ … }, e);
 *   …
 *   live_parts_drain(&parts);        // before the HTTP server stops
 *   live_parts_stop(&parts);         // after it, and before the pool and the worker
 */
#pragma once

#include "api/signer.h"
#include "base/err.h"
#include "cmd/backends.h"
#include "live/decoder.h"
#include "live/hook.h"
#include "live/listener.h"
#include "live/put_server.h"
#include "live/service.h"
#include "live/sink.h"
#include "live/stream_store.h"
#include "os/pool.h"

struct live_parts {
	struct stream_store *streams;
	struct live_decoder *decoder;
	struct sink *sink;
	struct live_service *service;
	struct listener *listener;
	struct hook *hook;	/* NULL: no webhook */
	struct put_server *put; /* NULL: nobody has an access key */
};

struct live_parts_opts {
	const struct backends *on;
	struct zygote *zygote;
	struct pool *pool;
	const char *streams_url; /* where sessions' fragments go: "builtin" or "kvs://…" */
	const char *session_url; /* NULL: none */
	const char *webhook_url; /* told of fragments; NULL: none */
	const char *webhook_secret;
	uint32_t max_connections;
	uint32_t leave_ms;		 /* live/session.h */
	uint32_t put_idle_ms, put_age_ms; /* live/put_server.h */
	struct signer *signer;
	const char *put_listen; /* NULL: no PutMedia */
};
/* On failure what was started is still to be stopped. */
int live_parts_start(struct live_parts *p, const struct live_parts_opts *opts, struct err *e) MR_MUST_USE;
void live_parts_drain(struct live_parts *p);
void live_parts_stop(struct live_parts *p);
