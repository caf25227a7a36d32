/* Who takes the place of worker threads that only wait: for an endpoint's speech, which takes seconds and no work. Each thread that
 * waits lets one stand-in work, so that as many threads work as there shall be, up to a bound. In the server and worker process.
 *
 *   stand_ins_wait_begin(s);                  // a worker thread, before it waits long
 *   …
 *   stand_ins_wait_end(s);
 *
 *   while (stand_ins_await(s, n))             // the n-th stand-in: more than n threads wait now
 *           claim_and_run();
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct stand_ins;
struct stand_ins *stand_ins_new(void);
void stand_ins_free(struct stand_ins *s);
/* From any thread; every begin has its end. */
void stand_ins_wait_begin(struct stand_ins *s);
void stand_ins_wait_end(struct stand_ins *s);
/* Blocks until more than `n` threads wait; false: interrupted. */
bool stand_ins_await(struct stand_ins *s, uint32_t n);
/* Every await, now and later, returns false. */
void stand_ins_interrupt(struct stand_ins *s);
