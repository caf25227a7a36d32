/* What the machine and this process have, and how much of it is used: for health, alerts and metrics.
 *
 *   struct machine m;
 *   machine_read(&m);
 *   if (m.memory_available < m.memory_total / 20) …
 *
 * Linux's own files (proc(5), cgroups(7)); what can't be read is 0. Quick, but it reads files: not for an HTTP thread. Any
 * thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct machine {
	unsigned cores;
	double load; /* runnable threads, averaged over a minute */
	int64_t cpu_busy, cpu_total; /* of all cores since boot, in ticks: two readings tell how busy it was between them */
	/* Of this process's control group where that has a limit, else of the machine. */
	uint64_t memory_total, memory_available;
	uint64_t own_memory; /* of this process alone, resident */
	int64_t own_cpu_ms;  /* the same, and what its ended and reaped children used */
	unsigned descriptors, descriptors_max; /* of this process */
};
void machine_read(struct machine *ret);

struct machine_disk {
	uint64_t total, available; /* bytes; available to us */
};
/* Of the file system that `path` is on; false: it can't be told. */
bool machine_disk(const char *path, struct machine_disk *ret);

/* This machine's name, for people. */
#define MACHINE_NAME_SIZE 65
void machine_name(char out[MACHINE_NAME_SIZE]);
