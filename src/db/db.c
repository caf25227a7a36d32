/* The part of SQL access that no database differs in: the pool; transactions, which share a commit where several wait for the
 * one writer, and are run again when the database was busy or the connection was lost. Runs in the server and worker process.
 * Connections are opened when needed and kept as long as they work; nobody waits for one longer than the busy time-out. It does
 * not detect a caller that waits for a second connection while holding the only one.
 */
#include "db/db.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/timed.h"
#include "db/driver.h"

#define TRANSACT_ATTEMPTS 5
#define GROUP_MAX 256 /* transactions that share a commit */

struct write;
struct db {
	const struct db_driver *driver;
	void *shared;
	uint32_t max;
	uint32_t wait_ms;
	pthread_mutex_t lock;
	pthread_cond_t freed;
	/* protected by lock */
	struct db_conn *idle;
	uint32_t open;
	uint32_t in_use;

	pthread_mutex_t writes_lock;
	/* protected by writes_lock */
	struct write *writes; /* who waits, the oldest first */
	bool led;	      /* somebody is at it, or has been told to be */
};

static const struct {
	const char *scheme;
	const struct db_driver *driver;
} drivers[] = {
	{ "sqlite:", &db_driver_sqlite },
	{ "postgres:", &db_driver_postgres },
	{ "postgresql:", &db_driver_postgres },
};

static const struct db_driver *driver_of(const char *url, const char **ret_where)
{
	for (size_t i = 0; i < MR_ARRAY_SIZE(drivers); i++) {
		size_t n = strlen(drivers[i].scheme);
		if (strncmp(url, drivers[i].scheme, n) == 0) {
			*ret_where = url + n;
			return drivers[i].driver;
		}
	}
	return NULL;
}

static void init_sync(struct db *db)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&db->freed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&db->lock, NULL);
	pthread_mutex_init(&db->writes_lock, NULL);
}

int db_open(const struct db_opts *opts, struct db **ret, struct err *e)
{
	const char *where = NULL;
	const struct db_driver *driver = driver_of(opts->url, &where);
	if (!driver)
		return err_set(e, ERR_INVALID, "database: must begin with \"sqlite:\" or \"postgres://\"");
	struct db_opts filled = *opts;
	if (!filled.busy_timeout_ms)
		filled.busy_timeout_ms = DB_BUSY_TIMEOUT_DEFAULT_MS;

	struct db *db = mr_calloc(1, sizeof(*db));
	db->driver = driver;
	db->wait_ms = filled.busy_timeout_ms;
	init_sync(db);
	struct db_conn *c = NULL;
	int r = driver->open(&filled, where, &db->shared, &db->max, e);
	if (r < 0) {
		db_close(db);
		return r;
	}
	r = db_acquire(db, &c, e);
	if (r < 0) {
		db_close(db);
		return r;
	}
	db_release(&c);
	*ret = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	assert(db->in_use == 0);
	while (db->idle) {
		struct db_conn *c = db->idle;
		db->idle = c->next_idle;
		db->driver->disconnect(c);
	}
	if (db->shared)
		db->driver->close(db->shared);
	pthread_mutex_destroy(&db->lock);
	pthread_mutex_destroy(&db->writes_lock);
	pthread_cond_destroy(&db->freed);
	free(db);
}

static struct timespec deadline_in(uint32_t ms)
{
	struct timespec at;
	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)(ms / 1000);
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

/* Takes an idle connection, or the right to open one (*ret NULL), which `may_open` denies while there are others. */
static int reserve(struct db *db, bool may_open, const struct timespec *deadline, struct db_conn **ret, struct err *e)
{
	pthread_mutex_lock(&db->lock);
	while (!db->idle && db->open && (!may_open || db->open == db->max)) {
		if (pthread_cond_timedwait(&db->freed, &db->lock, deadline) != 0 && !db->idle && db->open) {
			uint32_t open = db->open;
			pthread_mutex_unlock(&db->lock);
			return err_set_code(e, ERR_UNAVAILABLE, DB_BUSY_CODE, "all %u connections to the database are in use",
					    open);
		}
	}
	*ret = db->idle;
	if (db->idle)
		db->idle = db->idle->next_idle;
	else
		db->open++;
	db->in_use++;
	pthread_mutex_unlock(&db->lock);
	return 0;
}

/* One less is open. */
static void forget(struct db *db, struct db_conn *c)
{
	if (c)
		db->driver->disconnect(c);
	pthread_mutex_lock(&db->lock);
	db->open--;
	db->in_use--;
	/* Whoever waits may have to open one, and all if none is left. */
	pthread_cond_broadcast(&db->freed);
	pthread_mutex_unlock(&db->lock);
}

static bool alive(const struct db *db, struct db_conn *c)
{
	return !db->driver->alive || db->driver->alive(c);
}

int db_acquire(struct db *db, struct db_conn **ret, struct err *e)
{
	struct timespec deadline = deadline_in(db->wait_ms);
	bool may_open = true;
	for (;;) {
		struct db_conn *c = NULL;
		int r = reserve(db, may_open, &deadline, &c, e);
		if (r < 0)
			return r;
		if (c && !alive(db, c)) {
			forget(db, c);
			continue;
		}
		if (c) {
			*ret = c;
			return 0;
		}
		r = db->driver->connect(db->shared, &c, e);
		if (r == 0) {
			c->driver = db->driver;
			c->db = db;
			*ret = c;
			return 0;
		}
		forget(db, NULL);
		pthread_mutex_lock(&db->lock);
		bool others = db->open > 0;
		pthread_mutex_unlock(&db->lock);
		/* The server may have no room for one more: then one of ours that becomes free will do. */
		if (!others)
			return r;
		may_open = false;
	}
}

void db_release(struct db_conn **conn)
{
	struct db_conn *c = mr_steal(*conn);
	if (!c)
		return;
	struct db *db = c->db;
	if (!alive(db, c)) {
		forget(db, c);
		return;
	}
	pthread_mutex_lock(&db->lock);
	c->next_idle = db->idle;
	db->idle = c;
	db->in_use--;
	pthread_cond_signal(&db->freed);
	pthread_mutex_unlock(&db->lock);
}

/* ---- transactions ---- */

/* One caller of db_transact. Those who come while a transaction is being committed are done together in the next one, by the
 * first of them: what a commit costs is the disk's answer, and that is waited for once. */
struct write {
	struct write *next;
	db_tx_fn fn;
	void *ctx;
	struct err *e;
	int result;
	bool again; /* running it again can help */
	/* protected by writes_lock */
	bool leads, done;
	pthread_cond_t turn;
};

static void fail_all(struct write *group, int r, const struct err *e)
{
	for (struct write *w = group; w; w = w->next) {
		*w->e = *e;
		w->result = r;
		w->again = false;
	}
}

static bool can_help(const struct write *w)
{
	return w->result < 0 && (strcmp(w->e->code, DB_BUSY_CODE) == 0 || strcmp(w->e->code, DB_AWAY_CODE) == 0);
}

static void run_one(struct db_conn *c, struct write *w)
{
	int r = c->driver->begin(c, w->e);
	if (r == 0) {
		r = w->fn(c, w->ctx, w->e);
		if (r < 0) {
			c->driver->rollback(c);
		} else {
			int committed = c->driver->commit(c, w->e);
			r = committed < 0 ? committed : r;
		}
	}
	w->result = r;
	w->again = can_help(w);
}

/* Within the transaction of all. Negative: that is lost as a whole, as it is where the database has rolled back by itself. */
static int run_member(struct db_conn *c, struct write *w)
{
	struct err ignored;
	int r = db_exec(c, "SAVEPOINT member", DB_NO_PARAMS, NULL, &ignored);
	if (r < 0)
		return r;
	w->result = w->fn(c, w->ctx, w->e);
	w->again = can_help(w);
	if (w->result < 0)
		r = db_exec(c, "ROLLBACK TO member", DB_NO_PARAMS, NULL, &ignored);
	return r < 0 ? r : db_exec(c, "RELEASE member", DB_NO_PARAMS, NULL, &ignored);
}

/* False: nothing of it was committed. */
static bool run_together(struct db_conn *c, struct write *group)
{
	struct err ignored;
	if (c->driver->begin(c, &ignored) < 0)
		return false;
	int r = 0;
	for (struct write *w = group; w && r == 0; w = w->next)
		r = run_member(c, w);
	if (r < 0)
		c->driver->rollback(c);
	return r == 0 && c->driver->commit(c, &ignored) == 0;
}

static void run_group(struct db *db, struct write *group)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	struct err e;
	int r = db_acquire(db, &c, &e);
	if (r < 0) {
		fail_all(group, r, &e);
		return;
	}
	/* Where the whole fails each gets what its own transaction says: one's fault is not the others'. */
	if (group->next && run_together(c, group))
		return;
	for (struct write *w = group; w; w = w->next)
		run_one(c, w);
}

/* The oldest ones, up to GROUP_MAX. */
static struct write *take_group_locked(struct db *db)
{
	struct write *first = db->writes, **end = &db->writes;
	for (unsigned n = 0; *end && n < GROUP_MAX; n++)
		end = &(*end)->next;
	db->writes = *end;
	*end = NULL;
	return first;
}

static void release_group_locked(struct db *db, struct write *group)
{
	while (group) {
		struct write *w = group;
		group = w->next; /* when it is done it is gone */
		w->done = true;
		pthread_cond_signal(&w->turn);
	}
	db->led = db->writes != NULL;
	if (db->led) {
		db->writes->leads = true;
		pthread_cond_signal(&db->writes->turn);
	}
}

static void transact_in_turn(struct db *db, struct write *w)
{
	pthread_cond_init(&w->turn, NULL);
	pthread_mutex_lock(&db->writes_lock);
	struct write **last = &db->writes;
	while (*last)
		last = &(*last)->next;
	*last = w;
	w->leads = !db->led;
	db->led = true;
	while (!w->leads && !w->done)
		pthread_cond_wait(&w->turn, &db->writes_lock);
	if (!w->done) {
		struct write *group = take_group_locked(db);
		pthread_mutex_unlock(&db->writes_lock);
		run_group(db, group);
		pthread_mutex_lock(&db->writes_lock);
		release_group_locked(db, group);
	}
	pthread_mutex_unlock(&db->writes_lock);
	pthread_cond_destroy(&w->turn);
}

/* 5–20 ms after the first attempt, longer after later ones; random, so that two who collided do not do so again. */
static void pause_before_retry(unsigned attempts)
{
	uint16_t random;
	random_bytes(&random, sizeof(random));
	long ms = (5 + random % 16) * (long)attempts;
	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

int db_transact(struct db *db, db_tx_fn fn, void *ctx, struct err *e)
{
	struct err own;
	if (!e)
		e = &own; /* the code decides below */
	for (unsigned n = 1;; n++) {
		struct write w = { .fn = fn, .ctx = ctx, .e = e };
		if (db->driver->one_writer)
			transact_in_turn(db, &w);
		else
			run_group(db, &w);
		/* Two may have looked for the same and found nothing: who comes second sees it now. */
		bool unseen = n == 1 && !db->driver->one_writer && w.result < 0 && strcmp(e->code, DB_CONSTRAINT_CODE) == 0;
		if ((!w.again && !unseen) || n == TRANSACT_ATTEMPTS)
			return w.result;
		pause_before_retry(n);
	}
}

int db_listen(struct db *db, db_heard_fn fn, void *ctx, struct err *e)
{
	return db->driver->listen ? db->driver->listen(db->shared, fn, ctx, e) :
				    err_set(e, ERR_UNSUPPORTED, "this database tells nothing");
}

void db_listen_stop(struct db *db)
{
	if (db->driver->listen_stop)
		db->driver->listen_stop(db->shared);
}

int db_notify(struct db *db, const char *text, struct err *e)
{
	_cleanup_db_conn_ struct db_conn *c = NULL;
	if (!db->driver->notify || strlen(text) > DB_NOTIFY_MAX)
		return err_set(e, ERR_UNSUPPORTED, "this database tells nothing, or not so much");
	int r = db_acquire(db, &c, e);
	return r < 0 ? r : db->driver->notify(c, text, e);
}

int db_now_ms(struct db_conn *c, int64_t *ret_ms, struct err *e)
{
	return c->driver->now_ms(c, ret_ms, e);
}

int db_exec(struct db_conn *c, const char *sql, const struct db_params *params, int64_t *ret_changes, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_query(c, sql, params, &rows, e);
	if (r < 0)
		return r;
	while ((r = db_next(rows, e)) > 0)
		;
	if (r < 0)
		return r;
	if (ret_changes)
		*ret_changes = c->driver->changes(rows);
	return 0;
}

static const char *operation_of(const char *sql)
{
	static const char *const names[] = { "select", "insert", "update", "delete" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(names); i++)
		if (strncasecmp(sql, names[i], 6) == 0)
			return names[i];
	return "other";
}

int db_query(struct db_conn *c, const char *sql, const struct db_params *params, struct db_rows **ret, struct err *e)
{
	static const struct db_params none;
	struct db_rows *rows = NULL;
	int64_t began = clock_mono_ns();
	int r = c->driver->query(c, sql, params ? params : &none, &rows, e);
	if (r < 0) {
		timed_done(TIMED_DATABASE, operation_of(sql), sql, clock_mono_ns() - began, r);
		return r;
	}
	rows->driver = c->driver;
	rows->took_ns = clock_mono_ns() - began;
	rows->result = 0;
	(void)snprintf(rows->sql, sizeof(rows->sql), "%s", sql);
	*ret = rows;
	return 0;
}

int db_next(struct db_rows *rows, struct err *e)
{
	int64_t began = clock_mono_ns();
	int r = rows->driver->next(rows, e);
	rows->took_ns += clock_mono_ns() - began;
	if (r < 0)
		rows->result = r;
	return r;
}

int db_first(struct db_conn *c, const char *sql, const struct db_params *params, struct db_rows **ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_query(c, sql, params, &rows, e);
	if (r < 0)
		return r;
	r = db_next(rows, e);
	if (r >= 0)
		*ret = mr_steal(rows);
	return r;
}

void db_finish(struct db_rows **rows)
{
	struct db_rows *r = mr_steal(*rows);
	if (!r)
		return;
	timed_done(TIMED_DATABASE, operation_of(r->sql), r->sql, r->took_ns, r->result);
	r->driver->finish(r);
}

bool db_is_null(struct db_rows *rows, int column)
{
	return rows->driver->is_null(rows, column);
}

int64_t db_int(struct db_rows *rows, int column)
{
	return rows->driver->get_int(rows, column);
}

double db_real(struct db_rows *rows, int column)
{
	return rows->driver->get_real(rows, column);
}

const char *db_text(struct db_rows *rows, int column)
{
	return rows->driver->get_text(rows, column);
}
