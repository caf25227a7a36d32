/* The server by its wire: routes, errors, limits, ids, CORS, slow clients, many at once, drain. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "fixture.h"

static struct gate *gate;
static atomic_uint unloads;

static int healthz(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)e;
	return http_respond_text(req, 200, "text/plain", "ok\n");
}

static int echo(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)e;
	const struct http_identity *who = http_request_identity(req);
	json_t *in = http_request_json(req);
	return http_respond_json(req, 200,
				 json_pack("{s:s,s:s,s:O*,s:s,s:s?}", "path", http_request_path(req), "user",
					   who ? who->user : "-", "json", in, "base", http_request_base_url(req), "q",
					   http_request_query(req, "q")));
}

static int wait_handler(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)e;
	gate_pass(gate);
	return http_respond_empty(req, 204);
}

static int fails(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	const char *kind = http_request_query(req, "kind");
	if (strcmp(kind, "internal") == 0)
		return err_set(e, ERR_INTERNAL, "the secret path /etc/x");
	if (strcmp(kind, "busy") == 0)
		return err_set(e, ERR_BUSY, "later");
	if (strcmp(kind, "silent") == 0)
		return -ERR_NOT_FOUND;
	return 0; /* forgot to answer */
}

static int load(void *ctx, const struct http_identity *who, struct http_request *req, void **ret, struct err *e)
{
	(void)ctx;
	if (strcmp(who->user, "alice") != 0)
		return err_set(e, ERR_NOT_FOUND, "no thing %s", http_request_param(req, "id"));
	*ret = strdup(http_request_param(req, "id"));
	return 0;
}

static void unload(void *ctx, void *resource)
{
	(void)ctx;
	free(resource);
	atomic_fetch_add(&unloads, 1);
}

static int thing(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)e;
	return http_respond_text(req, 200, "text/plain", http_request_resource(req));
}

static int page(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)e;
	static const struct http_asset asset = { "/", "text/html; charset=utf-8", "<p>plain", 8, "GZIPGZIP!", 9, "v1",
						 NULL };
	return http_respond_asset(req, &asset);
}

static const struct http_route routes[] = {
	{ "GET", "/healthz", healthz, .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE },
	{ "GET", "/", page, .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE, .page = true,
	  .csp = "default-src 'self'" },
	{ "GET", "/echo", echo, .access = HTTP_ACCESS_USER },
	{ "POST", "/echo", echo, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_JSON, .body_max_bytes = 100000 },
	{ "GET", "/wait", wait_handler, .access = HTTP_ACCESS_USER },
	{ "GET", "/fails", fails, .access = HTTP_ACCESS_USER },
	{ "GET", "/things/{id}", thing, .access = HTTP_ACCESS_OWNER, .load = load, .unload = unload },
	{ "POST", "/things/{id}", thing, .access = HTTP_ACCESS_OWNER, .load = load, .unload = unload,
	  .body = HTTP_BODY_JSON },
};

static int setup(void **state)
{
	static struct fixture f;
	static const char *const origins[] = { "https://app.example", NULL };
	gate = gate_new();
	fixture_start(&f, (struct http_server_opts) { .cors_origins = origins }, NULL, routes, MR_ARRAY_SIZE(routes));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	fixture_stop(*state);
	gate_free(gate);
	return 0;
}

static void expect_error(struct answer a, int status, const char *code)
{
	if (a.status != status || !strstr(a.body, code))
		fail_msg("wanted %d %s, got %s%s", status, code, a.head, a.body);
	assert_string_equal(header(&a, "Content-Type"), "application/json");
	assert_string_equal(header(&a, "Cache-Control"), "no-store");
	json_error_t why;
	json_t *v = json_loads(a.body, 0, &why);
	assert_non_null(v);
	json_t *error = json_object_get(v, "error");
	assert_string_equal(json_string_value(json_object_get(error, "request_id")), header(&a, "X-Request-Id"));
	assert_true(json_is_boolean(json_object_get(error, "retriable")));
	assert_non_null(json_object_get(error, "message"));
	json_decref(v);
	answer_free(&a);
}

static void test_basics(void **state)
{
	struct fixture *f = *state;
	struct answer a = request(f->port, "GET", "/healthz", "", NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "ok\n");
	assert_string_equal(header(&a, "X-Content-Type-Options"), "nosniff");
	assert_string_equal(header(&a, "Cache-Control"), "no-store");
	assert_int_equal(strlen(header(&a, "X-Request-Id")), 36);
	answer_free(&a);
	a = request(f->port, "HEAD", "/healthz", "X-Request-Id: my-id_1.2\r\n", NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(header(&a, "Content-Length"), "3");
	assert_string_equal(header(&a, "X-Request-Id"), "my-id_1.2");
	answer_free(&a);
	a = request(f->port, "GET", "/healthz", "X-Request-Id: a b\r\n", NULL);
	assert_int_equal(strlen(header(&a, "X-Request-Id")), 36);
	answer_free(&a);
	a = request(f->port, "GET", "/echo?q=a+b%2B&user_id=bob", "", NULL);
	assert_non_null(strstr(a.body, "\"user\":\"bob\""));
	assert_non_null(strstr(a.body, "\"q\":\"a b+\""));
	assert_non_null(strstr(a.body, "\"base\":\"http://127.0.0.1:"));
	answer_free(&a);
	a = request(f->port, "POST", "/echo", "Content-Type: application/x-www-form-urlencoded\r\n",
		    "{\"user_id\":\"eve\",\"n\":1}");
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "\"user\":\"eve\""));
	answer_free(&a);
	a = request(f->port, "POST", "/echo", "", "");
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "\"json\":{}"));
	answer_free(&a);
}

static void test_errors(void **state)
{
	struct fixture *f = *state;
	struct http_server_stats stats;
	expect_error(request(f->port, "GET", "/nothing", "", NULL), 404, "NOT_FOUND");
	expect_error(request(f->port, "GET", "/%2e%2e/etc/passwd", "", NULL), 400, "INVALID_URL");
	expect_error(request(f->port, "GET", "/a%00b", "", NULL), 400, "INVALID_URL");
	struct answer a = request(f->port, "PUT", "/echo", "", NULL);
	assert_string_equal(header(&a, "Allow"), "GET, HEAD, POST, OPTIONS");
	expect_error(a, 405, "METHOD_NOT_ALLOWED");
	expect_error(request(f->port, "POST", "/healthz", "", "x"), 405, "METHOD_NOT_ALLOWED");
	expect_error(request(f->port, "POST", "/echo", "", "{\"a\":"), 400, "INVALID_JSON");
	expect_error(request(f->port, "POST", "/echo", "", "[1]"), 400, "INVALID_JSON");
	expect_error(request(f->port, "POST", "/echo", "", "{\"user_id\":7}"), 400, "user_id");
	expect_error(request(f->port, "GET", "/echo?user_id=", "", NULL), 400, "INVALID_FIELD");
	expect_error(request(f->port, "GET", "/fails?kind=silent", "", NULL), 404, "NOT_FOUND");
	expect_error(request(f->port, "GET", "/fails?kind=none", "", NULL), 500, "INTERNAL_ERROR");
	a = request(f->port, "GET", "/fails?kind=internal", "", NULL);
	assert_null(strstr(a.body, "secret path"));
	expect_error(a, 500, "INTERNAL_ERROR");
	a = request(f->port, "GET", "/fails?kind=busy", "", NULL);
	assert_string_equal(header(&a, "Retry-After"), "5");
	expect_error(a, 429, "TOO_MANY_REQUESTS");
	http_server_get_stats(f->server, &stats);
	assert_true(stats.errors >= 1 && stats.requests >= stats.errors);
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	char *big = mr_calloc(1, 200001);
	memset(big, 'a', 200000);
	char *target = mr_asprintf("/echo?q=%.9000s", big);
	expect_error(request(f->port, "GET", target, "", NULL), 414, "URL_TOO_LONG");
	free(target);
	char *headers = mr_asprintf("X-A: %.9000s\r\nX-B: %.9000s\r\n", big, big);
	expect_error(request(f->port, "GET", "/echo", headers, NULL), 431, "HEADERS_TOO_LARGE");
	free(headers);
	/* Announced too large: refused before it is read, and the answer survives the client's sending on. */
	expect_error(request(f->port, "POST", "/echo", "", big), 413, "TOO_LARGE");
	/* Chunked: found out on the way. */
	int fd = dial(f->port);
	assert_true(send_text(
		fd,
		"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n%s\r\n0\r\n\r\n",
		big));
	expect_error(read_answer(fd, true), 413, "TOO_LARGE");
	close(fd);
	expect_error(request(f->port, "GET", "/echo", "", "body"), 413, "takes no body");
	/* Heads beyond libmicrohttpd's memory: its own answer, but an answer. */
	headers = mr_asprintf("X-A: %.60000s\r\n", big);
	struct answer a = request(f->port, "GET", "/echo", headers, NULL);
	assert_true(a.status == 431 || a.status == 413 || a.closed);
	answer_free(&a);
	free(headers);
	free(big);
}

static void test_smuggling(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {
		"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"GET /echo HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n",
		"GET /echo HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"GET /echo HTTP/1.1\r\n\r\n",
		"GET /echo HTTP/1.1\r\nHost: localhost\r\nX Y: 1\r\n\r\n",
		"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		int fd = dial(f->port);
		assert_true(send_all(fd, bad[i], strlen(bad[i])));
		struct answer a = read_answer(fd, true);
		if (a.status != 400)
			fail_msg("%s: %s", bad[i], a.head);
		answer_free(&a);
		close(fd);
	}
	/* A page's own name that resolves to loopback (DNS rebinding), and a page of another site. */
	int fd = dial(f->port);
	assert_true(send_text(fd, "GET /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
	expect_error(read_answer(fd, true), 421, "MISDIRECTED");
	close(fd);
	expect_error(request(f->port, "POST", "/echo", "Origin: https://evil.example\r\n", "{}"), 403, "CROSS_ORIGIN");
	expect_error(request(f->port, "POST", "/echo", "Origin: null\r\n", "{}"), 403, "CROSS_ORIGIN");
	struct answer a = request(f->port, "POST", "/echo", "Origin: https://app.example\r\n", "{}");
	assert_int_equal(a.status, 200);
	answer_free(&a);
}

static void test_keep_alive(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f->port);
	/* Pipelined; a refused small body keeps the connection, too. */
	assert_true(send_text(fd, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
				  "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody"
				  "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{\"a\":1}"
				  "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	static const int want[] = { 200, 404, 200, 200 };
	for (size_t i = 0; i < MR_ARRAY_SIZE(want); i++) {
		struct answer a = read_answer(fd, true);
		assert_int_equal(a.status, want[i]);
		answer_free(&a);
	}
	close(fd);
}

static void test_owner(void **state)
{
	struct fixture *f = *state;
	unsigned before = atomic_load(&unloads);
	struct answer a = request(f->port, "GET", "/things/t1?user_id=alice", "", NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "t1");
	answer_free(&a);
	expect_error(request(f->port, "GET", "/things/t1?user_id=bob", "", NULL), 404, "NOT_FOUND");
	a = request(f->port, "POST", "/things/t2", "", "{\"user_id\":\"alice\"}");
	assert_string_equal(a.body, "t2");
	answer_free(&a);
	expect_error(request(f->port, "POST", "/things/t2", "", "{}"), 404, "NOT_FOUND");
	assert_int_equal(atomic_load(&unloads) - before, 2);
}

static void test_cors(void **state)
{
	struct fixture *f = *state;
	struct answer a = request(f->port, "OPTIONS", "/things/x",
				  "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n", NULL);
	assert_int_equal(a.status, 204);
	assert_string_equal(header(&a, "Access-Control-Allow-Origin"), "https://app.example");
	assert_string_equal(header(&a, "Access-Control-Allow-Credentials"), "true");
	assert_non_null(strstr(header(&a, "Access-Control-Allow-Methods"), "POST"));
	assert_non_null(strstr(header(&a, "Access-Control-Allow-Headers"), "Authorization"));
	answer_free(&a);
	a = request(f->port, "OPTIONS", "/things/x",
		    "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n", NULL);
	assert_null(header(&a, "Access-Control-Allow-Origin"));
	answer_free(&a);
	a = request(f->port, "OPTIONS", "/things/x", "", NULL);
	assert_int_equal(a.status, 204);
	assert_string_equal(header(&a, "Allow"), "GET, HEAD, POST, OPTIONS");
	answer_free(&a);
	a = request(f->port, "GET", "/nothing", "Origin: https://app.example\r\n", NULL);
	assert_string_equal(header(&a, "Access-Control-Allow-Origin"), "https://app.example");
	assert_string_equal(header(&a, "Vary"), "Origin");
	assert_non_null(strstr(header(&a, "Access-Control-Expose-Headers"), "X-Request-Id"));
	answer_free(&a);
}

static void test_page(void **state)
{
	struct fixture *f = *state;
	struct answer a = request(f->port, "GET", "/", "", NULL);
	assert_string_equal(a.body, "<p>plain");
	assert_string_equal(header(&a, "ETag"), "\"v1\"");
	assert_string_equal(header(&a, "Cache-Control"), "no-cache");
	assert_string_equal(header(&a, "Content-Security-Policy"), "default-src 'self'");
	assert_null(header(&a, "Content-Encoding"));
	answer_free(&a);
	a = request(f->port, "GET", "/", "Accept-Encoding: br, gzip\r\n", NULL);
	assert_string_equal(a.body, "GZIPGZIP!");
	assert_string_equal(header(&a, "ETag"), "\"v1-gz\"");
	assert_string_equal(header(&a, "Content-Encoding"), "gzip");
	answer_free(&a);
	a = request(f->port, "GET", "/", "If-None-Match: W/\"v1\"\r\n", NULL);
	assert_int_equal(a.status, 304);
	assert_string_equal(header(&a, "ETag"), "\"v1\"");
	answer_free(&a);
}

/* A head, then a body, that never ends; and a first line that never comes. */
static void test_slow_clients(void **state)
{
	(void)state;
	struct fixture f; /* of its own: for the others no client is slow, however busy the machine is */
	fixture_start(&f, (struct http_server_opts) { .header_timeout_ms = 400, .body_timeout_ms = 400 }, NULL, routes,
		      MR_ARRAY_SIZE(routes));
	int fd = dial(f.port);
	assert_true(send_text(fd, "GET /echo HTTP/1.1\r\nHost: local"));
	expect_error(read_answer(fd, true), 408, "REQUEST_TIMEOUT");
	assert_int_equal(read_to_end(fd), 0);
	close(fd);
	fd = dial(f.port);
	assert_true(send_text(fd, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"));
	expect_error(read_answer(fd, true), 408, "REQUEST_TIMEOUT");
	close(fd);
	fd = dial(f.port);
	assert_int_equal(read_to_end(fd), 0);
	close(fd);
	fixture_stop(&f);
}

static void *one_of_many(void *arg)
{
	const struct fixture *f = arg;
	int ok = 0;
	for (int i = 0; i < 3; i++) {
		struct answer a = i == 1 ? request(f->port, "POST", "/echo", "", "{\"a\":1}")
					 : request(f->port, "GET", "/echo", "", NULL);
		ok += a.status == 200;
		answer_free(&a);
	}
	return (void *)(intptr_t)ok;
}

static void test_many(void **state)
{
	enum { N = 200 };
	static pthread_t t[N];
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_create(&t[i], NULL, one_of_many, *state), 0);
	for (int i = 0; i < N; i++) {
		void *ok;
		(void)pthread_join(t[i], &ok);
		assert_int_equal((intptr_t)ok, 3);
	}
}

/* More handlers block than there are pool threads; the HTTP threads answer on. Then the clients vanish. */
static void test_blocked_pool(void **state)
{
	struct fixture *f = *state;
	int fds[8];
	for (size_t i = 0; i < MR_ARRAY_SIZE(fds); i++) {
		fds[i] = dial(f->port);
		assert_true(send_text(fds[i], "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	}
	gate_wait(gate, 4);
	struct answer a = request(f->port, "GET", "/healthz", "", NULL);
	assert_int_equal(a.status, 200);
	answer_free(&a);
	close(fds[0]);
	gate_open(gate);
	for (size_t i = 1; i < MR_ARRAY_SIZE(fds); i++) {
		a = read_answer(fds[i], true);
		assert_int_equal(a.status, 204);
		answer_free(&a);
		close(fds[i]);
	}
}

static void *drain_thread(void *arg)
{
	struct fixture *f = arg;
	return (void *)(intptr_t)http_server_drain(f->server, 20000);
}

static void test_drain(void **state)
{
	(void)state;
	struct fixture f;
	struct gate *shared = gate;
	gate = gate_new();
	fixture_start(&f, (struct http_server_opts) { 0 }, NULL, routes, MR_ARRAY_SIZE(routes));
	int busy = dial(f.port), idle = dial(f.port);
	assert_true(send_text(idle, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	struct answer a = read_answer(idle, true);
	answer_free(&a);
	assert_true(send_text(busy, "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	gate_wait(gate, 1);
	assert_int_equal(http_server_drain(f.server, 1), -ERR_TIMEOUT);
	/* Still answered on a connection that is open, which is closed then. */
	assert_true(send_text(idle, "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	a = read_answer(idle, true);
	assert_int_equal(a.status, 200);
	assert_string_equal(header(&a, "Connection"), "close");
	answer_free(&a);
	assert_int_equal(read_to_end(idle), 0);
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, drain_thread, &f), 0);
	gate_open(gate);
	a = read_answer(busy, true);
	assert_int_equal(a.status, 204);
	answer_free(&a);
	void *r;
	(void)pthread_join(t, &r);
	assert_int_equal((intptr_t)r, 0);
	close(busy);
	close(idle);
	fixture_stop(&f);
	gate_free(gate);
	gate = shared;
}

/* A full pool refuses what is more, and serves again when it has room. */
static void test_overload(void **state)
{
	(void)state;
	struct fixture f;
	struct gate *shared = gate;
	struct pool *small;
	struct err e;
	int fds[8];
	unsigned served = 0, refused = 0;
	gate = gate_new();
	assert_int_equal(pool_new("small", 1, 1, &small, &e), 0);
	fixture_start(&f, (struct http_server_opts) { .pool = small }, NULL, routes, MR_ARRAY_SIZE(routes));
	for (size_t i = 0; i < MR_ARRAY_SIZE(fds); i++) {
		fds[i] = dial(f.port);
		assert_true(send_text(fds[i], "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"));
		if (i == 0)
			gate_wait(gate, 1);
	}
	/* One is inside, one waits; six are refused before the gate opens. */
	for (struct http_server_stats s = { 0 }; s.requests < 6; usleep(1000))
		http_server_get_stats(f.server, &s);
	gate_open(gate);
	for (size_t i = 0; i < MR_ARRAY_SIZE(fds); i++) {
		struct answer a = read_answer(fds[i], true);
		served += a.status == 204;
		refused += a.status == 503 && strstr(a.body, "OVERLOADED") && header(&a, "Retry-After");
		answer_free(&a);
		close(fds[i]);
	}
	assert_int_equal(served, 2);
	assert_int_equal(refused, 6);
	fixture_stop(&f);
	gate_free(gate);
	gate = shared;
}

static void test_refusals(void **state)
{
	(void)state;
	struct err e;
	struct http_server *s;
	static const struct http_route forgotten[] = { { "GET", "/x", healthz } };
	static const struct http_route user[] = { { "GET", "/x", healthz, .access = HTTP_ACCESS_USER } };
	struct http_server_opts o = { .listen = ":0" };
	assert_int_equal(http_server_start(&o, forgotten, 1, &s, &e), -ERR_INVALID);
	assert_int_equal(http_server_start(&o, user, 1, &s, &e), -ERR_INVALID);
	static const char *const bad[] = { "", "8080", "localhost", "a:b", "::1:80", "x:99999", "x:" };
	for (size_t i = 0; i < MR_ARRAY_SIZE(bad); i++) {
		o.listen = bad[i];
		assert_int_equal(http_server_start(&o, routes, 1, &s, &e), -ERR_INVALID);
	}
	struct fixture f;
	fixture_start(&f, (struct http_server_opts) { 0 }, NULL, routes, MR_ARRAY_SIZE(routes));
	char address[40];
	(void)snprintf(address, sizeof(address), "127.0.0.1:%u", f.port);
	o.listen = address;
	assert_int_equal(http_server_start(&o, routes, 1, &s, &e), -ERR_CONFLICT);
	o.listen = "0.0.0.0:0";
	o.auth = f.auth;
	o.pool = f.pool;
	assert_int_equal(http_server_start(&o, routes, MR_ARRAY_SIZE(routes), &s, &e), -ERR_INVALID);
	assert_string_equal(e.code, "INSECURE_LISTEN");
	fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basics),   cmocka_unit_test(test_errors),    cmocka_unit_test(test_limits),
		cmocka_unit_test(test_owner),    cmocka_unit_test(test_smuggling), cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_cors),     cmocka_unit_test(test_page),      cmocka_unit_test(test_slow_clients),
		cmocka_unit_test(test_many),     cmocka_unit_test(test_drain),     cmocka_unit_test(test_blocked_pool),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_overload),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
