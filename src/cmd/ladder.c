/* millrace ladder FILE DIR: one file into a folder of adaptive HLS, without a server. The same planning, tasks, chunks
 * and publishing as in the server, over a database in memory and the folder as the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/by_products.h"
#include "cmd/cmd.h"
#include "cmd/one_shot.h"
#include "job/plan.h"

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

struct run {
	struct options options;
	struct ladder_params params;
	uint32_t threads;
	struct one_shot shot;
	char file_id[UUID_SIZE]; /* of the by-products; empty: none */
	int64_t duration_ticks;
};

static int read_options(void *ctx, struct err *e)
{
	struct run *o = ctx;
	uint64_t seconds;
	ladder_params_default(&o->params);
	const char *container = options_get(&o->options, "container"), *rungs = options_get(&o->options, "rungs");
	if (o->options.argument_count != 2)
		return err_set(e, ERR_INVALID, "expected FILE and DIR (see --help)");
	if (setup_log(&o->options, false, e) < 0)
		return -ERR_INVALID;
	if (strcmp(container, "ts") != 0 && strcmp(container, "fmp4") != 0)
		return err_set(e, ERR_INVALID, "--container: expected fmp4 or ts");
	o->params.container = strcmp(container, "ts") == 0 ? CONTAINER_TS : CONTAINER_FMP4;
	int r = options_number(&o->options, "segment-seconds", 2, 10, &seconds, e);
	if (r == 0)
		r = one_shot_threads(&o->options, &o->threads, e);
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

/* A folder that already holds a presentation would make this one's playlists seem to shrink. */
static int check_folder(struct run *o, struct err *e)
{
	struct store_info info;
	int r = store_stat(o->shot.on.store, "master.m3u8", &info, NULL);
	if (r == 0)
		return err_set(e, ERR_CONFLICT, "%s already holds a master.m3u8: choose an empty folder",
			       o->options.arguments[1]);
	return r == -ERR_NOT_FOUND ? 0 : err_set(e, ERR_IO, "%s cannot be read", o->options.arguments[1]);
}

static int create_job(struct run *o, struct err *e)
{
	const char *file = o->options.arguments[0];
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	struct ladder_plan plan = { 0 };
	int r = check_folder(o, e);
	if (r == 0)
		r = worker_probe(o->shot.worker, file, probe, e);
	if (r == 0)
		r = ladder_plan(probe, &o->params, &plan, e);
	if (r == 0 && options_flag(&o->options, "by-products"))
		r = by_products_start(o->shot.on.repo, file, probe, o->file_id, e);
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
	r = one_shot_create(&o->shot, &n, e);
	ladder_plan_release(&plan);
	return r;
}

/* What could not be made of them is told, and is no failure of the run. */
static int watch_by_products(struct run *o, struct err *e)
{
	_cleanup_free_ char *problems = NULL;
	while (by_products_pending(o->shot.on.repo, o->file_id)) {
		if (one_shot_interrupted())
			return err_set(e, ERR_CANCELED, "interrupted");
		one_shot_wait(&o->shot);
	}
	int r = by_products_finish(o->shot.on.repo, o->shot.on.store, o->file_id, o->duration_ticks, &problems, e);
	if (r == 0 && problems)
		fprintf(stderr, "millrace ladder: by-products: %s\n", problems);
	return r;
}

static int run(void *ctx, struct err *e)
{
	struct run *o = ctx;
	int r = one_shot_start(&o->shot,
			       &(struct one_shot_opts){ .task = options_get(&o->options, "task"),
							.store = { .root = o->options.arguments[1], .unsynced = true },
							.threads = o->threads,
							.analyze = options_flag(&o->options, "by-products") },
			       e);
	if (r == 0)
		r = create_job(o, e);
	if (r == 0)
		r = one_shot_watch(&o->shot, options_flag(&o->options, "quiet"), e);
	if (r == 0 && o->file_id[0])
		r = watch_by_products(o, e);
	const char *dir = o->options.arguments[1];
	if (r == 0)
		printf("%s%smaster.m3u8\n", dir, dir[strlen(dir) - 1] == '/' ? "" : "/");
	return r;
}

int cmd_ladder(int argc, char **argv)
{
	static const struct one_shot_command command = {
		.name = "ladder",
		.defs = defs,
		.def_count = MR_ARRAY_SIZE(defs),
		.usage = "usage: millrace ladder FILE DIR [OPTIONS]\n\n"
			 "Makes adaptive HLS (DIR/master.m3u8) of one file. Any web server can serve DIR; "
			 "it can be played while it is made.\n",
		.read_options = read_options,
		.run = run,
	};
	struct run *o = mr_calloc(1, sizeof(*o));
	int code = one_shot_main(&command, &o->shot, &o->options, o, argc, argv);
	free(o);
	return code;
}
