/* Header fields: tables of what comes and what is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/fields.h"

static void test_range(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		uint64_t size;
		enum field_range want;
		uint64_t first, last;
	} t[] = {
		{ "bytes=0-0", 100, RANGE_ONE, 0, 0 },
		{ "bytes=0-99", 100, RANGE_ONE, 0, 99 },
		{ "bytes=0-100", 100, RANGE_ONE, 0, 99 },
		{ "bytes=10-", 100, RANGE_ONE, 10, 99 },
		{ "bytes=-10", 100, RANGE_ONE, 90, 99 },
		{ "bytes=-1000", 100, RANGE_ONE, 0, 99 },
		{ "BYTES=99-", 100, RANGE_ONE, 99, 99 },
		{ "bytes= 5-6 ", 100, RANGE_ONE, 5, 6 },
		{ "bytes=5-99999999999999999999999999", 100, RANGE_ONE, 5, 99 },
		{ "bytes=100-", 100, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=99999999999999999999999999-", 100, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=-0", 100, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=-5", 0, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=5-4", 100, RANGE_NONE, 0, 0 },
		{ "bytes=0-1,100-200", 100, RANGE_ONE, 0, 1 },
		{ "bytes=0-1,5", 100, RANGE_NONE, 0, 0 },
		{ "bytes=100-, -0", 100, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=0-,0-,5", 100, RANGE_NONE, 0, 0 },
		{ "bytes=,", 100, RANGE_NONE, 0, 0 },
		{ "bytes=", 100, RANGE_NONE, 0, 0 },
		{ "bytes=-", 100, RANGE_NONE, 0, 0 },
		{ "bytes=a-b", 100, RANGE_NONE, 0, 0 },
		{ "bytes=1", 100, RANGE_NONE, 0, 0 },
		{ "bytes=1-2x", 100, RANGE_NONE, 0, 0 },
		{ "items=0-1", 100, RANGE_NONE, 0, 0 },
		{ "", 100, RANGE_NONE, 0, 0 },
		{ NULL, 100, RANGE_NONE, 0, 0 },
		{ "bytes=18446744073709551614-", UINT64_MAX, RANGE_ONE, UINT64_MAX - 1, UINT64_MAX - 1 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		struct field_span s[FIELD_RANGES_MAX] = { 0 };
		uint32_t count = 0;
		enum field_range got = field_range_parse(t[i].value, t[i].size, s, &count);
		if (got != t[i].want || count != (got == RANGE_ONE) || s[0].first != t[i].first || s[0].last != t[i].last)
			fail_msg("%s of %llu: %d %llu-%llu", t[i].value ? t[i].value : "NULL",
				 (unsigned long long)t[i].size, got, (unsigned long long)s[0].first,
				 (unsigned long long)s[0].last);
	}
}

static void test_several_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		enum field_range want;
		uint32_t count;
		struct field_span spans[3];
	} t[] = {
		{ "bytes=0-1,5-6", RANGE_SEVERAL, 2, { { 0, 1 }, { 5, 6 } } },
		{ "bytes=90-, ,0-3 , -5", RANGE_SEVERAL, 3, { { 90, 99 }, { 0, 3 }, { 95, 99 } } },
		{ "bytes=0-98,99-", RANGE_SEVERAL, 2, { { 0, 98 }, { 99, 99 } } },
		{ "bytes=0-98,98-", RANGE_EXCESSIVE, 0, { { 0, 0 } } },
		{ "bytes=0-,0-", RANGE_EXCESSIVE, 0, { { 0, 0 } } },
		{ "bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15,16-16", RANGE_EXCESSIVE, 0,
		  { { 0, 0 } } },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		struct field_span s[FIELD_RANGES_MAX];
		uint32_t count = 0;
		assert_int_equal(field_range_parse(t[i].value, 100, s, &count), t[i].want);
		assert_int_equal(count, t[i].count);
		assert_memory_equal(s, t[i].spans, count * sizeof(*s));
	}
}

static void test_etag(void **state)
{
	(void)state;
	static const struct {
		const char *list;
		bool weak, want;
	} t[] = {
		{ "\"abc\"", false, true },
		{ "W/\"abc\"", false, false },
		{ "W/\"abc\"", true, true },
		{ "*", false, true },
		{ "\"x\", \"abc\"", false, true },
		{ "\"x\",W/\"y\" , \"abc\"", true, true },
		{ "\"abcd\"", true, false },
		{ "abc", true, false },
		{ "\"abc", true, false },
		{ "\"x\" \"abc\"", true, false },
		{ "", true, false },
		{ "* x", true, false },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++)
		if (field_etag_matches(t[i].list, "abc", t[i].weak) != t[i].want)
			fail_msg("%s weak=%d", t[i].list, t[i].weak);
}

static void test_date(void **state)
{
	(void)state;
	char text[HTTP_DATE_SIZE];
	int64_t s;
	field_date_format(784111777000, text);
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT"); /* RFC 9110, 5.6.7 */
	assert_true(field_date_parse(text, &s));
	assert_int_equal(s, 784111777);
	static const char *const bad[] = { "",
					   "now",
					   "Sun, 06 Nov 1994 08:49:37",
					   "Sun, 06 Foo 1994 08:49:37 GMT",
					   "Sun, 06 Nov 1994 25:49:37 GMT",
					   "Sun, 06 Nov 1994 08:49:37 GMT x" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++)
		assert_false(field_date_parse(bad[i], &s));
}

static void test_cookie(void **state)
{
	(void)state;
	static const struct {
		const char *header, *want;
	} t[] = {
		{ "s=1", "1" },         { "a=2; s=1; b=3", "1" }, { "a=2;s=1", "1" },
		{ "s=\"q q\"", "q q" }, { "xs=1", NULL },         { "s", NULL },
		{ "", NULL },           { ";;; ;s=", "" },        { "s=a=b", "a=b" },
		{ "S=1", NULL },        { "s=1 ; t=2", "1" },     { "s=first; s=second", "first" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		_cleanup_buf_ struct buf b;
		buf_init(&b, 100);
		bool found = field_cookie_find(t[i].header, "s", &b);
		assert_int_equal(found, t[i].want != NULL);
		if (found)
			assert_string_equal(b.data, t[i].want);
	}
}

static void test_lists(void **state)
{
	(void)state;
	assert_true(field_has_token("a, B ;q=1,c", "b"));
	assert_false(field_has_token("ab, c", "b"));
	assert_false(field_has_token(NULL, "b"));
	assert_true(field_accepts_coding("br, gzip;q=0.8", "gzip"));
	assert_false(field_accepts_coding("gzip;q=0", "gzip"));
	assert_false(field_accepts_coding("gzip; q=0.000", "gzip"));
	assert_true(field_accepts_coding("gzip;q=0.001", "gzip"));
	assert_false(field_accepts_coding("x-gzip", "gzip"));
	assert_true(field_is_type("Multipart/Form-Data; boundary=x", "multipart/form-data"));
	assert_false(field_is_type("multipart/form-datax", "multipart/form-data"));
	assert_false(field_is_type(NULL, "a/b"));
	static const char *const active[] = {
		"text/html", "image/svg+xml", "application/xml",       "text/javascript",
		"x",         "text/plainx",   "application/xhtml+xml", "IMAGE/SVG+XML; charset=utf-8"
	};
	static const char *const passive[] = { "video/mp4",
					       "audio/mpeg",
					       "image/png",
					       "text/plain; charset=utf-8",
					       "application/vnd.apple.mpegurl",
					       "application/octet-stream" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(active); i++)
		assert_true(field_is_active_type(active[i]));
	assert_true(field_is_active_type(NULL));
	for (size_t i = 0; i < MR_ARRAY_SIZE(passive); i++)
		assert_false(field_is_active_type(passive[i]));
}

static void test_filename(void **state)
{
	(void)state;
	static const struct {
		const char *in, *want;
	} t[] = {
		{ "film.mp4", "film.mp4" },
		{ "/etc/passwd", "passwd" },
		{ "..\\..\\boot.ini", "boot.ini" },
		{ "C:\\fakepath\\a.wav", "a.wav" },
		{ "../..", NULL },
		{ "", NULL },
		{ "a\r\nb\"c", "abc" },
		{ ".htaccess", "htaccess" },
		{ "\xC3\xA4\xC3\xB6.mp3", "\xC3\xA4\xC3\xB6.mp3" },
		{ "a\xFF\x62.mp3", "ab.mp3" },
		{ "a\xE2\x80\xAEgpj.exe", "agpj.exe" }, /* right-to-left override */
		{ "a\xC2\x85z", "az" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		_cleanup_buf_ struct buf b;
		buf_init(&b, 1000);
		bool ok = field_filename_clean(t[i].in, strlen(t[i].in), &b);
		assert_int_equal(ok, t[i].want != NULL);
		if (ok)
			assert_string_equal(b.data, t[i].want);
	}
	char longest[601];
	for (size_t i = 0; i < 300; i++)
		memcpy(longest + 2 * i, "\xC3\xA4", 2);
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1000);
	assert_true(field_filename_clean(longest, 600, &b));
	assert_int_equal(b.len, 254); /* whole characters within 255 bytes */
}

static void test_disposition(void **state)
{
	(void)state;
	static const struct {
		const char *in, *want;
	} t[] = {
		{ "attachment; filename=\"a b.mp4\"", "a b.mp4" },
		{ "attachment; filename=a.mp4", "a.mp4" },
		{ "attachment; FileName = \"x\\\"y.mp4\"; foo=bar", "xy.mp4" },
		{ "attachment; filename=\"plain.mp4\"; filename*=UTF-8''%c3%a4.mp4", "\xC3\xA4.mp4" },
		{ "attachment; filename*=UTF-8'de'%c3%a4.mp4; filename=plain.mp4", "\xC3\xA4.mp4" },
		{ "attachment; filename*=UTF-8''%zz; filename=plain.mp4", "plain.mp4" },
		{ "attachment; filename*=ISO-8859-1''a; filename=plain.mp4", "plain.mp4" },
		{ "attachment; filename=\"../../up.mp4\"", "up.mp4" },
		{ "attachment", NULL },
		{ "", NULL },
		{ "attachment; filename=", NULL },
		{ "attachment; filename=\"unterminated", "unterminated" },
		{ "x; name=\"filename=trap.mp4\"; filename=real.mp4", "real.mp4" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		_cleanup_buf_ struct buf b;
		buf_init(&b, 1000);
		bool ok = field_disposition_filename(t[i].in, &b);
		if (ok != (t[i].want != NULL) || (ok && strcmp(b.data, t[i].want) != 0))
			fail_msg("%s -> %s", t[i].in, ok ? b.data : "none");
	}
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1000);
	assert_true(field_disposition_format(&b, true, "a b.mp4"));
	assert_string_equal(b.data, "attachment; filename=\"a b.mp4\"");
	buf_clear(&b);
	assert_true(field_disposition_format(&b, false, "\xC3\xA4\r\n\".mp4"));
	assert_string_equal(b.data, "inline; filename=\"_.mp4\"; filename*=UTF-8''%C3%A4.mp4");
}

static void test_hosts(void **state)
{
	(void)state;
	static const char *const good[] = { "localhost", "a.example:8080", "[::1]:1", "127.0.0.1", "a_b" };
	static const char *const bad[] = { "", "a/b", "a b", "a@b", "[::1", "[]", "a:8x", "a\"b", "<x>" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(good); i++)
		assert_true(field_host_valid(good[i]));
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++)
		assert_false(field_host_valid(bad[i]));
	static const char *const local[] = { "localhost:1", "127.9.9.9", "[::1]:80", "x.localhost", "LOCALHOST" };
	static const char *const far[] = { "127.0.0.1.evil.example", "0.0.0.0", "localhost.evil.example", "[::2]", "" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(local); i++)
		assert_true(field_host_is_loopback(local[i]));
	for (size_t i = 0; i < MR_ARRAY_SIZE(far); i++)
		assert_false(field_host_is_loopback(far[i]));
	assert_true(field_request_id_valid("aZ0._-"));
	assert_false(field_request_id_valid(""));
	assert_false(field_request_id_valid("a b"));
	assert_false(field_request_id_valid("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	assert_true(field_is_token("X-A"));
	assert_false(field_is_token("X A"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several_ranges),
		cmocka_unit_test(test_range),  cmocka_unit_test(test_etag),        cmocka_unit_test(test_date),
		cmocka_unit_test(test_cookie), cmocka_unit_test(test_lists),       cmocka_unit_test(test_filename),
		cmocka_unit_test(test_hosts),  cmocka_unit_test(test_disposition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
