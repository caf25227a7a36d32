/* A running server for a test: pool, authentication, routes, port 0. */
#pragma once

#include "http/response.h"
#include "http/server.h"
#include "http/sse.h"
#include "os/pool.h"

struct fixture {
	struct pool *pool;
	struct http_auth *auth;
	struct http_server *server;
	uint16_t port;
};

/* NULL fields of opts are filled in: listen, pool (a given one is taken), auth (the open door, or by *auth). */
void fixture_start(struct fixture *f, struct http_server_opts opts, const struct http_auth_opts *auth,
		   const struct http_route *routes, size_t count);
void fixture_stop(struct fixture *f);

/* A gate that handlers wait at, so that tests know that they are inside. */
struct gate;
struct gate *gate_new(void);
void gate_free(struct gate *g);
/* Handler: counts itself in, waits until it is opened. */
void gate_pass(struct gate *g);
/* Test: waits until `count` are or have been inside (30 s, then aborts). */
void gate_wait(struct gate *g, unsigned count);
void gate_open(struct gate *g);
