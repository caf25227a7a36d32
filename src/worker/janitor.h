/* The janitor: puts right what processes that died left behind, and ends what has outlived its time. One thread; every
 * action is idempotent, so that any number of janitors on any number of machines do no harm.
 *
 *   every 2 s    claims of processes that are gone are given back; jobs whose playlists lag are published; a complete
 *                upload that nobody joins is joined
 *   every 30 s   expired and deleted jobs: objects first, then rows; the same for streams and their fragments; uploads that
 *                nobody finished; sentences that nobody wanted for long; leftovers in the store
 */
#pragma once

#include "base/err.h"
#include "bus/bus.h"
#include "job/repo.h"
#include "store/store.h"
#include "worker/publisher.h"

struct janitor;
struct worker;
struct janitor_opts {
	struct repo *repo;
	struct store *store;
	struct bus *bus;
	struct publisher *publisher;
	struct worker *worker; /* probes what is joined */
};
/* Does the first short round before it returns, so that a restarted server goes on at once. */
int janitor_start(const struct janitor_opts *opts, struct janitor **ret, struct err *e) MR_MUST_USE;
void janitor_stop(struct janitor *j);
