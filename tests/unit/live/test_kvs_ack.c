/* Acknowledgements cut anywhere, what errors mean, and how the sink is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "live/kvs_ack.h"
#include "live/sink_kvs.h"

static const char text[] = "{\"EventType\":\"BUFFERING\",\"FragmentTimecode\":1732622783456,\"FragmentNumber\":\"91\"}\n"
			   "{\"EventType\":\"PERSISTED\",\"FragmentTimecode\":\"1732622783456\",\"FragmentNumber\":\"91\"}"
			   "{\"EventType\":\"IDLE\"}\r\n {\"EventType\":\"ERROR\",\"Message\":\"a } and \\\" { \\\\\","
			   "\"Nested\":{\"a\":[{}]},"
			   "\"ErrorId\":4008,\"ErrorCode\":\"STREAM_NOT_ACTIVE\"}{\"EventType\":\"NEW_ONE\"}";

struct heard {
	struct kvs_ack acks[8];
	size_t count;
};

static void on_ack(void *ctx, const struct kvs_ack *a)
{
	struct heard *h = ctx;
	assert_true(h->count < 8);
	h->acks[h->count++] = *a;
}

static void check(const struct heard *h)
{
	static const enum kvs_event events[] = { KVS_BUFFERING, KVS_PERSISTED, KVS_IDLE, KVS_ERROR, KVS_UNKNOWN };
	assert_int_equal(h->count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(h->acks[i].event, events[i]);
	for (size_t i = 0; i < 2; i++) {
		assert_true(h->acks[i].has_timecode && h->acks[i].timecode_ms == INT64_C(1732622783456));
		assert_string_equal(h->acks[i].number, "91");
	}
	assert_false(h->acks[2].has_timecode);
	assert_int_equal(h->acks[3].error_id, 4008);
	assert_string_equal(h->acks[3].error_code, "STREAM_NOT_ACTIVE");
}

static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		struct heard h = { 0 };
		struct kvs_acks a;
		struct err e;
		kvs_acks_init(&a);
		assert_int_equal(kvs_acks_feed(&a, text, cut, on_ack, &h, &e), 0);
		assert_int_equal(kvs_acks_feed(&a, text + cut, sizeof(text) - 1 - cut, on_ack, &h, &e), 0);
		check(&h);
		kvs_acks_release(&a);
	}
	struct heard h = { 0 };
	struct kvs_acks a;
	struct err e;
	kvs_acks_init(&a);
	for (size_t i = 0; i + 1 < sizeof(text); i++)
		assert_int_equal(kvs_acks_feed(&a, text + i, 1, on_ack, &h, &e), 0);
	check(&h);
	kvs_acks_release(&a);
}

static void refuse(const char *data, size_t len)
{
	struct heard h = { 0 };
	struct kvs_acks a;
	struct err e;
	kvs_acks_init(&a);
	assert_int_equal(kvs_acks_feed(&a, data, len, on_ack, &h, &e), -ERR_PROTOCOL);
	kvs_acks_release(&a);
}

static void test_what_is_no_acknowledgement(void **state)
{
	char endless[5000];
	(void)state;
	memset(endless, ' ', sizeof(endless));
	endless[0] = '{';
	refuse(endless, sizeof(endless));
	refuse("<html>", 6);
	refuse("{]}", 3);
	refuse("[]", 2);
	refuse("\0{}", 3);
}

static void test_verdicts(void **state)
{
	static const struct {
		uint32_t id;
		enum kvs_verdict v;
	} errors[] = {
		{ 4000, KVS_AGAIN }, { 4001, KVS_END }, { 4002, KVS_END }, { 4003, KVS_AGAIN_NOW }, { 4004, KVS_AGAIN_FEW },
		{ 4005, KVS_END }, { 4006, KVS_AGAIN_FEW }, { 4007, KVS_END }, { 4008, KVS_NOT_ACTIVE },
		{ 4009, KVS_END }, { 4010, KVS_END }, { 4011, KVS_END }, { 4012, KVS_END }, { 4500, KVS_END }, { 4503, KVS_AGAIN },
		{ 4506, KVS_END }, { 5000, KVS_AGAIN }, { 5001, KVS_AGAIN }, { 0, KVS_AGAIN }, { 9999, KVS_AGAIN },
	};
	static const struct {
		int status;
		const char *type;
		enum kvs_verdict v;
	} answers[] = {
		{ 400, "ClientLimitExceededException", KVS_AGAIN },
		{ 400, "ConnectionLimitExceededException:http://internal", KVS_AGAIN },
		{ 400, "InvalidArgumentException", KVS_END },
		{ 400, NULL, KVS_AGAIN_FEW },
		{ 404, "ResourceNotFoundException", KVS_NOT_ACTIVE },
		{ 404, NULL, KVS_NOT_ACTIVE },
		{ 403, "ExpiredTokenException", KVS_NEW_KEYS },
		{ 403, NULL, KVS_NEW_KEYS },
		{ 401, "NotAuthorizedException", KVS_NEW_KEYS },
		{ 400, "UnrecognizedClientException", KVS_NEW_KEYS },
		{ 429, NULL, KVS_AGAIN },
		{ 302, NULL, KVS_AGAIN_FEW },
		{ 500, "InternalFailure", KVS_AGAIN },
		{ 503, NULL, KVS_AGAIN },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		assert_int_equal(kvs_verdict_of_error(errors[i].id), errors[i].v);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		assert_int_equal(kvs_verdict_of_answer(answers[i].status, answers[i].type), answers[i].v);
}

static void test_where(void **state)
{
	static const char *const bad[] = {
		"kvs://", "kvs://EU", "s3://x", "", "kvs://eu/x", "kvs://eu?endpoint=", "kvs://eu?endpoint=ftp://x",
		"kvs://eu?copy=-1", "kvs://eu?rotate=0", "kvs://eu?rotate=2401", "kvs://eu?retention=x", "kvs://eu?colour=red"
	};
	struct sink_kvs_opts o;
	struct err e;
	(void)state;
	assert_int_equal(sink_kvs_parse("kvs://eu-west-1", &o, &e), 0);
	assert_string_equal(o.region, "eu-west-1");
	assert_null(o.endpoint);
	assert_int_equal(o.retention_hours, 1);
	assert_int_equal(o.rotate_s, 2400);
	assert_int_equal(o.copy_hours, 1);
	sink_kvs_opts_release(&o);
	assert_int_equal(sink_kvs_parse("kvs://eu?endpoint=http%3A//h:1/p&retention=24&rotate=60&copy=0", &o, &e), 0);
	assert_string_equal(o.endpoint, "http://h:1/p");
	assert_int_equal(o.retention_hours, 24);
	assert_int_equal(o.rotate_s, 60);
	assert_int_equal(o.copy_hours, 0);
	sink_kvs_opts_release(&o);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sink_kvs_parse(bad[i], &o, &e), -ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_what_is_no_acknowledgement),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_where),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
