/* What the built-in voice is given to read. */
#include <string.h>

#include "../base/cm.h"
#include "speech/latin.h"

static void expect(const char *text, const char *wanted)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1000);
	latin_to_ascii(text, strlen(text), &out);
	assert_int_equal(buf_finish(&out, NULL), 0);
	assert_string_equal(out.data, wanted);
}

static void test_letters(void **state)
{
	(void)state;
	expect("plain text, as it is.", "plain text, as it is.");
	expect("na\u00efve caf\u00e9 \u00c9t\u00e9 Stra\u00dfe", "naive cafe Ete Strasse");
	expect("\u0141\u00f3d\u017a \u010ce\u0161tina \u0153uvre \u0178", "Lodz Cestina oeuvre Y");
	expect("\u201cIt\u2019s\u201d \u2014 now\u2026 20\u00b0", "\"It's\" ,  now... 20 degrees ");
	expect("a\u65e5\u672c b\U0001f600", "a   b ");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_letters) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
