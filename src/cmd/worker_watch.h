/* What `millrace worker` listens for, if it is told to: /healthz, /readyz, /api/health and /metrics of this process, and nothing
 * else.
 *
 *   struct worker_watch w = { 0 };
 *   worker_watch_start(&w, &options, &backends, &parts, e);      // nothing without --metrics-listen
 *   … worker_watch_stop(&w);                                     // before the parts; also after a failed start */
#pragma once

#include "cmd/backends.h"
#include "cmd/worker_parts.h"

#define WATCH_OPTION_DEFS                                                                                                   \
	{ "metrics-listen", "HOST:PORT", NULL, "serve /metrics and /api/health there (default: nowhere)" },             \
		{ "metrics-token", "TEXT", NULL, "who shows it as a bearer token may read /metrics (at least 16 bytes)", \
		  .secret = true },                                                                                     \
	{                                                                                                               \
		"insecure", NULL, NULL, "listen beyond loopback although nobody has to show a token"                    \
	}

struct worker_watch {
	struct pool *pool;
	struct http_auth *auth;
	struct api *api;
	struct http_server *http;
};
int worker_watch_start(struct worker_watch *w, const struct options *o, const struct backends *on, const struct worker_parts *p,
		       struct err *e) MR_MUST_USE;
void worker_watch_stop(struct worker_watch *w);
