/* HTTP exchanges that nobody waits for: one thread with libcurl's multi interface over epoll serves as many as there are, among
 * them such whose body is sent for minutes while the answer already comes.
 *
 *   exchange_loop_start("kvs", &(struct exchange_loop_opts){ .tick_ms = 50, .tick = on_tick, .ctx = me }, &l, e);
 *   exchange_loop_post(l, begin, me);                           // any thread; runs on the loop's
 *   static void begin(void *arg) { me->x = exchange_start(l, &(struct exchange_opts){ .url = url, .headers = headers, … }); }
 *   static void on_done(void *ctx, const struct exchange_end *end) { me->x = NULL; … }
 *   exchange_loop_stop(l);
 *
 * Everything but start, stop and post of a loop is for its thread alone, where all callbacks come, too. They must not block. An
 * exchange ends with `done`, exactly once, unless it is cancelled; its pointer is invalid from then on. Any function may be called
 * in any callback. HTTP/1.1, http and https (whose certificates are always checked), no redirects.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/sigv4.h"

struct exchange_loop;
struct exchange_loop_opts {
	uint32_t tick_ms; /* 0: no tick */
	void (*tick)(void *ctx);
	void *ctx;
	const char *ca_file; /* PEM: who signs servers' certificates; NULL: those that the system trusts. Copied */
};
int exchange_loop_start(const char *name, const struct exchange_loop_opts *opts, struct exchange_loop **ret,
			struct err *e) MR_MUST_USE;
/* Runs what was posted, ends what is left of the exchanges with ERR_CANCELED, joins. NULL is fine. */
void exchange_loop_stop(struct exchange_loop *l);
void exchange_loop_post(struct exchange_loop *l, void (*fn)(void *arg), void *arg);

struct exchange;
struct exchange_end {
	int status;	/* of the answer; 0: there was none */
	struct err why; /* kind ERR_OK: the exchange is whole, whatever the status. ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CANCELED */
};

#define EXCHANGE_LATER SIZE_MAX

struct exchange_opts {
	const char *method; /* NULL: POST; all strings are copied */
	const char *url;
	const struct sigv4_pair *headers; /* an empty value leaves out a header that would be sent by itself */
	size_t header_count;
	const void *body; /* copied, unless `borrow_body`: then it stays there until the exchange has ended */
	size_t body_len;
	bool borrow_body;
	/* In place of `body`: fills `out` and returns how much; 0: that was all; EXCHANGE_LATER: asked again after
	 * exchange_resume. No more is asked for once the answer has ended. The connection is the exchange's own. */
	size_t (*read)(void *ctx, char *out, size_t max);
	uint32_t timeout_ms; /* of the whole; 0: none. Connecting has ten seconds. */
	uint32_t stall_s;    /* ends with ERR_TIMEOUT when nothing has moved for so long; 0: never */
	bool bulk;	     /* megabytes rather than small documents: larger buffers */
	void (*head)(void *ctx, int status); /* the final head has come; may be NULL */
	void (*data)(void *ctx, const char *data, size_t len);
	void (*done)(void *ctx, const struct exchange_end *end);
	void *ctx;
};
/* Never fails: what goes wrong comes as `done`, later. */
struct exchange *exchange_start(struct exchange_loop *l, const struct exchange_opts *opts) __attribute__((returns_nonnull));
/* `read` has something again. */
void exchange_resume(struct exchange *x);
/* Nothing of it comes any more; the connection is closed. */
void exchange_cancel(struct exchange *take_x);
/* In `data`: no more of the answer is wanted. The exchange ends with ERR_UNAVAILABLE, soon. */
void exchange_refuse(struct exchange *x);
/* Of the answer, in `done` at the latest; NULL: it has none of that name. Borrowed for the call. */
const char *exchange_header(struct exchange *x, const char *name);
