/* A process's worker by its options. The main thread of serve and worker. */
#include "cmd/worker_parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/locate.h"
#include "worker/speech_config.h"

static int read_analyze(const struct options *o, bool *ret, struct err *e)
{
	const char *v = options_get(o, "analyze");
	if (strcmp(v, "on") != 0 && strcmp(v, "off") != 0)
		return err_set(e, ERR_INVALID, "--analyze: expected on or off");
	*ret = strcmp(v, "on") == 0;
	return 0;
}

int worker_parts_start(struct worker_parts *p, const struct options *o, const struct backends *on, struct err *e)
{
	uint64_t threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), lease_s = 0;
	bool analyze = false;
	int r = read_analyze(o, &analyze, e);
	if (r == 0)
		r = speech_config_parse(options_get(o, "speech"), options_get(o, "speech-api-key"), &p->speech, e);
	if (r == 0 && options_get(o, "workers"))
		r = options_number(o, "workers", 0, 256, &threads, e);
	if (r == 0)
		r = options_number(o, "lease", 2, 3600, &lease_s, e);
	if (r == 0)
		r = locate_task(options_get(o, "task"), &p->task_path, e);
	if (r == 0)
		r = worker_start(&(struct worker_opts){ .repo = on->repo,
							 .input = on->store,
							 .output = on->store,
							 .bus = on->bus,
							 .speech = p->speech,
							 .task_path = p->task_path,
							 .threads = (uint32_t)threads,
							 .lease_ms = (int64_t)lease_s * 1000,
							 .analyze = analyze,
							 .short_lane = true,
							 .janitor = true },
				 &p->worker, e);
	return r;
}

void worker_parts_stop(struct worker_parts *p)
{
	worker_stop(p->worker);
	speech_config_free(p->speech);
	free(p->task_path);
	*p = (struct worker_parts){ 0 };
}
