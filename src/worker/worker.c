/* Worker threads: claim, run, again. In the server and worker process. */
#include "worker/worker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/thread.h"
#include "worker/identity.h"
#include "worker/janitor.h"
#include "worker/kind_limits.h"
#include "worker/publisher.h"
#include "worker/runner.h"
#include "worker/source.h"
#include "worker/speech.h"
#include "worker/stand_ins.h"
#include "worker/task_client.h"

#define THREADS_MAX 256
#define LEASE_DEFAULT_MS 15000
#define POLL_DEFAULT_MS 3000
#define SOON_MS 20
#define AFTER_ERROR_MS 1000 /* the database is away */
/* So many narrations may wait for an endpoint at a time, each with a sleeping task of some 30 MB, without keeping others from being
 * worked at. */
#define STAND_INS_MAX 16
#define SHORT_STAND_INS_MAX 4

static const struct task_limits chunk_limits = { .memory_bytes = 3ull << 30, .wall_ms = 0, .silence_ms = 120000 };
static const struct task_limits probe_limits = { .memory_bytes = 1ull << 30, .wall_ms = 60000, .silence_ms = 30000 };

struct worker;
/* One of its threads, and what it works on. */
struct worker_thread {
	struct worker *w;
	enum work_class class;
	bool stands_in; /* works while more than `number` others wait */
	uint32_t number;
	pthread_t id;
};

struct worker {
	struct worker_opts opts;
	struct zygote *zygote;
	struct publisher *publisher;
	struct speech *speech;
	struct janitor *janitor;
	struct stand_ins *stand_ins[WORK_CLASSES]; /* whoever waits gives its place to its own class */
	struct kind_limits *limits;
	struct bus_subscription *work_hints;
	atomic_bool stopping;
	atomic_uint first_chunks; /* that run now */
	struct worker_thread threads[THREADS_MAX + 2 + STAND_INS_MAX + SHORT_STAND_INS_MAX];
	uint32_t thread_count;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint64_t hints; /* rises with every hint */
	struct look {
		bool looking;	   /* one of the threads asks */
		uint64_t hints;	   /* of those that it knows of */
		int64_t again_ms;  /* monotonic: until then it holds, if there is no hint */
		int64_t due_ms[WORK_CLASSES]; /* monotonic */
	} look;
};

static void wake_all(struct worker *w)
{
	(void)pthread_mutex_lock(&w->lock);
	w->hints++;
	(void)pthread_cond_broadcast(&w->wake);
	(void)pthread_mutex_unlock(&w->lock);
}

static void on_work(void *ctx, const struct bus_event *ev)
{
	(void)ev;
	wake_all(ctx);
}

/* Waits for a hint newer than `seen`, at most `ms` with some jitter, so that many idle workers don't ask at once. */
static void wait_for_work(struct worker *w, uint64_t seen, int64_t ms)
{
	uint8_t r;
	random_bytes(&r, 1);
	int64_t due = clock_mono_ms() + ms * (192 + r / 2) / 256;
	(void)pthread_mutex_lock(&w->lock);
	while (w->hints == seen && !atomic_load(&w->stopping))
		if (!cond_wait_until(&w->wake, &w->lock, due))
			break;
	(void)pthread_mutex_unlock(&w->lock);
}

static uint64_t hints_now(struct worker *w)
{
	(void)pthread_mutex_lock(&w->lock);
	uint64_t n = w->hints;
	(void)pthread_mutex_unlock(&w->lock);
	return n;
}

/* Asks when what is due, for all threads: an idle process makes one query a round, however many threads it has. */
static void look_locked(struct worker *w)
{
	int64_t due_ms[WORK_CLASSES];
	struct look *l = &w->look;
	l->looking = true;
	l->hints = w->hints;
	(void)pthread_mutex_unlock(&w->lock);
	int r = repo_next_dues(w->opts.repo, kind_limits_full(w->limits), due_ms, NULL);
	(void)pthread_mutex_lock(&w->lock);
	(void)pthread_cond_broadcast(&w->wake);
	const int64_t now = clock_mono_ms();
	l->looking = false;
	l->again_ms = now + w->opts.poll_ms;
	for (size_t i = 0; i < WORK_CLASSES; i++) /* a claim says why it fails */
		l->due_ms[i] = r < 0 ? now : due_ms[i] < 0 || due_ms[i] > w->opts.poll_ms ? l->again_ms : now + due_ms[i];
}

/* How long there is nothing to claim, as far as is known; 0: there may be something. */
static int64_t nothing_for_ms(struct worker *w, enum work_class class)
{
	(void)pthread_mutex_lock(&w->lock);
	struct look *l = &w->look;
	while (l->looking)
		(void)pthread_cond_wait(&w->wake, &w->lock);
	if (l->hints != w->hints || clock_mono_ms() >= l->again_ms)
		look_locked(w);
	int64_t left_ms = l->due_ms[class] - clock_mono_ms();
	(void)pthread_mutex_unlock(&w->lock);
	return left_ms > 0 ? left_ms : 0;
}

/* Something was due, and nothing could be claimed: somebody else has it, or (in the background) it has to wait for others. */
static int64_t look_again(struct worker *w, enum work_class class)
{
	if (class == WORK_BACKGROUND)
		return w->opts.poll_ms;
	(void)pthread_mutex_lock(&w->lock);
	w->look.again_ms = 0;
	(void)pthread_mutex_unlock(&w->lock);
	return SOON_MS;
}

static int claim(struct worker *w, enum work_class class, const char *worker_id, struct claim *ret, struct err *e)
{
	uint32_t without = kind_limits_claim(w->limits);
	int r = repo_claim(w->opts.repo, class, without, worker_id, w->opts.lease_ms, ret, e);
	kind_limits_claimed(w->limits, r == 0 ? &ret->job.kind : NULL);
	return r;
}

/* One round: claim and run. Returns how long to wait for the next; 0: not at all. */
static int64_t work_once(struct worker *w, enum work_class class, const char *worker_id)
{
	struct err e = { 0 };
	struct claim c;
	int64_t nothing_ms = nothing_for_ms(w, class);
	if (nothing_ms > 0)
		return nothing_ms < SOON_MS ? SOON_MS : nothing_ms;
	int r = claim(w, class, worker_id, &c, &e);
	if (r == -ERR_NOT_FOUND)
		return look_again(w, class);
	if (r < 0) {
		log_warn("claim_failed", LOG_E(&e));
		return AFTER_ERROR_MS;
	}
	struct runner runner = { .repo = w->opts.repo,
				 .input = w->opts.input,
				 .pipe = w->opts.pipe,
				 .output = w->opts.output,
				 .bus = w->opts.bus,
				 .publisher = w->publisher,
				 .zygote = w->zygote,
				 .speech = w->speech,
				 .stand_ins = w->stand_ins[class],
				 .stopping = &w->stopping,
				 .alone = w->opts.alone,
				 .in_place = w->opts.in_place,
				 .output_pipe = w->opts.output_pipe,
				 .limits = chunk_limits };
	if (w->opts.task_memory_bytes)
		runner.limits.memory_bytes = w->opts.task_memory_bytes;
	bool first = c.chunk.index == 0 || class == WORK_SHORT;
	if (first)
		atomic_fetch_add(&w->first_chunks, 1);
	else if (!w->opts.alone)
		runner.limits.nice = atomic_load(&w->first_chunks) ? BESIDE_FIRST_NICENESS : LATER_CHUNK_NICENESS;
	runner.limits.batch = c.job.kind != JOB_NARRATION; /* its listeners follow it */
	uint32_t wait_ms = runner_run(&runner, &c);
	if (first)
		atomic_fetch_sub(&w->first_chunks, 1);
	if (kind_limits_done(w->limits, c.job.kind))
		wake_all(w);
	claim_release(&c);
	return wait_ms;
}

static void *worker_main(void *arg)
{
	const struct worker_thread *t = arg;
	struct worker *w = t->w;
	char id[WORKER_ID_SIZE];
	worker_identity(id);
	while (!atomic_load(&w->stopping)) {
		if (t->stands_in && !stand_ins_await(w->stand_ins[t->class], t->number))
			break;
		uint64_t seen = hints_now(w);
		int64_t wait_ms = work_once(w, t->class, id);
		if (wait_ms)
			wait_for_work(w, seen, wait_ms);
	}
	return NULL;
}

static int start_thread(struct worker *w, enum work_class class, struct err *e)
{
	struct worker_thread *t = &w->threads[w->thread_count];
	t->w = w;
	t->class = class;
	int r = thread_start(&t->id, "worker", worker_main, t);
	if (r)
		return err_errno(e, r, "start worker thread %u", w->thread_count);
	w->thread_count++;
	return 0;
}

static int start_stand_in(struct worker *w, enum work_class class, uint32_t number, struct err *e)
{
	w->threads[w->thread_count] = (struct worker_thread){ .stands_in = true, .number = number };
	return start_thread(w, class, e);
}

static int start_threads(struct worker *w, struct err *e)
{
	uint32_t n = w->opts.threads < THREADS_MAX ? w->opts.threads : THREADS_MAX;
	int r = 0;
	while (r == 0 && w->thread_count < n)
		r = start_thread(w, WORK_JOBS, e);
	if (r == 0 && w->opts.analyze && n > 0)
		r = start_thread(w, WORK_BACKGROUND, e);
	if (r == 0 && w->opts.short_lane && n > 0)
		r = start_thread(w, WORK_SHORT, e);
	/* The built-in voices are work as any other. */
	bool may_wait = w->opts.speech && w->opts.speech->kind == SPEECH_OPENAI && n > 0;
	for (uint32_t i = 0; r == 0 && may_wait && i < STAND_INS_MAX; i++)
		r = start_stand_in(w, WORK_JOBS, i, e);
	for (uint32_t i = 0; r == 0 && may_wait && w->opts.short_lane && i < SHORT_STAND_INS_MAX; i++)
		r = start_stand_in(w, WORK_SHORT, i, e);
	return r;
}

int worker_start(const struct worker_opts *opts, struct worker **ret, struct err *e)
{
	struct worker *w = mr_calloc(1, sizeof(*w));
	w->opts = *opts;
	if (!w->opts.lease_ms)
		w->opts.lease_ms = LEASE_DEFAULT_MS;
	if (!w->opts.poll_ms)
		w->opts.poll_ms = POLL_DEFAULT_MS;
	for (size_t i = 0; i < WORK_CLASSES; i++)
		w->stand_ins[i] = stand_ins_new();
	w->limits = kind_limits_new(mr_steal(w->opts.limits));
	(void)pthread_mutex_init(&w->lock, NULL);
	cond_init_monotonic(&w->wake);
	w->zygote = mr_steal(w->opts.zygote);
	int r = w->zygote ? zygote_check(w->zygote, e) : zygote_start(opts->task_path, &w->zygote, e);
	if (r == 0)
		r = publisher_start(
			&(struct publisher_opts){ .repo = opts->repo, .store = opts->output, .bus = opts->bus },
			&w->publisher, e);
	if (r == 0 && opts->speech)
		r = speech_start(&(struct speech_opts){ .config = opts->speech,
							 .repo = opts->repo,
							 .store = opts->output,
							 .zygote = w->zygote },
				 &w->speech, e);
	if (r == 0 && opts->janitor)
		r = janitor_start(&(struct janitor_opts){ .repo = opts->repo,
							   .store = opts->output,
							   .bus = opts->bus,
							   .publisher = w->publisher,
							   .worker = w },
				  &w->janitor, e);
	if (r == 0)
		r = bus_subscribe(opts->bus, BUS_WORK, on_work, w, &w->work_hints, e);
	if (r == 0)
		r = start_threads(w, e);
	if (r < 0) {
		worker_stop(w);
		return r;
	}
	*ret = w;
	return 0;
}

void worker_interrupt(struct worker *w)
{
	(void)pthread_mutex_lock(&w->lock);
	atomic_store(&w->stopping, true);
	(void)pthread_cond_broadcast(&w->wake);
	(void)pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < WORK_CLASSES; i++)
		stand_ins_interrupt(w->stand_ins[i]);
	if (w->speech)
		speech_interrupt(w->speech);
}

bool worker_is_stopping(const struct worker *w)
{
	return atomic_load(&w->stopping);
}

void worker_stop(struct worker *w)
{
	if (!w)
		return;
	worker_interrupt(w);
	for (uint32_t i = 0; i < w->thread_count; i++)
		(void)pthread_join(w->threads[i].id, NULL);
	for (size_t i = 0; i < WORK_CLASSES; i++)
		stand_ins_free(w->stand_ins[i]);
	kind_limits_free(w->limits);
	speech_stop(w->speech);
	if (w->work_hints)
		bus_unsubscribe(w->opts.bus, w->work_hints);
	janitor_stop(w->janitor);
	publisher_stop(w->publisher);
	if (w->zygote)
		zygote_stop(w->zygote);
	(void)pthread_mutex_destroy(&w->lock);
	(void)pthread_cond_destroy(&w->wake);
	free(w);
}

struct probe_run {
	struct worker *w;
	struct source source;
};

static int probe_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len,
		      struct err *e)
{
	struct probe_run *p = ctx;
	(void)input;
	return source_read(&p->source, offset, buf, len, ret_len, e);
}

static int probe_object(void *ctx, const struct task_object *head, struct err *e)
{
	(void)ctx;
	(void)head;
	return err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "a probe sent an object");
}

static int probe_progress(void *ctx, const struct task_progress *p, struct err *e)
{
	(void)ctx;
	(void)p;
	(void)e;
	return 0;
}

static bool probe_keep_going(void *ctx)
{
	struct probe_run *p = ctx;
	return !worker_is_stopping(p->w);
}

const struct speech_config *worker_speech(const struct worker *w)
{
	return w->opts.speech;
}

struct speech *worker_speaker(const struct worker *w)
{
	return w->speech;
}

struct zygote *worker_zygote(struct worker *w)
{
	return w->zygote;
}

bool worker_analyzes(const struct worker *w)
{
	return w->opts.analyze;
}

uint64_t worker_max_audio_bytes(const struct worker *w)
{
	return w->opts.max_audio_bytes ? w->opts.max_audio_bytes : UINT64_MAX;
}

int worker_probe(struct worker *w, const char *key, struct probe_result *ret, struct err *e)
{
	struct probe_run p = { .w = w, .source = SOURCE_INIT };
	struct task_spec spec = { .kind = TASK_PROBE, .input_count = 1 };
	memcpy(spec.inputs[0].name, "source", sizeof("source"));
	struct task_result *result = mr_calloc(1, sizeof(*result));
	int r = source_open(&p.source, w->opts.input, w->opts.pipe, key, e);
	if (r == 0) {
		struct task_limits limits = probe_limits;
		p.source.probing = true;
		if (p.source.pipe) /* what comes through it may take its time */
			limits.wall_ms = 0;
		spec.inputs[0].size_bytes = p.source.size_bytes;
		/* No object can begin, so that data, end and abort are never called. */
		struct task_handlers h = { .ctx = &p,
					   .read = probe_read,
					   .object_begin = probe_object,
					   .progress = probe_progress,
					   .keep_going = probe_keep_going };
		r = task_run(w->zygote, &spec, &h, &limits, result, NULL, e);
	}
	if (r == 0)
		*ret = result->probe;
	source_close(&p.source);
	free(result);
	return r;
}
