/* Landlock without a rule: nothing of the file system, no TCP, no abstract sockets, no signals to outside. Private to
 * os/sandbox.c; by raw calls, since Debian 12's libc and headers know only its first version. */
#pragma once

#include "base/err.h"

/* The kernel's version of the interface; 0 where it has none or it is switched off. */
int landlock_abi(void);
/* Irreversible; needs no_new_privs. With abi 0 it does nothing. */
int landlock_deny_all(int abi, struct err *e) MR_MUST_USE;
