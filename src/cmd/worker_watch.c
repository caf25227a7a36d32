/* The worker's listener for those who watch it. The main thread of worker. */
#include "cmd/worker_watch.h"

#include "api/api.h"
#include "base/log.h"
#include "http/auth.h"
#include "http/server.h"
#include "os/pool.h"

#define POOL_THREADS 2
#define CONNECTIONS_MAX 32

static int start_http(struct worker_watch *w, const char *listen, struct err *e)
{
	const struct http_server_opts opts = { .listen = listen, .threads = 1, .max_connections = CONNECTIONS_MAX, .pool = w->pool,
					       .auth = w->auth, .ctx = w->api };
	return http_server_start(&opts, api_watch_routes, api_watch_route_count, &w->http, e);
}

int worker_watch_start(struct worker_watch *w, const struct options *o, const struct backends *on, const struct worker_parts *p,
		       struct err *e)
{
	const char *listen = options_get(o, "metrics-listen"), *token = options_get(o, "metrics-token");
	if (!listen)
		return 0;
	/* With a token nobody reads metrics without it, wherever it listens. */
	const struct http_auth_opts auth = { .metrics_token = token, .insecure = token || options_flag(o, "insecure") };
	int r = http_auth_check(&auth, listen, e);
	if (r == 0)
		r = http_auth_new(&auth, &w->auth, e);
	if (r == 0)
		r = pool_new("watch", POOL_THREADS, 2 * CONNECTIONS_MAX, &w->pool, e);
	if (r == 0)
		r = api_new(&(struct api_opts){ .repo = on->repo, .store = on->store, .worker = p->worker, .monitor = p->monitor,
						 .bus = on->bus, .auth = w->auth },
			    &w->api, e);
	if (r == 0)
		r = start_http(w, listen, e);
	if (r == 0)
		log_info("metrics_listening", LOG_S("url", http_server_url(w->http)));
	return r;
}

void worker_watch_stop(struct worker_watch *w)
{
	if (w->http)
		http_server_stop(w->http);
	pool_free(w->pool);
	api_free(w->api);
	http_auth_free(w->auth);
	*w = (struct worker_watch){ 0 };
}
