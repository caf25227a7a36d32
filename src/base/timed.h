/* How long operations of the database, the store and tasks take: a histogram of each (base/metrics.h), and what a process wants to
 * hear of every single one. Libraries don't log; they tell this.
 *
 *   int64_t began = clock_mono_ns();
 *   int r = …;
 *   timed_done(TIMED_STORE, "stat", key, clock_mono_ns() - began, r);
 *
 * Any thread. Costs an addition or two, and a call where somebody listens. */
#pragma once

#include <stdint.h>

enum timed_area { TIMED_DATABASE, TIMED_STORE, TIMED_TASK, TIMED_AREAS };
extern const char *const timed_area_names[TIMED_AREAS]; /* "database" */

struct timed {
	enum timed_area area;
	const char *operation; /* a constant: "put" */
	const char *what;      /* a key, a statement, a transaction's name; NULL: nothing to say */
	int64_t took_ns;
	int result; /* as functions return it: negative, an error (not to be there is none) */
};
void timed_done(enum timed_area area, const char *operation, const char *what, int64_t took_ns, int result);

/* Is called with every operation from then on, on the thread that did it; borrows. NULL: nobody listens. For the process's
 * start. */
typedef void (*timed_fn)(const struct timed *t);
void timed_listen(timed_fn fn);
