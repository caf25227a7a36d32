/* Header fields: ranges, entity tags, dates, token lists, hosts. Pure; the front process. Names of files and cookies
 * are in fields_text.c. */
#include "http/fields.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char *skip_blank(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* Decimal digits; saturates instead of overflowing, because a last byte beyond the end is legal. */
static const char *parse_u64(const char *s, uint64_t *ret)
{
	if (*s < '0' || *s > '9')
		return NULL;
	uint64_t v = 0;
	for (; *s >= '0' && *s <= '9'; s++) {
		uint64_t digit = (uint64_t)(*s - '0');
		v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
	}
	*ret = v;
	return s;
}

/* One of the list, `*io_s` moves behind it. */
static enum field_range parse_span(const char **io_s, uint64_t size, struct field_span *ret)
{
	const char *s = *io_s;
	uint64_t first = 0, last = UINT64_MAX;
	bool suffix = *s == '-';
	if (!suffix) {
		s = parse_u64(s, &first);
		if (!s)
			return RANGE_NONE;
		s = skip_blank(s);
		if (*s != '-')
			return RANGE_NONE;
	}
	s++;
	const char *end = parse_u64(s, &last);
	if (!end && suffix)
		return RANGE_NONE;
	s = skip_blank(end ? end : s);
	if ((*s && *s != ',') || (!suffix && last < first))
		return RANGE_NONE;
	*io_s = s;
	if (size == 0 || (suffix ? last == 0 : first >= size))
		return RANGE_UNSATISFIABLE;
	if (suffix)
		first = last >= size ? 0 : size - last;
	*ret = (struct field_span){ first, suffix || last >= size ? size - 1 : last };
	return RANGE_ONE;
}

enum field_range field_range_parse(const char *value, uint64_t size, struct field_span ret[FIELD_RANGES_MAX], uint32_t *ret_count)
{
	if (!value || strncasecmp(value, "bytes=", 6) != 0)
		return RANGE_NONE;
	struct field_span spans[FIELD_RANGES_MAX];
	uint32_t asked = 0, count = 0;
	uint64_t left = size;
	bool excessive = false;
	for (const char *s = skip_blank(value + 6); *s;) {
		if (*s == ',') { /* also an empty element (RFC 9110, 5.6.1.2) */
			s = skip_blank(s + 1);
			continue;
		}
		struct field_span span;
		const enum field_range one = parse_span(&s, size, &span);
		if (one == RANGE_NONE)
			return RANGE_NONE;
		asked++;
		if (one == RANGE_UNSATISFIABLE)
			continue;
		excessive = excessive || count == FIELD_RANGES_MAX || span.last - span.first >= left;
		if (excessive)
			continue; /* what is malformed behind it makes all of it void */
		left -= span.last - span.first + 1;
		spans[count++] = span;
	}
	if (!asked)
		return RANGE_NONE;
	if (excessive)
		return RANGE_EXCESSIVE;
	if (!count)
		return RANGE_UNSATISFIABLE;
	memcpy(ret, spans, count * sizeof(*spans));
	*ret_count = count;
	return count == 1 ? RANGE_ONE : RANGE_SEVERAL;
}

bool field_etag_matches(const char *list, const char *etag, bool weak)
{
	const char *s = skip_blank(list);
	if (*s == '*')
		return !*skip_blank(s + 1);
	size_t len = strlen(etag);
	while (*s) {
		bool is_weak = strncmp(s, "W/", 2) == 0;
		if (is_weak)
			s += 2;
		if (*s != '"')
			return false;
		const char *end = strchr(s + 1, '"');
		if (!end)
			return false;
		if ((weak || !is_weak) && (size_t)(end - s - 1) == len && memcmp(s + 1, etag, len) == 0)
			return true;
		s = skip_blank(end + 1);
		if (*s != ',')
			return false;
		s = skip_blank(s + 1);
	}
	return false;
}

static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

/* Not strftime: its names follow the locale. */
static void put_two_digits(char *out, int value)
{
	out[0] = (char)('0' + value / 10 % 10);
	out[1] = (char)('0' + value % 10);
}

void field_date_format(int64_t wall_ms, char out[HTTP_DATE_SIZE])
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;
	if (!gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	memcpy(out, "Day, DD Mon YYYY hh:mm:ss GMT", HTTP_DATE_SIZE);
	memcpy(out, days[tm.tm_wday % 7], 3);
	memcpy(out + 8, months[tm.tm_mon % 12], 3);
	put_two_digits(out + 5, tm.tm_mday);
	put_two_digits(out + 12, (tm.tm_year + 1900) / 100);
	put_two_digits(out + 14, tm.tm_year % 100);
	put_two_digits(out + 17, tm.tm_hour);
	put_two_digits(out + 20, tm.tm_min);
	put_two_digits(out + 23, tm.tm_sec);
}

bool field_date_parse(const char *value, int64_t *ret_seconds)
{
	char day[4], month[4], zone[4];
	struct tm tm = { 0 };
	int end = 0;
	if (sscanf(value, "%3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3[A-Z]%n", day, &tm.tm_mday, month, &tm.tm_year,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone, &end) != 8 ||
	    value[end] || strcmp(zone, "GMT") != 0)
		return false;
	int mon = 0;
	while (mon < 12 && strcmp(months[mon], month) != 0)
		mon++;
	if (mon == 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 1970 || tm.tm_hour < 0 || tm.tm_hour > 23 ||
	    tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return false;
	tm.tm_mon = mon;
	tm.tm_year -= 1900;
	*ret_seconds = (int64_t)timegm(&tm);
	return true;
}

/* The next element of a comma-separated list, without blanks around it; NULL at the end. */
static const char *next_element(const char **list, size_t *ret_len)
{
	const char *s = *list;
	while (*s == ' ' || *s == '\t' || *s == ',')
		s++;
	if (!*s)
		return NULL;
	const char *end = s + strcspn(s, ",");
	*list = end;
	while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*ret_len = (size_t)(end - s);
	return s;
}

static bool equals(const char *s, size_t len, const char *token)
{
	return len == strlen(token) && strncasecmp(s, token, len) == 0;
}

bool field_has_token(const char *list, const char *token)
{
	const char *s;
	size_t len;
	while (list && (s = next_element(&list, &len)))
		if (equals(s, strcspn(s, ";, \t"), token))
			return true;
	return false;
}

bool field_accepts_coding(const char *accept_encoding, const char *coding)
{
	const char *s;
	size_t len;
	while (accept_encoding && (s = next_element(&accept_encoding, &len))) {
		if (!equals(s, strcspn(s, ";, \t"), coding))
			continue;
		const char *q = memchr(s, ';', len);
		q = q ? skip_blank(q + 1) : NULL;
		if (!q || strncasecmp(q, "q=0", 3) != 0)
			return true;
		/* "q=0", "q=0.0", "q=0.000" refuse; "q=0.1" accepts. */
		for (q += 3; *q == '.' || *q == '0'; q++)
			;
		return *q >= '1' && *q <= '9';
	}
	return false;
}

bool field_is_type(const char *content_type, const char *type)
{
	if (!content_type)
		return false;
	const char *s = skip_blank(content_type);
	return equals(s, strcspn(s, "; \t"), type);
}

bool field_is_active_type(const char *content_type)
{
	static const char *const passive[] = { "video/",
					       "audio/",
					       "image/",
					       "font/",
					       "text/plain",
					       "text/csv",
					       "text/vtt",
					       "application/json",
					       "application/octet-stream",
					       "application/ogg",
					       "application/vnd.apple.mpegurl",
					       "application/x-mpegurl",
					       "application/mp4",
					       "application/zip" };
	if (!content_type || strncasecmp(content_type, "image/svg", 9) == 0)
		return true;
	for (size_t i = 0; i < MR_ARRAY_SIZE(passive); i++) {
		size_t len = strlen(passive[i]);
		if (strncasecmp(content_type, passive[i], len) != 0)
			continue;
		/* A prefix "video/" is a family; a full name must end here. */
		if (passive[i][len - 1] == '/' || !content_type[len] || strchr("; \t", content_type[len]))
			return false;
	}
	return true;
}

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

bool field_is_token(const char *s)
{
	size_t n = strspn(s, ALNUM "!#$%&'*+-.^_`|~");
	return n && !s[n];
}

bool field_request_id_valid(const char *s)
{
	size_t n = strspn(s, ALNUM "._-");
	return n >= 1 && n <= 64 && !s[n];
}

bool field_host_valid(const char *s)
{
	size_t n;
	if (*s == '[') {
		n = 1 + strspn(s + 1, "0123456789abcdefABCDEF:.");
		if (n == 1 || s[n] != ']')
			return false;
		n++;
	} else {
		n = strspn(s, ALNUM "._-");
		if (!n)
			return false;
	}
	if (s[n] == ':')
		n += 1 + strspn(s + n + 1, "0123456789");
	return !s[n] && n <= 255;
}

bool field_host_is_loopback(const char *host)
{
	char name[256];
	size_t len = *host == '[' ? strcspn(host, "]") : strcspn(host, ":");
	if (*host == '[') {
		host++;
		len--;
	}
	if (len == 0 || len >= sizeof(name))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, name, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	if (inet_pton(AF_INET6, name, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	/* RFC 6761, 6.3: names below .localhost are loopback too. */
	return strcasecmp(name, "localhost") == 0 || (len > 10 && strcasecmp(name + len - 10, ".localhost") == 0);
}
