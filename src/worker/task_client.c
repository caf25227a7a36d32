/* The trusted side of tasks: the zygote's life, and the start of a task. What happens while one runs is task_run.c's.
 * Runs in the server and in the worker, in any of their threads.
 *
 * Guarantees: at most one zygote at a time, started anew by the call that finds it dead; no descriptor but the control socket
 * and stderr reaches it, and no environment. Its life does not hang on the thread that started it: it ends when the control
 * socket closes, which the kernel does for a killed server, too.
 */
#include "worker/task_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/fd.h"
#include "proto/channel.h"
#include "worker/task_metrics.h"
#include "worker/task_spawn.h"

/* Relocating libav's libraries and running codecs once takes a fraction of a second; a loaded machine may need longer. */
#define READY_TIMEOUT_MS 60000

struct zygote {
	char *path;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	/* protected by lock */
	pid_t pid;  /* 0: none */
	bool ready; /* it has said so */
	int control;
	unsigned users; /* calls of task_run */
	bool stopping;
	char sandbox[64];
};

/* Descriptors below 4 are about to be given away in the child, in an order that must not matter. */
static int above_stdio(int *fd, struct err *e)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, ZYGOTE_CONTROL_FD + 1);
	if (high < 0)
		return err_errno(e, errno, "duplicate the control socket");
	fd_close(fd);
	*fd = high;
	return 0;
}

/* posix_spawn instead of fork: other threads may hold locks, and a large server is not copied. An own session keeps the
 * terminal's Ctrl-C from killing tasks that the server wants to finish. */
static int spawn_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	int r = posix_spawnattr_setsigmask(attr, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	return r;
}

static int spawn_files(posix_spawn_file_actions_t *files, int control)
{
	int r = posix_spawn_file_actions_adddup2(files, control, ZYGOTE_CONTROL_FD);
	if (r == 0) /* so that what it receives never gets the numbers of the standard streams */
		r = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(files, STDIN_FILENO, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(files, ZYGOTE_CONTROL_FD + 1);
	return r;
}

static int execute(const char *path, int control, pid_t *ret_pid, struct err *e)
{
	char name[] = "millrace-task";
	char *const argv[] = { name, NULL };
	char *const environment[] = { NULL };
	posix_spawnattr_t attr;
	posix_spawn_file_actions_t files;
	int r = posix_spawnattr_init(&attr);
	if (r != 0)
		return err_errno(e, r, "start %s", path);
	r = posix_spawn_file_actions_init(&files);
	if (r == 0) {
		r = spawn_attributes(&attr);
		if (r == 0)
			r = spawn_files(&files, control);
		if (r == 0)
			r = posix_spawn(ret_pid, path, &files, &attr, argv, environment);
		(void)posix_spawn_file_actions_destroy(&files);
	}
	(void)posix_spawnattr_destroy(&attr);
	return r == 0 ? 0 : err_errno(e, r, "start %s", path);
}

static void kill_and_reap(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* The first packet says that it is warm; one that closes instead has said why on stderr. */
static int await_ready(int control, char *text, size_t size, struct err *e)
{
	struct pollfd p = { .fd = control, .events = POLLIN };
	int n;
	do
		n = poll(&p, 1, READY_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return err_set(e, ERR_UNAVAILABLE, "not ready after %d s", READY_TIMEOUT_MS / 1000);
	size_t len;
	int fds[2];
	int r = packet_recv(control, text, size - 1, &len, fds, e);
	if (r < 0)
		return r;
	text[len] = '\0';
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	return 0;
}

static void drop_locked(struct zygote *z)
{
	fd_close(&z->control);
	if (z->pid)
		kill_and_reap(z->pid);
	z->pid = 0;
}

static int launch_locked(struct zygote *z, struct err *e)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, errno, "control socket of the tasks' zygote");
	_cleanup_fd_ int ours = pair[0];
	_cleanup_fd_ int theirs = pair[1];
	pid_t pid;
	int r = above_stdio(&theirs, e);
	if (r == 0)
		r = execute(z->path, theirs, &pid, e);
	if (r < 0)
		return r;
	z->pid = pid;
	z->ready = false;
	z->control = fd_steal(ours);
	return 0;
}

static int ready_locked(struct zygote *z, struct err *e)
{
	if (z->ready)
		return 0;
	int r = await_ready(z->control, z->sandbox, sizeof(z->sandbox), e);
	if (r < 0)
		drop_locked(z);
	if (r == -ERR_UNAVAILABLE) { /* it would have gone on for ever */
		(void)err_wrap(e, "start %s", z->path);
		return r;
	}
	if (r < 0)
		return err_set(e, ERR_UNAVAILABLE,
			       "%s did not start: it is not a task executable of this build, or says why on stderr", z->path);
	z->ready = true;
	task_count_zygote();
	return 0;
}

static int ensure_running_locked(struct zygote *z, struct err *e)
{
	if (z->stopping)
		return err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "tasks are being stopped");
	/* One that ended before it was ready is asked why, not started again. */
	if (z->pid && z->ready && waitpid(z->pid, NULL, WNOHANG) != 0) {
		z->pid = 0; /* reaped */
		drop_locked(z);
	}
	int r = z->pid ? 0 : launch_locked(z, e);
	return r < 0 ? r : ready_locked(z, e);
}

int zygote_launch(const char *path, struct zygote **ret, struct err *e)
{
	struct zygote *z = mr_calloc(1, sizeof(*z));
	z->path = mr_strdup(path);
	z->control = -1;
	(void)pthread_mutex_init(&z->lock, NULL);
	(void)pthread_cond_init(&z->idle, NULL);
	int r = launch_locked(z, e); /* nobody else knows it yet */
	if (r < 0) {
		zygote_stop(z);
		return r;
	}
	*ret = z;
	return 0;
}

int zygote_start(const char *path, struct zygote **ret, struct err *e)
{
	struct zygote *z;
	int r = zygote_launch(path, &z, e);
	if (r < 0)
		return r;
	r = zygote_check(z, e);
	if (r < 0) {
		zygote_stop(z);
		return r;
	}
	*ret = z;
	return 0;
}

void zygote_stop(struct zygote *z)
{
	if (!z)
		return;
	(void)pthread_mutex_lock(&z->lock);
	z->stopping = true;
	drop_locked(z); /* its children die with it, and the calls that wait for them return */
	while (z->users)
		(void)pthread_cond_wait(&z->idle, &z->lock);
	(void)pthread_mutex_unlock(&z->lock);
	(void)pthread_cond_destroy(&z->idle);
	(void)pthread_mutex_destroy(&z->lock);
	free(z->path);
	free(z);
}

int zygote_check(struct zygote *z, struct err *e)
{
	(void)pthread_mutex_lock(&z->lock);
	int r = ensure_running_locked(z, e);
	(void)pthread_mutex_unlock(&z->lock);
	return r;
}

pid_t zygote_pid(struct zygote *z)
{
	(void)pthread_mutex_lock(&z->lock);
	pid_t pid = z->pid;
	(void)pthread_mutex_unlock(&z->lock);
	return pid;
}

void zygote_sandbox(struct zygote *z, char *out, size_t size)
{
	(void)pthread_mutex_lock(&z->lock);
	(void)snprintf(out, size, "%s", z->sandbox);
	(void)pthread_mutex_unlock(&z->lock);
}

void zygote_enter(struct zygote *z)
{
	(void)pthread_mutex_lock(&z->lock);
	z->users++;
	(void)pthread_mutex_unlock(&z->lock);
}

void zygote_leave(struct zygote *z)
{
	(void)pthread_mutex_lock(&z->lock);
	if (--z->users == 0)
		(void)pthread_cond_broadcast(&z->idle);
	(void)pthread_mutex_unlock(&z->lock);
}

void zygote_condemn(struct zygote *z, pid_t pid)
{
	(void)pthread_mutex_lock(&z->lock);
	if (z->pid == pid)
		drop_locked(z);
	(void)pthread_mutex_unlock(&z->lock);
}

static int send_request_locked(struct zygote *z, const struct zygote_spawn *request, const int fds[2], struct err *e)
{
	int r = ensure_running_locked(z, e);
	if (r == 0)
		r = packet_send(z->control, request, sizeof(*request), fds, 2, e);
	if (r == -ERR_LOST)
		drop_locked(z);
	return r;
}

int zygote_spawn_task(struct zygote *z, const struct zygote_spawn *request, struct spawned *ret, struct err *e)
{
	int channel[2], status[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) < 0)
		return err_errno(e, errno, "channel of a task");
	_cleanup_fd_ int our_channel = channel[0];
	_cleanup_fd_ int their_channel = channel[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status) < 0)
		return err_errno(e, errno, "status socket of a task");
	_cleanup_fd_ int our_status = status[0];
	_cleanup_fd_ int their_status = status[1];

	const int fds[] = { their_channel, their_status };
	(void)pthread_mutex_lock(&z->lock);
	int r = send_request_locked(z, request, fds, e);
	if (r == -ERR_LOST) /* it died unnoticed, and nothing has begun: once more with a new one */
		r = send_request_locked(z, request, fds, e);
	if (r == -ERR_LOST)
		r = err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "the tasks' zygote is gone");
	pid_t pid = z->pid;
	(void)pthread_mutex_unlock(&z->lock);
	if (r < 0)
		return r;
	*ret = (struct spawned){ .zygote_pid = pid, .channel = fd_steal(our_channel), .status = fd_steal(our_status) };
	return 0;
}
