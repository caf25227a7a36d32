/* Clocks and the two date formats that the product writes. */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_ns(clockid_t id)
{
	struct timespec ts;
	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_wall_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_mono_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

static struct tm utc(int64_t wall_ms)
{
	int64_t seconds = wall_ms / 1000 - (wall_ms % 1000 < 0);
	time_t t = (time_t)seconds;
	struct tm tm;
	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&t, &tm);
	return tm;
}

void iso8601_format(int64_t wall_ms, char out[ISO8601_SIZE])
{
	struct tm tm = utc(wall_ms);
	unsigned ms = (unsigned)(((wall_ms % 1000) + 1000) % 1000);
	char text[96];
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1,
		       tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms);
	memcpy(out, text, ISO8601_SIZE - 1);
	out[ISO8601_SIZE - 1] = '\0';
}

void amz_date_format(int64_t wall_ms, char out[AMZ_DATE_SIZE])
{
	struct tm tm = utc(wall_ms);
	if (!strftime(out, AMZ_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm))
		out[0] = '\0';
}

static bool digits(const char *s, size_t n, int *ret)
{
	int v = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (s[i] - '0');
	}
	*ret = v;
	return true;
}

bool amz_date_parse(const char *s, int64_t *ret_wall_ms)
{
	int y, mo, d, h, mi, sec;
	if (strlen(s) != AMZ_DATE_SIZE - 1 || s[8] != 'T' || s[15] != 'Z')
		return false;
	if (!digits(s, 4, &y) || !digits(s + 4, 2, &mo) || !digits(s + 6, 2, &d) || !digits(s + 9, 2, &h) ||
	    !digits(s + 11, 2, &mi) || !digits(s + 13, 2, &sec))
		return false;
	if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || sec > 60)
		return false;
	struct tm tm = {
		.tm_year = y - 1900, .tm_mon = mo - 1, .tm_mday = d, .tm_hour = h, .tm_min = mi, .tm_sec = sec
	};
	struct tm day = { .tm_year = y - 1900, .tm_mon = mo - 1, .tm_mday = d };
	(void)timegm(&day);
	if (day.tm_mday != d) /* timegm made the 30th of February a day in March */
		return false;
	*ret_wall_ms = (int64_t)timegm(&tm) * 1000;
	return true;
}
