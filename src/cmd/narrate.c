/* millrace narrate SCRIPT OUT: a script spoken over music, without a server: HLS in the folder OUT, or the MP3 where OUT ends so.
 *
 * What is being made lies in a hidden folder beside OUT until it is whole, with the sentences' sounds: then it gets its name at
 * once, and the folder goes. An end by force (kill -9) can leave that folder behind, never half an output. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/one_shot.h"
#include "job/plan_download.h"
#include "job/plan_narrate.h"
#include "os/fd.h"
#include "worker/speech_config.h"

#define STREAM "stream"	 /* in the hidden folder's store: the segments and the playlist */
#define FILE_NAME "out.mp3"

static const struct option_def defs[] = {
	{ "music", "FILE", NULL, "background music, repeated as long as it is needed" },
	{ "voice", "NAME", NULL, "(default: the provider's)" },
	{ "speech", "PROVIDER", "flite", "who speaks: flite, or openai+http(s)://HOST/v1?model=…" },
	{ "speech-api-key", "KEY", NULL, "the endpoint's key; better given as $MILLRACE_SPEECH_API_KEY", .secret = true },
	{ "music-gain", "DB", NULL, "the music's loudness against the voice's (default: -18)" },
	{ "duck", "DB", NULL, "by how much music falls under speech; 0: not (default: -6)" },
	{ "target", "LUFS", NULL, "every sentence's loudness (default: -16)" },
	{ "fade", "SECONDS", NULL, "the music's fade-in and fade-out (default: 4)" },
	{ "min-seconds", "SECONDS", NULL, "music goes on until then" },
	{ "force", NULL, NULL, "replace OUT if it is a file that is there" },
	{ "workers", "N", NULL, "(default: the number of cores)" },
	{ "quiet", NULL, NULL, "no progress bar" },
	{ "task", "FILE", NULL, "the millrace-task executable (default: beside this program)" },
	{ "log-level", "LEVEL", "error", "debug, info, warn or error" },
};

struct run {
	struct options options;
	struct narrate_params params;
	struct speech_config *speech;
	uint32_t threads;
	struct one_shot shot;
	const char *out;
	bool to_file;
	char *folder; /* where it is made; NULL until it is there */
};

/* ---- options ---- */

static int read_script(const char *path, struct buf *out, struct err *e)
{
	_cleanup_fd_ int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	for (;;) {
		char piece[4096];
		ssize_t n = read(fd, piece, sizeof(piece));
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_errno(e, errno, "read %s", path);
		if (n > 0 && !buf_append(out, piece, (size_t)n))
			return err_set(e, ERR_TOO_LARGE, "%s: a script has at most %u bytes", path, SCRIPT_MAX_BYTES);
	}
}

/* The options are a request's parameters under other names, so that they are read and checked in one place. */
static int read_params(struct run *o, const struct buf *script, struct err *e)
{
	static const struct {
		const char *option, *parameter;
	} numbers[] = { { "music-gain", "music_gain_db" }, { "duck", "duck" }, { "target", "target_lufs" },
			{ "fade", "fade_seconds" }, { "min-seconds", "min_seconds" } };
	json_t *text = json_stringn(script->data ? script->data : "", script->len);
	if (!text)
		return err_set(e, ERR_INVALID, "%s: the script is not UTF-8 text", o->options.arguments[0]);
	json_t *params = json_pack("{so ss*}", "script", text, "voice", options_get(&o->options, "voice"));
	for (size_t i = 0; i < MR_ARRAY_SIZE(numbers); i++) {
		const char *v = options_get(&o->options, numbers[i].option);
		char *end = NULL;
		double n = v ? strtod(v, &end) : 0;
		bool number = end != v && end && !*end && isfinite(n);
		if (v)
			json_object_set_new(params, numbers[i].parameter, number ? json_real(n) : json_string(v));
	}
	_cleanup_free_ char *json = json_dumps(params, JSON_COMPACT);
	json_decref(params);
	return json ? narrate_params_parse(json, &o->params, e) : err_set(e, ERR_INVALID, "the options are not UTF-8");
}

static bool is_empty(const char *folder)
{
	DIR *d = opendir(folder);
	size_t entries = 0;
	while (d && readdir(d))
		entries++;
	if (d)
		(void)closedir(d);
	return entries == 2; /* . and .. */
}

static int check_out(struct run *o, struct err *e)
{
	size_t n = strlen(o->out);
	struct stat st;
	o->to_file = n > 4 && strcmp(o->out + n - 4, ".mp3") == 0;
	if (lstat(o->out, &st) < 0)
		return 0;
	if (o->to_file && !options_flag(&o->options, "force"))
		return err_set(e, ERR_CONFLICT, "%s is there already (--force replaces it)", o->out);
	if (o->to_file || (S_ISDIR(st.st_mode) && is_empty(o->out)))
		return 0;
	return err_set(e, ERR_CONFLICT, "%s is there already, and no empty folder", o->out);
}

static int read_voice(struct run *o, struct err *e)
{
	int r = speech_config_parse(options_get(&o->options, "speech"), options_get(&o->options, "speech-api-key"), &o->speech, e);
	if (r < 0)
		return r;
	if (!o->params.voice)
		o->params.voice = mr_strdup(o->speech->default_voice);
	return speech_voice_check(o->speech, o->params.voice, e);
}

static int read_options(void *ctx, struct err *e)
{
	struct run *o = ctx;
	if (o->options.argument_count != 2)
		return err_set(e, ERR_INVALID, "expected SCRIPT and OUT (see --help)");
	_cleanup_buf_ struct buf script;
	buf_init(&script, SCRIPT_MAX_BYTES);
	o->out = o->options.arguments[1];
	int r = setup_log(&o->options, false, e);
	if (r == 0)
		r = one_shot_threads(&o->options, &o->threads, e);
	if (r == 0)
		r = read_script(o->options.arguments[0], &script, e);
	if (r == 0)
		r = read_params(o, &script, e);
	if (r == 0)
		r = read_voice(o, e);
	return r < 0 ? r : check_out(o, e);
}

/* ---- the jobs ---- */

static int plan_of(struct run *o, const char *music, struct narrate_plan *ret, struct err *e)
{
	if (!music)
		return narrate_plan(&o->params, NULL, o->speech->provider, ret, e);
	struct probe_result *probe = mr_calloc(1, sizeof(*probe));
	int r = worker_probe(o->shot.worker, music, probe, e);
	const struct narrate_music m = { .probe = probe, .mlufs = NARRATE_GAIN_UNKNOWN };
	if (r == 0)
		r = narrate_plan(&o->params, &m, o->speech->provider, ret, e);
	probe_result_release(probe);
	free(probe);
	return r;
}

static int create_job(struct run *o, struct err *e)
{
	const char *music = options_get(&o->options, "music");
	struct narrate_plan plan;
	int r = plan_of(o, music, &plan, e);
	if (r < 0)
		return r;
	struct job_new n = { .user_id = "local",
			     .kind = JOB_NARRATION,
			     .file_id = "",
			     .source_key = music ? music : "",
			     .prefix = STREAM,
			     .params_json = "{}",
			     .plan = narrate_job_plan(&plan) };
	r = one_shot_create(&o->shot, &n, e);
	narrate_plan_release(&plan);
	return r;
}

/* The stream's MP3, by a second job. */
static int create_download(struct run *o, struct err *e)
{
	struct job narration, download;
	struct convert_plan plan;
	int r = repo_job_get(o->shot.on.repo, NULL, o->shot.job_id, &narration, e);
	if (r < 0)
		return r;
	r = download_plan(&narration, &plan, e);
	if (r == 0) {
		struct job_new n = { .user_id = "local", .kind = JOB_DOWNLOAD, .source_key = "", .prefix = FILE_NAME,
				     .params_json = "{}", .plan = convert_job_plan(&plan), .grace_ms = DOWNLOAD_LIFETIME_MS };
		uuid7_new(n.id);
		r = repo_download_start(o->shot.on.repo, NULL, narration.id, &n, true, &download, e);
		convert_plan_release(&plan);
	}
	job_release(&narration);
	if (r < 0)
		return r;
	memcpy(o->shot.job_id, download.id, UUID_SIZE);
	job_release(&download);
	bus_publish(o->shot.on.bus, &(struct bus_event){ .topic = BUS_WORK });
	return 0;
}

static int deliver(struct run *o, struct err *e)
{
	_cleanup_free_ char *made = mr_asprintf("%s/store/%s", o->folder, o->to_file ? FILE_NAME : STREAM);
	if (rename(made, o->out) < 0)
		return err_errno(e, errno, "give %s its name", o->out);
	if (!o->to_file)
		printf("%s%splaylist.m3u8\n", o->out, o->out[strlen(o->out) - 1] == '/' ? "" : "/");
	return 0;
}

static int run(void *ctx, struct err *e)
{
	struct run *o = ctx;
	const bool quiet = options_flag(&o->options, "quiet");
	size_t n = strlen(o->out);
	while (n > 1 && o->out[n - 1] == '/')
		n--;
	_cleanup_free_ char *beside = mr_strndup(o->out, n);
	int r = one_shot_folder_make("narrate", beside, &o->folder, e);
	_cleanup_free_ char *root = r == 0 ? mr_asprintf("%s/store", o->folder) : NULL;
	if (r == 0)
		r = one_shot_start(&o->shot,
				   &(struct one_shot_opts){ .task = options_get(&o->options, "task"),
							    .store = { .root = root, .unsynced = true },
							    .speech = o->speech,
							    .threads = o->threads },
				   e);
	if (r == 0)
		r = create_job(o, e);
	if (r == 0)
		r = one_shot_watch(&o->shot, quiet, e);
	if (r == 0 && o->to_file)
		r = create_download(o, e);
	if (r == 0 && o->to_file)
		r = one_shot_watch(&o->shot, true, e);
	return r == 0 ? deliver(o, e) : r;
}

int cmd_narrate(int argc, char **argv)
{
	static const struct one_shot_command command = {
		.name = "narrate",
		.defs = defs,
		.def_count = MR_ARRAY_SIZE(defs),
		.usage = "usage: millrace narrate SCRIPT OUT [OPTIONS]\n\n"
			 "Speaks a script (plain text with [pause 5s], or SSML; \"-\" is standard input) over music:\n"
			 "HLS into the folder OUT, or an MP3 where OUT ends in .mp3.\n",
		.read_options = read_options,
		.run = run,
	};
	struct run *o = mr_calloc(1, sizeof(*o));
	int code = one_shot_main(&command, &o->shot, &o->options, o, argc, argv);
	one_shot_folder_remove(o->folder);
	speech_config_free(o->speech);
	narrate_params_release(&o->params);
	free(o);
	return code;
}
