/* db/: what holds on every database: values, statements, transactions, the pool. */
#include <pthread.h>
#include <string.h>

#include "db/driver.h"
#include "db_fixture.h"

static void values_of_every_type(void **state)
{
	struct db_fixture *f = *state;
	_cleanup_db_conn_ struct db_conn *c = NULL;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	/* Out of order, and one of them twice: $N is N. */
	OK(db_exec(c, "INSERT INTO t (x, name, id) VALUES ($3, $1, $2), ($3, $1, $2 + 1)",
		   DB_PARAMS(DB_TEXT("Zoë's \"film\""), DB_INT(INT64_MAX - 1), DB_REAL(0.1)), NULL, &f->e));
	OK(db_exec(c, "INSERT INTO t (id, name, x) VALUES ($1, $2, $3)",
		   DB_PARAMS(DB_INT(INT64_MIN), DB_TEXT(NULL), DB_NULL), NULL, &f->e));
	assert_int_equal(db_query(c, "SELECT id, name, x FROM t ORDER BY id", NULL, &rows, &f->e), 0);
	assert_int_equal(db_next(rows, &f->e), 1);
	assert_true(db_int(rows, 0) == INT64_MIN);
	assert_true(db_is_null(rows, 1) && db_is_null(rows, 2));
	assert_null(db_text(rows, 1));
	assert_true(db_real(rows, 2) == 0.0);
	for (int64_t i = 0; i < 2; i++) {
		assert_int_equal(db_next(rows, &f->e), 1);
		assert_true(db_int(rows, 0) == INT64_MAX - 1 + i);
		assert_string_equal(db_text(rows, 1), "Zoë's \"film\"");
		assert_true(db_real(rows, 2) == 0.1);
		assert_false(db_is_null(rows, 2));
	}
	assert_int_equal(db_next(rows, &f->e), 0);
	db_finish(&rows);
	assert_null(rows);
	int64_t changes = -1;
	OK(db_exec(c, "DELETE FROM t WHERE id > $1", DB_PARAMS(DB_INT(0)), &changes, &f->e));
	assert_int_equal(changes, 2);
}

static void returning_changes_though_its_rows_are_not_read_to_the_end(void **state)
{
	struct db_fixture *f = *state;
	_cleanup_db_conn_ struct db_conn *c = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	for (int i = 0; i < 3; i++) {
		_cleanup_db_rows_ struct db_rows *rows = NULL;
		assert_int_equal(db_first(c, "INSERT INTO t (id) VALUES ($1), ($1 + 10) RETURNING id",
					  DB_PARAMS(DB_INT(i)), &rows, &f->e),
				 1);
		assert_int_equal(db_int(rows, 0), i);
	}
	db_release(&c);
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 6);
}

static void wrong_statements_are_our_fault(void **state)
{
	struct db_fixture *f = *state;
	_cleanup_db_conn_ struct db_conn *c = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	static const char *const wrong[] = {
		"SELECT $1, $2", /* one too many */
		"SELECT 1",	 /* one too few */
		"SELECT nothing FROM t WHERE id = $1",
		"SELEC $1",
		"SELECT $1; SELECT 2",
		"",
		"SELECT ?",
		"SELECT $x",
		"SELECT $99",
		"SELECT $0",
		"SELECT \"t\" WHERE $1 = 1",
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(wrong); i++) {
		struct db_rows *rows = NULL;
		assert_int_equal(db_query(c, wrong[i], DB_PARAMS(DB_INT(1)), &rows, &f->e), -ERR_INTERNAL);
		assert_null(rows);
		assert_false(f->e.retriable);
	}
	assert_int_equal(db_exec(c, "SELECT 1", DB_NO_PARAMS, NULL, NULL), 0);
	assert_int_equal(db_exec(c, "SELEC", DB_NO_PARAMS, NULL, NULL), -ERR_INTERNAL);
}

static void the_same_statement_nested(void **state)
{
	struct db_fixture *f = *state;
	_cleanup_db_conn_ struct db_conn *c = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	OK(db_exec(c, "INSERT INTO t (id) VALUES (1), (2), (3)", NULL, NULL, &f->e));
	_cleanup_db_rows_ struct db_rows *outer = NULL;
	OK(db_query(c, "SELECT id FROM t WHERE id >= $1", DB_PARAMS(DB_INT(1)), &outer, &f->e));
	int pairs = 0;
	while (db_next(outer, &f->e) > 0) {
		_cleanup_db_rows_ struct db_rows *inner = NULL;
		OK(db_query(c, "SELECT id FROM t WHERE id >= $1", DB_PARAMS(DB_INT(db_int(outer, 0))), &inner, &f->e));
		while (db_next(inner, &f->e) > 0)
			pairs++;
	}
	assert_int_equal(pairs, 3 + 2 + 1);
}

/* More texts than the cache holds: each still works, before and after it was thrown out. */
static void many_statements(void **state)
{
	struct db_fixture *f = *state;
	_cleanup_db_conn_ struct db_conn *c = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 300; i++) {
			_cleanup_free_ char *sql = mr_asprintf("SELECT $1 + %d", i);
			_cleanup_db_rows_ struct db_rows *rows = NULL;
			assert_int_equal(db_first(c, sql, DB_PARAMS(DB_INT(round)), &rows, &f->e), 1);
			assert_int_equal(db_int(rows, 0), i + round);
		}
	}
}

struct tx_plan {
	int runs;
	int fail_with; /* -ERR_…, after the insert */
};

static int insert_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct tx_plan *p = ctx;
	p->runs++;
	int r = db_exec(c, "INSERT INTO t (id) VALUES (1)", NULL, NULL, e);
	if (r < 0)
		return r;
	return p->fail_with ? err_set(e, (enum err_kind) - p->fail_with, "told to") : 0;
}

static void transactions_commit_whole_or_not_at_all(void **state)
{
	struct db_fixture *f = *state;
	struct tx_plan p = { .fail_with = -ERR_LOST };
	assert_int_equal(db_transact(f->db, insert_tx, &p, &f->e), -ERR_LOST);
	assert_int_equal(p.runs, 1);
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 0);
	/* Something else than the database is away: that is the caller's to try again. */
	p = (struct tx_plan){ .fail_with = -ERR_UNAVAILABLE };
	assert_int_equal(db_transact(f->db, insert_tx, &p, &f->e), -ERR_UNAVAILABLE);
	assert_int_equal(p.runs, 1);
	p = (struct tx_plan){ 0 };
	assert_int_equal(db_transact(f->db, insert_tx, &p, NULL), 0);
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 1);
	assert_int_equal(db_transact(f->db, insert_tx, &p, &f->e), -ERR_CONFLICT);
	assert_string_equal(f->e.code, "DB_CONSTRAINT");
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 1);
}

/* What an optimistic database says at commit: run the whole again. */
static int busy_twice_tx(struct db_conn *c, void *ctx, struct err *e)
{
	int *runs = ctx;
	int r = db_exec(c, "INSERT INTO t (id) VALUES (7)", NULL, NULL, e);
	if (r < 0)
		return r;
	return ++*runs < 3 ? err_set_code(e, ERR_UNAVAILABLE, "DB_BUSY", "somebody was quicker") : 0;
}

static void busy_runs_the_callback_again(void **state)
{
	struct db_fixture *f = *state;
	int runs = 0;
	OK(db_transact(f->db, busy_twice_tx, &runs, NULL));
	assert_int_equal(runs, 3);
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 1);
	runs = -100;
	OK(run(f->db, "DELETE FROM t", NULL, &f->e));
	assert_int_equal(db_transact(f->db, busy_twice_tx, &runs, &f->e), -ERR_UNAVAILABLE);
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 0);
}

static void all_connections_in_use(void **state)
{
	struct db_fixture *f = *state;
	struct db *two = open_again(f, 2, 1);
	_cleanup_db_conn_ struct db_conn *a = NULL, *b = NULL, *c = NULL;
	OK(db_acquire(two, &a, &f->e));
	OK(db_acquire(two, &b, &f->e));
	assert_ptr_not_equal(a, b);
	assert_int_equal(db_acquire(two, &c, &f->e), -ERR_UNAVAILABLE);
	assert_string_equal(f->e.code, "DB_BUSY");
	struct db_conn *was = a;
	db_release(&a);
	OK(db_acquire(two, &c, &f->e));
	assert_ptr_equal(c, was);
	db_release(&b);
	db_release(&c);
	db_close(two);
}

static int count_up_tx(struct db_conn *c, void *ctx, struct err *e)
{
	(void)ctx;
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	int r = db_first(c, "SELECT id FROM t" DB_LOCK, NULL, &rows, e);
	if (r < 0)
		return r;
	int64_t n = db_int(rows, 0);
	db_finish(&rows);
	return db_exec(c, "UPDATE t SET id = $1", DB_PARAMS(DB_INT(n + 1)), NULL, e);
}

static void *count_up_thread(void *arg)
{
	for (int i = 0; i < 50; i++)
		if (db_transact(arg, count_up_tx, NULL, NULL) < 0)
			return arg;
	return NULL;
}

static void threads_lose_no_update(void **state)
{
	struct db_fixture *f = *state;
	OK(run(f->db, "INSERT INTO t (id) VALUES (0)", NULL, &f->e));
	pthread_t threads[8];
	for (size_t i = 0; i < MR_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_up_thread, f->db), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(threads); i++) {
		void *failed = NULL;
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(number(f, f->db, "SELECT id FROM t"), 400);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(values_of_every_type),
		T(returning_changes_though_its_rows_are_not_read_to_the_end),
		T(wrong_statements_are_our_fault),
		T(the_same_statement_nested),
		T(many_statements),
		T(transactions_commit_whole_or_not_at_all),
		T(busy_runs_the_callback_again),
		T(all_connections_in_use),
		T(threads_lose_no_update),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
