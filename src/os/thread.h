/* What every thread that waits with a deadline needs: condition variables on the monotonic clock. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

void cond_init_monotonic(pthread_cond_t *c);
/* Waits until signalled, or until clock_mono_ms() reaches `mono_ms`; false if that time has come. May wake spuriously. */
bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *locked, int64_t mono_ms);
