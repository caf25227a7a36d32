/* Opening and closing what commands stand on. */
#include "cmd/backends.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cmd/database_hints.h"
#include "os/fd.h"

static void on_bus_state(void *ctx, bool connected, const char *why)
{
	(void)ctx;
	if (connected)
		log_info("bus_connected");
	else
		log_warn("bus_away", LOG_S("reason", why), LOG_S("meanwhile", "the database is asked"));
}

static bool bus_is_local(const char *url)
{
	return !url || strcmp(url, "local") == 0;
}

int backends_open(struct backends *b, const struct backends_opts *opts, struct err *e)
{
	int r = db_open(&(struct db_opts){ .url = opts->database, .connections = opts->database_connections }, &b->db, e);
	if (r == 0)
		r = repo_open(b->db, &b->repo, e);
	if (r == 0)
		r = opts->store ? store_open(opts->store, &b->store, e) : store_open_local(&opts->folder, &b->store, e);
	if (r == 0)
		r = bus_open(&(struct bus_opts){ .url = opts->bus, .on_state = on_bus_state }, &b->bus, e);
	if (r == 0 && bus_is_local(opts->bus)) /* Redis carries them otherwise */
		r = database_hints_start(b->db, b->bus, &b->hints, e);
	b->untold = bus_is_local(opts->bus) && !b->hints;
	return r;
}

int backends_places(const struct options *o, bool make, struct backends_places *ret, struct err *e)
{
	const char *data = options_get(o, "data"), *database = options_get(o, "database"), *store = options_get(o, "store");
	uint64_t connections = 0;
	if (options_get(o, "database-connections") && options_number(o, "database-connections", 2, 1000, &connections, e) < 0)
		return -ERR_INVALID;
	int r = !make || (database && store) ? 0 : dir_make(data, 0700, e);
	if (r < 0)
		return r;
	*ret = (struct backends_places){ .database = database ? mr_strdup(database) : mr_asprintf("sqlite:%s/millrace.db", data),
					 .store = store ? mr_strdup(store) : mr_asprintf("file:%s/store", data),
					 .data = data,
					 .bus = options_get(o, "bus"),
					 .database_connections = (uint32_t)connections };
	return 0;
}

void backends_places_release(struct backends_places *p)
{
	free(p->database);
	free(p->store);
	*p = (struct backends_places){ 0 };
}

int backends_from_options(struct backends *b, const struct options *o, struct err *e)
{
	struct backends_places at;
	int r = backends_places(o, true, &at, e);
	if (r < 0)
		return r;
	struct backends_opts opts = { .database = at.database,
				      .database_connections = at.database_connections,
				      .store = at.store,
				      .bus = at.bus };
	r = backends_open(b, &opts, e);
	backends_places_release(&at);
	return r;
}

void backends_close(struct backends *b)
{
	database_hints_stop(b->hints);
	bus_close(b->bus);
	if (b->store)
		store_close(b->store);
	if (b->repo)
		repo_close(b->repo);
	db_close(b->db);
	*b = (struct backends){ 0 };
}

int setup_log(const struct options *o, bool json, struct err *e)
{
	enum log_level level;
	if (!log_level_parse(options_get(o, "log-level"), &level))
		return err_set(e, ERR_INVALID, "--log-level: expected debug, info, warn or error");
	log_setup(level, json);
	return 0;
}
