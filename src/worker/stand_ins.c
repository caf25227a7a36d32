/* Counting the threads that wait: see stand_ins.h. */
#include "worker/stand_ins.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct stand_ins {
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t more;
	uint32_t waiting;
	bool interrupted;
};

struct stand_ins *stand_ins_new(void)
{
	struct stand_ins *s = mr_calloc(1, sizeof(*s));
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->more, NULL);
	return s;
}

void stand_ins_free(struct stand_ins *s)
{
	if (!s)
		return;
	assert(!s->waiting);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->more);
	free(s);
}

void stand_ins_wait_begin(struct stand_ins *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->waiting++;
	(void)pthread_cond_broadcast(&s->more);
	(void)pthread_mutex_unlock(&s->lock);
}

void stand_ins_wait_end(struct stand_ins *s)
{
	(void)pthread_mutex_lock(&s->lock);
	assert(s->waiting);
	s->waiting--;
	(void)pthread_mutex_unlock(&s->lock);
}

bool stand_ins_await(struct stand_ins *s, uint32_t n)
{
	(void)pthread_mutex_lock(&s->lock);
	while (s->waiting <= n && !s->interrupted)
		(void)pthread_cond_wait(&s->more, &s->lock);
	bool needed = !s->interrupted;
	(void)pthread_mutex_unlock(&s->lock);
	return needed;
}

void stand_ins_interrupt(struct stand_ins *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->interrupted = true;
	(void)pthread_cond_broadcast(&s->more);
	(void)pthread_mutex_unlock(&s->lock);
}
