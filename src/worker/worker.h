/* The worker threads, the publisher and the janitor of one process, and the zygote that all of them share.
 *
 *   worker_start(&opts, &w, e);      // threads = 0: no chunks are run here, but probes are
 *   worker_probe(w, key, &probe, e);
 *   worker_interrupt(w);             // tells tasks, probes and joins of uploads to stop
 *   worker_stop(w);                  // the same, gives claims back, joins the threads
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "bus/bus.h"
#include "job/repo.h"
#include "proto/task.h"
#include "store/store.h"

struct speech;
struct speech_config;
struct in_place;
struct kind_limits_max;
struct output_pipe;
struct worker;
struct zygote;
struct worker_opts {
	struct repo *repo;
	struct store *input;  /* sources are read here; NULL (one-shot runs): source keys are paths of local files */
	struct source_pipe *pipe; /* borrowed; without `input` what the source key "-" is; NULL: nothing */
	struct store *output; /* and segments go here; the same store in a server */
	struct bus *bus;
	const struct speech_config *speech; /* who speaks for narrations; NULL: none is made here */
	const char *task_path; /* the millrace-task executable */
	struct zygote *zygote; /* launched already, taken also on failure; NULL: started by task_path */
	uint32_t threads;
	const struct kind_limits_max *limits; /* NULL: each kind of job may have all threads; worker/kind_limits.h */
	int64_t lease_ms; /* of claims: a worker that is silent for so long loses them; 0: the default, 15 s */
	/* Files that become ready here get an analysis; and one more thread (beside those for jobs) makes analyses, when no
	 * job's chunk can be claimed: a job never waits for it, and its tasks are nice. */
	bool analyze;
	/* One job is all there is, over a scratch store: no chunk is nicer than another, since nobody waits for the first
	 * ones, and what chunks make is stored as it comes, since no put ever waits. */
	bool alone;
	struct in_place *in_place;  /* borrowed, with `alone`: what a conversion's chunks may write into. NULL: none */
	struct output_pipe *output_pipe; /* the same: where it is joined, in place of the job's key. NULL: there */
	bool short_lane;            /* one more thread, for narrations and short conversions alone (WORK_SHORT) */
	int64_t poll_ms;            /* without a hint the database is asked this often; 0: the default, 3 s */
	bool janitor;               /* leases, retention, stale uploads; off in one-shot runs */
	uint64_t max_audio_bytes;   /* of an uploaded file that has sound and no picture; 0: any */
	uint64_t task_memory_bytes; /* limit of one task; 0: the default */
};
int worker_start(const struct worker_opts *opts, struct worker **ret, struct err *e) MR_MUST_USE;
void worker_stop(struct worker *w);
/* Doesn't wait; any thread. What runs on others' threads (probes, joins of uploads) has to be over before worker_stop. */
void worker_interrupt(struct worker *w);
bool worker_is_stopping(const struct worker *w);
/* NULL: no narration is made here. */
const struct speech_config *worker_speech(const struct worker *w);
/* Makes and keeps sentences, for whoever wants to hear one; NULL with worker_speech. */
struct speech *worker_speaker(const struct worker *w);
bool worker_analyzes(const struct worker *w);
/* UINT64_MAX: any. */
uint64_t worker_max_audio_bytes(const struct worker *w);
/* The one that all tasks here come from; the worker's. */
struct zygote *worker_zygote(struct worker *w);
/* Probes an object of the input store in a task. Blocks (tens of milliseconds, at most a minute); any thread. */
int worker_probe(struct worker *w, const char *key, struct probe_result *ret, struct err *e) MR_MUST_USE;
