/* Migrations: numbered SQL scripts, each applied once, in order, in a transaction of its own together with its row in
 * schema_version. A process that is killed between two leaves a schema that the next start carries on from. Two that
 * start at once take turns: the second finds the rows of the first. Runs in whatever process opens the database.
 */
#include <inttypes.h>

#include "db/driver.h"

struct migration_run {
	const struct db_migration *list;
	size_t count;
	bool done;
};

static int current_version(struct db_conn *c, int64_t *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT COALESCE(MAX(version), 0) FROM schema_version", DB_NO_PARAMS, &rows, e);
	if (r < 0)
		return r;
	*ret = db_int(rows, 0);
	return 0;
}

static int apply(struct db_conn *c, const struct db_migration *m, struct err *e)
{
	if (c->driver->script(c, m->sql, e) < 0)
		return err_wrap(e, "migration %s", m->name);
	int64_t now;
	int r = db_now_ms(c, &now, e);
	if (r < 0)
		return r;
	return db_exec(c, "INSERT INTO schema_version (version, name, applied_ms) VALUES ($1, $2, $3)",
		       DB_PARAMS(DB_INT(m->version), DB_TEXT(m->name), DB_INT(now)), NULL, e);
}

/* Applies the first that is missing. */
static int step(struct db_conn *c, void *ctx, struct err *e)
{
	struct migration_run *run = ctx;
	bool known = false;
	int64_t version;
	int r = c->driver->lock_schema ? c->driver->lock_schema(c, e) : 0;
	/* Who may not make tables may still use those that are there. */
	if (r == 0)
		r = c->driver->has_table(c, "schema_version", &known, e);
	if (r == 0 && !known)
		r = c->driver->script(c,
				      "CREATE TABLE schema_version ( version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL,"
				      " applied_ms BIGINT NOT NULL)",
				      e);
	if (r < 0)
		return r;
	r = current_version(c, &version, e);
	if (r < 0)
		return r;
	int64_t newest = run->count ? run->list[run->count - 1].version : 0;
	if (version > newest)
		return err_set_code(e, ERR_CONFLICT, "SCHEMA_NEWER",
				    "the database's schema has version %" PRId64 ", this program knows up to %" PRId64
				    ": use the newer program",
				    version, newest);
	for (size_t i = 0; i < run->count; i++)
		if (run->list[i].version > version)
			return apply(c, &run->list[i], e);
	run->done = true;
	return 0;
}

int db_migrate_list(struct db *db, const struct db_migration *list, size_t count, struct err *e)
{
	struct migration_run run = { .list = list, .count = count };
	while (!run.done) {
		int r = db_transact(db, step, &run, e);
		if (r < 0) {
			if (e)
				(void)err_wrap(e, "prepare the database");
			return r;
		}
	}
	return 0;
}

int db_migrate(struct db *db, struct err *e)
{
	return db_migrate_list(db, db_migrations, db_migration_count, e);
}

static int schema_tx(struct db_conn *c, void *ctx, struct err *e)
{
	bool known = false;
	int r = c->driver->has_table(c, "schema_version", &known, e);
	*(int64_t *)ctx = 0;
	return r == 0 && known ? current_version(c, ctx, e) : r;
}

int db_schema(struct db *db, int64_t *ret_version, int64_t *ret_newest, struct err *e)
{
	int r = db_transact(db, schema_tx, ret_version, e);
	if (r == 0)
		*ret_newest = db_migration_count ? db_migrations[db_migration_count - 1].version : 0;
	return r;
}
