/* What the handlers of chunk kinds (worker/chunk_*.c) stand on: one claimed chunk while it runs. Private to the runner
 * and them; belongs to one worker thread.
 *
 *   int chunk_x(struct chunk_run *c, struct err *e)
 *   {
 *           struct task_spec spec = { .kind = TASK_X, … };
 *           int r = build_spec(c, &spec, e);
 *           if (r == 0)
 *                   r = chunk_run_task(c, &spec, &objects, &state, result, e);
 *           return r < 0 ? r : repo_x_done(c->runner->repo, c->claim, result, e);
 *   }
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "worker/object_chain.h"
#include "worker/runner.h"
#include "worker/source.h"

/* One chunk from claim to its last write. */
struct chunk_run {
	const struct runner *runner;
	struct claim *claim;
	struct task_limits limits; /* of the task; the runner's, unless the handler says otherwise */
	struct object_chain *chain; /* the handler's: read in the place of the job's source; NULL: none */
	bool no_source;		    /* the task reads nothing of the job's source, which needn't be there any more */
	int64_t range_ticks;	   /* how much media the task's progress counts to; 0: the chunk's weight */
	bool by_bytes;		   /* nobody knows how much: the source's bytes that were read tell the progress instead */
	struct task_usage usage;   /* of the task that ran, if any */
	/* The rest is chunk_run.c's. */
	struct source source;
	char *key;	       /* of the object that is arriving, NULL if it isn't stored */
	struct store_put *put;
	struct sha256_stream *digest;
	int64_t done_ticks;
	int64_t next_heartbeat_mono_ms;
	/* Why the repository told us to stop, or OK: then the task's own error is only a consequence. */
	struct err verdict;
};

/* Does the work of a claim, by the kind of its chunk, and writes its end down, fenced by the claim; then the claim is settled, and
 * it logs that. A failure leaves the claim to the runner, who settles it (runner.h). */
typedef int chunk_handler(struct chunk_run *c, struct err *e);
/* One file a kind; the table of them is runner.c's. */
chunk_handler chunk_ladder;
chunk_handler chunk_finish;
chunk_handler chunk_analyze;
chunk_handler chunk_measure;
chunk_handler chunk_convert;
chunk_handler chunk_join;
chunk_handler chunk_narrate;

/* What a task's objects are to a handler; `state` is what it gave to chunk_run_task. Called in turns: begin, end; a task
 * that dies in between gets no end, and nothing is stored. */
struct chunk_objects {
	/* Says under which key it is stored (*ret_key, freed by the caller), or NULL: not stored, only digested. */
	int (*begin)(void *state, const struct task_object *head, char **ret_key, struct err *e);
	/* Bytes of an object that isn't stored, as they come. NULL: they aren't wanted. */
	int (*data)(void *state, const void *data, size_t len, struct err *e);
	/* It is stored, and its digest verified. NULL: the result alone says what there is, and only the store takes a digest. */
	int (*end)(void *state, const char *sha256, struct err *e);
	/* begin and end run on a thread of their own, behind a bounded queue, while the task goes on (worker/object_queue.h): they
	 * share nothing with `read`, and what they have done is to be looked at after chunk_run_task alone. (A worker that
	 * is `alone` has no such thread.) */
	bool behind;
	/* Reads an input other than the source; as source_read. NULL where there is none. */
	int (*read)(void *state, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e);
};

/* Opens the job's source as the spec's first input (of a job without one it has no bytes; the handler may have listed others
 * behind it) and runs the task to its end: answers its reads, prolongs the lease and stores the progress while it runs, stores its
 * objects. `objects` may be NULL for a task that makes none and reads nothing else. */
int chunk_run_task(struct chunk_run *c, struct task_spec *spec, const struct chunk_objects *objects, void *state,
		   struct task_result *ret, struct err *e) MR_MUST_USE;
/* For a handler's own work that takes long: prolongs the lease where it is time, as while a task runs. Fails when the work is
 * to stop: told to, or the claim doesn't hold any more. */
int chunk_run_keep_alive(struct chunk_run *c, struct err *e) MR_MUST_USE;
/* Hints to whoever watches the chunk's job. */
void chunk_run_tell(const struct chunk_run *c);
