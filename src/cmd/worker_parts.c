/* A process's worker by its options. The main thread of serve and worker. */
#include "cmd/worker_parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/locate.h"
#include "worker/kind_limits.h"
#include "worker/monitor.h"
#include "worker/speech_config.h"

/* A worker process whose jobs come from a server that has no way to tell it (SQLite, local bus): 0.1 ms each time. */
#define POLL_UNTOLD_MS 500

static int read_analyze(const struct options *o, bool *ret, struct err *e)
{
	const char *v = options_get(o, "analyze");
	if (strcmp(v, "on") != 0 && strcmp(v, "off") != 0)
		return err_set(e, ERR_INVALID, "--analyze: expected on or off");
	*ret = strcmp(v, "on") == 0;
	return 0;
}

/* Folders that are looked at for room: the database's and the store's, where they are on this machine. */
static void find_disks(struct worker_parts *p, const struct options *o)
{
	const char *database = options_get(o, "database"), *store = options_get(o, "store"), *data = options_get(o, "data");
	if (!database || strncmp(database, "sqlite:", 7) == 0) {
		p->data_dir = mr_strdup(database ? database + 7 : data);
		char *slash = database ? strrchr(p->data_dir, '/') : NULL;
		if (slash && slash > p->data_dir)
			*slash = '\0';
		else if (database)
			memcpy(p->data_dir, ".", sizeof("."));
	}
	if (!store || strncmp(store, "file:", 5) == 0)
		p->store_dir = store ? mr_strdup(store + 5) : mr_asprintf("%s/store", data);
}

static int start_monitor(struct worker_parts *p, const char *role, const struct options *o, const struct backends *on,
			 uint32_t slots, struct err *e)
{
	struct check_thresholds thresholds = checks_defaults();
	const struct option_values *alerts = options_all(o, "alert");
	uint64_t interval_s = 0;
	int r = options_number(o, "watch-interval", 1, 20, &interval_s, e);
	for (size_t i = 0; r == 0 && i < alerts->count; i++)
		if ((r = checks_threshold_set(&thresholds, alerts->v[i], e)) < 0)
			(void)err_wrap(e, "--alert");
	if (r < 0)
		return r;
	find_disks(p, o);
	return monitor_start(&(struct monitor_opts){ .checks = { .repo = on->repo,
								  .store = on->store,
								  .bus = on->bus,
								  .zygote = worker_zygote(p->worker),
								  .speech = p->speech,
								  .disks = { p->data_dir, p->store_dir },
								  .thresholds = thresholds,
								  .rest_ms = 10000 },
						     .role = role,
						     .version = MILLRACE_VERSION,
						     .slots = slots,
						     .round_ms = (int64_t)interval_s * 1000 },
			     &p->monitor, e);
}

int worker_parts_start(struct worker_parts *p, const char *role, const struct options *o, const struct backends *on,
		       struct err *e)
{
	uint64_t threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), lease_s = 0, max_audio = 0;
	bool analyze = false;
	struct kind_limits_max limits;
	int r = read_analyze(o, &analyze, e);
	if (r == 0)
		r = kind_limits_parse(options_get(o, "limit"), &limits, e);
	if (r == 0)
		r = speech_config_parse(options_get(o, "speech"), options_get(o, "speech-api-key"), &p->speech, e);
	if (r == 0 && options_get(o, "workers"))
		r = options_number(o, "workers", 0, 256, &threads, e);
	if (r == 0)
		r = options_number(o, "lease", 2, 3600, &lease_s, e);
	if (r == 0)
		r = options_number(o, "max-audio-bytes", 1, UINT64_MAX / 2, &max_audio, e);
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
							 .limits = &limits,
							 .lease_ms = (int64_t)lease_s * 1000,
							 .analyze = analyze,
							 .max_audio_bytes = max_audio,
							 .poll_ms = on->untold && strcmp(role, "serve") != 0 ? POLL_UNTOLD_MS : 0,
							 .short_lane = true,
							 .janitor = true },
				 &p->worker, e);
	return r == 0 ? start_monitor(p, role, o, on, (uint32_t)threads, e) : r;
}

void worker_parts_stop(struct worker_parts *p)
{
	monitor_stop(p->monitor);
	worker_stop(p->worker);
	speech_config_free(p->speech);
	free(p->task_path);
	free(p->data_dir);
	free(p->store_dir);
	*p = (struct worker_parts){ 0 };
}
