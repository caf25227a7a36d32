/* What a command stands on: database, repository, store and bus, opened together and closed in the reverse order.
 *
 *   static const struct option_def defs[] = { BACKENDS_OPTION_DEFS, … };
 *   struct backends b = { 0 };
 *   backends_from_options(&b, &options, e);
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
	struct database_hints *hints; /* NULL: the bus itself, or nobody, tells other processes */
	bool untold;		      /* nobody does: SQLite and a local bus */
};
struct backends_opts {
	const char *database; /* URL: db/db.h */
	uint32_t database_connections; /* most at once; 0: what the database suggests */
	const char *store; /* store_open's URL; NULL: a folder, by `folder` */
	struct store_local_opts folder;
	const char *bus; /* bus_open's URL; NULL: local */
};
int backends_open(struct backends *b, const struct backends_opts *opts, struct err *e) MR_MUST_USE;

#define BACKENDS_OPTION_DEFS                                                                                               \
	{ "data", "DIR", "data", "folder of the database and the objects" },                                               \
		{ "database", "URL", NULL, "sqlite:PATH or postgres://… (default: sqlite:DIR/millrace.db)",                \
		  .secret = true },                                                                                        \
		{ "store", "URL", NULL, "file:PATH or s3://BUCKET[/PREFIX]?… (default: file:DIR/store)" },                 \
		{ "database-connections", "N", NULL, "connections to the database at once (default: 4; PostgreSQL: 8)" },  \
	{                                                                                                                  \
		"bus", "URL", "local", "how processes hear of changes: local, redis://HOST or rediss://HOST",              \
			.secret = true                                                                                     \
	}
/* Where these options say that they are; `make`: makes the folder of --data where something lies in it. ERR_INVALID names the
 * option. */
struct backends_places {
	char *database, *store;	/* URLs */
	const char *data, *bus; /* borrowed from the options */
	uint32_t database_connections;
};
int backends_places(const struct options *o, bool make, struct backends_places *ret, struct err *e) MR_MUST_USE;
void backends_places_release(struct backends_places *p);
/* As these options say; makes the folder where there is none. Changes of the bus's connection become log lines. */
int backends_from_options(struct backends *b, const struct options *o, struct err *e) MR_MUST_USE;
void backends_close(struct backends *b);

#define LOG_OPTION_DEFS                                                       \
	{ "log-level", "LEVEL", "info", "debug, info, warn or error" },      \
	{                                                                     \
		"log-json", NULL, NULL, "log lines as JSON instead of logfmt" \
	}
/* Sets up the log by the options "log-level" and, where the command has it, "log-json". */
int setup_log(const struct options *o, bool json, struct err *e) MR_MUST_USE;
