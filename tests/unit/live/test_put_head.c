/* Heads of PutMedia: what they ask for, and times as producers write them. Signatures: tests/scenario/test_put_media.py. */
#include "../base/cm.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "live/put_head.h"

static void times_are_read_as_producers_write_them(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} cases[] = {
		{ "1732622783.456", 1732622783456 },
		{ "1732622783.19", 1732622783019 }, /* not padded */
		{ "1732622783.5", 1732622783005 },
		{ "1732622783.045", 1732622783045 },
		{ "1732622783", 1732622783000 },
		{ "1732622783.456789", 1732622783456 },
		{ "1.732622783456E9", 1732622783456 },
		{ "0", 0 },
		{ "", -1 },
		{ ".5", -1 },
		{ "1.", -1 },
		{ "-1", -1 },
		{ "1e", -1 },
		{ "1e300", -1 },
		{ "nane", -1 },
		{ "1732622783456", -1 },
		{ "12 ", -1 },
		{ "99999999999999999999", -1 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		int64_t ms = -1;
		bool ok = put_timestamp_parse(cases[i].text, &ms);
		if (ok != (cases[i].ms >= 0) || (ok && ms != cases[i].ms))
			fail_msg("%s: %d %lld", cases[i].text, ok, (long long)ms);
	}
}

static void add(struct put_head *h, const char *name, const char *value)
{
	/* In pieces, as they may come. */
	assert_true(put_head_field(h, name, 3) && put_head_field(h, name + 3, strlen(name) - 3));
	assert_true(put_head_value(h, value, 1) && put_head_value(h, value + 1, strlen(value) - 1));
}

static void a_head_says_what_is_wanted(void **state)
{
	(void)state;
	struct put_head h;
	struct put_target t;
	struct err e;
	put_head_init(&h);
	add(&h, "Host", "127.0.0.1:8081");
	add(&h, "x-amzn-stream-arn", "arn:aws:kinesisvideo:us-east-1:000000000000:stream/door/1732622783456");
	assert_int_equal(put_head_read(&h, &t, &e), -ERR_INVALID);
	add(&h, "x-amzn-fragment-timecode-type", "RELATIVE");
	assert_int_equal(put_head_read(&h, &t, &e), -ERR_INVALID); /* since when? */
	add(&h, "X-Amzn-Producer-Start-Timestamp", "1732622783.19");
	add(&h, "Expect", "100-continue");
	assert_int_equal(put_head_read(&h, &t, &e), 0);
	assert_string_equal(t.name, "door");
	assert_true(t.created_ms == 1732622783456 && t.relative && t.start_ms == 1732622783019);
	assert_true(t.acknowledge && t.expects_continue);
	add(&h, "x-amzn-stream-name", "window");
	assert_int_equal(put_head_read(&h, &t, &e), -ERR_INVALID);
	assert_string_equal(put_head_get(&h, "HOST"), "127.0.0.1:8081");
	assert_null(put_head_get(&h, "x-amzn"));
	put_head_release(&h);
}

static void heads_are_bounded(void **state)
{
	(void)state;
	struct put_head h;
	put_head_init(&h);
	size_t count = 0;
	while (put_head_field(&h, "name", 4) && put_head_value(&h, "value", 5))
		count++;
	assert_int_equal(count, PUT_HEADERS_MAX);
	put_head_release(&h);
	put_head_init(&h);
	assert_true(put_head_field(&h, "name", 4));
	for (count = 0; put_head_value(&h, "0123456789", 10); count += 10)
		;
	assert_true(count > 8192 && count < PUT_HEAD_BYTES);
	put_head_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read_as_producers_write_them),
		cmocka_unit_test(a_head_says_what_is_wanted),
		cmocka_unit_test(heads_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
