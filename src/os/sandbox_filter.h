/* The system calls of a task, as a compiled seccomp filter. Private to os/sandbox*.c.
 *
 * The list is for decoding and encoding with threads on glibc and a connected socket; see sandbox_filter.c for why each group is
 * there. One thread.
 */
#pragma once

#include <linux/filter.h>
#include <stddef.h>

#include "base/err.h"

/* Compiles the list; the caller frees *ret_code. ERR_UNAVAILABLE/SANDBOX_UNAVAILABLE where the kernel lacks seccomp. */
int sandbox_filter_compile(struct sock_filter **ret_code, size_t *ret_count, struct err *e) MR_MUST_USE;
/* Irreversible, for this thread and those it makes: signals go to this process alone, then the compiled filter. Needs
 * no_new_privs. */
int sandbox_filter_load(const struct sock_filter *code, size_t count, struct err *e) MR_MUST_USE;
