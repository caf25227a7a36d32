/* Header fields that carry names: cookies, Content-Disposition and the names of files in them. Pure; the front process.
 * */
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "http/fields.h"

#define FILENAME_MAX_BYTES 255

bool field_cookie_find(const char *header, const char *name, struct buf *out)
{
	size_t name_len = strlen(name);
	for (const char *s = header; *s;) {
		s += strspn(s, " \t;");
		size_t len = strcspn(s, ";");
		const char *eq = memchr(s, '=', len);
		if (eq && (size_t)(eq - s) == name_len && memcmp(s, name, name_len) == 0) {
			const char *v = eq + 1, *end = s + len;
			while (end > v && (end[-1] == ' ' || end[-1] == '\t'))
				end--;
			if (end - v >= 2 && *v == '"' && end[-1] == '"') {
				v++;
				end--;
			}
			return buf_append(out, v, (size_t)(end - v));
		}
		s += len;
	}
	return false;
}

bool field_filename_clean(const char *name, size_t len, struct buf *out)
{
	for (size_t i = len; i > 0; i--)
		if (name[i - 1] == '/' || name[i - 1] == '\\') {
			name += i;
			len -= i;
			break;
		}
	size_t start = out->len;
	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)name[i];
		size_t step = utf8_sequence(name + i, len - i);
		bool leading = out->len == start && (c == '.' || c == ' ');
		/* U+0080–U+009F are control characters too, U+202A–E and U+2066–9 turn the reading direction. */
		bool control = c < 0x20 || c == 0x7F || c == '"' ||
			       (c == 0xC2 && step == 2 && (unsigned char)name[i + 1] < 0xA0) ||
			       (step == 3 && c == 0xE2 &&
				(((unsigned char)name[i + 1] == 0x80 && (unsigned char)name[i + 2] >= 0xAA &&
				  (unsigned char)name[i + 2] <= 0xAE) ||
				 ((unsigned char)name[i + 1] == 0x81 && (unsigned char)name[i + 2] >= 0xA6 &&
				  (unsigned char)name[i + 2] <= 0xA9)));
		if (!step) {
			i++;
			continue;
		}
		if (!leading && !control) {
			if (out->len - start + step > FILENAME_MAX_BYTES)
				break;
			if (!buf_append(out, name + i, step))
				return false;
		}
		i += step;
	}
	return out->len > start;
}

/* A parameter's value: a token, or a quoted string with its escapes undone. Returns the first byte behind it. */
static const char *take_value(const char *s, struct buf *out)
{
	if (*s != '"') {
		size_t len = strcspn(s, "; \t");
		(void)buf_append(out, s, len);
		return s + len;
	}
	for (s++; *s && *s != '"'; s++) {
		/* Browsers send Windows paths unescaped, so a backslash escapes only quote and backslash. */
		if (*s == '\\' && (s[1] == '"' || s[1] == '\\'))
			s++;
		(void)buf_append(out, s, 1);
	}
	return *s ? s + 1 : s;
}

/* UTF-8'lang'percent-encoded (RFC 8187). */
static bool decode_extended(const struct buf *raw, struct buf *out)
{
	if (!raw->data || strncasecmp(raw->data, "UTF-8'", 6) != 0)
		return false;
	const char *text = strchr(raw->data + 6, '\'');
	if (!text)
		return false;
	_cleanup_buf_ struct buf bytes;
	buf_init(&bytes, 4096);
	return uri_decode(&bytes, text + 1, strlen(text + 1)) && bytes.data &&
	       field_filename_clean(bytes.data, bytes.len, out);
}

bool field_disposition_filename(const char *value, struct buf *out)
{
	_cleanup_buf_ struct buf plain, extended;
	buf_init(&plain, 4096);
	buf_init(&extended, 4096);
	const char *s = value + strcspn(value, ";");
	while (*s) {
		s += strspn(s, "; \t");
		size_t len = strcspn(s, "=;");
		const char *name = s;
		s += len;
		if (*s != '=')
			continue;
		while (len && (name[len - 1] == ' ' || name[len - 1] == '\t'))
			len--;
		s++;
		s += strspn(s, " \t");
		_cleanup_buf_ struct buf other;
		buf_init(&other, 4096);
		struct buf *into = len == 8 && strncasecmp(name, "filename", 8) == 0    ? &plain
				   : len == 9 && strncasecmp(name, "filename*", 9) == 0 ? &extended
											: &other;
		buf_clear(into);
		s = take_value(s, into);
		s += strcspn(s, ";");
	}
	if (decode_extended(&extended, out))
		return true;
	return plain.data && !plain.failed && field_filename_clean(plain.data, plain.len, out);
}

bool field_disposition_format(struct buf *out, bool attachment, const char *filename)
{
	_cleanup_buf_ struct buf clean;
	buf_init(&clean, FILENAME_MAX_BYTES);
	(void)buf_puts(out, attachment ? "attachment" : "inline");
	if (!field_filename_clean(filename, strlen(filename), &clean))
		return !out->failed;
	bool ascii = true;
	(void)buf_puts(out, "; filename=\"");
	for (size_t i = 0; i < clean.len;) {
		size_t step = utf8_sequence(clean.data + i, clean.len - i);
		/* '%' too: some browsers decode it in the plain form. */
		bool plain = step == 1 && clean.data[i] != '%';
		ascii = ascii && plain;
		(void)buf_append(out, plain ? clean.data + i : "_", 1);
		i += step;
	}
	(void)buf_puts(out, "\"");
	if (!ascii) {
		(void)buf_puts(out, "; filename*=UTF-8''");
		(void)uri_encode(out, clean.data, clean.len, false);
	}
	return !out->failed;
}
