/* db/: what is PostgreSQL's own, on a real server: lost connections, commits whose answer is lost, no room for connections,
 * the clock, what processes tell each other, errors. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/driver.h"
#include "db/postgres.h"
#include "db_fixture.h"

static int64_t backend_of(struct db_conn *c)
{
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	struct err e = { 0 };
	if (db_first(c, "SELECT pg_backend_pid()", DB_NO_PARAMS, &rows, &e) <= 0)
		fail_msg("%s", e.message);
	return db_int(rows, 0);
}

/* By a pool of its own; returns when the backend is gone. */
static void terminate(struct db_fixture *f, int64_t backend)
{
	struct db *other = open_again(f, 1, 0);
	_cleanup_free_ char *kill = mr_asprintf("SELECT pg_terminate_backend(%lld, 5000)::int", (long long)backend);
	assert_int_equal(number(f, other, kill), 1);
	db_close(other);
}

/* ---- lost connections ---- */

struct cut_tx {
	struct db_fixture *f;
	int cuts; /* so many runs lose their connection after they have written */
	int runs;
};

static int cut_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct cut_tx *t = ctx;
	int r = db_exec(c, "INSERT INTO t (id) VALUES (1)", NULL, NULL, e);
	if (r == 0 && t->runs++ < t->cuts)
		terminate(t->f, backend_of(c));
	return r < 0 ? r : db_exec(c, "INSERT INTO t (id) VALUES (2)", NULL, NULL, e);
}

static void a_transaction_whose_connection_is_cut_is_run_again(void **state)
{
	struct db_fixture *f = *state;
	struct cut_tx t = { .f = f, .cuts = 2 };
	OK(db_transact(f->db, cut_tx, &t, &f->e));
	assert_int_equal(t.runs, 3);
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 2);
	/* One that loses it each time gives up, and nothing of it is there. */
	OK(run(f->db, "DELETE FROM t", NULL, &f->e));
	t = (struct cut_tx){ .f = f, .cuts = 1000 };
	assert_int_equal(db_transact(f->db, cut_tx, &t, &f->e), -ERR_UNAVAILABLE);
	assert_string_equal(f->e.code, "DB_AWAY");
	assert_true(f->e.retriable);
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 0);
}

static int cut_at_the_end_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct cut_tx *t = ctx;
	int r = db_exec(c, "INSERT INTO t (id) VALUES (1)", NULL, NULL, e);
	if (r == 0 && t->runs++ < t->cuts)
		terminate(t->f, backend_of(c));
	return r;
}

static void a_commit_that_never_came_is_run_again(void **state)
{
	struct db_fixture *f = *state;
	struct cut_tx t = { .f = f, .cuts = 1 };
	OK(db_transact(f->db, cut_at_the_end_tx, &t, &f->e));
	assert_int_equal(t.runs, 2);
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 1);
}

static void reads_go_on_over_a_cut(void **state)
{
	struct db_fixture *f = *state;
	OK(run(f->db, "INSERT INTO t (id) VALUES (7)", NULL, &f->e));
	_cleanup_db_conn_ struct db_conn *c = NULL;
	OK(db_acquire(f->db, &c, &f->e));
	/* One that is being used, one that lies idle. */
	terminate(f, backend_of(c));
	_cleanup_db_rows_ struct db_rows *rows = NULL;
	assert_int_equal(db_first(c, "SELECT id FROM t WHERE id >= $1", DB_PARAMS(DB_INT(1)), &rows, &f->e), 1);
	assert_int_equal(db_int(rows, 0), 7);
	int64_t backend = backend_of(c);
	db_release(&c);
	terminate(f, backend);
	assert_int_equal(number(f, f->db, "SELECT id FROM t"), 7);
}

/* Between a client and the server: hands on all of one connection's bytes, but for the answer to its COMMIT; later ones whole. */
struct proxy {
	int listener;
	uint16_t port, server_port;
	int swallow; /* answers to COMMIT that are lost */
	int swallowed;
	pthread_t thread;
	bool stop;
};

static int connect_to(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* One way; false: it is over, or the answer is to be lost. */
static bool hand_on(struct proxy *p, int from, int to, bool *committing)
{
	char bytes[8192];
	ssize_t n = read(from, bytes, sizeof(bytes));
	if (n <= 0 || (*committing && p->swallow > p->swallowed)) {
		p->swallowed += n > 0;
		return false;
	}
	*committing = memmem(bytes, (size_t)n, "COMMIT", 6) != NULL;
	return write(to, bytes, (size_t)n) == n;
}

static void *proxy_thread(void *arg)
{
	struct proxy *p = arg;
	for (;;) {
		int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
		if (client < 0)
			return NULL;
		int server = connect_to(p->server_port);
		bool committing = false, go_on = true;
		while (go_on) {
			struct pollfd fds[] = { { .fd = client, .events = POLLIN }, { .fd = server, .events = POLLIN } };
			(void)poll(fds, 2, -1);
			bool from_client = fds[0].revents != 0;
			go_on = from_client ? hand_on(p, client, server, &committing) : hand_on(p, server, client, &committing);
		}
		close(client);
		close(server);
	}
}

static uint16_t port_of(const char *url)
{
	return (uint16_t)strtoul(strstr(url, "127.0.0.1:") + strlen("127.0.0.1:"), NULL, 10);
}

static void proxy_start(struct proxy *p)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(p->listener, 4), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &len), 0);
	p->port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&p->thread, NULL, proxy_thread, p), 0);
}

static int count_runs_tx(struct db_conn *c, void *ctx, struct err *e)
{
	++*(int *)ctx;
	return db_exec(c, "INSERT INTO t (id) VALUES ((SELECT COUNT(*) FROM t))", NULL, NULL, e);
}

static void a_commit_whose_answer_is_lost_is_not_done_twice(void **state)
{
	struct db_fixture *f = *state;
	struct proxy p = { .server_port = port_of(f->at.url), .swallow = 1 };
	proxy_start(&p);
	char *host = strstr(f->at.url, "127.0.0.1:"), *rest = strchr(host, '/');
	_cleanup_free_ char *url = mr_asprintf("%.*s127.0.0.1:%u%s", (int)(host - f->at.url), f->at.url, p.port, rest);
	struct db *db = NULL;
	OK(db_open(&(struct db_opts){ .url = url, .connections = 1 }, &db, &f->e));
	int runs = 0;
	OK(db_transact(db, count_runs_tx, &runs, &f->e));
	assert_int_equal(p.swallowed, 1);
	assert_int_equal(runs, 1);
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 1);
	OK(db_transact(db, count_runs_tx, &runs, &f->e));
	assert_int_equal(number(f, f->db, "SELECT COUNT(*) FROM t"), 2);
	db_close(db);
	assert_int_equal(shutdown(p.listener, SHUT_RDWR), 0);
	pthread_join(p.thread, NULL);
	close(p.listener);
}

/* ---- transactions side by side ---- */

static int wrong_then_fine_tx(struct db_conn *c, void *ctx, struct err *e)
{
	(void)ctx;
	struct err ignored;
	if (db_exec(c, "SELECT nothing FROM t", NULL, NULL, &ignored) == 0)
		return err_set(e, ERR_INTERNAL, "it went well");
	return 0;
}

static void what_failed_inside_is_not_committed(void **state)
{
	struct db_fixture *f = *state;
	assert_int_equal(db_transact(f->db, wrong_then_fine_tx, NULL, &f->e), -ERR_INTERNAL);
	assert_non_null(strstr(f->e.message, "failed statement"));
	int runs = 0;
	OK(db_transact(f->db, count_runs_tx, &runs, &f->e));
}

struct opposite {
	struct db_fixture *f;
	const char *first, *second;
	sem_t *mine, *theirs;
	int runs;
	int result;
};

static int opposite_tx(struct db_conn *c, void *ctx, struct err *e)
{
	struct opposite *o = ctx;
	int r = db_exec(c, o->first, NULL, NULL, e);
	if (o->runs++ == 0) {
		sem_post(o->theirs);
		sem_wait(o->mine);
	}
	return r < 0 ? r : db_exec(c, o->second, NULL, NULL, e);
}

static void *opposite_thread(void *arg)
{
	struct opposite *o = arg;
	struct err e;
	o->result = db_transact(o->f->db, opposite_tx, o, &e);
	return NULL;
}

static void a_deadlock_is_run_again(void **state)
{
	struct db_fixture *f = *state;
	static const char one[] = "UPDATE t SET x = x + 1 WHERE id = 1", two[] = "UPDATE t SET x = x + 1 WHERE id = 2";
	OK(run(f->db, "INSERT INTO t (id, x) VALUES (1, 0), (2, 0)", NULL, &f->e));
	sem_t a, b;
	sem_init(&a, 0, 0);
	sem_init(&b, 0, 0);
	struct opposite both[] = { { .f = f, .first = one, .second = two, .mine = &a, .theirs = &b },
				   { .f = f, .first = two, .second = one, .mine = &b, .theirs = &a } };
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, opposite_thread, &both[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(both[0].result, 0);
	assert_int_equal(both[1].result, 0);
	assert_true(both[0].runs + both[1].runs >= 3);
	assert_int_equal(number(f, f->db, "SELECT SUM(x) FROM t"), 4);
}

static void *transact_thread(void *arg)
{
	struct err e = { 0 };
	for (int i = 0; i < 10; i++) {
		int runs = 0;
		if (db_transact(arg, wrong_then_fine_tx, NULL, &e) != -ERR_INTERNAL ||
		    db_transact(arg, count_runs_tx, &runs, &e) == 0)
			return arg;
	}
	return NULL;
}

/* The server has room for two where eight are wanted: those two are shared. */
static void no_room_for_more_connections(void **state)
{
	struct db_fixture *f = *state;
	_cleanup_free_ char *make = mr_asprintf("CREATE ROLE r%s LOGIN CONNECTION LIMIT 2", f->at.schema);
	_cleanup_free_ char *url = mr_asprintf("postgres://r%s@%s", f->at.schema, strchr(f->at.url, '@') + 1);
	OK(run(f->db, make, NULL, &f->e));
	struct db *db = NULL;
	OK(db_open(&(struct db_opts){ .url = url, .connections = 8 }, &db, &f->e));
	pthread_t threads[8];
	for (size_t i = 0; i < MR_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, transact_thread, db), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(threads); i++) {
		void *failed = NULL;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	db_close(db);
}

/* ---- the clock ---- */

static int slow_tx(struct db_conn *c, void *ctx, struct err *e)
{
	int64_t *times = ctx;
	int r = db_now_ms(c, &times[0], e);
	if (r == 0)
		r = db_exec(c, "SELECT pg_sleep(0.05)", NULL, NULL, e);
	return r < 0 ? r : db_now_ms(c, &times[1], e);
}

static void time_is_the_servers(void **state)
{
	struct db_fixture *f = *state;
	int64_t times[2];
	_cleanup_db_conn_ struct db_conn *c = NULL;
	int64_t before = number(f, f->db, "SELECT " PG_CLOCK_SQL);
	OK(db_transact(f->db, slow_tx, times, &f->e));
	int64_t after = number(f, f->db, "SELECT " PG_CLOCK_SQL);
	assert_true(times[0] >= before && times[0] <= after);
	assert_int_equal(times[0], times[1]); /* one for a whole transaction */
	/* Reckoned, it never runs ahead of the server's. */
	for (int i = 0; i < 20; i++) {
		int64_t reckoned;
		OK(db_acquire(f->db, &c, &f->e));
		OK(db_now_ms(c, &reckoned, &f->e));
		db_release(&c);
		assert_true(reckoned >= before);
		assert_true(reckoned <= number(f, f->db, "SELECT " PG_CLOCK_SQL) + 1);
	}
}

/* ---- what processes tell ---- */

struct ear {
	pthread_mutex_t lock;
	sem_t heard;
	char last[64];
	int gaps;
};

static void on_heard(void *ctx, const char *text)
{
	struct ear *ear = ctx;
	pthread_mutex_lock(&ear->lock);
	if (text)
		(void)snprintf(ear->last, sizeof(ear->last), "%s", text);
	else
		ear->gaps++;
	pthread_mutex_unlock(&ear->lock);
	sem_post(&ear->heard);
}

static void others_hear_of_it(void **state)
{
	struct db_fixture *f = *state;
	struct ear ear = { .lock = PTHREAD_MUTEX_INITIALIZER }, elsewhere = { .lock = PTHREAD_MUTEX_INITIALIZER };
	char url[256];
	struct db *listening = open_again(f, 1, 0), *stranger = NULL;
	fresh_db_sibling(&f->at, 1, url);
	OK(db_open(&(struct db_opts){ .url = url }, &stranger, &f->e));
	sem_init(&ear.heard, 0, 0);
	sem_init(&elsewhere.heard, 0, 0);
	OK(db_listen(listening, on_heard, &ear, &f->e));
	OK(db_listen(stranger, on_heard, &elsewhere, &f->e));
	sem_wait(&ear.heard);
	sem_wait(&elsewhere.heard);
	assert_int_equal(ear.gaps, 1); /* it listens from here on */
	OK(db_notify(stranger, "not for you", &f->e));
	sem_wait(&elsewhere.heard);
	OK(db_notify(f->db, "work, it's there", &f->e));
	sem_wait(&ear.heard);
	assert_string_equal(ear.last, "work, it's there");
	terminate(f, number(f, f->db, "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND query LIKE '%' ||"
				      " current_schema() || '\"'"));
	sem_wait(&ear.heard);
	assert_int_equal(ear.gaps, 2);
	OK(db_notify(f->db, "again", &f->e));
	sem_wait(&ear.heard);
	assert_string_equal(ear.last, "again");
	_cleanup_free_ char *long_text = mr_calloc(1, DB_NOTIFY_MAX + 2);
	memset(long_text, 'x', DB_NOTIFY_MAX);
	OK(db_notify(f->db, long_text, &f->e));
	long_text[DB_NOTIFY_MAX] = 'x';
	assert_int_equal(db_notify(f->db, long_text, &f->e), -ERR_UNSUPPORTED);
	db_close(listening);
	db_close(stranger);
}

/* ---- errors ---- */

static void a_server_that_is_not_there(void **state)
{
	struct db_fixture *f = *state;
	struct db *db = NULL;
	static const char *const urls[] = { "postgres://u:secret@127.0.0.1:1/x", "postgresql://u:secret@127.0.0.1:1/x" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(urls); i++) {
		assert_int_equal(db_open(&(struct db_opts){ .url = urls[i] }, &db, &f->e), -ERR_UNAVAILABLE);
		assert_string_equal(f->e.code, "DB_AWAY");
		assert_null(strstr(f->e.message, "secret"));
		assert_null(strchr(f->e.message, '\n'));
	}
	assert_int_equal(db_open(&(struct db_opts){ .url = "postgres://u:secret@[x" }, &db, &f->e), -ERR_INVALID);
	assert_null(strstr(f->e.message, "secret"));
}

static void text_that_is_no_text_is_the_callers_fault(void **state)
{
	struct db_fixture *f = *state;
	static const char insert[] = "INSERT INTO t (id, name) VALUES (1, $1)";
	assert_int_equal(run(f->db, insert, DB_PARAMS(DB_TEXT("\xff\xfe")), &f->e), -ERR_INVALID);
}

static void codes_become_kinds(void **state)
{
	(void)state;
	static const struct {
		const char *state;
		enum err_kind kind;
	} cases[] = {
		{ "40001", ERR_UNAVAILABLE }, { "40P01", ERR_UNAVAILABLE }, { "55P03", ERR_UNAVAILABLE },
		{ "08006", ERR_UNAVAILABLE }, { "57P01", ERR_UNAVAILABLE }, { "53300", ERR_UNAVAILABLE },
		{ "25006", ERR_UNAVAILABLE }, { "25P03", ERR_UNAVAILABLE }, { "53100", ERR_NO_SPACE },
		{ "58030", ERR_IO },	      { "XX001", ERR_IO },	    { "42501", ERR_IO },
		{ "23505", ERR_CONFLICT },    { "54000", ERR_TOO_LARGE },   { "22021", ERR_INVALID },
		{ "08P01", ERR_INTERNAL },    { "42P01", ERR_INTERNAL },    { "XX000", ERR_INTERNAL },
		{ "22003", ERR_INTERNAL },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++)
		assert_int_equal(db_postgres_kind(cases[i].state), cases[i].kind);
}

/* Cursors and prefixes rely on the order of bytes, whatever the server's locale. */
static void scripts_compare_by_bytes(void **state)
{
	struct db_fixture *f = *state;
	_cleanup_free_ char *text = db_pg_script_text("CREATE TABLE x (a TEXT, CONTEXT TEXT NOT NULL); -- TEXT_ATEXT");
	assert_string_equal(text, "CREATE TABLE x (a TEXT COLLATE \"C\", CONTEXT TEXT COLLATE \"C\" NOT NULL); -- TEXT_ATEXT");
	OK(db_migrate(f->db, &f->e));
	assert_int_equal(number(f, f->db,
				"SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = current_schema()"
				" AND table_name NOT IN ('t', 'schema_version') AND data_type = 'text' AND table_name NOT IN"
				" (SELECT viewname FROM pg_views WHERE schemaname = current_schema())"
				" AND collation_name IS DISTINCT FROM 'C'"),
			 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, db_fixture_setup, db_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_transaction_whose_connection_is_cut_is_run_again),
		T(a_commit_that_never_came_is_run_again),
		T(reads_go_on_over_a_cut),
		T(a_commit_whose_answer_is_lost_is_not_done_twice),
		T(what_failed_inside_is_not_committed),
		T(a_deadlock_is_run_again),
		T(no_room_for_more_connections),
		T(time_is_the_servers),
		T(others_hear_of_it),
		T(a_server_that_is_not_there),
		T(text_that_is_no_text_is_the_callers_fault),
		T(codes_become_kinds),
		T(scripts_compare_by_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
