/* SQL access: a pool of connections, transactions, prepared statements, migrations. SQLite or PostgreSQL (13 and later), a driver
 * for each (db/driver.h); nobody above knows which it is.
 *
 *   struct db *db;
 *   db_open(&(struct db_opts){ .url = "sqlite:data/millrace.db" }, &db, e);
 *   db_migrate(db, e);
 *
 *   _cleanup_db_conn_ struct db_conn *c = NULL;
 *   _cleanup_db_rows_ struct db_rows *rows = NULL;
 *   if (db_acquire(db, &c, e) < 0 ||
 *       db_query(c, "SELECT name FROM file WHERE user_id = $1", DB_PARAMS(DB_TEXT(user)), &rows, e) < 0)
 *           return err_wrap(e, "list files");
 *   while ((r = db_next(rows, e)) > 0)
 *           use(db_text(rows, 0));
 *
 * Writes go through db_transact alone. Its callback may run more than once (a busy database, a deadlock, a
 * lost connection), so it writes to its context only what a second run writes again, and it may run on another thread that is in
 * db_transact. Others may be writing at the same time (on SQLite they are not): rows that a decision rests on are locked by the
 * statement that reads them, an UPDATE or a SELECT that ends with DB_LOCK, in the order chunk, job, counter.
 *
 * SQLite: WAL, synchronous=FULL (what was committed survives a power cut), one writer at a time: in this process in
 * turn, between processes with a time-out. Calls that come while others are being committed are committed together, each with an
 * outcome of its own (a savepoint): the disk is waited for once.
 *
 * PostgreSQL: READ COMMITTED, each transaction on a connection of its own. A lost connection is replaced, reads are done again;
 * what a transaction did is done again if it was not committed. While the server is away every call fails at once. Threads: a
 * struct db may be used by any; a connection and its rows by one at a time. Don't acquire a second connection while holding one:
 * an in-memory database has just one, and it would wait for itself.
 *
 * Errors: ERR_UNAVAILABLE code DB_BUSY (locked by somebody else for too long, or no connection became free), code DB_AWAY (the
 * server can't be reached), code DB_UNKNOWN (lost in a commit, and it could not be found out whether it was done); ERR_NO_SPACE,
 * ERR_IO (code DB_CORRUPT where the file is damaged), ERR_CONFLICT code DB_CONSTRAINT, ERR_INTERNAL for wrong SQL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct db;
struct db_conn;
struct db_rows;

struct db_opts {
	const char *url;	  /* "sqlite:PATH", "sqlite::memory:" or "postgres://USER@HOST:PORT/NAME" (all that libpq takes) */
	uint32_t connections;	  /* most at once, opened when needed; 0: 4, PostgreSQL 8. In-memory databases have exactly one. */
	uint32_t busy_timeout_ms; /* wait for another process' write, or for a free connection; 0: 10,000 */
};
/* Opens one connection, so that a wrong path or address shows here. SQLite: the file is made (mode 0600) if it is not there; its
 * folder is not. */
int db_open(const struct db_opts *opts, struct db **ret, struct err *e) MR_MUST_USE;
/* No connection may be in use. NULL is fine. */
void db_close(struct db *db);

/* Brings the schema to this binary's version (sql/), one transaction for each step; safe when several processes start
 * at once. ERR_CONFLICT code SCHEMA_NEWER: the database is newer than the binary, nothing was touched. */
int db_migrate(struct db *db, struct err *e) MR_MUST_USE;

/* The schema's version, 0 where there are no tables yet, and the one that db_migrate would bring it to. */
int db_schema(struct db *db, int64_t *ret_version, int64_t *ret_newest, struct err *e) MR_MUST_USE;

/* Blocks until a connection is free. */
int db_acquire(struct db *db, struct db_conn **ret, struct err *e) MR_MUST_USE;
/* Gives it back and sets NULL; its rows must be finished before. Does nothing for NULL. */
void db_release(struct db_conn **conn);
#define _cleanup_db_conn_ MR_CLEANUP(db_release)

/* Runs fn in a transaction that may write: commits when it returns 0 (or more), else rolls back and returns its error.
 * Runs it again, a few times, where the database was busy. fn's `e` is never NULL. */
typedef int (*db_tx_fn)(struct db_conn *c, void *ctx, struct err *e);
int db_transact(struct db *db, db_tx_fn fn, void *ctx, struct err *e) MR_MUST_USE;

/* The database's clock, in Unix milliseconds: the one that leases are measured by. SQLite: this machine's. PostgreSQL: the
 * server's; in a transaction that of its start, else up to a round trip behind. */
int db_now_ms(struct db_conn *c, int64_t *ret_ms, struct err *e) MR_MUST_USE;

/* ---- hints between processes ---- */

/* From now on until db_close fn is called, on a thread of its own, with what any process (this one, too) gives to db_notify;
 * `text` NULL: some may have been missed. It must not block. Once for each db. ERR_UNSUPPORTED: this database tells nothing. */
typedef void (*db_heard_fn)(void *ctx, const char *text);
int db_listen(struct db *db, db_heard_fn fn, void *ctx, struct err *e) MR_MUST_USE;
/* Earlier than db_close: fn isn't called any more when it returns. */
void db_listen_stop(struct db *db);
/* At most DB_NOTIFY_MAX bytes; not within db_transact. */
#define DB_NOTIFY_MAX 7000
int db_notify(struct db *db, const char *text, struct err *e) MR_MUST_USE;

/* ---- statements: parameters are $1…$N, in any order, each at least once ---- */

/* The end of a SELECT within db_transact: nobody else changes its rows until the transaction's end. */
#define DB_LOCK " FOR NO KEY UPDATE"
/* The same, without those rows that somebody else has locked; with LIMIT as many of the others. */
#define DB_LOCK_FREE " FOR NO KEY UPDATE SKIP LOCKED"

#define DB_PARAMS_MAX 48
enum db_type { DB_TYPE_NULL, DB_TYPE_TEXT, DB_TYPE_INT, DB_TYPE_REAL };
struct db_param {
	enum db_type type;
	const char *text;
	int64_t i;
	double f;
};
struct db_params {
	const struct db_param *values;
	size_t count;
};
#define DB_TEXT(s) (db_param_text(s)) /* NULL is SQL's NULL */
#define DB_INT(n) ((struct db_param){ .type = DB_TYPE_INT, .i = (int64_t)(n) })
#define DB_REAL(x) ((struct db_param){ .type = DB_TYPE_REAL, .f = (x) })
#define DB_NULL ((struct db_param){ .type = DB_TYPE_NULL })
#define DB_PARAMS(...)                                                                          \
	(&(const struct db_params){ .values = (const struct db_param[]){ __VA_ARGS__ },         \
				    .count = sizeof((const struct db_param[]){ __VA_ARGS__ }) / \
					     sizeof(struct db_param) })
#define DB_NO_PARAMS NULL

static inline struct db_param db_param_text(const char *s)
{
	return (struct db_param){ .type = s ? DB_TYPE_TEXT : DB_TYPE_NULL, .text = s };
}

/* Runs a statement to its end; ret_changes (may be NULL): rows that it inserted, updated or deleted. */
int db_exec(struct db_conn *c, const char *sql, const struct db_params *params, int64_t *ret_changes,
	    struct err *e) MR_MUST_USE;
/* Prepares (or finds it prepared) and binds; the rows come by db_next. Parameters are copied. */
int db_query(struct db_conn *c, const char *sql, const struct db_params *params, struct db_rows **ret,
	     struct err *e) MR_MUST_USE;
/* 1: a row is there; 0: no more; negative: failed. */
int db_next(struct db_rows *rows, struct err *e) MR_MUST_USE;
/* Query and first row at once: 1, 0 or negative. The rows are the caller's to finish for 1 and 0. */
int db_first(struct db_conn *c, const char *sql, const struct db_params *params, struct db_rows **ret,
	     struct err *e) MR_MUST_USE;
/* Ends the rows and sets NULL. */
void db_finish(struct db_rows **rows);
#define _cleanup_db_rows_ MR_CLEANUP(db_finish)

/* Columns of the current row, from 0. A NULL is 0, 0.0 and NULL. Text is borrowed until the next db_next or db_finish. */
bool db_is_null(struct db_rows *rows, int column);
int64_t db_int(struct db_rows *rows, int column);
double db_real(struct db_rows *rows, int column);
const char *db_text(struct db_rows *rows, int column);
