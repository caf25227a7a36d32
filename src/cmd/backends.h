/* What a command stands on: database, repository, store and bus, opened together and closed in the reverse order.
 *
 *   struct backends b = { 0 };
 *   backends_open(&b, "sqlite:data/millrace.db", &(struct store_local_opts){ .root = "data/store" }, e);
 *   … backends_close(&b);      // also after a failed open
 */
#pragma once

#include "base/err.h"
#include "bus/bus.h"
#include "cmd/options.h"
#include "db/db.h"
#include "job/repo.h"
#include "store/store.h"

struct backends {
	struct db *db;
	struct repo *repo;
	struct store *store;
	struct bus *bus;
};
int backends_open(struct backends *b, const char *database_url, const struct store_local_opts *store, struct err *e) MR_MUST_USE;
void backends_close(struct backends *b);

/* Sets up the log by the options "log-level" and, where the command has it, "log-json". */
int setup_log(const struct options *o, bool json, struct err *e) MR_MUST_USE;
