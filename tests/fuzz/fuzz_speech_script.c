/* libFuzzer target: whatever a script is, its items are what script.h promises, and it is read the same without what follows it. */
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "fuzz.h"
#include "speech/latin.h"
#include "speech/script.h"
#include "speech/sentence.h"

static void check_sentence(const char *s)
{
	size_t len = strlen(s), characters = 0;
	if (!len || *s == ' ' || s[len - 1] == ' ' || strstr(s, "  ") || !utf8_valid(s, len) || !sentence_is_speakable(s, len))
		abort();
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			abort();
		characters += ((unsigned char)s[i] & 0xc0) != 0x80;
	}
	if (characters > SCRIPT_SENTENCE_MAX)
		abort();
	_cleanup_buf_ struct buf ascii;
	buf_init(&ascii, 16 * len);
	latin_to_ascii(s, len, &ascii);
	for (size_t i = 0; i < ascii.len; i++)
		if ((unsigned char)ascii.data[i] >= 0x80)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s;
	struct err e = { 0 };
	if (script_parse((const char *)data, size, &s, &e) < 0) {
		if (!e.message[0] || !e.code[0])
			abort();
		return 0;
	}
	uint32_t sentences = 0, pauses = 0;
	for (uint32_t i = 0; i < s.item_count; i++) {
		const struct script_item *item = &s.items[i];
		if (item->text ? item->pause_ms > 0 : !item->pause_ms || (i > 0 && !s.items[i - 1].text))
			abort();
		if (item->text)
			check_sentence(item->text);
		sentences += item->text != NULL;
		pauses += item->pause_ms;
	}
	if (!sentences || sentences != s.sentence_count || sentences > SCRIPT_SENTENCES_MAX || pauses != s.pause_ms ||
	    pauses > SCRIPT_PAUSES_MAX_MS)
		abort();
	script_release(&s);
	return 0;
}
