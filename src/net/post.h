/* Requests to an endpoint that the operator named: POST with a body (or another method), over a connection that is kept from one
 * to the next.
 *
 *   struct net_client *c = net_client_new();
 *   r = net_post(c, &(struct net_post){ .url = url, .bearer = key, .content_type = "application/json", .body = json,
 *                                       .timeout_s = 60, .keep_going = go, .ctx = x }, &body, &answer, e);
 *   if (r == 0 && answer.status == 200)
 *           use(&body);
 *   net_client_free(c);
 *
 * http and https alone; redirects are answers like others, so nothing is sent to where somebody else points. What is
 * secret is in no error. A client belongs to one thread; blocks until the answer is whole, the time is over or it is
 * told to stop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/sigv4.h"

struct net_client;
struct net_client *net_client_new(void);
void net_client_free(struct net_client *c);

struct net_post {
	const char *url;
	const char *method; /* NULL: POST */
	const char *bearer; /* of the Authorization header; NULL: none */
	const char *content_type; /* NULL: none */
	const char *body;	  /* NULL: none */
	const struct sigv4_pair *headers; /* further ones */
	size_t header_count;
	const char *ca_file; /* PEM: who signs the server's certificate; NULL: those that the system trusts */
	uint32_t timeout_s; /* of the whole exchange */
	/* Asked about once a second; false ends it with ERR_CANCELED. NULL: nobody is asked. */
	bool (*keep_going)(void *ctx);
	void *ctx;
};
struct net_answer {
	int status;
	int64_t retry_after_ms; /* 0: it doesn't say */
	char content_type[64];  /* in small letters; empty: it doesn't say */
};
/* Appends the answer's body, whatever the status; the buffer's maximum holds (ERR_TOO_LARGE). ERR_UNAVAILABLE: no
 * connection, or it ended before the answer was whole. ERR_TIMEOUT. */
int net_post(struct net_client *c, const struct net_post *p, struct buf *body, struct net_answer *ret,
	     struct err *e) MR_MUST_USE;
