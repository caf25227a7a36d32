/* millrace worker: the worker threads, publisher and janitor alone, for a database and a store that servers and other workers
 * share. It listens nowhere, but for those who watch it (cmd/worker_watch.h). SIGTERM ends it: what it has claimed is given back
 * at once. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cmd/backends.h"
#include "cmd/cmd.h"
#include "cmd/process.h"
#include "cmd/log_timed.h"
#include "cmd/worker_parts.h"
#include "cmd/worker_watch.h"

static const struct option_def defs[] = {
	{ "config", "FILE", NULL, "read options from FILE, a line each: NAME = VALUE" },
	BACKENDS_OPTION_DEFS,
	WORKER_OPTION_DEFS,
	MONITOR_OPTION_DEFS,
	WATCH_OPTION_DEFS,
	TIMED_OPTION_DEFS,
	LOG_OPTION_DEFS,
};

struct worker_process {
	struct options options;
	struct backends on;
	struct worker_parts parts;
	struct worker_watch watch;
};

static int start(struct worker_process *w, struct err *e)
{
	int r = setup_log(&w->options, options_flag(&w->options, "log-json"), e);
	if (r == 0)
		r = backends_from_options(&w->on, &w->options, e);
	if (r == 0)
		r = log_timed_start(&w->options, e);
	if (r == 0)
		r = worker_parts_start(&w->parts, "worker", &w->options, &w->on, e);
	return r == 0 ? worker_watch_start(&w->watch, &w->options, &w->on, &w->parts, e) : r;
}

static int help(void)
{
	puts("usage: millrace worker [OPTIONS]\n\n"
	     "Runs jobs of a server that has the same database and store. Any number of them, on any number of machines.\n");
	options_print_help(stdout, defs, MR_ARRAY_SIZE(defs));
	return 0;
}

int cmd_worker(int argc, char **argv)
{
	struct worker_process *w = mr_calloc(1, sizeof(*w));
	struct err e = { 0 };
	sigset_t signals;
	process_prepare(&signals);
	int code = 0, r = options_parse(&w->options, defs, MR_ARRAY_SIZE(defs), argc, argv, &e);
	if (r == 0 && w->options.help) {
		code = help();
	} else if (r == 0 && w->options.argument_count) {
		r = err_set(&e, ERR_INVALID, "\"%s\": worker takes options only (see --help)", w->options.arguments[0]);
	} else if (r == 0) {
		r = start(w, &e);
		if (r == 0) {
			log_info("working", LOG_I("pid", getpid()));
			process_wait(&signals);
		}
	}
	if (r < 0) {
		fprintf(stderr, "millrace worker: %s\n", e.message);
		code = r == -ERR_INVALID ? EXIT_USAGE : 1;
	}
	worker_watch_stop(&w->watch);
	worker_parts_stop(&w->parts);
	backends_close(&w->on);
	options_release(&w->options);
	free(w);
	return code;
}
