/* Fuzz entry: a PutMedia request from its first byte on, as the listener takes it apart: HTTP, the signature's check, what it asks
 * for. What comes out must hold what the listener relies on: a stream's name, a time of this age. */
#include "fuzz.h"

#include <assert.h>
#include <http_parser.h>
#include <string.h>

#include "live/put_head.h"

static int on_url(http_parser *p, const char *data, size_t len)
{
	return put_head_url(p->data, data, len) ? 0 : 1;
}

static int on_field(http_parser *p, const char *data, size_t len)
{
	return put_head_field(p->data, data, len) ? 0 : 1;
}

static int on_value(http_parser *p, const char *data, size_t len)
{
	return put_head_value(p->data, data, len) ? 0 : 1;
}

static bool lookup(void *ctx, const char *access_key_id, struct sigv4_key *ret_key)
{
	(void)ctx;
	*ret_key = (struct sigv4_key){ .access_key_id = access_key_id, .secret = "secret" };
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const http_parser_settings settings = { .on_url = on_url, .on_header_field = on_field, .on_header_value = on_value };
	struct put_head h;
	struct put_target t;
	struct sigv4_verified key;
	struct err e;
	http_parser parser;
	put_head_init(&h);
	http_parser_init(&parser, HTTP_REQUEST);
	parser.data = &h;
	(void)http_parser_execute(&parser, &settings, (const char *)data, size);
	if (put_head_read(&h, &t, &e) == 0)
		assert(stream_name_valid(t.name) && t.start_ms >= 0 && t.start_ms < INT64_C(100000000000000));
	(void)(put_head_verify(&h, lookup, NULL, 1732622783456, &key, &e) == 0);
	put_head_release(&h);
	return 0;
}
