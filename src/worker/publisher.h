/* Publishing: makes committed segments visible and stores each version of the playlists as objects.
 *
 * One thread. A nudge says that a job has new committed segments; the publisher advances the job's visible count (at
 * most every half target duration: RFC 8216bis 6.2.1 asks that versions don't come faster), renders every playlist, has
 * the checker accept each, stores them, and then records that this version is published. A crash in between leaves
 * published < visible, which the janitor's look at lagging jobs mends. Nudges are hints: losing one makes a version
 * later, never wrong.
 *
 * Several processes may publish versions of one job at the same time, and a late one may lie over a newer one in the store for a
 * moment: who finds, after having stored, that the row says more stores again. What fronts render isn't touched by that.
 *
 * Media playlists are stored before the multivariant one, so that it never names what cannot be fetched.
 */
#pragma once

#include "base/err.h"
#include "bus/bus.h"
#include "job/repo.h"
#include "store/store.h"

struct publisher;
struct publisher_opts {
	struct repo *repo;
	struct store *store;
	struct bus *bus;
};
int publisher_start(const struct publisher_opts *opts, struct publisher **ret, struct err *e) MR_MUST_USE;
void publisher_stop(struct publisher *p);
/* Any thread; never blocks for I/O. */
void publisher_nudge(struct publisher *p, const char *job_id);
/* The last version, now, on the caller's thread: everything that is committed, with ENDLIST. Needs repo_job_end before.
 */
int publisher_finish(struct publisher *p, const char *job_id, struct err *e) MR_MUST_USE;
