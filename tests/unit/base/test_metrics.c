/* base/metrics and base/timed: values, buckets, text, threads that make the same series at once, and the bound on series. */
#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/timed.h"
#include "cm.h"

static bool says(const char *line)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, 8u << 20);
	metrics_format(&b);
	_cleanup_free_ char *whole = mr_asprintf("%s\n", line);
	return buf_finish(&b, NULL) == 0 && b.data && strstr(b.data, whole);
}

static void values_and_labels(void **state)
{
	(void)state;
	static struct metric m = METRIC_COUNTER("t_total", "Counts.", 1, "a", "b");
	static struct metric g = METRIC_GAUGE("t_seconds", "A gauge.", 1e-3);
	assert_false(says("# TYPE t_total counter"));
	metric_add(metric_of(&m, "x", "1"), 2);
	metric_add(metric_of(&m, "x", "1"), 3);
	metric_add(metric_of(&m, "x", "2"), 1);
	metric_add(metric_of(&m, "quote\" back\\ line\n", ""), 1);
	metric_set(metric_of(&g, NULL), 1500);
	assert_ptr_equal(metric_of(&m, "x", "1"), metric_of(&m, "x", "1"));
	assert_int_equal(metric_value(metric_of(&m, "x", "1")), 5);
	assert_true(says("# HELP t_total Counts.\n# TYPE t_total counter"));
	assert_true(says("t_total{a=\"x\",b=\"1\"} 5"));
	assert_true(says("t_total{a=\"x\",b=\"2\"} 1"));
	assert_true(says("t_total{a=\"quote\\\" back\\\\ line\\n\",b=\"\"} 1"));
	assert_true(says("t_seconds 1.5"));
	metric_reset(&m);
	assert_true(says("t_total{a=\"x\",b=\"1\"} 0"));
	metric_hide(&m, true);
	assert_false(says("# TYPE t_total counter"));
	metric_hide(&m, false);
	assert_true(says("# TYPE t_total counter"));
}

static void buckets(void **state)
{
	(void)state;
	static const int64_t bounds[] = { 10, 100 };
	static struct metric h = METRIC_HISTOGRAM("t_ms", "A histogram.", 1e-3, bounds, "kind");
	const int64_t seen[] = { 0, 10, 11, 100, 101, 5000 };
	for (size_t i = 0; i < MR_ARRAY_SIZE(seen); i++)
		metric_observe(metric_of(&h, "k"), seen[i]);
	assert_true(says("t_ms_bucket{kind=\"k\",le=\"0.01\"} 2"));
	assert_true(says("t_ms_bucket{kind=\"k\",le=\"0.1\"} 4"));
	assert_true(says("t_ms_bucket{kind=\"k\",le=\"+Inf\"} 6"));
	assert_true(says("t_ms_sum{kind=\"k\"} 5.222\nt_ms_count{kind=\"k\"} 6"));
}

static struct metric shared = METRIC_COUNTER("t_shared_total", "From many threads.", 1, "n");
#define THREADS 4
#define ROUNDS 2000

static void *count(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		char n[16];
		(void)snprintf(n, sizeof(n), "%u", i % 100);
		metric_add(metric_of(&shared, n), 1);
	}
	return NULL;
}

static void many_threads(void **state)
{
	(void)state;
	pthread_t id[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&id[i], NULL, count, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(id[i], NULL), 0);
	assert_int_equal(shared.count, 100);
	assert_int_equal(metric_value(metric_of(&shared, "42")), THREADS * ROUNDS / 100);
}

static void too_many_series(void **state)
{
	(void)state;
	static struct metric m = METRIC_COUNTER("t_many_total", "Whatever somebody sends.", 1, "value");
	for (unsigned i = 0; i < METRIC_SERIES_MAX + 500; i++) {
		char n[16];
		(void)snprintf(n, sizeof(n), "%u", i);
		metric_add(metric_of(&m, n), 1);
	}
	assert_int_equal(m.count, METRIC_SERIES_MAX);
	assert_int_equal(metric_value(metric_of(&m, "other")), 501);
}

static struct timed heard;
static unsigned heard_count;

static void hear(const struct timed *t)
{
	heard = *t;
	heard_count++;
}

static void operations(void **state)
{
	(void)state;
	timed_done(TIMED_STORE, "put", "unheard", 1000, 0);
	timed_listen(hear);
	timed_done(TIMED_STORE, "put", "a/key", 2500000, 0);
	assert_int_equal(heard_count, 1);
	assert_string_equal(heard.what, "a/key");
	assert_int_equal(heard.took_ns, 2500000);
	timed_done(TIMED_STORE, "stat", "a/key", 1000, -ERR_NOT_FOUND);
	timed_done(TIMED_STORE, "stat", "a/key", 1000, -ERR_UNAVAILABLE);
	timed_listen(NULL);
	timed_done(TIMED_STORE, "put", "unheard", 1000, 0);
	assert_int_equal(heard_count, 3);
	assert_true(says("millrace_store_seconds_count{operation=\"put\",outcome=\"ok\"} 3"));
	assert_true(says("millrace_store_seconds_bucket{operation=\"put\",outcome=\"ok\",le=\"0.001\"} 2"));
	assert_true(says("millrace_store_seconds_count{operation=\"stat\",outcome=\"ok\"} 1"));
	assert_true(says("millrace_store_seconds_count{operation=\"stat\",outcome=\"error\"} 1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(values_and_labels), cmocka_unit_test(buckets),
					    cmocka_unit_test(many_threads), cmocka_unit_test(too_many_series),
					    cmocka_unit_test(operations) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
