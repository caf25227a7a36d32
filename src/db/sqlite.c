/* The SQLite driver: connections, transactions, the error map. Statements: db/sqlite_stmt.c. Runs in the server and
 * worker process.
 *
 * WAL with synchronous=FULL: a commit is on the disk when it returns. Writers of this process queue at a mutex
 * (SQLite's own waiting polls, and starves the unlucky); writers of other processes are waited for with the busy
 * time-out. No memory map, and a small page cache, so that a connection costs well below 2 MB.
 */
#include "db/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define MEMORY_NAME ":memory:"

struct sqlite_shared {
	char *path;
	uint32_t busy_timeout_ms;
	pthread_mutex_t writer; /* held by the connection that is in a transaction */
};

enum err_kind db_sqlite_kind(int code, int system_errno)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL: /* "locking protocol": WAL was being recovered by another process for too long */
	case SQLITE_NOMEM:
		return ERR_UNAVAILABLE;
	case SQLITE_FULL:
		return ERR_NO_SPACE;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		if (system_errno == ENOSPC || system_errno == EDQUOT)
			return ERR_NO_SPACE;
		return ERR_IO;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return ERR_IO;
	case SQLITE_CONSTRAINT:
		return ERR_CONFLICT;
	case SQLITE_TOOBIG:
		return ERR_TOO_LARGE;
	case SQLITE_INTERRUPT:
		return ERR_CANCELED;
	default:
		return ERR_INTERNAL;
	}
}

static const char *machine_code(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return DB_BUSY_CODE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return "DB_CORRUPT";
	case SQLITE_CONSTRAINT:
		return DB_CONSTRAINT_CODE;
	default:
		return "";
	}
}

int db_sqlite_error(sqlite3 *h, int code, const char *doing, struct err *e)
{
	const char *why = h && sqlite3_extended_errcode(h) == code ? sqlite3_errmsg(h) : sqlite3_errstr(code);
	int system_errno = h ? sqlite3_system_errno(h) : 0;
	int r = err_set_code(e, db_sqlite_kind(code, system_errno), machine_code(code), "%s: %s", doing, why);
	/* Nothing mends these by waiting. */
	int primary = code & 0xff;
	if (e && (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_READONLY))
		e->retriable = false;
	return r;
}

static void shared_free(void *shared)
{
	struct sqlite_shared *s = shared;
	pthread_mutex_destroy(&s->writer);
	free(s->path);
	free(s);
}

/* The file holds the key that signs URLs: nobody else reads it. SQLite gives its -wal and -shm the same mode. */
static int make_private(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return err_errno(e, errno, "open database %s", path);
	(void)close(fd);
	return 0;
}

static int sqlite_open(const struct db_opts *opts, const char *where, void **ret_shared, uint32_t *ret_connections,
		       struct err *e)
{
	if (!*where)
		return err_set(e, ERR_INVALID, "database \"sqlite:\": the path is missing");
	bool in_memory = strcmp(where, MEMORY_NAME) == 0;
	if (!in_memory) {
		int r = make_private(where, e);
		if (r < 0)
			return r;
	}
	struct sqlite_shared *s = mr_calloc(1, sizeof(*s));
	s->path = mr_strdup(where);
	s->busy_timeout_ms = opts->busy_timeout_ms;
	pthread_mutex_init(&s->writer, NULL);
	*ret_shared = s;
	*ret_connections = in_memory ? 1 : opts->connections ? opts->connections : SQLITE_CONNECTIONS_DEFAULT;
	return 0;
}

/* Changing the journal mode needs the file for itself for a moment, and SQLite does not call the busy handler there:
 * two processes that start at once would see SQLITE_BUSY. */
static int enter_wal(struct sqlite_conn *c, uint32_t timeout_ms, struct err *e)
{
	int64_t give_up_ms = clock_mono_ms() + timeout_ms;
	for (;;) {
		int code = sqlite3_exec(c->h, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
		if (code == SQLITE_OK)
			return 0;
		if ((code & 0xff) != SQLITE_BUSY || clock_mono_ms() >= give_up_ms)
			return db_sqlite_error(c->h, code, "switch the database to WAL", e);
		(void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
}

static int configure(struct sqlite_conn *c, uint32_t timeout_ms, struct err *e)
{
	(void)sqlite3_extended_result_codes(c->h, 1);
	(void)sqlite3_busy_timeout(c->h, (int)timeout_ms);
	(void)sqlite3_db_config(c->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(c->h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(c->h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	(void)sqlite3_db_config(c->h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	int r = enter_wal(c, timeout_ms, e);
	if (r < 0)
		return r;
	int code = sqlite3_exec(c->h,
				"PRAGMA synchronous = FULL;"
				"PRAGMA foreign_keys = ON;"
				"PRAGMA mmap_size = 0;"
				"PRAGMA cache_size = -1024;" /* KiB */
				"PRAGMA temp_store = MEMORY;"
				"PRAGMA journal_size_limit = 16777216;", /* a WAL that grew is cut back to this */
				NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : db_sqlite_error(c->h, code, "configure the database", e);
}

static void sqlite_disconnect(struct db_conn *conn)
{
	struct sqlite_conn *c = (struct sqlite_conn *)conn;
	db_sqlite_stmt_free_all(c);
	(void)sqlite3_close(c->h);
	free(c);
}

static int sqlite_connect(void *shared, struct db_conn **ret, struct err *e)
{
	struct sqlite_shared *s = shared;
	struct sqlite_conn *c = mr_calloc(1, sizeof(*c));
	c->writer = &s->writer;
	/* NOMUTEX: a connection is used by one thread at a time, the pool sees to that. */
	int code =
		sqlite3_open_v2(s->path, &c->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	int r = code == SQLITE_OK ? configure(c, s->busy_timeout_ms, e) : db_sqlite_error(c->h, code, "open", e);
	if (r < 0) {
		sqlite_disconnect(&c->base);
		if (e)
			(void)err_wrap(e, "database %s", s->path);
		return r;
	}
	*ret = &c->base;
	return 0;
}

static int script(struct db_conn *conn, const char *sql, struct err *e)
{
	struct sqlite_conn *c = (struct sqlite_conn *)conn;
	int code = sqlite3_exec(c->h, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : db_sqlite_error(c->h, code, "database", e);
}

/* IMMEDIATE takes the write lock at once: a transaction that reads first and writes later can't fail half-way because
 * somebody else wrote in between. */
static int begin(struct db_conn *conn, struct err *e)
{
	struct sqlite_conn *c = (struct sqlite_conn *)conn;
	pthread_mutex_lock(c->writer);
	int r = db_exec(conn, "BEGIN IMMEDIATE", DB_NO_PARAMS, NULL, e);
	if (r < 0)
		pthread_mutex_unlock(c->writer);
	return r;
}

static void rollback(struct db_conn *conn)
{
	struct sqlite_conn *c = (struct sqlite_conn *)conn;
	/* SQLite itself has rolled back after some errors (a full disk): then there is nothing left to do. */
	if (!sqlite3_get_autocommit(c->h))
		(void)sqlite3_exec(c->h, "ROLLBACK", NULL, NULL, NULL);
	pthread_mutex_unlock(c->writer);
}

static int commit(struct db_conn *conn, struct err *e)
{
	struct sqlite_conn *c = (struct sqlite_conn *)conn;
	int r = db_exec(conn, "COMMIT", DB_NO_PARAMS, NULL, e);
	if (r < 0) {
		rollback(conn);
		return r;
	}
	pthread_mutex_unlock(c->writer);
	return 0;
}

static int now_ms(struct db_conn *c, int64_t *ret_ms, struct err *e)
{
	(void)c;
	(void)e;
	*ret_ms = clock_wall_ms(); /* every process that opens the file is on this machine */
	return 0;
}

static int has_table(struct db_conn *c, const char *name, bool *ret, struct err *e)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1", DB_PARAMS(DB_TEXT(name)), &rows, e);
	if (r < 0)
		return r;
	*ret = r > 0;
	return 0;
}

const struct db_driver db_driver_sqlite = {
	.one_writer = true,
	.open = sqlite_open,
	.close = shared_free,
	.connect = sqlite_connect,
	.disconnect = sqlite_disconnect,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.now_ms = now_ms,
	.script = script,
	.has_table = has_table,
	.query = db_sqlite_query,
	.next = db_sqlite_next,
	.changes = db_sqlite_changes,
	.finish = db_sqlite_finish,
	.is_null = db_sqlite_is_null,
	.get_int = db_sqlite_get_int,
	.get_real = db_sqlite_get_real,
	.get_text = db_sqlite_get_text,
};
