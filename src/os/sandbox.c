/* The sandbox of a task: descriptors, limits, privileges, Landlock, seccomp, in this order, each checked. sandbox_prepare runs
 * in the zygote, sandbox_enter in its forked, still single-threaded child before that has read a byte.
 *
 * Guarantees: after a success all of sandbox.h's promises hold; a failure may leave part of it in force, and the caller exits.
 * Does not guarantee secrecy of the inherited memory from the task itself: the zygote has none to hide.
 */
#include "os/sandbox.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/landlock.h"
#include "os/sandbox_build.h"
#include "os/sandbox_filter.h"

/* Address space that is reserved but not used: malloc's arenas and the guard pages of threads. */
#define ADDRESS_SLACK_BYTES (1ull << 30)

struct sandbox {
	struct sock_filter *code;
	size_t code_count;
	int landlock_abi;
};

const char *sandbox_describe(void)
{
	static char text[64];
	const char *build = MR_SANITIZED ? " sanitized" : MR_COVERAGE ? " coverage" : "";
	int abi = MR_COVERAGE ? 0 : landlock_abi();
	if (abi > 0)
		(void)snprintf(text, sizeof(text), "seccomp landlock-abi-%d%s", abi, build);
	else
		(void)snprintf(text, sizeof(text), "seccomp no-landlock%s", build);
	return text;
}

int sandbox_prepare(struct sandbox **ret, struct err *e)
{
	struct sandbox *s = mr_calloc(1, sizeof(*s));
	int r = sandbox_filter_compile(&s->code, &s->code_count, e);
	if (r < 0) {
		sandbox_free(s);
		return r;
	}
	s->landlock_abi = MR_COVERAGE ? 0 : landlock_abi();
	*ret = s;
	return 0;
}

void sandbox_free(struct sandbox *s)
{
	if (!s)
		return;
	free(s->code);
	free(s);
}

static int close_others(int keep_fd, struct err *e)
{
	struct {
		unsigned first, last;
	} gaps[] = { { 0, STDERR_FILENO - 1 }, { STDERR_FILENO + 1, (unsigned)keep_fd - 1 }, { (unsigned)keep_fd + 1, ~0u } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(gaps); i++)
		if (gaps[i].first <= gaps[i].last && syscall(SYS_close_range, gaps[i].first, gaps[i].last, 0) < 0)
			return err_errno(e, errno, "close the other descriptors");
	return 0;
}

static int limit(int resource, const char *name, uint64_t value, struct err *e)
{
	const struct rlimit l = { value, value };
	if (setrlimit((__rlimit_resource_t)resource, &l) < 0)
		return err_errno(e, errno, "limit %s", name);
	return 0;
}

#if MR_SANITIZED
/* A sanitizer's shadow takes terabytes of address space. */
static int limit_memory(uint64_t bytes, struct err *e)
{
	(void)bytes;
	(void)e;
	return 0;
}
#else
/* What the zygote's libraries take already is not the task's: the limit is what may come on top. */
static int limit_memory(uint64_t bytes, struct err *e)
{
	if (bytes == 0)
		return 0;
	char *text;
	int r = file_read_all("/proc/self/statm", 256, &text, NULL, e);
	if (r < 0)
		return r;
	unsigned long long total, data;
	int fields = sscanf(text, "%19llu %*u %*u %*u %*u %19llu", &total, &data);
	free(text);
	if (fields != 2)
		return err_set(e, ERR_INTERNAL, "/proc/self/statm: no sizes in it");
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	r = limit(RLIMIT_DATA, "data", data * page + bytes, e);
	return r < 0 ? r : limit(RLIMIT_AS, "address space", total * page + bytes + ADDRESS_SLACK_BYTES, e);
}
#endif

static int set_limits(const struct sandbox_limits *l, int keep_fd, struct err *e)
{
	int r = limit_memory(l->memory_bytes, e);
	if (r == 0 && l->cpu_seconds)
		r = limit(RLIMIT_CPU, "CPU time", l->cpu_seconds, e);
	if (r == 0)
		r = limit(RLIMIT_CORE, "core", 0, e);
	if (r == 0) /* the highest one that is open: no room for another */
		r = limit(RLIMIT_NOFILE, "open files", (uint64_t)keep_fd + 1, e);
	if (r == 0 && !MR_COVERAGE)
		r = limit(RLIMIT_FSIZE, "file size", 0, e);
	/* a message to a stderr that is a file is lost then, but must not kill the task */
	(void)signal(SIGXFSZ, SIG_IGN);
	return r;
}

int sandbox_enter(const struct sandbox *s, const struct sandbox_limits *limits, int keep_fd, struct err *e)
{
	if (keep_fd <= STDERR_FILENO)
		return err_set(e, ERR_INTERNAL, "the channel is descriptor %d", keep_fd);
	int r = close_others(keep_fd, e);
	if (r == 0)
		r = set_limits(limits, keep_fd, e);
	if (r < 0)
		return r;
	/* nobody of the same user may look into it; and what it executes, if it could, gains nothing */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(e, errno, "make undumpable");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, errno, "no new privileges");
	r = landlock_deny_all(s->landlock_abi, e);
	if (r < 0)
		return r;
	return sandbox_filter_load(s->code, s->code_count, e);
}
