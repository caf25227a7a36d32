/* What the one-shot commands share: a job made on local files without a server, by the same planning, tasks and chunks as in
 * one, over a database in memory and a folder as the store.
 *
 *   struct one_shot o;                            // by one_shot_main
 *   r = one_shot_start(&o, &(struct one_shot_opts){ .store = { .root = dir }, .threads = 2 }, e);
 *   r = one_shot_create(&o, &new_job, e);        // of user "local"
 *   r = one_shot_watch(&o, quiet, &job, e);      // until it has ended, with a progress bar
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/id.h"
#include "cmd/backends.h"
#include "cmd/options.h"
#include "worker/worker.h"

struct one_shot {
	struct backends on;
	struct zygote *zygote; /* until the worker has it */
	struct worker *worker;
	char job_id[UUID_SIZE];
	struct bus_subscription *news;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool changed;
};
struct one_shot_opts {
	const char *task; /* --task; NULL: beside this program */
	struct store_local_opts store;
	struct source_pipe *pipe; /* borrowed; what the source key "-" is */
	const struct speech_config *speech; /* borrowed; NULL: nothing is spoken */
	uint32_t threads;
	struct in_place *in_place; /* borrowed; as the worker's */
	struct output_pipe *output_pipe; /* borrowed; as the worker's */
	bool analyze, alone; /* as the worker's */
};
/* --workers, or the number of cores. */
int one_shot_threads(const struct options *options, uint32_t *ret, struct err *e) MR_MUST_USE;
int one_shot_start(struct one_shot *o, const struct one_shot_opts *opts, struct err *e) MR_MUST_USE;
/* Gives it its id. */
int one_shot_create(struct one_shot *o, struct job_new *n, struct err *e) MR_MUST_USE;
/* ERR_CANCELED: interrupted; ERR_MEDIA with the job's code and message: it failed. */
int one_shot_watch(struct one_shot *o, bool quiet, struct err *e) MR_MUST_USE;
/* Until something is said to have changed, or a moment has passed. */
void one_shot_wait(struct one_shot *o);
bool one_shot_interrupted(void);

/* A hidden folder beside `out` (of "-": below $TMPDIR) in which the output is made until it is whole; the caller frees the path. */
int one_shot_folder_make(const char *command, const char *out, char **ret, struct err *e) MR_MUST_USE;
/* With all that is in it. Frees; fine with NULL. */
void one_shot_folder_remove(char *take_path);

/* A command from its arguments to its exit code: options, help, run, and why it failed. `ctx` is the command's own, which holds
 * `shot` and `options`; both are over when it returns, and what else ctx owns is the caller's. */
struct one_shot_command {
	const char *name;
	const struct option_def *defs;
	size_t def_count;
	const char *usage; /* before the options' help */
	int (*read_options)(void *ctx, struct err *e); /* a failure is wrong usage */
	int (*run)(void *ctx, struct err *e);
};
int one_shot_main(const struct one_shot_command *c, struct one_shot *shot, struct options *options, void *ctx, int argc,
		  char **argv);
