/* The bus within one process. Publishing calls the subscribers on the publisher's thread under a lock that publishers
 * share; subscribing and unsubscribing take it alone, which is how an unsubscribe waits for callbacks that still run.
 * Nothing is queued: who is not subscribed at that moment doesn't hear of it. What carries events to other processes stands behind
 * bus_relay and bus_deliver.
 */
#include "bus/bus.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bus/redis.h"

struct bus_subscription {
	enum bus_topic topic;
	bus_fn fn;
	void *ctx;
	struct bus_subscription *next;
	struct bus_subscription **prev_next; /* what points to this one */
};

struct bus {
	struct bus_redis *redis; /* NULL: local */
	pthread_rwlock_t lock;
	/* protected by lock */
	struct bus_subscription *first;
	bus_relay_fn relay;
	void *relay_ctx;
};

static int new_local(struct bus **ret, struct err *e)
{
	pthread_rwlockattr_t attr;
	pthread_rwlockattr_init(&attr);
	/* Or a stream of events would keep an unsubscribe waiting for ever. Callbacks don't publish, so it can't lock
	 * itself out. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	struct bus *b = mr_calloc(1, sizeof(*b));
	int errnum = pthread_rwlock_init(&b->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	if (errnum) {
		free(b);
		return err_errno(e, errnum, "make the bus");
	}
	*ret = b;
	return 0;
}

int bus_open(const struct bus_opts *opts, struct bus **ret, struct err *e)
{
	struct bus *b = NULL;
	int r = new_local(&b, e);
	if (r < 0)
		return r;
	if (opts->url && strcmp(opts->url, "local") != 0)
		r = bus_redis_start(b, opts, &b->redis, e);
	if (r < 0) {
		bus_close(b);
		return r;
	}
	*ret = b;
	return 0;
}

void bus_close(struct bus *b)
{
	if (!b)
		return;
	bus_redis_stop(b->redis);
	assert(!b->first);
	pthread_rwlock_destroy(&b->lock);
	free(b);
}

static void deliver_locked(struct bus *b, const struct bus_event *ev)
{
	for (struct bus_subscription *s = b->first; s; s = s->next)
		if (s->topic == ev->topic)
			s->fn(s->ctx, ev);
}

void bus_deliver(struct bus *b, const struct bus_event *ev)
{
	pthread_rwlock_rdlock(&b->lock);
	deliver_locked(b, ev);
	pthread_rwlock_unlock(&b->lock);
}

void bus_publish(struct bus *b, const struct bus_event *ev)
{
	pthread_rwlock_rdlock(&b->lock);
	deliver_locked(b, ev);
	if (b->relay)
		b->relay(b->relay_ctx, ev);
	pthread_rwlock_unlock(&b->lock);
}

void bus_relay(struct bus *b, bus_relay_fn fn, void *ctx)
{
	pthread_rwlock_wrlock(&b->lock);
	b->relay = fn;
	b->relay_ctx = ctx;
	pthread_rwlock_unlock(&b->lock);
}

void bus_get_state(struct bus *b, struct bus_state *ret)
{
	*ret = (struct bus_state){ .latency_us = -1 };
	if (b->redis)
		bus_redis_state(b->redis, ret);
}

int bus_subscribe(struct bus *b, enum bus_topic topic, bus_fn fn, void *ctx, struct bus_subscription **ret,
		  struct err *e)
{
	(void)e; /* a bus behind a network can fail here */
	struct bus_subscription *s = mr_calloc(1, sizeof(*s));
	s->topic = topic;
	s->fn = fn;
	s->ctx = ctx;
	pthread_rwlock_wrlock(&b->lock);
	s->next = b->first;
	s->prev_next = &b->first;
	if (s->next)
		s->next->prev_next = &s->next;
	b->first = s;
	pthread_rwlock_unlock(&b->lock);
	*ret = s;
	return 0;
}

void bus_unsubscribe(struct bus *b, struct bus_subscription *s)
{
	if (!s)
		return;
	pthread_rwlock_wrlock(&b->lock);
	*s->prev_next = s->next;
	if (s->next)
		s->next->prev_next = s->prev_next;
	pthread_rwlock_unlock(&b->lock);
	free(s);
}
