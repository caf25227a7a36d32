/* Reading a script. Pure; in the server and in tests. One pass: text gathers in `text` until something ends it, is
 * divided into sentences then; a pause is held back until the next sentence, so that pauses add up. */
#include "speech/script.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/encode.h"
#include "speech/markup.h"
#include "speech/sentence.h"

struct reader {
	const char *begin, *at, *end;
	struct buf text;        /* since the last sentence: no line breaks, no double spaces */
	uint32_t pause_ms;      /* of [pause] and <break>, to come before the next sentence */
	bool paused, paragraph; /* there was such a pause (be it of 0 ms); a new paragraph begins */
	bool speak, ended;      /* within <speak>; behind </speak> */
	bool in_p, in_s;
	uint32_t capacity;
	struct script out;
};

void script_release(struct script *s)
{
	for (uint32_t i = 0; i < s->item_count; i++)
		free(s->items[i].text);
	free(s->items);
	*s = (struct script) { 0 };
}

/* ---- places ---- */

static int invalid(const struct reader *r, const char *at, const char *why, struct err *e)
{
	unsigned line = 1, column = 1;
	for (const char *p = r->begin; p < at; p++) {
		column = *p == '\n' ? 1 : column + (((unsigned char)*p & 0xc0) != 0x80);
		line += *p == '\n';
	}
	return err_set_code(e, ERR_INVALID, "SCRIPT_INVALID", "line %u, column %u: %s", line, column, why);
}

static int too_long(const char *why, struct err *e)
{
	return err_set_code(e, ERR_TOO_LARGE, "SCRIPT_TOO_LONG", "%s", why);
}

/* ---- what comes out ---- */

static void add_item(struct reader *r, char *take_text, uint32_t pause_ms)
{
	struct script *s = &r->out;
	if (s->item_count == r->capacity) {
		r->capacity = r->capacity ? 2 * r->capacity : 64;
		s->items = mr_reallocarray(s->items, r->capacity, sizeof(*s->items));
	}
	s->items[s->item_count++] = (struct script_item) { .text = take_text, .pause_ms = pause_ms };
	s->pause_ms += pause_ms;
}

/* A pause that was written counts, instead of the paragraph's, which is none before the first sentence and behind the
 * last. */
static int add_pause(struct reader *r, bool between, struct err *e)
{
	uint32_t ms = r->paused                                          ? r->pause_ms
		      : r->paragraph && between && r->out.sentence_count ? SCRIPT_PARAGRAPH_MS
									 : 0;
	r->paused = r->paragraph = false;
	r->pause_ms = 0;
	if (ms > SCRIPT_PAUSES_MAX_MS - r->out.pause_ms)
		return too_long("pauses of more than three hours", e);
	if (ms)
		add_item(r, NULL, ms);
	return 0;
}

static int add_sentence(struct reader *r, const char *s, size_t len, struct err *e)
{
	while (len > 0 && s[len - 1] == ' ')
		len--;
	if (!sentence_is_speakable(s, len))
		return 0;
	if (r->out.sentence_count == SCRIPT_SENTENCES_MAX)
		return too_long("more than 4096 sentences", e);
	int rc = add_pause(r, true, e);
	if (rc < 0)
		return rc;
	add_item(r, mr_strndup(s, len), 0);
	r->out.sentence_count++;
	return 0;
}

/* The text so far becomes sentences. */
static int flush(struct reader *r, struct err *e)
{
	int rc = 0;
	for (size_t at = 0; rc == 0 && at < r->text.len;) {
		size_t n = r->in_s ? sentence_cut(r->text.data + at, r->text.len - at)
				   : sentence_length(r->text.data + at, r->text.len - at);
		rc = add_sentence(r, r->text.data + at, n, e);
		at += n;
	}
	buf_clear(&r->text);
	return rc;
}

static int end_paragraph(struct reader *r, struct err *e)
{
	int rc = flush(r, e);
	r->paragraph = true;
	return rc;
}

static int pause(struct reader *r, uint32_t ms, struct err *e)
{
	int rc = flush(r, e);
	r->paused = true;
	r->pause_ms += ms;
	if (rc == 0 && r->pause_ms > SCRIPT_PAUSES_MAX_MS)
		rc = too_long("pauses of more than three hours", e);
	return rc;
}

/* ---- what goes in ---- */

static void put_space(struct reader *r)
{
	if (r->text.len && r->text.data[r->text.len - 1] != ' ')
		buf_append(&r->text, " ", 1);
}

/* Spaces of every width are one; what has no width is nothing. */
static int put_character(struct reader *r, const char *at, size_t len, struct err *e)
{
	static const char *const spaces[] = { "\xc2\x85", "\u00a0", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000" };
	static const char *const nothing[] = { "\u00ad", "\u200b", "\u2060", "\ufeff" };
	const unsigned char *u = (const unsigned char *)at;
	if (len == 1 && (*u == ' ' || *u == '\t' || *u == '\n' || *u == '\r')) {
		put_space(r);
		return 0;
	}
	if (len == 3 && u[0] == 0xe2 && u[1] == 0x80 && u[2] <= 0x8a) { /* U+2000 to U+200A */
		put_space(r);
		return 0;
	}
	for (size_t i = 0; i < MR_ARRAY_SIZE(spaces); i++)
		if (strlen(spaces[i]) == len && memcmp(at, spaces[i], len) == 0) {
			put_space(r);
			return 0;
		}
	for (size_t i = 0; i < MR_ARRAY_SIZE(nothing); i++)
		if (strlen(nothing[i]) == len && memcmp(at, nothing[i], len) == 0)
			return 0;
	if ((len == 1 && (*u < 0x20 || *u == 0x7f)) || (len == 2 && u[0] == 0xc2 && u[1] < 0xa0))
		return invalid(r, r->at, "a control character", e);
	if (r->ended)
		return invalid(r, r->at, "text behind </speak>", e);
	buf_append(&r->text, at, len);
	return 0;
}

/* "&amp;" within <speak>. */
static int read_entity(struct reader *r, struct err *e)
{
	static const struct {
		const char *name, *text;
	} list[] = { { "&amp;", "&" }, { "&lt;", "<" }, { "&gt;", ">" }, { "&quot;", "\"" }, { "&apos;", "'" } };
	for (size_t i = 0; i < MR_ARRAY_SIZE(list); i++) {
		size_t n = strlen(list[i].name);
		if ((size_t)(r->end - r->at) >= n && memcmp(r->at, list[i].name, n) == 0) {
			r->at += n;
			return put_character(r, list[i].text, 1, e);
		}
	}
	return invalid(r, r->at, "within <speak> '&' is &amp;, and there are &lt; &gt; &quot; &apos;", e);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Line breaks: one is a space, two with nothing between them end a paragraph. */
static int read_line_break(struct reader *r, struct err *e)
{
	const char *at = r->at;
	unsigned breaks = 0;
	for (; at < r->end && (is_blank(*at) || *at == '\n'); at++)
		breaks += *at == '\n';
	r->at = at;
	put_space(r);
	return breaks > 1 && !r->speak && !r->in_s ? end_paragraph(r, e) : 0;
}

/* "[pause 5s]"; another '[' is text. */
static bool begins_pause(const struct reader *r)
{
	static const char word[] = "[pause";
	size_t n = sizeof(word) - 1;
	if ((size_t)(r->end - r->at) <= n || strncasecmp(r->at, word, n) != 0)
		return false;
	char next = r->at[n];
	return is_blank(next) || next == ']' || next == ':';
}

static int read_pause(struct reader *r, struct err *e)
{
	const char *value = r->at + sizeof("[pause") - 1;
	const char *close = memchr(value, ']', (size_t)(r->end - value));
	uint32_t ms;
	if (close && *value == ':')
		value++;
	if (!close || !markup_duration(value, (size_t)(close - value), true, &ms))
		return invalid(r, r->at,
			       "a pause is like [pause 5s], [pause 500ms] or [pause 2min], and at most 10 minutes", e);
	if (r->ended)
		return invalid(r, r->at, "a pause behind </speak>", e);
	r->at = close + 1;
	return pause(r, ms, e);
}

/* ---- tags ---- */

static int take_speak(struct reader *r, const struct markup *m, struct err *e)
{
	if (m->closes) {
		if (!r->speak || r->in_p || r->in_s)
			return invalid(r, r->at, "</speak> closes nothing, or something within it is still open", e);
		r->speak = false;
		r->ended = true;
		return flush(r, e);
	}
	if (r->speak || r->ended || r->out.item_count || r->text.len || r->in_p || r->in_s || r->paused)
		return invalid(r, r->at, "<speak> is around the whole script, once", e);
	r->speak = !m->empty;
	r->ended = m->empty;
	return 0;
}

static int take_p(struct reader *r, const struct markup *m, struct err *e)
{
	if (r->in_s || m->closes != r->in_p)
		return invalid(r, r->at, m->closes ? "</p> closes nothing" : "<p> within <p> or <s>", e);
	r->in_p = !m->closes && !m->empty;
	return end_paragraph(r, e);
}

static int take_s(struct reader *r, const struct markup *m, struct err *e)
{
	if (m->closes != r->in_s)
		return invalid(r, r->at, m->closes ? "</s> closes nothing" : "<s> within <s>", e);
	int rc = flush(r, e);
	r->in_s = !m->closes && !m->empty;
	return rc;
}

static int read_tag(struct reader *r, struct err *e)
{
	struct markup m;
	const char *wrong;
	size_t n = markup_read(r->at, (size_t)(r->end - r->at), &m, &wrong);
	if (!n)
		return invalid(r, r->at, wrong, e);
	if (r->ended && m.tag != TAG_IGNORED)
		return invalid(r, r->at, "a tag behind </speak>", e);
	int rc = 0;
	if (m.tag == TAG_SPEAK)
		rc = take_speak(r, &m, e);
	else if (m.tag == TAG_P)
		rc = take_p(r, &m, e);
	else if (m.tag == TAG_S)
		rc = take_s(r, &m, e);
	else if (m.tag == TAG_BREAK && !m.closes)
		rc = pause(r, m.pause_ms, e);
	r->at += n;
	return rc;
}

/* "<3" and "a < b" are text, unless all of it is XML. */
static bool begins_tag(const struct reader *r)
{
	char next = r->at + 1 < r->end ? r->at[1] : '\0';
	return r->speak || next == '/' || next == '!' || next == '?' || (next >= 'a' && next <= 'z') ||
	       (next >= 'A' && next <= 'Z');
}

static int read_one(struct reader *r, struct err *e)
{
	if (*r->at == '\n')
		return read_line_break(r, e);
	if (*r->at == '<' && begins_tag(r))
		return read_tag(r, e);
	if (*r->at == '[' && begins_pause(r))
		return read_pause(r, e);
	if (*r->at == '&' && r->speak)
		return read_entity(r, e);
	size_t n = utf8_sequence(r->at, (size_t)(r->end - r->at));
	if (!n)
		return invalid(r, r->at, "not UTF-8", e);
	int rc = put_character(r, r->at, n, e);
	r->at += n;
	return rc;
}

static int read_all(struct reader *r, struct err *e)
{
	int rc = 0;
	while (rc == 0 && r->at < r->end)
		rc = read_one(r, e);
	if (rc < 0)
		return rc;
	if (r->speak || r->in_p || r->in_s)
		return invalid(r, r->end,
			       r->in_s   ? "<s> isn't closed"
			       : r->in_p ? "<p> isn't closed"
					 : "<speak> isn't closed",
			       e);
	rc = flush(r, e);
	if (rc == 0)
		rc = add_pause(r, false, e);
	if (rc == 0 && !r->out.sentence_count)
		rc = err_set_code(e, ERR_INVALID, "SCRIPT_EMPTY", "there is nothing to say in the script");
	return rc;
}

int script_parse(const char *text, size_t len, struct script *ret, struct err *e)
{
	if (len > SCRIPT_MAX_BYTES)
		return too_long("a script of more than 100 KiB", e);
	struct reader r = { .begin = text, .at = text, .end = text + len };
	buf_init(&r.text, SCRIPT_MAX_BYTES + 1);
	int rc = read_all(&r, e);
	buf_release(&r.text);
	if (rc < 0)
		script_release(&r.out);
	else
		*ret = r.out;
	return rc;
}
