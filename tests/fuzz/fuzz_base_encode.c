/* base/encode and base/clock on any bytes: what is decoded encodes back to itself, what is quoted is valid UTF-8, and no output
 * passes its buffer's maximum.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"

#define OUT_MAX 65536

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static void base64_round_trip(const char *text, size_t size)
{
	for (int url = 0; url < 2; url++) {
		_cleanup_buf_ struct buf encoded, decoded;
		buf_init(&encoded, OUT_MAX);
		buf_init(&decoded, OUT_MAX);
		if (!base64_encode(&encoded, text, size, url))
			continue;
		expect(base64_decode(&decoded, encoded.len ? encoded.data : "", encoded.len));
		expect(decoded.len == size && (!size || memcmp(decoded.data, text, size) == 0));
	}
	_cleanup_buf_ struct buf any;
	buf_init(&any, OUT_MAX);
	if (base64_decode(&any, text, size))
		expect(any.len <= size);
}

static void uri_round_trip(const char *text, size_t size)
{
	_cleanup_buf_ struct buf encoded, decoded;
	buf_init(&encoded, OUT_MAX);
	buf_init(&decoded, OUT_MAX);
	if (uri_encode(&encoded, text, size, true) && !memchr(text, '\0', size)) {
		expect(uri_decode(&decoded, encoded.len ? encoded.data : "", encoded.len));
		expect(decoded.len == size && (!size || memcmp(decoded.data, text, size) == 0));
	}
	_cleanup_buf_ struct buf any;
	buf_init(&any, OUT_MAX);
	if (uri_decode(&any, text, size))
		expect(any.len <= size);
}

static void quoting(const char *text, size_t size)
{
	_cleanup_buf_ struct buf quoted;
	buf_init(&quoted, OUT_MAX);
	if (!json_quote(&quoted, text, size))
		return;
	expect(quoted.len >= 2 && utf8_valid(quoted.data, quoted.len));
	for (size_t i = 0; i < quoted.len; i++)
		expect((unsigned char)quoted.data[i] >= 0x20);
}

static void date(const char *text, size_t size)
{
	_cleanup_free_ char *terminated = mr_strndup(text, size);
	int64_t ms;
	if (!amz_date_parse(terminated, &ms))
		return;
	char again[AMZ_DATE_SIZE];
	amz_date_format(ms, again);
	/* A leap second is the first of the next minute. */
	expect(strcmp(again, terminated) == 0 || strstr(terminated, "60Z"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	uint8_t hex[64];
	char hex_text[129];
	base64_round_trip(text, size);
	uri_round_trip(text, size);
	quoting(text, size);
	date(text, size);
	if (size <= 128 && hex_decode(text, size, hex, size / 2))
		hex_encode(hex, size / 2, hex_text);
	return 0;
}
