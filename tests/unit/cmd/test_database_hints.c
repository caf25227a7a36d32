/* cmd/database_hints: events between the buses of two processes over one database; on a real PostgreSQL where there is one. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/cm.h"
#include "../db/fresh_db.h"
#include "base/mem.h"
#include "cmd/database_hints.h"

/* What one process has: a bus, and who listens to it. */
struct side {
	struct db *db;
	struct bus *bus;
	struct database_hints *hints;
	struct bus_subscription *jobs, *work;
	sem_t job_heard, work_heard;
	pthread_mutex_t lock;
	char job_id[40], user_id[40];
	int jobs_heard;
};

static void on_job(void *ctx, const struct bus_event *ev)
{
	struct side *s = ctx;
	pthread_mutex_lock(&s->lock);
	(void)snprintf(s->job_id, sizeof(s->job_id), "%s", ev->job_id);
	(void)snprintf(s->user_id, sizeof(s->user_id), "%s", ev->user_id);
	s->jobs_heard++;
	pthread_mutex_unlock(&s->lock);
	sem_post(&s->job_heard);
}

static void on_work(void *ctx, const struct bus_event *ev)
{
	struct side *s = ctx;
	(void)ev;
	sem_post(&s->work_heard);
}

static void side_open(struct side *s, const char *url)
{
	struct err e = { 0 };
	*s = (struct side){ .lock = PTHREAD_MUTEX_INITIALIZER };
	sem_init(&s->job_heard, 0, 0);
	sem_init(&s->work_heard, 0, 0);
	assert_int_equal(db_open(&(struct db_opts){ .url = url }, &s->db, &e), 0);
	assert_int_equal(bus_open(&(struct bus_opts){ 0 }, &s->bus, &e), 0);
	assert_int_equal(bus_subscribe(s->bus, BUS_JOB, on_job, s, &s->jobs, &e), 0);
	assert_int_equal(bus_subscribe(s->bus, BUS_WORK, on_work, s, &s->work, &e), 0);
	assert_int_equal(database_hints_start(s->db, s->bus, &s->hints, &e), 0);
}

static void side_close(struct side *s)
{
	database_hints_stop(s->hints);
	bus_unsubscribe(s->bus, s->jobs);
	bus_unsubscribe(s->bus, s->work);
	bus_close(s->bus);
	db_close(s->db);
}

static void what_one_publishes_the_other_hears(void **state)
{
	(void)state;
	struct fresh_db at;
	struct side a, b;
	fresh_db_make(&at);
	side_open(&a, at.url);
	side_open(&b, at.url);
	if (fresh_db_is_postgres()) {
		sem_wait(&a.work_heard); /* each begins with a look, and listens from then on */
		sem_wait(&b.work_heard);
		bus_publish(a.bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = "ann, \"o\"", .job_id = "j1" });
		bus_publish(a.bus, &(struct bus_event){ .topic = BUS_WORK });
		sem_wait(&b.job_heard);
		sem_wait(&b.work_heard);
		assert_string_equal(b.job_id, "j1");
		assert_string_equal(b.user_id, "ann, \"o\"");
		/* What comes from outside isn't sent back, and one's own isn't heard twice. */
		bus_publish(b.bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = "bea", .job_id = "j2" });
		sem_wait(&a.job_heard); /* its own */
		sem_wait(&a.job_heard);
		assert_int_equal(a.jobs_heard, 2);
		assert_string_equal(a.job_id, "j2");
		assert_int_equal(b.jobs_heard, 2);
	} else {
		assert_null(a.hints);
		bus_publish(a.bus, &(struct bus_event){ .topic = BUS_JOB, .user_id = "ann", .job_id = "j1" });
		assert_int_equal(a.jobs_heard, 1);
	}
	side_close(&a);
	side_close(&b);
	fresh_db_remove(&at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_one_publishes_the_other_hears),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
