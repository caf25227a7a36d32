/* The machine's figures, from /proc and the control group. Every process. */
#include "os/machine.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "os/fd.h"

#define FILE_MAX_BYTES (64u << 10)

/* The number behind `label` in a file of lines, or 0. */
static uint64_t labelled(const char *text, const char *label)
{
	const char *at = text ? strstr(text, label) : NULL;
	return at ? strtoull(at + strlen(label), NULL, 10) : 0;
}

static char *read_text(const char *path)
{
	char *text = NULL;
	size_t len;
	return file_read_all(path, FILE_MAX_BYTES, &text, &len, NULL) == 0 ? text : NULL;
}

static void read_cpu(struct machine *m)
{
	_cleanup_free_ char *text = read_text("/proc/stat");
	if (!text || strncmp(text, "cpu ", 4) != 0)
		return;
	/* user nice system idle iowait irq softirq steal (proc(5)) */
	uint64_t all = 0, idle = 0;
	char *at = text + 4;
	for (unsigned i = 0; i < 8; i++) {
		uint64_t ticks = strtoull(at, &at, 10);
		all += ticks;
		idle += i == 3 || i == 4 ? ticks : 0;
	}
	m->cpu_total = (int64_t)all;
	m->cpu_busy = (int64_t)(all - idle);
}

/* A control group's limit counts where it is less than the machine has (cgroup-v2, memory.max). What can be dropped at once, clean
 * pages of files, is available. */
static void read_group_memory(struct machine *m)
{
	_cleanup_free_ char *max_text = read_text("/sys/fs/cgroup/memory.max");
	_cleanup_free_ char *used_text = read_text("/sys/fs/cgroup/memory.current");
	_cleanup_free_ char *stat = read_text("/sys/fs/cgroup/memory.stat");
	uint64_t max = max_text ? strtoull(max_text, NULL, 10) : 0, used = used_text ? strtoull(used_text, NULL, 10) : 0;
	if (!max || !used || max >= m->memory_total)
		return;
	uint64_t files = labelled(stat, "\ninactive_file ");
	uint64_t held = used > files ? used - files : 0, left = max > held ? max - held : 0;
	m->memory_total = max;
	m->memory_available = left < m->memory_available ? left : m->memory_available;
}

static void read_memory(struct machine *m)
{
	_cleanup_free_ char *all = read_text("/proc/meminfo");
	_cleanup_free_ char *own = read_text("/proc/self/status");
	m->memory_total = labelled(all, "MemTotal:") << 10;
	m->memory_available = labelled(all, "MemAvailable:") << 10;
	m->own_memory = labelled(own, "VmRSS:") << 10;
	read_group_memory(m);
}

static int64_t cpu_ms_of(int who)
{
	struct rusage u;
	if (getrusage(who, &u) < 0)
		return 0;
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static void read_descriptors(struct machine *m)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		m->descriptors_max = limit.rlim_cur > UINT32_MAX ? UINT32_MAX : (unsigned)limit.rlim_cur;
	DIR *dir = opendir("/proc/self/fd");
	if (!dir) { /* none is left for this one */
		m->descriptors = m->descriptors_max;
		return;
	}
	while (readdir(dir))
		m->descriptors++;
	m->descriptors -= m->descriptors > 3 ? 3 : m->descriptors; /* ".", "..", and the folder's own */
	(void)closedir(dir);
}

void machine_read(struct machine *ret)
{
	struct machine m = { 0 };
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	m.cores = cores > 0 ? (unsigned)cores : 1;
	if (getloadavg(&m.load, 1) != 1)
		m.load = 0;
	read_cpu(&m);
	read_memory(&m);
	read_descriptors(&m);
	m.own_cpu_ms = cpu_ms_of(RUSAGE_SELF) + cpu_ms_of(RUSAGE_CHILDREN);
	*ret = m;
}

bool machine_disk(const char *path, struct machine_disk *ret)
{
	struct statvfs v;
	if (statvfs(path, &v) < 0 || !v.f_blocks)
		return false;
	ret->total = (uint64_t)v.f_blocks * v.f_frsize;
	ret->available = (uint64_t)v.f_bavail * v.f_frsize;
	return true;
}

void machine_name(char out[MACHINE_NAME_SIZE])
{
	if (gethostname(out, MACHINE_NAME_SIZE) < 0)
		(void)snprintf(out, MACHINE_NAME_SIZE, "unknown");
	out[MACHINE_NAME_SIZE - 1] = '\0';
}
