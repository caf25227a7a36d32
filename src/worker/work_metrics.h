/* What chunks and tasks count to (base/metrics.h), and the sums that a process reports of itself. Any thread. */
#pragma once

#include <stdint.h>

#include "job/model.h"

/* A claim is settled: `outcome` is "done", "failed", "job_failed", "released" or "dropped". */
void work_count_chunk(const struct chunk *c, const char *outcome, int64_t took_ms);
/* Claims that were given back for others, and processes that were found dead. */
void work_count_recovered(const char *what, int64_t count);
/* A name for a log line or a label; "ladder" for CHUNK_LADDER. Kinds of jobs that nobody sees have one, too. */
const char *work_chunk_kind(enum chunk_kind kind);
const char *work_job_kind(enum job_kind kind);

struct work_sums {
	int64_t done, failed; /* chunks since the start */
	int64_t done_ms;      /* what those that are done took, and how much media they were, in ms */
	int64_t media_ms;
};
struct work_sums work_sums_now(void);
