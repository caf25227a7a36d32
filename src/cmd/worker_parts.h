/* The worker of a process as its options say it: what serve and worker have in common.
 *
 *   struct worker_parts p = { 0 };
 *   worker_parts_start(&p, &options, &backends, e);     // of a table with WORKER_OPTION_DEFS
 *   … worker_parts_stop(&p);                            // also after a failed start
 */
#pragma once

#include "base/err.h"
#include "cmd/backends.h"
#include "worker/worker.h"

#define WORKER_OPTION_DEFS                                                                                                  \
	{ "workers", "N", NULL, "chunks that run at once here; 0: none (default: the number of cores)" },              \
		{ "limit", "KIND=N,…", NULL, "of a kind of job (ladder, convert, narration) at most N chunks here" }, \
		{ "lease", "SECONDS", "15", "a worker that is silent for so long loses its chunks to others" },         \
		{ "analyze", "on|off", "on", "make poster, storyboard, waveform and loudness of every new file" },      \
		{ "max-audio-bytes", "N", "2147483648", "largest upload of sound without a picture" },                  \
		{ "speech", "PROVIDER", "flite", "who speaks: flite, or openai+http(s)://HOST/v1?model=…" },           \
		{ "speech-api-key", "KEY", NULL, "the endpoint's key", .secret = true },                                \
	{                                                                                                               \
		"task", "FILE", NULL, "the millrace-task executable (default: beside this program)"                     \
	}

#define MONITOR_OPTION_DEFS                                                                                            \
	{ "alert", "NAME=NUMBER", NULL, "another threshold of an alert: disk=0.1, queue=600…", .repeats = true },        \
	{                                                                                                               \
		"watch-interval", "SECONDS", "5", "how often this process looks whether all is well"                    \
	}

struct worker_parts {
	char *task_path;
	struct speech_config *speech;
	struct worker *worker;
	struct monitor *monitor;
	char *data_dir, *store_dir; /* whose disks are watched; NULL: none */
};
/* `role`: "serve" or "worker". */
int worker_parts_start(struct worker_parts *p, const char *role, const struct options *o, const struct backends *on,
		       struct err *e) MR_MUST_USE;
void worker_parts_stop(struct worker_parts *p);
