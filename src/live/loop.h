/* One thread with an epoll set: descriptors, work posted from other threads, and a tick. What belongs to a loop is touched on its
 * thread alone, so it needs no lock. Runs in the server process; knows neither WebSockets nor sessions.
 *
 *   struct loop *l;
 *   loop_start("live-0", &(struct loop_opts){ .tick_ms = 250, .tick = on_tick, .ctx = me }, &l, e);
 *   loop_post(l, adopt, conn);            // any thread; runs on the loop's
 *   static void adopt(void *arg) { loop_add(conn->loop, &conn->watch, EPOLLIN, e); }
 *
 * Callbacks must not block. Posted work runs in the order in which it was posted, all of it before loop_stop returns.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct loop;

struct loop_opts {
	uint32_t tick_ms; /* 0: no tick */
	void (*tick)(void *ctx);
	void *ctx;
};
int loop_start(const char *name, const struct loop_opts *opts, struct loop **ret, struct err *e) MR_MUST_USE;
/* Runs what is posted, posts made meanwhile included, then ends the thread. Not from the loop itself. NULL is fine. */
void loop_stop(struct loop *l);

/* Any thread. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* A descriptor in the set; embedded in what owns it. `ready` may remove the watch, and free what holds it, if it then touches it no
 * more: later events of the same wait for it are not delivered. */
struct loop_watch {
	int fd;
	void (*ready)(struct loop_watch *w, uint32_t events);
	uint32_t events; /* as set; the loop's */
};
/* On the loop's thread. */
int loop_add(struct loop *l, struct loop_watch *w, uint32_t events, struct err *e) MR_MUST_USE;
void loop_change(struct loop *l, struct loop_watch *w, uint32_t events);
void loop_remove(struct loop *l, struct loop_watch *w);
