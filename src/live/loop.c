/* An epoll thread with an inbox and a tick. The server process. */
#include "live/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/thread.h"

#define EVENTS_AT_ONCE 64

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	struct loop_opts opts;
	pthread_t thread;
	int epoll_fd, wake_fd;
	/* of the wait that is being handled */
	struct epoll_event events[EVENTS_AT_ONCE];
	int event_count;

	pthread_mutex_t lock;
	/* protected by lock */
	struct post *posts, **tail;
	bool ending;
};

static void wake(struct loop *l)
{
	const uint64_t one = 1;
	/* It can only fail when the counter is full: then the loop wakes anyway. */
	if (write(l->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = mr_calloc(1, sizeof(*p));
	p->fn = fn;
	p->arg = arg;
	(void)pthread_mutex_lock(&l->lock);
	bool first = !l->posts;
	*l->tail = p;
	l->tail = &p->next;
	(void)pthread_mutex_unlock(&l->lock);
	if (first)
		wake(l);
}

/* False: it is told to end and nothing is left. */
static bool run_posts(struct loop *l)
{
	(void)pthread_mutex_lock(&l->lock);
	struct post *p = l->posts;
	l->posts = NULL;
	l->tail = &l->posts;
	bool ending = l->ending;
	(void)pthread_mutex_unlock(&l->lock);
	bool any = p != NULL;
	while (p) {
		struct post *next = p->next;
		p->fn(p->arg);
		free(p);
		p = next;
	}
	return any || !ending;
}

static void drain_wakes(struct loop *l)
{
	uint64_t count;
	if (read(l->wake_fd, &count, sizeof(count)) < 0)
		return;
}

static int wait_ms(const struct loop *l, int64_t next_tick_ms)
{
	if (!l->opts.tick_ms)
		return -1;
	int64_t left = next_tick_ms - clock_mono_ms();
	return left > 0 ? (int)left : 0;
}

static void *loop_main(void *arg)
{
	struct loop *l = arg;
	int64_t next_tick_ms = clock_mono_ms() + l->opts.tick_ms;
	do {
		int n = epoll_wait(l->epoll_fd, l->events, EVENTS_AT_ONCE, wait_ms(l, next_tick_ms));
		l->event_count = n > 0 ? n : 0;
		for (int i = 0; i < l->event_count; i++) {
			struct loop_watch *w = l->events[i].data.ptr;
			if (w)
				w->ready(w, l->events[i].events);
			else if (l->events[i].events) /* not one that was removed meanwhile */
				drain_wakes(l);
		}
		l->event_count = 0;
		if (l->opts.tick_ms && clock_mono_ms() >= next_tick_ms) {
			l->opts.tick(l->opts.ctx);
			next_tick_ms = clock_mono_ms() + l->opts.tick_ms;
		}
	} while (run_posts(l));
	return NULL;
}

static void loop_free(struct loop *l)
{
	fd_close(&l->epoll_fd);
	fd_close(&l->wake_fd);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

int loop_start(const char *name, const struct loop_opts *opts, struct loop **ret, struct err *e)
{
	struct loop *l = mr_calloc(1, sizeof(*l));
	l->opts = *opts;
	l->tail = &l->posts;
	(void)pthread_mutex_init(&l->lock, NULL);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event ev = { .events = EPOLLIN };
	int failed = 0;
	if (l->epoll_fd < 0 || l->wake_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) < 0)
		failed = errno;
	else
		failed = thread_start(&l->thread, name, loop_main, l);
	if (failed) {
		loop_free(l);
		return err_errno(e, failed, "start the thread %s", name);
	}
	*ret = l;
	return 0;
}

void loop_stop(struct loop *l)
{
	if (!l)
		return;
	(void)pthread_mutex_lock(&l->lock);
	l->ending = true;
	(void)pthread_mutex_unlock(&l->lock);
	wake(l);
	(void)pthread_join(l->thread, NULL);
	loop_free(l);
}

int loop_add(struct loop *l, struct loop_watch *w, uint32_t events, struct err *e)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, w->fd, &ev) < 0)
		return err_errno(e, errno, "watch a descriptor");
	w->events = events;
	return 0;
}

void loop_change(struct loop *l, struct loop_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };
	if (events == w->events)
		return;
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev); /* it is in the set: only our own fault could make it fail */
	w->events = events;
}

void loop_remove(struct loop *l, struct loop_watch *w)
{
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	for (int i = 0; i < l->event_count; i++)
		if (l->events[i].data.ptr == w)
			l->events[i] = (struct epoll_event){ 0 };
}
