/* Landlock by raw calls (Documentation/userspace-api/landlock.rst). Runs in a task, beside seccomp: should the filter have a
 * hole, files and the network stay out of reach. */
#include "os/landlock.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fd.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#define CREATE_RULESET_VERSION 1u

/* As of ABI 6; older kernels are given the part that they know. */
struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* since ABI 4 */
	uint64_t scoped;	     /* since ABI 6 */
};

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	return abi > 0 ? (int)abi : 0;
}

/* File system rights by version: 13 at first, then refer, truncate and (in 5) device ioctls. */
static uint64_t fs_rights(int abi)
{
	int bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
	return (1ull << bits) - 1;
}

int landlock_deny_all(int abi, struct err *e)
{
	if (abi <= 0)
		return 0;
	const struct ruleset rules = {
		.handled_access_fs = fs_rights(abi),
		.handled_access_net = 3, /* bind and connect of TCP */
		.scoped = 3,		 /* abstract Unix sockets, signals */
	};
	size_t size = abi >= 6 ? sizeof(rules) : abi >= 4 ? offsetof(struct ruleset, scoped) :
							      offsetof(struct ruleset, handled_access_net);
	_cleanup_fd_ int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	if (fd < 0)
		return err_errno(e, errno, "landlock: make the rule set");
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return err_errno(e, errno, "landlock: restrict");
	return 0;
}
