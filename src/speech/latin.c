/* Reduction to ASCII. Pure; in the task. */
#include "speech/latin.h"

#include <string.h>

#include "base/encode.h"
#include "base/mem.h"

static const char *const typography[][2] = {
	{ "\u2018", "'" },         { "\u2019", "'" },   { "\u201a", "'" },       { "\u201c", "\"" },
	{ "\u201d", "\"" },        { "\u201e", "\"" },  { "\u00ab", "\"" },      { "\u00bb", "\"" },
	{ "\u2010", "-" },         { "\u2011", "-" },   { "\u2012", "-" },       { "\u2013", ", " },
	{ "\u2014", ", " },        { "\u2026", "..." }, { "\u20ac", " euros " }, { "\u00a3", " pounds " },
	{ "\u00b0", " degrees " }, { "\u00df", "ss" },  { "\u1e9e", "SS" },      { "\u0218", "S" },
	{ "\u0219", "s" },         { "\u021a", "T" },   { "\u021b", "t" },
};
/* U+00C0 to U+00FF, then U+0100 to U+017F. */
static const char *const letters[] = {
	"A", "A", "A",  "A",   "A", "A", "AE", "C",  "E", "E", "E",  "E",  "I", "I", "I",  "I",  "D", "N", "O",  "O",
	"O", "O", "O",  " x ", "O", "U", "U",  "U",  "U", "Y", "Th", "ss", "a", "a", "a",  "a",  "a", "a", "ae", "c",
	"e", "e", "e",  "e",   "i", "i", "i",  "i",  "d", "n", "o",  "o",  "o", "o", "o",  " ",  "o", "u", "u",  "u",
	"u", "y", "th", "y",   "A", "a", "A",  "a",  "A", "a", "C",  "c",  "C", "c", "C",  "c",  "C", "c", "D",  "d",
	"D", "d", "E",  "e",   "E", "e", "E",  "e",  "E", "e", "E",  "e",  "G", "g", "G",  "g",  "G", "g", "G",  "g",
	"H", "h", "H",  "h",   "I", "i", "I",  "i",  "I", "i", "I",  "i",  "I", "i", "IJ", "ij", "J", "j", "K",  "k",
	"k", "L", "l",  "L",   "l", "L", "l",  "L",  "l", "L", "l",  "N",  "n", "N", "n",  "N",  "n", "n", "N",  "n",
	"O", "o", "O",  "o",   "O", "o", "OE", "oe", "R", "r", "R",  "r",  "R", "r", "S",  "s",  "S", "s", "S",  "s",
	"S", "s", "T",  "t",   "T", "t", "T",  "t",  "U", "u", "U",  "u",  "U", "u", "U",  "u",  "U", "u", "U",  "u",
	"W", "w", "Y",  "y",   "Y", "Z", "z",  "Z",  "z", "Z", "z",  "s",
};
_Static_assert(MR_ARRAY_SIZE(letters) == 0x180 - 0xc0, "one for each");

static const char *replacement(const char *s, size_t n)
{
	for (size_t i = 0; i < MR_ARRAY_SIZE(typography); i++)
		if (strlen(typography[i][0]) == n && memcmp(s, typography[i][0], n) == 0)
			return typography[i][1];
	const unsigned char *u = (const unsigned char *)s;
	unsigned c = n == 2 ? (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu) : 0;
	return c >= 0xc0 && c < 0x180 ? letters[c - 0xc0] : " ";
}

void latin_to_ascii(const char *text, size_t len, struct buf *out)
{
	for (size_t at = 0; at < len;) {
		size_t n = utf8_sequence(text + at, len - at);
		if (n == 1)
			buf_append(out, text + at, 1);
		else
			buf_puts(out, n ? replacement(text + at, n) : " ");
		at += n ? n : 1;
	}
}
