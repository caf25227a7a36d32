/* db/: migrations, several processes at once, kill -9 of one that writes; on every database. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/driver.h"
#include "db_fixture.h"

static const struct db_migration steps[] = {
	{ 1, "0001_one", "CREATE TABLE one (a BIGINT); INSERT INTO one VALUES (1);" },
	{ 2, "0002_two", "CREATE TABLE two (a BIGINT); INSERT INTO two SELECT a + 1 FROM one;" },
	{ 3, "0003_bad", "CREATE TABLE three (a BIGINT); INSERT INTO nowhere VALUES (1);" },
};

static void migrations_go_forward_one_by_one(void **state)
{
	struct db_fixture *f = *state;
	OK(db_migrate_list(f->db, steps, 1, &f->e));
	OK(db_migrate_list(f->db, steps, 1, &f->e));
	assert_int_equal(db_migrate_list(f->db, steps, 3, &f->e), -ERR_INTERNAL);
	assert_non_null(strstr(f->e.message, "0003_bad"));
	/* What came before the bad one stays, of the bad one nothing. */
	assert_int_equal(number(f, f->db, "SELECT a FROM two"), 2);
	assert_int_equal(run(f->db, "SELECT a FROM three", NULL, &f->e), -ERR_INTERNAL);
	assert_int_equal(number(f, f->db, "SELECT MAX(version) FROM schema_version"), 2);
	assert_int_equal(db_migrate_list(f->db, steps, 1, &f->e), -ERR_CONFLICT);
	assert_string_equal(f->e.code, "SCHEMA_NEWER");
	OK(db_migrate_list(f->db, steps, 2, &f->e));
}

static void the_real_migrations_twice(void **state)
{
	struct db_fixture *f = *state;
	assert_true(db_migration_count >= 1);
	OK(db_migrate(f->db, &f->e));
	OK(db_migrate(f->db, &f->e));
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM schema_version"), (int64_t)db_migration_count);
	OK(run(f->db, "UPDATE schema_version SET version = version + 1000", NULL, &f->e));
	assert_int_equal(db_migrate(f->db, &f->e), -ERR_CONFLICT);
}

/* Forks; the child waits for the gate to close, then runs fn and exits with its result. */
static pid_t start(int gate[2], int (*fn)(const char *url), const char *url)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char none;
		close(gate[1]);
		_exit(read(gate[0], &none, 1) == 0 ? fn(url) : 99);
	}
	return pid;
}

static int open_and_migrate(const char *url)
{
	struct db *db = NULL;
	struct err e;
	int r = db_open(&(struct db_opts){ .url = url }, &db, &e);
	if (r == 0)
		r = db_migrate(db, &e);
	if (r < 0)
		fprintf(stderr, "%s\n", e.message);
	db_close(db);
	return r < 0 ? 1 : 0;
}

static void processes_that_start_at_once_migrate_once(void **state)
{
	struct db_fixture *f = *state;
	for (int round = 0; round < 5; round++) {
		char url[256];
		fresh_db_sibling(&f->at, round, url);
		int gate[2];
		assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
		pid_t pids[4];
		for (size_t i = 0; i < MR_ARRAY_SIZE(pids); i++)
			pids[i] = start(gate, open_and_migrate, url);
		close(gate[0]);
		close(gate[1]);
		for (size_t i = 0; i < MR_ARRAY_SIZE(pids); i++) {
			int status = 0;
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_int_equal(status, 0);
		}
		struct db *db = NULL;
		OK(db_open(&(struct db_opts){ .url = url }, &db, &f->e));
		assert_int_equal(number(f, db, "SELECT COUNT(*) FROM schema_version"), (int64_t)db_migration_count);
		db_close(db);
	}
}

/* Each transaction inserts three rows; `name` is where the process says that one was committed. */
static int insert_three_tx(struct db_conn *c, void *ctx, struct err *e)
{
	const int64_t *n = ctx;
	for (int i = 0; i < 3; i++) {
		int r = db_exec(c, "INSERT INTO t (id, name) VALUES ($1, $2)",
				DB_PARAMS(DB_INT(*n * 3 + i), DB_TEXT("three or none")), NULL, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static _Noreturn void write_until_killed(const char *url, int tell)
{
	struct db *db = NULL;
	if (db_open(&(struct db_opts){ .url = url }, &db, NULL) < 0)
		_exit(1);
	for (int64_t n = 0;; n++) {
		if (db_transact(db, insert_three_tx, &n, NULL) < 0 || write(tell, &n, sizeof(n)) != sizeof(n))
			_exit(1);
	}
}

static void kill_9_of_a_writer_loses_nothing_that_was_committed(void **state)
{
	struct db_fixture *f = *state;
	for (int round = 1; round <= 5; round++) {
		OK(run(f->db, "DELETE FROM t", NULL, &f->e));
		int said[2];
		assert_int_equal(pipe2(said, O_CLOEXEC), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			write_until_killed(f->at.url, said[1]);
		close(said[1]);
		int64_t last = -1;
		while (last < round * 7)
			assert_int_equal(read(said[0], &last, sizeof(last)), sizeof(last));
		assert_int_equal(kill(pid, SIGKILL), 0);
		int status = 0;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		while (read(said[0], &last, sizeof(last)) == sizeof(last))
			;
		close(said[0]);
		int64_t rows = number(f, f->db, "SELECT COUNT(*) FROM t");
		assert_int_equal(rows % 3, 0);
		assert_true(rows >= (last + 1) * 3);
		assert_int_equal(number(f, f->db, "SELECT MAX(id) FROM t"), rows - 1);
		if (!fresh_db_is_postgres())
			assert_int_equal(
				number(f, f->db, "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(migrations_go_forward_one_by_one),
		T(the_real_migrations_twice),
		T(processes_that_start_at_once_migrate_once),
		T(kill_9_of_a_writer_loses_nothing_that_was_committed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
