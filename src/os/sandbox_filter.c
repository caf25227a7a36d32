/* The seccomp filter of a task. Compiled by libseccomp once, in the zygote; loaded in every child by the raw call, because
 * libseccomp's own load would compile it again for each.
 *
 * Guarantees: what isn't named here kills the process. What a library tries as a matter of course and can do without (a
 * configuration file, the number of CPUs in /sys) answers EPERM, so that it goes on. No memory becomes executable, no process
 * is made, no signal leaves the process. Does not guarantee: anything about CPU time and memory (rlimits do, see sandbox.c).
 */
#include "os/sandbox_filter.h"

#include <errno.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/sandbox_build.h"

/* What pthread_create asks of clone (glibc, nptl/pthread_create.c); fork asks for something else. */
#define THREAD_FLAGS                                                                                              \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SETTLS |            \
	 CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static const int allowed[] = {
	/* the channel and stderr */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(fstat),
	/* memory (mmap and mprotect: below) */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	/* threads */
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(gettid), SCMP_SYS(getpid),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu), SCMP_SYS(membarrier), SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* signals to itself (tgkill to others: own_signals_only) */
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(tgkill),
	SCMP_SYS(restart_syscall),
	/* clocks, sizes of the machine (qsort asks how much memory there is), random numbers */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getrandom), SCMP_SYS(getrusage),
	SCMP_SYS(getrlimit), SCMP_SYS(times),
#if MR_SANITIZED
	/* the runtimes' own reports and checks of memory */
	SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(prctl), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(arch_prctl), SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(mmap), SCMP_SYS(mprotect),
	SCMP_SYS(prlimit64), SCMP_SYS(sendto), SCMP_SYS(wait4),
#endif
#if MR_SANITIZED || MR_COVERAGE
	SCMP_SYS(lseek),
#endif
#if MR_COVERAGE
	/* the counters' files are opened, locked, read and written */
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(fcntl),
#endif
};

static const int refused[] = {
	SCMP_SYS(openat2), SCMP_SYS(open_by_handle_at), SCMP_SYS(creat), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(getcwd), SCMP_SYS(getdents64), SCMP_SYS(ioctl),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rename), SCMP_SYS(renameat2),
	SCMP_SYS(memfd_create), SCMP_SYS(eventfd2), SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect),
	SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal), SCMP_SYS(setrlimit),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setscheduler),
	SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_getparam), SCMP_SYS(sched_setattr), SCMP_SYS(get_mempolicy),
	SCMP_SYS(set_mempolicy), SCMP_SYS(mbind), SCMP_SYS(mlock), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid),
#if !MR_COVERAGE
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(fcntl),
#endif
#if !MR_SANITIZED && !MR_COVERAGE
	SCMP_SYS(lseek),
#endif
#if !MR_SANITIZED
	SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(dup), SCMP_SYS(dup2),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat),
#endif
};

static int add_list(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t count)
{
	int r = 0;
	for (size_t i = 0; i < count && r == 0; i++)
		r = seccomp_rule_add(ctx, action, calls[i], 0);
	return r;
}

/* Allowed where the comparison holds, EPERM where its opposite does. */
static int allow_if(scmp_filter_ctx ctx, int call, struct scmp_arg_cmp yes, struct scmp_arg_cmp no)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 1, yes);
	return r < 0 ? r : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), call, 1, no);
}

/* A thread may step behind others (os/thread.h): read its own niceness, and set it to what isn't before the usual. */
static int add_priority(scmp_filter_ctx ctx)
{
	static const int calls[] = { SCMP_SYS(getpriority), SCMP_SYS(setpriority) };
	int r = 0;
	for (size_t i = 0; i < MR_ARRAY_SIZE(calls) && r == 0; i++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 1, SCMP_A0(SCMP_CMP_NE, PRIO_PROCESS));
		if (r == 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 1, SCMP_A1(SCMP_CMP_NE, 0));
	}
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[0], 2, SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS), SCMP_A1(SCMP_CMP_EQ, 0));
	if (r == 0) /* negative ones are large as the filter sees them */
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[1], 1, SCMP_A2(SCMP_CMP_GT, 19));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[1], 3, SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS),
				     SCMP_A1(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_LE, 19));
	return r;
}

#if MR_SANITIZED
static int add_conditional(scmp_filter_ctx ctx)
{
	return allow_if(ctx, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD),
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
}
#else
static int add_conditional(scmp_filter_ctx ctx)
{
	int r = allow_if(ctx, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_EQ, THREAD_FLAGS), SCMP_A0(SCMP_CMP_NE, THREAD_FLAGS));
	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
			     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
			     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	if (r == 0) /* threads name themselves */
		r = allow_if(ctx, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME), SCMP_A0(SCMP_CMP_NE, PR_SET_NAME));
	if (r == 0) /* reading limits, not setting them */
		r = allow_if(ctx, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_NE, 0));
	if (r == 0) /* without an address: only where the socket is connected to */
		r = allow_if(ctx, SCMP_SYS(sendto), SCMP_A4(SCMP_CMP_EQ, 0), SCMP_A4(SCMP_CMP_NE, 0));
	return r;
}
#endif

static int add_rules(scmp_filter_ctx ctx)
{
	int r = add_list(ctx, SCMP_ACT_ALLOW, allowed, MR_ARRAY_SIZE(allowed));
	if (r == 0)
		r = add_list(ctx, SCMP_ACT_ERRNO(EPERM), refused, MR_ARRAY_SIZE(refused));
	if (r == 0) /* its flags are behind a pointer that a filter can't follow; ENOSYS makes glibc take clone */
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0)
		r = add_priority(ctx);
	return r == 0 ? add_conditional(ctx) : r;
}

/* libseccomp 2.5 exports to a descriptor only. */
static int export_code(scmp_filter_ctx ctx, struct sock_filter **ret_code, size_t *ret_count, struct err *e)
{
	_cleanup_fd_ int fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "memfd");
	int r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return err_errno(e, -r, "compile the system call filter");
	off_t size = lseek(fd, 0, SEEK_END);
	if (size <= 0 || (size_t)size % sizeof(struct sock_filter) || lseek(fd, 0, SEEK_SET) != 0)
		return err_set(e, ERR_INTERNAL, "a compiled filter of %lld bytes", (long long)size);
	_cleanup_free_ struct sock_filter *code = mr_calloc(1, (size_t)size);
	r = fd_read_full(fd, code, (size_t)size, e);
	if (r < 0)
		return r;
	*ret_code = mr_steal(code);
	*ret_count = (size_t)size / sizeof(struct sock_filter);
	return 0;
}

int sandbox_filter_compile(struct sock_filter **ret_code, size_t *ret_count, struct err *e)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		return err_set_code(e, ERR_UNAVAILABLE, "SANDBOX_UNAVAILABLE",
				    "this kernel has no seccomp filters that kill a process (Linux 4.14, CONFIG_SECCOMP_FILTER)");
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return err_set(e, ERR_INTERNAL, "libseccomp does not start");
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree instead of a long chain */
	if (r == 0)
		r = add_rules(ctx);
	if (r < 0)
		r = err_errno(e, -r, "list of system calls");
	else
		r = export_code(ctx, ret_code, ret_count, e);
	seccomp_release(ctx);
	return r;
}

static int load(const struct sock_filter *code, size_t count, struct err *e)
{
	/* the kernel copies it; sock_fprog just has no const */
	struct sock_fprog program = { (unsigned short)count, (struct sock_filter *)(uintptr_t)code };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return err_errno(e, errno, "seccomp");
	return 0;
}

/* abort() signals its own thread; the same call must not reach the server, which runs as the same user. The process id is
 * known only after the fork, hence a filter of its own below the compiled one. */
static int own_signals_only(struct err *e)
{
	const uint32_t low_word = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args[0]) + low_word),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	return load(code, MR_ARRAY_SIZE(code), e);
}

int sandbox_filter_load(const struct sock_filter *code, size_t count, struct err *e)
{
	int r = own_signals_only(e);
	return r < 0 ? r : load(code, count, e);
}
