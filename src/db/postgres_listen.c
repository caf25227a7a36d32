/* What other processes tell through PostgreSQL: one thread with a connection of its own that does nothing but LISTEN, so that
 * being idle costs no query. Connects again for ever, and says so, since what was told meanwhile is lost. The channel is named
 * after the schema: installations that share a database hear only their own.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "db/postgres.h"
#include "os/fd.h"
#include "os/thread.h"

#define AGAIN_MS 1000
#define CHANNEL_SQL "'millrace.' || current_schema()"

struct pg_listener {
	struct pg_shared *shared;
	db_heard_fn fn;
	void *ctx;
	pthread_t thread;
	int stop; /* eventfd */
	atomic_bool stopping;
};

/* Until there is something to read on the socket (-1: none), the time is over, or it is to stop. */
static void wait(struct pg_listener *l, int socket, int timeout_ms)
{
	struct pollfd p[] = { { .fd = l->stop, .events = POLLIN }, { .fd = socket, .events = POLLIN } };
	(void)poll(p, socket < 0 ? 1 : 2, timeout_ms);
}

static int subscribe(struct pg_listener *l, PGconn *h, struct err *e)
{
	struct pg_conn c = { .shared = l->shared, .h = h };
	PGresult *res = NULL;
	int r = db_pg_simple(&c, "SELECT 'LISTEN ' || quote_ident(" CHANNEL_SQL ")", PG_ANSWER_MS, &res, e);
	if (r < 0)
		return r;
	_cleanup_free_ char *sql = mr_strdup(PQgetvalue(res, 0, 0));
	PQclear(res);
	return db_pg_simple(&c, sql, PG_ANSWER_MS, NULL, e);
}

static void hear(struct pg_listener *l, PGconn *h)
{
	PGnotify *n;
	while ((n = PQnotifies(h)) != NULL) {
		l->fn(l->ctx, n->extra);
		PQfreemem(n);
	}
}

static void *listen_thread(void *arg)
{
	struct pg_listener *l = arg;
	while (!atomic_load(&l->stopping)) {
		PGconn *h = NULL;
		struct err e;
		if (db_pg_dial(l->shared, &h, &e) < 0) {
			wait(l, -1, AGAIN_MS);
			continue;
		}
		bool there = subscribe(l, h, &e) == 0;
		if (there)
			l->fn(l->ctx, NULL);
		while (there && !atomic_load(&l->stopping)) {
			wait(l, PQsocket(h), -1);
			there = PQconsumeInput(h);
			hear(l, h);
		}
		PQfinish(h);
		if (!there)
			wait(l, -1, AGAIN_MS);
	}
	return NULL;
}

int db_pg_listen(void *shared, db_heard_fn fn, void *ctx, struct err *e)
{
	struct pg_shared *s = shared;
	struct pg_listener *l = mr_calloc(1, sizeof(*l));
	*l = (struct pg_listener){ .shared = s, .fn = fn, .ctx = ctx, .stop = eventfd(0, EFD_CLOEXEC) };
	int errnum = l->stop < 0 ? EMFILE : thread_start(&l->thread, "db-listen", listen_thread, l);
	if (errnum) {
		fd_close(&l->stop);
		free(l);
		return err_errno(e, errnum, "listen to the database");
	}
	s->listener = l;
	return 0;
}

void db_pg_listen_stop(void *shared)
{
	struct pg_shared *s = shared;
	struct pg_listener *l = mr_steal(s->listener);
	if (!l)
		return;
	atomic_store(&l->stopping, true);
	(void)eventfd_write(l->stop, 1);
	(void)pthread_join(l->thread, NULL);
	fd_close(&l->stop);
	free(l);
}

int db_pg_notify(struct db_conn *conn, const char *text, struct err *e)
{
	return db_exec(conn, "SELECT pg_notify(" CHANNEL_SQL ", $1)", DB_PARAMS(DB_TEXT(text)), NULL, e);
}
