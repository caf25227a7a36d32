/* Statements of the SQLite driver: a cache of prepared ones for each connection (least recently used goes first),
 * binding of $N by number, rows by step. A statement whose rows are still being read is not shared: a nested use
 * prepares another.
 */
#include <stdlib.h>
#include <string.h>

#include "db/sqlite.h"

static void stmt_free(struct sqlite_stmt *s)
{
	(void)sqlite3_finalize(s->h);
	free(s->sql);
	free(s);
}

void db_sqlite_stmt_free_all(struct sqlite_conn *c)
{
	for (size_t i = 0; i < c->statement_count; i++)
		stmt_free(c->statements[i]);
	c->statement_count = 0;
}

/* SQLite numbers $N by first appearance; PostgreSQL by N. N it is. */
static int number_params(struct sqlite_stmt *s, struct err *e)
{
	s->param_count = sqlite3_bind_parameter_count(s->h);
	if (s->param_count > DB_PARAMS_MAX)
		return err_set(e, ERR_INTERNAL, "more than %d parameters: %s", DB_PARAMS_MAX, s->sql);
	for (int i = 0; i < s->param_count; i++) {
		const char *name = sqlite3_bind_parameter_name(s->h, i + 1);
		char *end = NULL;
		unsigned long n = name && name[0] == '$' ? strtoul(name + 1, &end, 10) : 0;
		if (n < 1 || n > DB_PARAMS_MAX || *end)
			return err_set(e, ERR_INTERNAL, "parameter %d isn't $1…$%d: %s", i + 1, DB_PARAMS_MAX, s->sql);
		s->param_numbers[i] = (uint8_t)n;
		if (n > s->highest)
			s->highest = n;
	}
	return 0;
}

/* A transaction that may write is alone: there is nothing to lock and nobody to skip. */
static void leave_out(char *sql, const char *clause)
{
	for (char *at = sql; (at = strstr(at, clause)) != NULL;)
		memset(at, ' ', strlen(clause));
}

static int prepare(struct sqlite_conn *c, const char *sql, struct sqlite_stmt **ret, struct err *e)
{
	struct sqlite_stmt *s = mr_calloc(1, sizeof(*s));
	_cleanup_free_ char *plain = mr_strdup(sql);
	s->conn = c;
	s->sql = mr_strdup(sql);
	leave_out(plain, DB_LOCK_FREE);
	leave_out(plain, DB_LOCK);
	const char *tail = NULL;
	int code = sqlite3_prepare_v3(c->h, plain, -1, SQLITE_PREPARE_PERSISTENT, &s->h, &tail);
	int r = 0;
	if (code != SQLITE_OK)
		r = db_sqlite_error(c->h, code, sql, e);
	else if (!s->h || tail[strspn(tail, " ")])
		r = err_set(e, ERR_INTERNAL, "not exactly one statement: %s", sql);
	else
		r = number_params(s, e);
	if (r < 0) {
		stmt_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* A slot for one more: a free one, or that of the statement that was idle longest. NULL: all are in use. */
static struct sqlite_stmt **slot(struct sqlite_conn *c)
{
	if (c->statement_count < SQLITE_STATEMENTS_MAX)
		return &c->statements[c->statement_count++];
	struct sqlite_stmt **oldest = NULL;
	for (size_t i = 0; i < c->statement_count; i++)
		if (!c->statements[i]->in_use && (!oldest || c->statements[i]->used_at < (*oldest)->used_at))
			oldest = &c->statements[i];
	if (oldest)
		stmt_free(*oldest);
	return oldest;
}

static int find(struct sqlite_conn *c, const char *sql, struct sqlite_stmt **ret, struct err *e)
{
	bool known = false;
	for (size_t i = 0; i < c->statement_count && !known; i++) {
		struct sqlite_stmt *s = c->statements[i];
		if (strcmp(s->sql, sql) != 0)
			continue;
		known = true;
		if (!s->in_use) {
			*ret = s;
			return 0;
		}
	}
	struct sqlite_stmt *s = NULL;
	int r = prepare(c, sql, &s, e);
	if (r < 0)
		return r;
	struct sqlite_stmt **at = known ? NULL : slot(c);
	if (at) {
		*at = s;
		s->cached = true;
	}
	*ret = s;
	return 0;
}

static int bind_one(sqlite3_stmt *h, int at, const struct db_param *p)
{
	switch (p->type) {
	case DB_TYPE_TEXT:
		return sqlite3_bind_text(h, at, p->text, -1, SQLITE_TRANSIENT);
	case DB_TYPE_INT:
		return sqlite3_bind_int64(h, at, p->i);
	case DB_TYPE_REAL:
		return sqlite3_bind_double(h, at, p->f);
	case DB_TYPE_NULL:
		break;
	}
	return sqlite3_bind_null(h, at);
}

static int bind(struct sqlite_stmt *s, const struct db_params *params, struct err *e)
{
	if (params->count != s->highest)
		return err_set(e, ERR_INTERNAL, "%zu parameters given, %zu wanted: %s", params->count, s->highest,
			       s->sql);
	for (int i = 0; i < s->param_count; i++) {
		int code = bind_one(s->h, i + 1, &params->values[s->param_numbers[i] - 1]);
		if (code != SQLITE_OK)
			return db_sqlite_error(s->conn->h, code, s->sql, e);
	}
	return 0;
}

int db_sqlite_query(struct db_conn *conn, const char *sql, const struct db_params *params, struct db_rows **ret,
		    struct err *e)
{
	struct sqlite_conn *c = (struct sqlite_conn *)conn;
	struct sqlite_stmt *s = NULL;
	int r = find(c, sql, &s, e);
	if (r < 0)
		return r;
	s->in_use = true;
	s->used_at = ++c->tick;
	r = bind(s, params, e);
	if (r < 0) {
		db_sqlite_finish(&s->base);
		return r;
	}
	*ret = &s->base;
	return 0;
}

int db_sqlite_next(struct db_rows *rows, struct err *e)
{
	struct sqlite_stmt *s = (struct sqlite_stmt *)rows;
	int code = sqlite3_step(s->h);
	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	return db_sqlite_error(s->conn->h, code, "database", e);
}

int64_t db_sqlite_changes(struct db_rows *rows)
{
	return sqlite3_changes64(((struct sqlite_stmt *)rows)->conn->h);
}

void db_sqlite_finish(struct db_rows *rows)
{
	struct sqlite_stmt *s = (struct sqlite_stmt *)rows;
	(void)sqlite3_reset(s->h);
	(void)sqlite3_clear_bindings(s->h); /* frees the copies */
	s->in_use = false;
	if (!s->cached)
		stmt_free(s);
}

bool db_sqlite_is_null(struct db_rows *rows, int column)
{
	return sqlite3_column_type(((struct sqlite_stmt *)rows)->h, column) == SQLITE_NULL;
}

int64_t db_sqlite_get_int(struct db_rows *rows, int column)
{
	return sqlite3_column_int64(((struct sqlite_stmt *)rows)->h, column);
}

double db_sqlite_get_real(struct db_rows *rows, int column)
{
	return sqlite3_column_double(((struct sqlite_stmt *)rows)->h, column);
}

const char *db_sqlite_get_text(struct db_rows *rows, int column)
{
	return (const char *)sqlite3_column_text(((struct sqlite_stmt *)rows)->h, column);
}
