/* An HTTP exchange that its caller waits for: any number of threads have theirs over one loop (exchange.h), whose
 * connections are kept from one to the next; a thread may have several under way.
 *
 *   struct call *c = call_start(loop, &(struct call_opts){ .method = "GET", .url = url, .headers = h, .header_count =
 * n, .into = block, .into_max = sizeof(block), .text = &text }); struct call_answer a; if (call_wait(c, &a, e) == 0 &&
 * a.status == 206) use(block, a.got, call_header(&a, "ETag")); call_answer_release(&a);
 *
 * Everything that the options point to is borrowed until call_wait returns, which has to be called. Any thread but the
 * loop's own; a call belongs to one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/exchange.h"

#define CALL_HEADERS_MAX 9

struct call_opts {
	const char *method, *url;
	const struct sigv4_pair *headers;
	size_t header_count;
	const void *body; /* NULL: none */
	size_t body_len;
	void *into; /* what a 2xx answer's body is put into; NULL: into `text`. Longer than into_max: ERR_TOO_LARGE */
	size_t into_max;
	struct buf *text;             /* any other answer's body; its maximum holds: ERR_TOO_LARGE */
	uint32_t timeout_ms, stall_s; /* as in exchange_opts */
	const char *const *want;      /* names of the headers to keep, NULL behind the last; at most CALL_HEADERS_MAX */
};

struct call_answer {
	int status;
	size_t got;                     /* bytes in `into` */
	char *values[CALL_HEADERS_MAX]; /* of the wanted headers, in their order; NULL: not there */
};
void call_answer_release(struct call_answer *a);

struct call;
struct call *call_start(struct exchange_loop *loop, const struct call_opts *opts) __attribute__((returns_nonnull));
/* 0: an answer came whole, whatever its status; else there is nothing to release. ERR_UNAVAILABLE, ERR_TIMEOUT,
 * ERR_TOO_LARGE; ERR_CANCELED: the loop was stopped. */
int call_wait(struct call *take_c, struct call_answer *ret, struct err *e) MR_MUST_USE;
