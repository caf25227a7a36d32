/* Signed URLs that are remembered: from the second time on, only as they are, only while they are valid, never more than
 * there may be, by several threads at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/signed_urls.h"

#define SIGNED_AT_MS INT64_C(1700000000000)
#define EXPIRES_MS (SIGNED_AT_MS + 60000)
#define TARGET "/media/a%20b/c?X-Amz-Date=x&X-Amz-Signature=0123"

static const struct sigv4_verified good = {
	.access_key_id = "AKID", .signed_at_ms = SIGNED_AT_MS, .expires_at_ms = EXPIRES_MS, .host_alone = true
};

static int handler(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)req;
	(void)e;
	return 0;
}

static const struct http_route routes[] = { { "GET", "/media/{key...}", handler, .access = HTTP_ACCESS_SIGNED } };
static struct router *router;

static int setup(void **state)
{
	(void)state;
	router = router_new(routes, MR_ARRAY_SIZE(routes));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	router_free(router);
	return 0;
}

static bool found(struct signed_urls *all, const char *target, const char *host, int64_t now_ms)
{
	struct signed_url *u = signed_urls_find(all, target, host, now_ms);
	signed_url_release(u);
	return u != NULL;
}

static void test_found(void **state)
{
	(void)state;
	struct signed_urls *all = signed_urls_new();
	signed_urls_put(all, router, TARGET, "host:1", &good);
	assert_false(found(all, TARGET, "host:1", SIGNED_AT_MS)); /* asked for once */
	signed_urls_put(all, router, TARGET, "host:1", &good);
	struct signed_url *u = signed_urls_find(all, TARGET, "host:1", SIGNED_AT_MS);
	assert_non_null(u);
	assert_string_equal(u->uri.path, "/media/a b/c");
	assert_int_equal(u->uri.query_count, 2);
	assert_ptr_equal(u->match.route, &routes[0]);
	assert_string_equal(u->match.params[0].value, "a b/c");
	assert_string_equal(u->verified.access_key_id, "AKID");
	signed_url_release(u);

	assert_false(found(all, TARGET, "host:2", SIGNED_AT_MS));
	assert_false(found(all, TARGET "4", "host:1", SIGNED_AT_MS));
	char other[] = TARGET;
	for (size_t i = 0; i < strlen(TARGET); i++) {
		other[i] ^= 1;
		assert_false(found(all, other, "host:1", SIGNED_AT_MS));
		other[i] ^= 1;
	}
	other[strlen(other) - 1] = '\0';
	assert_false(found(all, other, "host:1", SIGNED_AT_MS));

	assert_true(found(all, TARGET, "host:1", EXPIRES_MS));
	assert_false(found(all, TARGET, "host:1", EXPIRES_MS + 1));
	assert_true(found(all, TARGET, "host:1", SIGNED_AT_MS - 1000));
	assert_false(found(all, TARGET, "host:1", SIGNED_AT_MS - INT64_C(86400000)));
	signed_urls_free(all);
}

static void test_bounds(void **state)
{
	(void)state;
	struct signed_urls *all = signed_urls_new();
	static char target[SIGNED_URL_BYTES + 2];
	int count = 0;
	memset(target, 'x', sizeof(target) - 1);
	target[0] = '/';
	memcpy(target, "/media/", 7);
	for (int i = 0; i < 2; i++)
		signed_urls_put(all, router, target, "h", &good);
	assert_false(found(all, target, "h", SIGNED_AT_MS)); /* a byte too long */
	target[SIGNED_URL_BYTES] = '\0';
	for (int i = 0; i < 2; i++)
		signed_urls_put(all, router, target, "h", &good);
	assert_true(found(all, target, "h", SIGNED_AT_MS));
	for (int i = 0; i < 4 * SIGNED_URLS_MAX; i++) {
		(void)snprintf(target, sizeof(target), "/media/%d", i);
		for (int n = 0; n < 2; n++)
			signed_urls_put(all, router, target, "h", &good);
		assert_true(found(all, target, "h", SIGNED_AT_MS));
	}
	for (int i = 0; i < 4 * SIGNED_URLS_MAX; i++) {
		(void)snprintf(target, sizeof(target), "/media/%d", i);
		count += found(all, target, "h", SIGNED_AT_MS);
	}
	assert_in_range(count, 1, SIGNED_URLS_MAX);
	signed_urls_free(all);
}

/* Each puts and finds URLs that fall on the same places as the others'. */
static void *churn(void *arg)
{
	struct signed_urls *all = arg;
	char target[64];
	for (int i = 0; i < 20000; i++) {
		(void)snprintf(target, sizeof(target), "/media/%d", i % (2 * SIGNED_URLS_MAX));
		struct signed_url *u = signed_urls_find(all, target, "h", SIGNED_AT_MS);
		if (u && strcmp(u->uri.path, target) != 0)
			return arg;
		signed_urls_put(all, router, target, "h", &good);
		signed_url_release(u);
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	struct signed_urls *all = signed_urls_new();
	pthread_t threads[4];
	for (size_t i = 0; i < MR_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, all), 0);
	for (size_t i = 0; i < MR_ARRAY_SIZE(threads); i++) {
		void *wrong = NULL;
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	signed_urls_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_found), cmocka_unit_test(test_bounds),
					    cmocka_unit_test(test_threads) };
	return cmocka_run_group_tests(tests, setup, teardown);
}
