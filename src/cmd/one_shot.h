/* What the one-shot commands share: a job made on local files without a server, by the same planning, tasks and chunks as in
 * one, over a database in memory and a folder as the store.
 *
 *   struct one_shot o;
 *   one_shot_init(&o);
 *   r = one_shot_start(&o, &(struct one_shot_opts){ .store_root = dir, .threads = 2 }, e);
 *   r = one_shot_create(&o, &new_job, e);        // of user "local"
 *   r = one_shot_watch(&o, quiet, &job, e);      // until it has ended, with a progress bar
 *   one_shot_stop(&o);                           // whatever happened
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
	struct worker *worker;
	char *task_path;
	char job_id[UUID_SIZE];
	struct bus_subscription *news;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool changed;
};
struct one_shot_opts {
	const char *task; /* --task; NULL: beside this program */
	const char *store_root;
	struct source_pipe *pipe; /* borrowed; what the source key "-" is */
	uint32_t threads;
	bool analyze;
};
/* Also: SIGINT and SIGTERM interrupt from now on, SIGPIPE doesn't. */
void one_shot_init(struct one_shot *o);
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
void one_shot_stop(struct one_shot *o);
/* What the command returns for an outcome; says what was wrong. `usage`: the failure came from the command line. */
int one_shot_exit(const char *command, int r, bool usage, const struct err *e);
