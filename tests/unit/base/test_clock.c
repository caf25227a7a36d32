/* base/clock: the two date formats at their edges, and that the monotonic clock keeps to its word. */
#include "base/clock.h"

#include <string.h>
#include <time.h>

#include "cm.h"
#include "base/mem.h"

static const struct {
	int64_t ms;
	const char *iso;
	const char *amz;
} dates[] = {
	{ 0, "1970-01-01T00:00:00.000Z", "19700101T000000Z" },
	{ 999, "1970-01-01T00:00:00.999Z", "19700101T000000Z" },
	{ 1369353600000, "2013-05-24T00:00:00.000Z", "20130524T000000Z" },   /* the day of AWS's S3 examples */
	{ 951782400000, "2000-02-29T00:00:00.000Z", "20000229T000000Z" },    /* a leap day of a century */
	{ 1709251199999, "2024-02-29T23:59:59.999Z", "20240229T235959Z" },
	{ 4107542400000, "2100-03-01T00:00:00.000Z", "21000301T000000Z" },   /* 2100 has no leap day */
	{ 2147483648000, "2038-01-19T03:14:08.000Z", "20380119T031408Z" },
	{ 253402300799999, "9999-12-31T23:59:59.999Z", "99991231T235959Z" }, /* the last that the format can say */
	{ -1, "1969-12-31T23:59:59.999Z", "19691231T235959Z" },
	{ -1000, "1969-12-31T23:59:59.000Z", "19691231T235959Z" },
	{ -1001, "1969-12-31T23:59:58.999Z", "19691231T235958Z" },
};

static void both_formats(void **state)
{
	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(dates); i++) {
		char iso[ISO8601_SIZE], amz[AMZ_DATE_SIZE];
		iso8601_format(dates[i].ms, iso);
		assert_string_equal(iso, dates[i].iso);
		amz_date_format(dates[i].ms, amz);
		assert_string_equal(amz, dates[i].amz);
	}
}

static void amz_date_there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(dates); i++) {
		if (dates[i].ms < 0)
			continue;
		int64_t ms = -1;
		assert_true(amz_date_parse(dates[i].amz, &ms));
		assert_int_equal(ms, dates[i].ms / 1000 * 1000);
	}
}

static void amz_date_takes_nothing_else(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "2", "20130524", "20130524T000000", "20130524T000000Zx", "20130524t000000Z", "20130524T000000z",
		"20130524 000000Z", "2013-05-24T00:00:00Z", "20131324T000000Z", "20130024T000000Z", "20130500T000000Z",
		"20130532T000000Z", "20130524T240000Z", "20130524T006000Z", "20130524T000061Z", "+0130524T000000Z",
		"2013052 T000000Z", "20130524T0000 0Z", "20130524T-10000Z",
		/* days that their month doesn't have: a signature's scope must not match another day */
		"20130230T000000Z", "20130230T235960Z", "20130229T000000Z", "20130431T000000Z", "21000229T000000Z",
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		int64_t ms = 12345;
		if (amz_date_parse(bad[i], &ms))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(ms, 12345);
	}
}

static void formats_follow_no_time_zone(void **state)
{
	(void)state;
	assert_int_equal(setenv("TZ", "Asia/Kathmandu", 1), 0);
	tzset();
	both_formats(state);
	amz_date_there_and_back(state);
	assert_int_equal(unsetenv("TZ"), 0);
	tzset();
}

static void clocks_tick(void **state)
{
	(void)state;
	int64_t before_s = (int64_t)time(NULL);
	int64_t wall = clock_wall_ms();
	int64_t after_s = (int64_t)time(NULL);
	/* time(2) may lag behind by a tick of the kernel's coarse clock. */
	assert_true(wall >= before_s * 1000 && wall <= (after_s + 2) * 1000);
	int64_t last = clock_mono_ns();
	for (int i = 0; i < 10000; i++) {
		int64_t now = clock_mono_ns();
		assert_true(now >= last);
		last = now;
	}
	assert_true(clock_mono_ms() >= last / 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_formats),
		cmocka_unit_test(amz_date_there_and_back),
		cmocka_unit_test(amz_date_takes_nothing_else),
		cmocka_unit_test(formats_follow_no_time_zone),
		cmocka_unit_test(clocks_tick),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
