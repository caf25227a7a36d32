/* What the two files of the SQLite driver share. Private to them. */
#pragma once

#include <pthread.h>
#include <sqlite3.h>

#include "db/driver.h"

#define SQLITE_CONNECTIONS_DEFAULT 4
#define SQLITE_STATEMENTS_MAX 96 /* prepared ones that a connection keeps */

/* A prepared statement; while `in_use` also the rows of its query. */
struct sqlite_stmt {
	struct db_rows base;
	struct sqlite_conn *conn;
	sqlite3_stmt *h;
	char *sql;
	uint8_t param_numbers[DB_PARAMS_MAX]; /* of SQLite's parameter i + 1: the N of its $N */
	int param_count;		      /* SQLite's parameters: distinct names */
	size_t highest;			      /* N */
	bool in_use;
	bool cached;
	uint64_t used_at; /* the connection's tick of its last use */
};

struct sqlite_conn {
	struct db_conn base;
	sqlite3 *h;
	pthread_mutex_t *writer;
	struct sqlite_stmt *statements[SQLITE_STATEMENTS_MAX];
	size_t statement_count;
	uint64_t tick;
};

int db_sqlite_error(sqlite3 *h, int code, const char *doing, struct err *e);

int db_sqlite_query(struct db_conn *conn, const char *sql, const struct db_params *params, struct db_rows **ret,
		    struct err *e) MR_MUST_USE;
int db_sqlite_next(struct db_rows *rows, struct err *e) MR_MUST_USE;
int64_t db_sqlite_changes(struct db_rows *rows);
void db_sqlite_finish(struct db_rows *rows);
void db_sqlite_stmt_free_all(struct sqlite_conn *c);
bool db_sqlite_is_null(struct db_rows *rows, int column);
int64_t db_sqlite_get_int(struct db_rows *rows, int column);
double db_sqlite_get_real(struct db_rows *rows, int column);
const char *db_sqlite_get_text(struct db_rows *rows, int column);
