/* Division into sentences. Pure; in the server and its tests. */
#include "speech/sentence.h"

#include <stdint.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "speech/script.h"

#define WORD_MAX 12 /* of an abbreviation, with the full stops within it */

/* The character at `s`; 0 at the end. Bytes that aren't UTF-8 can't occur: the text was checked. */
static uint32_t character(const char *s, const char *end, size_t *ret_len)
{
	const unsigned char *u = (const unsigned char *)s;
	*ret_len = s < end ? utf8_sequence(s, (size_t)(end - s)) : 0;
	switch (*ret_len) {
	case 1:
		return u[0];
	case 2:
		return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
	case 3:
		return (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
	case 4:
		return (u[0] & 0x07u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 | (u[3] & 0x3fu);
	default:
		*ret_len = s < end ? 1 : 0;
		return 0;
	}
}

static bool is_in(uint32_t c, const uint32_t *list)
{
	while (*list && *list != c)
		list++;
	return *list != 0;
}

static bool is_digit(uint32_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter_ascii(uint32_t c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_lower(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 0xdf && c <= 0xff && c != 0xf7) || (c >= 0x3b1 && c <= 0x3c9) ||
	       (c >= 0x430 && c <= 0x45f);
}

static bool is_closing(uint32_t c)
{
	static const uint32_t list[] = { '"',    '\'',   ')',    ']',    '}',    0xbb, 0x201d,
					 0x2019, 0x203a, 0x300d, 0x300f, 0xff09, 0 };
	return is_in(c, list);
}

/* What may stand before a sentence's first letter. */
static bool is_opening(uint32_t c)
{
	static const uint32_t list[] = { '"',  '\'',   '(',    '[',    '{',    0xab,   0xbf,
					 0xa1, 0x201c, 0x201e, 0x2018, 0x201a, 0x2039, 0 };
	return is_in(c, list);
}

static bool is_full_stop_of_cjk(uint32_t c)
{
	return c == 0x3002 || c == 0xff01 || c == 0xff1f;
}

static bool ends_sentence(uint32_t c)
{
	return c == '.' || c == '!' || c == '?' || c == 0x2026 || is_full_stop_of_cjk(c);
}

static bool word_in(const char *word, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(word, list[i]) == 0)
			return true;
	return false;
}

/* The word that ends at `stop` (a full stop), in small letters and with full stops within it; empty if it is longer
 * than any abbreviation. *ret_capital: it began with a capital letter. */
static void word_before(const char *begin, const char *stop, char out[WORD_MAX + 1], bool *ret_capital)
{
	const char *at = stop;
	while (at > begin && (at[-1] == '.' || is_letter_ascii((unsigned char)at[-1])))
		at--;
	size_t n = (size_t)(stop - at);
	*ret_capital = n > 0 && *at >= 'A' && *at <= 'Z';
	if (n > WORD_MAX)
		n = 0;
	for (size_t i = 0; i < n; i++)
		out[i] = at[i] == '.' ? '.' : (char)(at[i] | 0x20);
	out[n] = '\0';
}

/* Only digits (and full stops) so far: "1. Breathe in." is one sentence. */
static bool is_list_number(const char *begin, const char *stop)
{
	if (begin == stop)
		return false;
	for (; begin < stop; begin++)
		if (!is_digit((unsigned char)*begin) && *begin != '.')
			return false;
	return true;
}

/* The full stop at `stop` belongs to an abbreviation, although what follows could begin a sentence. */
static bool is_abbreviation(const char *begin, const char *stop, uint32_t next)
{
	static const char *const never_last[] = { "mr",  "mrs", "ms",   "mx",  "dr",    "prof", "st",  "mt",
						  "rev", "hon", "gen",  "col", "capt",  "lt",   "sgt", "sen",
						  "rep", "gov", "pres", "vs",  "cf",    "e.g",  "i.e", "eg",
						  "ie",  "viz", "al",   "ca",  "approx" };
	static const char *const before_digits[] = { "no",  "nos", "p",   "pp",  "vol", "fig", "ch",  "sec",
						     "art", "op",  "nr",  "jan", "feb", "mar", "apr", "jun",
						     "jul", "aug", "sep", "oct", "nov", "dec" };
	char word[WORD_MAX + 1];
	bool capital;
	word_before(begin, stop, word, &capital);
	size_t n = strlen(word);
	if (is_list_number(begin, stop) || word_in(word, never_last, MR_ARRAY_SIZE(never_last)))
		return true;
	if (is_digit(next) && word_in(word, before_digits, MR_ARRAY_SIZE(before_digits)))
		return true;
	/* An initial, or several: "J. S. Bach", "the U.S. Navy"; but "so do I." and "at five p.m." may be the end. */
	bool initial = n == 1 || (n >= 3 && n % 2 == 1 && word[n - 2] == '.');
	return initial && capital && strcmp(word, "i") != 0;
}

/* Whether a sentence that seems to end at `run` (its last characters, up to `after`) does, where `next` follows. */
static bool is_end(const char *begin, const char *run, const char *after, const char *end)
{
	size_t n;
	const char *next = after;
	while (next < end && *next == ' ')
		next++;
	uint32_t c = character(next, end, &n);
	while (n && is_opening(c)) {
		next += n;
		c = character(next, end, &n);
	}
	if (!n || is_lower(c))
		return false; /* at the end of the text there is nothing to divide */
	bool single = *run == '.' && run[1] != '.';
	return !single || !is_abbreviation(begin, run, c);
}

size_t sentence_cut(const char *text, size_t len)
{
	size_t comma = 0, space = 0, at = 0;
	for (unsigned count = 0; at < len && count < SCRIPT_SENTENCE_MAX; count++) {
		size_t n = utf8_sequence(text + at, len - at);
		char c = text[at];
		at += n ? n : 1;
		if (c == ' ')
			space = at;
		else if (strchr(",;:", c) && at < len && text[at] == ' ')
			comma = at + 1;
	}
	if (at == len)
		return len;
	return comma > at / 2 ? comma : space ? space : at;
}

/* The first sentence, however long. */
static size_t find_end(const char *text, size_t len)
{
	const char *end = text + len, *at = text;
	while (at < end) {
		size_t n;
		uint32_t c = character(at, end, &n);
		if (!ends_sentence(c)) {
			at += n;
			continue;
		}
		const char *run = at;
		bool cjk = false;
		for (; n && ends_sentence(c); c = character(at, end, &n)) {
			cjk = is_full_stop_of_cjk(c);
			at += n;
		}
		for (; n && is_closing(c); c = character(at, end, &n))
			at += n;
		if (at == end || (*at != ' ' && !cjk) || !is_end(text, run, at, end))
			continue;
		while (at < end && *at == ' ')
			at++;
		return (size_t)(at - text);
	}
	return len;
}

size_t sentence_length(const char *text, size_t len)
{
	return sentence_cut(text, find_end(text, len));
}

bool sentence_is_speakable(const char *text, size_t len)
{
	const char *end = text + len;
	size_t n;
	for (uint32_t c = character(text, end, &n); n; text += n, c = character(text, end, &n)) {
		/* From U+00C0 on: punctuation, arrows to dingbats, CJK's punctuation, full-width marks, emoji. */
		bool mark = (c >= 0x2000 && c <= 0x206f) || (c >= 0x2190 && c <= 0x2bff) ||
			    (c >= 0x3000 && c <= 0x303f) || (c >= 0xfe00 && c <= 0xff0f) ||
			    (c >= 0x1f000 && c <= 0x1faff);
		if (is_digit(c) || is_letter_ascii(c) || (c >= 0xc0 && !mark))
			return true;
	}
	return false;
}
