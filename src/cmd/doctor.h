/* The doctor's checks. Private to cmd/doctor*.c.
 *
 *   static int check_write(struct doctor *d, struct finding *f, struct err *e)
 *   {
 *           int r = store_put(d->store, d->key, …, e);          // an error: failed, with the group's advice
 *           return r < 0 ? r : finding_say(f, "%zu bytes", n);  // or finding_warn
 *   }
 *
 * Each runs on a thread of its own and is given up after its time; then what it uses is left to it until the process
 * ends. So checks touch nothing of each other's but what an earlier one has opened, and those of a group that hangs
 * aren't begun. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "cmd/backends.h"
#include "cmd/options.h"
#include "cmd/report.h"
#include "cmd/store_needs.h"

enum doctor_group { GROUP_DATABASE, GROUP_STORE, GROUP_BUS, GROUP_TASKS, GROUP_SPEECH, GROUP_MACHINE, GROUPS };

struct doctor {
	const struct options *options;
	struct backends_places at;
	struct store_needs_made needs;
	char id[UUID_SIZE];
	char folder[64];     /* of its objects: "parts/doctor-{id}" */
	struct db *db;       /* NULL: not to be used */
	struct store *store; /* the same */
	bool store_is_folder;
	char *task_path;
	struct zygote *zygote; /* NULL: there are no tasks to be had */
	struct speech_config *speech;
};

struct finding {
	enum report_result result;
	char text[512];
	const char *advice;
};
/* Return 0. */
int finding_say(struct finding *f, const char *fmt, ...) MR_PRINTF(2, 3);
int finding_warn(struct finding *f, const char *advice, const char *fmt, ...) MR_PRINTF(3, 4);

struct doctor_check {
	const char *part;
	enum doctor_group group;
	int (*run)(struct doctor *d, struct finding *f, struct err *e);
	uint32_t limit_ms;
	bool opens; /* the group's others need it */
};
extern const struct doctor_check doctor_database_checks[], doctor_store_checks[], doctor_bus_checks[], doctor_task_checks[],
	doctor_machine_checks[];
extern const size_t doctor_database_check_count, doctor_store_check_count, doctor_bus_check_count, doctor_task_check_count,
	doctor_machine_check_count;

/* How far a clock is from this machine's. */
int doctor_compare_clock(struct finding *f, const char *whose, int64_t theirs_ms, int64_t tolerated_ms);

/* ---- doctor_url.c ---- */

/* Fetches a byte range of the object by a signed URL as clients get them (of a folder: from a server of its own on
 * loopback), and sees that the URL isn't good without its signature. *ret_signed: URLs are signed at all. */
int doctor_fetch_by_url(struct doctor *d, const char *key, uint64_t offset, void *to, size_t len, bool *ret_signed,
			struct err *e) MR_MUST_USE;
