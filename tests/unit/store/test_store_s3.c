/* What of the S3 backend is pure: its URL, XML, what answers mean, pauses, ETags of what is put together. */
#include "store_fixture.h"

#include "store/s3.h"

static const char *no_env(const char *name)
{
	(void)name;
	return NULL;
}

static const char *some_env(const char *name)
{
	return strcmp(name, "AWS_REGION") == 0         ? "eu-north-1"
	       : strcmp(name, "AWS_ENDPOINT_URL") == 0 ? "https://s3.example:443/"
						       : NULL;
}

static void test_urls(void **state)
{
	(void)state;
	static const struct {
		const char *url, *base, *host, *root, *prefix, *region;
		bool sign_payload;
	} cases[] = {
		{ "s3://films", "https://films.s3.us-east-1.amazonaws.com", "films.s3.us-east-1.amazonaws.com", "", "",
		  "us-east-1", false },
		{ "s3://films/", "https://films.s3.us-east-1.amazonaws.com", "films.s3.us-east-1.amazonaws.com", "", "",
		  "us-east-1", false },
		{ "s3://films/a/b%20c/?region=eu-west-1", "https://films.s3.eu-west-1.amazonaws.com",
		  "films.s3.eu-west-1.amazonaws.com", "", "a/b c/", "eu-west-1", false },
		{ "s3://films?endpoint=http://127.0.0.1:9000&payload=unsigned", "http://127.0.0.1:9000",
		  "127.0.0.1:9000", "/films", "", "us-east-1", false },
		{ "s3://films?endpoint=http%3A%2F%2Fminio%3A80%2F", "http://films.minio", "films.minio", "", "",
		  "us-east-1", true },
		{ "s3://films?endpoint=http://minio&path_style=1", "http://minio", "minio", "/films", "", "us-east-1",
		  true },
		{ "s3://my.films?region=x", "https://s3.x.amazonaws.com", "s3.x.amazonaws.com", "/my.films", "", "x",
		  false },
		{ "s3://my.films?path_style=0", "https://my.films.s3.us-east-1.amazonaws.com",
		  "my.films.s3.us-east-1.amazonaws.com", "", "", "us-east-1", false },
		{ "s3://films?endpoint=https://[::1]:8443", "https://[::1]:8443", "[::1]:8443", "/films", "",
		  "us-east-1", false },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct s3_config c;
		OK(s3_config_parse(cases[i].url, no_env, &c, e));
		assert_string_equal(c.base, cases[i].base);
		assert_string_equal(c.host, cases[i].host);
		assert_string_equal(c.root, cases[i].root);
		assert_string_equal(c.prefix, cases[i].prefix);
		assert_string_equal(c.region, cases[i].region);
		assert_int_equal(c.sign_payload, cases[i].sign_payload);
		s3_config_release(&c);
	}
	struct s3_config c;
	OK(s3_config_parse(
		"s3://films?acl=public-read&sse=aws:kms&sse_kms_key=k&storage_class=STANDARD_IA&public_url=https://cdn.example/x/"
		"&patience_seconds=3&stale_hours=0",
		some_env, &c, e));
	assert_string_equal(c.base, "https://films.s3.example");
	assert_string_equal(c.region, "eu-north-1");
	assert_string_equal(c.acl, "public-read");
	assert_string_equal(c.sse, "aws:kms");
	assert_string_equal(c.sse_kms_key, "k");
	assert_string_equal(c.storage_class, "STANDARD_IA");
	assert_string_equal(c.public_url, "https://cdn.example/x");
	assert_int_equal(c.patience_s, 3);
	assert_int_equal(c.stale_hours, 0);
	s3_config_release(&c);
}

static void test_bad_urls(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"s3:films",
		"s3://",
		"s3:///x",
		"s3://ab",
		"s3://UPPER",
		"s3://-films",
		"s3://a..b",
		"s3://films//a",
		"s3://films/../a",
		"s3://films?region",
		"s3://films?region=",
		"s3://films?colour=red",
		"s3://films?region=a%0d%0ab",
		"s3://films?region=%zz",
		"s3://films?endpoint=ftp://x",
		"s3://films?endpoint=http://",
		"s3://films?endpoint=http://h/path",
		"s3://films?endpoint=http://u:p@h",
		"s3://films?path_style=yes",
		"s3://films?acl=everybody",
		"s3://films?sse=rot13",
		"s3://films?sse_kms_key=k",
		"s3://films?sse=AES256&sse_kms_key=k",
		"s3://films?public_url=cdn.example",
		"s3://films?payload=maybe",
		"s3://films?patience_seconds=0",
		"s3://films?patience_seconds=-1",
		"s3://films?stale_hours=1h",
		"file:x",
		"",
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		struct s3_config c;
		struct store *s;
		if (s3_config_parse(bad[i], no_env, &c, NULL) != -ERR_INVALID)
			fail_msg("%s is taken", bad[i]);
		if (strncmp(bad[i], "file:", 5) != 0)
			assert_int_equal(store_open(bad[i], &s, NULL), -ERR_INVALID);
	}
}

/* ---- XML ---- */

static int collect(void *ctx, const char *path, const char *text, struct err *e)
{
	(void)e;
	buf_printf(ctx, "%s=%s;", path, text);
	return 0;
}

static int refuse(void *ctx, const char *path, const char *text, struct err *e)
{
	(void)ctx;
	(void)path;
	(void)text;
	return err_set_code(e, ERR_CONFLICT, "MINE", "no");
}

static int read_text(const char *text, s3_xml_fn fn, struct buf *b, struct err *e)
{
	return s3_xml_read(text, strlen(text), fn, b, e);
}

static void test_xml(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1 << 20);
	OK(read_text("<?xml version=\"1.0\"?>\n<a xmlns=\"x\"><b>1&amp;2&#x263A;</b><b/>t<c><d>x</d>y</c></a>", collect,
		     &b, e));
	assert_string_equal(b.data, "a/b=1&2\xE2\x98\xBA;a/b=;a/c/d=x;a/c=y;a=;");
	static const char *const bad[] = { "",
					   "<a>",
					   "<a></b>",
					   "text",
					   "<a>&nbsp;</a>",
					   "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
					   "<a>\xFF</a>",
					   "<a/><b/>",
					   "<a><a><a><a><a><a><a><a><a><a><a><a><a>" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		struct err why = { 0 };
		assert_int_equal(read_text(bad[i], collect, &b, &why), -ERR_PROTOCOL);
		assert_true(why.retriable);
	}
	_cleanup_free_ char *text = mr_calloc(1, 20000);
	memset(text, 'x', 19000);
	memcpy(text, "<a><k>", 6);
	memcpy(text + 19000, "</k></a>", 9);
	struct err why = { 0 };
	assert_int_equal(read_text(text, collect, &b, &why), -ERR_PROTOCOL);
	assert_int_equal(read_text("<a/>", refuse, &b, &why), -ERR_CONFLICT);
	assert_string_equal(why.code, "MINE");
}

/* ---- answers and pauses ---- */

static void test_verdicts(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *code;
		enum s3_verdict verdict;
		enum err_kind kind;
	} cases[] = {
		{ 200, "", S3_DONE, ERR_OK },
		{ 204, "", S3_DONE, ERR_OK },
		{ 500, "InternalError", S3_AGAIN, ERR_UNAVAILABLE },
		{ 503, "SlowDown", S3_AGAIN, ERR_UNAVAILABLE },
		{ 502, "", S3_AGAIN, ERR_UNAVAILABLE },
		{ 429, "", S3_AGAIN, ERR_UNAVAILABLE },
		{ 400, "RequestTimeout", S3_AGAIN, ERR_UNAVAILABLE },
		{ 400, "BadDigest", S3_AGAIN, ERR_UNAVAILABLE },
		{ 409, "OperationAborted", S3_AGAIN, ERR_UNAVAILABLE },
		{ 404, "NoSuchKey", S3_FINAL, ERR_NOT_FOUND },
		{ 404, "", S3_FINAL, ERR_NOT_FOUND },
		{ 404, "NoSuchUpload", S3_FINAL, ERR_NOT_FOUND },
		{ 404, "NoSuchBucket", S3_FINAL, ERR_UNAVAILABLE },
		{ 403, "AccessDenied", S3_FINAL, ERR_UNAVAILABLE },
		{ 403, "", S3_FINAL, ERR_UNAVAILABLE },
		{ 403, "InvalidAccessKeyId", S3_AGAIN_KEYS, ERR_UNAVAILABLE },
		{ 400, "ExpiredToken", S3_AGAIN_KEYS, ERR_UNAVAILABLE },
		{ 301, "PermanentRedirect", S3_FINAL, ERR_UNAVAILABLE },
		{ 412, "PreconditionFailed", S3_FINAL, ERR_GONE },
		{ 416, "InvalidRange", S3_FINAL, ERR_RANGE },
		{ 400, "EntityTooSmall", S3_FINAL, ERR_INVALID },
		{ 403, "QuotaExceeded", S3_FINAL, ERR_NO_SPACE },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		struct err e = { 0 };
		assert_int_equal(s3_verdict_of(cases[i].status, cases[i].code, "m", &e), cases[i].verdict);
		assert_int_equal(e.kind, cases[i].kind);
	}
}

static void test_pauses(void **state)
{
	(void)state;
	const int64_t patience = 25000;
	int64_t most = 100;
	for (uint32_t attempts = 1; attempts < 20; attempts++) {
		int64_t least = s3_retry_pause_ms(attempts, 0, patience, 0, 0.0);
		int64_t longest = s3_retry_pause_ms(attempts, 0, patience, 0, 0.999999);
		assert_int_equal(least, most / 2);
		assert_in_range(longest, most * 9 / 10, most);
		most = most * 2 < 5000 ? most * 2 : 5000;
	}
	assert_int_equal(s3_retry_pause_ms(1, 0, patience, 7000, 0.5), 7000);
	assert_int_equal(s3_retry_pause_ms(1, 0, patience, 70000, 0.5), -1);
	assert_int_equal(s3_retry_pause_ms(3, patience, patience, 0, 0.0), -1);
	assert_int_equal(s3_retry_pause_ms(9, patience - 2400, patience, 0, 0.0), -1);
	assert_int_equal(s3_retry_pause_ms(9, patience - 2600, patience, 0, 0.0), 2500);
}

static void test_etag_of_parts(void **state)
{
	(void)state;
	/* The MD5 of the empty text's MD5. */
	struct store_part parts[2] = { { .number = 1, .etag = "d41d8cd98f00b204e9800998ecf8427e" },
				       { .number = 2, .etag = "d41d8cd98f00b204e9800998ecf8427e" } };
	char etag[STORE_ETAG_SIZE];
	assert_true(s3_multipart_etag(parts, 1, etag));
	assert_string_equal(etag, "59adb24ef3cdbe0297f05b395827453f-1");
	assert_true(s3_multipart_etag(parts, 2, etag));
	assert_int_equal(strlen(etag), 34);
	(void)snprintf(parts[1].etag, STORE_ETAG_SIZE, "opaque");
	assert_false(s3_multipart_etag(parts, 2, etag));
}

static void test_part_sizes(void **state)
{
	(void)state;
	uint64_t sum = 0;
	for (uint32_t n = 1; n <= STORE_PARTS_MAX; n++) {
		assert_true(s3_part_bytes(n) >= STORE_PART_MIN_BYTES);
		assert_true(n == 1 || s3_part_bytes(n) >= s3_part_bytes(n - 1));
		sum += s3_part_bytes(n);
	}
	assert_int_equal(s3_part_bytes(5000), 8u << 20);
	assert_int_equal(s3_part_bytes(STORE_PARTS_MAX), 256u << 20);
	assert_true(sum > UINT64_C(500) << 30);
}

static void test_times(void **state)
{
	(void)state;
	assert_int_equal(s3_time_parse("2013-05-24T00:00:00.000Z"), INT64_C(1369353600000));
	assert_int_equal(s3_time_parse("2013-05-24T00:00:00.5Z"), INT64_C(1369353600500));
	assert_int_equal(s3_time_parse("2013-05-24T00:00:00Z"), INT64_C(1369353600000));
	assert_int_equal(s3_time_parse("Fri, 24 May 2013 00:00:00 GMT"), INT64_C(1369353600000));
	assert_int_equal(s3_time_parse("yesterday"), 0);
	assert_int_equal(s3_time_parse(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),       cmocka_unit_test(test_bad_urls),
		cmocka_unit_test(test_xml),        cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_pauses),     cmocka_unit_test(test_etag_of_parts),
		cmocka_unit_test(test_part_sizes), cmocka_unit_test(test_times),
	};
	return cmocka_run_group_tests_name("store_s3", tests, NULL, NULL);
}
