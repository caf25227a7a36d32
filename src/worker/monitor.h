/* A process watches itself: every few seconds it looks at what it stands on (worker/checks.h), renews its row among the
 * processes, and says once when a threshold is passed and once when that is over.
 *
 *   monitor_start(&opts, &m, e);        // "process_started"; processes that are gone are found
 *   monitor_look(m, &list);             // the newest findings, looked up again when they are older than a second
 *   monitor_stop(m);                    // "process_stopped", the row is taken away
 *
 * Log lines: process_started, process_stopped; process_died (another one of this machine was killed: whoever notices first),
 * process_lost (one of another machine was silent for ten minutes); alert_raised and alert_cleared, once each however long it
 * lasts. A threshold has to be passed for two looks in a row, and for two looks not, so that what flickers is quiet.
 *
 * Guarantees: one thread, which never holds up anybody; one statement a round, two in every other. Does not: notice what happens
 * between two looks. */
#pragma once

#include <stdint.h>

#include "worker/checks.h"

struct monitor;
struct monitor_opts {
	struct checks_opts checks; /* borrows */
	const char *role, *version; /* "serve", "worker" */
	uint32_t slots;
	int64_t round_ms; /* 0: five seconds */
};
int monitor_start(const struct monitor_opts *opts, struct monitor **ret, struct err *e) MR_MUST_USE;
/* Any thread but an HTTP thread: may look itself. */
void monitor_look(struct monitor *m, struct check_list *ret);
const char *monitor_version(const struct monitor *m);
int64_t monitor_uptime_ms(const struct monitor *m);
void monitor_stop(struct monitor *m);
