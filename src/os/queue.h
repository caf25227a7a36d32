/* A bounded queue between threads (any number of producers and consumers).
 *
 * queue_push blocks while it is full; queue_pop blocks while it is empty. Either side may close it: then pushes fail with
 * -ERR_CANCELED and leave the item with the caller, and pops drain what is left and then fail with -ERR_CANCELED.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct queue;
struct queue *queue_new(size_t capacity);
/* Must be empty or its items owned elsewhere; no thread may be inside. */
void queue_free(struct queue *q);
int queue_push(struct queue *q, void *item) MR_MUST_USE;
/* Fails with -ERR_BUSY instead of waiting. */
int queue_try_push(struct queue *q, void *item) MR_MUST_USE;
/* timeout_ms < 0 waits for ever; -ERR_TIMEOUT when it passes. */
int queue_pop(struct queue *q, int64_t timeout_ms, void **ret_item) MR_MUST_USE;
void queue_close(struct queue *q);
size_t queue_length(struct queue *q);
