/* The sandbox of a task: no files, no network, no new processes, no new privileges, bounded memory and time.
 *
 * Two functions, so that there is no way to hold it half. sandbox_prepare compiles the filter once in the zygote;
 * sandbox_enter, in the forked child, applies everything and fails unless all of it holds: a task must not touch media
 * when it fails.
 *
 * What holds afterwards: seccomp allow-list (kills the process by default; open*, connect, socket, exec*, ptrace answer
 * EPERM, clone3 answers ENOSYS, clone only with thread flags, setpriority only
 * for oneself and not below 0), Landlock with no rule (nothing of the file system, where
 * the kernel has it), no_new_privs, not dumpable, rlimits (address space or data, CPU, open files, no core, no file
 * size). Builds with a sanitizer or for coverage use a wider one (os/sandbox_build.h); the tests of all others
 * prove the real one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct sandbox_limits {
	uint64_t memory_bytes; /* RLIMIT_DATA and RLIMIT_AS; 0: none (sanitizers) */
	uint32_t cpu_seconds;  /* RLIMIT_CPU; 0: none */
};

struct sandbox;
int sandbox_prepare(struct sandbox **ret, struct err *e) MR_MUST_USE;
/* Irreversible. `keep_fd` is the task's channel; stderr stays open; every other descriptor is closed. */
int sandbox_enter(const struct sandbox *s, const struct sandbox_limits *limits, int keep_fd, struct err *e) MR_MUST_USE;
void sandbox_free(struct sandbox *s);
/* What this kernel offers, for logs and the doctor: "seccomp landlock-abi-7"; static storage. */
const char *sandbox_describe(void);
