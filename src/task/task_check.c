/* The doctor's task: is what the sandbox forbids refused, and do the codecs work in it? Runs in a sandboxed child of
 * millrace-task, as every task does, so that what it finds holds for them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/sandbox_build.h"
#include "task/task.h"

#define IS_WIDER (MR_SANITIZED + MR_COVERAGE > 0) /* this build's sandbox, for its tests */

static int report(void *ctx, const char *name, const char *problem, struct err *e)
{
	const struct media_io *io = ctx;
	char text[CHECK_FINDING_MAX_BYTES];
	int n = snprintf(text, sizeof(text), "%s\n%s", name, problem ? problem : "");
	size_t len = n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1;
	const struct task_object o = { .kind = TASK_OBJECT_FINDING, .size_bytes = len };
	return io->object(io->ctx, &o, text, e);
}

static int try_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int try_exec(void)
{
	char *const words[] = { (char[]) { "true" }, NULL };
	return execv("/bin/true", words);
}

static int try_ptrace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

/* Each would be a way out. Those that the sandbox kills for can't be tried. */
static int check_sandbox(const struct media_io *io, struct err *e)
{
	static const struct {
		const char *name;
		int (*attempt)(void);
	} all[] = { { "open a file", try_open },
		    { "make a socket", try_socket },
		    { "execute a program", try_exec },
		    { "trace a process", try_ptrace } };
	int r = 0;
	for (size_t i = 0; r == 0 && i < sizeof(all) / sizeof(all[0]) && !IS_WIDER; i++) {
		errno = 0;
		int got = all[i].attempt();
		bool refused = got < 0 && (errno == EPERM || errno == EACCES);
		r = report((void *)(uintptr_t)io, all[i].name, refused ? NULL : "isn't refused", e);
		if (got >= 0)
			(void)close(got);
	}
	return r;
}

int task_check(const struct task_spec *spec, const struct media_io *io, struct err *e)
{
	char bytes[sizeof(CHECK_BYTES)] = "";
	uint32_t got = 0;
	int r = io->read(io->ctx, 0, 0, bytes, sizeof(CHECK_BYTES) - 1, &got, e);
	if (r == 0 && strcmp(bytes, CHECK_BYTES) != 0)
		r = err_set(e, ERR_PROTOCOL, "the input isn't what was promised");
	if (r < 0)
		return r;
	if (strcmp(spec->inputs[0].name, CHECK_SANDBOX) == 0)
		return check_sandbox(io, e);
	return media_check_codecs(report, (void *)(uintptr_t)io, e);
}
