/* Hints between the parts of the product: "something changed, look at the rows". In-process now. A lost hint only makes
 * things later, never wrong: everyone also polls.
 *
 *   bus_subscribe(bus, BUS_JOB, on_job, ctx, &sub, e);
 *   bus_publish(bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = user, .job_id = id });
 *
 * Callbacks run on the publisher's thread, must not block and must not publish or (un)subscribe.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

enum bus_topic {
	BUS_JOB = 1, /* a job's visible state changed: status, percent, visible segments */
	BUS_WORK,    /* a chunk may be ready */
	BUS_DOOMED,  /* a job or a file was deleted: its objects can go */
	BUS_STREAM,  /* a stream has a new fragment, or its writer has come or gone */
};

struct bus_event {
	enum bus_topic topic;
	const char *user_id; /* BUS_JOB */
	const char *job_id;  /* BUS_JOB */
	const char *stream_id; /* BUS_STREAM */
};

struct bus;
struct bus_subscription;
typedef void (*bus_fn)(void *ctx, const struct bus_event *ev);

int bus_open_local(struct bus **ret, struct err *e) MR_MUST_USE;
void bus_close(struct bus *b);
void bus_publish(struct bus *b, const struct bus_event *ev);
int bus_subscribe(struct bus *b, enum bus_topic topic, bus_fn fn, void *ctx, struct bus_subscription **ret,
		  struct err *e) MR_MUST_USE;
/* Returns once no callback of this subscription runs any more. */
void bus_unsubscribe(struct bus *b, struct bus_subscription *sub);
