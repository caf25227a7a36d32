/* Starting threads, condition variables on the monotonic clock, a thread's priority. */
#include "os/thread.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICENESS_MAX 19

int thread_start(pthread_t *ret, const char *name, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(ret, NULL, run, arg);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		(void)pthread_setname_np(*ret, name);
	return r;
}

void cond_init_monotonic(pthread_cond_t *c)
{
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(c, &attr);
	(void)pthread_condattr_destroy(&attr);
}

bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *locked, int64_t mono_ms)
{
	struct timespec until = { .tv_sec = mono_ms / 1000, .tv_nsec = mono_ms % 1000 * 1000000 };
	return pthread_cond_timedwait(c, locked, &until) == 0;
}

void thread_step_behind(int by)
{
	/* On Linux a niceness is a thread's own (setpriority(2), NOTES). Of a process that was put before others it may fail. */
	int niceness = getpriority(PRIO_PROCESS, 0) + by;
	(void)setpriority(PRIO_PROCESS, 0, niceness < NICENESS_MAX ? niceness : NICENESS_MAX);
}

void thread_run_long(void)
{
	/* sched_setattr(2): glibc 2.36 has neither the function nor the type, and the kernel's header doesn't go with <sched.h>. */
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime_ns, deadline_ns, period_ns;
	} a = { .size = sizeof(a),
		.policy = SCHED_BATCH,
		.nice = getpriority(PRIO_PROCESS, 0),
		.runtime_ns = THREAD_SLICE_MS * 1000000ull };
	(void)syscall(SYS_sched_setattr, 0, &a, 0);
}
