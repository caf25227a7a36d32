/* Signing and checking against signatures that others made, and every way a request can be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/mem.h"
#include "sigv4_vectors.h"

static size_t pair_count(const struct sigv4_pair *pairs)
{
	size_t n = 0;
	while (n < VECTOR_PAIRS && pairs[n].name)
		n++;
	return n;
}

static bool lookup_key(void *ctx, const char *access_key_id, struct sigv4_key *ret_key)
{
	const struct sigv4_key *key = ctx;
	if (strcmp(key->access_key_id, access_key_id) != 0)
		return false;
	*ret_key = *key;
	return true;
}

static bool no_key(void *ctx, const char *access_key_id, struct sigv4_key *ret_key)
{
	(void)ctx;
	(void)access_key_id;
	(void)ret_key;
	return false;
}

static void test_authorization_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(header_vectors); i++) {
		const struct header_vector *v = &header_vectors[i];
		const struct sigv4_request req = {
			.method = v->method,
			.path = v->path,
			.query = v->query,
			.query_count = pair_count(v->query),
			.headers = v->headers,
			.header_count = pair_count(v->headers),
			.payload_hash = v->payload_hash,
		};
		struct err e = { 0 };
		_cleanup_buf_ struct buf out;
		buf_init(&out, 4096);
		if (sigv4_authorization(v->key, &req, v->wall_ms, &out, &e) < 0)
			fail_msg("%s: %s", v->name, e.message);
		const char *date = v->key == &suite_key ? "20150830" : "20130524";
		_cleanup_free_ char *expected = mr_asprintf(
			"AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
			v->key->access_key_id, date, v->key->region, v->key->service, v->signed_headers, v->signature);
		if (strcmp(out.data, expected) != 0)
			fail_msg("%s:\n  %s\nis not\n  %s", v->name, out.data, expected);

		/* The receiving side agrees; one more header that is not signed does not matter. */
		struct sigv4_pair headers[VECTOR_PAIRS + 2];
		memcpy(headers, v->headers, sizeof(v->headers));
		headers[req.header_count] = (struct sigv4_pair) { "authorization", out.data };
		headers[req.header_count + 1] = (struct sigv4_pair) { "User-Agent", "x" };
		struct sigv4_request sent = req;
		sent.headers = headers;
		sent.header_count += 2;
		struct sigv4_verified verified;
		struct sigv4_key key = *v->key;
		if (sigv4_verify_header(&sent, v->key->service, lookup_key, &key, v->wall_ms + 1000, &verified, &e) < 0)
			fail_msg("%s: %s", v->name, e.message);
		assert_string_equal(verified.access_key_id, v->key->access_key_id);
		assert_int_equal(verified.signed_at_ms, v->wall_ms);
		assert_true(verified.expires_at_ms == INT64_MAX);
	}
}

static void test_authorization_refuses_to_sign(void **state)
{
	(void)state;
	static const struct sigv4_pair no_date[] = { { "host", "h" } };
	static const struct sigv4_pair old_date[] = { { "host", "h" }, { "x-amz-date", "20130523T000000Z" } };
	static const struct sigv4_pair no_host[] = { S3_DATE };
	static const struct sigv4_pair good[] = { { "host", "h" }, S3_DATE };
	const struct {
		const struct sigv4_pair *headers;
		size_t count;
		const char *path;
		const char *token;
	} cases[] = {
		{ no_date, 1, "/", NULL }, { old_date, 2, "/", NULL },      { no_host, 1, "/", NULL },
		{ good, 2, "x", NULL },    { good, 2, "/", "a session's" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct sigv4_key key = s3_example_key;
		key.session_token = cases[i].token;
		const struct sigv4_request req = { .method = "GET",
						   .path = cases[i].path,
						   .headers = cases[i].headers,
						   .header_count = cases[i].count };
		struct err e = { 0 };
		_cleanup_buf_ struct buf out;
		buf_init(&out, 4096);
		assert_int_equal(sigv4_authorization(&key, &req, S3_EXAMPLE_MS, &out, &e), -ERR_INVALID);
		assert_int_equal(out.len, 0);
	}
}

/* A URL as a server sees it: decoded path and pairs. */
struct parsed_url {
	struct buf text;
	const char *path;
	struct sigv4_pair query[16];
	size_t query_count;
	size_t offsets[33];
};

static size_t decode_into(struct buf *text, const char *s, size_t len)
{
	size_t at = text->len;
	assert_true(uri_decode(text, s, len));
	assert_true(buf_append(text, "", 1));
	return at;
}

static void url_parse(const char *url, struct parsed_url *p)
{
	memset(p, 0, sizeof(*p));
	buf_init(&p->text, 16384);
	size_t path_len = strcspn(url, "?");
	decode_into(&p->text, url, path_len);
	for (const char *s = url + path_len; *s;) {
		s++;
		size_t len = strcspn(s, "&");
		size_t name_len = strcspn(s, "=");
		assert_true(name_len < len && p->query_count < MR_ARRAY_SIZE(p->query));
		p->offsets[2 * p->query_count] = decode_into(&p->text, s, name_len);
		p->offsets[2 * p->query_count + 1] = decode_into(&p->text, s + name_len + 1, len - name_len - 1);
		p->query_count++;
		s += len;
	}
	p->path = p->text.data;
	for (size_t i = 0; i < p->query_count; i++)
		p->query[i] =
			(struct sigv4_pair) { p->text.data + p->offsets[2 * i], p->text.data + p->offsets[2 * i + 1] };
}

static void url_release(struct parsed_url *p)
{
	buf_release(&p->text);
}

static const struct sigv4_pair boto_host_header[] = { { "Host", BOTO_HOST } };

static int verify_url(const char *method, const char *url, const struct sigv4_pair *headers, size_t header_count,
		      const struct sigv4_key *key, int64_t now_ms, struct sigv4_verified *verified, struct err *e)
{
	MR_CLEANUP(url_release) struct parsed_url p;
	url_parse(url, &p);
	const struct sigv4_request req = {
		.method = method,
		.path = p.path,
		.query = p.query,
		.query_count = p.query_count,
		.headers = headers,
		.header_count = header_count,
	};
	assert_true(sigv4_is_presigned(&req));
	struct sigv4_key copy = *key;
	return sigv4_verify_query(&req, "s3", lookup_key, &copy, now_ms, verified, e);
}

static void test_presign_published_example(void **state)
{
	(void)state;
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(sigv4_presign(&s3_example_key, "GET", "examplebucket.s3.amazonaws.com", "/test.txt", NULL, 0,
				       S3_EXAMPLE_MS, 86400, &out, &e),
			 0);
	assert_string_equal(
		out.data,
		"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
		"us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
		"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void test_boto_urls(void **state)
{
	(void)state;
	for (size_t i = 0; i < MR_ARRAY_SIZE(boto_urls); i++) {
		_cleanup_free_ char *url = mr_asprintf(
			"%s?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDMILLRACE%%2F20261121%%2Fus-east-1%%2Fs3"
			"%%2Faws4_request&X-Amz-Date=20261121T083612Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
			"&X-Amz-Signature=%s",
			boto_urls[i].path, boto_urls[i].signature);
		struct err e = { 0 };
		struct sigv4_verified verified;
		if (verify_url(boto_urls[i].method, url, boto_host_header, 1, &boto_key, BOTO_MS + 5000, &verified,
			       &e) < 0)
			fail_msg("%s %s: %s", boto_urls[i].method, boto_urls[i].path, e.message);
		assert_int_equal(verified.signed_at_ms, BOTO_MS);
		assert_int_equal(verified.expires_at_ms, BOTO_MS + 3600 * 1000);

		/* And the same URL comes out here. */
		_cleanup_buf_ struct buf path, out;
		buf_init(&path, 4096);
		buf_init(&out, 4096);
		assert_true(uri_decode(&path, boto_urls[i].path, strlen(boto_urls[i].path)));
		assert_int_equal(sigv4_presign(&boto_key, boto_urls[i].method, BOTO_HOST, path.data, NULL, 0, BOTO_MS,
					       3600, &out, &e),
				 0);
		assert_string_equal(out.data, url);
	}
}

#define BOTO_QUERY(expires, headers)                                                                                   \
	"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDMILLRACE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request"    \
	"&X-Amz-Date=20261121T083612Z&X-Amz-Expires=" expires "&X-Amz-SignedHeaders=" headers

static void test_boto_response_overrides(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct sigv4_verified verified;
	const char *url =
		"/media/a%20b.mp4?response-content-disposition=attachment%3B%20filename%3D%22a%20b%2Bc.mp4%22"
		"&response-content-type=video%2Fmp4&" BOTO_QUERY(
			"60",
			"host") "&X-Amz-Signature=f9744bc06822458c25cf1d5d88064eb1c756d76d37e0eccdca6d8b629ec62db4";
	assert_int_equal(verify_url("GET", url, boto_host_header, 1, &boto_key, BOTO_MS, &verified, &e), 0);

	static const struct sigv4_pair extra[] = { { "response-content-type", "video/mp4" },
						   { "response-content-disposition",
						     "attachment; filename=\"a b+c.mp4\"" } };
	_cleanup_buf_ struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(sigv4_presign(&boto_key, "GET", BOTO_HOST, "/media/a b.mp4", extra, 2, BOTO_MS, 60, &out, &e),
			 0);
	assert_non_null(strstr(out.data, "Signature=f9744bc06822458c25cf1d5d88064eb1c756d76d37e0eccdca6d8b629ec62db4"));
	assert_int_equal(verify_url("GET", out.data, boto_host_header, 1, &boto_key, BOTO_MS, &verified, &e), 0);
}

static void test_boto_signed_headers(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct sigv4_verified verified;
	const char *url = "/media/up%20load.wav?" BOTO_QUERY(
		"604800",
		"content-type%3Bhost%3Bx-amz-acl%3Bx-amz-meta-title") "&X-Amz-Signature="
								      "66e0f3d8bf0c956a0eb9cba3d0809182"
								      "994980eae993dd59e36f58b0320dba63";
	struct sigv4_pair headers[] = {
		{ "Host", BOTO_HOST },          { "Content-Length", "3" },  { "Content-Type", "audio/wav" },
		{ "X-Amz-Meta-Title", "a  b" }, { "X-Amz-Acl", "private" }, { "X-Amz-Cf-Id", "a proxy's" },
	};
	assert_int_equal(verify_url("PUT", url, headers, 6, &boto_key, BOTO_MS, &verified, &e), 0);

	headers[2].value = "audio/mpeg";
	assert_int_equal(verify_url("PUT", url, headers, 6, &boto_key, BOTO_MS, &verified, &e), -ERR_DENIED);
	assert_string_equal(e.code, "SignatureDoesNotMatch");
	headers[2] = (struct sigv4_pair) { "X-Other", "audio/wav" };
	assert_int_equal(verify_url("PUT", url, headers, 6, &boto_key, BOTO_MS, &verified, &e), -ERR_DENIED);
	assert_string_equal(e.code, "SignatureDoesNotMatch");
	headers[2] = (struct sigv4_pair) { "Content-Type", "audio/wav" };
	headers[1] = (struct sigv4_pair) { "x-amz-copy-source", "/media/other" };
	assert_int_equal(verify_url("PUT", url, headers, 6, &boto_key, BOTO_MS, &verified, &e), -ERR_DENIED);
	assert_string_equal(e.code, "AccessDenied");
}

static void test_boto_session_token(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct sigv4_verified verified;
	const char *url = "/media/t?" BOTO_QUERY(
		"1", "host") "&X-Amz-Security-Token=tok%2Fen%2Bwith%3D%3D"
			     "&X-Amz-Signature=a70a7f70237b5a214350b054295667c94d0ad7357ead6409185f0152bc944754";
	assert_int_equal(verify_url("GET", url, boto_host_header, 1, &boto_token_key, BOTO_MS, &verified, &e), 0);
	assert_int_equal(verify_url("GET", url, boto_host_header, 1, &boto_key, BOTO_MS, &verified, &e), -ERR_DENIED);
	assert_string_equal(e.code, "InvalidToken");

	_cleanup_buf_ struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(sigv4_presign(&boto_token_key, "GET", BOTO_HOST, "/media/t", NULL, 0, BOTO_MS, 1, &out, &e),
			 0);
	assert_non_null(strstr(out.data, "Signature=a70a7f70237b5a214350b054295667c94d0ad7357ead6409185f0152bc944754"));
}

#define GOOD_SIGNATURE "1d3c9ce929d34d90a000d064bee2dc8778941211146d01942fb5b7833882fb32"
#define GOOD_PATH "/media/hls/u/j/master.m3u8?"
#define GOOD_URL GOOD_PATH BOTO_QUERY("3600", "host") "&X-Amz-Signature=" GOOD_SIGNATURE
#define CREDENTIAL(text)                                                                                               \
	GOOD_PATH "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" text "&X-Amz-Date=20261121T083612Z"             \
		  "&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=" GOOD_SIGNATURE
#define DATE(text)                                                                                                     \
	GOOD_PATH "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDMILLRACE%2F20261121%2Fus-east-1%2Fs3%2F"      \
		  "aws4_request&X-Amz-Date=" text                                                                      \
		  "&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=" GOOD_SIGNATURE

static void test_query_refused(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		const char *method;
		const char *url;
		int64_t after_ms;
		const char *code; /* NULL: accepted */
	} cases[] = {
		{ "as signed", "GET", GOOD_URL, 0, NULL },
		{ "14 min before", "GET", GOOD_URL, -14 * 60 * 1000, NULL },
		{ "at the last moment", "GET", GOOD_URL, 3600 * 1000, NULL },
		{ "expired", "GET", GOOD_URL, 3600 * 1000 + 1, "AccessDenied" },
		{ "16 min before", "GET", GOOD_URL, -16 * 60 * 1000, "AccessDenied" },
		{ "other method", "PUT", GOOD_URL, 0, "SignatureDoesNotMatch" },
		{ "other path", "GET", "/media/hls/u/k?" BOTO_QUERY("3600", "host") "&X-Amz-Signature=" GOOD_SIGNATURE,
		  0, "SignatureDoesNotMatch" },
		{ "further parameter", "GET", GOOD_URL "&response-content-type=text%2Fhtml", 0,
		  "SignatureDoesNotMatch" },
		{ "longer life", "GET", GOOD_PATH BOTO_QUERY("7200", "host") "&X-Amz-Signature=" GOOD_SIGNATURE, 0,
		  "SignatureDoesNotMatch" },
		{ "one digit off", "GET",
		  GOOD_PATH BOTO_QUERY(
			  "3600",
			  "host") "&X-Amz-Signature=1d3c9ce929d34d90a000d064bee2dc8778941211146d01942fb5b7833882fb33",
		  0, "SignatureDoesNotMatch" },
		{ "short signature", "GET", GOOD_PATH BOTO_QUERY("3600", "host") "&X-Amz-Signature=1d3c", 0,
		  "SignatureDoesNotMatch" },
		{ "empty signature", "GET", GOOD_PATH BOTO_QUERY("3600", "host") "&X-Amz-Signature=", 0,
		  "SignatureDoesNotMatch" },
		{ "longer signature", "GET", GOOD_URL "0", 0, "SignatureDoesNotMatch" },
		{ "second signature", "GET", GOOD_URL "&X-Amz-Signature=" GOOD_SIGNATURE, 0,
		  "AuthorizationQueryParametersError" },
		{ "second expiry", "GET", GOOD_URL "&X-Amz-Expires=604800", 0, "AuthorizationQueryParametersError" },
		{ "zero life", "GET", GOOD_PATH BOTO_QUERY("0", "host") "&X-Amz-Signature=" GOOD_SIGNATURE, 0,
		  "AuthorizationQueryParametersError" },
		{ "over a week", "GET", GOOD_PATH BOTO_QUERY("604801", "host") "&X-Amz-Signature=" GOOD_SIGNATURE, 0,
		  "AuthorizationQueryParametersError" },
		{ "negative life", "GET", GOOD_PATH BOTO_QUERY("-5", "host") "&X-Amz-Signature=" GOOD_SIGNATURE, 0,
		  "AuthorizationQueryParametersError" },
		{ "absurd life", "GET",
		  GOOD_PATH BOTO_QUERY("99999999999999999999", "host") "&X-Amz-Signature=" GOOD_SIGNATURE, 0,
		  "AuthorizationQueryParametersError" },
		{ "host not signed", "GET", GOOD_PATH BOTO_QUERY("3600", "range") "&X-Amz-Signature=" GOOD_SIGNATURE, 0,
		  "AuthorizationQueryParametersError" },
		{ "signed header missing", "GET",
		  GOOD_PATH BOTO_QUERY("3600", "host%3Brange") "&X-Amz-Signature=" GOOD_SIGNATURE, 0,
		  "SignatureDoesNotMatch" },
		{ "empty signed header", "GET",
		  GOOD_PATH BOTO_QUERY("3600", "host%3B%3B") "&X-Amz-Signature=" GOOD_SIGNATURE, 0,
		  "AuthorizationQueryParametersError" },
		{ "other algorithm", "GET",
		  GOOD_PATH
		  "X-Amz-Algorithm=AWS4-HMAC-SHA1&X-Amz-Credential=AKIDMILLRACE%2F20261121"
		  "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T083612Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
		  "&X-Amz-Signature=" GOOD_SIGNATURE,
		  0, "AuthorizationQueryParametersError" },
		{ "signature alone", "GET", GOOD_PATH "X-Amz-Signature=" GOOD_SIGNATURE, 0,
		  "AuthorizationQueryParametersError" },
		{ "unknown key", "GET", CREDENTIAL("AKIDOTHER%2F20261121%2Fus-east-1%2Fs3%2Faws4_request"), 0,
		  "InvalidAccessKeyId" },
		{ "other region", "GET", CREDENTIAL("AKIDMILLRACE%2F20261121%2Feu-west-1%2Fs3%2Faws4_request"), 0,
		  "AuthorizationQueryParametersError" },
		{ "other service", "GET", CREDENTIAL("AKIDMILLRACE%2F20261121%2Fus-east-1%2Fsqs%2Faws4_request"), 0,
		  "AuthorizationQueryParametersError" },
		{ "other day", "GET", CREDENTIAL("AKIDMILLRACE%2F20261122%2Fus-east-1%2Fs3%2Faws4_request"), 0,
		  "AuthorizationQueryParametersError" },
		{ "other end", "GET", CREDENTIAL("AKIDMILLRACE%2F20261121%2Fus-east-1%2Fs3%2Faws5_request"), 0,
		  "AuthorizationQueryParametersError" },
		{ "no key", "GET", CREDENTIAL("%2F20261121%2Fus-east-1%2Fs3%2Faws4_request"), 0,
		  "AuthorizationQueryParametersError" },
		{ "too few parts", "GET", CREDENTIAL("20261121%2Fus-east-1%2Fs3%2Faws4_request"), 0,
		  "AuthorizationQueryParametersError" },
		{ "empty credential", "GET", CREDENTIAL(""), 0, "AuthorizationQueryParametersError" },
		{ "slashes", "GET", CREDENTIAL("%2F%2F%2F%2F"), 0, "AuthorizationQueryParametersError" },
		{ "bad date", "GET", DATE("2026-11-21T08:36:12Z"), 0, "AuthorizationQueryParametersError" },
		{ "empty date", "GET", DATE(""), 0, "AuthorizationQueryParametersError" },
		{ "unexpected token", "GET", GOOD_URL "&X-Amz-Security-Token=x", 0, "InvalidToken" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct err e = { 0 };
		struct sigv4_verified verified = { .signed_at_ms = -7 };
		int r = verify_url(cases[i].method, cases[i].url, boto_host_header, 1, &boto_key,
				   BOTO_MS + cases[i].after_ms, &verified, &e);
		if (r != (cases[i].code ? -ERR_DENIED : 0))
			fail_msg("%s: %d %s", cases[i].what, r, e.message);
		if (cases[i].code && strcmp(e.code, cases[i].code) != 0)
			fail_msg("%s: %s instead of %s (%s)", cases[i].what, e.code, cases[i].code, e.message);
		if (cases[i].code)
			assert_int_equal(verified.signed_at_ms, -7);
	}
}

static void test_query_other_host(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct sigv4_verified verified;
	static const struct sigv4_pair other[] = { { "Host", "127.0.0.1:8081" } };
	assert_int_equal(verify_url("GET", GOOD_URL, other, 1, &boto_key, BOTO_MS, &verified, &e), -ERR_DENIED);
	assert_string_equal(e.code, "SignatureDoesNotMatch");
	assert_int_equal(verify_url("GET", GOOD_URL, NULL, 0, &boto_key, BOTO_MS, &verified, &e), -ERR_DENIED);
	assert_string_equal(e.code, "SignatureDoesNotMatch");
}

static void test_presign_limits(void **state)
{
	(void)state;
	struct err e = { 0 };
	_cleanup_buf_ struct buf out, small;
	buf_init(&out, 4096);
	buf_init(&small, 50);
	assert_int_equal(sigv4_presign(&boto_key, "GET", "h", "/k", NULL, 0, 0, 0, &out, &e), -ERR_INVALID);
	assert_int_equal(sigv4_presign(&boto_key, "GET", "h", "/k", NULL, 0, 0, 604801, &out, &e), -ERR_INVALID);
	assert_int_equal(sigv4_presign(&boto_key, "GET", "h", "k", NULL, 0, 0, 60, &out, &e), -ERR_INVALID);
	assert_int_equal(sigv4_presign(&boto_key, "GET", "h", "/k", NULL, 1001, 0, 60, &out, &e), -ERR_TOO_LARGE);
	assert_int_equal(sigv4_presign(&boto_key, "GET", "h", "/k", NULL, 0, 0, 60, &small, &e), -ERR_TOO_LARGE);
	assert_int_equal(out.len, 0);
	assert_false(sigv4_is_presigned(&(struct sigv4_request) { .method = "GET", .path = "/" }));
}

/* Sorted by encoded name, then by encoded value: not as decoded text, and not with '=' in the comparison. */
static void test_query_order(void **state)
{
	(void)state;
	static const struct sigv4_pair extra[] = { { "a", "2" }, { "a-b", "1" },      { "a", "10" }, { "a", "1" },
						   { "a", "" },  { "\xC3\xA9", "x" }, { "Z", NULL }, { "a1", "~" } };
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(sigv4_presign(&boto_key, "GET", BOTO_HOST, "/k", extra, 8, BOTO_MS, 60, &out, &e), 0);
	assert_non_null(strstr(out.data, "/k?%C3%A9=x&X-Amz-Algorithm="));
	assert_non_null(strstr(out.data, "=host&Z=&a=&a=1&a=10&a=2&a-b=1&a1=~&X-Amz-Signature="));
}

/* Other services encode the path twice; what signs it checks it, and a pre-signed request's body counts as empty. */
static void test_other_service(void **state)
{
	(void)state;
	struct err e = { 0 };
	_cleanup_buf_ struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(sigv4_presign(&suite_key, "GET", "h", "/a b/c", NULL, 0, SUITE_MS, 60, &out, &e), 0);
	MR_CLEANUP(url_release) struct parsed_url p;
	url_parse(out.data, &p);
	assert_string_equal(p.path, "/a b/c");
	struct sigv4_request req = { .method = "GET",
				     .path = p.path,
				     .query = p.query,
				     .query_count = p.query_count,
				     .headers = &(struct sigv4_pair) { "host", "h" },
				     .header_count = 1 };
	struct sigv4_key key = suite_key;
	struct sigv4_verified verified;
	assert_int_equal(sigv4_verify_query(&req, "service", lookup_key, &key, SUITE_MS, &verified, &e), 0);
	req.payload_hash = EMPTY_HASH;
	assert_int_equal(sigv4_verify_query(&req, "service", lookup_key, &key, SUITE_MS, &verified, &e), 0);
	req.payload_hash = SIGV4_UNSIGNED_PAYLOAD;
	assert_int_equal(sigv4_verify_query(&req, "service", lookup_key, &key, SUITE_MS, &verified, &e), -ERR_DENIED);
	req.payload_hash = NULL;
	assert_int_equal(sigv4_verify_query(&req, "service", no_key, NULL, SUITE_MS, &verified, &e), -ERR_DENIED);
	assert_string_equal(e.code, "InvalidAccessKeyId");
}

#define SUITE_AUTH "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
#define VANILLA "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"

static void test_header_refused(void **state)
{
	(void)state;
	static const struct {
		const char *what, *authorization, *date_name, *date, *extra;
		int64_t after_ms;
		const char *code;
	} cases[] = {
		{ "good", SUITE_AUTH "SignedHeaders=host;x-amz-date, " VANILLA, "X-Amz-Date", "20150830T123600Z", NULL,
		  0, NULL },
		{ "no blanks, other order",
		  "AWS4-HMAC-SHA256 SignedHeaders=host;x-amz-date," VANILLA
		  ",Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request",
		  "X-Amz-Date", "20150830T123600Z", NULL, 0, NULL },
		{ "15 min late", SUITE_AUTH "SignedHeaders=host;x-amz-date, " VANILLA, "X-Amz-Date", "20150830T123600Z",
		  NULL, 15 * 60 * 1000, NULL },
		{ "more than that", SUITE_AUTH "SignedHeaders=host;x-amz-date, " VANILLA, "X-Amz-Date",
		  "20150830T123600Z", NULL, 15 * 60 * 1000 + 1, "RequestTimeTooSkewed" },
		{ "too early", SUITE_AUTH "SignedHeaders=host;x-amz-date, " VANILLA, "X-Amz-Date", "20150830T123600Z",
		  NULL, -15 * 60 * 1000 - 1, "RequestTimeTooSkewed" },
		{ "no date", SUITE_AUTH "SignedHeaders=host;x-amz-date, " VANILLA, "X-Other", "20150830T123600Z", NULL,
		  0, "AccessDenied" },
		{ "date unsigned", SUITE_AUTH "SignedHeaders=host, " VANILLA, "X-Amz-Date", "20150830T123600Z", NULL, 0,
		  "AccessDenied" },
		{ "plain date unsigned", SUITE_AUTH "SignedHeaders=host, " VANILLA, "Date", "20150830T123600Z", NULL, 0,
		  "AccessDenied" },
		{ "date of another form", SUITE_AUTH "SignedHeaders=host;x-amz-date, " VANILLA, "X-Amz-Date",
		  "Sun, 30 Aug 2015 12:36:00 GMT", NULL, 0, "AccessDenied" },
		{ "host unsigned", SUITE_AUTH "SignedHeaders=x-amz-date, " VANILLA, "X-Amz-Date", "20150830T123600Z",
		  NULL, 0, "AuthorizationHeaderMalformed" },
		{ "other signature",
		  SUITE_AUTH "SignedHeaders=host;x-amz-date, Signature="
			     "0000000000000000000000000000000000000000000000000000000000000000",
		  "X-Amz-Date", "20150830T123600Z", NULL, 0, "SignatureDoesNotMatch" },
		{ "unsigned x-amz header", SUITE_AUTH "SignedHeaders=host;x-amz-date, " VANILLA, "X-Amz-Date",
		  "20150830T123600Z", "x-amz-acl", 0, "AccessDenied" },
		{ "bearer", "Bearer abc", "X-Amz-Date", "20150830T123600Z", NULL, 0, "AuthorizationHeaderMalformed" },
		{ "other algorithm", "AWS4-HMAC-SHA2567 x", "X-Amz-Date", "20150830T123600Z", NULL, 0,
		  "AuthorizationHeaderMalformed" },
		{ "algorithm alone", "AWS4-HMAC-SHA256", "X-Amz-Date", "20150830T123600Z", NULL, 0,
		  "AuthorizationHeaderMalformed" },
		{ "field twice", SUITE_AUTH "SignedHeaders=host;x-amz-date, " VANILLA ", " VANILLA, "X-Amz-Date",
		  "20150830T123600Z", NULL, 0, "AuthorizationHeaderMalformed" },
		{ "unknown field", SUITE_AUTH "SignedHeaders=host;x-amz-date, X=1, " VANILLA, "X-Amz-Date",
		  "20150830T123600Z", NULL, 0, "AuthorizationHeaderMalformed" },
		{ "no signature", SUITE_AUTH "SignedHeaders=host;x-amz-date", "X-Amz-Date", "20150830T123600Z", NULL, 0,
		  "AuthorizationHeaderMalformed" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		const struct sigv4_pair headers[] = { SUITE_HOST,
						      { cases[i].date_name, cases[i].date },
						      { "Authorization", cases[i].authorization },
						      { cases[i].extra ? cases[i].extra : "accept", "1" } };
		const struct sigv4_request req = {
			.method = "GET", .path = "/", .headers = headers, .header_count = 4
		};
		struct sigv4_key key = suite_key;
		struct sigv4_verified verified;
		struct err e = { 0 };
		int r = sigv4_verify_header(&req, "service", lookup_key, &key, SUITE_MS + cases[i].after_ms, &verified,
					    &e);
		if (r != (cases[i].code ? -ERR_DENIED : 0))
			fail_msg("%s: %d %s", cases[i].what, r, e.message);
		if (cases[i].code && strcmp(e.code, cases[i].code) != 0)
			fail_msg("%s: %s instead of %s (%s)", cases[i].what, e.code, cases[i].code, e.message);
	}
	struct err e = { 0 };
	struct sigv4_verified verified;
	const struct sigv4_request bare = { .method = "GET", .path = "/" };
	assert_int_equal(sigv4_verify_header(&bare, "service", no_key, NULL, 0, &verified, &e), -ERR_DENIED);
	assert_string_equal(e.code, "AccessDenied");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authorization_vectors),
		cmocka_unit_test(test_authorization_refuses_to_sign),
		cmocka_unit_test(test_presign_published_example),
		cmocka_unit_test(test_boto_urls),
		cmocka_unit_test(test_boto_response_overrides),
		cmocka_unit_test(test_boto_signed_headers),
		cmocka_unit_test(test_boto_session_token),
		cmocka_unit_test(test_query_refused),
		cmocka_unit_test(test_query_other_host),
		cmocka_unit_test(test_presign_limits),
		cmocka_unit_test(test_query_order),
		cmocka_unit_test(test_other_service),
		cmocka_unit_test(test_header_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
