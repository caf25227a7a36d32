/* What threads need: a start without signals, condition variables on the monotonic clock, one's own priority. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a thread with all signals blocked: they belong to the process's own signal thread. `name` is for people, of at most 15
 * characters. 0 or an errno. */
int thread_start(pthread_t *ret, const char *name, void *(*run)(void *arg), void *arg);

void cond_init_monotonic(pthread_cond_t *c);
/* Waits until signalled, or until clock_mono_ms() reaches `mono_ms`; false if that time has come. May wake spuriously. */
bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *locked, int64_t mono_ms);

/* The calling thread, and those that it starts from now on, make room for others, of this process too: their niceness grows by so
 * much. Best effort, as everything about priorities; also in the sandbox. */
void thread_step_behind(int by);

/* The calling thread, and those that it starts from now on, run longer at a time than others and take no core from another by
 * waking up: SCHED_BATCH, and where the kernel can (6.12 and later; sched(7) calls it custom slice) slices of THREAD_SLICE_MS. An
 * encoder's caches then serve more than a frame before another thread fills them. Best effort; not in the sandbox. */
#define THREAD_SLICE_MS 50
void thread_run_long(void);
