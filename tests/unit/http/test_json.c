/* JSON fields from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/json.h"

static json_t *parse(const char *text)
{
	json_t *v;
	struct err e;
	assert_int_equal(json_parse(text, strlen(text), &v, &e), 0);
	return v;
}

static void test_parse(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "{", "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}", "[1,]", "{\"a\":\"\xFF\"}", "nul"
	};
	json_t *v;
	struct err e;
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		assert_int_equal(json_parse(bad[i], strlen(bad[i]), &v, &e), -ERR_INVALID);
		assert_string_equal(e.code, "INVALID_JSON");
	}
	char deep[2001];
	memset(deep, '[', 2000);
	assert_int_equal(json_parse(deep, 2000, &v, &e), -ERR_INVALID);
	assert_non_null(strstr(e.message, "levels deep"));
	/* Brackets in strings are no levels. */
	memset(deep, '[', 100);
	deep[0] = '"';
	deep[99] = '"';
	assert_int_equal(json_parse(deep, 100, &v, &e), 0);
	json_decref(v);
}

static void test_fields(void **state)
{
	(void)state;
	json_t *o = parse(
		"{\"s\":\"x\",\"empty\":\"\",\"i\":5,\"r\":5.0,\"h\":5.5,\"b\":true,\"o\":{},\"a\":[1,2],\"n\":null}");
	const char *s = "default";
	int64_t i = 7;
	double d = 0;
	bool b = false;
	size_t c = 9;
	json_t *v = NULL;
	struct err e = { 0 };
	static const char *const names[] = { "w", "x", NULL };

	assert_int_equal(json_get_string(o, "s", JSON_REQUIRED, &s, &e), 0);
	assert_string_equal(s, "x");
	assert_int_equal(json_get_choice(o, "s", JSON_REQUIRED, names, &c, &e), 0);
	assert_int_equal(c, 1);
	assert_int_equal(json_get_int(o, "r", JSON_REQUIRED, 0, 9, &i, &e), 0);
	assert_int_equal(i, 5);
	assert_int_equal(json_get_double(o, "i", JSON_REQUIRED, 0, 9, &d, &e), 0);
	assert_true(d == 5.0);
	assert_int_equal(json_get_bool(o, "b", JSON_REQUIRED, &b, &e), 0);
	assert_true(b);
	assert_int_equal(json_get_object(o, "o", JSON_REQUIRED, &v, &e), 0);
	assert_int_equal(json_get_array(o, "a", JSON_REQUIRED, 2, &v, &e), 0);

	/* Absent and null leave the default. */
	s = "default";
	assert_int_equal(json_get_string(o, "zz", JSON_OPTIONAL, &s, &e), 0);
	assert_int_equal(json_get_string(o, "n", JSON_OPTIONAL, &s, &e), 0);
	assert_string_equal(s, "default");

	assert_int_equal(json_get_string(o, "zz", JSON_REQUIRED, &s, &e), -ERR_INVALID);
	assert_string_equal(e.code, "MISSING_FIELD");
	assert_non_null(strstr(e.message, "zz"));
	assert_int_equal(json_get_string(o, "i", JSON_REQUIRED, &s, &e), -ERR_INVALID);
	assert_string_equal(e.code, "INVALID_FIELD");
	assert_int_equal(json_get_string(o, "empty", JSON_REQUIRED, &s, &e), -ERR_INVALID);
	assert_int_equal(json_get_string_max(o, "s", JSON_REQUIRED, 0, &s, &e), 0);
	assert_int_equal(json_get_int(o, "h", JSON_REQUIRED, 0, 9, &i, &e), -ERR_INVALID);
	assert_int_equal(json_get_int(o, "i", JSON_REQUIRED, 6, 9, &i, &e), -ERR_INVALID);
	assert_int_equal(json_get_int(o, "s", JSON_REQUIRED, 0, 9, &i, &e), -ERR_INVALID);
	assert_int_equal(json_get_double(o, "s", JSON_REQUIRED, 0, 9, &d, &e), -ERR_INVALID);
	assert_int_equal(json_get_bool(o, "i", JSON_REQUIRED, &b, &e), -ERR_INVALID);
	assert_int_equal(json_get_array(o, "a", JSON_REQUIRED, 1, &v, &e), -ERR_INVALID);
	assert_int_equal(json_get_array(o, "o", JSON_REQUIRED, 1, &v, &e), -ERR_INVALID);
	assert_int_equal(json_get_object(o, "a", JSON_REQUIRED, &v, &e), -ERR_INVALID);
	assert_int_equal(json_get_choice(o, "empty", JSON_OPTIONAL, names, &c, &e), -ERR_INVALID);
	assert_non_null(strstr(e.message, "w, x"));
	assert_int_equal(json_only_fields(o, names, &e), -ERR_INVALID);
	assert_string_equal(e.code, "UNKNOWN_FIELD");
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse), cmocka_unit_test(test_fields) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
