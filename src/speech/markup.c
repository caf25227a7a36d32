/* Tags of the SSML subset, and durations. Pure. */
#include "speech/markup.h"

#include <string.h>

#include "base/mem.h"
#include "speech/script.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' || c == '-' ||
	       c == '_' || c == '.';
}

static bool same(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

static size_t skip_spaces(const char *text, size_t len, size_t at)
{
	while (at < len && is_space(text[at]))
		at++;
	return at;
}

/* Milliseconds of a unit; 0: there is no such unit. */
static uint32_t unit_ms(const char *unit, size_t len, bool lenient)
{
	static const struct {
		const char *name;
		uint32_t ms;
		bool lenient;
	} units[] = { { "ms", 1, false },        { "s", 1000, false },     { "", 1000, true },
		      { "sec", 1000, true },     { "second", 1000, true }, { "seconds", 1000, true },
		      { "m", 60000, true },      { "min", 60000, true },   { "minute", 60000, true },
		      { "minutes", 60000, true } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(units); i++)
		if ((lenient || !units[i].lenient) && same(unit, len, units[i].name))
			return units[i].ms;
	return 0;
}

bool markup_duration(const char *text, size_t len, bool lenient, uint32_t *ret_ms)
{
	size_t at = skip_spaces(text, len, 0);
	if (at < len && text[at] == '+')
		at++;
	uint64_t whole = 0, part = 0, scale = 1;
	size_t digits = 0;
	for (; at < len && text[at] >= '0' && text[at] <= '9' && whole <= SCRIPT_PAUSE_MAX_MS; at++, digits++)
		whole = whole * 10 + (uint64_t)(text[at] - '0');
	if (at < len && text[at] == '.')
		for (at++; at < len && text[at] >= '0' && text[at] <= '9'; at++, digits++)
			if (scale < 1000000) {
				part = part * 10 + (uint64_t)(text[at] - '0');
				scale *= 10;
			}
	at = skip_spaces(text, len, at);
	while (len > at && is_space(text[len - 1]))
		len--;
	uint64_t unit = unit_ms(text + at, len - at, lenient);
	if (!digits || !unit)
		return false;
	uint64_t ms = whole * unit + part * unit / scale;
	if (ms > SCRIPT_PAUSE_MAX_MS)
		return false;
	*ret_ms = (uint32_t)ms;
	return true;
}

/* SSML leaves the lengths to the processor; an unknown strength is -1. */
static int64_t strength_ms(const char *v, size_t len)
{
	static const struct {
		const char *name;
		int64_t ms;
	} list[] = { { "none", 0 },     { "x-weak", 100 },  { "weak", 250 },
		     { "medium", 500 }, { "strong", 1000 }, { "x-strong", 2000 } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(list); i++)
		if (same(v, len, list[i].name))
			return list[i].ms;
	return -1;
}

/* A break's time counts, else its strength, else it is a medium one. */
struct break_length {
	bool timed;
	int64_t strength_ms;
};

static const char *read_break_attribute(const char *name, size_t name_len, const char *value, size_t len,
					struct markup *m, struct break_length *b)
{
	if (same(name, name_len, "time")) {
		b->timed = markup_duration(value, len, false, &m->pause_ms);
		return b->timed ? NULL : "a break's time is like \"5s\" or \"500ms\", and at most 600s";
	}
	if (!same(name, name_len, "strength"))
		return "a break has \"time\" and \"strength\"";
	b->strength_ms = strength_ms(value, len);
	return b->strength_ms >= 0 ? NULL : "a break's strength is none, x-weak, weak, medium, strong or x-strong";
}

/* The attributes from `at` to the '>'; returns the place behind it, or 0. */
static size_t read_attributes(const char *text, size_t len, size_t at, struct markup *m, const char **ret_wrong)
{
	struct break_length b = { .strength_ms = 500 };
	for (;;) {
		size_t name = skip_spaces(text, len, at);
		for (at = name; at < len && is_name(text[at]);)
			at++;
		if (at == name)
			break;
		size_t name_len = at - name, value = skip_spaces(text, len, at);
		if (value < len && text[value] == '=')
			value = skip_spaces(text, len, value + 1);
		const char *quote = value < len && (text[value] == '"' || text[value] == '\'')
					    ? memchr(text + value + 1, text[value], len - value - 1)
					    : NULL;
		if (!quote || m->closes) {
			*ret_wrong = "an attribute is like name=\"value\"";
			return 0;
		}
		value++;
		at = (size_t)(quote - text);
		if (m->tag == TAG_BREAK)
			*ret_wrong = read_break_attribute(text + name, name_len, text + value, at - value, m, &b);
		if (*ret_wrong)
			return 0;
		at++;
	}
	if (!b.timed)
		m->pause_ms = (uint32_t)b.strength_ms;
	m->empty = at < len && text[at] == '/' && !m->closes;
	at += m->empty;
	if (at < len && text[at] == '>')
		return at + 1;
	*ret_wrong = "a tag without its end, '>'";
	return 0;
}

/* A comment or a processing instruction. */
static size_t skip_to(const char *text, size_t len, const char *end, struct markup *ret, const char **ret_wrong)
{
	const char *at = memmem(text, len, end, strlen(end));
	ret->tag = TAG_IGNORED;
	if (!at)
		*ret_wrong = "a comment or declaration without its end";
	return at ? (size_t)(at - text) + strlen(end) : 0;
}

size_t markup_read(const char *text, size_t len, struct markup *ret, const char **ret_wrong)
{
	static const struct {
		const char *name;
		enum markup_tag tag;
	} tags[] = { { "speak", TAG_SPEAK }, { "break", TAG_BREAK }, { "p", TAG_P }, { "s", TAG_S } };
	*ret = (struct markup) { 0 };
	*ret_wrong = NULL;
	if (len >= 4 && memcmp(text, "<!--", 4) == 0)
		return skip_to(text, len, "-->", ret, ret_wrong);
	if (len >= 2 && text[1] == '?')
		return skip_to(text, len, "?>", ret, ret_wrong);
	ret->closes = len >= 2 && text[1] == '/';
	size_t name = ret->closes ? 2 : 1, at = name;
	while (at < len && is_name(text[at]))
		at++;
	for (size_t i = 0; i < MR_ARRAY_SIZE(tags); i++)
		if (same(text + name, at - name, tags[i].name))
			ret->tag = tags[i].tag;
	if (!ret->tag) {
		*ret_wrong = "of SSML there is <speak>, <p>, <s> and <break>";
		return 0;
	}
	return read_attributes(text, len, at, ret, ret_wrong);
}
