/* ASS event text to WebVTT cue text: see subtitle_text.h. */
#include "media/subtitle_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/encode.h"

#define FIELDS 8 /* before the text */
/* Room for a line break, tags that are closed and opened before a character, the longest character and the closing tags. */
#define RESERVE 48

enum { ITALIC = 1, BOLD = 2, UNDERLINE = 4 };
static const struct {
	unsigned style;
	char letter;
} tags[] = { { ITALIC, 'i' }, { BOLD, 'b' }, { UNDERLINE, 'u' } };
#define TAGS (sizeof(tags) / sizeof(tags[0]))

struct writer {
	struct buf *out;
	size_t start;
	unsigned wanted; /* styles that the next character has */
	unsigned open;   /* styles whose tags are open, in the order of `tags` */
	bool drawing;    /* what comes are lines and curves, not letters */
	bool text;       /* a character that can be seen has come */
	bool line_break; /* one is due before the next character */
};

static size_t used(const struct writer *w)
{
	return w->out->len - w->start;
}

/* Tags nest, in the order of `tags`: to close one, those behind it are closed and opened again. */
static void set_styles(struct writer *w, unsigned styles)
{
	size_t i = 0;
	while (i < TAGS && (w->open & tags[i].style) == (styles & tags[i].style))
		i++;
	for (size_t k = TAGS; k-- > i;)
		if (w->open & tags[k].style)
			buf_printf(w->out, "</%c>", tags[k].letter);
	for (; i < TAGS; i++)
		if (styles & tags[i].style)
			buf_printf(w->out, "<%c>", tags[i].letter);
	w->open = styles;
}

static void put(struct writer *w, const char *bytes, size_t len)
{
	bool blank = len == 1 && *bytes == ' ';
	if (w->drawing || (blank && (!w->text || w->line_break)) || used(w) > SUBTITLE_TEXT_MAX_BYTES - RESERVE)
		return;
	if (w->line_break)
		buf_append(w->out, "\n", 1);
	w->line_break = false;
	if (w->open != w->wanted)
		set_styles(w, blank ? w->open & w->wanted : w->wanted);
	w->text = true;
	if (len == 1 && (*bytes == '&' || *bytes == '<' || *bytes == '>'))
		buf_puts(w->out, *bytes == '&' ? "&amp;" : *bytes == '<' ? "&lt;" : "&gt;");
	else
		buf_append(w->out, bytes, len);
}

/* Lines without anything on them would end the cue. */
static void break_line(struct writer *w)
{
	w->line_break = w->text;
}

/* "\i1", "\b700", "\p0" …: the number behind a tag's name; -1: none. */
static long number_of(const char *s)
{
	return *s >= '0' && *s <= '9' ? strtol(s, NULL, 10) : -1;
}

static void apply_tag(struct writer *w, const char *tag, size_t len)
{
	long n = len > 1 ? number_of(tag + 1) : -1;
	unsigned style = 0;
	if (len && *tag == 'r')
		w->wanted = 0;
	for (size_t i = 0; i < TAGS; i++)
		if (len && *tag == tags[i].letter && (len == 1 || n >= 0))
			style = tags[i].style;
	/* Weights from 1 (simply bold) to 900: from 600 on it is bold. */
	bool on = style == BOLD ? n == 1 || n >= 600 : n > 0;
	if (style)
		w->wanted = on ? w->wanted | style : w->wanted & ~style;
	if (len && *tag == 'p' && n >= 0)
		w->drawing = n > 0;
}

/* Between the braces. */
static void apply_block(struct writer *w, const char *block, size_t len)
{
	const char *end = block + len;
	for (const char *s = memchr(block, '\\', len); s;) {
		const char *tag = s + 1;
		s = memchr(tag, '\\', (size_t)(end - tag));
		apply_tag(w, tag, (size_t)((s ? s : end) - tag));
	}
}

/* One character or escape at `s`; returns how many bytes it takes. */
static size_t take(struct writer *w, const char *s, size_t left)
{
	size_t n = utf8_sequence(s, left);
	const unsigned char c = (unsigned char)*s;
	if (c == '\\' && left > 1 && (s[1] == 'N' || s[1] == 'n')) {
		break_line(w);
		return 2;
	}
	if (c == '\\' && left > 1 && s[1] == 'h') {
		put(w, "\xc2\xa0", 2);
		return 2;
	}
	if (c == '\n')
		break_line(w);
	else if (c == '\t')
		put(w, " ", 1);
	else if (n && c >= 0x20 && c != 0x7f && !(n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0))
		put(w, s, n);
	return n ? n : 1;
}

bool subtitle_text(const char *event, struct buf *out)
{
	struct writer w = { .out = out, .start = out->len };
	const char *s = event;
	for (int i = 0; i < FIELDS && s; i++) {
		s = strchr(s, ',');
		s = s ? s + 1 : NULL;
	}
	if (!s)
		return false;
	bool blocks = true; /* a block may end in what is left: else it isn't looked for again and again */
	for (size_t left = strlen(s); left > 0;) {
		const char *close = blocks && *s == '{' ? memchr(s, '}', left) : NULL;
		blocks = blocks && (*s != '{' || close);
		size_t n = close ? (size_t)(close - s) + 1 : take(&w, s, left);
		if (close)
			apply_block(&w, s + 1, n - 2);
		s += n;
		left -= n;
	}
	set_styles(&w, 0);
	return w.text;
}
