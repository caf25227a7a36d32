/* os/sandbox: what a task can't do any more, and what it still can. Each case runs in a forked child that has entered the real
 * sandbox of this build; what it found comes back as an exit code. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/cm.h"
#include "os/fd.h"
#include "os/landlock.h"
#include "os/sandbox.h"
#include "os/sandbox_build.h"
#include "os/thread.h"

static struct sandbox *sandbox;
static int channel[2];
static pid_t parent_pid;

static int setup(void **state)
{
	(void)state;
	struct err e;
	if (sandbox_prepare(&sandbox, &e) < 0) {
		fprintf(stderr, "%s\n", e.message);
		return -1;
	}
	parent_pid = getpid();
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel);
}

static int teardown(void **state)
{
	(void)state;
	sandbox_free(sandbox);
	sandbox_free(NULL);
	fd_close(&channel[0]);
	fd_close(&channel[1]);
	return 0;
}

/* Runs `fn` in the sandbox; returns the wait status. */
static int confined(int (*fn)(void), const struct sandbox_limits *limits)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e;
		if (sandbox_enter(sandbox, limits, channel[1], &e) < 0) {
			fprintf(stderr, "%s\n", e.message);
			_exit(99);
		}
		_exit(fn());
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static const struct sandbox_limits usual = { .memory_bytes = 256u << 20, .cpu_seconds = 20 };

static void expect_exit(int (*fn)(void), const struct sandbox_limits *limits, int code)
{
	int status = confined(fn, limits);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("wait status 0x%x instead of exit code %d", (unsigned)status, code);
}

static bool refused(long r)
{
	return r < 0 && errno == EPERM;
}

#define EXPECT(cond)                     \
	do {                             \
		if (!(cond))             \
			return __LINE__ % 90 + 2; \
	} while (0)

static int try_files(void)
{
	EXPECT(refused(open("/etc/passwd", O_RDONLY)));
	EXPECT(refused(open("/tmp", O_TMPFILE | O_RDWR, 0600)));
	EXPECT(refused(syscall(SYS_openat, AT_FDCWD, ".", O_RDONLY)));
	EXPECT(refused(syscall(SYS_openat2, AT_FDCWD, ".", NULL, 0)));
	EXPECT(refused(unlink("/tmp/nothing")));
	EXPECT(refused(access("/etc/passwd", R_OK)));
	EXPECT(refused(syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", NULL, 0)));
	EXPECT(refused(syscall(SYS_memfd_create, "x", 0)));
	return 1;
}

static int try_network(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	EXPECT(refused(socket(AF_INET, SOCK_STREAM, 0)));
	EXPECT(refused(socket(AF_UNIX, SOCK_STREAM, 0)));
	EXPECT(refused(connect(channel[1], (const struct sockaddr *)&to, sizeof(to))));
	EXPECT(refused(bind(channel[1], (const struct sockaddr *)&to, sizeof(to))));
	int pair[2];
	EXPECT(refused(socketpair(AF_UNIX, SOCK_STREAM, 0, pair)));
#if !MR_SANITIZED
	EXPECT(refused(sendto(channel[1], "x", 1, MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof(to))));
#endif
	return 1;
}

static int try_processes(void)
{
	char *const args[] = { NULL };
	EXPECT(refused(execve("/bin/true", args, args)));
	EXPECT(refused(fork()));
	EXPECT(refused(syscall(SYS_vfork)));
	EXPECT(refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
	EXPECT(refused(ptrace(PTRACE_ATTACH, parent_pid, NULL, NULL)));
	EXPECT(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
	EXPECT(refused(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL)));
	EXPECT(refused(syscall(SYS_tgkill, parent_pid, parent_pid, 0)));
#if !MR_SANITIZED
	EXPECT(refused(kill(parent_pid, 0)));
	EXPECT(refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)));
#endif
	int niceness = getpriority(PRIO_PROCESS, 0);
	thread_step_behind(5);
	if (niceness >= 0)
		EXPECT(getpriority(PRIO_PROCESS, 0) > niceness || niceness == 19);
	EXPECT(refused(setpriority(PRIO_PROCESS, 0, -1)));
	EXPECT(refused(setpriority(PRIO_PROCESS, (id_t)parent_pid, 19)));
	EXPECT(refused(setpriority(PRIO_USER, 0, 19)));
	EXPECT(refused(getpriority(PRIO_PROCESS, (id_t)parent_pid)));
	struct rlimit more = { RLIM_INFINITY, RLIM_INFINITY };
	EXPECT(setrlimit(RLIMIT_NOFILE, &more) < 0 && errno == EPERM);
	return 1;
}

static int try_executable_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(p == MAP_FAILED && errno == EPERM);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(p != MAP_FAILED);
	EXPECT(refused(mprotect(p, 4096, PROT_READ | PROT_EXEC)));
	return 1;
}

static int try_memory(void)
{
	/* volatile, or a compiler may reason that an unused allocation always works */
	void *volatile some = malloc(64u << 20);
	EXPECT(some);
	memset(some, 1, 64u << 20);
	void *volatile more = malloc(512u << 20);
	EXPECT(!more);
	free(some);
	return 1;
}

static int try_descriptors(void)
{
	/* all but stderr and the channel are closed, and there is room for none */
	char byte;
	for (int fd = 0; fd < 64; fd++)
		if (fd != STDERR_FILENO && fd != channel[1])
			EXPECT(read(fd, &byte, 1) < 0 && errno == EBADF);
	EXPECT(write(channel[1], "", 0) == 0);
	return 1;
}

static void *add_one(void *arg)
{
	(void)pthread_setname_np(pthread_self(), "named");
	++*(int *)arg;
	return NULL;
}

static int use_what_remains(void)
{
	int counts[4] = { 0 };
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		EXPECT(pthread_create(&t[i], NULL, add_one, &counts[i]) == 0);
	for (int i = 0; i < 4; i++)
		EXPECT(pthread_join(t[i], NULL) == 0 && counts[i] == 1);
	struct err e;
	EXPECT(fd_write_full(channel[1], "ping", 4, &e) == 0);
	char *grown = malloc(1000);
	EXPECT(grown);
	grown = realloc(grown, 20u << 20);
	EXPECT(grown);
	free(grown);
	return 1;
}

static int call_mount(void)
{
	(void)mount("x", "/", "tmpfs", 0, NULL);
	return 1;
}

static int call_reboot(void)
{
	(void)syscall(SYS_reboot, 0, 0, 0, NULL);
	return 1;
}

static int call_abort(void)
{
	abort();
}

static int burn(void)
{
	volatile unsigned long i = 0;
	while (i != 1)
		i += 2;
	return 1;
}

static void files_are_out_of_reach(void **state)
{
	(void)state;
	if (MR_COVERAGE)
		skip();
	expect_exit(try_files, &usual, 1);
}

static void so_is_the_network(void **state)
{
	(void)state;
	expect_exit(try_network, &usual, 1);
}

static void so_are_processes(void **state)
{
	(void)state;
	expect_exit(try_processes, &usual, 1);
}

static void descriptors_are_closed(void **state)
{
	(void)state;
	expect_exit(try_descriptors, &usual, 1);
}

static void memory_is_limited_and_never_executable(void **state)
{
	(void)state;
	if (MR_SANITIZED)
		skip();
	expect_exit(try_executable_memory, &usual, 1);
	expect_exit(try_memory, &usual, 1);
}

static void work_goes_on(void **state)
{
	(void)state;
	expect_exit(use_what_remains, &usual, 1);
	char got[4];
	struct err e;
	assert_int_equal(fd_read_full(channel[0], got, 4, &e), 0);
	assert_memory_equal(got, "ping", 4);
}

static void expect_signal(int (*fn)(void), const struct sandbox_limits *limits, int sig)
{
	int status = confined(fn, limits);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != sig)
		fail_msg("wait status 0x%x instead of signal %d", (unsigned)status, sig);
	assert_false(WCOREDUMP(status));
}

static void anything_else_kills(void **state)
{
	(void)state;
	expect_signal(call_mount, &usual, SIGSYS);
	expect_signal(call_reboot, &usual, SIGSYS);
	expect_signal(call_abort, &usual, SIGABRT);
}

static void time_is_limited(void **state)
{
	(void)state;
	const struct sandbox_limits one_second = { .cpu_seconds = 1 };
	int status = confined(burn, &one_second);
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL);
}

/* The second wall by itself, as if the filter had a hole. */
static void landlock_alone_denies(void **state)
{
	(void)state;
	const int abi = landlock_abi();
	if (abi == 0)
		skip();
	for (int as = 1; as <= (abi < 6 ? abi : 6); as++) { /* older kernels' shapes of the rule set, too */
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			bool ok = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && landlock_deny_all(as, NULL) == 0 &&
				  open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES;
			ok = ok && (as < 6 || (kill(parent_pid, 0) < 0 && errno == EPERM));
			_exit(ok ? 1 : 2);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	}
}

static void the_channel_must_be_a_channel(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(sandbox_enter(sandbox, &usual, 2, &e), -ERR_INTERNAL);
	assert_non_null(strstr(sandbox_describe(), "seccomp"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_out_of_reach),
		cmocka_unit_test(so_is_the_network),
		cmocka_unit_test(so_are_processes),
		cmocka_unit_test(descriptors_are_closed),
		cmocka_unit_test(memory_is_limited_and_never_executable),
		cmocka_unit_test(work_goes_on),
		cmocka_unit_test(anything_else_kills),
		cmocka_unit_test(time_is_limited),
		cmocka_unit_test(landlock_alone_denies),
		cmocka_unit_test(the_channel_must_be_a_channel),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
