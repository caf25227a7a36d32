/* The checker's reader of lines, attribute lists and numbers. Runs where playlists are published and in tests; takes
 * any bytes (fuzzed), reads none outside [text, text + len), allocates nothing. */
#include "hls/check_lex.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"

bool hls_slice_is(struct hls_slice s, const char *text)
{
	return s.len == strlen(text) && (s.len == 0 || memcmp(s.at, text, s.len) == 0);
}

bool hls_slice_equal(struct hls_slice a, struct hls_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

int hls_show_len(struct hls_slice s)
{
	size_t len = s.len < 60 ? s.len : 60;
	const char *query = len ? memchr(s.at, '?', len) : NULL;
	if (query)
		len = (size_t)(query - s.at);
	else
		while (len && len < s.len && ((unsigned char)s.at[len] & 0xc0) == 0x80)
			len--; /* don't cut a character in two */
	return (int)len;
}

int hls_refuse(struct err *e, const char *rule, size_t line, const char *fmt, ...)
{
	char what[400];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (line)
		return err_set(e, ERR_INVALID, "%s, line %zu: %s", rule, line, what);
	return err_set(e, ERR_INVALID, "%s: %s", rule, what);
}

/* Length of the character at s, or 0 where a playlist must not have it (RFC 8216, 4.1). */
static size_t clean_sequence(const char *s, size_t len)
{
	size_t n = utf8_sequence(s, len);
	unsigned char c = (unsigned char)s[0];
	if (n == 1 && (c < 0x20 || c == 0x7f))
		return 0;
	if (n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0)
		return 0;
	return n;
}

static int check_characters(const char *text, size_t len, struct err *e)
{
	size_t line = 1;
	for (size_t i = 0; i < len;) {
		if (text[i] == '\n' || (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n')) {
			line += text[i++] == '\n';
			continue;
		}
		size_t n = clean_sequence(text + i, len - i);
		if (!n)
			return hls_refuse(e, "text", line,
					  "byte 0x%02x is a control character or not UTF-8 (RFC 8216, 4.1)",
					  (unsigned)(unsigned char)text[i]);
		i += n;
	}
	/* A half-written file ends anywhere. */
	if (text[len - 1] != '\n')
		return hls_refuse(e, "text", line, "the last line is not ended (RFC 8216, 4.1)");
	return 0;
}

struct cursor {
	const char *at, *end;
	size_t number;
};

/* The bytes up to the line's end, without it; false at the end of the text. */
static bool next_raw(struct cursor *l, struct hls_slice *ret)
{
	if (l->at == l->end)
		return false;
	const char *start = l->at;
	const char *lf = memchr(start, '\n', (size_t)(l->end - start));
	const char *stop = lf ? lf : l->end;
	l->at = lf ? lf + 1 : l->end;
	l->number++;
	if (stop > start && stop[-1] == '\r')
		stop--;
	*ret = (struct hls_slice){ start, (size_t)(stop - start) };
	return true;
}

static int begin(struct cursor *ret, const char *text, size_t len, struct err *e)
{
	if (!len)
		return hls_refuse(e, "extm3u", 1, "the playlist is empty");
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return hls_refuse(e, "text", 1, "a byte order mark (RFC 8216, 4.1)");
	int r = check_characters(text, len, e);
	if (r < 0)
		return r;
	struct cursor l = { .at = text, .end = text + len };
	struct hls_slice first;
	if (!next_raw(&l, &first) || !hls_slice_is(first, "#EXTM3U"))
		return hls_refuse(e, "extm3u", 1, "the first line is not #EXTM3U (RFC 8216, 4.3.1.1)");
	*ret = l;
	return 0;
}

static void split_tag(struct hls_slice raw, struct hls_line *ret)
{
	const char *name = raw.at + 1;
	const char *end = raw.at + raw.len;
	const char *colon = memchr(name, ':', raw.len - 1);
	ret->has_value = colon != NULL;
	ret->tag = (struct hls_slice){ name, (size_t)((colon ? colon : end) - name) };
	ret->value =
		colon ? (struct hls_slice){ colon + 1, (size_t)(end - colon - 1) } : (struct hls_slice){ end, 0 };
}

/* The next line that is neither blank nor a comment; false at the end. */
static bool next_line(struct cursor *l, struct hls_line *ret)
{
	struct hls_slice raw;
	while (next_raw(l, &raw)) {
		if (!raw.len)
			continue;
		bool comment = raw.at[0] == '#' && (raw.len < 4 || memcmp(raw.at, "#EXT", 4) != 0);
		if (comment)
			continue;
		*ret = (struct hls_line){ .value = raw, .number = l->number };
		if (raw.at[0] == '#')
			split_tag(raw, ret);
		return true;
	}
	return false;
}

int hls_lines_read(const char *text, size_t len, hls_line_fn fn, void *ctx, struct err *e)
{
	struct cursor l = { 0 };
	struct hls_line line;
	int r = begin(&l, text, len, e);
	while (r == 0 && next_line(&l, &line))
		r = fn(ctx, &line, e);
	return r;
}

int hls_uri_check(struct hls_slice uri, size_t line, struct err *e)
{
	for (size_t i = 0; i < uri.len; i++) {
		unsigned char c = (unsigned char)uri.at[i];
		if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c))
			return hls_refuse(e, "uri", line, "byte 0x%02x in \"%.*s\" (RFC 3986, 2)", (unsigned)c,
					  HLS_SHOW(uri));
		uint8_t byte;
		if (c == '%' && (uri.len - i < 3 || !hex_decode(uri.at + i + 1, 2, &byte, 1)))
			return hls_refuse(e, "uri", line, "a broken escape in \"%.*s\" (RFC 3986, 2.1)", HLS_SHOW(uri));
	}
	return 0;
}

bool hls_decimal_parse(struct hls_slice s, uint64_t *ret)
{
	uint64_t value = 0;
	if (!s.len || s.len > 20)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];
		if (c < '0' || c > '9' || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
			return false;
	}
	*ret = value;
	return true;
}

bool hls_fraction_parse(struct hls_slice s, uint64_t *ret_nano, bool *ret_has_point)
{
	const char *point = s.len ? memchr(s.at, '.', s.len) : NULL;
	struct hls_slice whole = { s.at, point ? (size_t)(point - s.at) : s.len };
	uint64_t seconds;
	if (whole.len > 9 || !hls_decimal_parse(whole, &seconds))
		return false;
	uint64_t nano = 0, unit = 100000000;
	if (point && point + 1 == s.at + s.len)
		return false;
	for (const char *p = point ? point + 1 : s.at + s.len; p < s.at + s.len; p++) {
		if (*p < '0' || *p > '9')
			return false;
		nano += (uint64_t)(*p - '0') * unit;
		unit /= 10;
	}
	*ret_nano = seconds * 1000000000 + nano;
	*ret_has_point = point != NULL;
	return true;
}

static bool is_name_character(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* Reads NAME=value at the front of *rest and moves it behind the value. */
static int attribute_take(struct hls_slice *rest, size_t line, struct hls_attribute *ret, struct err *e)
{
	size_t n = 0;
	while (n < rest->len && is_name_character(rest->at[n]))
		n++;
	if (!n || n == rest->len || rest->at[n] != '=')
		return hls_refuse(e, "attributes", line, "no NAME=value at \"%.*s\" (RFC 8216, 4.2)", HLS_SHOW(*rest));
	*ret = (struct hls_attribute){ .name = { rest->at, n } };
	struct hls_slice v = { rest->at + n + 1, rest->len - n - 1 };
	if (v.len && v.at[0] == '"') {
		const char *quote = memchr(v.at + 1, '"', v.len - 1);
		if (!quote)
			return hls_refuse(e, "attributes", line, "%.*s has no closing quote (RFC 8216, 4.2)",
					  HLS_SHOW(ret->name));
		ret->quoted = true;
		ret->value = (struct hls_slice){ v.at + 1, (size_t)(quote - v.at - 1) };
		n = ret->value.len + 2;
	} else {
		for (n = 0; n < v.len && v.at[n] != ',' && v.at[n] != '"' && v.at[n] != ' ';)
			n++;
		ret->value = (struct hls_slice){ v.at, n };
		if (!n)
			return hls_refuse(e, "attributes", line, "%.*s has no value (RFC 8216, 4.2)",
					  HLS_SHOW(ret->name));
	}
	*rest = (struct hls_slice){ v.at + n, v.len - n };
	return 0;
}

static bool has_name(const struct hls_attributes *a, struct hls_slice name)
{
	for (size_t i = 0; i < a->count; i++)
		if (hls_slice_equal(a->items[i].name, name))
			return true;
	return false;
}

int hls_attributes_parse(const struct hls_line *line, struct hls_attributes *ret, struct err *e)
{
	struct hls_slice rest = line->value;
	ret->count = 0;
	ret->line = line->number;
	for (;;) {
		struct hls_attribute item;
		int r = attribute_take(&rest, line->number, &item, e);
		if (r < 0)
			return r;
		if (has_name(ret, item.name))
			return hls_refuse(e, "attributes", line->number, "%.*s twice (RFC 8216, 4.2)",
					  HLS_SHOW(item.name));
		if (ret->count == HLS_ATTRIBUTES_MAX)
			return hls_refuse(e, "attributes", line->number, "more than %d", HLS_ATTRIBUTES_MAX);
		ret->items[ret->count++] = item;
		if (!rest.len)
			return 0;
		if (rest.at[0] != ',')
			return hls_refuse(e, "attributes", line->number, "no comma behind %.*s (RFC 8216, 4.2)",
					  HLS_SHOW(item.name));
		rest = (struct hls_slice){ rest.at + 1, rest.len - 1 };
	}
}

const struct hls_attribute *hls_attributes_find(const struct hls_attributes *a, const char *name)
{
	for (size_t i = 0; i < a->count; i++)
		if (hls_slice_is(a->items[i].name, name))
			return &a->items[i];
	return NULL;
}

/* Finds it with or without quotes, as its type wants. */
static int typed(const struct hls_attributes *a, const char *name, bool needed, bool quoted, struct hls_slice *ret,
		 struct err *e)
{
	const struct hls_attribute *found = hls_attributes_find(a, name);
	if (!found && needed)
		return hls_refuse(e, "attributes", a->line, "no %s", name);
	if (found && found->quoted != quoted)
		return hls_refuse(e, "attributes", a->line, "%s must %sbe quoted (RFC 8216, 4.2)", name,
				  quoted ? "" : "not ");
	if (found && !found->value.len)
		return hls_refuse(e, "attributes", a->line, "%s is empty", name);
	*ret = found ? found->value : (struct hls_slice){ 0 };
	return 0;
}

int hls_attribute_string(const struct hls_attributes *a, const char *name, bool needed, struct hls_slice *ret,
			 struct err *e)
{
	return typed(a, name, needed, true, ret, e);
}

int hls_attribute_word(const struct hls_attributes *a, const char *name, bool needed, struct hls_slice *ret,
		       struct err *e)
{
	return typed(a, name, needed, false, ret, e);
}

int hls_attribute_decimal(const struct hls_attributes *a, const char *name, bool needed, uint64_t *ret, struct err *e)
{
	struct hls_slice word;
	int r = typed(a, name, needed, false, &word, e);
	if (r < 0)
		return r;
	uint64_t value = 0;
	if (word.len && !hls_decimal_parse(word, &value))
		return hls_refuse(e, "attributes", a->line, "%s=%.*s is no decimal integer (RFC 8216, 4.2)", name,
				  HLS_SHOW(word));
	*ret = value;
	return 0;
}

int hls_attribute_yes(const struct hls_attributes *a, const char *name, bool *ret, struct err *e)
{
	struct hls_slice word;
	int r = typed(a, name, false, false, &word, e);
	if (r < 0)
		return r;
	bool yes = hls_slice_is(word, "YES");
	if (word.len && !yes && !hls_slice_is(word, "NO"))
		return hls_refuse(e, "attributes", a->line, "%s=%.*s is neither YES nor NO", name, HLS_SHOW(word));
	*ret = yes;
	return 0;
}
