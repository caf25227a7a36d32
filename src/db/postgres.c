/* The PostgreSQL driver: connections, transactions, the clock. Wire: db/postgres_wire.c; statements: db/postgres_stmt.c; hints
 * between processes: db/postgres_listen.c. Runs in the server and worker process.
 *
 * Transactions are READ COMMITTED, many at once: what must not change is locked by the statement that reads it (db.h, DB_LOCK),
 * and what two decided at the same time is settled by constraints. A transaction that failed as a whole is run again by db.c. One
 * whose connection was lost while it was being committed is looked up by its number: it was committed or it was not.
 *
 * Time is the server's, read with each transaction's start, so that leases mean the same on every machine. Between
 * transactions it is reckoned from there by the monotonic clock, for some seconds, so that a poll is one query.
 */
#include "db/postgres.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define CLOCK_KEPT_MS 30000
#define OUTCOME_MS 10000 /* so long the outcome of a commit is asked for */
#define OUTCOME_EVERY_MS 100
#define SCHEMA_LOCK 1297435762 /* "Mill" and 'r': the first half of the advisory lock's number */

static void shared_free(void *shared)
{
	struct pg_shared *s = shared;
	db_pg_listen_stop(s);
	pthread_mutex_destroy(&s->lock);
	free(s->url);
	free(s);
}

static int pg_open(const struct db_opts *opts, const char *where, void **ret_shared, uint32_t *ret_connections, struct err *e)
{
	(void)where;
	char *why = NULL;
	PQconninfoOption *parsed = PQconninfoParse(opts->url, &why);
	if (!parsed) {
		/* Without the URL, which may hold a password. */
		int r = err_set(e, ERR_INVALID, "database: the URL isn't one of PostgreSQL's (postgres://USER@HOST:PORT/NAME)");
		PQfreemem(why);
		return r;
	}
	PQconninfoFree(parsed);
	struct pg_shared *s = mr_calloc(1, sizeof(*s));
	s->url = mr_strdup(opts->url);
	s->busy_timeout_ms = opts->busy_timeout_ms;
	pthread_mutex_init(&s->lock, NULL);
	*ret_shared = s;
	*ret_connections = opts->connections ? opts->connections : PG_CONNECTIONS_DEFAULT;
	return 0;
}

static void pg_disconnect(struct db_conn *conn)
{
	struct pg_conn *c = (struct pg_conn *)conn;
	db_pg_forget_statements(c);
	PQfinish(c->h);
	free(c);
}

static int pg_connect(void *shared, struct db_conn **ret, struct err *e)
{
	struct pg_conn *c = mr_calloc(1, sizeof(*c));
	c->shared = shared;
	int r = db_pg_dial(shared, &c->h, e);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret = &c->base;
	return 0;
}

/* Nobody speaks to an idle connection but to say that it is over. */
static bool alive(struct db_conn *conn)
{
	struct pg_conn *c = (struct pg_conn *)conn;
	if (c->broken || PQstatus(c->h) != CONNECTION_OK || PQtransactionStatus(c->h) != PQTRANS_IDLE)
		return false;
	struct pollfd p = { .fd = PQsocket(c->h), .events = POLLIN };
	if (poll(&p, 1, 0) <= 0)
		return true;
	return PQconsumeInput(c->h) && PQstatus(c->h) == CONNECTION_OK && !(p.revents & (POLLHUP | POLLERR));
}

/* ---- transactions ---- */

static int begin(struct db_conn *conn, struct err *e)
{
	struct pg_conn *c = (struct pg_conn *)conn;
	PGresult *res = NULL;
	int r = db_pg_simple(c, "BEGIN READ WRITE; SELECT pg_current_xact_id()::text, " PG_CLOCK_SQL, PG_ANSWER_MS, &res, e);
	if (r < 0) {
		c->broken = true; /* a transaction may be open: nothing else may come into it */
		return r;
	}
	(void)snprintf(c->xid, sizeof(c->xid), "%s", PQgetvalue(res, 0, 0));
	c->began_ms = strtoll(PQgetvalue(res, 0, 1), NULL, 10);
	PQclear(res);
	db_pg_note_clock(c->shared, c->began_ms);
	c->in_transaction = true;
	return 0;
}

static void rollback(struct db_conn *conn)
{
	struct pg_conn *c = (struct pg_conn *)conn;
	struct err ignored;
	c->in_transaction = false;
	if (!c->broken && db_pg_simple(c, "ROLLBACK", PG_ANSWER_MS, NULL, &ignored) < 0)
		c->broken = true;
}

/* What became of a transaction: "committed", "aborted", "in progress", "" (nobody knows any more). */
static int look_up(struct pg_conn *c, const char *xid, char ret[16], struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(&c->base, "SELECT COALESCE(pg_xact_status($1::text::xid8), '')", DB_PARAMS(DB_TEXT(xid)), &rows, e);
	if (r > 0)
		(void)snprintf(ret, 16, "%s", db_text(rows, 0));
	return r < 0 ? r : 0;
}

static int outcome(struct pg_conn *c, struct err *e)
{
	int64_t give_up_ms = clock_mono_ms() + OUTCOME_MS;
	do {
		struct err ignored;
		char status[16] = "";
		int r = look_up(c, c->xid, status, &ignored);
		if (r == 0 && strcmp(status, "committed") == 0)
			return 0;
		if (r == 0 && strcmp(status, "aborted") == 0)
			return err_set_code(e, ERR_UNAVAILABLE, DB_AWAY_CODE, "the connection to the database was lost");
		if (r == 0 && !*status)
			break;
		(void)nanosleep(&(struct timespec){ .tv_nsec = OUTCOME_EVERY_MS * 1000000L }, NULL);
	} while (clock_mono_ms() < give_up_ms);
	return err_set_code(e, ERR_UNAVAILABLE, "DB_UNKNOWN",
			    "the connection to the database was lost in a commit: whether it was done is not known");
}

static int commit(struct db_conn *conn, struct err *e)
{
	struct pg_conn *c = (struct pg_conn *)conn;
	PGresult *res = NULL;
	c->in_transaction = false;
	int r = c->broken ? -ERR_UNAVAILABLE : db_pg_simple(c, "COMMIT", PG_ANSWER_MS, &res, e);
	if (r < 0)
		return c->broken ? outcome(c, e) : r;
	/* Somebody went on after a statement had failed. */
	if (strcmp(PQcmdStatus(res), "COMMIT") != 0)
		r = err_set(e, ERR_INTERNAL, "a transaction with a failed statement was committed");
	PQclear(res);
	return r;
}

/* ---- the clock ---- */

static int64_t reckon(struct pg_shared *s)
{
	int64_t mono_ms = clock_mono_ms(), now_ms = 0;
	pthread_mutex_lock(&s->lock);
	if (s->clock_read_ms && mono_ms - s->clock_read_ms < CLOCK_KEPT_MS)
		now_ms = s->clock_offset_ms + mono_ms;
	pthread_mutex_unlock(&s->lock);
	return now_ms;
}

static int now_ms(struct db_conn *conn, int64_t *ret_ms, struct err *e)
{
	struct pg_conn *c = (struct pg_conn *)conn;
	int64_t now = c->in_transaction ? c->began_ms : reckon(c->shared);
	if (!now) {
		_cleanup_db_rows_ struct db_rows *rows = NULL;
		int r = db_first(conn, "SELECT " PG_CLOCK_SQL, DB_NO_PARAMS, &rows, e);
		if (r < 0)
			return r;
		now = db_int(rows, 0);
		db_pg_note_clock(c->shared, now);
	}
	*ret_ms = now;
	return 0;
}

/* ---- the schema ---- */

static int script(struct db_conn *conn, const char *sql, struct err *e)
{
	_cleanup_free_ char *text = db_pg_script_text(sql);
	if (!text)
		return err_set(e, ERR_TOO_LARGE, "a script is too long");
	return db_pg_simple((struct pg_conn *)conn, text, PG_SCRIPT_MS, NULL, e);
}

/* Until the transaction's end, and whatever time others take: they may be rewriting tables. */
static int lock_schema(struct db_conn *conn, struct err *e)
{
	char sql[160];
	(void)snprintf(sql, sizeof(sql),
		       "SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(%d, hashtext(COALESCE(current_schema(), '')))",
		       SCHEMA_LOCK);
	return db_pg_simple((struct pg_conn *)conn, sql, PG_SCRIPT_MS, NULL, e);
}

static int has_table(struct db_conn *conn, const char *name, bool *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(conn, "SELECT to_regclass($1) IS NOT NULL", DB_PARAMS(DB_TEXT(name)), &rows, e);
	if (r < 0)
		return r;
	*ret = db_int(rows, 0) != 0;
	return 0;
}

const struct db_driver db_driver_postgres = {
	.open = pg_open,
	.close = shared_free,
	.connect = pg_connect,
	.disconnect = pg_disconnect,
	.alive = alive,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.now_ms = now_ms,
	.script = script,
	.lock_schema = lock_schema,
	.has_table = has_table,
	.query = db_pg_query,
	.next = db_pg_next,
	.changes = db_pg_changes,
	.finish = db_pg_finish,
	.is_null = db_pg_is_null,
	.get_int = db_pg_get_int,
	.get_real = db_pg_get_real,
	.get_text = db_pg_get_text,
	.listen = db_pg_listen,
	.listen_stop = db_pg_listen_stop,
	.notify = db_pg_notify,
};
