/* bus/local: topics, order-free delivery, and that an unsubscribe waits for callbacks that still run. */
#include "bus/bus.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "../base/cm.h"
#include "base/mem.h"

struct heard {
	int events;
	char last_job[64];
};

static void hear(void *ctx, const struct bus_event *ev)
{
	struct heard *h = ctx;
	h->events++;
	(void)snprintf(h->last_job, sizeof(h->last_job), "%s", ev->job_id ? ev->job_id : "");
}

static void everybody_hears_their_topic(void **state)
{
	(void)state;
	struct bus *b = NULL;
	struct bus_subscription *jobs = NULL, *more_jobs = NULL, *work = NULL;
	struct heard j = { 0 }, m = { 0 }, w = { 0 };
	assert_int_equal(bus_open(&(struct bus_opts){ 0 }, &b, NULL), 0);
	assert_int_equal(bus_subscribe(b, BUS_JOB, hear, &j, &jobs, NULL), 0);
	assert_int_equal(bus_subscribe(b, BUS_JOB, hear, &m, &more_jobs, NULL), 0);
	assert_int_equal(bus_subscribe(b, BUS_WORK, hear, &w, &work, NULL), 0);
	bus_publish(b, &(struct bus_event){ .topic = BUS_JOB, .user_id = "u", .job_id = "one" });
	bus_publish(b, &(struct bus_event){ .topic = BUS_WORK });
	bus_unsubscribe(b, jobs);
	bus_publish(b, &(struct bus_event){ .topic = BUS_JOB, .user_id = "u", .job_id = "two" });
	assert_int_equal(j.events, 1);
	assert_string_equal(j.last_job, "one");
	assert_int_equal(m.events, 2);
	assert_string_equal(m.last_job, "two");
	assert_int_equal(w.events, 1);
	bus_unsubscribe(b, work);
	bus_unsubscribe(b, NULL);
	bus_unsubscribe(b, more_jobs);
	bus_publish(b, &(struct bus_event){ .topic = BUS_JOB });
	assert_int_equal(m.events, 2);
	bus_close(b);
	bus_close(NULL);
}

struct slow {
	struct bus *bus;
	struct bus_subscription *sub;
	sem_t inside, go_on;
	atomic_bool left;
	atomic_bool left_before_unsubscribe_returned;
};

static void linger(void *ctx, const struct bus_event *ev)
{
	(void)ev;
	struct slow *s = ctx;
	sem_post(&s->inside);
	sem_wait(&s->go_on);
	atomic_store(&s->left, true);
}

static void *publish(void *arg)
{
	struct slow *s = arg;
	bus_publish(s->bus, &(struct bus_event){ .topic = BUS_WORK });
	return NULL;
}

static void *unsubscribe(void *arg)
{
	struct slow *s = arg;
	bus_unsubscribe(s->bus, s->sub);
	atomic_store(&s->left_before_unsubscribe_returned, atomic_load(&s->left));
	return NULL;
}

static void unsubscribe_waits_for_a_running_callback(void **state)
{
	(void)state;
	struct slow s = { 0 };
	sem_init(&s.inside, 0, 0);
	sem_init(&s.go_on, 0, 0);
	assert_int_equal(bus_open(&(struct bus_opts){ 0 }, &s.bus, NULL), 0);
	assert_int_equal(bus_subscribe(s.bus, BUS_WORK, linger, &s, &s.sub, NULL), 0);
	pthread_t publisher, leaver;
	assert_int_equal(pthread_create(&publisher, NULL, publish, &s), 0);
	sem_wait(&s.inside);
	assert_int_equal(pthread_create(&leaver, NULL, unsubscribe, &s), 0);
	sem_post(&s.go_on);
	pthread_join(leaver, NULL);
	pthread_join(publisher, NULL);
	assert_true(atomic_load(&s.left_before_unsubscribe_returned));
	bus_close(s.bus);
	sem_destroy(&s.inside);
	sem_destroy(&s.go_on);
}

static void count(void *ctx, const struct bus_event *ev)
{
	(void)ev;
	atomic_fetch_add((atomic_int *)ctx, 1);
}

struct crowd {
	struct bus *bus;
	atomic_int heard;
};

static void *publish_many(void *arg)
{
	struct crowd *c = arg;
	for (int i = 0; i < 1000; i++)
		bus_publish(c->bus, &(struct bus_event){ .topic = BUS_JOB });
	return NULL;
}

static void *come_and_go(void *arg)
{
	struct crowd *c = arg;
	for (int i = 0; i < 200; i++) {
		atomic_int mine = 0; /* gone from the stack after: a late callback would be seen by a sanitizer */
		struct bus_subscription *sub = NULL;
		if (bus_subscribe(c->bus, BUS_JOB, count, &mine, &sub, NULL) == 0)
			bus_unsubscribe(c->bus, sub);
	}
	return NULL;
}

static void many_threads(void **state)
{
	(void)state;
	struct crowd c = { 0 };
	struct bus_subscription *sub = NULL;
	assert_int_equal(bus_open(&(struct bus_opts){ 0 }, &c.bus, NULL), 0);
	assert_int_equal(bus_subscribe(c.bus, BUS_JOB, count, &c.heard, &sub, NULL), 0);
	pthread_t threads[6];
	for (size_t i = 0; i < MR_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? come_and_go : publish_many, &c), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&c.heard), 3000);
	bus_unsubscribe(c.bus, sub);
	bus_close(c.bus);
}

static void progress_as_text(void **state)
{
	(void)state;
	const struct bus_progress p = { .revision = 1234567890123, .status = 3, .percent = 100.0 / 3, .stage = "encoding" };
	const struct bus_event ev = { .topic = BUS_JOB, .job_id = "j-1", .user_id = "a user", .progress = &p };
	char text[BUS_EVENT_MAX];
	struct bus_event_copy copy;
	bus_event_format(&ev, text);
	assert_true(bus_event_parse(text, &copy));
	assert_int_equal(copy.event.topic, BUS_JOB);
	assert_string_equal(copy.event.job_id, "j-1");
	assert_string_equal(copy.event.user_id, "a user");
	assert_ptr_equal(copy.event.progress, &copy.progress);
	assert_true(copy.progress.revision == p.revision && copy.progress.status == 3 && copy.progress.percent == p.percent);
	assert_string_equal(copy.progress.stage, "encoding");
	assert_true(bus_event_parse("job j-1 a user", &copy));
	assert_null(copy.event.progress);
}

static void what_is_no_event(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"progress",		    "progress j 1 2 3 s",	"progress j 1 2 101 s u", "progress j 1 2 -1 s u",
		"progress j 1 2 nan s u",   "progress j 1 256 1 s u",	"progress j x 2 3 s u",	  "progress  1 2 3 s u",
		"progress j 1e300 2 3 s u", "progress j 1 2 3 a-stage-that-is-too-long-by-far u", "job ", "works", "",
	};
	struct bus_event_copy copy;
	for (size_t i = 0; i < MR_ARRAY_SIZE(wrong); i++)
		if (bus_event_parse(wrong[i], &copy))
			fail_msg("\"%s\" was taken", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_hears_their_topic),
		cmocka_unit_test(unsubscribe_waits_for_a_running_callback),
		cmocka_unit_test(many_threads),
		cmocka_unit_test(progress_as_text),
		cmocka_unit_test(what_is_no_event),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
