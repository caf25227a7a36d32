/* millrace doctor: tries every part that servers and workers stand on, and says of each whether it works, how long it
 * took, and what to do. It changes nothing: what its checks write is removed, or undone.
 *
 * A check that fails doesn't keep the others from being tried, unless they need what it opens; one that hangs is given
 * up after its time, with the others of its part, and ends with the process. */
#include "cmd/doctor.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cmd/advice.h"
#include "cmd/cmd.h"
#include "cmd/process.h"
#include "os/thread.h"
#include "worker/speech_config.h"
#include "worker/task_client.h"

static const struct option_def defs[] = {
	{ "config", "FILE", NULL, "read options from FILE, a line each: NAME = VALUE; a server's will do" },
	BACKENDS_OPTION_DEFS,
	STORE_NEEDS_OPTION_DEFS,
	{ "speech", "PROVIDER", "flite", "who speaks: flite, or openai+http(s)://HOST/v1?model=…" },
	{ "speech-api-key", "KEY", NULL, "the endpoint's key", .secret = true },
	{ "task", "FILE", NULL, "the millrace-task executable (default: beside this program)" },
	{ "json", NULL, NULL, "say it as JSON" },
	{ "log-level", "LEVEL", "error", "debug, info, warn or error" },
};

static const struct {
	const struct doctor_check *checks;
	const size_t *count;
} all_checks[] = {
	{ doctor_database_checks, &doctor_database_check_count },
	{ doctor_store_checks, &doctor_store_check_count },
	{ doctor_bus_checks, &doctor_bus_check_count },
	{ doctor_task_checks, &doctor_task_check_count },
	{ doctor_machine_checks, &doctor_machine_check_count },
};

static const char *(*const advice_of[GROUPS])(const struct err *e) = {
	[GROUP_DATABASE] = advice_database, [GROUP_STORE] = advice_store,   [GROUP_BUS] = advice_bus,
	[GROUP_TASKS] = advice_task,        [GROUP_SPEECH] = advice_speech, [GROUP_MACHINE] = advice_task,
};

int finding_say(struct finding *f, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	return 0;
}

int finding_warn(struct finding *f, const char *advice, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	f->result = REPORT_WARNING;
	f->advice = advice;
	return 0;
}

int doctor_compare_clock(struct finding *f, const char *whose, int64_t theirs_ms, int64_t tolerated_ms)
{
	int64_t ahead_ms = theirs_ms - clock_wall_ms();
	int64_t apart_ms = ahead_ms < 0 ? -ahead_ms : ahead_ms;
	if (apart_ms > tolerated_ms)
		return finding_warn(f, "synchronize both machines' clocks (chrony, systemd-timesyncd)",
				    "%s is %" PRId64 " s %s this machine's", whose, apart_ms / 1000,
				    ahead_ms < 0 ? "behind" : "ahead of");
	return finding_say(f, "%s is this machine's, to %.1f s", whose, (double)apart_ms / 1000);
}

/* ---- one check on its thread ---- */

struct trial {
	const struct doctor_check *check;
	struct doctor *doctor;
	struct finding finding;
	struct err why;
	pthread_t thread;
	int64_t began_ns, us;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool done;
};

static void *trial_main(void *arg)
{
	struct trial *t = arg;
	struct err why = { 0 };
	int r = t->check->run(t->doctor, &t->finding, &why);
	(void)pthread_mutex_lock(&t->lock);
	if (r < 0)
		t->why = why;
	t->us = (clock_mono_ns() - t->began_ns) / 1000;
	t->done = true;
	(void)pthread_cond_signal(&t->over);
	(void)pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* NULL: it hangs, and what it works on is still its own. */
static struct trial *try_out(struct doctor *d, const struct doctor_check *check)
{
	struct trial *t = mr_calloc(1, sizeof(*t));
	t->check = check;
	t->doctor = d;
	t->began_ns = clock_mono_ns();
	(void)pthread_mutex_init(&t->lock, NULL);
	cond_init_monotonic(&t->over);
	int errnum = thread_start(&t->thread, "check", trial_main, t);
	if (errnum) {
		(void)err_errno(&t->why, errnum, "start a thread");
		return t;
	}
	int64_t due = clock_mono_ms() + check->limit_ms;
	(void)pthread_mutex_lock(&t->lock);
	while (!t->done && cond_wait_until(&t->over, &t->lock, due))
		;
	bool done = t->done;
	(void)pthread_mutex_unlock(&t->lock);
	if (done)
		(void)pthread_join(t->thread, NULL);
	return done ? t : NULL;
}

static void trial_free(struct trial *t)
{
	(void)pthread_mutex_destroy(&t->lock);
	(void)pthread_cond_destroy(&t->over);
	free(t);
}

/* ---- all of them ---- */

struct round {
	struct doctor *doctor;
	struct report report;
	const char *closed[GROUPS]; /* the group's checks aren't begun: why */
	bool hung;
};

static const char *advice_for(const struct doctor_check *check, const struct err *why)
{
	if (strcmp(err_code(why), "NO_TABLES") == 0 || strcmp(err_code(why), "NO_STORE") == 0)
		return "millrace setup makes it";
	return advice_of[check->group](why);
}

static void say(struct round *round, const struct doctor_check *check, enum report_result result, int64_t us,
		const char *text, const char *advice)
{
	report_add(&round->report,
		   &(struct report_line) {
			   .part = check->part, .result = result, .us = us, .text = text, .advice = advice });
}

static void run_check(struct round *round, const struct doctor_check *check)
{
	if (round->closed[check->group]) {
		say(round, check, REPORT_SKIPPED, -1, round->closed[check->group], NULL);
		return;
	}
	struct trial *t = try_out(round->doctor, check);
	if (!t) {
		_cleanup_free_ char *text = mr_asprintf("no answer in %u s", check->limit_ms / 1000);
		round->hung = true;
		round->closed[check->group] = "not tried, because the one before doesn't answer";
		say(round, check, REPORT_FAILED, (int64_t)check->limit_ms * 1000, text,
		    "it hangs: check the address, and firewalls on the way");
		return;
	}
	if (t->why.kind)
		say(round, check, REPORT_FAILED, t->us, t->why.message, advice_for(check, &t->why));
	else
		say(round, check, t->finding.result, t->us, t->finding.text, t->finding.advice);
	if (check->opens && (t->why.kind || t->finding.result != REPORT_OK))
		round->closed[check->group] = "not tried, because the first doesn't work";
	trial_free(t);
}

static void doctor_close(struct doctor *d)
{
	db_close(d->db);
	if (d->store)
		store_close(d->store);
	if (d->zygote)
		zygote_stop(d->zygote);
	speech_config_free(d->speech);
	free(d->task_path);
	backends_places_release(&d->at);
}

static int examine(const struct options *o, int *ret_code, struct err *e)
{
	struct doctor *d = mr_calloc(1, sizeof(*d));
	struct round round = { .doctor = d };
	d->options = o;
	uuid7_new(d->id);
	(void)snprintf(d->folder, sizeof(d->folder), "parts/doctor-%s", d->id);
	int r = setup_log(o, false, e);
	if (r == 0)
		r = store_needs_from_options(o, &d->needs, e);
	if (r == 0)
		r = speech_config_parse(options_get(o, "speech"), options_get(o, "speech-api-key"), &d->speech, e);
	if (r == 0)
		r = backends_places(o, false, &d->at, e);
	if (r < 0) {
		speech_config_free(d->speech);
		free(d);
		return r;
	}
	d->store_is_folder = strncmp(d->at.store, "file:", 5) == 0;
	report_begin(&round.report, "doctor", options_flag(o, "json"));
	for (size_t i = 0; i < MR_ARRAY_SIZE(all_checks); i++)
		for (size_t k = 0; k < *all_checks[i].count; k++)
			run_check(&round, &all_checks[i].checks[k]);
	*ret_code = report_end(&round.report);
	if (round.hung) { /* threads are still at it, and what they use can't be closed */
		(void)fflush(NULL);
		_exit(*ret_code);
	}
	doctor_close(d);
	free(d);
	return 0;
}

static int help(void)
{
	puts("usage: millrace doctor [OPTIONS]\n\n"
	     "Tries every part that a server and workers with these options stand on; says what works, and what to do about\n"
	     "the rest. Leaves nothing behind. Exit code: 0 if nothing failed, else 1.\n");
	options_print_help(stdout, defs, MR_ARRAY_SIZE(defs));
	return 0;
}

int cmd_doctor(int argc, char **argv)
{
	struct options *o = mr_calloc(1, sizeof(*o));
	struct err e = { 0 };
	sigset_t signals;
	int code = 0;
	process_prepare(&signals);
	(void)sigprocmask(SIG_UNBLOCK, &signals, NULL); /* nobody waits for them here: they end it */
	o->shared_file = true;
	int r = options_parse(o, defs, MR_ARRAY_SIZE(defs), argc, argv, &e);
	if (r == 0 && o->help)
		code = help();
	else if (r == 0 && o->argument_count)
		r = err_set(&e, ERR_INVALID, "\"%s\": doctor takes options only (see --help)", o->arguments[0]);
	else if (r == 0)
		r = examine(o, &code, &e);
	if (r < 0) {
		fprintf(stderr, "millrace doctor: %s\n", e.message);
		code = r == -ERR_INVALID ? EXIT_USAGE : 1;
	}
	options_release(o);
	free(o);
	return code;
}
