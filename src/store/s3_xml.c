/* S3's answers in XML, read by libexpat with bounds on everything. Pure; any thread.
 *
 * Guarantees: no document type, so no entity but XML's own five; depth, path, text and document are bounded; the
 * callback sees only well-formed UTF-8. Does not guarantee that the document is what was expected: callers look for the
 * paths that they know. */
#include <expat.h>
#include <stdio.h>
#include <string.h>

#include "store/s3.h"

#define PATH_SIZE 256
#define DEPTH_MAX 12
#define LEAF_MAX 8192u /* the longest key with everything escaped */

struct reading {
	XML_Parser parser;
	s3_xml_fn fn;
	void *ctx;
	char path[PATH_SIZE];
	size_t path_len;
	unsigned depth;
	struct buf text; /* of the innermost element that is open */
	struct err why;
	/* Whole elements with this path are handed over, too. */
	const char *slices, *whole;
	s3_xml_slice_fn slice_fn;
	size_t slice_at;
};

static void stop(struct reading *r, const char *why)
{
	if (!r->why.kind) {
		(void)err_set(&r->why, ERR_PROTOCOL, "%s", why);
		r->why.retriable = true;
	}
	(void)XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *r = ctx;
	(void)attributes;
	size_t n = strlen(name);
	if (++r->depth > DEPTH_MAX || r->path_len + n + 2 > PATH_SIZE || strchr(name, '/')) {
		stop(r, "an answer with elements too deep");
		return;
	}
	if (r->path_len)
		r->path[r->path_len++] = '/';
	memcpy(r->path + r->path_len, name, n + 1);
	r->path_len += n;
	buf_clear(&r->text);
	if (r->slices && strcmp(r->path, r->slices) == 0)
		r->slice_at = (size_t)XML_GetCurrentByteIndex(r->parser);
}

/* Its end tag is what the parser is at. */
static int hand_over(struct reading *r)
{
	size_t end = (size_t)XML_GetCurrentByteIndex(r->parser) + (size_t)XML_GetCurrentByteCount(r->parser);
	return r->slice_fn(r->ctx, r->whole + r->slice_at, end - r->slice_at, &r->why);
}

static void on_end(void *ctx, const XML_Char *name)
{
	struct reading *r = ctx;
	if (r->text.failed) {
		stop(r, "an answer with a text too long");
		return;
	}
	int failed = r->fn ? r->fn(r->ctx, r->path, r->text.len ? r->text.data : "", &r->why) : 0;
	if (failed == 0 && r->slices && strcmp(r->path, r->slices) == 0)
		failed = hand_over(r);
	if (failed < 0) {
		(void)XML_StopParser(r->parser, XML_FALSE);
		return;
	}
	size_t n = strlen(name);
	r->path_len -= r->path_len > n ? n + 1 : n;
	r->path[r->path_len] = '\0';
	r->depth--;
	buf_clear(&r->text);
}

static void on_text(void *ctx, const XML_Char *text, int len)
{
	struct reading *r = ctx;
	buf_append(&r->text, text, (size_t)len);
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system, const XML_Char *public, int internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	stop(ctx, "an answer with a document type");
}

static int read_all(struct reading *r, const char *text, size_t len, struct err *e)
{
	r->parser = XML_ParserCreate("UTF-8");
	if (!r->parser)
		return err_set(e, ERR_UNAVAILABLE, "no memory to read an answer");
	buf_init(&r->text, LEAF_MAX);
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, on_start, on_end);
	XML_SetCharacterDataHandler(r->parser, on_text);
	XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
	if (len > S3_TEXT_MAX)
		stop(r, "an answer too long");
	else if (XML_Parse(r->parser, text ? text : "", (int)len, XML_TRUE) != XML_STATUS_OK && !r->why.kind)
		stop(r, "an answer that is no XML");
	XML_ParserFree(r->parser);
	buf_release(&r->text);
	return r->why.kind ? err_copy(e, &r->why) : 0;
}

int s3_xml_read(const char *text, size_t len, s3_xml_fn fn, void *ctx, struct err *e)
{
	struct reading r = { .fn = fn, .ctx = ctx };
	return read_all(&r, text, len, e);
}

int s3_xml_slices(const char *text, size_t len, const char *path, s3_xml_slice_fn fn, void *ctx, struct err *e)
{
	struct reading r = { .slices = path, .whole = text, .slice_fn = fn, .ctx = ctx };
	return read_all(&r, text, len, e);
}

void s3_xml_escape(struct buf *out, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		default:
			buf_append(out, s, 1);
		}
}
