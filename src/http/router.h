/* Finds the route of a request. Built once from the table, then read by any thread.
 *
 *   struct router_match m;
 *   switch (router_find(r, "GET", "/api/jobs/0190…", &arena, &m, e)) { ... }
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "http/arena.h"
#include "http/route.h"
#include "net/sigv4.h"

#define ROUTER_PARAMS_MAX 4

struct router;

struct router_match {
	const struct http_route *route; /* NULL: the path is known, the method is not */
	struct sigv4_pair params[ROUTER_PARAMS_MAX];
	size_t param_count;
	const char *allow; /* "GET, HEAD, OPTIONS": what the path takes; set whenever the path is known */
};

/* The table must have passed http_routes_check and outlive the router. */
struct router *router_new(const struct http_route *routes, size_t count);
void router_free(struct router *r);
/* 0, or -ERR_NOT_FOUND (no such path), -ERR_INVALID (a parameter with "%2F" or nothing printable in it). raw_path is
 * still percent-encoded and has passed uri_parse. */
int router_find(const struct router *r, const char *method, const char *raw_path, struct arena *a,
		struct router_match *ret, struct err *e) MR_MUST_USE;
