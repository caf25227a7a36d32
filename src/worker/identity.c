/* Worker ids from the kernel's own records. */
#include "worker/identity.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/digest.h"
#include "os/fd.h"

#define HOST_SIZE 17
#define BOOT_SIZE 12
#define BOOT_UNKNOWN "unknown"

/* The machine's name together with the name space that its process ids are of: containers may share either. */
static void host_id(char out[HOST_SIZE])
{
	char name[512] = "", pids[64] = "", hex[SHA256_HEX_SIZE];
	(void)gethostname(name, sizeof(name) / 2);
	ssize_t n = readlink("/proc/self/ns/pid", pids, sizeof(pids) - 1);
	size_t used = strnlen(name, sizeof(name) / 2);
	(void)snprintf(name + used, sizeof(name) - used, "\n%.*s", n > 0 ? (int)n : 0, pids);
	sha256_hex(name, strlen(name), hex);
	(void)snprintf(out, HOST_SIZE, "%.16s", hex);
}

static void boot_id(char out[BOOT_SIZE])
{
	char *text = NULL;
	size_t len;
	(void)snprintf(out, BOOT_SIZE, BOOT_UNKNOWN);
	if (file_read_all("/proc/sys/kernel/random/boot_id", 128, &text, &len, NULL) == 0 && len >= 8)
		(void)snprintf(out, BOOT_SIZE, "%.8s", text);
	free(text);
}

/* Field 22 of /proc/PID/stat, in clock ticks since boot (proc(5)). -ERR_NOT_FOUND: there is no such process, or a dead one that
 * its parent has not reaped; other errors (no descriptor is free) say nothing about it. */
static int start_time(long pid, unsigned long long *ret)
{
	char path[64];
	char *text = NULL;
	size_t len;
	struct err e = { 0 };
	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	int r = file_read_all(path, 4096, &text, &len, &e);
	if (r < 0)
		return kill((pid_t)pid, 0) < 0 && errno == ESRCH ? -ERR_NOT_FOUND : r;
	/* The second field is the name in parentheses, which may itself hold spaces and parentheses. */
	char *p = strrchr(text, ')');
	bool dead = p && p[1] == ' ' && (p[2] == 'Z' || p[2] == 'X');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	*ret = p ? strtoull(p + 1, NULL, 10) : 0;
	free(text);
	return dead ? -ERR_NOT_FOUND : 0;
}

void worker_identity(char out[WORKER_ID_SIZE])
{
	char host[HOST_SIZE], boot[BOOT_SIZE];
	unsigned long long started = 0;
	host_id(host);
	boot_id(boot);
	if (start_time((long)getpid(), &started) < 0)
		(void)snprintf(boot, BOOT_SIZE, BOOT_UNKNOWN); /* nobody can be certain about us: the lease decides */
	(void)snprintf(out, WORKER_ID_SIZE, "%s:%s:%ld:%llu", host, boot, (long)getpid(), started);
}

bool worker_identity_gone(const char *id)
{
	char host[HOST_SIZE], boot[BOOT_SIZE], their_host[HOST_SIZE], their_boot[BOOT_SIZE];
	long pid;
	unsigned long long started, now;
	host_id(host);
	boot_id(boot);
	if (sscanf(id, "%16[^:]:%11[^:]:%9ld:%19llu", their_host, their_boot, &pid, &started) != 4)
		return false;
	if (strcmp(host, their_host) != 0 || strcmp(boot, BOOT_UNKNOWN) == 0 || strcmp(their_boot, BOOT_UNKNOWN) == 0)
		return false;
	if (strcmp(boot, their_boot) != 0)
		return false; /* an earlier boot of this machine, or another machine of that name: the lease decides */
	int r = start_time(pid, &now);
	return r == -ERR_NOT_FOUND || (r == 0 && now != started);
}
