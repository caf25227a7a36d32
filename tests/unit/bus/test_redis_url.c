/* bus/redis_url and bus/event: URLs of Redis servers, and events as text. */
#include "bus/redis_url.h"

#include <stdio.h>
#include <string.h>

#include "../base/cm.h"
#include "base/mem.h"
#include "bus/bus.h"

static void urls_that_are_taken(void **state)
{
	(void)state;
	static const struct {
		const char *url, *host, *port, *user, *password, *db, *prefix, *ca;
		bool tls;
	} cases[] = {
		{ "redis://cache", "cache", "6379", NULL, NULL, NULL, "millrace", NULL, false },
		{ "redis://cache/", "cache", "6379", NULL, NULL, NULL, "millrace", NULL, false },
		{ "redis://:s%40crt@10.0.0.1:6380/2", "10.0.0.1", "6380", NULL, "s@crt", "2", "millrace", NULL, false },
		{ "rediss://default:pw@cache.example:25061/0", "cache.example", "25061", "default", "pw", "0", "millrace", NULL,
		  true },
		{ "rediss://[::1]:7000?prefix=blue:1&ca=/etc/own%20ca.pem", "::1", "7000", NULL, NULL, NULL, "blue:1",
		  "/etc/own ca.pem", true },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct redis_url u = { 0 };
		struct err e = { 0 };
		if (redis_url_parse(cases[i].url, &u, &e) < 0)
			fail_msg("%s: %s", cases[i].url, e.message);
		const char *got[] = { u.host, u.port, u.user, u.password, u.db, u.prefix, u.ca };
		const char *want[] = { cases[i].host, cases[i].port, cases[i].user, cases[i].password,
				       cases[i].db,   cases[i].prefix, cases[i].ca };
		for (size_t k = 0; k < MR_ARRAY_SIZE(got); k++)
			if (want[k] ? !got[k] || strcmp(got[k], want[k]) != 0 : got[k] != NULL)
				fail_msg("%s: part %zu is %s", cases[i].url, k, got[k] ? got[k] : "(none)");
		assert_int_equal(u.tls, cases[i].tls);
		redis_url_release(&u);
	}
}

static void urls_that_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "redis", "http://cache", "redis://", "redis://cache/two", "redis://cache/1/2",
					   "redis://cache?prefix=", "redis://cache?prefix=a%20b", "redis://cache?secret=hunter2",
					   "redis://user:hunter2@cache:port" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		struct redis_url u = { 0 };
		struct err e = { 0 };
		assert_int_equal(redis_url_parse(bad[i], &u, &e), -ERR_INVALID);
		assert_null(strstr(e.message, "hunter2"));
	}
	struct bus *b = NULL;
	assert_int_equal(bus_open(&(struct bus_opts){ .url = "tcp://cache" }, &b, NULL), -ERR_INVALID);
}

static void events_survive_their_text(void **state)
{
	(void)state;
	const struct bus_event events[] = {
		{ .topic = BUS_JOB, .job_id = "0193-a", .user_id = "a user, with blanks" },
		{ .topic = BUS_JOB, .job_id = "0193-b", .user_id = "" },
		{ .topic = BUS_WORK },
		{ .topic = BUS_DOOMED },
		{ .topic = BUS_STREAM, .stream_id = "0193-c" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(events); i++) {
		char text[BUS_EVENT_MAX], again[BUS_EVENT_MAX];
		struct bus_event_copy copy;
		bus_event_format(&events[i], text);
		assert_true(bus_event_parse(text, &copy));
		assert_int_equal(copy.event.topic, events[i].topic);
		bus_event_format(&copy.event, again);
		assert_string_equal(text, again);
	}
	struct bus_event_copy copy;
	assert_false(bus_event_parse("", &copy));
	assert_false(bus_event_parse("job", &copy));
	assert_false(bus_event_parse("job  x", &copy));
	assert_false(bus_event_parse("job 0193-a", &copy));
	assert_false(bus_event_parse("stream ", &copy));
	assert_false(bus_event_parse("tomorrow", &copy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_that_are_taken),
		cmocka_unit_test(urls_that_are_refused),
		cmocka_unit_test(events_survive_their_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
