/* Request targets. Pure; the front process. */
#include "http/uri.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/encode.h"

#define PAIRS_MAX 256
#define TARGET_MAX (64u << 10)

static int bad(struct err *e, const char *what)
{
	return err_set_code(e, ERR_INVALID, "INVALID_URL", "the URL's %s", what);
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7F)
			return true;
	return false;
}

/* Decoded into the arena; NULL for what no client of good will sends. */
static const char *decode(struct arena *a, const char *s, size_t len, bool plus_is_space)
{
	char *text = arena_strndup(a, s, len);
	for (char *p = text; plus_is_space && (p = memchr(p, '+', len - (size_t)(p - text))); p++)
		*p = ' ';
	if (!memchr(text, '%', len))
		return utf8_valid(text, len) ? text : NULL;
	_cleanup_buf_ struct buf b;
	buf_init(&b, TARGET_MAX);
	if (!uri_decode(&b, text, len) || !utf8_valid(b.data, b.len))
		return NULL;
	memcpy(text, b.data, b.len + 1); /* never longer than it was */
	return text;
}

static int check_segments(const char *path, struct err *e)
{
	for (const char *s = path; *s == '/';) {
		s++;
		size_t len = strcspn(s, "/");
		if ((len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
			return bad(e, "path has a '.' or '..' segment");
		s += len;
	}
	return 0;
}

static int parse_query(struct arena *a, const char *s, struct uri *ret, struct err *e)
{
	size_t count = 0;
	for (const char *p = s; *p; p++)
		count += *p == '&';
	if (count >= PAIRS_MAX)
		return bad(e, "query has too many parameters");
	ret->query = arena_alloc(a, (count + 1) * sizeof(*ret->query));
	while (*s) {
		size_t len = strcspn(s, "&");
		if (len) {
			const char *eq = memchr(s, '=', len);
			size_t name_len = eq ? (size_t)(eq - s) : len;
			const char *name = decode(a, s, name_len, true);
			const char *value = eq ? decode(a, eq + 1, len - name_len - 1, true) : "";
			if (!name || !value)
				return bad(e, "query has a bad %-escape or is not UTF-8");
			ret->query[ret->query_count++] = (struct sigv4_pair) { name, value };
		}
		s += len + (s[len] == '&');
	}
	return 0;
}

int uri_parse(struct arena *a, const char *target, struct uri *ret, struct err *e)
{
	struct uri u = { 0 };
	if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
		target = strchr(target, ':') + 3;
		target += strcspn(target, "/?#");
	}
	for (const char *c = target; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7F)
			return bad(e, "characters must be escaped");
	if (*target != '/')
		return bad(e, "path must begin with '/'");
	if (strlen(target) > TARGET_MAX)
		return bad(e, "length is beyond measure");
	size_t path_len = strcspn(target, "?#");
	u.raw_path = arena_strndup(a, target, path_len);
	u.path = decode(a, target, path_len, false);
	if (!u.path || has_control(u.path))
		return bad(e, "path has a bad %-escape, a control character or is not UTF-8");
	int r = check_segments(u.path, e);
	if (r < 0)
		return r;
	const char *q = target + path_len;
	if (*q == '?') {
		size_t len = strcspn(q + 1, "#");
		r = parse_query(a, arena_strndup(a, q + 1, len), &u, e);
		if (r < 0)
			return r;
	}
	*ret = u;
	return 0;
}
