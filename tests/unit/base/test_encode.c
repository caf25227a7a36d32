/* base/encode: the vectors of RFC 4648, SigV4's percent-encoding, UTF-8's edges, JSON strings. */
#include "base/encode.h"

#include <string.h>

#include "cm.h"
#include "base/mem.h"

static void hex(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0x00, 0x01, 0x7f, 0x80, 0xab, 0xff };
	char text[13];
	hex_encode(bytes, sizeof(bytes), text);
	assert_string_equal(text, "00017f80abff");
	uint8_t back[6];
	assert_true(hex_decode(text, 12, back, sizeof(back)));
	assert_memory_equal(back, bytes, sizeof(bytes));
	assert_true(hex_decode("00017F80aBFf", 12, back, sizeof(back)));
	assert_memory_equal(back, bytes, sizeof(bytes));
	assert_true(hex_decode("", 0, back, 0));
	hex_encode("", 0, text);
	assert_string_equal(text, "");

	assert_false(hex_decode("0001", 4, back, 6));
	assert_false(hex_decode("000", 3, back, 1));
	assert_false(hex_decode("0g", 2, back, 1));
	assert_false(hex_decode("g0", 2, back, 1));
	assert_false(hex_decode(" 0", 2, back, 1));
	assert_false(hex_decode("0x", 2, back, 1));
}

/* RFC 4648, section 10. */
static const struct {
	const char *plain;
	const char *base64;
	const char *base64url;
} rfc4648[] = {
	{ "", "", "" },
	{ "f", "Zg==", "Zg" },
	{ "fo", "Zm8=", "Zm8" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foob", "Zm9vYg==", "Zm9vYg" },
	{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	{ "\xfb\xff\xfe", "+//+", "-__-" },
};

static void base64_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(rfc4648); i++) {
		size_t len = strlen(rfc4648[i].plain);
		_cleanup_buf_ struct buf b, u, d;
		buf_init(&b, 100);
		buf_init(&u, 100);
		buf_init(&d, 300);
		assert_true(base64_encode(&b, rfc4648[i].plain, len, false));
		assert_true(base64_encode(&u, rfc4648[i].plain, len, true));
		assert_string_equal(b.len ? b.data : "", rfc4648[i].base64);
		assert_string_equal(u.len ? u.data : "", rfc4648[i].base64url);
		assert_true(base64_decode(&d, rfc4648[i].base64, strlen(rfc4648[i].base64)));
		assert_true(base64_decode(&d, rfc4648[i].base64url, strlen(rfc4648[i].base64url)));
		assert_int_equal(d.len, 2 * len);
		if (len) {
			assert_memory_equal(d.data, rfc4648[i].plain, len);
			assert_memory_equal(d.data + len, rfc4648[i].plain, len);
		}
	}
}

static void base64_of_every_byte(void **state)
{
	(void)state;
	uint8_t all[256];
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	for (size_t len = 0; len <= sizeof(all); len++)
		for (int url = 0; url < 2; url++) {
			_cleanup_buf_ struct buf text, back;
			buf_init(&text, 1000);
			buf_init(&back, 1000);
			assert_true(base64_encode(&text, all, len, url));
			assert_true(base64_decode(&back, text.data, text.len));
			assert_int_equal(back.len, len);
			if (len)
				assert_memory_equal(back.data, all, len);
		}
}

static void base64_takes_nothing_else(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"A", "AAAAA", "=", "==", "===", "====", "A===", "AA=", "AAA==", "Zg=a", "Z=g=", "=Zg=", "Zm9v====", "Zm9v=",
		"Zm9v\n", "Zm 9v", " Zm9v", "Zm9v ", "Zm9*", "Zm9\x80", "Zg==Zg==", "Zm8=Zm8=",
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		_cleanup_buf_ struct buf b;
		buf_init(&b, 100);
		if (base64_decode(&b, bad[i], strlen(bad[i])))
			fail_msg("taken: %s", bad[i]);
	}
	_cleanup_buf_ struct buf b;
	buf_init(&b, 100);
	assert_false(base64_decode(&b, "Zm\0v", 4));
}

static void a_full_buffer_is_said(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 7);
	assert_false(base64_encode(&b, "foobar", 6, false));
	buf_clear(&b);
	assert_true(base64_encode(&b, "fooba", 5, true));
	buf_clear(&b);
	assert_false(base64_decode(&b, "Zm9vYmFyZm9v", 12));
	buf_clear(&b);
	assert_false(uri_encode(&b, "a/b c", 5, false));
	buf_clear(&b);
	assert_false(uri_decode(&b, "12345678", 8));
	buf_clear(&b);
	assert_false(json_quote(&b, "123456", 6));
	buf_clear(&b);
	assert_true(json_quote(&b, "12345", 5));
	assert_string_equal(b.data, "\"12345\"");
}

static void percent_encoding(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 2000);
	static const char plain[] = "AZaz09-._~/ +%?&=\xc3\xa9";
	assert_true(uri_encode(&b, plain, sizeof(plain) - 1, false));
	assert_string_equal(b.data, "AZaz09-._~%2F%20%2B%25%3F%26%3D%C3%A9");
	buf_clear(&b);
	assert_true(uri_encode(&b, plain, sizeof(plain) - 1, true));
	assert_string_equal(b.data, "AZaz09-._~/%20%2B%25%3F%26%3D%C3%A9");

	/* Every byte but NUL survives the round trip. */
	char all[255];
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)(uint8_t)(i + 1);
	_cleanup_buf_ struct buf back;
	buf_init(&back, 2000);
	buf_clear(&b);
	assert_true(uri_encode(&b, all, sizeof(all), false));
	assert_true(uri_decode(&back, b.data, b.len));
	assert_int_equal(back.len, sizeof(all));
	assert_memory_equal(back.data, all, sizeof(all));
}

static void percent_decoding(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 100);
	assert_true(uri_decode(&b, "a+b%20c%2fd%2F%C3%a9%25", 23));
	assert_string_equal(b.data, "a+b c/d/\xc3\xa9%");
	static const char *const bad[] = { "%", "%2", "a%", "a%2", "%zz", "%2g", "%g2", "%00", "a%00b", "%%20", "% 20", "%-1" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		buf_clear(&b);
		if (uri_decode(&b, bad[i], strlen(bad[i])))
			fail_msg("taken: %s", bad[i]);
	}
	/* The escape's digits must lie within len. */
	buf_clear(&b);
	assert_false(uri_decode(&b, "%20", 2));
}

static const struct {
	const char *bytes;
	size_t length; /* of its first sequence; 0: not valid */
} utf8_cases[] = {
	{ "a", 1 },
	{ "\x7f", 1 },
	{ "\xc2\x80", 2 },	   /* U+0080 */
	{ "\xdf\xbf", 2 },	   /* U+07FF */
	{ "\xe0\xa0\x80", 3 },	   /* U+0800 */
	{ "\xed\x9f\xbf", 3 },	   /* U+D7FF */
	{ "\xee\x80\x80", 3 },	   /* U+E000 */
	{ "\xef\xbf\xbf", 3 },	   /* U+FFFF */
	{ "\xf0\x90\x80\x80", 4 }, /* U+10000 */
	{ "\xf4\x8f\xbf\xbf", 4 }, /* U+10FFFF */
	{ "\x80", 0 },		   /* a continuation alone */
	{ "\xbf", 0 },
	{ "\xc0\x80", 0 }, /* overlong NUL */
	{ "\xc1\xbf", 0 },
	{ "\xc2", 0 },
	{ "\xc2\x41", 0 },
	{ "\xc2\xc2", 0 },
	{ "\xe0\x9f\xbf", 0 }, /* overlong */
	{ "\xe0\xa0", 0 },
	{ "\xe2\x82\x41", 0 },
	{ "\xed\xa0\x80", 0 }, /* a surrogate, U+D800 */
	{ "\xed\xbf\xbf", 0 },
	{ "\xf0\x8f\xbf\xbf", 0 }, /* overlong */
	{ "\xf0\x90\x80", 0 },
	{ "\xf4\x90\x80\x80", 0 }, /* U+110000 */
	{ "\xf5\x80\x80\x80", 0 },
	{ "\xfe", 0 },
	{ "\xff", 0 },
};

static void utf8_edges(void **state)
{
	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(utf8_cases); i++) {
		size_t len = strlen(utf8_cases[i].bytes);
		if (utf8_sequence(utf8_cases[i].bytes, len) != utf8_cases[i].length)
			fail_msg("case %zu", i);
		assert_int_equal(utf8_valid(utf8_cases[i].bytes, len), utf8_cases[i].length == len);
		/* Cut short it is never valid. */
		if (utf8_cases[i].length > 1)
			assert_int_equal(utf8_sequence(utf8_cases[i].bytes, len - 1), 0);
	}
	assert_int_equal(utf8_sequence("", 0), 0);
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("na\xc3\xafve \xf0\x9f\x8e\xac", 11));
	assert_false(utf8_valid("na\xc3\xafve \xf0\x9f\x8e", 10));
	assert_false(utf8_valid("ok\xff", 3));
	assert_true(utf8_valid("\0", 1));
}

static void json_strings(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} cases[] = {
		{ "", 0, "\"\"" },
		{ "plain", 5, "\"plain\"" },
		{ "a\"b\\c/", 6, "\"a\\\"b\\\\c/\"" },
		{ "\n\t\r\x01\x1f\x7f", 6, "\"\\n\\u0009\\u000d\\u0001\\u001f\\u007f\"" },
		{ "a\0b", 3, "\"a\\u0000b\"" },
		{ "\xc3\xa9\xf0\x9f\x8e\xac", 6, "\"\xc3\xa9\xf0\x9f\x8e\xac\"" },
		{ "\xff", 1, "\"\xef\xbf\xbd\"" },
		{ "x\xc3", 2, "\"x\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x82\"", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\\\"\"" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf b;
		buf_init(&b, 100);
		assert_true(json_quote(&b, cases[i].in, cases[i].len));
		assert_string_equal(b.data, cases[i].out);
		assert_true(utf8_valid(b.data, b.len));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex),
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(base64_of_every_byte),
		cmocka_unit_test(base64_takes_nothing_else),
		cmocka_unit_test(a_full_buffer_is_said),
		cmocka_unit_test(percent_encoding),
		cmocka_unit_test(percent_decoding),
		cmocka_unit_test(utf8_edges),
		cmocka_unit_test(json_strings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
