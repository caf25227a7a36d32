/* Timed operations. Every process. */
#include "base/timed.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/err.h"
#include "base/metrics.h"

const char *const timed_area_names[TIMED_AREAS] = { "database", "store", "task" };

static const int64_t quick_us[] = METRIC_QUICK_US;
static const int64_t long_ms[] = METRIC_LONG_MS;
static struct metric database = METRIC_HISTOGRAM("millrace_database_seconds", "Statements and whole transactions.", 1e-6, quick_us,
						  "operation", "outcome");
static struct metric store = METRIC_HISTOGRAM("millrace_store_seconds", "Operations of the object store.", 1e-6, quick_us,
					       "operation", "outcome");
static struct metric task =
	METRIC_HISTOGRAM("millrace_task_seconds", "Sandboxed tasks, from fork to end.", 1e-3, long_ms, "operation", "outcome");
static struct metric *const metrics[TIMED_AREAS] = { &database, &store, &task };
static const int64_t unit_ns[TIMED_AREAS] = { 1000, 1000, 1000000 };

static _Atomic(timed_fn) listener;

void timed_listen(timed_fn fn)
{
	atomic_store(&listener, fn);
}

void timed_done(enum timed_area area, const char *operation, const char *what, int64_t took_ns, int result)
{
	const char *outcome = result >= 0 || result == -ERR_NOT_FOUND ? "ok" : "error";
	metric_observe(metric_of(metrics[area], operation, outcome), took_ns / unit_ns[area]);
	timed_fn fn = atomic_load_explicit(&listener, memory_order_relaxed);
	if (fn)
		fn(&(struct timed){ .area = area, .operation = operation, .what = what, .took_ns = took_ns, .result = result });
}
