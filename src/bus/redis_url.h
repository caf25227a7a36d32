/* A Redis server as its URL says it (bus/redis.h). Pure.
 *
 *   struct redis_url u;
 *   redis_url_parse("rediss://:secret@cache.example/2", &u, e);  …  redis_url_release(&u);
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct redis_url {
	bool tls;
	char *host, *port;
	char *user, *password; /* NULL: none */
	char *db;	       /* a number's text; NULL: none */
	char *prefix;
	char *ca; /* NULL: the system's */
};
/* ERR_INVALID, without the URL itself, which may hold a password. */
int redis_url_parse(const char *url, struct redis_url *ret, struct err *e) MR_MUST_USE;
void redis_url_release(struct redis_url *u);
