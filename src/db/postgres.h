/* What the files of the PostgreSQL driver share. Private to them. */
#pragma once

#include <postgresql/libpq-fe.h>
#include <pthread.h>

#include "db/driver.h"

#define PG_STATEMENTS_MAX 160 /* prepared ones that a connection keeps */
#define PG_CONNECTIONS_DEFAULT 8
#define PG_ANSWER_MS 30000	/* a statement that takes longer: the server is taken for hung */
#define PG_SCRIPT_MS 1800000	/* migrations may rewrite tables */
#define PG_CONNECT_S "5"

struct pg_shared {
	char *url;
	uint32_t busy_timeout_ms;
	pthread_mutex_t lock;
	/* protected by lock */
	int64_t not_before_ms; /* of clock_mono_ms: until then connecting is known to be in vain */
	uint32_t failures;     /* to connect, in a row */
	struct err last_failure;
	int64_t clock_offset_ms;  /* the server's clock less clock_mono_ms */
	int64_t clock_read_ms;	  /* clock_mono_ms when that was found out; 0: never */
	struct pg_listener *listener; /* set once, before others use it */
};

struct pg_stmt {
	char *sql;
	char name[16];
	size_t highest; /* N of $N */
	uint64_t used_at;
};

struct pg_conn {
	struct db_conn base;
	struct pg_shared *shared;
	PGconn *h;
	bool broken; /* not to be used again */
	bool in_transaction;
	char xid[24];	   /* of the transaction */
	int64_t began_ms; /* the server's clock at its start */
	struct pg_stmt statements[PG_STATEMENTS_MAX];
	size_t statement_count;
	uint64_t tick, names;
};

/* ---- connections and answers (postgres_wire.c) ---- */

/* Connects and sets the session up. While it is known to be in vain, fails at once. */
int db_pg_dial(struct pg_shared *s, PGconn **ret, struct err *e) MR_MUST_USE;
/* A new connection in the place of a lost one. */
int db_pg_redial(struct pg_conn *c, struct err *e) MR_MUST_USE;
/* Waits for the answer to what was just sent (`sent` is PQsend…'s), the last result of several. `doing` is a statement or a
 * word. */
int db_pg_answer(struct pg_conn *c, int sent, int64_t timeout_ms, const char *doing, PGresult **ret, struct err *e) MR_MUST_USE;
/* Statements without parameters, unprepared. ret may be NULL. */
int db_pg_simple(struct pg_conn *c, const char *sql, int64_t timeout_ms, PGresult **ret, struct err *e) MR_MUST_USE;
/* Is the code that of an outage: the connection lost, or never there? */
bool db_pg_is_away(const struct err *e);

/* The server's clock has just been read. */
void db_pg_note_clock(struct pg_shared *s, int64_t server_ms);
#define PG_CLOCK_SQL "(extract(epoch from clock_timestamp()) * 1000)::bigint"

/* ---- statements (postgres_stmt.c) ---- */

int db_pg_query(struct db_conn *conn, const char *sql, const struct db_params *params, struct db_rows **ret,
		struct err *e) MR_MUST_USE;
int db_pg_next(struct db_rows *rows, struct err *e) MR_MUST_USE;
int64_t db_pg_changes(struct db_rows *rows);
void db_pg_finish(struct db_rows *rows);
void db_pg_forget_statements(struct pg_conn *c);
bool db_pg_is_null(struct db_rows *rows, int column);
int64_t db_pg_get_int(struct db_rows *rows, int column);
double db_pg_get_real(struct db_rows *rows, int column);
const char *db_pg_get_text(struct db_rows *rows, int column);
/* The script with every column's type TEXT comparing by bytes, as SQLite's do and cursors and prefixes rely on. */
char *db_pg_script_text(const char *sql);

/* ---- LISTEN (postgres_listen.c) ---- */

int db_pg_listen(void *shared, db_heard_fn fn, void *ctx, struct err *e) MR_MUST_USE;
/* Does nothing where nobody listens. */
void db_pg_listen_stop(void *shared);
int db_pg_notify(struct db_conn *conn, const char *text, struct err *e) MR_MUST_USE;
