/* Runs one claimed chunk by the handler of its kind (worker/chunk_run.h) and settles the claim. Every outcome settles
 * it in exactly one way:
 *
 *   done            by the handler, with its last write
 *   stopped, the task was lost (killed from outside, zygote gone),
 *   or the store, its disk or the database is away                        repo_chunk_release: no failure
 *   the claim is not ours any more (lease lost, job canceled)             nothing: the rows have moved on
 *   anything else   repo_chunk_failed: counted, retried after a back-off or final
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/bus.h"
#include "job/repo.h"
#include "store/store.h"
#include "worker/in_place.h"
#include "worker/output_pipe.h"
#include "worker/publisher.h"
#include "worker/source_pipe.h"
#include "worker/speech.h"
#include "worker/stand_ins.h"
#include "worker/task_client.h"

/* Somebody may be waiting for a job's first segments: what follows leaves the cores to them, and to the server itself. A chunk
 * that starts while a first one runs would still cost it 0.3 s of 4 at 10 (1080p, two cores); one that stays that low for good
 * moves slowly beside whatever else the machine does, so that is for those few alone, and for what a first chunk makes behind
 * the first segment: both then end at about the same time, and leave no core idle. */
#define LATER_CHUNK_NICENESS 10
#define BESIDE_FIRST_NICENESS 14

struct runner {
	struct repo *repo;
	struct store *input;
	struct source_pipe *pipe; /* what the source key "-" is, in one-shot runs; or NULL */
	struct store *output;
	struct bus *bus;
	struct publisher *publisher;
	struct zygote *zygote;
	struct speech *speech; /* NULL: no narration is made here */
	struct stand_ins *stand_ins;
	const atomic_bool *stopping;
	bool alone; /* worker.h */
	struct in_place *in_place; /* NULL: conversions are made of parts */
	struct output_pipe *output_pipe; /* where these are joined, in place of the job's key; NULL: there */
	struct task_limits limits;
};

/* Settles the claim; logs how it ended. Returns for how many ms the caller should claim nothing: not 0 if something that
 * every chunk needs is away. */
uint32_t runner_run(const struct runner *r, struct claim *c);
