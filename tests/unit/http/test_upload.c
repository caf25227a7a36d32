/* Streamed bodies: raw, chunked and multipart, back-pressure, refusals before and in the middle, clients that go away.
 */
#include <assert.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/id.h"
#include "client.h"
#include "fixture.h"
#include "http/upload.h"
#include "net/digest.h"

#define MAX_BYTES (8u << 20)

/* What the sink saw; counted over all uploads. */
static atomic_uint begins, finishes, aborts, largest;
static atomic_ullong written;
static struct gate *gate;
static atomic_bool gated;

struct state_of {
	struct sha256_stream *sha;
	uint64_t bytes;
	atomic_bool busy;
	char filename[300], type[100];
	bool fail_write, fail_finish;
};

static int begin(void *ctx, struct http_request *req, const struct http_upload *up, void **ret, struct err *e)
{
	(void)ctx;
	const char *mode = http_request_query(req, "mode");
	if (mode && strcmp(mode, "refuse") == 0)
		return err_set(e, ERR_UNSUPPORTED, "not this type");
	struct state_of *s = mr_calloc(1, sizeof(*s));
	s->sha = sha256_stream_new();
	(void)snprintf(s->filename, sizeof(s->filename), "%s", up->filename ? up->filename : "-");
	(void)snprintf(s->type, sizeof(s->type), "%s", up->content_type ? up->content_type : "-");
	s->fail_write = mode && strcmp(mode, "fail_write") == 0;
	s->fail_finish = mode && strcmp(mode, "fail_finish") == 0;
	atomic_fetch_add(&begins, 1);
	*ret = s;
	return 0;
}

static int write_(void *state, const void *data, size_t len, struct err *e)
{
	struct state_of *s = state;
	assert(!atomic_exchange(&s->busy, true)); /* one piece at a time */
	if (atomic_load(&gated))
		gate_pass(gate);
	sha256_stream_update(s->sha, data, len);
	s->bytes += len;
	atomic_fetch_add(&written, len);
	if (len > atomic_load(&largest))
		atomic_store(&largest, (unsigned)len);
	atomic_store(&s->busy, false);
	return s->fail_write ? err_set(e, ERR_NO_SPACE, "the disk is full") : 0;
}

static void drop(struct state_of *s, char hex[SHA256_HEX_SIZE])
{
	uint8_t sum[SHA256_BYTES];
	sha256_stream_final(s->sha, sum);
	for (int i = 0; i < SHA256_BYTES; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

static int finish(void *ctx, struct http_request *req, void *take, struct err *e)
{
	(void)ctx;
	struct state_of *s = take;
	char hex[SHA256_HEX_SIZE];
	drop(s, hex);
	atomic_fetch_add(&finishes, 1);
	const char *title = http_request_form(req, "title");
	int r = s->fail_finish ? err_set(e, ERR_CONFLICT, "not now")
			       : http_respond_json(req, 201,
						   json_pack("{s:s,s:s,s:s,s:I,s:s}", "sha256", hex, "filename",
							     s->filename, "type", s->type, "bytes",
							     (json_int_t)s->bytes, "title", title ? title : "-"));
	free(s);
	return r;
}

static void abort_(void *take)
{
	char hex[SHA256_HEX_SIZE];
	drop(take, hex);
	free(take);
	atomic_fetch_add(&aborts, 1);
}

static const struct http_sink sink = { begin, write_, finish, abort_, false };
static const struct http_sink keeping = { begin, write_, finish, abort_, true };

static int healthz(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	(void)e;
	return http_respond_text(req, 200, "text/plain", "ok\n");
}

static const struct http_route routes[] = {
	{ "POST", "/files", NULL, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_STREAM, .sink = &sink,
	  .body_max_bytes = MAX_BYTES },
	{ "PATCH", "/raw", NULL, .access = HTTP_ACCESS_USER, .body = HTTP_BODY_STREAM_RAW, .sink = &keeping },
	{ "GET", "/healthz", healthz, .access = HTTP_ACCESS_PUBLIC, .where = HTTP_INLINE },
};

static char *data;

static int setup(void **state)
{
	static struct fixture f;
	data = malloc(MAX_BYTES + 1);
	assert_non_null(data);
	random_bytes(data, MAX_BYTES + 1);
	fixture_start(&f, (struct http_server_opts) { 0 }, NULL, routes, MR_ARRAY_SIZE(routes));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	fixture_stop(*state);
	free(data);
	assert_int_equal(atomic_load(&begins), atomic_load(&finishes) + atomic_load(&aborts));
	return 0;
}

static void expect_stored(struct answer a, const void *bytes, size_t len, const char *filename)
{
	char hex[SHA256_HEX_SIZE];
	sha256_hex(bytes, len, hex);
	if (a.status != 201 || !strstr(a.body, hex))
		fail_msg("%s%s", a.head, a.body);
	char *name = mr_asprintf("\"filename\":\"%s\"", filename);
	assert_non_null(strstr(a.body, name));
	free(name);
	answer_free(&a);
}

static void expect_status(struct answer a, int status, const char *text)
{
	if (a.status != status || !strstr(a.body, text))
		fail_msg("wanted %d %s: %s%s", status, text, a.head, a.body);
	answer_free(&a);
}

static void test_raw(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 1, 1000, 65536, 262144, 262145, 5000000, MAX_BYTES };
	int fd = dial(f->port);
	for (size_t i = 0; i < MR_ARRAY_SIZE(sizes); i++) {
		assert_true(send_text(
			fd,
			"POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\nContent-Type: video/mp4\r\n"
			"Content-Disposition: attachment; filename=\"../a%zu.mp4\"\r\n\r\n",
			sizes[i], i));
		assert_true(send_all(fd, data, sizes[i]));
		char name[20];
		(void)snprintf(name, sizeof(name), "a%zu.mp4", i);
		expect_stored(read_answer(fd, true), data, sizes[i], name);
	}
	close(fd);
	assert_true(atomic_load(&largest) <= 256u << 10);
	expect_stored(request(f->port, "POST", "/files?filename=x.wav", "", ""), "", 0, "x.wav");
	expect_stored(request(f->port, "PATCH", "/raw", "Content-Type: multipart/form-data; boundary=x\r\n", "--x--"),
		      "--x--", 5, "-");
}

static void test_chunked(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f->port);
	assert_true(send_text(fd, "POST /files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"));
	size_t at = 0;
	for (size_t n = 1; at + n < 3000000; at += n, n = n * 3 % 100003 + 1) {
		assert_true(send_text(fd, "%zx\r\n", n));
		assert_true(send_all(fd, data + at, n));
		assert_true(send_text(fd, "\r\n"));
	}
	assert_true(send_text(fd, "0\r\n\r\n"));
	expect_stored(read_answer(fd, true), data, at, "-");
	/* Past the limit in the middle. */
	unsigned before = atomic_load(&aborts);
	assert_true(send_text(fd, "POST /files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n",
			      MAX_BYTES + 1));
	assert_true(send_all(fd, data, MAX_BYTES + 1));
	expect_status(read_answer(fd, true), 413, "TOO_LARGE");
	assert_int_equal(read_to_end(fd), 0);
	close(fd);
	while (atomic_load(&aborts) == before)
		usleep(1000);
}

static void send_multipart(int fd, const char *target, const char *before, const char *disposition, const void *bytes,
			   size_t len, const char *after)
{
	char *head = mr_asprintf("%s--BOUND\r\nContent-Disposition: form-data; %s\r\nContent-Type: audio/wav\r\n\r\n",
				 before, disposition);
	assert_true(
		send_text(fd,
			  "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=BOUND\r\n"
			  "Content-Length: %zu\r\n\r\n%s",
			  target, strlen(head) + len + strlen(after), head));
	assert_true(send_all(fd, bytes, len) && send_all(fd, after, strlen(after)));
	free(head);
}

static void test_multipart(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 0, 1, 20000, 262144, 3000000 };
	int fd = dial(f->port);
	for (size_t i = 0; i < MR_ARRAY_SIZE(sizes); i++) {
		send_multipart(
			fd, "/files", "--BOUND\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHello\r\n",
			"name=\"file\"; filename=\"C:\\\\x\\\\song.wav\"", data, sizes[i],
			"\r\n--BOUND\r\nContent-Disposition: form-data; name=\"later\"\r\n\r\nx\r\n--BOUND--\r\n");
		struct answer a = read_answer(fd, true);
		assert_non_null(strstr(a.body, "\"title\":\"Hello\""));
		assert_non_null(strstr(a.body, "\"type\":\"audio/wav\""));
		expect_stored(a, data, sizes[i], "song.wav");
	}
	/* The last delimiter without a line end. */
	send_multipart(fd, "/files", "", "name=\"file\"; filename=\"s.wav\"", data, 100, "\r\n--BOUND--");
	expect_stored(read_answer(fd, true), data, 100, "s.wav");
	send_multipart(fd, "/files", "", "name=\"other\"", data, 100, "\r\n--BOUND--\r\n");
	expect_status(read_answer(fd, true), 400, "no field");
	send_multipart(fd, "/files", "", "name=\"file\"; filename=\"s.wav\"", data, 100, "");
	expect_status(read_answer(fd, true), 400, "too early");
	send_multipart(fd, "/files", "", "name=\"big\"", data, 10000, "\r\n--BOUND--\r\n");
	expect_status(read_answer(fd, true), 413, "8 KiB");
	send_multipart(fd, "/files?mode=refuse", "", "name=\"file\"; filename=\"s.wav\"", data, 100,
		       "\r\n--BOUND--\r\n");
	expect_status(read_answer(fd, true), 415, "UNSUPPORTED_FORMAT");
	close(fd);
	fd = dial(f->port);
	send_multipart(fd, "/files?mode=refuse", "", "name=\"file\"; filename=\"s.wav\"", data, 3000000,
		       "\r\n--BOUND--\r\n");
	expect_status(read_answer(fd, true), 415, "UNSUPPORTED_FORMAT");
	close(fd);
	expect_status(request(f->port, "POST", "/files", "Content-Type: multipart/form-data\r\n", "x"), 400,
		      "boundary");
	expect_status(
		request(f->port, "POST", "/files", "Content-Type: multipart/form-data; boundary=B\r\n", "garbage"), 400,
		"INVALID");
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	unsigned before = atomic_load(&begins);
	/* Too large by its Content-Length, with and without Expect: nothing has been begun. */
	int fd = dial(f->port);
	assert_true(
		send_text(fd, "POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: %u\r\n\r\n", MAX_BYTES + 1));
	expect_status(read_answer(fd, true), 413, "TOO_LARGE");
	close(fd);
	fd = dial(f->port);
	assert_true(send_text(fd, "POST /files?mode=refuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n"
				  "Expect: 100-continue\r\n\r\n"));
	expect_status(read_answer(fd, true), 415, "UNSUPPORTED_FORMAT"); /* and no 100 before it */
	close(fd);
	assert_int_equal(atomic_load(&begins), before);
	/* A client that only writes: the answer must survive its bytes. */
	fd = dial(f->port);
	assert_true(send_text(fd, "POST /files?mode=refuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: %u\r\n\r\n",
			      MAX_BYTES));
	(void)send_all(fd, data, 2000000);
	expect_status(read_answer(fd, true), 415, "UNSUPPORTED_FORMAT");
	close(fd);
	fd = dial(f->port);
	assert_true(send_text(
		fd, "POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
	struct answer a = read_head(fd);
	assert_int_equal(a.status, 100);
	answer_free(&a);
	assert_true(send_all(fd, "abc", 3));
	expect_stored(read_answer(fd, true), "abc", 3, "-");
	close(fd);
}

static void test_failures(void **state)
{
	struct fixture *f = *state;
	expect_status(request(f->port, "POST", "/files?mode=fail_write", "", "x"), 503, "NO_SPACE");
	expect_status(request(f->port, "POST", "/files?mode=fail_finish", "", "x"), 409, "CONFLICT");
	unsigned before = atomic_load(&aborts);
	int fd = dial(f->port);
	assert_true(send_text(fd,
			      "POST /files?mode=fail_write HTTP/1.1\r\nHost: localhost\r\nContent-Length: %u\r\n\r\n",
			      MAX_BYTES));
	(void)send_all(fd, data, MAX_BYTES);
	expect_status(read_answer(fd, true), 503, "NO_SPACE");
	close(fd);
	while (atomic_load(&aborts) == before)
		usleep(1000);
}

static void test_disconnects(void **state)
{
	struct fixture *f = *state;
	static const size_t sent[] = { 0, 10, 70000, 300000, 900000 };
	for (size_t i = 0; i < MR_ARRAY_SIZE(sent); i++) {
		unsigned begun = atomic_load(&begins), before = atomic_load(&aborts);
		unsigned long long bytes = atomic_load(&written);
		int fd = dial(f->port);
		assert_true(send_text(fd, "PATCH /raw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"));
		assert_true(send_all(fd, data, sent[i]));
		while (atomic_load(&begins) == begun)
			usleep(1000);
		close(fd);
		while (atomic_load(&aborts) == before)
			usleep(1000);
		assert_int_equal(atomic_load(&aborts), before + 1);
		assert_int_equal(atomic_load(&written) - bytes, sent[i]); /* .write_rest */
	}
}

struct slow {
	struct fixture *f;
	int fd;
	atomic_ullong sent;
};

static void *send_slowly(void *arg)
{
	struct slow *s = arg;
	for (size_t at = 0; at < 6000000; at += 60000) {
		if (!send_all(s->fd, data + at, 60000))
			break;
		atomic_fetch_add(&s->sent, 60000);
	}
	return NULL;
}

/* The sink hangs: the client is held back, memory stays bounded, and the server answers others. */
static void test_back_pressure(void **state)
{
	struct slow s = { .f = *state };
	gate = gate_new();
	atomic_store(&gated, true);
	s.fd = dial(s.f->port);
	assert_true(send_text(s.fd, "POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6000000\r\n\r\n"));
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, send_slowly, &s), 0);
	gate_wait(gate, 1);
	unsigned long long bytes = atomic_load(&written);
	for (int i = 0; i < 3; i++)
		expect_status(request(s.f->port, "GET", "/healthz", "", NULL), 200, "ok");
	assert_int_equal(atomic_load(&written), bytes);
	gate_open(gate);
	(void)pthread_join(t, NULL);
	expect_stored(read_answer(s.fd, true), data, 6000000, "-");
	close(s.fd);
	atomic_store(&gated, false);
	gate_free(gate);
}

/* Stopping with uploads in every state aborts each exactly once (checked by the counts at the end). */
static void test_stop(void **state)
{
	(void)state;
	struct fixture f;
	gate = gate_new();
	atomic_store(&gated, true);
	fixture_start(&f, (struct http_server_opts) { 0 }, NULL, routes, MR_ARRAY_SIZE(routes));
	int fds[3];
	for (int i = 0; i < 3; i++) {
		fds[i] = dial(f.port);
		assert_true(send_text(fds[i],
				      "POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"));
		assert_true(send_all(fds[i], data, i == 0 ? 10 : i == 1 ? 100000 : 700000));
	}
	gate_wait(gate, 2);
	gate_open(gate);
	fixture_stop(&f);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	atomic_store(&gated, false);
	gate_free(gate);
	assert_int_equal(atomic_load(&begins), atomic_load(&finishes) + atomic_load(&aborts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw),           cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_multipart),     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_failures),      cmocka_unit_test(test_disconnects),
		cmocka_unit_test(test_back_pressure), cmocka_unit_test(test_stop),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
