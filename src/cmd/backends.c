/* Opening and closing what commands stand on. */
#include "cmd/backends.h"

#include "base/log.h"

int backends_open(struct backends *b, const char *database_url, const struct store_local_opts *store, struct err *e)
{
	int r = db_open(&(struct db_opts){ .url = database_url }, &b->db, e);
	if (r == 0)
		r = repo_open(b->db, &b->repo, e);
	if (r == 0)
		r = store_open_local(store, &b->store, e);
	if (r == 0)
		r = bus_open(&(struct bus_opts){ .url = NULL }, &b->bus, e);
	return r;
}

void backends_close(struct backends *b)
{
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
