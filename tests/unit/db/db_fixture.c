/* The tests of db/: see db_fixture.h. */
#include "db_fixture.h"

#include <stdlib.h>

struct db *open_again(struct db_fixture *f, uint32_t connections, uint32_t busy_ms)
{
	struct db *db = NULL;
	OK(db_open(&(struct db_opts){ .url = f->at.url, .connections = connections, .busy_timeout_ms = busy_ms }, &db,
		   &f->e));
	return db;
}

int run(struct db *db, const char *sql, const struct db_params *params, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int r = db_acquire(db, &c, e);
	return r < 0 ? r : db_exec(c, sql, params, NULL, e);
}

int64_t number(struct db_fixture *f, struct db *db, const char *sql)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	OK(db_acquire(db, &c, &f->e));
	OK(db_first(c, sql, DB_NO_PARAMS, &rows, &f->e));
	return db_int(rows, 0);
}

int db_fixture_setup(void **state)
{
	struct db_fixture *f = mr_calloc(1, sizeof(*f));
	fresh_db_make(&f->at);
	f->db = open_again(f, 0, 0);
	OK(run(f->db, "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT, x DOUBLE PRECISION)", NULL, &f->e));
	*state = f;
	return 0;
}

int db_fixture_teardown(void **state)
{
	struct db_fixture *f = *state;
	db_close(f->db);
	fresh_db_remove(&f->at);
	free(f);
	return 0;
}
