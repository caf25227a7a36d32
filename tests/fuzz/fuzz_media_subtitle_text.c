/* libFuzzer target: whatever text a subtitle has, what comes out is within its bound and can be in a cue: UTF-8 without control
 * characters or blank lines, tags that nest, nothing else that a parser of WebVTT would take for markup. */
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "fuzz.h"
#include "media/subtitle_text.h"

#define DEPTH_MAX 3

static size_t check_escape(const char *s, size_t left)
{
	static const char *const known[] = { "&amp;", "&lt;", "&gt;" };
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (left >= strlen(known[i]) && memcmp(s, known[i], strlen(known[i])) == 0)
			return strlen(known[i]);
	abort();
}

/* One tag at `s`; `open` holds the letters of those that are open. */
static size_t check_tag(const char *s, size_t left, char open[DEPTH_MAX], size_t *depth)
{
	bool closes = left > 1 && s[1] == '/';
	size_t at = closes ? 2 : 1;
	if (left < at + 2 || !strchr("ibu", s[at]) || s[at + 1] != '>')
		abort();
	if (closes && (*depth == 0 || open[--*depth] != s[at]))
		abort();
	if (!closes && (*depth == DEPTH_MAX || memchr(open, s[at], *depth)))
		abort();
	if (!closes)
		open[(*depth)++] = s[at];
	return at + 2;
}

static void check(const char *s, size_t len)
{
	char open[DEPTH_MAX];
	size_t depth = 0;
	if (len > SUBTITLE_TEXT_MAX_BYTES || !utf8_valid(s, len) || *s == '\n' || s[len - 1] == '\n')
		abort();
	for (size_t i = 0; i < len;) {
		if (((unsigned char)s[i] < 0x20 && s[i] != '\n') || s[i] == 0x7f || s[i] == '>')
			abort();
		if (s[i] == '\n' && s[i + 1] == '\n')
			abort();
		i += s[i] == '&' ? check_escape(s + i, len - i) : s[i] == '<' ? check_tag(s + i, len - i, open, &depth) : 1;
	}
	if (depth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char fields[] = "0,0,Default,,0,0,0,,";
	_cleanup_buf_ struct buf event, out;
	buf_init(&event, size + sizeof(fields) + 1);
	buf_init(&out, SUBTITLE_TEXT_MAX_BYTES);
	/* The first byte says whether the fields are there. */
	if (size && data[0] % 8)
		buf_puts(&event, fields);
	buf_append(&event, (const char *)data, size);
	if (!buf_append(&event, "", 1))
		abort();
	bool text = subtitle_text(event.data, &out);
	if (out.failed || text != (out.len > 0))
		abort();
	if (text)
		check(out.data, out.len);
	return 0;
}
