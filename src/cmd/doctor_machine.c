/* What this machine gives a process: descriptors, disk, memory. See doctor.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/doctor.h"
#include "os/fd.h"

#define LIMIT_MS 10000
#define DESCRIPTORS_WANTED 4096 /* a thousand connections, as many speakers, objects on their way */
#define DISK_WANTED_MB 1024
#define DISK_LEAST_MB 64
#define SHARED_WANTED_MB 16
#define CHUNK_MB 400 /* a 1080p ladder's: docs/OPERATIONS.md, "Sizing" */
#define MEMINFO_MAX (64u << 10)

static int check_descriptors(struct doctor *d, struct finding *f, struct err *e)
{
	struct rlimit limit;
	(void)d;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return err_errno(e, errno, "the limit of descriptors");
	unsigned long long most = limit.rlim_max == RLIM_INFINITY ? ~0ull : (unsigned long long)limit.rlim_max;
	if (most < DESCRIPTORS_WANTED)
		return finding_warn(f, "raise it: LimitNOFILE= of the unit, ulimit -Hn, --ulimit nofile=",
				    "%llu at most; %d are better", most, DESCRIPTORS_WANTED);
	return finding_say(f, "%llu at most", most);
}

/* The folder itself, or the nearest above that is there. */
static int look_at_disk(const char *path, struct statvfs *ret, struct err *e)
{
	_cleanup_free_ char *at = mr_strdup(path);
	while (statvfs(at, ret) < 0) {
		char *slash = strrchr(at, '/');
		if (errno != ENOENT || slash == at)
			return err_errno(e, errno, "%s", at);
		if (slash)
			*slash = '\0';
		else
			(void)snprintf(at, strlen(at) + 1, ".");
	}
	return 0;
}

static int check_disk(struct doctor *d, struct finding *f, struct err *e)
{
	const char *path = d->store_is_folder                           ? d->at.store + strlen("file:")
			   : strncmp(d->at.database, "sqlite:", 7) == 0 ? d->at.database + strlen("sqlite:")
									: NULL;
	struct statvfs s;
	if (!path) {
		f->result = REPORT_SKIPPED;
		return finding_say(f, "nothing is kept on this machine's");
	}
	int r = look_at_disk(path, &s, e);
	if (r < 0)
		return r;
	unsigned long long free_mb = ((unsigned long long)s.f_bavail * s.f_frsize) >> 20;
	if (free_mb < DISK_LEAST_MB || (s.f_files && !s.f_favail))
		return err_set(e, ERR_NO_SPACE, "%llu MB are free, and %llu files can be made: No space left", free_mb,
			       (unsigned long long)s.f_favail);
	if (free_mb < DISK_WANTED_MB)
		return finding_warn(f, "make room, or move it to a larger disk", "only %llu MB are free at %s", free_mb,
				    path);
	return finding_say(f, "%llu MB are free at %s", free_mb, path);
}

static int check_memory(struct doctor *d, struct finding *f, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	(void)d;
	int r = file_read_all("/proc/meminfo", MEMINFO_MAX, &text, &len, e);
	if (r < 0)
		return r;
	const char *line = strstr(text, "MemAvailable:");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	long available_mb = line ? strtol(line + strlen("MemAvailable:"), NULL, 10) / 1024 : 0;
	if (available_mb < cores * CHUNK_MB)
		return finding_warn(f, "fewer --workers, or more memory",
				    "%ld MB are available: %ld chunks of a 1080p ladder at once "
				    "need %ld MB",
				    available_mb, cores, cores * CHUNK_MB);
	return finding_say(f, "%ld MB are available, for %ld cores", available_mb, cores);
}

/* POSIX semaphores and mappings that libraries of codecs make; SQLite's own index has a file beside the database. */
static int check_shared_memory(struct doctor *d, struct finding *f, struct err *e)
{
	struct statvfs s;
	(void)d;
	(void)e;
	static const char advice[] = "give the container one: --shm-size, a tmpfs at /dev/shm";
	if (statvfs("/dev/shm", &s) < 0)
		return finding_warn(f, advice, "there is no /dev/shm");
	unsigned long long free_mb = ((unsigned long long)s.f_bavail * s.f_frsize) >> 20;
	if (free_mb < SHARED_WANTED_MB)
		return finding_warn(f, advice, "only %llu MB are free at /dev/shm", free_mb);
	return finding_say(f, "%llu MB are free at /dev/shm", free_mb);
}

const struct doctor_check doctor_machine_checks[] = {
	{ "descriptors", GROUP_MACHINE, check_descriptors, LIMIT_MS },
	{ "disk", GROUP_MACHINE, check_disk, LIMIT_MS },
	{ "memory", GROUP_MACHINE, check_memory, LIMIT_MS },
	{ "shared memory", GROUP_MACHINE, check_shared_memory, LIMIT_MS },
};
const size_t doctor_machine_check_count = MR_ARRAY_SIZE(doctor_machine_checks);
