/* Thread pool over the bounded queue. Any process but the task (which makes no threads of its own). */
#include "os/pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "os/queue.h"
#include "os/thread.h"

struct work {
	pool_fn fn;
	void *arg;
};

struct pool {
	char name[12]; /* with the number behind it within the kernel's 15 characters */
	struct queue *queue;
	size_t count;
	pthread_t *threads;
};

static void *worker_main(void *arg)
{
	struct pool *p = arg;
	void *item;
	while (queue_pop(p->queue, -1, &item) == 0) {
		struct work *w = item;
		w->fn(w->arg);
		free(w);
	}
	return NULL;
}

static int start_thread(struct pool *p, size_t index)
{
	char name[16];
	(void)snprintf(name, sizeof(name), "%s-%u", p->name, (unsigned)(index % 1000));
	return thread_start(&p->threads[index], name, worker_main, p);
}

int pool_new(const char *name, size_t threads, size_t backlog, struct pool **ret, struct err *e)
{
	if (threads == 0 || backlog == 0)
		return err_set(e, ERR_INVALID, "a pool of %zu threads with a backlog of %zu", threads, backlog);
	struct pool *p = mr_calloc(1, sizeof(*p));
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	p->queue = queue_new(backlog);
	p->threads = mr_calloc(threads, sizeof(*p->threads));
	for (size_t i = 0; i < threads; i++) {
		int r = start_thread(p, i);
		if (r != 0) {
			pool_free(p);
			return err_errno(e, r, "start thread %zu of pool %s", i, name);
		}
		p->count++;
	}
	*ret = p;
	return 0;
}

int pool_submit(struct pool *p, pool_fn fn, void *arg)
{
	struct work *w = mr_calloc(1, sizeof(*w));
	*w = (struct work){ .fn = fn, .arg = arg };
	int r = queue_try_push(p->queue, w);
	if (r < 0)
		free(w);
	return r;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	queue_close(p->queue); /* workers drain what was accepted, then end */
	for (size_t i = 0; i < p->count; i++)
		(void)pthread_join(p->threads[i], NULL);
	queue_free(p->queue);
	free(p->threads);
	free(p);
}
