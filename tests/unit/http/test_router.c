/* The route table's check, the router, and request targets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/router.h"
#include "http/upload.h"
#include "http/uri.h"

static int handler(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)req;
	(void)e;
	return 0;
}

static int load(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e)
{
	(void)ctx;
	(void)who;
	(void)req;
	(void)ret;
	(void)e;
	return 0;
}

static const struct http_sink half_sink;

/* Each of these must stop a server from starting. */
static void test_bad_routes(void **state)
{
	(void)state;
	static const struct http_route bad[] = {
		{ "GET", "/x", handler }, /* access forgotten */
		{ "GET", "/x", handler, .access = (enum http_access)99 },
		{ "GET", "/x/{id}", handler, .access = HTTP_ACCESS_USER },
		{ "GET", "/x/{id}", handler, .access = HTTP_ACCESS_PUBLIC },
		{ "GET", "/x/{id}", handler, .access = HTTP_ACCESS_OWNER },
		{ "GET", "/x", handler, .access = HTTP_ACCESS_USER, .load = load },
		{ "GET", "/x", handler, .access = HTTP_ACCESS_USER, .where = HTTP_INLINE },
		{ "POST", "/x", handler, .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE, .body = HTTP_BODY_JSON },
		{ "GET", "/x", handler, .access = HTTP_ACCESS_USER, .where = HTTP_INLINE_FIRST },
		{ "GET", "/x", handler, .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE_FIRST },
		{ "POST", "/x", handler, .access = HTTP_ACCESS_SIGNED, .where = HTTP_INLINE_FIRST, .body = HTTP_BODY_BYTES },
		{ "GET", "/x", NULL, .access = HTTP_ACCESS_PUBLIC },
		{ "POST", "/x", NULL, .access = HTTP_ACCESS_PUBLIC, .body = HTTP_BODY_STREAM },
		{ "POST", "/x", NULL, .access = HTTP_ACCESS_PUBLIC, .body = HTTP_BODY_STREAM, .sink = &half_sink },
		{ "get", "/x", handler, .access = HTTP_ACCESS_PUBLIC },
		{ "GET", "x", handler, .access = HTTP_ACCESS_PUBLIC },
		{ "GET", NULL, handler, .access = HTTP_ACCESS_PUBLIC },
		{ "GET", "/x{id}", handler, .access = HTTP_ACCESS_PUBLIC, .public_param = true },
		{ "GET", "/{}", handler, .access = HTTP_ACCESS_PUBLIC, .public_param = true },
		{ "GET", "/{a...}/b", handler, .access = HTTP_ACCESS_PUBLIC, .public_param = true },
		{ "GET", "/{a}/{b}/{c}/{d}/{e}", handler, .access = HTTP_ACCESS_PUBLIC, .public_param = true },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		struct err e = { 0 };
		if (http_routes_check(&bad[i], 1, &e) != -ERR_INVALID)
			fail_msg("route %zu passed", i);
	}
	static const struct http_route twice[] = {
		{ "GET", "/x/{id}", handler, .access = HTTP_ACCESS_OWNER, .load = load },
		{ "GET", "/x/{other}", handler, .access = HTTP_ACCESS_OWNER, .load = load },
	};
	assert_int_equal(http_routes_check(twice, 2, NULL), -ERR_INVALID);
}

static const struct http_route routes[] = {
	{ "GET", "/{rest...}", handler, .access = HTTP_ACCESS_PUBLIC, .public_param = true },
	{ "GET", "/", handler, .access = HTTP_ACCESS_PUBLIC },
	{ "GET", "/api/jobs/{id}", handler, .access = HTTP_ACCESS_OWNER, .load = load },
	{ "DELETE", "/api/jobs/{id}", handler, .access = HTTP_ACCESS_OWNER, .load = load },
	{ "GET", "/api/jobs/stats", handler, .access = HTTP_ACCESS_USER },
	{ "GET", "/api/jobs/{id}/events", handler, .access = HTTP_ACCESS_OWNER, .load = load },
	{ "POST", "/api/jobs", handler, .access = HTTP_ACCESS_USER },
	{ "GET", "/media/{key...}", handler, .access = HTTP_ACCESS_SIGNED },
	{ "PUT", "/media/{key...}", handler, .access = HTTP_ACCESS_SIGNED },
};

static void test_find(void **state)
{
	(void)state;
	static const struct {
		const char *method, *path, *pattern; /* NULL: 405 */
		const char *value;                   /* of the first parameter */
	} t[] = {
		{ "GET", "/", "/", NULL },
		{ "GET", "/api/jobs/0190", "/api/jobs/{id}", "0190" },
		{ "HEAD", "/api/jobs/0190", "/api/jobs/{id}", "0190" },
		{ "DELETE", "/api/jobs/0190", "/api/jobs/{id}", "0190" },
		{ "GET", "/api/jobs/stats", "/api/jobs/stats", NULL },
		{ "DELETE", "/api/jobs/stats", "/api/jobs/{id}", "stats" },
		{ "GET", "/api/jobs/a%20b", "/api/jobs/{id}", "a b" },
		{ "GET", "/api/%6Aobs/x", "/api/jobs/{id}", "x" },
		{ "GET", "/api/jobs/x/events", "/api/jobs/{id}/events", "x" },
		{ "GET", "/api/jobs/x/", "/{rest...}", "api/jobs/x/" },
		{ "GET", "/media/hls/u/j/a.m4s", "/media/{key...}", "hls/u/j/a.m4s" },
		{ "PUT", "/media/a%2Fb", "/media/{key...}", "a/b" },
		{ "GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14", "/{rest...}", "1/2/3/4/5/6/7/8/9/10/11/12/13/14" },
		{ "PATCH", "/api/jobs/x", NULL, NULL },
		{ "POST", "/", NULL, NULL },
	};
	struct err e;
	assert_int_equal(http_routes_check(routes, MR_ARRAY_SIZE(routes), &e), 0);
	struct router *r = router_new(routes, MR_ARRAY_SIZE(routes));
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		struct arena a = { 0 };
		struct router_match m;
		assert_int_equal(router_find(r, t[i].method, t[i].path, &a, &m, &e), 0);
		if (!t[i].pattern) {
			assert_null(m.route);
		} else {
			assert_non_null(m.route);
			assert_string_equal(m.route->pattern, t[i].pattern);
		}
		if (t[i].value)
			assert_string_equal(m.params[0].value, t[i].value);
		arena_release(&a);
	}
	struct arena a = { 0 };
	struct router_match m;
	assert_int_equal(router_find(r, "PATCH", "/api/jobs/x", &a, &m, &e), 0);
	assert_string_equal(m.allow, "GET, HEAD, DELETE, OPTIONS");
	assert_int_equal(router_find(r, "GET", "/api/jobs/a%2Fb", &a, &m, &e), -ERR_INVALID);
	arena_release(&a);
	router_free(r);
}

static void test_not_found(void **state)
{
	(void)state;
	struct router *r = router_new(routes + 1, MR_ARRAY_SIZE(routes) - 1);
	static const char *const unknown[] = { "/x",      "/api/jobs/", "/api//jobs", "/api/jobs/x/y",
					       "/media/", "/media",     "//" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(unknown); i++) {
		struct arena a = { 0 };
		struct router_match m;
		struct err e;
		assert_int_equal(router_find(r, "GET", unknown[i], &a, &m, &e), -ERR_NOT_FOUND);
		arena_release(&a);
	}
	router_free(r);
}

static void test_uri(void **state)
{
	(void)state;
	static const struct {
		const char *target, *path, *name, *value;
		size_t count;
	} good[] = {
		{ "/", "/", NULL, NULL, 0 },
		{ "/a%20b?x=1&y=2", "/a b", "x", "1", 2 },
		{ "/?a=b+c%2B", "/", "a", "b c+", 1 },
		{ "/?flag&&x=", "/", "flag", "", 2 },
		{ "/?a=b=c#frag", "/", "a", "b=c", 1 },
		{ "http://evil.example/p?q=1", "/p", "q", "1", 1 },
		{ "/a%2Fb", "/a/b", NULL, NULL, 0 },
		{ "/..a/b..", "/..a/b..", NULL, NULL, 0 },
		{ "/?q=%C3%A4", "/", "q", "\xC3\xA4", 1 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(good); i++) {
		struct arena a = { 0 };
		struct uri u;
		struct err e;
		if (uri_parse(&a, good[i].target, &u, &e) < 0)
			fail_msg("%s: %s", good[i].target, e.message);
		assert_string_equal(u.path, good[i].path);
		assert_int_equal(u.query_count, good[i].count);
		if (good[i].name) {
			assert_string_equal(u.query[0].name, good[i].name);
			assert_string_equal(u.query[0].value, good[i].value);
		}
		arena_release(&a);
	}
	static const char *const bad[] = { "",       "x",           "/a/../b",     "/..",     "/.",      "/%2e%2e/x",
					   "/a/%2E", "/%2e%2e%2fx", "/a%2f..%2fb", "/%",      "/%4",     "/%zz",
					   "/a%00b", "/a%0Ab",      "/%ff",        "/?a=%00", "/?a=%zz", "/?a=%ff",
					   "/a b",   "/a\tb",       "/%c0%af" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		struct arena a = { 0 };
		struct uri u;
		struct err e;
		if (uri_parse(&a, bad[i], &u, &e) != -ERR_INVALID)
			fail_msg("%s passed", bad[i]);
		arena_release(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_routes),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_uri),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
