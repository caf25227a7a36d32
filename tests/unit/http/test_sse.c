/* Server-Sent Events over the wire. */
#include <assert.h>
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

static struct sse_stream *_Atomic current;
static atomic_uint closes;
static char last_id[64];

static void gone(void *ctx)
{
	assert(ctx == &closes);
	atomic_fetch_add(&closes, 1);
}

static int events(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	struct sse_stream *st;
	const char *last = sse_last_event_id(req);
	(void)snprintf(last_id, sizeof(last_id), "%s", last ? last : "-");
	const struct sse_opts o = { .queue_bytes = 4000, .retry_ms = 123, .on_close = gone, .on_close_ctx = &closes };
	if (http_respond_events(req, &o, &st, e) < 0)
		return -(int)e->kind;
	assert(sse_send(st, NULL, "hello", "before the handler has returned") == 0);
	atomic_store(&current, st);
	return 0;
}

static const struct http_route routes[] = { { "GET", "/events", events, .access = HTTP_ACCESS_USER } };

static struct sse_stream *open_stream(const struct fixture *f, const char *headers, int *ret_fd)
{
	*ret_fd = dial(f->port);
	assert_true(send_text(*ret_fd, "GET /events HTTP/1.1\r\nHost: localhost\r\n%s\r\n", headers));
	assert_non_null(read_until(*ret_fd, "before the handler has returned\n\n"));
	return atomic_load(&current);
}

static void wait_for_closes(unsigned count)
{
	for (int i = 0; i < 30000 && atomic_load(&closes) < count; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&closes), count);
}

static int setup(void **state)
{
	static struct fixture f;
	atomic_store(&closes, 0);
	fixture_start(&f, (struct http_server_opts) { .sse_heartbeat_ms = 100, .max_connections = 20 }, NULL, routes,
		      1);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	fixture_stop(*state);
	return 0;
}

static void test_events(void **state)
{
	int fd;
	struct fixture *f = *state;
	fd = dial(f->port);
	assert_true(send_text(fd, "GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 41\r\n\r\n"));
	struct answer a = read_head(fd);
	assert_string_equal(header(&a, "Content-Type"), "text/event-stream");
	assert_string_equal(header(&a, "Cache-Control"), "no-store");
	answer_free(&a);
	assert_non_null(read_until(fd, "retry: 123\n\n"));
	assert_non_null(read_until(fd, "event: hello\ndata: before the handler has returned\n\n"));
	struct sse_stream *st = atomic_load(&current);
	assert_string_equal(last_id, "41");
	assert_int_equal(sse_send(st, "4\r\n2", "pro\ngress", "one\ntwo\r\nthree\rfour"), 0);
	assert_non_null(read_until(fd, "id: 42\nevent: progress\ndata: one\ndata: two\ndata: three\ndata: four\n\n"));
	assert_int_equal(sse_send(st, NULL, NULL, ""), 0);
	assert_non_null(read_until(fd, "data: \n\n"));
	assert_non_null(read_until(fd, ":\n\n")); /* heartbeat */
	assert_non_null(read_until(fd, ":\n\n"));
	sse_close(st);
	assert_int_equal(sse_send(st, NULL, NULL, "x"), -ERR_LOST);
	assert_non_null(read_until(fd, "0\r\n\r\n"));
	wait_for_closes(1);
	assert_true(sse_is_closed(st));
	sse_unref(st);
	close(fd);
}

static void test_overflow(void **state)
{
	int fd;
	/* The connection closes behind the stream, which is the end that the last read waits for. */
	struct sse_stream *st = open_stream(*state, "Connection: close\r\n", &fd);
	char text[1001];
	memset(text, 'x', 1000);
	text[1000] = '\0';
	int r = 0;
	size_t sent = 0;
	/* Nobody reads: first the socket's buffers fill, then the queue. */
	while (r == 0 && sent < 100000) {
		r = sse_send(st, NULL, NULL, text);
		sent += r == 0;
	}
	assert_int_equal(r, -ERR_TOO_LARGE);
	assert_int_equal(sse_send(st, NULL, NULL, "x"), -ERR_LOST);
	/* What was queued before arrives, whole, and then the end. */
	size_t seen = 0;
	const char *s;
	while ((s = read_until(fd, "\n\n")) && strstr(s, text))
		seen++;
	assert_int_equal(seen, sent);
	wait_for_closes(1);
	sse_unref(st);
	close(fd);
}

static void test_disconnect(void **state)
{
	int fd;
	struct sse_stream *st = open_stream(*state, "", &fd);
	close(fd);
	wait_for_closes(1); /* by the heartbeat */
	assert_int_equal(sse_send(st, NULL, NULL, "x"), -ERR_LOST);
	sse_unref(st);
}

static void test_too_many(void **state)
{
	int fds[10];
	struct fixture *f = *state;
	for (int i = 0; i < 10; i++)
		sse_unref(open_stream(f, "", &fds[i]));
	struct answer a = request(f->port, "GET", "/events", "", NULL);
	assert_int_equal(a.status, 429);
	answer_free(&a);
	for (int i = 0; i < 10; i++)
		close(fds[i]);
	wait_for_closes(10);
}

static void test_head(void **state)
{
	struct fixture *f = *state;
	struct answer a = request(f->port, "HEAD", "/events", "", NULL);
	assert_int_equal(a.status, 200);
	answer_free(&a);
	wait_for_closes(1);
	sse_unref(atomic_load(&current));
}

/* A drain ends streams, and a stop with open streams does not panic libmicrohttpd. */
static void test_drain(void **state)
{
	int fd, other;
	struct fixture *f = *state;
	struct sse_stream *st = open_stream(f, "", &fd);
	assert_int_equal(sse_send(st, NULL, NULL, "last words"), 0);
	assert_int_equal(http_server_drain(f->server, 20000), 0);
	assert_non_null(read_until(fd, "last words\n\n"));
	assert_non_null(read_until(fd, "0\r\n\r\n"));
	wait_for_closes(1);
	sse_unref(st);
	close(fd);

	struct fixture g;
	fixture_start(&g, (struct http_server_opts) { 0 }, NULL, routes, 1);
	st = open_stream(&g, "", &other);
	fixture_stop(&g);
	assert_int_equal(atomic_load(&closes), 2);
	assert_true(sse_is_closed(st));
	assert_int_equal(sse_send(st, NULL, NULL, "x"), -ERR_LOST);
	sse_unref(st);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disconnect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
