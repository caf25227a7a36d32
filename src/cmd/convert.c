/* millrace convert IN OUT: one file's sound into a file of another format, without a server.
 *
 * What is being made lies in a folder beside OUT until it is whole: then it gets its name at once, and the folder goes. An end by
 * force (kill -9) can leave that folder behind, never half a file. To standard output the chunks' parts are joined directly, when
 * all of them are there (worker/output_pipe.h). Of standard input a plain file is read by range, as any other; a pipe once,
 * forwards, without a copy anywhere (worker/source_pipe.h). */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/one_shot.h"
#include "job/plan_convert.h"
#include "worker/in_place.h"
#include "worker/output_pipe.h"
#include "worker/source_pipe.h"

static const struct option_def defs[] = {
	{ "format", "NAME", NULL, "mp3, wav, aac, m4a, ogg, opus or flac (default: by OUT's name)" },
	{ "bitrate", "BPS", NULL, "such as 192000, or 192k" },
	{ "vbr", "N", NULL, "MP3: 0 (best) to 9; OGG: 0 to 10 (best)" },
	{ "quality", "low|medium|high", NULL, "in place of a bit rate" },
	{ "sample-rate", "HZ", NULL, "(default: the source's, or the next one that the format knows)" },
	{ "channels", "N", NULL, "(default: the source's)" },
	{ "bits", "16|24|32", NULL, "of WAV (32: floating point) and FLAC" },
	{ "start", "SECONDS", NULL, "leave out what is before" },
	{ "end", "SECONDS", NULL, "leave out what is behind" },
	{ "normalize", "LUFS", NULL, "bring the loudness there (EBU R 128), such as -16" },
	{ "no-tags", NULL, NULL, "carry no tags and no cover art over" },
	{ "force", NULL, NULL, "replace OUT if it is there" },
	{ "workers", "N", NULL, "chunks that run at once (default: the number of cores)" },
	{ "quiet", NULL, NULL, "no progress bar" },
	{ "task", "FILE", NULL, "the millrace-task executable (default: beside this program)" },
	{ "log-level", "LEVEL", "error", "debug, info, warn or error" },
};

struct run {
	struct options options;
	struct convert_params params;
	uint32_t threads;
	struct one_shot shot;
	const char *out; /* "-": standard output */
	char *folder;	 /* where it is made; NULL until it is there */
	char *source;
	struct source_pipe *pipe; /* standard input, where it is none that could be sought */
	char file_name[16]; /* in the folder */
	struct in_place *in_place; /* that file, where chunks can write into it; or */
	struct output_pipe *output_pipe; /* standard output */
};

/* ---- options ---- */

static const char *format_name(const struct run *o)
{
	const char *given = options_get(&o->options, "format"), *dot = strrchr(o->out, '.');
	return given ? given : dot ? dot + 1 : "";
}

/* "192k" is 192000. */
static json_t *number_of(const char *text)
{
	char *end;
	double v = strtod(text, &end);
	if (end == text || !isfinite(v))
		return json_string(text); /* refused where it is read, by its name */
	if (*end == 'k' && !end[1])
		v *= 1000;
	else if (*end)
		return json_string(text);
	return v == (double)(json_int_t)v ? json_integer((json_int_t)v) : json_real(v);
}

/* The options are a request's parameters under other names, so that they are read and checked in one place. */
static int read_params(struct run *o, struct err *e)
{
	static const struct {
		const char *option, *parameter;
	} numbers[] = { { "bitrate", "bitrate" },   { "vbr", "vbr" },	  { "sample-rate", "sample_rate" },
			{ "channels", "channels" }, { "bits", "bits" },	  { "start", "start" },
			{ "end", "end" },	    { "normalize", "normalize" } };
	json_t *params = json_pack("{ss ss*}", "format", format_name(o), "quality", options_get(&o->options, "quality"));
	for (size_t i = 0; i < MR_ARRAY_SIZE(numbers); i++) {
		const char *v = options_get(&o->options, numbers[i].option);
		if (v)
			json_object_set_new(params, numbers[i].parameter, number_of(v));
	}
	if (options_flag(&o->options, "no-tags"))
		json_object_set_new(params, "tags", json_string("none"));
	_cleanup_free_ char *text = json_dumps(params, JSON_COMPACT);
	json_decref(params);
	int r = text ? convert_params_parse(text, &o->params, e) : err_set(e, ERR_INVALID, "the options are not UTF-8");
	/* The bar shows what is done within a chunk, too: none need be short for its sake. With two for each thread none is idle
	 * for long at the end, and beginning a chunk costs up to 30 ms. */
	o->params.equal_chunks = 2 * o->threads;
	return r;
}

static int read_options(void *ctx, struct err *e)
{
	struct run *o = ctx;
	if (o->options.argument_count != 2)
		return err_set(e, ERR_INVALID, "expected IN and OUT (see --help)");
	o->out = o->options.arguments[1];
	int r = setup_log(&o->options, false, e);
	if (r == 0)
		r = one_shot_threads(&o->options, &o->threads, e);
	if (r == 0)
		r = read_params(o, e);
	struct stat st;
	if (r == 0 && strcmp(o->out, "-") != 0 && !options_flag(&o->options, "force") && lstat(o->out, &st) == 0)
		r = err_set(e, ERR_CONFLICT, "%s is there already (--force replaces it)", o->out);
	return r;
}

/* ---- input and output ---- */

/* A path that can be read by range, or "-" for the pipe. */
static void take_source(struct run *o)
{
	const char *in = o->options.arguments[0];
	struct stat st;
	if (strcmp(in, "-") != 0) {
		o->source = mr_strdup(in);
		return;
	}
	if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode)) {
		o->source = mr_strdup("/dev/stdin");
		return;
	}
	o->source = mr_strdup("-");
	o->pipe = source_pipe_new(STDIN_FILENO, one_shot_interrupted);
}

/* The file's own name; what goes to standard output has been joined there. */
static int deliver(struct run *o, struct err *e)
{
	if (o->output_pipe)
		return 0;
	_cleanup_free_ char *made = mr_asprintf("%s/store/%s", o->folder, o->file_name);
	return rename(made, o->out) < 0 ? err_errno(e, errno, "give %s its name", o->out) : 0;
}

/* ---- the job ---- */

static int create_job(struct run *o, struct err *e)
{
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	struct convert_plan plan;
	int r = worker_probe(o->shot.worker, o->source, probe, e);
	uint64_t bytes = 0;
	if (r == 0 && o->pipe && o->params.normalize)
		r = source_pipe_fill(o->pipe, &bytes, e);
	if (r == 0 && bytes == TASK_INPUT_FORWARD)
		r = err_set(e, ERR_INVALID, "--normalize measures before it converts, and this pipe can be read once: give a file");
	if (r == 0)
		r = convert_plan(probe, &o->params, &plan, e);
	probe_result_release(probe);
	free(probe);
	if (r < 0)
		return r;
	_cleanup_free_ char *params = convert_params_format(&plan.params);
	struct job_new n = { .user_id = "local",
			     .kind = JOB_CONVERT,
			     .file_id = "",
			     .source_key = o->source,
			     .prefix = o->file_name,
			     .params_json = params,
			     .plan = convert_job_plan(&plan) };
	r = one_shot_create(&o->shot, &n, e);
	convert_plan_release(&plan);
	return r;
}

static int run(void *ctx, struct err *e)
{
	struct run *o = ctx;
	int r = one_shot_folder_make("convert", o->out, &o->folder, e);
	_cleanup_free_ char *root = r == 0 ? mr_asprintf("%s/store", o->folder) : NULL;
	(void)snprintf(o->file_name, sizeof(o->file_name), "out.%s", convert_format_extension(o->params.format));
	_cleanup_free_ char *file = r == 0 ? mr_asprintf("%s/%s", root, o->file_name) : NULL;
	if (r == 0 && strcmp(o->out, "-") == 0)
		o->output_pipe = output_pipe_new(STDOUT_FILENO, one_shot_interrupted);
	else if (r == 0)
		o->in_place = in_place_new(file);
	take_source(o);
	if (r == 0)
		r = one_shot_start(&o->shot,
				   &(struct one_shot_opts){ .task = options_get(&o->options, "task"),
							    .store = { .root = root, .scratch = true },
							    .pipe = o->pipe,
							    .threads = o->threads,
							    .in_place = o->in_place,
							    .output_pipe = o->output_pipe,
							    .alone = true },
				   e);
	if (r == 0)
		r = create_job(o, e);
	if (r == 0)
		r = one_shot_watch(&o->shot, options_flag(&o->options, "quiet"), e);
	return r == 0 ? deliver(o, e) : r;
}

int cmd_convert(int argc, char **argv)
{
	static const struct one_shot_command command = {
		.name = "convert",
		.defs = defs,
		.def_count = MR_ARRAY_SIZE(defs),
		.usage = "usage: millrace convert IN OUT [OPTIONS]\n\n"
			 "Makes OUT of IN's sound (a video's, too). \"-\" is standard input or output.\n",
		.read_options = read_options,
		.run = run,
	};
	struct run *o = mr_calloc(1, sizeof(*o));
	int code = one_shot_main(&command, &o->shot, &o->options, o, argc, argv);
	source_pipe_free(&o->pipe);
	in_place_free(&o->in_place);
	output_pipe_free(&o->output_pipe);
	one_shot_folder_remove(o->folder);
	free(o->source);
	free(o);
	return code;
}
