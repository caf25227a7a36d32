/* A subtitle's text as WebVTT, and cues in segments. */
#include "../base/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/subtitle_cues.h"
#include "media/subtitle_text.h"

#define EVENT "0,0,Default,,0,0,0,,"

static void texts(void **state)
{
	(void)state;
	static const struct {
		const char *event, *text; /* NULL: nothing to show */
	} rows[] = {
		{ EVENT "Hello", "Hello" },
		{ EVENT "with, commas, in it", "with, commas, in it" },
		{ EVENT "one\\Ntwo\\nthree\\hfour", "one\ntwo\nthree\xc2\xa0" "four" },
		{ EVENT "\\N\\N first \\N\\N \\Nlast\\N\\N", "first \nlast" },
		{ EVENT "a & b < c > d --> e", "a &amp; b &lt; c &gt; d --&gt; e" },
		{ EVENT "{\\i1}all{\\i0} not {\\b1}bold{\\b0} {\\u1}under", "<i>all</i> not <b>bold</b> <u>under</u>" },
		{ EVENT "{\\b1}x{\\i1}y{\\b0}z", "<b>x</b><i><b>y</b>z</i>" },
		{ EVENT "{\\b1\\i1}x{\\r}y", "<i><b>x</b></i>y" },
		{ EVENT "{\\b700}x{\\b400}y", "<b>x</b>y" },
		{ EVENT "{\\an8\\pos(1,2)\\bord3\\blur2\\iclip(1)\\fnArial\\c&HFF&}x", "x" },
		{ EVENT "{\\p1}m 0 0 l 9 9{\\p0}", NULL },
		{ EVENT "{\\p2}m 0 0{\\p0}x", "x" },
		{ EVENT "{unclosed", "{unclosed" },
		{ EVENT "{a comment}x", "x" },
		{ EVENT "{\\i1}{\\i0}", NULL },
		{ EVENT " ", NULL },
		{ EVENT "", NULL },
		{ "0,0,Default,,0,0,0", NULL },
		{ EVENT "\x01" "a\x7f\xc2\x85" "b\tc\r", "ab c" },
		{ EVENT "\xff\xc3" "x\xed\xa0\x80" "é", "xé" },
		{ EVENT "\\x \\", "\\x \\" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_buf_ struct buf out;
		buf_init(&out, 2 * SUBTITLE_TEXT_MAX_BYTES);
		bool some = subtitle_text(rows[i].event, &out);
		assert_int_equal(some, rows[i].text != NULL);
		assert_string_equal(out.data ? out.data : "", rows[i].text ? rows[i].text : "");
	}
}

/* However long the text and however many its tags, it ends within the limit, at a whole character and with its tags closed. */
static void a_long_text_is_cut(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf event, out;
	buf_init(&event, 1 << 20);
	buf_init(&out, SUBTITLE_TEXT_MAX_BYTES);
	buf_puts(&event, EVENT "{\\i1\\b1\\u1}");
	for (int i = 0; i < 5000; i++)
		buf_puts(&event, i % 2 ? "&é" : "{\\i0}x{\\i1}");
	assert_true(subtitle_text(event.data, &out));
	assert_false(out.failed);
	assert_true(out.len > SUBTITLE_TEXT_MAX_BYTES - 100);
	assert_string_equal(out.data + out.len - 4, strrchr(out.data, '<'));
}

/* Packets may have many megabytes: nothing is looked through more than once. (Otherwise this doesn't end.) */
static void braces_without_end(void **state)
{
	(void)state;
	const size_t len = 16u << 20;
	char *event = malloc(len + 1);
	memset(event, '{', len);
	memcpy(event, EVENT, strlen(EVENT));
	event[len] = '\0';
	_cleanup_buf_ struct buf out;
	buf_init(&out, SUBTITLE_TEXT_MAX_BYTES);
	assert_true(subtitle_text(event, &out));
	assert_false(out.failed);
	free(event);
}

static void assert_segment(struct subtitle_cues *c, int64_t start, int64_t end, int64_t earliest, const char *cues)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, SUBTITLE_SEGMENT_MAX_BYTES);
	subtitle_cues_write(c, start, end, earliest, 7200, &out);
	static const char head[] = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:7200,LOCAL:00:00:00.000\n\n";
	assert_int_equal(strncmp(out.data, head, strlen(head)), 0);
	assert_string_equal(out.data + strlen(head), cues);
}

static void add(struct subtitle_cues *c, int64_t start_ms, int64_t end_ms, const char *text)
{
	subtitle_cues_add(c, start_ms, end_ms, text, strlen(text));
}

#define S 90000

static void segments(void **state)
{
	(void)state;
	struct subtitle_cues c = { 0 };
	add(&c, 3500, 4200, "over");
	add(&c, 1000, 2000, "one");
	add(&c, 1000, 2000, "one");
	add(&c, 1000, 2000, "other");
	add(&c, -500, 1, "early");
	add(&c, 8000, 9000, "late");
	add(&c, 5000, 5000, "never");
	add(&c, 6000, 5000, "backwards");
	add(&c, -9, 0, "before");
	add(&c, 363599999, 363600000, "far");
	assert_int_equal(c.count, 7);
	assert_segment(&c, 0, 4 * S, INT64_MIN,
		       "00:00:00.000 --> 00:00:00.001\nearly\n\n00:00:01.000 --> 00:00:02.000\none\n\n"
		       "00:00:01.000 --> 00:00:02.000\nother\n\n00:00:03.500 --> 00:00:04.200\nover\n\n");
	subtitle_cues_drop(&c, 4 * S);
	assert_int_equal(c.count, 3);
	assert_segment(&c, 4 * S, 8 * S, INT64_MIN, "00:00:03.500 --> 00:00:04.200\nover\n\n");
	/* it began too long before the run */
	assert_segment(&c, 4 * S, 8 * S, 3600 * 90, "");
	assert_segment(&c, 9 * S, 12 * S, INT64_MIN, "");
	assert_segment(&c, 363598 * (int64_t)S, 363600 * (int64_t)S, 0, "100:59:59.999 --> 101:00:00.000\nfar\n\n");
	subtitle_cues_release(&c);
}

static void bounds(void **state)
{
	(void)state;
	struct subtitle_cues c = { 0 };
	for (int i = 0; i < (int)SUBTITLE_SECOND_CUES + 10; i++) {
		add(&c, i % 1000, 2000 + i, "x");
		add(&c, 1000, 2000, "y"); /* of another second */
	}
	assert_int_equal(c.count, 2 * SUBTITLE_SECOND_CUES);
	subtitle_cues_release(&c);
	char *big = calloc(1, SUBTITLE_SECOND_BYTES);
	subtitle_cues_add(&c, 0, 1, big, SUBTITLE_SECOND_BYTES - 1);
	subtitle_cues_add(&c, 0, 1, "xx", 2);
	assert_int_equal(c.count, 1);
	subtitle_cues_add(&c, 0, 1, "x", 1);
	subtitle_cues_add(&c, INT64_MAX - 1, INT64_MAX, "", 0);
	assert_int_equal(c.count, 2);
	free(big);
	subtitle_cues_release(&c);
}

/* Reading from the start on, or from somewhere before the place: the same is left out of a track without measure. */
static void what_is_left_out_does_not_depend_on_the_beginning(void **state)
{
	(void)state;
	char *texts[3] = { NULL };
	for (int begin = 0; begin < 3; begin++) {
		struct subtitle_cues c = { .from_ticks = (begin ? 40 : 0) * S };
		for (int second = begin * 19; second < 62; second++)
			for (int i = 0; i < 2 * (int)SUBTITLE_SECOND_CUES; i++) {
				char text[32];
				(void)snprintf(text, sizeof(text), "%d of %d", i, second);
				add(&c, second * 1000 + i, second * 1000 + 20000 + i * 7, text);
			}
		c.from_ticks = 40 * S;
		subtitle_cues_drop(&c, 56 * S);
		struct buf out;
		buf_init(&out, SUBTITLE_SEGMENT_MAX_BYTES);
		subtitle_cues_write(&c, 56 * S, 60 * S, 40 * S, 0, &out);
		buf_puts(&out, "");
		assert_false(out.failed);
		assert_true(out.len > 19 * SUBTITLE_SECOND_CUES * 10);
		texts[begin] = buf_steal(&out);
		subtitle_cues_release(&c);
		assert_string_equal(texts[begin], texts[0]);
	}
	for (int begin = 0; begin < 3; begin++)
		free(texts[begin]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(a_long_text_is_cut),
		cmocka_unit_test(braces_without_end),
		cmocka_unit_test(segments),
		cmocka_unit_test(bounds),
		cmocka_unit_test(what_is_left_out_does_not_depend_on_the_beginning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
