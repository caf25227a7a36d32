/* worker/task_client against the real zygote with scripted tasks: every way in which a task can end, and what is left behind. The
 * path of the scripted task is the first argument. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/cm.h"
#include "base/clock.h"
#include "os/fd.h"
#include "os/sandbox_build.h"
#include "worker/task_client.h"

static const char *task_path;
static struct zygote *zygote;

/* What the handlers do and saw, of one run. */
struct seen {
	const char *input;
	bool read_fails, begin_fails;
	int reads, begun, ended, aborted;
	size_t bytes;
	char last_byte;
	int64_t progress;
	atomic_int ticks;
	int stop_after_ticks; /* 0: never */
	void (*at_first_tick)(void);
};

static int on_read(void *ctx, uint32_t input, uint64_t offset, void *buf, uint32_t len, uint32_t *ret_len, struct err *e)
{
	struct seen *s = ctx;
	s->reads++;
	if (s->read_fails)
		return err_set_code(e, ERR_UNAVAILABLE, "STORE_AWAY", "the store is away");
	assert_int_equal(input, 0);
	assert_int_equal(offset, 0);
	memset(buf, 'z', len);
	*ret_len = len;
	return 0;
}

static int on_begin(void *ctx, const struct task_object *head, struct err *e)
{
	struct seen *s = ctx;
	assert_int_equal(head->index, 3);
	if (s->begin_fails)
		return err_set(e, ERR_LOST, "somebody else has it now");
	s->begun++;
	return 0;
}

static int on_data(void *ctx, const void *data, size_t len, struct err *e)
{
	struct seen *s = ctx;
	(void)e;
	s->bytes += len;
	s->last_byte = ((const char *)data)[len - 1];
	return 0;
}

static int on_end(void *ctx, struct err *e)
{
	struct seen *s = ctx;
	(void)e;
	s->ended++;
	return 0;
}

static void on_abort(void *ctx)
{
	((struct seen *)ctx)->aborted++;
}

static int on_progress(void *ctx, const struct task_progress *p, struct err *e)
{
	(void)e;
	((struct seen *)ctx)->progress = p->done_ticks;
	return 0;
}

static bool on_tick(void *ctx)
{
	struct seen *s = ctx;
	int n = atomic_fetch_add(&s->ticks, 1) + 1;
	if (n == 1 && s->at_first_tick)
		s->at_first_tick();
	return !s->stop_after_ticks || n < s->stop_after_ticks;
}

static const struct task_limits usual = { .memory_bytes = 128u << 20, .wall_ms = 60000, .silence_ms = 30000 };

static int run_limited(struct seen *s, const struct task_limits *limits, struct task_usage *usage, struct err *e)
{
	int64_t bounds[] = { 0, 360000 };
	uint32_t runs[] = { 3 };
	struct task_spec spec = {
		.kind = TASK_LADDER,
		.input_count = 1,
		.ladder = { .video_stream = 0, .video_threads = 1, .frame_ticks = 3000, .gop_ticks = 90000,
			    .segment_ticks = 360000, .reorder_frames = 2, .rung_count = 1,
			    .rungs = { { 640, 360, 230, 800000, 1600000, "main", 30 } },
			    .first_segment = 3, .segment_count = 1, .video_ticks = bounds, .runs = runs, .run_count = 1 },
	};
	(void)snprintf(spec.inputs[0].name, sizeof(spec.inputs[0].name), "%s", s->input);
	const struct task_handlers h = { .ctx = s, .read = on_read, .object_begin = on_begin, .object_data = on_data,
					 .object_end = on_end, .object_abort = on_abort, .progress = on_progress,
					 .keep_going = on_tick };
	struct task_result result = { 0 };
	*e = (struct err){ 0 };
	int r = task_run(zygote, &spec, &h, limits, &result, usage, e);
	assert_int_equal(r, -(int)e->kind);
	if (r == 0)
		assert_int_equal(result.ladder.next_segment, 4);
	return r;
}

static int run(struct seen *s, struct err *e)
{
	return run_limited(s, &usual, NULL, e);
}

static void expect(const char *input, const struct task_limits *limits, int result, const char *code)
{
	struct seen s = { .input = input };
	struct err e;
	int r = run_limited(&s, limits, NULL, &e);
	if (r != result || strcmp(err_code(&e), code) != 0)
		fail_msg("%s: %d %s (%s) instead of %d %s", input, r, err_code(&e), e.message, result, code);
	assert_int_equal(s.begun, s.ended + s.aborted);
}

static size_t descriptors_of(const char *process)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%s/fd", process);
	DIR *d = opendir(path);
	assert_non_null(d);
	size_t n = 0;
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void a_task_that_works(void **state)
{
	(void)state;
	struct seen s = { .input = "echo" };
	struct task_usage usage = { 0 };
	struct err e;
	assert_int_equal(run_limited(&s, &usual, &usage, &e), 0);
	assert_int_equal(s.reads, 1);
	assert_int_equal(s.begun, 1);
	assert_int_equal(s.ended, 1);
	assert_int_equal(s.aborted, 0);
	assert_int_equal(s.bytes, 100000);
	assert_int_equal(s.last_byte, 'z');
	assert_int_equal(s.progress, 360000);
	assert_true(usage.max_rss_kb > 100 && usage.wall_ms >= 0 && usage.cpu_ms >= 0);
	char text[64];
	zygote_sandbox(zygote, text, sizeof(text));
	assert_non_null(strstr(text, "seccomp"));
}

static void errors_of_handlers_come_through(void **state)
{
	(void)state;
	struct seen s = { .input = "echo", .read_fails = true };
	struct err e;
	assert_int_equal(run(&s, &e), -ERR_UNAVAILABLE);
	assert_string_equal(e.code, "STORE_AWAY");
	assert_true(e.retriable);
	s = (struct seen){ .input = "echo", .begin_fails = true };
	assert_int_equal(run(&s, &e), -ERR_LOST); /* not mistaken for a lost task */
	assert_string_equal(e.message, "somebody else has it now");
}

static void broken_rules(void **state)
{
	(void)state;
	static const char *const names[] = { "oversize",	 "result_within_object", "outside_the_chunk", "unknown_input",
					     "falling_progress", "huge_frame",		 "lease_lost" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++)
		expect(names[i], &usual, -ERR_MEDIA, "TASK_PROTOCOL");
	expect("undecodable", &usual, -ERR_MEDIA, "UNDECODABLE");
}

static void ends_without_a_word(void **state)
{
	(void)state;
	expect("nothing", &usual, -ERR_MEDIA, "TASK_CRASHED");
	expect("abort", &usual, -ERR_MEDIA, "TASK_CRASHED");
	expect("segfault", &usual, -ERR_MEDIA, "TASK_CRASHED");
	expect("forbidden", &usual, -ERR_MEDIA, "SANDBOX_VIOLATION");
	if (!MR_SANITIZED)
		expect("eat_memory", &usual, -ERR_MEDIA, "TASK_MEMORY");
	expect("closes_and_goes_on", &usual, -ERR_MEDIA, "TASK_PROTOCOL");
}

static void silence_and_time(void **state)
{
	(void)state;
	const struct task_limits quiet = { .silence_ms = 300 }, brief = { .wall_ms = 300 };
	expect("hang", &quiet, -ERR_MEDIA, "TASK_STALLED");
	expect("half_a_frame", &quiet, -ERR_MEDIA, "TASK_STALLED");
	expect("half_then_hang", &quiet, -ERR_MEDIA, "TASK_STALLED");
	expect("never_reads_the_answer", &quiet, -ERR_MEDIA, "TASK_STALLED");
	expect("chatter", &brief, -ERR_MEDIA, "TASK_TIMEOUT");
	expect("hang", &brief, -ERR_MEDIA, "TASK_TIMEOUT");
}

static void told_to_stop(void **state)
{
	(void)state;
	struct seen s = { .input = "hang", .stop_after_ticks = 2 };
	struct err e;
	assert_int_equal(run(&s, &e), -ERR_CANCELED);
	s = (struct seen){ .input = "chatter", .stop_after_ticks = 2 };
	assert_int_equal(run(&s, &e), -ERR_CANCELED);
	s = (struct seen){ .input = "half_then_hang", .stop_after_ticks = 2 };
	assert_int_equal(run(&s, &e), -ERR_CANCELED);
	assert_int_equal(s.aborted, 1);
}

/* The one child of the zygote, as the kernel lists it. */
static pid_t child_of(pid_t parent)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	char *text = NULL;
	pid_t pid = 0;
	if (file_read_all(path, 4096, &text, NULL, NULL) == 0)
		pid = (pid_t)strtol(text, NULL, 10);
	free(text);
	return pid;
}

static void kill_task(int sig)
{
	pid_t task = child_of(zygote_pid(zygote));
	assert_true(task > 0);
	assert_int_equal(kill(task, sig), 0);
}

static void send_kill(void)
{
	kill_task(SIGKILL);
}

static void send_segv(void)
{
	kill_task(SIGSEGV);
}

static void kill_the_zygote(void)
{
	assert_int_equal(kill(zygote_pid(zygote), SIGKILL), 0);
}

static void killed_from_outside(void **state)
{
	(void)state;
	struct err e;
	struct seen s = { .input = "hang", .at_first_tick = send_kill };
	assert_int_equal(run(&s, &e), -ERR_UNAVAILABLE);
	assert_string_equal(e.code, "TASK_LOST");
	assert_true(e.retriable);
	s = (struct seen){ .input = "hang", .at_first_tick = send_segv };
	assert_int_equal(run(&s, &e), -ERR_MEDIA);
	assert_string_equal(e.code, "TASK_CRASHED");
	if (!MR_SANITIZED)
		assert_non_null(strstr(e.message, "SIGSEGV"));
}

static void a_dead_zygote_is_replaced(void **state)
{
	(void)state;
	struct err e;
	pid_t before = zygote_pid(zygote);
	struct seen s = { .input = "hang", .at_first_tick = kill_the_zygote };
	assert_int_equal(run(&s, &e), -ERR_UNAVAILABLE);
	assert_string_equal(e.code, "TASK_LOST");
	s = (struct seen){ .input = "echo" };
	assert_int_equal(run(&s, &e), 0);
	assert_true(zygote_pid(zygote) != before);
	/* and when it dies between two tasks */
	kill_the_zygote();
	s = (struct seen){ .input = "echo" };
	int r = run(&s, &e);
	if (r < 0) { /* its death wasn't to be seen yet */
		assert_string_equal(e.code, "TASK_LOST");
		s = (struct seen){ .input = "echo" };
		r = run(&s, &e);
	}
	assert_int_equal(r, 0);
}

static void many_spawns_leak_nothing(void **state)
{
	(void)state;
	struct err e;
	char pid[16];
	zygote_stop(zygote);
	assert_int_equal(zygote_start(task_path, &zygote, &e), 0);
	(void)snprintf(pid, sizeof(pid), "%d", zygote_pid(zygote));
	const size_t ours = descriptors_of("self"), theirs = descriptors_of(pid);
	for (int i = 0; i < 50; i++) {
		struct seen s = { .input = i % 5 ? "echo" : "oversize" };
		assert_int_equal(run(&s, &e), i % 5 ? 0 : -ERR_MEDIA);
	}
	assert_int_equal(descriptors_of("self"), ours);
	/* the zygote reports an end before it closes the last socket */
	const int64_t until = clock_mono_ms() + 60000;
	while (descriptors_of(pid) > theirs && clock_mono_ms() < until)
		(void)sched_yield();
	assert_int_equal(descriptors_of(pid), theirs);
	assert_int_equal(child_of(zygote_pid(zygote)), 0);
}

static void *run_echoes(void *arg)
{
	for (int i = 0; i < 5; i++) {
		struct seen s = { .input = "echo" };
		struct err e;
		if (run(&s, &e) < 0 || s.ended != 1)
			return arg;
	}
	return NULL;
}

static void many_threads(void **state)
{
	(void)state;
	pthread_t t[8];
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, run_echoes, t), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		void *r;
		assert_int_equal(pthread_join(t[i], &r), 0);
		assert_null(r);
	}
}

static struct seen hanging = { .input = "hang" };

static void *run_hanging(void *arg)
{
	struct err e;
	return run(&hanging, &e) == -ERR_UNAVAILABLE && strcmp(e.code, "TASK_LOST") == 0 ? NULL : arg;
}

static void stopping_ends_what_runs(void **state)
{
	(void)state;
	pthread_t t;
	atomic_store(&hanging.ticks, 0);
	assert_int_equal(pthread_create(&t, NULL, run_hanging, &hanging), 0);
	while (atomic_load(&hanging.ticks) == 0)
		(void)sched_yield();
	struct zygote *old = zygote;
	zygote_stop(old);
	void *r;
	assert_int_equal(pthread_join(t, &r), 0);
	assert_null(r);
	zygote_stop(NULL);
	struct err e;
	assert_int_equal(zygote_start(task_path, &zygote, &e), 0);
}

static void what_cannot_start(void **state)
{
	(void)state;
	struct zygote *z = NULL;
	struct err e;
	assert_true(zygote_start("/nonexistent/millrace-task", &z, &e) < 0);
	assert_int_equal(zygote_start("/bin/true", &z, &e), -ERR_UNAVAILABLE);
	assert_null(z);
}

static int pid_of_parent_to_kill[2];

static void say_pids(void)
{
	pid_t pids[2] = { zygote_pid(zygote), child_of(zygote_pid(zygote)) };
	assert_int_equal(fd_write_full(pid_of_parent_to_kill[1], pids, sizeof(pids), NULL), 0);
}

/* A process that runs a task and is killed: the zygote and the task must be gone within a second. */
static void a_killed_parent_takes_everything_with_it(void **state)
{
	(void)state;
	assert_int_equal(pipe2(pid_of_parent_to_kill, O_CLOEXEC), 0);
	/* orphans become our children, so that their end can be waited for */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	pid_t parent = fork();
	assert_true(parent >= 0);
	if (parent == 0) {
		struct err e;
		struct seen s = { .input = "hang", .at_first_tick = say_pids };
		if (zygote_start(task_path, &zygote, &e) < 0 || run(&s, &e) == 0)
			_exit(1);
		_exit(2);
	}
	fd_close(&pid_of_parent_to_kill[1]);
	pid_t pids[2];
	struct err e;
	assert_int_equal(fd_read_full(pid_of_parent_to_kill[0], pids, sizeof(pids), &e), 0);
	fd_close(&pid_of_parent_to_kill[0]);
	int pidfds[2];
	for (int i = 0; i < 2; i++) {
		assert_true(pids[i] > 0);
		pidfds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
		assert_true(pidfds[i] >= 0);
	}
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	for (int i = 0; i < 2; i++) {
		struct pollfd p = { .fd = pidfds[i], .events = POLLIN };
		assert_int_equal(poll(&p, 1, MR_SANITIZED ? 10000 : 1000), 1);
		fd_close(&pidfds[i]);
	}
	while (waitpid(pids[0], NULL, 0) < 0 && errno == EINTR)
		;
	while (waitpid(pids[1], NULL, 0) < 0 && errno == EINTR)
		;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

static int setup(void **state)
{
	(void)state;
	struct err e = { 0 };
	if (zygote_start(task_path, &zygote, &e) == 0)
		return 0;
	fprintf(stderr, "%s\n", e.message);
	return -1;
}

static int teardown(void **state)
{
	(void)state;
	zygote_stop(zygote);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	task_path = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_that_works),
		cmocka_unit_test(errors_of_handlers_come_through),
		cmocka_unit_test(broken_rules),
		cmocka_unit_test(ends_without_a_word),
		cmocka_unit_test(silence_and_time),
		cmocka_unit_test(told_to_stop),
		cmocka_unit_test(killed_from_outside),
		cmocka_unit_test(a_dead_zygote_is_replaced),
		cmocka_unit_test(many_spawns_leak_nothing),
		cmocka_unit_test(many_threads),
		cmocka_unit_test(stopping_ends_what_runs),
		cmocka_unit_test(what_cannot_start),
		cmocka_unit_test(a_killed_parent_takes_everything_with_it),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
