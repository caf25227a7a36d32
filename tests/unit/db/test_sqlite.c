/* db/: what is SQLite's own, on real files: the lock, shared commits, settings, what can't be opened, errors. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/driver.h"
#include "db_fixture.h"

static int nothing_tx(struct db_conn *c, void *ctx, struct err *e)
{
	(void)c;
	(void)e;
	++*(int *)ctx;
	return 0;
}

static void a_lock_held_by_another_process_is_busy_then_passes(void **state)
{
	struct db_fixture *f = *state;
	sqlite3 *other = NULL;
	assert_int_equal(sqlite3_open(f->at.url + strlen("sqlite:"), &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	struct db *impatient = open_again(f, 1, 1);
	int runs = 0;
	assert_int_equal(db_transact(impatient, nothing_tx, &runs, &f->e), -ERR_UNAVAILABLE);
	assert_string_equal(f->e.code, "DB_BUSY");
	assert_true(f->e.retriable);
	assert_int_equal(runs, 0);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	OK(db_transact(impatient, nothing_tx, &runs, &f->e));
	assert_int_equal(runs, 1);
	db_close(impatient);
	sqlite3_close(other);
}

/* ---- transactions that share a commit ---- */

struct crowd {
	struct db_fixture *f;
	sem_t begun, go_on;
	int seen_inside, seen_outside; /* rows, by the last of those that came together */
};

struct writer {
	struct crowd *crowd;
	pthread_t thread;
	int64_t id;
	bool first;
	pid_t tid;
	int result;
	struct err e;
};

static int first_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct writer *w = ctx;
	int r = db_exec(c, "INSERT INTO t (id) VALUES ($1)", DB_PARAMS(DB_INT(w->id)), NULL, e);
	sem_post(&w->crowd->begun);
	while (sem_wait(&w->crowd->go_on) != 0) {
	}
	return r;
}

static int64_t count_rows(struct db_conn *c)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	struct err e;
	return db_first(c, "SELECT COUNT(*) FROM t", NULL, &rows, &e) > 0 ? db_int(rows, 0) : -1;
}

static int crowd_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct writer *w = ctx;
	int r = db_exec(c, "INSERT INTO t (id) VALUES ($1)", DB_PARAMS(DB_INT(w->id)), NULL, e);
	if (r == 0 && w->id < 0)
		r = err_set(e, ERR_LOST, "changed its mind");
	_cleanup_db_conn_ struct db_conn *other = NULL;
	if (r == 0 && db_acquire(w->crowd->f->db, &other, e) == 0 && count_rows(c) > w->crowd->seen_inside) {
		w->crowd->seen_inside = (int)count_rows(c);
		w->crowd->seen_outside = (int)count_rows(other);
	}
	return r;
}

static void *write_thread(void *arg)
{
	struct writer *w = arg;
	w->tid = gettid();
	if (!w->first)
		sem_post(&w->crowd->begun);
	w->result = db_transact(w->crowd->f->db, w->first ? first_tx : crowd_tx, w, &w->e);
	return NULL;
}

static bool sleeps(pid_t thread)
{
	char text[256];
	_cleanup_free_ char *path = mr_asprintf("/proc/self/task/%d/stat", (int)thread);
	FILE *f = fopen(path, "re");
	bool got = f && fgets(text, sizeof(text), f);
	if (f)
		fclose(f);
	const char *state = got ? strrchr(text, ')') : NULL;
	return state && state[2] == 'S';
}

/* In the queue there is nothing to do but sleep. */
static void let_it_queue(struct writer *w)
{
	sem_wait(&w->crowd->begun);
	while (!sleeps(w->tid))
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void those_who_wait_share_a_commit(void **state)
{
	struct db_fixture *f = *state;
	struct crowd crowd = { .f = f };
	sem_init(&crowd.begun, 0, 0);
	sem_init(&crowd.go_on, 0, 0);
	/* One is at it; behind it wait four who insert, one who fails with what it wrote, and two who insert what is there. */
	struct writer writers[] = { { .id = 1, .first = true }, { .id = 2 }, { .id = 3 }, { .id = -1 },
				    { .id = 1 },	       { .id = 4 }, { .id = 1 }, { .id = 5 } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(writers); i++) {
		writers[i].crowd = &crowd;
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_thread, &writers[i]), 0);
		let_it_queue(&writers[i]);
	}
	sem_post(&crowd.go_on);
	for (size_t i = 0; i < MR_ARRAY_SIZE(writers); i++) {
		assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
		bool twice = i == 4 || i == 6;
		assert_int_equal(writers[i].result, writers[i].id < 0 ? -ERR_LOST : twice ? -ERR_CONFLICT : 0);
		if (twice)
			assert_string_equal(writers[i].e.code, "DB_CONSTRAINT");
	}
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 5);
	assert_int_equal(number(f, f->db, "SELECT SUM(id) FROM t"), 15);
	/* The last of them saw what the others had written, which nobody else did yet. */
	assert_int_equal(crowd.seen_inside, 5);
	assert_int_equal(crowd.seen_outside, 1);
	sem_destroy(&crowd.begun);
	sem_destroy(&crowd.go_on);
}

static void settings_hold(void **state)
{
	struct db_fixture *f = *state;
	static const struct {
		const char *pragma;
		int64_t value;
	} want[] = {
		{ "PRAGMA synchronous", 2 }, { "PRAGMA foreign_keys", 1 },   { "PRAGMA mmap_size", 0 },
		{ "PRAGMA temp_store", 2 },  { "PRAGMA cache_size", -1024 }, { "PRAGMA trusted_schema", 0 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(want); i++)
		assert_int_equal(number(f, f->db, want[i].pragma), want[i].value);
	assert_int_equal(number(f, f->db, "SELECT 1 FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
	static const char *const files[] = { "t.db", "t.db-wal", "t.db-shm" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = mr_asprintf("%s/%s", f->at.dir, files[i]);
		struct stat st;
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	_cleanup_db_conn_ struct db_conn *c = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	int64_t before = clock_wall_ms(), now = 0;
	OK(db_now_ms(c, &now, &f->e));
	assert_true(now >= before && now <= clock_wall_ms());
}

static void in_memory_is_one_connection(void **state)
{
	struct db_fixture *f = *state;
	struct db *m = NULL;
	OK(db_open(&(struct db_opts){ .url = "sqlite::memory:", .connections = 8, .busy_timeout_ms = 1 }, &m, &f->e));
	OK(run(m, "CREATE TABLE here (a BIGINT)", NULL, &f->e));
	OK(run(m, "INSERT INTO here VALUES (1)", NULL, &f->e));
	assert_int_equal(number(f, m, "SELECT COUNT(*) FROM here"), 1);
	_cleanup_db_conn_ struct db_conn *a = NULL, *b = NULL;
	OK(db_acquire(m, &a, &f->e));
	assert_int_equal(db_acquire(m, &b, &f->e), -ERR_UNAVAILABLE);
	db_release(&a);
	db_close(m);
}

static void what_cannot_be_opened(void **state)
{
	struct db_fixture *f = *state;
	_cleanup_free_ char *absent = mr_asprintf("sqlite:%s/none/t.db", f->at.dir);
	_cleanup_free_ char *folder = mr_asprintf("sqlite:%s", f->at.dir);
	_cleanup_free_ char *text = mr_asprintf("sqlite:%s/text", f->at.dir);
	int fd = open(text + strlen("sqlite:"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	static const char words[] = "These are surely more than sixteen bytes, yet no database at all.";
	assert_int_equal(write(fd, words, sizeof(words)), sizeof(words));
	close(fd);
	const struct {
		const char *url;
		enum err_kind kind;
		const char *code;
	} cases[] = {
		{ "sqlite:", ERR_INVALID, "" }, { "mysql:x", ERR_INVALID, "" },
		{ "", ERR_INVALID, "" },	{ absent, ERR_NOT_FOUND, "" },
		{ folder, ERR_IO, "" },		{ text, ERR_IO, "DB_CORRUPT" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct db *db = NULL;
		assert_int_equal(db_open(&(struct db_opts){ .url = cases[i].url }, &db, &f->e), -(int)cases[i].kind);
		assert_null(db);
		assert_string_equal(f->e.code, cases[i].code);
	}
	assert_false(f->e.retriable);
}

static void codes_become_kinds(void **state)
{
	(void)state;
	static const struct {
		int code, system_errno;
		enum err_kind kind;
	} cases[] = {
		{ SQLITE_BUSY, 0, ERR_UNAVAILABLE },
		{ SQLITE_BUSY_SNAPSHOT, 0, ERR_UNAVAILABLE },
		{ SQLITE_LOCKED, 0, ERR_UNAVAILABLE },
		{ SQLITE_NOMEM, 0, ERR_UNAVAILABLE },
		{ SQLITE_FULL, 0, ERR_NO_SPACE },
		{ SQLITE_IOERR_WRITE, ENOSPC, ERR_NO_SPACE },
		{ SQLITE_IOERR_WRITE, EDQUOT, ERR_NO_SPACE },
		{ SQLITE_IOERR_READ, EIO, ERR_IO },
		{ SQLITE_CANTOPEN, EMFILE, ERR_IO },
		{ SQLITE_CORRUPT, 0, ERR_IO },
		{ SQLITE_NOTADB, 0, ERR_IO },
		{ SQLITE_READONLY_DBMOVED, 0, ERR_IO },
		{ SQLITE_CONSTRAINT_UNIQUE, 0, ERR_CONFLICT },
		{ SQLITE_TOOBIG, 0, ERR_TOO_LARGE },
		{ SQLITE_INTERRUPT, 0, ERR_CANCELED },
		{ SQLITE_ERROR, 0, ERR_INTERNAL },
		{ SQLITE_MISUSE, 0, ERR_INTERNAL },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++)
		assert_int_equal(db_sqlite_kind(cases[i].code, cases[i].system_errno), cases[i].kind);
}

static int fill_tx(struct db_conn *c, void *ctx, struct err *e)
{
	(void)ctx;
	for (int i = 0; i < 1000; i++) {
		int r = db_exec(c, "INSERT INTO t (id, name) VALUES ($1, $2)",
				DB_PARAMS(DB_INT(100 + i), DB_TEXT("a name that takes some room, again and again and "
								   "again")),
				NULL, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
	struct db_fixture *f = *state;
	struct db *one = open_again(f, 1, 0);
	OK(run(one, "PRAGMA max_page_count = 6", NULL, &f->e)); /* what SQLite answers to ENOSPC, too */
	assert_int_equal(db_transact(one, fill_tx, NULL, &f->e), -ERR_NO_SPACE);
	assert_true(f->e.retriable);
	assert_int_equal(number(f, one, "SELECT COUNT(*) FROM t"), 0);
	OK(run(one, "PRAGMA max_page_count = 1000", NULL, &f->e));
	OK(db_transact(one, fill_tx, NULL, &f->e));
	assert_int_equal(number(f, one, "SELECT COUNT(*) FROM t"), 1000);
	db_close(one);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_lock_held_by_another_process_is_busy_then_passes),
		T(those_who_wait_share_a_commit),
		T(those_who_wait_share_a_commit),
		T(settings_hold),
		T(in_memory_is_one_connection),
		T(what_cannot_be_opened),
		T(codes_become_kinds),
		T(a_full_disk_leaves_nothing_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
