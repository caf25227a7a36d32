/* What a script says: sentences in [brackets], pauses as their milliseconds. */
#include <stdio.h>
#include <string.h>

#include "../base/cm.h"
#include "base/buf.h"
#include "speech/script.h"

static void render(const struct script *s, struct buf *out)
{
	uint32_t sentences = 0, pauses = 0;
	for (uint32_t i = 0; i < s->item_count; i++) {
		const struct script_item *item = &s->items[i];
		if (item->text)
			buf_printf(out, "[%s]", item->text);
		else
			buf_printf(out, "%u", item->pause_ms);
		sentences += item->text != NULL;
		pauses += item->pause_ms;
		assert_true(item->text ? *item->text && !item->pause_ms : item->pause_ms > 0);
		assert_true(i == 0 || item->text || s->items[i - 1].text);
	}
	assert_int_equal(s->sentence_count, sentences);
	assert_int_equal(s->pause_ms, pauses);
}

static void expect(const char *text, const char *wanted)
{
	struct script s;
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 20);
	if (script_parse(text, strlen(text), &s, &e) < 0)
		fail_msg("\"%s\": %s", text, e.message);
	render(&s, &out);
	script_release(&s);
	assert_string_equal(out.data, wanted);
}

static void refuse(const char *text, const char *code, const char *message)
{
	struct script s;
	struct err e = { 0 };
	int r = script_parse(text, strlen(text), &s, &e);
	if (r >= 0)
		fail_msg("\"%s\" was taken", text);
	assert_string_equal(err_code(&e), code);
	if (!strstr(e.message, message))
		fail_msg("\"%s\": \"%s\" instead of \"%s\"", text, e.message, message);
}

struct example {
	const char *text, *wanted;
};

static void expect_all(const struct example *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect(list[i].text, list[i].wanted);
}

static void test_sentences(void **state)
{
	static const struct example list[] = {
		{ "Breathe in. Breathe out.", "[Breathe in.][Breathe out.]" },
		{ "One\nsentence\r\n  over lines", "[One sentence over lines]" },
		{ "Really? Yes! Good?! Fine.", "[Really?][Yes!][Good?!][Fine.]" },
		{ "He said \"Stop.\" Then he left.", "[He said \"Stop.\"][Then he left.]" },
		{ "\u201cAre you there?\u201d she asked. \u201cYes.\u201d",
		  "[\u201cAre you there?\u201d she asked.][\u201cYes.\u201d]" },
		{ "(It is quiet.) Listen.", "[(It is quiet.)][Listen.]" },
		{ "Dr. Who met Mr. X at 3.5 metres, i.e. Near.", "[Dr. Who met Mr. X at 3.5 metres, i.e. Near.]" },
		{ "J. S. Bach wrote. So do I. Then he slept.", "[J. S. Bach wrote.][So do I.][Then he slept.]" },
		{ "The U.S. Navy. At 5 p.m. We met.", "[The U.S. Navy.][At 5 p.m.][We met.]" },
		{ "See No. 5 and fig. 3. Is it no. No.", "[See No. 5 and fig. 3.][Is it no.][No.]" },
		{ "Wait... what? Wait\u2026 What?", "[Wait... what?][Wait\u2026][What?]" },
		{ "1. Breathe in. 2. Breathe out.", "[1. Breathe in.][2. Breathe out.]" },
		{ "example.com is v1.2.3 of it", "[example.com is v1.2.3 of it]" },
		{ "Привет. Как дела? да. нет", "[Привет.][Как дела? да. нет]" },
		{ "Ça va. Élan. été", "[Ça va.][Élan. été]" },
		{ "\u4f60\u597d\u3002\u518d\u89c1\u3002", "[\u4f60\u597d\u3002][\u518d\u89c1\u3002]" },
		{ "Stop. ¿Qué? ¡Ya!", "[Stop.][¿Qué?][¡Ya!]" },
		{ "*** Begin. --- ... End.", "[*** Begin.][End.]" },
		{ "a\u00a0b\u2003c\u200bd\u00ade", "[a b cde]" },
		{ "I <3 you & x < y", "[I <3 you & x < y]" },
		{ "\xef\xbb\xbfMark.", "[Mark.]" },
	};
	(void)state;
	expect_all(list, sizeof(list) / sizeof(list[0]));
}

static void test_pauses(void **state)
{
	static const struct example list[] = {
		{ "One.\n\nTwo.", "[One.]1200[Two.]" },
		{ "\n\nOne.\r\n \t\r\n\nTwo.\n\n\n", "[One.]1200[Two.]" },
		{ "One. [pause 5s] Two.", "[One.]5000[Two.]" },
		{ "One. [Pause: 1.5 s] Two. [pause 500ms][pause 2min]Three.", "[One.]1500[Two.]120500[Three.]" },
		{ "One.\n\n[pause 2]\n\nTwo.", "[One.]2000[Two.]" },
		{ "One.\n\n[pause 0s]\n\nTwo.", "[One.][Two.]" },
		{ "[pause 3 seconds]One.[pause 4sec]", "3000[One.]4000" },
		{ "Breathe in [pause 1s] and out.", "[Breathe in]1000[and out.]" },
		{ "See [note 3] and [paused].", "[See [note 3] and [paused].]" },
		{ "One. <break time=\"2s\"/> Two. <break time='250ms' /> Three.", "[One.]2000[Two.]250[Three.]" },
		{ "One.<break/>Two.<break strength=\"x-strong\"/>Three.<break strength=\"none\"/>Four.",
		  "[One.]500[Two.]2000[Three.][Four.]" },
		{ "One.\n\n...\n\nTwo.", "[One.]1200[Two.]" },
	};
	(void)state;
	expect_all(list, sizeof(list) / sizeof(list[0]));
}

static void test_markup(void **state)
{
	static const struct example list[] = {
		{ "<?xml version=\"1.0\"?>\n<speak version=\"1.1\" xml:lang='en'>\n\nOne &amp; two.\n\n<!-- no --> Three."
		  "</speak>\n",
		  "[One & two.][Three.]" },
		{ "<speak><p>One. Two.</p><p><s>Dr. No. Yes.</s><s>Three</s></p></speak>",
		  "[One.][Two.]1200[Dr. No. Yes.][Three]" },
		{ "<p>One.</p><p>Two.</p>", "[One.]1200[Two.]" },
		{ "<p>One.</p><break time=\"3s\"/><p>Two.</p>", "[One.]3000[Two.]" },
		{ "<s>One<break time=\"1s\"/>two</s>", "[One]1000[two]" },
		{ "<speak>Tom &quot;T&quot; &lt;b&gt; it&apos;s</speak>", "[Tom \"T\" <b> it's]" },
	};
	(void)state;
	expect_all(list, sizeof(list) / sizeof(list[0]));
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *code, *message;
	} list[] = {
		{ "", "SCRIPT_EMPTY", "nothing" },
		{ " \n\n ... [pause 5s] *", "SCRIPT_EMPTY", "nothing" },
		{ "One.\nTwo [pause five]", "SCRIPT_INVALID", "line 2, column 5: a pause" },
		{ "a [pause 11min]", "SCRIPT_INVALID", "10 minutes" },
		{ "a [pause -1s]", "SCRIPT_INVALID", "a pause" },
		{ "a [pause 5s", "SCRIPT_INVALID", "a pause" },
		{ "\u00fc\u00fc <emphasis>b</emphasis>", "SCRIPT_INVALID", "line 1, column 4: of SSML" },
		{ "a <break time=\"5\"/>", "SCRIPT_INVALID", "time" },
		{ "a <break length=\"5s\"/>", "SCRIPT_INVALID", "a break has" },
		{ "a <break strength=\"mild\"/>", "SCRIPT_INVALID", "strength" },
		{ "a <break time=5s/>", "SCRIPT_INVALID", "attribute" },
		{ "a <break time=\"5s\"", "SCRIPT_INVALID", "without its end" },
		{ "a <p", "SCRIPT_INVALID", "without its end" },
		{ "<speak>a", "SCRIPT_INVALID", "<speak> isn't closed" },
		{ "a</speak>", "SCRIPT_INVALID", "closes nothing" },
		{ "a<speak>b</speak>", "SCRIPT_INVALID", "around the whole" },
		{ "<speak>a</speak>b", "SCRIPT_INVALID", "behind </speak>" },
		{ "<speak>a</speak><p>b</p>", "SCRIPT_INVALID", "behind </speak>" },
		{ "<speak>a & b</speak>", "SCRIPT_INVALID", "&amp;" },
		{ "<speak>a &#65; b</speak>", "SCRIPT_INVALID", "&amp;" },
		{ "<p>a<p>b</p></p>", "SCRIPT_INVALID", "<p> within" },
		{ "<s>a<p>b</p></s>", "SCRIPT_INVALID", "<p> within" },
		{ "<p><s>a</p></s>", "SCRIPT_INVALID", "</p> closes nothing" },
		{ "<s>a", "SCRIPT_INVALID", "<s> isn't closed" },
		{ "a <!-- b", "SCRIPT_INVALID", "comment" },
		{ "a\x01", "SCRIPT_INVALID", "column 2: a control character" },
		{ "a\xc2\x80", "SCRIPT_INVALID", "a control character" },
		{ "a\xff", "SCRIPT_INVALID", "not UTF-8" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		refuse(list[i].text, list[i].code, list[i].message);
}

static char *repeated(const char *text, size_t count)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1 << 20);
	while (count--)
		buf_puts(&b, text);
	return buf_steal(&b);
}

static void test_limits(void **state)
{
	_cleanup_free_ char *large = repeated("word ", SCRIPT_MAX_BYTES / 5 + 1);
	_cleanup_free_ char *many = repeated("A b. ", SCRIPT_SENTENCES_MAX + 1);
	_cleanup_free_ char *pauses = repeated("a [pause 600s]", 19);
	(void)state;
	refuse(large, "SCRIPT_TOO_LONG", "100 KiB");
	refuse(many, "SCRIPT_TOO_LONG", "4096 sentences");
	refuse(pauses, "SCRIPT_TOO_LONG", "three hours");
	pauses[strlen("a [pause 600s]") * 18] = '\0';
	struct script s;
	assert_int_equal(script_parse(pauses, strlen(pauses), &s, NULL), 0);
	assert_int_equal(s.pause_ms, SCRIPT_PAUSES_MAX_MS);
	script_release(&s);
}

static size_t characters(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* A sentence that is too long ends at a comma, at a space, or where it must; nothing of it is lost. */
static void test_long_sentences(void **state)
{
	_cleanup_free_ char *commas = repeated("breathe in, and out again, ", 200);
	_cleanup_free_ char *words = repeated("breathe ", 1000);
	_cleanup_free_ char *none = repeated("\u00e9", 5000);
	const char *list[] = { commas, words, none };
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct script s;
		assert_int_equal(script_parse(list[i], strlen(list[i]), &s, NULL), 0);
		assert_int_equal(s.sentence_count, 2);
		for (uint32_t k = 0; k < 2; k++)
			assert_in_range(characters(s.items[k].text), 1, SCRIPT_SENTENCE_MAX);
		assert_int_equal(i == 0 ? s.items[0].text[strlen(s.items[0].text) - 1] : ',', ',');
		size_t lost = strlen(list[i]) - strlen(s.items[0].text) - strlen(s.items[1].text);
		assert_in_range(lost, 0, i == 2 ? 0 : 2);
		script_release(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sentences), cmocka_unit_test(test_pauses), cmocka_unit_test(test_markup),
		cmocka_unit_test(test_refusals),  cmocka_unit_test(test_limits), cmocka_unit_test(test_long_sentences),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
