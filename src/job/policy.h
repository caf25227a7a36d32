/* The rules that the repository applies, as pure functions: which status follows which, when a failed chunk is tried
 * again, how far a job is. No clock, no randomness, no database; any thread.
 *
 *   enum job_status next = job_after(job->status, JOB_EVENT_CANCEL);
 *   if (!next)
 *           return err_set(e, ERR_CONFLICT, …); */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "job/model.h"

/* What can happen to a job (the arrows in job/model.h). */
enum job_event {
	JOB_EVENT_CLAIM = 1, /* a worker claimed a chunk */
	JOB_EVENT_SHOW,	     /* segments became visible */
	JOB_EVENT_COMPLETE,  /* the finish chunk is done */
	JOB_EVENT_FAIL,	     /* a chunk failed for good */
	JOB_EVENT_CANCEL,
	JOB_EVENT_RETRY,
	JOB_EVENT_DELETE,
	JOB_EVENTS
};
/* The status after it; 0: refused. */
enum job_status job_after(enum job_status status, enum job_event event);

struct retry_policy {
	int64_t first_ms;	 /* pause after the first failure */
	uint32_t factor;	 /* each later pause is this much longer */
	uint32_t jitter_percent; /* up to so much shorter or longer */
	uint32_t failures_max;	 /* since the last committed segment: so many end the job */
};
#define RETRY_POLICY_DEFAULT    \
	((struct retry_policy){ \
		.first_ms = 1000, .factor = 4, .jitter_percent = 20, .failures_max = CHUNK_FAILURES_MAX })
/* `failures`: how many there were, this one included, from 1. `jitter`: −1…1, the caller's random number. At most an
 * hour. */
int64_t retry_delay_ms(const struct retry_policy *p, uint32_t failures, double jitter);
bool retry_is_final(const struct retry_policy *p, uint32_t failures, bool retriable);

struct progress_facts {
	int64_t done_ticks, weight_ticks; /* of all chunks */
	double percent;			  /* shown so far */
	int64_t run_ms, run_ticks;	  /* when this run began, and what had been done by then */
	int64_t now_ms;
};
struct progress {
	double percent;	    /* never below what was shown; below 100 until the job is completed */
	double speed;	    /* media seconds for each second; 0: not known */
	double eta_seconds; /* < 0: not known */
};
struct progress progress_of(const struct progress_facts *f);
