/* A task's objects on their way into the store, on a thread of their own: the task goes on encoding, and its reads are answered,
 * while the store is slow. Runs in the server and worker process.
 *
 *   struct object_sink to = { .ctx = t, .begin = on_begin, .data = on_data, .end = on_end };
 *   object_queue_new(&to, &q, e);
 *   object_queue_begin(q, &head, e);  object_queue_data(q, bytes, n, e);  object_queue_end(q, e);   // by one thread
 *   object_queue_finish(q, e);       // all are stored, or why not
 *   object_queue_free(&q);
 *
 * Guarantees: the sink's functions are called in the order of the calls here, by one thread, none after one has failed; what was
 * posted before object_queue_finish returned 0 has gone through all of them. At most OBJECT_QUEUE_MAX_BYTES wait, and one
 * piece more; then posting waits, and calls `keep_going` meanwhile. Does not guarantee that what is posted is stored: a failure is
 * told by the next call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "proto/task.h"

/* Two segments of 1080p, or so. */
#define OBJECT_QUEUE_MAX_BYTES (8u << 20)

struct object_sink {
	void *ctx;
	int (*begin)(void *ctx, const struct task_object *head, struct err *e);
	int (*data)(void *ctx, const void *data, size_t len, struct err *e);
	int (*end)(void *ctx, struct err *e);
	/* Called by whoever waits for the queue, at least every 500 ms; false: waiting ends with ERR_CANCELED. */
	bool (*keep_going)(void *ctx);
};

struct object_queue;
int object_queue_new(const struct object_sink *sink, struct object_queue **ret, struct err *e) MR_MUST_USE;
/* Fail with what a sink's function failed with, or with ERR_CANCELED. */
int object_queue_begin(struct object_queue *q, const struct task_object *head, struct err *e) MR_MUST_USE;
int object_queue_data(struct object_queue *q, const void *data, size_t len, struct err *e) MR_MUST_USE;
int object_queue_end(struct object_queue *q, struct err *e) MR_MUST_USE;
/* Waits until everything is through. */
int object_queue_finish(struct object_queue *q, struct err *e) MR_MUST_USE;
/* The sink's failure, or 0; from any thread. */
int object_queue_failed(struct object_queue *q, struct err *e) MR_MUST_USE;
/* Waits for the call under way and drops the rest. Fine with NULL. */
void object_queue_free(struct object_queue **q);
