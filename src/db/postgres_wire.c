/* The PostgreSQL driver's connections: dialling with back-off, and answers that are waited for with a time limit, so that a server
 * that hangs, or a network that swallows packets, costs a bounded time. Errors become kinds here. Runs in the server and worker
 * process, in any thread; a connection in one at a time.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "db/postgres.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 2000

/* ---- errors ---- */

enum err_kind db_postgres_kind(const char *sqlstate)
{
	static const struct {
		const char *prefix;
		enum err_kind kind;
	} kinds[] = {
		{ "08P01", ERR_INTERNAL },   { "08", ERR_UNAVAILABLE },	   { "22021", ERR_INVALID },
		{ "22P05", ERR_INVALID },    { "23", ERR_CONFLICT },	   { "25006", ERR_UNAVAILABLE },
		{ "25P03", ERR_UNAVAILABLE }, { "28", ERR_UNAVAILABLE },	   { "3D", ERR_UNAVAILABLE },
		{ "40", ERR_UNAVAILABLE },   { "42501", ERR_IO },	   { "53100", ERR_NO_SPACE },
		{ "53", ERR_UNAVAILABLE },   { "54", ERR_TOO_LARGE },	   { "55P03", ERR_UNAVAILABLE },
		{ "57", ERR_UNAVAILABLE },   { "58", ERR_IO },		   { "XX001", ERR_IO },
		{ "XX002", ERR_IO },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(kinds); i++)
		if (strncmp(sqlstate, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return kinds[i].kind;
	return ERR_INTERNAL;
}

/* Serialization failure, deadlock, a lock that was not had in time: running the transaction again can help. Else an outage, where
 * the session is over; a server that became read-only is the wrong one by now, so that is one, too. */
static const char *machine_code(const char *sqlstate)
{
	static const char *const busy[] = { "40001", "40P01", "55P03" };
	static const char *const away[] = { "08", "25006", "25P03", "57P" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(busy); i++)
		if (strcmp(sqlstate, busy[i]) == 0)
			return DB_BUSY_CODE;
	for (size_t i = 0; i < MR_ARRAY_SIZE(away); i++)
		if (strncmp(sqlstate, away[i], strlen(away[i])) == 0 && strcmp(sqlstate, "08P01") != 0)
			return DB_AWAY_CODE;
	if (strncmp(sqlstate, "XX00", 4) == 0 && (sqlstate[4] == '1' || sqlstate[4] == '2'))
		return "DB_CORRUPT";
	return strncmp(sqlstate, "23", 2) == 0 ? DB_CONSTRAINT_CODE : "";
}

bool db_pg_is_away(const struct err *e)
{
	return strcmp(e->code, DB_AWAY_CODE) == 0;
}

/* libpq ends lines, and writes several. */
static void one_line(char *text)
{
	size_t n = strlen(text);
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = '\0';
	for (char *p = text; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
}

static int lost(struct pg_conn *c, const char *why, struct err *e)
{
	c->broken = true;
	int r = err_set_code(e, ERR_UNAVAILABLE, DB_AWAY_CODE, "the connection to the database was lost: %s", why);
	if (e)
		one_line(e->message);
	return r;
}

static int failed(struct pg_conn *c, const PGresult *res, const char *doing, struct err *e)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	if (!state)
		return lost(c, PQerrorMessage(c->h), e);
	const char *why = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), *code = machine_code(state);
	enum err_kind kind = db_postgres_kind(state);
	/* What is being done is of interest where it is our fault. */
	int r = err_set_code(e, kind, code, "%s: %s", kind == ERR_INTERNAL ? doing : "database", why ? why : state);
	if (strcmp(code, DB_AWAY_CODE) == 0)
		c->broken = true;
	if (e && (strcmp(code, "DB_CORRUPT") == 0 || strcmp(state, "42501") == 0))
		e->retriable = false;
	return r;
}

/* ---- answers ---- */

static int wait_ready(struct pg_conn *c, short events, int64_t give_up_ms, struct err *e)
{
	for (;;) {
		int64_t left_ms = give_up_ms - clock_mono_ms();
		if (left_ms <= 0)
			return lost(c, "no answer in time", e);
		struct pollfd p = { .fd = PQsocket(c->h), .events = events };
		if (poll(&p, 1, left_ms > 60000 ? 60000 : (int)left_ms) <= 0)
			continue; /* EINTR as well: the time decides */
		if ((p.revents & ~POLLOUT) && !PQconsumeInput(c->h))
			return lost(c, PQerrorMessage(c->h), e);
		return 0;
	}
}

/* One result, NULL at the end. */
static int next_result(struct pg_conn *c, int64_t give_up_ms, PGresult **ret, struct err *e)
{
	int pending;
	while ((pending = PQflush(c->h)) > 0) {
		int r = wait_ready(c, POLLIN | POLLOUT, give_up_ms, e);
		if (r < 0)
			return r;
	}
	if (pending < 0)
		return lost(c, PQerrorMessage(c->h), e);
	while (PQisBusy(c->h)) {
		int r = wait_ready(c, POLLIN, give_up_ms, e);
		if (r < 0)
			return r;
	}
	*ret = PQgetResult(c->h);
	return 0;
}

int db_pg_answer(struct pg_conn *c, int sent, int64_t timeout_ms, const char *doing, PGresult **ret, struct err *e)
{
	if (!sent)
		return lost(c, PQerrorMessage(c->h), e);
	int64_t give_up_ms = clock_mono_ms() + timeout_ms;
	PGresult *last = NULL, *res = NULL;
	int r;
	while ((r = next_result(c, give_up_ms, &res, e)) == 0 && res) {
		PQclear(last);
		last = res;
	}
	if (r == 0) {
		ExecStatusType status = PQresultStatus(last);
		if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
			*ret = last;
			return 0;
		}
		r = status == PGRES_EMPTY_QUERY ? err_set(e, ERR_INTERNAL, "an empty statement") : failed(c, last, doing, e);
	}
	PQclear(last);
	return r;
}

int db_pg_simple(struct pg_conn *c, const char *sql, int64_t timeout_ms, PGresult **ret, struct err *e)
{
	PGresult *res = NULL;
	int r = db_pg_answer(c, PQsendQuery(c->h, sql), timeout_ms, sql, &res, e);
	if (r < 0)
		return r;
	if (ret)
		*ret = res;
	else
		PQclear(res);
	return 0;
}

/* ---- connecting ---- */

static void say_nothing(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

/* Whoever else comes while the server is away gets its answer at once; the wait grows, at random, so that a server that comes back
 * isn't met by everybody at the same moment. */
static void note_failure(struct pg_shared *s, const struct err *e)
{
	uint16_t random;
	random_bytes(&random, sizeof(random));
	pthread_mutex_lock(&s->lock);
	uint32_t doublings = s->failures < 5 ? s->failures : 5;
	int64_t wait_ms = BACKOFF_FIRST_MS << doublings;
	wait_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS;
	s->not_before_ms = clock_mono_ms() + wait_ms / 2 + random % wait_ms / 2;
	s->failures++;
	s->last_failure = *e;
	pthread_mutex_unlock(&s->lock);
}

static bool in_vain(struct pg_shared *s, struct err *e)
{
	pthread_mutex_lock(&s->lock);
	bool vain = s->failures && clock_mono_ms() < s->not_before_ms;
	if (vain)
		(void)err_copy(e, &s->last_failure);
	pthread_mutex_unlock(&s->lock);
	return vain;
}

/* Locks of a process that is paused or whose machine is gone must not stop the others: the server ends its transaction. */
static int set_up(struct pg_shared *s, PGconn *h, struct err *e)
{
	struct pg_conn c = { .shared = s, .h = h };
	_cleanup_free_ char *sql = mr_asprintf("SET lock_timeout = %u; SET idle_in_transaction_session_timeout = 15000;"
					       " SET client_min_messages = error; SET standard_conforming_strings = on;"
					       " SET default_transaction_isolation = 'read committed';"
					       " SELECT " PG_CLOCK_SQL,
					       s->busy_timeout_ms);
	PGresult *res = NULL;
	int r = db_pg_simple(&c, sql, PG_ANSWER_MS, &res, e);
	if (r < 0)
		return r;
	db_pg_note_clock(s, strtoll(PQgetvalue(res, 0, 0), NULL, 10));
	PQclear(res);
	return 0;
}

static int dial_now(struct pg_shared *s, PGconn **ret, struct err *e)
{
	/* What the URL says stands behind our defaults, and so goes before them. */
	static const char *const names[] = { "fallback_application_name", "connect_timeout", "tcp_user_timeout", "dbname",
					     "client_encoding", NULL };
	const char *const values[] = { "millrace", PG_CONNECT_S, "30000", s->url, "UTF8", NULL };
	PGconn *h = PQconnectdbParams(names, values, 1);
	if (!h || PQstatus(h) != CONNECTION_OK) {
		int r = err_set_code(e, ERR_UNAVAILABLE, DB_AWAY_CODE, "the database cannot be reached: %s",
				     h ? PQerrorMessage(h) : "no memory");
		one_line(e->message);
		PQfinish(h);
		return r;
	}
	(void)PQsetNoticeProcessor(h, say_nothing, NULL);
	if (PQserverVersion(h) < 130000) {
		int version = PQserverVersion(h) / 10000;
		PQfinish(h);
		return err_set(e, ERR_UNSUPPORTED, "PostgreSQL %d is too old: 13 or newer is needed", version);
	}
	int r = PQsetnonblocking(h, 1) == 0 ? set_up(s, h, e) : err_set(e, ERR_INTERNAL, "PQsetnonblocking failed");
	if (r < 0) {
		PQfinish(h);
		return r;
	}
	*ret = h;
	return 0;
}

int db_pg_dial(struct pg_shared *s, PGconn **ret, struct err *e)
{
	struct err own;
	if (!e)
		e = &own;
	if (in_vain(s, e))
		return -(int)e->kind;
	int r = dial_now(s, ret, e);
	if (r < 0) {
		note_failure(s, e);
		return r;
	}
	pthread_mutex_lock(&s->lock);
	s->failures = 0;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int db_pg_redial(struct pg_conn *c, struct err *e)
{
	PGconn *h = NULL;
	int r = db_pg_dial(c->shared, &h, e);
	if (r < 0)
		return r;
	PQfinish(c->h);
	db_pg_forget_statements(c);
	c->h = h;
	c->broken = false;
	c->in_transaction = false;
	return 0;
}

void db_pg_note_clock(struct pg_shared *s, int64_t server_ms)
{
	int64_t mono_ms = clock_mono_ms();
	pthread_mutex_lock(&s->lock);
	s->clock_offset_ms = server_ms - mono_ms;
	s->clock_read_ms = mono_ms;
	pthread_mutex_unlock(&s->lock);
}
