/* The seam between db.c and a database: what a driver implements. Private to db/ (and its tests).
 *
 * A driver embeds struct db_conn and struct db_rows as the first member of its own. It maps its codes to kinds of
 * errors, and says code DB_BUSY exactly where running the whole transaction again can help (SQLITE_BUSY; on PostgreSQL
 * 40001, 40P01 and 55P03), DB_AWAY where the database can't be reached or the connection was lost, so that nothing of a
 * transaction was committed. SQL above is written so that both databases take it. */
#pragma once

#include "db/db.h"

#define DB_BUSY_CODE "DB_BUSY"
#define DB_AWAY_CODE "DB_AWAY"
#define DB_CONSTRAINT_CODE "DB_CONSTRAINT"
#define DB_BUSY_TIMEOUT_DEFAULT_MS 10000

struct db_driver {
	/* One transaction at a time: those who wait share a commit. Else each has a connection of its own, and two that insert
	 * the same may not have seen each other. */
	bool one_writer;
	/* `where` is the URL behind the scheme and its colon. ret_connections: how many connections the pool may open. */
	int (*open)(const struct db_opts *opts, const char *where, void **ret_shared, uint32_t *ret_connections,
		    struct err *e);
	void (*close)(void *shared);

	int (*connect)(void *shared, struct db_conn **ret, struct err *e);
	void (*disconnect)(struct db_conn *c);
	/* Can an idle one be used? Asks nobody. NULL: always. */
	bool (*alive)(struct db_conn *c);

	/* A transaction that may write, from its start. */
	int (*begin)(struct db_conn *c, struct err *e);
	int (*commit)(struct db_conn *c, struct err *e);
	void (*rollback)(struct db_conn *c);
	int (*now_ms)(struct db_conn *c, int64_t *ret_ms, struct err *e);
	/* Several statements without parameters. */
	int (*script)(struct db_conn *c, const char *sql, struct err *e);
	/* In a transaction: no other process migrates until its end. NULL: a transaction is alone anyway. */
	int (*lock_schema)(struct db_conn *c, struct err *e);
	int (*has_table)(struct db_conn *c, const char *name, bool *ret, struct err *e);

	int (*query)(struct db_conn *c, const char *sql, const struct db_params *params, struct db_rows **ret,
		     struct err *e);
	int (*next)(struct db_rows *rows, struct err *e);
	int64_t (*changes)(struct db_rows *rows); /* after next gave 0 */
	void (*finish)(struct db_rows *rows);
	bool (*is_null)(struct db_rows *rows, int column);
	int64_t (*get_int)(struct db_rows *rows, int column);
	double (*get_real)(struct db_rows *rows, int column);
	const char *(*get_text)(struct db_rows *rows, int column);

	/* db_listen, db_notify; NULL: all who open the database are on this machine, and nothing is told. */
	int (*listen)(void *shared, db_heard_fn fn, void *ctx, struct err *e);
	void (*listen_stop)(void *shared);
	int (*notify)(struct db_conn *c, const char *text, struct err *e);
};

struct db_conn {
	const struct db_driver *driver;
	struct db *db;
	struct db_conn *next_idle; /* protected by db's lock */
};

#define DB_SQL_SHOWN 120
struct db_rows {
	const struct db_driver *driver;
	/* db.c's: how long the statement took so far, how it went, and its beginning */
	int64_t took_ns;
	int result;
	char sql[DB_SQL_SHOWN];
};

extern const struct db_driver db_driver_sqlite;
extern const struct db_driver db_driver_postgres;

/* Pure: the error kind of an (extended) SQLite result code and the errno below it (0: none). */
enum err_kind db_sqlite_kind(int code, int system_errno);
/* Pure: the same of a SQLSTATE. */
enum err_kind db_postgres_kind(const char *sqlstate);

/* One step of the schema. */
struct db_migration {
	int64_t version; /* from 1, rising */
	const char *name;
	const char *sql;
};
/* Embedded from sql/ at build time. */
extern const struct db_migration db_migrations[];
extern const size_t db_migration_count;
int db_migrate_list(struct db *db, const struct db_migration *list, size_t count, struct err *e) MR_MUST_USE;
