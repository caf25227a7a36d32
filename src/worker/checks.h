/* What this process stands on, looked at: each dependency and resource with its latency, what is measured and the threshold beyond
 * which it is a warning. For health (api/health.c), alerts and a process's own report (worker/monitor.c).
 *
 *   struct check_list list = { 0 };
 *   checks_run(&opts, &memory, &list);          // blocks: the database, the store (three seconds at most), a connection
 *   if (list.worst == CHECK_FAIL) …             // this process can't do its job
 *
 * The thresholds are checks_defaults', and each can be set by name. Nothing here logs. One thread at a time for one memory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/bus.h"
#include "job/repo.h"
#include "os/machine.h"
#include "store/store.h"

struct speech_config;
struct zygote;

enum check_status { CHECK_OK, CHECK_WARN, CHECK_FAIL };
const char *check_status_name(enum check_status s); /* "ok" */

/* Their order is the answer's. */
enum check_name {
	CHECK_DATABASE,
	CHECK_STORE,
	CHECK_BUS,
	CHECK_SPEECH,
	CHECK_TASKS,
	CHECK_QUEUE,
	CHECK_CPU,
	CHECK_MEMORY,
	CHECK_DISK,
	CHECK_DESCRIPTORS,
	CHECK_NAMES,
};
extern const char *const check_names[CHECK_NAMES];

struct check {
	bool there; /* false: not this process's, or it can't be told (the queue, without a database) */
	enum check_status status;
	int64_t latency_us; /* -1: none */
	const char *unit;   /* of the two; NULL: nothing is measured but the latency */
	double value, threshold;
	char message[200];
};
struct check_list {
	struct check of[CHECK_NAMES];
	enum check_status worst;
	struct machine machine;
	int64_t queue_oldest_ms; /* -1: none waits, or not known */
	double disk_free;	 /* ratio, of the fullest; -1: not known */
};

/* Beyond (of memory and disk: below) them it is a warning. Seconds of latency and age; threads a core; ratios. */
struct check_thresholds {
	double of[CHECK_NAMES]; /* 0 where there is none */
};
struct check_thresholds checks_defaults(void);
/* "disk=0.1"; ERR_INVALID names what can be set. */
int checks_threshold_set(struct check_thresholds *t, const char *text, struct err *e) MR_MUST_USE;

#define CHECK_DISKS_MAX 2
struct checks_opts {
	struct repo *repo;
	struct store *store;
	struct bus *bus;
	struct zygote *zygote;
	const struct speech_config *speech; /* an endpoint is connected to; NULL, and the built-in one: not looked at */
	const char *disks[CHECK_DISKS_MAX]; /* folders; NULL: none */
	struct check_thresholds thresholds;
	int64_t rest_ms; /* what costs (a remote store, the speech endpoint) is asked at most so often, else what was found stays */
};
/* What stays from one run to the next. */
struct checks_memory {
	struct check store, speech;
	int64_t store_due_ms, speech_due_ms;
};
void checks_run(const struct checks_opts *o, struct checks_memory *m, struct check_list *ret);
