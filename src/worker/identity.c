/* Worker ids from the kernel's own records. */
#include "worker/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/fd.h"

#define HOST_SIZE 40
#define BOOT_SIZE 12

static void host_name(char out[HOST_SIZE])
{
	char name[256] = "";
	(void)gethostname(name, sizeof(name) - 1);
	(void)snprintf(out, HOST_SIZE, "%s", name[0] ? name : "host");
	for (char *p = out; *p; p++)
		if (*p == ':')
			*p = '_';
}

static void boot_id(char out[BOOT_SIZE])
{
	char *text = NULL;
	size_t len;
	(void)snprintf(out, BOOT_SIZE, "unknown");
	if (file_read_all("/proc/sys/kernel/random/boot_id", 128, &text, &len, NULL) == 0 && len >= 8)
		(void)snprintf(out, BOOT_SIZE, "%.8s", text);
	free(text);
}

/* Field 22 of /proc/PID/stat, in clock ticks since boot (proc(5)); 0 if there is no such process. */
static unsigned long long start_time(long pid)
{
	char path[64];
	char *text = NULL;
	size_t len;
	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (file_read_all(path, 4096, &text, &len, NULL) < 0)
		return 0;
	/* The second field is the name in parentheses, which may itself hold spaces and parentheses. */
	char *p = strrchr(text, ')');
	unsigned long long ticks = 0;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		ticks = strtoull(p + 1, NULL, 10);
	free(text);
	return ticks;
}

void worker_identity(char out[WORKER_ID_SIZE])
{
	char host[HOST_SIZE], boot[BOOT_SIZE];
	host_name(host);
	boot_id(boot);
	(void)snprintf(out, WORKER_ID_SIZE, "%s:%s:%ld:%llu", host, boot, (long)getpid(), start_time((long)getpid()));
}

bool worker_identity_gone(const char *id)
{
	char host[HOST_SIZE], boot[BOOT_SIZE], their_host[HOST_SIZE], their_boot[BOOT_SIZE];
	long pid;
	unsigned long long started;
	host_name(host);
	boot_id(boot);
	if (sscanf(id, "%39[^:]:%11[^:]:%ld:%llu", their_host, their_boot, &pid, &started) != 4)
		return false;
	if (strcmp(host, their_host) != 0)
		return false;
	if (strcmp(boot, their_boot) != 0)
		return true; /* the machine was started again since */
	return start_time(pid) != started;
}
