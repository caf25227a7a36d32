/* millrace ladder FILE DIR: one file into a folder of adaptive HLS, without a server. The same planning, tasks, chunks
 * and publishing as in the server, over a database in memory and the folder as the store. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/backends.h"
#include "cmd/bar.h"
#include "cmd/by_products.h"
#include "cmd/cmd.h"
#include "cmd/locate.h"
#include "cmd/options.h"
#include "job/plan.h"
#include "os/thread.h"
#include "worker/worker.h"

#define REFRESH_MS 250 /* the bar moves at least so often, and a signal is seen */

static const struct option_def defs[] = {
	{ "rungs", "LIST", NULL, "shorter sides, such as 720p,480p (default: chosen by the source)" },
	{ "codecs", "LIST", "h264", "of each rung: h264, or h264,hevc" },
	{ "container", "fmp4|ts", "fmp4", "segment format" },
	{ "copy", "auto|always|never", "auto", "the source's own video as the first rung, not encoded again" },
	{ "segment-seconds", "N", "4", "length of a segment, 2 to 10" },
	{ "audio-tracks", "LIST", NULL, "streams of the source, such as 1,2; the first plays by default (default: all)" },
	{ "subtitle-tracks", "LIST", NULL, "streams of the source, such as 3; \"\" for none (default: all)" },
	{ "by-products", NULL, NULL, "make poster, storyboard and waveform, too" },
	{ "workers", "N", NULL, "chunks that run at once (default: the number of cores)" },
	{ "quiet", NULL, NULL, "no progress bar" },
	{ "task", "FILE", NULL, "the millrace-task executable (default: beside this program)" },
	{ "log-level", "LEVEL", "error", "debug, info, warn or error" },
};

struct one_shot {
	struct options options;
	struct ladder_params params;
	uint64_t threads;
	char *task_path;
	struct backends on;
	struct worker *worker;
	char job_id[UUID_SIZE];
	char file_id[UUID_SIZE]; /* of the by-products; empty: none */
	int64_t duration_ticks;
	struct bus_subscription *news;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool changed;
};

static atomic_bool interrupted;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&interrupted, true);
}

static int read_options(struct one_shot *o, struct err *e)
{
	uint64_t seconds;
	ladder_params_default(&o->params);
	o->threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	const char *container = options_get(&o->options, "container"), *rungs = options_get(&o->options, "rungs");
	if (o->options.argument_count != 2)
		return err_set(e, ERR_INVALID, "expected FILE and DIR (see --help)");
	if (setup_log(&o->options, false, e) < 0)
		return -ERR_INVALID;
	if (strcmp(container, "ts") != 0 && strcmp(container, "fmp4") != 0)
		return err_set(e, ERR_INVALID, "--container: expected fmp4 or ts");
	o->params.container = strcmp(container, "ts") == 0 ? CONTAINER_TS : CONTAINER_FMP4;
	int r = options_number(&o->options, "segment-seconds", 2, 10, &seconds, e);
	if (r == 0 && options_get(&o->options, "workers"))
		r = options_number(&o->options, "workers", 1, 256, &o->threads, e);
	if (r == 0)
		r = ladder_params_parse_copy(options_get(&o->options, "copy"), &o->params, e);
	if (r == 0 && rungs)
		r = ladder_params_parse_rungs(rungs, &o->params, e);
	if (r == 0)
		r = ladder_params_parse_codecs(options_get(&o->options, "codecs"), &o->params, e);
	if (r == 0 && options_get(&o->options, "audio-tracks"))
		r = ladder_params_parse_tracks(options_get(&o->options, "audio-tracks"), "audio_tracks", &o->params, e);
	if (r == 0 && options_get(&o->options, "subtitle-tracks"))
		r = ladder_params_parse_tracks(options_get(&o->options, "subtitle-tracks"), "subtitle_tracks", &o->params, e);
	if (r == 0)
		o->params.segment_seconds = (uint32_t)seconds;
	return r;
}

static void on_job(void *ctx, const struct bus_event *ev)
{
	struct one_shot *o = ctx;
	(void)ev; /* there is only this job */
	(void)pthread_mutex_lock(&o->lock);
	o->changed = true;
	(void)pthread_cond_signal(&o->wake);
	(void)pthread_mutex_unlock(&o->lock);
}

static void wait_for_news(struct one_shot *o)
{
	const int64_t due = clock_mono_ms() + REFRESH_MS;
	(void)pthread_mutex_lock(&o->lock);
	while (!o->changed && cond_wait_until(&o->wake, &o->lock, due))
		;
	o->changed = false;
	(void)pthread_mutex_unlock(&o->lock);
}

static int start(struct one_shot *o, struct err *e)
{
	int r = locate_task(options_get(&o->options, "task"), &o->task_path, e);
	if (r == 0)
		r = backends_open(&o->on, "sqlite::memory:", o->options.arguments[1], e);
	if (r == 0)
		r = bus_subscribe(o->on.bus, BUS_JOB, on_job, o, &o->news, e);
	if (r == 0)
		r = worker_start(&(struct worker_opts){ .repo = o->on.repo,
							 .output = o->on.store,
							 .bus = o->on.bus,
							 .task_path = o->task_path,
							 .threads = (uint32_t)o->threads,
							 .analyze = options_flag(&o->options, "by-products") },
				 &o->worker, e);
	return r;
}

/* A folder that already holds a presentation would make this one's playlists seem to shrink. */
static int check_folder(struct one_shot *o, struct err *e)
{
	struct store_info info;
	int r = store_stat(o->on.store, "master.m3u8", &info, NULL);
	if (r == 0)
		return err_set(e, ERR_CONFLICT, "%s already holds a master.m3u8: choose an empty folder",
			       o->options.arguments[1]);
	return r == -ERR_NOT_FOUND ? 0 : err_set(e, ERR_IO, "%s cannot be read", o->options.arguments[1]);
}

static int create_job(struct one_shot *o, struct err *e)
{
	const char *file = o->options.arguments[0];
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	struct ladder_plan plan = { 0 };
	int r = check_folder(o, e);
	if (r == 0)
		r = worker_probe(o->worker, file, probe, e);
	if (r == 0)
		r = ladder_plan(probe, &o->params, &plan, e);
	if (r == 0 && options_flag(&o->options, "by-products"))
		r = by_products_start(o->on.repo, file, probe, o->file_id, e);
	probe_result_release(probe);
	free(probe);
	if (r < 0) {
		ladder_plan_release(&plan);
		return r;
	}
	o->duration_ticks = plan.duration_ticks;
	_cleanup_free_ char *params = ladder_params_format(&plan.params);
	struct job_new n = { .user_id = "local",
			     .kind = JOB_LADDER,
			     .file_id = "",
			     .source_key = file,
			     .prefix = "",
			     .params_json = params,
			     .plan = ladder_job_plan(&plan) };
	struct job j;
	bool existing;
	uuid7_new(n.id);
	memcpy(o->job_id, n.id, UUID_SIZE);
	r = repo_job_create(o->on.repo, &n, &j, &existing, e);
	ladder_plan_release(&plan);
	if (r < 0)
		return r;
	job_release(&j);
	bus_publish(o->on.bus, &(struct bus_event){ .topic = BUS_WORK });
	return 0;
}

/* Looks at the job's row until it has ended, whenever something is said to have changed. */
static int watch(struct one_shot *o, struct err *e)
{
	struct bar bar;
	bar_init(&bar, stderr, options_flag(&o->options, "quiet"));
	for (;;) {
		struct job j;
		int r = repo_job_get(o->on.repo, NULL, o->job_id, &j, e);
		if (r < 0)
			return r;
		bar_show(&bar, j.percent, j.speed, j.eta_seconds);
		enum job_status status = j.status;
		if (status == JOB_FAILED)
			r = err_set_code(e, ERR_MEDIA, j.error_code, "%s",
					 j.error_message ? j.error_message : "failed");
		job_release(&j);
		if (status == JOB_COMPLETED || r < 0) {
			bar_end(&bar);
			return r;
		}
		if (atomic_load(&interrupted)) {
			bar_end(&bar);
			return err_set(e, ERR_CANCELED, "interrupted");
		}
		wait_for_news(o);
	}
}

/* What could not be made of them is told, and is no failure of the run. */
static int watch_by_products(struct one_shot *o, struct err *e)
{
	_cleanup_free_ char *problems = NULL;
	while (by_products_pending(o->on.repo, o->file_id)) {
		if (atomic_load(&interrupted))
			return err_set(e, ERR_CANCELED, "interrupted");
		wait_for_news(o);
	}
	int r = by_products_finish(o->on.repo, o->on.store, o->file_id, o->duration_ticks, &problems, e);
	if (r == 0 && problems)
		fprintf(stderr, "millrace ladder: by-products: %s\n", problems);
	return r;
}

static void stop(struct one_shot *o)
{
	worker_stop(o->worker);
	if (o->news)
		bus_unsubscribe(o->on.bus, o->news);
	backends_close(&o->on);
	(void)pthread_mutex_destroy(&o->lock);
	(void)pthread_cond_destroy(&o->wake);
	free(o->task_path);
	options_release(&o->options);
}

static int help(void)
{
	puts("usage: millrace ladder FILE DIR [OPTIONS]\n\n"
	     "Makes adaptive HLS (DIR/master.m3u8) of one file. Any web server can serve DIR; "
	     "it can be played while it is made.\n");
	options_print_help(stdout, defs, MR_ARRAY_SIZE(defs));
	puts("\nexit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted");
	return 0;
}

int cmd_ladder(int argc, char **argv)
{
	struct one_shot *o = mr_calloc(1, sizeof(*o));
	struct err e = { 0 };
	(void)pthread_mutex_init(&o->lock, NULL);
	cond_init_monotonic(&o->wake);
	int code = 0;
	int r = options_parse(&o->options, defs, MR_ARRAY_SIZE(defs), argc, argv, &e);
	if (r == 0 && o->options.help) {
		code = help();
	} else if (r == 0) {
		struct sigaction sa = { .sa_handler = on_signal };
		(void)sigaction(SIGINT, &sa, NULL);
		(void)sigaction(SIGTERM, &sa, NULL);
		(void)signal(SIGPIPE, SIG_IGN);
		r = read_options(o, &e);
		code = r < 0 ? EXIT_USAGE : 1;
		if (r == 0)
			r = start(o, &e);
		if (r == 0)
			r = create_job(o, &e);
		if (r == 0)
			r = watch(o, &e);
		if (r == 0 && o->file_id[0])
			r = watch_by_products(o, &e);
		if (r == 0) {
			const char *dir = o->options.arguments[1];
			code = 0;
			printf("%s%smaster.m3u8\n", dir, dir[strlen(dir) - 1] == '/' ? "" : "/");
		}
	} else {
		code = EXIT_USAGE;
	}
	if (r < 0) {
		fprintf(stderr, "millrace ladder: %s\n", e.message);
		if (r == -ERR_CANCELED)
			code = 130;
	}
	stop(o);
	free(o);
	return code;
}
