/* Bounded queue: a ring under one lock. Any process; see queue.h for what closing means. */
#include "os/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	/* protected by lock */
	void **items;
	size_t capacity, head, length;
	bool closed;
};

struct queue *queue_new(size_t capacity)
{
	assert(capacity > 0);
	struct queue *q = mr_calloc(1, sizeof(*q));
	q->items = mr_calloc(capacity, sizeof(*q->items));
	q->capacity = capacity;
	(void)pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	/* timeouts must not follow a wall clock that is set */
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&q->not_empty, &attr);
	(void)pthread_cond_init(&q->not_full, &attr);
	(void)pthread_condattr_destroy(&attr);
	return q;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	(void)pthread_cond_destroy(&q->not_full);
	(void)pthread_cond_destroy(&q->not_empty);
	(void)pthread_mutex_destroy(&q->lock);
	free(q->items);
	free(q);
}

static int push_locked(struct queue *q, void *item, bool wait)
{
	while (!q->closed && q->length == q->capacity) {
		if (!wait)
			return -ERR_BUSY;
		(void)pthread_cond_wait(&q->not_full, &q->lock);
	}
	if (q->closed)
		return -ERR_CANCELED;
	q->items[(q->head + q->length) % q->capacity] = item;
	q->length++;
	(void)pthread_cond_signal(&q->not_empty);
	return 0;
}

int queue_push(struct queue *q, void *item)
{
	(void)pthread_mutex_lock(&q->lock);
	int r = push_locked(q, item, true);
	(void)pthread_mutex_unlock(&q->lock);
	return r;
}

int queue_try_push(struct queue *q, void *item)
{
	(void)pthread_mutex_lock(&q->lock);
	int r = push_locked(q, item, false);
	(void)pthread_mutex_unlock(&q->lock);
	return r;
}

static struct timespec deadline_after(int64_t timeout_ms)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += timeout_ms / 1000;
	t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static int pop_locked(struct queue *q, int64_t timeout_ms, void **ret_item)
{
	struct timespec until = deadline_after(timeout_ms < 0 ? 0 : timeout_ms);
	int timed_out = 0;
	while (q->length == 0) {
		if (q->closed)
			return -ERR_CANCELED;
		if (timed_out == ETIMEDOUT)
			return -ERR_TIMEOUT;
		if (timeout_ms < 0)
			(void)pthread_cond_wait(&q->not_empty, &q->lock);
		else
			timed_out = pthread_cond_timedwait(&q->not_empty, &q->lock, &until);
	}
	*ret_item = q->items[q->head];
	q->head = (q->head + 1) % q->capacity;
	q->length--;
	(void)pthread_cond_signal(&q->not_full);
	return 0;
}

int queue_pop(struct queue *q, int64_t timeout_ms, void **ret_item)
{
	(void)pthread_mutex_lock(&q->lock);
	int r = pop_locked(q, timeout_ms, ret_item);
	(void)pthread_mutex_unlock(&q->lock);
	return r;
}

void queue_close(struct queue *q)
{
	(void)pthread_mutex_lock(&q->lock);
	q->closed = true;
	(void)pthread_cond_broadcast(&q->not_empty);
	(void)pthread_cond_broadcast(&q->not_full);
	(void)pthread_mutex_unlock(&q->lock);
}

size_t queue_length(struct queue *q)
{
	(void)pthread_mutex_lock(&q->lock);
	size_t n = q->length;
	(void)pthread_mutex_unlock(&q->lock);
	return n;
}
