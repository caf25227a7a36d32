/* Statements of the PostgreSQL driver: prepared once for each connection (least recently used goes first), parameters and results
 * as text, which every type takes. A result is held whole: what the repository reads at once is bounded by its LIMITs and by a
 * job's plan.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "db/postgres.h"

#define OID_BOOL 16 /* 0 or 1, as SQLite has it */
#define OID_INT8 20
#define OID_TEXT 25
#define OID_FLOAT8 701
#define NUMBER_SIZE 32
#define SCRIPT_MAX (1U << 20)

struct pg_rows {
	struct db_rows base;
	PGresult *res;
	int row;
};

static void stmt_release(struct pg_stmt *s)
{
	free(s->sql);
	*s = (struct pg_stmt){ 0 };
}

void db_pg_forget_statements(struct pg_conn *c)
{
	for (size_t i = 0; i < c->statement_count; i++)
		stmt_release(&c->statements[i]);
	c->statement_count = 0;
}

/* The N of the highest $N outside of quotes. */
static size_t highest_param(const char *sql)
{
	size_t highest = 0;
	char quote = 0;
	for (const char *p = sql; *p; p++) {
		if (quote) {
			quote = *p == quote ? 0 : quote;
		} else if (*p == '\'' || *p == '"') {
			quote = *p;
		} else if (*p == '$') {
			size_t n = strtoul(p + 1, NULL, 10);
			highest = n > highest ? n : highest;
		}
	}
	return highest;
}

/* ---- parameters ---- */

struct values {
	Oid types[DB_PARAMS_MAX];
	const char *texts[DB_PARAMS_MAX];
	char numbers[DB_PARAMS_MAX][NUMBER_SIZE];
};

static void set_value(struct values *v, size_t i, const struct db_param *p)
{
	v->texts[i] = v->numbers[i];
	switch (p->type) {
	case DB_TYPE_TEXT:
		v->types[i] = OID_TEXT;
		v->texts[i] = p->text;
		return;
	case DB_TYPE_INT:
		v->types[i] = OID_INT8;
		(void)snprintf(v->numbers[i], NUMBER_SIZE, "%lld", (long long)p->i);
		return;
	case DB_TYPE_REAL:
		v->types[i] = OID_FLOAT8;
		(void)snprintf(v->numbers[i], NUMBER_SIZE, "%.17g", p->f);
		return;
	case DB_TYPE_NULL:
		break;
	}
	v->types[i] = 0; /* what the statement makes of it */
	v->texts[i] = NULL;
}

/* ---- preparing ---- */

static int drop(struct pg_conn *c, struct pg_stmt *s, struct err *e)
{
	char sql[64];
	(void)snprintf(sql, sizeof(sql), "DEALLOCATE %s", s->name);
	stmt_release(s);
	return db_pg_simple(c, sql, PG_ANSWER_MS, NULL, e);
}

/* A slot for one more: a free one, or that of the statement that was not used for longest. */
static int slot(struct pg_conn *c, struct pg_stmt **ret, struct err *e)
{
	if (c->statement_count < PG_STATEMENTS_MAX) {
		*ret = &c->statements[c->statement_count];
		return 0;
	}
	struct pg_stmt *oldest = &c->statements[0];
	for (size_t i = 1; i < c->statement_count; i++)
		if (c->statements[i].used_at < oldest->used_at)
			oldest = &c->statements[i];
	*ret = oldest;
	/* The last one takes the place of what goes, so that a failure below leaves no hole. */
	int r = oldest->sql ? drop(c, oldest, e) : 0;
	*oldest = c->statements[--c->statement_count];
	*ret = &c->statements[c->statement_count];
	**ret = (struct pg_stmt){ 0 };
	return r;
}

static int prepare(struct pg_conn *c, const char *sql, const struct values *v, size_t count, struct pg_stmt **ret, struct err *e)
{
	struct pg_stmt *s = NULL;
	char name[16];
	PGresult *res = NULL;
	int r = slot(c, &s, e);
	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "s%llu", (unsigned long long)++c->names);
	r = db_pg_answer(c, PQsendPrepare(c->h, name, sql, (int)count, v->types), PG_ANSWER_MS, sql, &res, e);
	if (r < 0)
		return r;
	PQclear(res);
	*s = (struct pg_stmt){ .sql = mr_strdup(sql), .highest = count };
	memcpy(s->name, name, sizeof(name));
	c->statement_count++;
	*ret = s;
	return 0;
}

static struct pg_stmt *find(struct pg_conn *c, const char *sql)
{
	for (size_t i = 0; i < c->statement_count; i++)
		if (strcmp(c->statements[i].sql, sql) == 0)
			return &c->statements[i];
	return NULL;
}

/* ---- queries ---- */

static int run(struct pg_conn *c, const char *sql, const struct values *v, size_t count, PGresult **ret, struct err *e)
{
	struct pg_stmt *s = find(c, sql);
	int r = s ? 0 : prepare(c, sql, v, count, &s, e);
	if (r < 0)
		return r;
	s->used_at = ++c->tick;
	return db_pg_answer(c, PQsendQueryPrepared(c->h, s->name, (int)count, v->texts, NULL, NULL, 0), PG_ANSWER_MS, sql, ret, e);
}

int db_pg_query(struct db_conn *conn, const char *sql, const struct db_params *params, struct db_rows **ret, struct err *e)
{
	struct pg_conn *c = (struct pg_conn *)conn;
	struct err own;
	if (!e)
		e = &own;
	size_t highest = highest_param(sql);
	if (params->count != highest || highest > DB_PARAMS_MAX)
		return err_set(e, ERR_INTERNAL, "%zu parameters given, %zu wanted: %s", params->count, highest, sql);
	if (c->broken && c->in_transaction)
		return err_set_code(e, ERR_UNAVAILABLE, DB_AWAY_CODE, "the connection to the database was lost");
	struct values v;
	for (size_t i = 0; i < params->count; i++)
		set_value(&v, i, &params->values[i]);
	PGresult *res = NULL;
	int r = c->broken ? db_pg_redial(c, e) : 0;
	if (r == 0)
		r = run(c, sql, &v, params->count, &res, e);
	/* Outside of a transaction everything reads, so it can be done again. */
	if (r < 0 && c->broken && !c->in_transaction && db_pg_redial(c, e) == 0)
		r = run(c, sql, &v, params->count, &res, e);
	if (r < 0)
		return r;
	struct pg_rows *rows = mr_calloc(1, sizeof(*rows));
	rows->res = res;
	rows->row = -1;
	*ret = &rows->base;
	return 0;
}

int db_pg_next(struct db_rows *rows, struct err *e)
{
	(void)e;
	struct pg_rows *r = (struct pg_rows *)rows;
	if (r->row < PQntuples(r->res))
		r->row++;
	return r->row < PQntuples(r->res);
}

int64_t db_pg_changes(struct db_rows *rows)
{
	return strtoll(PQcmdTuples(((struct pg_rows *)rows)->res), NULL, 10);
}

void db_pg_finish(struct db_rows *rows)
{
	PQclear(((struct pg_rows *)rows)->res);
	free(rows);
}

bool db_pg_is_null(struct db_rows *rows, int column)
{
	const struct pg_rows *r = (struct pg_rows *)rows;
	return PQgetisnull(r->res, r->row, column);
}

int64_t db_pg_get_int(struct db_rows *rows, int column)
{
	const char *text = db_pg_get_text(rows, column);
	if (text && PQftype(((struct pg_rows *)rows)->res, column) == OID_BOOL)
		return *text == 't';
	return text ? strtoll(text, NULL, 10) : 0;
}

double db_pg_get_real(struct db_rows *rows, int column)
{
	const char *text = db_pg_get_text(rows, column);
	return text ? strtod(text, NULL) : 0.0;
}

const char *db_pg_get_text(struct db_rows *rows, int column)
{
	const struct pg_rows *r = (struct pg_rows *)rows;
	return PQgetisnull(r->res, r->row, column) ? NULL : PQgetvalue(r->res, r->row, column);
}

/* ---- scripts ---- */

static bool is_word(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

char *db_pg_script_text(const char *sql)
{
	static const char word[] = "TEXT";
	struct buf out;
	buf_init(&out, SCRIPT_MAX);
	for (const char *p = sql; *p;) {
		size_t n = strlen(word);
		if (strncmp(p, word, n) == 0 && !is_word(p[n]) && (p == sql || !is_word(p[-1]))) {
			buf_puts(&out, "TEXT COLLATE \"C\"");
			p += n;
		} else {
			buf_append(&out, p++, 1);
		}
	}
	if (buf_finish(&out, NULL) < 0) {
		buf_release(&out);
		return NULL;
	}
	return out.data;
}
