/* The HTTP API: routes over the repository, the store and the worker. One file per resource; routes.c is the table.
 * Runs in the server process; handlers run on the I/O pool and may block on database and store.
 *
 *   struct api *api;
 *   api_new(&(struct api_opts){ .repo = repo, .store = store, .worker = worker, .bus = bus, .auth = auth, .signer =
 * signer }, &api, e); http_server_start(&(struct http_server_opts){ .ctx = api, … }, api_routes, api_route_count, &srv,
 * e); … http_server_stop(srv); api_free(api);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/sign_in.h"
#include "base/err.h"
#include "bus/bus.h"
#include "http/auth.h"
#include "http/route.h"
#include "job/repo.h"
#include "store/store.h"
#include "worker/worker.h"

struct api;
struct listener;
struct monitor;
struct live_service;
struct signer;
struct api_opts {
	struct repo *repo;
	struct store *store;
	struct worker *worker;
	struct monitor *monitor;
	struct bus *bus;
	struct http_auth *auth;
	struct signer *signer;
	struct live_service *live;
	struct listener *listener;
	struct sign_in_opts sign_in;
	uint16_t put_media_port;   /* where PutMedia listens; 0: nowhere */
	const char *put_media_url; /* how its clients see it; NULL: this server's host with that port */
	uint64_t max_upload_bytes;
	/* How long a narration's stream stays when its MP3 is there; < 0: its length, at least a minute. */
	int64_t stream_grace_s;
	bool hls_streaming; /* false: narrations answer with their MP3 (narration_inline.c) */
	unsigned waiting_max; /* requests that wait for an MP3 or a sentence at a time, each on a thread of the pool */
};
int api_new(const struct api_opts *opts, struct api **ret, struct err *e) MR_MUST_USE;
/* After the server has stopped. NULL is fine. */
void api_free(struct api *a);

extern const struct http_route api_routes[];
extern const size_t api_route_count;
/* Of a process without an API: its health and metrics. Of the options repo, store, worker, monitor, bus and auth are needed. */
extern const struct http_route api_watch_routes[];
extern const size_t api_watch_route_count;
