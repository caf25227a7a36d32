/* The thread that stores: see object_queue.h. */
#include "worker/object_queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "os/thread.h"

#define WAIT_MS 250

enum step_kind { STEP_BEGIN, STEP_DATA, STEP_END };

struct step {
	struct step *next;
	enum step_kind kind;
	size_t len; /* of the bytes behind the struct: the object's head, or data */
	char bytes[];
};

struct object_queue {
	struct object_sink sink;
	pthread_t thread;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct step *first, **last;
	size_t waiting_bytes;
	bool busy, stopping;
	int result; /* the sink's failure */
	struct err error;
};

/* ---- On the thread ---- */

static int run_step(const struct object_queue *q, const struct step *s, struct err *e)
{
	struct task_object head;
	switch (s->kind) {
	case STEP_BEGIN:
		memcpy(&head, s->bytes, sizeof(head));
		return q->sink.begin(q->sink.ctx, &head, e);
	case STEP_DATA:
		return q->sink.data(q->sink.ctx, s->bytes, s->len, e);
	case STEP_END:
		return q->sink.end(q->sink.ctx, e);
	}
	return 0;
}

static struct step *take_locked(struct object_queue *q)
{
	struct step *s = q->first;
	q->first = s->next;
	if (!q->first)
		q->last = &q->first;
	q->waiting_bytes -= s->len;
	return s;
}

static void *store_all(void *arg)
{
	struct object_queue *q = arg;
	(void)pthread_mutex_lock(&q->lock);
	for (;;) {
		while (!q->first && !q->stopping)
			(void)pthread_cond_wait(&q->changed, &q->lock);
		if (q->stopping || q->result < 0)
			break;
		struct step *s = take_locked(q);
		q->busy = true;
		(void)pthread_mutex_unlock(&q->lock);
		struct err e = { 0 };
		int r = run_step(q, s, &e);
		free(s);
		(void)pthread_mutex_lock(&q->lock);
		q->busy = false;
		if (r < 0) {
			q->result = r;
			q->error = e;
		}
		(void)pthread_cond_broadcast(&q->changed);
	}
	(void)pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* ---- On the poster's ---- */

/* Waits for something to change. The lock is let go for keep_going, which may take its time. */
static int wait_locked(struct object_queue *q, struct err *e)
{
	(void)cond_wait_until(&q->changed, &q->lock, clock_mono_ms() + WAIT_MS);
	(void)pthread_mutex_unlock(&q->lock);
	bool on = !q->sink.keep_going || q->sink.keep_going(q->sink.ctx);
	(void)pthread_mutex_lock(&q->lock);
	return on ? 0 : err_set(e, ERR_CANCELED, "told to stop");
}

static int post(struct object_queue *q, enum step_kind kind, const void *bytes, size_t len, struct err *e)
{
	struct step *s = malloc(sizeof(*s) + len);
	if (!s)
		return err_set(e, ERR_UNAVAILABLE, "no memory for %zu bytes of an object", len);
	*s = (struct step){ .kind = kind, .len = len };
	if (len)
		memcpy(s->bytes, bytes, len);
	int r = 0;
	(void)pthread_mutex_lock(&q->lock);
	while (r == 0 && q->result == 0 && q->waiting_bytes >= OBJECT_QUEUE_MAX_BYTES)
		r = wait_locked(q, e);
	if (r == 0 && q->result < 0)
		r = err_copy(e, &q->error);
	if (r == 0) {
		*q->last = s;
		q->last = &s->next;
		q->waiting_bytes += len;
		(void)pthread_cond_broadcast(&q->changed);
	}
	(void)pthread_mutex_unlock(&q->lock);
	if (r < 0)
		free(s);
	return r; /* s is in the list now, or freed: NOLINT(clang-analyzer-unix.Malloc) */
}

int object_queue_begin(struct object_queue *q, const struct task_object *head, struct err *e)
{
	return post(q, STEP_BEGIN, head, sizeof(*head), e);
}

int object_queue_data(struct object_queue *q, const void *data, size_t len, struct err *e)
{
	return post(q, STEP_DATA, data, len, e);
}

int object_queue_end(struct object_queue *q, struct err *e)
{
	return post(q, STEP_END, NULL, 0, e);
}

int object_queue_failed(struct object_queue *q, struct err *e)
{
	(void)pthread_mutex_lock(&q->lock);
	int r = q->result < 0 ? err_copy(e, &q->error) : 0;
	(void)pthread_mutex_unlock(&q->lock);
	return r;
}

int object_queue_finish(struct object_queue *q, struct err *e)
{
	int r = 0;
	(void)pthread_mutex_lock(&q->lock);
	while (r == 0 && q->result == 0 && (q->first || q->busy))
		r = wait_locked(q, e);
	if (r == 0 && q->result < 0)
		r = err_copy(e, &q->error);
	(void)pthread_mutex_unlock(&q->lock);
	return r;
}

int object_queue_new(const struct object_sink *sink, struct object_queue **ret, struct err *e)
{
	struct object_queue *q = mr_calloc(1, sizeof(*q));
	q->sink = *sink;
	q->last = &q->first;
	(void)pthread_mutex_init(&q->lock, NULL);
	cond_init_monotonic(&q->changed);
	int errnum = thread_start(&q->thread, "object-queue", store_all, q);
	if (errnum) {
		free(q);
		return err_errno(e, errnum, "start the thread that stores");
	}
	*ret = q;
	return 0;
}

void object_queue_free(struct object_queue **pq)
{
	struct object_queue *q = *pq;
	if (!q)
		return;
	(void)pthread_mutex_lock(&q->lock);
	q->stopping = true;
	(void)pthread_cond_broadcast(&q->changed);
	(void)pthread_mutex_unlock(&q->lock);
	(void)pthread_join(q->thread, NULL);
	while (q->first)
		free(take_locked(q));
	(void)pthread_mutex_destroy(&q->lock);
	(void)pthread_cond_destroy(&q->changed);
	free(q);
	*pq = NULL;
}
