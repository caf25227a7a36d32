/* Hints between the parts of the product, in this process and in others: "something changed, look at the rows". A lost hint only
 * makes things later, never wrong: everyone also polls.
 *
 *   bus_open(&(struct bus_opts){ .url = "redis://cache.example" }, &bus, e);
 *   bus_subscribe(bus, BUS_JOB, on_job, ctx, &sub, e);
 *   bus_publish(bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = user, .job_id = id });
 *
 * Callbacks run on the publisher's thread (of events from elsewhere: on the bus's own), must not block and must not publish or
 * (un)subscribe.
 *
 * Through Redis (bus/redis.h) events go to every other process that has the same Redis and the same prefix, published and
 * forgotten, and nobody waits for Redis. Progress is also stored there for half a minute, for whoever else wants to see it. While
 * it is away events stay in their process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum bus_topic {
	BUS_JOB = 1, /* a job's visible state changed: status, percent, visible segments */
	BUS_WORK,    /* a chunk may be ready */
	BUS_DOOMED,  /* a job or a file was deleted: its objects can go */
	BUS_STREAM,  /* a stream has a new fragment, or its writer has come or gone */
};

/* How far a job was at that revision: a number of the job's status, and a stage without blanks. */
struct bus_progress {
	int64_t revision;
	int status;
	double percent;
	char stage[24];
};
struct bus_event {
	enum bus_topic topic;
	const char *user_id; /* BUS_JOB */
	const char *job_id;  /* BUS_JOB */
	const struct bus_progress *progress; /* BUS_JOB: nothing else has changed; NULL: anything may have */
	const char *stream_id; /* BUS_STREAM */
};

struct bus;
struct bus_subscription;
typedef void (*bus_fn)(void *ctx, const struct bus_event *ev);

struct bus_opts {
	const char *url; /* "local" (or NULL), redis://… or rediss://…: bus/redis.h */
	/* Redis is there (again), or is away, and why: once for each change, the first connection included. On the bus's thread. */
	void (*on_state)(void *ctx, bool connected, const char *why);
	void *ctx;
};
/* Doesn't wait for Redis, which may come later. ERR_INVALID: a URL that can't be one. */
int bus_open(const struct bus_opts *opts, struct bus **ret, struct err *e) MR_MUST_USE;
/* NULL is fine. Waits for the bus's thread, at most some seconds where it looks up a name. */
void bus_close(struct bus *b);
void bus_publish(struct bus *b, const struct bus_event *ev);
int bus_subscribe(struct bus *b, enum bus_topic topic, bus_fn fn, void *ctx, struct bus_subscription **ret,
		  struct err *e) MR_MUST_USE;
/* Returns once no callback of this subscription runs any more. */
void bus_unsubscribe(struct bus *b, struct bus_subscription *sub);

struct bus_state {
	bool remote;	/* false: local, and nothing else below counts */
	bool connected;
	int64_t latency_us; /* of the last PING; -1: none yet */
	uint64_t sent, received, dropped; /* events; dropped: while it was away, or more than it could take */
	uint64_t connections; /* so often it was connected */
	char error[256];      /* why it is away; "" when it isn't */
};
void bus_get_state(struct bus *b, struct bus_state *ret);

/* ---- for what carries events between processes ---- */

/* What is published here is handed to `fn` as well, on the publisher's thread; it must not block. NULL: to nobody. One at a time:
 * an open Redis is one. */
typedef void (*bus_relay_fn)(void *ctx, const struct bus_event *ev);
void bus_relay(struct bus *b, bus_relay_fn fn, void *ctx);
/* Tells the subscribers here, and nobody else. */
void bus_deliver(struct bus *b, const struct bus_event *ev);

/* An event as a line of text, and back. */
#define BUS_EVENT_MAX 512
void bus_event_format(const struct bus_event *ev, char out[BUS_EVENT_MAX]);
struct bus_event_copy {
	struct bus_event event; /* borrows from the others */
	struct bus_progress progress;
	char id[40];
	char user[BUS_EVENT_MAX];
};
/* False: it isn't one (of another version, perhaps). */
bool bus_event_parse(const char *text, struct bus_event_copy *ret);
