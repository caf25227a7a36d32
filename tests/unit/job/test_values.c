/* job/: names, object keys, and the pure rules (lifecycle, retry, progress). */
#include <string.h>

#include "../base/cm.h"
#include "base/mem.h"
#include "job/iframes.h"
#include "job/keys.h"
#include "job/policy.h"
#include "store/store.h"

static void names(void **state)
{
	(void)state;
	for (int s = JOB_PENDING; s <= JOB_DELETING; s++) {
		enum job_status back = (enum job_status)0;
		assert_true(job_status_parse(job_status_name((enum job_status)s), &back));
		assert_int_equal(back, s);
	}
	enum job_kind kind;
	enum job_status status = JOB_FAILED;
	assert_true(job_kind_parse("ladder", &kind));
	assert_int_equal(kind, JOB_LADDER);
	assert_false(job_kind_parse("", &kind));
	assert_false(job_kind_parse("Ladder", &kind));
	assert_false(job_status_parse("unknown", &status));
	assert_int_equal(status, JOB_FAILED);
	assert_string_equal(job_status_name((enum job_status)0), "unknown");
	assert_string_equal(job_status_name((enum job_status)99), "unknown");
	assert_string_equal(job_kind_name((enum job_kind)2), "unknown");
	for (int s = 0; s <= JOB_DELETING; s++)
		assert_int_equal(job_status_is_final((enum job_status)s),
				 s == JOB_COMPLETED || s == JOB_FAILED || s == JOB_CANCELED);
}

#define KEY(expected, call)                            \
	do {                                           \
		_cleanup_free_ char *_key = (call);    \
		assert_string_equal(_key, (expected)); \
	} while (0)

static void keys(void **state)
{
	(void)state;
	KEY("anna-1_B", key_user("anna-1_B"));
	KEY("~2E~2E", key_user(".."));
	KEY("a~40b~2Ec~2F~7E~25", key_user("a@b.c/~%"));
	KEY("Zo~C3~AB~0A", key_user("Zo\xc3\xab\n"));
	KEY("", key_user(""));
	KEY("uploads/u/f.mp4", key_upload("u", "f", "Film.final.MP4"));
	KEY("uploads/u/f.bin", key_upload("u", "f", "film"));
	KEY("uploads/u/f.bin", key_upload("u", "f", ".mp4"));
	KEY("uploads/u/f.bin", key_upload("u", "f", "film."));
	KEY("uploads/u/f.bin", key_upload("u", "f", "x.mp/4"));
	KEY("uploads/u/f.bin", key_upload("u", "f", "x.\xc3\xab"));
	KEY("uploads/u/f.bin", key_upload("u", "f", "x.morethan8"));
	KEY("hls/a~20b/j", key_job_prefix(JOB_LADDER, "a b", "j"));
	KEY("hls/u/j/master.m3u8", key_in_job("hls/u/j", KEY_MASTER));
	KEY("master.m3u8", key_in_job("", KEY_MASTER));
	struct rendition r = { .name = "720p" };
	KEY("720p/init.mp4", key_init(&r));
	KEY("720p/playlist.m3u8", key_playlist(&r));
	KEY("720p/segment_007.m4s", key_segment(&r, CONTAINER_FMP4, 7));
	KEY("720p/segment_1234.ts", key_segment(&r, CONTAINER_TS, 1234));
}

/* Users whose encoded name is longer than a folder's name may be. */
static void long_users_stay_apart_and_fit(void **state)
{
	(void)state;
	char a[USER_ID_MAX + 1], b[USER_ID_MAX + 1];
	memset(a, '/', USER_ID_MAX);
	a[USER_ID_MAX] = '\0';
	memcpy(b, a, sizeof(b));
	b[USER_ID_MAX - 1] = '.';
	_cleanup_free_ char *key_a = key_user(a), *key_b = key_user(b), *again = key_user(a);
	assert_string_not_equal(key_a, key_b);
	assert_string_equal(key_a, again);
	assert_true(strlen(key_a) <= 255);
	/* Nobody can be named so that he gets a shortened name: '~' is encoded itself. */
	_cleanup_free_ char *posing = key_user(key_a);
	assert_string_not_equal(posing, key_a);
	_cleanup_free_ char *upload = key_upload(a, "0190b0a0-0000-7000-8000-000000000000", "x.mp4");
	assert_true(strlen(upload) < STORE_KEY_MAX);
}

static void lifecycle_table(void **state)
{
	(void)state;
	/* One row a status, one column an event: claim, show, complete, fail, cancel, retry, delete; 0: refused. */
	static const int want[JOB_DELETING + 1][JOB_EVENTS] = {
		[JOB_PENDING] = { 0, JOB_PROCESSING, 0, 0, JOB_FAILED, JOB_CANCELED, 0, 0 },
		[JOB_PROCESSING] = { 0, JOB_PROCESSING, JOB_STREAMING, JOB_COMPLETED, JOB_FAILED, JOB_CANCELED, 0, 0 },
		[JOB_STREAMING] = { 0, JOB_STREAMING, JOB_STREAMING, JOB_COMPLETED, JOB_FAILED, JOB_CANCELED, 0, 0 },
		[JOB_COMPLETED] = { 0, 0, 0, 0, 0, 0, 0, JOB_DELETING },
		[JOB_FAILED] = { 0, 0, 0, 0, 0, 0, JOB_PENDING, JOB_DELETING },
		[JOB_CANCELED] = { 0, 0, 0, 0, 0, 0, 0, JOB_DELETING },
	};
	for (int s = 0; s <= JOB_DELETING; s++)
		for (int ev = 0; ev < JOB_EVENTS; ev++)
			assert_int_equal(job_after((enum job_status)s, (enum job_event)ev), want[s][ev]);
	assert_int_equal(job_after((enum job_status)99, JOB_EVENT_CLAIM), 0);
	assert_int_equal(job_after(JOB_PENDING, JOB_EVENTS), 0);
}

static void retry_delays(void **state)
{
	(void)state;
	const struct retry_policy standard = RETRY_POLICY_DEFAULT;
	const struct retry_policy plain = { .first_ms = 10, .factor = 1, .jitter_percent = 100, .failures_max = 1 };
	static const struct {
		bool plain;
		uint32_t failures;
		double jitter;
		int64_t ms;
	} cases[] = {
		{ false, 1, 0, 1000 },		{ false, 2, 0, 4000 },	{ false, 1, 1, 1200 },	{ false, 1, -1, 800 },
		{ false, 2, 1, 4800 },		{ false, 2, -1, 3200 }, { false, 3, 0, 16000 }, { false, 2, 0.5, 4400 },
		{ false, 1000000, 0, 3600000 }, { true, 5, 0, 10 },	{ true, 5, -1, 0 },	{ true, 5, 1, 20 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++)
		assert_int_equal(
			retry_delay_ms(cases[i].plain ? &plain : &standard, cases[i].failures, cases[i].jitter),
			cases[i].ms);
	assert_false(retry_is_final(&standard, 1, true));
	assert_false(retry_is_final(&standard, 2, true));
	assert_true(retry_is_final(&standard, 3, true));
	assert_true(retry_is_final(&standard, 1, false));
	assert_true(retry_is_final(&plain, 1, true));
}

static void progress_table(void **state)
{
	(void)state;
	const int64_t s = VIDEO_TIMESCALE;
	const struct {
		struct progress_facts facts;
		struct progress want;
	} cases[] = {
		/* nothing done */
		{ { .weight_ticks = 100 * s, .run_ms = 1000, .now_ms = 2000 }, { 0, 0, -1 } },
		/* 25 s of 100 s in 5 s */
		{ { .done_ticks = 25 * s, .weight_ticks = 100 * s, .run_ms = 1000, .now_ms = 6000 }, { 25, 5, 15 } },
		/* a second run counts from where it began */
		{ { .done_ticks = 50 * s,
		    .weight_ticks = 100 * s,
		    .run_ms = 1000,
		    .run_ticks = 40 * s,
		    .now_ms = 2000 },
		  { 50, 10, 5 } },
		/* never below what was shown */
		{ { .done_ticks = 10 * s, .weight_ticks = 100 * s, .percent = 30, .run_ms = 1000, .now_ms = 11000 },
		  { 30, 1, 90 } },
		/* not 100 before it is completed */
		{ { .done_ticks = 100 * s, .weight_ticks = 100 * s, .run_ms = 1000, .now_ms = 11000 },
		  { 99.9, 10, 0 } },
		{ { .done_ticks = 120 * s, .weight_ticks = 100 * s, .run_ms = 1000, .now_ms = 13000 },
		  { 99.9, 10, 0 } },
		/* not begun; a clock that was set back; no weight */
		{ { .done_ticks = 10 * s, .weight_ticks = 100 * s, .now_ms = 5000 }, { 10, 0, -1 } },
		{ { .done_ticks = 10 * s, .weight_ticks = 100 * s, .run_ms = 9000, .now_ms = 5000 }, { 10, 0, -1 } },
		{ { .run_ms = 1000, .now_ms = 5000 }, { 0, 0, -1 } },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct progress p = progress_of(&cases[i].facts);
		assert_float_equal(p.percent, cases[i].want.percent, 1e-9);
		assert_float_equal(p.speed, cases[i].want.speed, 1e-6);
		assert_float_equal(p.eta_seconds, cases[i].want.eta_seconds, 1e-4);
	}
}

static void iframes_as_text(void **state)
{
	(void)state;
	struct err e;
	struct segment s = { .duration_ticks = 360000,
			     .iframe_count = 2,
			     .iframes = { { 0, 24, 5000 }, { 180000, 1ull << 33, 7 } } };
	_cleanup_free_ char *text = iframes_format(&s);
	assert_string_equal(text, "[[0,24,5000],[180000,8589934592,7]]");
	struct segment back = { .duration_ticks = 360000 };
	assert_int_equal(iframes_parse(text, &back, &e), 0);
	assert_int_equal(back.iframe_count, 2);
	assert_memory_equal(back.iframes, s.iframes, sizeof(s.iframes));
	assert_int_equal(iframes_duration(&back, 0), 180000);
	assert_int_equal(iframes_duration(&back, 1), 180000);
	struct segment none = { 0 };
	_cleanup_free_ char *nothing = iframes_format(&none);
	assert_string_equal(nothing, "");
	assert_int_equal(iframes_parse("", &back, &e), 0);
	assert_int_equal(back.iframe_count, 0);
	s.iframe_count = TASK_IFRAMES_MAX;
	for (uint32_t i = 0; i < TASK_IFRAMES_MAX; i++)
		s.iframes[i] = (struct task_iframe){ INT64_MAX, INT64_MAX, INT64_MAX };
	_cleanup_free_ char *largest = iframes_format(&s);
	assert_int_equal(iframes_parse(largest, &back, &e), 0);
	assert_memory_equal(back.iframes, s.iframes, sizeof(s.iframes));
	static const char *const bad[] = { "{}",	"[1]",	      "[[0,1]]",    "[[0,1,2,3]]",
					   "[[0,1,0]]", "[[-1,1,1]]", "[[0,-1,1]]", "[[0,1,1]" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++)
		assert_int_equal(iframes_parse(bad[i], &back, &e), -ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(keys),
		cmocka_unit_test(long_users_stay_apart_and_fit),
		cmocka_unit_test(lifecycle_table),
		cmocka_unit_test(retry_delays),
		cmocka_unit_test(progress_table),
		cmocka_unit_test(iframes_as_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
