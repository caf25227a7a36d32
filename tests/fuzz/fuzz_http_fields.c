/* Fuzz entry: every header field that src/http reads itself. Each input goes through all of them, because
 * a client can put any bytes into any header. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "http/fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A heap copy of exact size, so that a read past the end is seen. */
	char *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';

	static const uint64_t sizes[] = { 0, 1, 1000, UINT64_MAX };
	for (size_t i = 0; i < MR_ARRAY_SIZE(sizes); i++) {
		struct field_span spans[FIELD_RANGES_MAX];
		uint32_t count = 0;
		uint64_t left = sizes[i];
		const enum field_range range = field_range_parse(text, sizes[i], spans, &count);
		assert(range == RANGE_ONE ? count == 1 : range == RANGE_SEVERAL ? count > 1 : count == 0);
		for (uint32_t n = 0; n < count; n++) {
			assert(spans[n].first <= spans[n].last && spans[n].last < sizes[i]);
			assert(spans[n].last - spans[n].first < left);
			left -= spans[n].last - spans[n].first + 1;
		}
	}
	(void)field_etag_matches(text, "abc", true);
	(void)field_etag_matches(text, "abc", false);
	int64_t seconds;
	(void)field_date_parse(text, &seconds);
	(void)field_has_token(text, "chunked");
	(void)field_accepts_coding(text, "gzip");
	(void)field_is_type(text, "multipart/form-data");
	(void)field_is_active_type(text);
	if (field_host_valid(text))
		assert(!strpbrk(text, "/\\@?#\r\n\"<> "));
	(void)field_host_is_loopback(text);
	(void)field_request_id_valid(text);
	(void)field_is_token(text);

	_cleanup_buf_ struct buf b, c, d;
	buf_init(&b, 4096);
	buf_init(&c, 4096);
	buf_init(&d, 4096);
	(void)field_cookie_find(text, "millrace_session", &b);
	buf_clear(&b);
	if (field_disposition_filename(text, &b))
		assert(b.len <= 255 && utf8_valid(b.data, b.len) && !strpbrk(b.data, "/\\\r\n\""));
	if (field_filename_clean(text, size, &c))
		assert(c.len <= 255 && utf8_valid(c.data, c.len) && !strpbrk(c.data, "/\\\r\n\""));
	if (field_disposition_format(&d, true, text))
		assert(!strpbrk(d.data, "\r\n"));
	free(text);
	return 0;
}
