/* One-shot commands: millrace ladder, millrace convert. */
#include "cmd/one_shot.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/bar.h"
#include "cmd/cmd.h"
#include "cmd/locate.h"
#include "os/thread.h"
#include "worker/task_client.h"

#define NFTW_DESCRIPTORS 16
#define REFRESH_MS 250 /* the bar moves at least so often, and a signal is seen */

static atomic_bool interrupted;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&interrupted, true);
}

bool one_shot_interrupted(void)
{
	return atomic_load(&interrupted);
}

/* SIGINT and SIGTERM interrupt from now on, SIGPIPE doesn't. */
static void init(struct one_shot *o)
{
	*o = (struct one_shot){ 0 };
	(void)pthread_mutex_init(&o->lock, NULL);
	cond_init_monotonic(&o->wake);
	struct sigaction sa = { .sa_handler = on_signal };
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

int one_shot_threads(const struct options *options, uint32_t *ret, struct err *e)
{
	uint64_t n = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	int r = options_get(options, "workers") ? options_number(options, "workers", 1, 256, &n, e) : 0;
	if (r == 0)
		*ret = (uint32_t)n;
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

void one_shot_wait(struct one_shot *o)
{
	const int64_t due = clock_mono_ms() + REFRESH_MS;
	(void)pthread_mutex_lock(&o->lock);
	while (!o->changed && cond_wait_until(&o->wake, &o->lock, due))
		;
	o->changed = false;
	(void)pthread_mutex_unlock(&o->lock);
}

int one_shot_start(struct one_shot *o, const struct one_shot_opts *opts, struct err *e)
{
	_cleanup_free_ char *task = NULL;
	int r = locate_task(opts->task, &task, e);
	if (r == 0) /* its libraries are linked while the database is made */
		r = zygote_launch(task, &o->zygote, e);
	if (r == 0)
		r = backends_open(&o->on, &(struct backends_opts){ .database = "sqlite::memory:", .folder = opts->store }, e);
	if (r == 0)
		r = bus_subscribe(o->on.bus, BUS_JOB, on_job, o, &o->news, e);
	if (r < 0)
		return r;
	struct zygote *zygote = mr_steal(o->zygote); /* the worker's from here on */
	return worker_start(&(struct worker_opts){ .repo = o->on.repo,
						    .pipe = opts->pipe,
						    .speech = opts->speech,
						    .output = o->on.store,
						    .bus = o->on.bus,
						    .zygote = zygote,
						    .threads = opts->threads,
						    .analyze = opts->analyze,
						    .in_place = opts->in_place,
						    .output_pipe = opts->output_pipe,
						    .alone = opts->alone },
			    &o->worker, e);
}

int one_shot_create(struct one_shot *o, struct job_new *n, struct err *e)
{
	struct job j;
	bool existing;
	uuid7_new(n->id);
	memcpy(o->job_id, n->id, UUID_SIZE);
	int r = repo_job_create(o->on.repo, n, &j, &existing, e);
	if (r < 0)
		return r;
	job_release(&j);
	bus_publish(o->on.bus, &(struct bus_event){ .topic = BUS_WORK });
	return 0;
}

/* Looks at the job's row until it has ended, whenever something is said to have changed. */
int one_shot_watch(struct one_shot *o, bool quiet, struct err *e)
{
	struct bar bar;
	bar_init(&bar, stderr, quiet);
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
		if (one_shot_interrupted()) {
			bar_end(&bar);
			return err_set(e, ERR_CANCELED, "interrupted");
		}
		one_shot_wait(o);
	}
}

static void stop(struct one_shot *o)
{
	worker_stop(o->worker);
	zygote_stop(o->zygote);
	if (o->news)
		bus_unsubscribe(o->on.bus, o->news);
	backends_close(&o->on);
	(void)pthread_mutex_destroy(&o->lock);
	(void)pthread_cond_destroy(&o->wake);
}

static int exit_code(const char *command, int r, bool usage, const struct err *e)
{
	if (r >= 0)
		return 0;
	fprintf(stderr, "millrace %s: %s\n", command, e->message);
	return r == -ERR_CANCELED ? 130 : usage ? EXIT_USAGE : 1;
}

int one_shot_main(const struct one_shot_command *c, struct one_shot *shot, struct options *options, void *ctx, int argc,
		  char **argv)
{
	struct err e = { 0 };
	bool usage = true;
	init(shot);
	int r = options_parse(options, c->defs, c->def_count, argc, argv, &e);
	if (r == 0 && options->help) {
		puts(c->usage);
		options_print_help(stdout, c->defs, c->def_count);
		puts("\nexit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted");
	} else {
		if (r == 0)
			r = c->read_options(ctx, &e);
		usage = r < 0;
		if (r == 0)
			r = c->run(ctx, &e);
	}
	int code = exit_code(c->name, r, usage, &e);
	stop(shot);
	options_release(options);
	return code;
}

/* ---- the folder ---- */

int one_shot_folder_make(const char *command, const char *out, char **ret, struct err *e)
{
	const char *slash = strrchr(out, '/'), *tmp = getenv("TMPDIR");
	bool piped = strcmp(out, "-") == 0;
	char *path = piped ? mr_asprintf("%s/millrace-%s-XXXXXX", tmp && *tmp ? tmp : "/tmp", command)
			   : mr_asprintf("%.*s.millrace-%s-XXXXXX", slash ? (int)(slash - out + 1) : 0, out, command);
	if (!mkdtemp(path)) {
		int r = err_errno(e, errno, "make a folder beside %s", out);
		free(path);
		return r;
	}
	*ret = path;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void one_shot_folder_remove(char *take_path)
{
	if (take_path)
		(void)nftw(take_path, remove_one, NFTW_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
	free(take_path);
}
