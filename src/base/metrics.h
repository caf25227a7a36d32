/* Counters, gauges and histograms of this process, and their text as Prometheus reads it (exposition format 0.0.4).
 *
 *   static const int64_t bounds[] = { 1000, 10000, 60000 };
 *   static struct metric chunk_time = METRIC_HISTOGRAM("millrace_chunk_seconds", "From claim to end.", 1e-3, bounds, "kind");
 *   metric_observe(metric_of(&chunk_time, "ladder"), took_ms);
 *
 * A metric is a static variable; it is listed from its first use on. A series, a metric with values for its labels, is found by
 * metric_of and lives for ever: who counts often keeps it. Values are whole numbers of a small unit (milliseconds, bytes), shown
 * in the large one that Prometheus wants (seconds).
 *
 * Threads: everything from any at once. Counting is one relaxed atomic addition, of a histogram two; metric_of compares a few
 * texts, and takes a lock only for a series that is new. Numbers that belong together may be read while one of them has already
 * been counted. A metric has METRIC_SERIES_MAX series at most: what comes beyond is counted together, with every label "other". */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"

#define METRIC_LABELS_MAX 3
#define METRIC_SERIES_MAX 1000
#define METRIC_SLOTS 64

enum metric_type { METRIC_TYPE_COUNTER, METRIC_TYPE_GAUGE, METRIC_TYPE_HISTOGRAM };

struct metric_series;
struct metric {
	const char *name, *help;
	enum metric_type type;
	double unit; /* what 1 stands for in the text */
	const int64_t *bounds; /* of a histogram: rising, each the largest value of its bucket; one more takes the rest */
	size_t bound_count;
	const char *labels[METRIC_LABELS_MAX]; /* NULL behind the last */
	/* The rest is metrics.c's. */
	struct metric *next;
	_Atomic(struct metric_series *) series[METRIC_SLOTS];
	unsigned count; /* of series; protected by the registry's lock */
	atomic_bool hidden;
};
/* The labels' names follow, if it has any. */
#define METRIC_COUNTER(name_, help_, unit_, ...) \
	{ .name = name_, .help = help_, .type = METRIC_TYPE_COUNTER, .unit = unit_, .labels = { __VA_ARGS__ } }
#define METRIC_GAUGE(name_, help_, unit_, ...) \
	{ .name = name_, .help = help_, .type = METRIC_TYPE_GAUGE, .unit = unit_, .labels = { __VA_ARGS__ } }
#define METRIC_HISTOGRAM(name_, help_, unit_, bounds_, ...)                                                \
	{ .name = name_, .help = help_, .type = METRIC_TYPE_HISTOGRAM, .unit = unit_, .bounds = bounds_,    \
	  .bound_count = MR_ARRAY_SIZE(bounds_), .labels = { __VA_ARGS__ } }

/* Microseconds of what should be quick: 100 µs to 30 s. Milliseconds of what takes its time: 50 ms to an hour. */
#define METRIC_QUICK_US { 100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000, 3000000, 10000000, 30000000 }
#define METRIC_LONG_MS { 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 900000, 3600000 }

/* `values`: one for each label, copied; made if it is new. */
struct metric_series *metric_series_of(struct metric *m, const char *const values[METRIC_LABELS_MAX])
	__attribute__((returns_nonnull));
#define metric_of(m, ...) metric_series_of(m, (const char *const[METRIC_LABELS_MAX]){ __VA_ARGS__ })

void metric_add(struct metric_series *s, int64_t n); /* a counter's n ≥ 0 */
void metric_set(struct metric_series *s, int64_t value);
void metric_observe(struct metric_series *s, int64_t value);
int64_t metric_value(const struct metric_series *s); /* a counter's or gauge's */
/* Of all series of a histogram together. */
void metric_total(struct metric *m, int64_t *ret_count, int64_t *ret_sum);

/* All its series are 0 from now on: for gauges that are read anew, of which some may be there no more. */
void metric_reset(struct metric *m);
/* Left out of the text, or not. */
void metric_hide(struct metric *m, bool hidden);

/* Appends all of them: HELP, TYPE, and a line a number. */
void metrics_format(struct buf *out);
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
