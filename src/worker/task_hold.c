/* The life of a task that is held for long. Its starts and ends are here, what is said with it is its holder's. Runs in
 * the server.
 *
 * Guarantees: after task_hold_end the process is gone and reaped by its zygote, or went with it. A zygote that doesn't
 * answer is killed, as task_run does.
 */
#include "worker/task_hold.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/fd.h"
#include "proto/channel.h"
#include "worker/task_spawn.h"

#define ANSWER_TIMEOUT_MS 30000 /* of the zygote: a fork takes a millisecond, and so does a kill */
#define LINGER_MS 2000		/* from the end of its channel to its end by itself */

static int await_status(struct task_hold *t, struct zygote_status *ret, int *ret_pidfd, struct err *e)
{
	struct pollfd p = { .fd = t->status, .events = POLLIN };
	const int64_t until = clock_mono_ms() + ANSWER_TIMEOUT_MS;
	int n;
	do {
		const int64_t left = until - clock_mono_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	size_t len = 0;
	int fds[2] = { -1, -1 };
	int r = n == 1 ? packet_recv(t->status, ret, sizeof(*ret), &len, fds, e) : -ERR_TIMEOUT;
	fd_close(&fds[1]);
	if (r == 0 && len == sizeof(*ret)) {
		*ret_pidfd = fds[0];
		return 0;
	}
	fd_close(&fds[0]);
	zygote_condemn(t->zygote, t->zygote_pid);
	return err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "the tasks' zygote is gone, or does not answer");
}

static int start(struct task_hold *t, const struct task_spec *spec, const struct zygote_spawn *request, struct err *e)
{
	struct spawned process;
	int r = zygote_spawn_task(t->zygote, request, &process, e);
	if (r < 0)
		return r;
	t->zygote_pid = process.zygote_pid;
	t->channel = process.channel;
	t->status = process.status;
	struct zygote_status s = { 0 };
	r = await_status(t, &s, &t->pidfd, e);
	if (r == 0 && (s.event != ZYGOTE_STARTED || t->pidfd < 0))
		r = err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "no process for a task: %s", strerrordesc_np(s.errnum));
	if (r < 0)
		return r;
	t->pid = s.pid;
	_cleanup_buf_ struct buf b;
	buf_init(&b, MSG_MAX_BYTES);
	r = task_spec_encode(spec, &b, e);
	return r < 0 ? r : channel_send(t->channel, MSG_SPEC, b.data, b.len, e); /* into an empty socket */
}

int task_hold_start(struct zygote *z, const struct task_spec *spec, const struct task_limits *limits, struct task_hold *ret,
		    struct err *e)
{
	const struct zygote_spawn request = { .op = ZYGOTE_SPAWN, .memory_bytes = limits->memory_bytes, .nice = limits->nice,
					      .batch = limits->batch };
	struct task_hold t = { .zygote = z, .channel = -1, .status = -1, .pidfd = -1 };
	zygote_enter(z);
	int r = start(&t, spec, &request, e);
	if (r < 0) {
		char why[128];
		(void)task_hold_end(&t, why, sizeof(why));
		return r;
	}
	*ret = t;
	return 0;
}

static enum task_end explain(int wait_status, bool killed_by_us, char *why, size_t size)
{
	if (!WIFSIGNALED(wait_status)) {
		const int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
		(void)snprintf(why, size, "exit code %d", code);
		return code == 0 ? TASK_END_OURS : TASK_END_CRASHED;
	}
	const int sig = WTERMSIG(wait_status);
	const char *name = sigabbrev_np(sig);
	(void)snprintf(why, size, "killed by signal %d (SIG%s)", sig, name ? name : "?");
	if (sig != SIGKILL)
		return TASK_END_CRASHED;
	return killed_by_us ? TASK_END_OURS : TASK_END_KILLED;
}

enum task_end task_hold_end(struct task_hold *t, char *ret_why, size_t size)
{
	enum task_end end = TASK_END_KILLED;
	(void)snprintf(ret_why, size, "the tasks' zygote is gone");
	struct zygote_status s = { 0 };
	int pidfd = -1;
	struct pollfd p = { .fd = t->status, .events = POLLIN };
	if (t->channel >= 0)
		(void)shutdown(t->channel, SHUT_RDWR);
	/* a process that crashed has perhaps not been reaped yet: a kill would cover up why it ended */
	const bool ended = t->pidfd < 0 || poll(&p, 1, LINGER_MS) > 0;
	if (!ended)
		(void)syscall(SYS_pidfd_send_signal, t->pidfd, SIGKILL, NULL, 0);
	if (t->pidfd >= 0 && await_status(t, &s, &pidfd, NULL) == 0 && s.event == ZYGOTE_EXITED)
		end = explain(s.wait_status, !ended, ret_why, size);
	fd_close(&pidfd);
	fd_close(&t->channel);
	fd_close(&t->status);
	fd_close(&t->pidfd);
	zygote_leave(t->zygote);
	return end;
}
