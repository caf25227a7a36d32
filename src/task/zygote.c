/* The zygote: forks one child per packet on the control socket and reports when it ends. Single-threaded; it never touches
 * media, holds no secret, and only moves descriptors.
 *
 * Guarantees: every child has PDEATHSIG, so none outlives the zygote, and the zygote ends when the control socket closes: a
 * parent that is killed takes everything with it. Every child is reaped, and its status socket told and closed. Does not
 * guarantee that a child ends: its parent kills it, through the pidfd that comes with ZYGOTE_STARTED.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/sandbox_build.h"
#include "os/thread.h"
#include "proto/channel.h"
#include "task/task.h"

#define CHILDREN_MAX 256
#define IDLE_MS 333

struct running {
	pid_t pid;
	int status_fd;
};

struct zygote {
	int control, signals;
	const struct sandbox *sandbox;
	sigset_t original_mask;
	size_t count;
	struct running children[CHILDREN_MAX];
};

/* When memory runs out, the kernel shall take a task and not the server. Best effort: without /proc nothing is lost. */
static void offer_to_oom_killer(void)
{
	_cleanup_fd_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "500", 3) < 0)
		return;
}

#if MR_COVERAGE
void __gcov_dump(void);
void __gcov_reset(void);
/* Nobody here runs exit handlers: the zygote is killed in the end, and a child shares its buffers. */
static void write_counters(void)
{
	__gcov_dump();
	__gcov_reset();
}
#else
static void write_counters(void)
{
}
#endif

/* In the child: never returns. */
static _Noreturn void become_task(struct zygote *z, pid_t zygote_pid, int channel, const struct sandbox_limits *limits,
				   const struct zygote_spawn *request)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != zygote_pid)
		_exit(1); /* the zygote ended in between: nobody would be told of us */
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &z->original_mask, NULL);
	offer_to_oom_killer();
	/* best effort, as everything about priorities */
	if (request->nice > 0)
		(void)setpriority(PRIO_PROCESS, 0, request->nice < 19 ? request->nice : 19);
	if (request->batch)
		thread_run_long();
	struct err e, failure;
	if (sandbox_enter(z->sandbox, limits, channel, &e) < 0) {
		(void)err_set_code(&failure, ERR_UNAVAILABLE, "SANDBOX_UNAVAILABLE", "enter the sandbox: %.400s", e.message);
		task_child_refuse(channel, &failure);
		_exit(1);
	}
	int code = task_child_run(channel);
	write_counters();
	_exit(code);
}

/* Best effort: a parent that doesn't listen any more has dropped this task. */
static void tell(int status_fd, const struct zygote_status *s, int pidfd)
{
	if (packet_send(status_fd, s, sizeof(*s), &pidfd, pidfd >= 0 ? 1 : 0, NULL) < 0)
		return;
}

/* Takes both descriptors. */
static void spawn(struct zygote *z, const struct zygote_spawn *request, int take_channel, int take_status)
{
	_cleanup_fd_ int channel = take_channel;
	_cleanup_fd_ int status = take_status;
	const struct sandbox_limits limits = { .memory_bytes = request->memory_bytes, .cpu_seconds = request->cpu_seconds };
	struct zygote_status s = { .event = ZYGOTE_FAILED, .errnum = EAGAIN };
	if (z->count == CHILDREN_MAX) {
		tell(status, &s, -1);
		return;
	}
	const pid_t self = getpid();
	write_counters();
	pid_t pid = fork();
	if (pid == 0)
		become_task(z, self, channel, &limits, request);
	if (pid < 0) {
		s.errnum = errno;
		tell(status, &s, -1);
		return;
	}
	/* nobody else reaps, so the number is ours until we do */
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		s.errnum = errno;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		tell(status, &s, -1);
		return;
	}
	z->children[z->count++] = (struct running){ .pid = pid, .status_fd = fd_steal(status) };
	s = (struct zygote_status){ .event = ZYGOTE_STARTED, .pid = pid };
	tell(z->children[z->count - 1].status_fd, &s, pidfd);
}

static int64_t milliseconds(const struct timeval *t)
{
	return (int64_t)t->tv_sec * 1000 + t->tv_usec / 1000;
}

static void reap(struct zygote *z)
{
	struct signalfd_siginfo info;
	ssize_t n = read(z->signals, &info, sizeof(info)); /* only empties it: one signal may stand for many */
	(void)n;
	struct rusage usage;
	int status;
	pid_t pid;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		for (size_t i = 0; i < z->count; i++) {
			if (z->children[i].pid != pid)
				continue;
			const struct zygote_status s = {
				.event = ZYGOTE_EXITED,
				.pid = pid,
				.wait_status = status,
				.max_rss_kb = usage.ru_maxrss,
				.cpu_ms = milliseconds(&usage.ru_utime) + milliseconds(&usage.ru_stime),
			};
			tell(z->children[i].status_fd, &s, -1);
			fd_close(&z->children[i].status_fd);
			z->children[i] = z->children[--z->count];
			break;
		}
}

/* False when the parent is gone. A packet that isn't a request is dropped with what it carries. */
static bool serve_control(struct zygote *z)
{
	struct zygote_spawn request;
	size_t len;
	int fds[2];
	int r = packet_recv(z->control, &request, sizeof(request), &len, fds, NULL);
	if (r == -ERR_PROTOCOL)
		return true;
	if (r < 0)
		return false;
	if (len == sizeof(request) && request.op == ZYGOTE_SPAWN && fds[0] >= 0 && fds[1] >= 0) {
		spawn(z, &request, fds[0], fds[1]);
		return true;
	}
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	return true;
}

static int prepare_signals(struct zygote *z)
{
	sigset_t chld;
	(void)sigemptyset(&chld);
	(void)sigaddset(&chld, SIGCHLD);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &chld, &z->original_mask) < 0)
		return -1;
	z->signals = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	return z->signals < 0 ? -1 : 0;
}

int zygote_run(int control, const struct sandbox *sandbox, void (*when_idle)(void))
{
	static struct zygote z;
	z = (struct zygote){ .control = control, .sandbox = sandbox };
	if (prepare_signals(&z) < 0)
		return 1;
	const char *ready = sandbox_describe();
	if (packet_send(control, ready, strlen(ready), NULL, 0, NULL) < 0)
		return 1;
	for (;;) {
		struct pollfd p[] = { { .fd = control, .events = POLLIN }, { .fd = z.signals, .events = POLLIN } };
		const int n = poll(p, MR_ARRAY_SIZE(p), when_idle ? IDLE_MS : -1);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			break;
		}
		if (n == 0 && when_idle) {
			when_idle();
			when_idle = NULL;
		}
		if (p[1].revents)
			reap(&z);
		if (p[0].revents && !serve_control(&z))
			break;
	}
	for (size_t i = 0; i < z.count; i++)
		(void)kill(z.children[i].pid, SIGKILL);
	return 0;
}
