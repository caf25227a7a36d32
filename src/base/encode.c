/* Text encodings. Pure. */
#include "base/encode.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void hex_encode(const void *data, size_t len, char *out)
{
	const uint8_t *in = data;
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = hex_digits[in[i] >> 4];
		out[2 * i + 1] = hex_digits[in[i] & 15];
	}
	out[2 * len] = '\0';
}

bool hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len)
{
	if (text_len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int hi = hex_value(text[2 * i]);
		int lo = hex_value(text[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

bool base64_encode(struct buf *out, const void *data, size_t len, bool url)
{
	const char *alphabet = url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
				   : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *in = data;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)in[i] << 16;
		if (n > 1)
			v |= (uint32_t)in[i + 1] << 8;
		if (n > 2)
			v |= in[i + 2];
		char quad[4] = { alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63] };
		if (n < 3)
			quad[3] = '=';
		if (n < 2)
			quad[2] = '=';
		if (!buf_append(out, quad, url ? n + 1 : 4))
			return false;
	}
	return true;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

bool base64_decode(struct buf *out, const char *text, size_t len)
{
	if (len && len % 4 == 0) {
		if (text[len - 1] == '=')
			len--;
		if (text[len - 1] == '=')
			len--;
	}
	if (len % 4 == 1)
		return false;
	uint32_t v = 0;
	for (size_t i = 0; i < len; i++) {
		int digit = base64_value(text[i]);
		if (digit < 0)
			return false;
		v = v << 6 | (uint32_t)digit;
		size_t pos = i % 4;
		uint8_t byte = (uint8_t)(pos == 1 ? v >> 4 : pos == 2 ? v >> 2 : v);
		if (pos && !buf_append(out, &byte, 1))
			return false;
	}
	return true;
}

static bool unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

bool uri_encode(struct buf *out, const char *s, size_t len, bool keep_slash)
{
	static const char upper[] = "0123456789ABCDEF";
	for (size_t i = 0; i < len;) {
		size_t run = i;
		while (run < len && (unreserved(s[run]) || (keep_slash && s[run] == '/')))
			run++;
		if (run > i && !buf_append(out, s + i, run - i))
			return false;
		if (run == len)
			break;
		uint8_t c = (uint8_t)s[run];
		if (!buf_append(out, (char[]) { '%', upper[c >> 4], upper[c & 15] }, 3))
			return false;
		i = run + 1;
	}
	return true;
}

bool uri_decode(struct buf *out, const char *s, size_t len)
{
	while (len) {
		const char *escape = memchr(s, '%', len);
		size_t run = escape ? (size_t)(escape - s) : len;
		if (run && !buf_append(out, s, run))
			return false;
		s += run;
		len -= run;
		if (!len)
			break;
		int hi = len < 3 ? -1 : hex_value(s[1]);
		int lo = hi < 0 ? -1 : hex_value(s[2]);
		if (lo < 0 || (hi | lo) == 0 || !buf_append(out, &(char) { (char)(hi << 4 | lo) }, 1))
			return false;
		s += 3;
		len -= 3;
	}
	return true;
}

size_t utf8_sequence(const char *s, size_t len)
{
	const uint8_t *u = (const uint8_t *)s;
	if (!len)
		return 0;
	if (u[0] < 0x80)
		return 1;
	size_t n = u[0] >= 0xF0 ? 4 : u[0] >= 0xE0 ? 3 : 2;
	if (u[0] < 0xC2 || u[0] > 0xF4 || len < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xC0) != 0x80)
			return 0;
	if ((u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F) || (u[0] == 0xF0 && u[1] < 0x90) ||
	    (u[0] == 0xF4 && u[1] > 0x8F))
		return 0;
	return n;
}

bool utf8_valid(const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = (uint8_t)s[i] < 0x80 ? 1 : utf8_sequence(s + i, len - i);
		if (!n)
			return false;
		i += n;
	}
	return true;
}

bool json_quote(struct buf *out, const char *s, size_t len)
{
	bool ok = buf_append(out, "\"", 1);
	for (size_t i = 0; ok && i < len;) {
		uint8_t c = (uint8_t)s[i];
		size_t n = utf8_sequence(s + i, len - i);
		if (!n) {
			ok = buf_puts(out, "\xEF\xBF\xBD");
			n = 1;
		} else if (c == '"' || c == '\\') {
			ok = buf_append(out, (char[]) { '\\', (char)c }, 2);
		} else if (c == '\n') {
			ok = buf_puts(out, "\\n");
		} else if (c < 0x20 || c == 0x7F) {
			ok = buf_printf(out, "\\u%04x", c);
		} else {
			ok = buf_append(out, s + i, n);
		}
		i += n;
	}
	return ok && buf_append(out, "\"", 1);
}
