/* Objects of a real local store over the wire: conditions, the table of ranges, sendfile and the path without a
 * descriptor, pre-signed URLs, clients that go away in the middle. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../base/folder.h"
#include "base/clock.h"
#include "base/id.h"
#include "client.h"
#include "fixture.h"

#define BIG_BYTES (24u << 20)

static struct store *store;
static char root[] = "/tmp/http-object-XXXXXX";
static char *big;

/* The program is linked with --wrap=store_reader_fd: with this set, the local store looks like a backend without
 * descriptors. */
static atomic_bool without_fd;
int __real_store_reader_fd(const struct store_reader *r);
int __wrap_store_reader_fd(const struct store_reader *r);

int __wrap_store_reader_fd(const struct store_reader *r)
{
	return atomic_load(&without_fd) ? -1 : __real_store_reader_fd(r);
}

/* Counts: an answer from what is kept open needs none. */
static atomic_uint opened;
int __real_store_reader_open(struct store *s, const char *key, struct store_reader **ret, struct store_info *ret_info,
			     struct err *e);
int __wrap_store_reader_open(struct store *s, const char *key, struct store_reader **ret, struct store_info *ret_info,
			     struct err *e);

int __wrap_store_reader_open(struct store *s, const char *key, struct store_reader **ret, struct store_info *ret_info,
			     struct err *e)
{
	atomic_fetch_add(&opened, 1);
	return __real_store_reader_open(s, key, ret, ret_info, e);
}

static int get(void *ctx, struct http_request *req, struct err *e)
{
	(void)ctx;
	const struct http_object_opts o = {
		.filename = http_request_query(req, "name"),
		.s3_overrides = http_request_signature(req) != NULL,
	};
	return http_respond_object(req, store, http_request_param(req, "key"), &o, e);
}

static bool lookup(void *ctx, const char *id, struct sigv4_key *ret)
{
	(void)ctx;
	if (strcmp(id, "AKID") != 0)
		return false;
	*ret = (struct sigv4_key) { "AKID", "secret", NULL, "us-east-1", "s3" };
	return true;
}

static const struct http_route routes[] = {
	{ "GET", "/o/{key...}", get, .access = HTTP_ACCESS_PUBLIC, .public_param = true },
	{ "GET", "/media/{key...}", get, .access = HTTP_ACCESS_SIGNED, .where = HTTP_INLINE_FIRST },
};

static int setup(void **state)
{
	static struct fixture f;
	struct err e;
	if (!mkdtemp(root) || store_open_local(&(struct store_local_opts) { .root = root }, &store, &e) < 0)
		return -1;
	assert_int_equal(store_put(store, "a/digits.txt", "0123456789", 10, "text/plain", NULL, &e), 0);
	assert_int_equal(store_put(store, "a/empty", "", 0, "video/mp4", NULL, &e), 0);
	assert_int_equal(store_put(store, "a/evil.html", "<script>", 8, "text/html", NULL, &e), 0);
	big = malloc(BIG_BYTES);
	assert_non_null(big);
	random_bytes(big, BIG_BYTES);
	assert_int_equal(store_put(store, "a/big.bin", big, BIG_BYTES, "video/mp4", NULL, &e), 0);
	fixture_start(&f, (struct http_server_opts) { .key_lookup = lookup }, NULL, routes, MR_ARRAY_SIZE(routes));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	fixture_stop(*state);
	store_close(store);
	free(big);
	return folder_remove(root);
}

static void test_ranges(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *range;
		int status;
		const char *body, *content_range;
	} t[] = {
		{ "", 200, "0123456789", NULL },
		{ "Range: bytes=0-0\r\n", 206, "0", "bytes 0-0/10" },
		{ "Range: bytes=3-5\r\n", 206, "345", "bytes 3-5/10" },
		{ "Range: bytes=7-\r\n", 206, "789", "bytes 7-9/10" },
		{ "Range: bytes=-3\r\n", 206, "789", "bytes 7-9/10" },
		{ "Range: bytes=-30\r\n", 206, "0123456789", "bytes 0-9/10" },
		{ "Range: bytes=8-100\r\n", 206, "89", "bytes 8-9/10" },
		{ "Range: bytes=0-1,10-12\r\n", 206, "01", "bytes 0-1/10" },
		{ "Range: bytes=0-1,4-5\r\nIf-Range: \"other\"\r\n", 200, "0123456789", NULL },
		{ "Range: bytes=0-6,4-9\r\n", 416, NULL, "bytes */10" },
		{ "Range: chars=0-1\r\n", 200, "0123456789", NULL },
		{ "Range: bytes=5-2\r\n", 200, "0123456789", NULL },
		{ "Range: bytes=10-\r\n", 416, NULL, "bytes */10" },
		{ "Range: bytes=-0\r\n", 416, NULL, "bytes */10" },
		{ "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n", 200, "0123456789", NULL },
		{ "Range: bytes=0-1\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200, "0123456789", NULL },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
		struct answer a = request(f->port, "GET", "/o/a/digits.txt", t[i].range, NULL);
		if (a.status != t[i].status || (t[i].body && strcmp(a.body, t[i].body) != 0))
			fail_msg("%s: %s%s", t[i].range, a.head, a.body);
		const char *cr = header(&a, "Content-Range");
		assert_int_equal(cr != NULL, t[i].content_range != NULL);
		if (cr)
			assert_string_equal(cr, t[i].content_range);
		answer_free(&a);
	}
}

/* Each range with a header of its own, between lines that the answer's type names. */
static void test_several_ranges(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) { /* also while the object is kept open for others */
		struct answer a = request(f->port, "GET", "/o/a/digits.txt", "Range: bytes=-2,0-1,5-5\r\n", NULL);
		char expected[1024];
		assert_int_equal(a.status, 206);
		assert_null(header(&a, "Content-Range"));
		const char *type = header(&a, "Content-Type");
		assert_non_null(type);
		const char *b = strstr(type, "multipart/byteranges; boundary=");
		assert_ptr_equal(b, type);
		b += strlen("multipart/byteranges; boundary=");
		(void)snprintf(expected, sizeof(expected),
			       "--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n"
			       "--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n"
			       "--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\n5\r\n--%s--\r\n",
			       b, b, b, b);
		assert_string_equal(a.body, expected);
		answer_free(&a);
		a = request(f->port, "GET", "/o/a/digits.txt", "", NULL);
		answer_free(&a);
	}
	struct answer a = request(f->port, "GET", "/o/a/big.bin", "Range: bytes=1000000-6999999,0-599999\r\n", NULL);
	assert_int_equal(a.status, 206);
	const char *first = strstr(a.body, "\r\n\r\n");
	assert_non_null(first);
	assert_memory_equal(first + 4, big + 1000000, 6000000);
	const char *second = strstr(first + 4 + 6000000, "\r\n\r\n");
	assert_non_null(second);
	assert_memory_equal(second + 4, big, 600000);
	assert_string_equal(a.body + a.len - 4, "--\r\n");
	answer_free(&a);
}

static void test_conditions(void **state)
{
	struct fixture *f = *state;
	struct answer a = request(f->port, "HEAD", "/o/a/digits.txt", "Range: bytes=0-1\r\n", NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(header(&a, "Content-Length"), "10");
	assert_string_equal(header(&a, "Accept-Ranges"), "bytes");
	assert_string_equal(header(&a, "Content-Type"), "text/plain");
	assert_string_equal(header(&a, "Cache-Control"), "private, no-cache");
	char *etag = mr_strdup(header(&a, "ETag")), *date = mr_strdup(header(&a, "Last-Modified"));
	answer_free(&a);
	static const struct {
		const char *format;
		bool by_date;
		int status;
	} t[] = {
		{ "If-None-Match: %s\r\n", false, 304 },
		{ "If-None-Match: W/%s\r\n", false, 304 },
		{ "If-None-Match: \"x\", %s\r\n", false, 304 },
		{ "If-Match: %s\r\n", false, 200 },
		{ "If-Match: W/%s\r\n", false, 412 },
		{ "Range: bytes=0-1\r\nIf-Range: %s\r\n", false, 206 },
		{ "Range: bytes=0-1\r\nIf-Range: W/%s\r\n", false, 200 },
		{ "If-Modified-Since: %s\r\n", true, 304 },
		{ "If-Unmodified-Since: %s\r\n", true, 200 },
		{ "Range: bytes=0-1\r\nIf-Range: %s\r\n", true, 206 },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(t); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		char *h = mr_asprintf(t[i].format, t[i].by_date ? date : etag);
#pragma GCC diagnostic pop
		a = request(f->port, "GET", "/o/a/digits.txt", h, NULL);
		if (a.status != t[i].status)
			fail_msg("%s: %s", h, a.head);
		if (a.status == 304)
			assert_string_equal(header(&a, "ETag"), etag);
		answer_free(&a);
		free(h);
	}
	a = request(f->port, "GET", "/o/a/digits.txt", "If-Match: \"x\"\r\n", NULL);
	assert_int_equal(a.status, 412);
	assert_non_null(strstr(a.body, "PRECONDITION_FAILED"));
	answer_free(&a);
	free(etag);
	free(date);
}

static void test_kinds(void **state)
{
	struct fixture *f = *state;
	struct answer a = request(f->port, "GET", "/o/a/empty", "", NULL);
	assert_int_equal(a.status, 200);
	assert_string_equal(header(&a, "Content-Length"), "0");
	answer_free(&a);
	a = request(f->port, "GET", "/o/a/empty", "Range: bytes=0-\r\n", NULL);
	assert_int_equal(a.status, 416);
	answer_free(&a);
	a = request(f->port, "GET", "/o/a/none", "", NULL);
	assert_int_equal(a.status, 404);
	answer_free(&a);
	a = request(f->port, "GET", "/o/a/..%2F..%2Fx", "", NULL);
	assert_int_equal(a.status, 400);
	answer_free(&a);
	a = request(f->port, "GET", "/o/a//x", "", NULL);
	assert_int_equal(a.status, 400);
	answer_free(&a);
	/* What would act in our origin is saved, not shown. */
	a = request(f->port, "GET", "/o/a/evil.html?name=e.html", "", NULL);
	assert_string_equal(header(&a, "Content-Disposition"), "attachment; filename=\"e.html\"");
	assert_string_equal(header(&a, "Content-Security-Policy"), "sandbox; default-src 'none'");
	answer_free(&a);
	a = request(f->port, "GET", "/o/a/digits.txt?name=%C3%A4%0D%0AX:1.txt", "", NULL);
	assert_string_equal(header(&a, "Content-Disposition"),
			    "inline; filename=\"_X:1.txt\"; filename*=UTF-8''%C3%A4X%3A1.txt");
	answer_free(&a);
	a = request(f->port, "GET", "/o/a/big.bin", "", NULL);
	assert_int_equal(a.len, BIG_BYTES);
	assert_memory_equal(a.body, big, BIG_BYTES);
	answer_free(&a);
	a = request(f->port, "GET", "/o/a/big.bin", "Range: bytes=1000000-20000000\r\n", NULL);
	assert_int_equal(a.len, 19000001);
	assert_memory_equal(a.body, big + 1000000, 19000001);
	answer_free(&a);
}

static void test_without_fd(void **state)
{
	struct fixture *f = *state;
	atomic_store(&without_fd, true);
	/* Another object of the same bytes: the earlier one may still be open. */
	assert_int_equal(store_put(store, "a/digits.txt", "0123456789", 10, "text/plain", NULL, NULL), 0);
	test_ranges(state);
	test_several_ranges(state);
	test_conditions(state);
	test_kinds(state);
	/* Several at once; one of the clients goes away. */
	int fds[6];
	for (size_t i = 0; i < MR_ARRAY_SIZE(fds); i++) {
		fds[i] = dial(f->port);
		assert_true(send_text(fds[i], "GET /o/a/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	}
	close(fds[0]);
	for (size_t i = 1; i < MR_ARRAY_SIZE(fds); i++) {
		struct answer a = read_answer(fds[i], true);
		assert_int_equal(a.len, BIG_BYTES);
		assert_memory_equal(a.body, big, BIG_BYTES);
		answer_free(&a);
		close(fds[i]);
	}
	atomic_store(&without_fd, false);
}

static char *presign(const struct fixture *f, const char *method, const char *key, const struct sigv4_pair *extra,
		     size_t n, int64_t at_ms)
{
	const struct sigv4_key k = { "AKID", "secret", NULL, "us-east-1", "s3" };
	char *host = mr_asprintf("127.0.0.1:%u", f->port), *path = mr_asprintf("/media/%s", key);
	struct buf b;
	struct err e;
	buf_init(&b, 8192);
	assert_int_equal(sigv4_presign(&k, method, host, path, extra, n, at_ms, 60, &b, &e), 0);
	free(host);
	free(path);
	return buf_steal(&b);
}

static void test_signed(void **state)
{
	struct fixture *f = *state;
	static const struct sigv4_pair extra[] = { { "response-content-type", "audio/x-odd" },
						   { "response-content-disposition",
						     "attachment; filename=\"x y.txt\"" } };
	char *url = presign(f, "GET", "a/digits.txt", extra, 2, clock_wall_ms());
	struct answer a = request(f->port, "GET", url, "Range: bytes=2-3\r\n", NULL);
	assert_int_equal(a.status, 206);
	assert_string_equal(a.body, "23");
	assert_string_equal(header(&a, "Content-Type"), "audio/x-odd");
	assert_string_equal(header(&a, "Content-Disposition"), "attachment; filename=\"x y.txt\"");
	answer_free(&a);
	/* A GET's signature is none for HEAD, as with S3. */
	a = request(f->port, "HEAD", url, "", NULL);
	assert_int_equal(a.status, 403);
	answer_free(&a);
	url[strlen(url) - 1] ^= 1;
	a = request(f->port, "GET", url, "", NULL);
	assert_int_equal(a.status, 403);
	assert_non_null(strstr(a.body, "SignatureDoesNotMatch"));
	answer_free(&a);
	free(url);
	url = presign(f, "GET", "a/digits.txt", NULL, 0, clock_wall_ms() - 61000);
	a = request(f->port, "GET", url, "", NULL);
	assert_int_equal(a.status, 403);
	answer_free(&a);
	free(url);
	a = request(f->port, "GET", "/media/a/digits.txt", "", NULL);
	assert_int_equal(a.status, 403);
	assert_non_null(strstr(a.body, "AccessDenied"));
	answer_free(&a);
	url = presign(f, "HEAD", "a/digits.txt", NULL, 0, clock_wall_ms());
	a = request(f->port, "HEAD", url, "", NULL);
	assert_int_equal(a.status, 200);
	answer_free(&a);
	free(url);
}

static unsigned status_of(const struct fixture *f, const char *method, const char *url, const char *headers)
{
	struct answer a = request(f->port, method, url, headers, NULL);
	unsigned status = (unsigned)a.status;
	answer_free(&a);
	return status;
}

/* What was good twice is remembered, but nothing else by it: each of these is refused as if it were the first. */
static void test_signed_again(void **state)
{
	struct fixture *f = *state;
	char *url = presign(f, "GET", "a/digits.txt", NULL, 0, clock_wall_ms());
	for (int i = 0; i < 4; i++) {
		struct answer a = request(f->port, "GET", url, i == 3 ? "Range: bytes=2-3\r\n" : "", NULL);
		assert_int_equal(a.status, i == 3 ? 206 : 200);
		assert_string_equal(a.body, i == 3 ? "23" : "0123456789");
		answer_free(&a);
	}
	assert_int_equal(status_of(f, "HEAD", url, ""), 403);
	assert_int_equal(status_of(f, "GET", url, "X-Amz-Acl: private\r\n"), 403);
	_cleanup_free_ char *longer = mr_asprintf("%s&a=b", url);
	assert_int_equal(status_of(f, "GET", longer, ""), 403);
	url[strlen(url) - 1] ^= 1;
	assert_int_equal(status_of(f, "GET", url, ""), 403);
	url[strlen(url) - 1] ^= 1;
	assert_int_equal(status_of(f, "GET", url, "Content-Length: 1000000\r\n"), 413);
	assert_int_equal(status_of(f, "GET", url, ""), 200);
	free(url);

	/* It expires while it is remembered; a busy machine may have to try again to see that. */
	unsigned good = 0;
	for (int i = 0; i < 10 && good <= 2; i++) {
		url = presign(f, "GET", "a/digits.txt", NULL, 0, clock_wall_ms() - 58000);
		for (good = 0; status_of(f, "GET", url, "") == 200; good++)
			usleep(20000);
		assert_int_equal(status_of(f, "GET", url, ""), 403);
		free(url);
	}
	assert_true(good > 2);
}

static void assert_object(const struct fixture *f, const char *url, const char *bytes, size_t len)
{
	struct answer a = request(f->port, "GET", url, "", NULL);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.len, len);
	assert_memory_equal(a.body, bytes, len);
	answer_free(&a);
	a = request(f->port, "GET", url, "Range: bytes=7-\r\n", NULL);
	assert_int_equal(a.status, 206);
	assert_int_equal(a.len, len - 7);
	assert_memory_equal(a.body, bytes + 7, len - 7);
	answer_free(&a);
}

/* What is kept open is sent without opening it again, and forgotten the moment it is replaced or deleted, here or by
 * another process. */
static void test_kept_open(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 90112, 1u << 20 };
	struct store *other;
	struct err e;
	assert_int_equal(store_open_local(&(struct store_local_opts) { .root = root }, &other, &e), 0);
	struct store_reader *r;
	assert_int_equal(store_reader_open(store, "a/digits.txt", &r, NULL, &e), 0);
	bool can_tell = store_reader_is_current(r);
	store_reader_close(r);
	if (!can_tell) {
		print_message("%s lies on a file system that can't tell what is current\n", root);
		store_close(other);
		skip();
	}
	char *url = presign(f, "GET", "a/seg", NULL, 0, clock_wall_ms());
	struct store *const stores[] = { store, other };
	for (size_t i = 0; i < MR_ARRAY_SIZE(sizes); i++)
		for (size_t j = 0; j < MR_ARRAY_SIZE(stores); j++) {
			assert_int_equal(store_put(stores[j], "a/seg", big, sizes[i], NULL, NULL, &e), 0);
			/* A second that passes in between, on a busy machine, opens it again: not every time. */
			unsigned before = 0;
			int tries = 0;
			do {
				assert_in_range(tries++, 0, 20);
				before = atomic_load(&opened);
				assert_object(f, url, big, sizes[i]);
			} while (atomic_load(&opened) > before);
			assert_int_equal(store_put(stores[j], "a/seg", big + 1, sizes[i], NULL, NULL, &e), 0);
			assert_object(f, url, big + 1, sizes[i]);
			assert_int_equal(store_delete(stores[j], "a/seg", &e), 0);
			struct answer a = request(f->port, "GET", url, "", NULL);
			assert_int_equal(a.status, 404);
			answer_free(&a);
		}
	/* The signature is looked at all the same. */
	assert_int_equal(store_put(store, "a/seg", big, 10, NULL, NULL, &e), 0);
	assert_object(f, url, big, 10);
	url[strlen(url) - 1] ^= 1;
	struct answer a = request(f->port, "GET", url, "", NULL);
	assert_int_equal(a.status, 403);
	answer_free(&a);
	free(url);
	store_close(other);
}

static size_t open_descriptors(void)
{
	size_t n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void wait_for_no_requests(const struct fixture *f)
{
	struct http_server_stats s;
	for (int i = 0; i < 3000; i++) {
		http_server_get_stats(f->server, &s);
		if (!s.active && !s.connections)
			return;
		usleep(10000);
	}
	fail_msg("%u requests, %u connections are still there", s.active, s.connections);
}

static void test_disconnects(void **state)
{
	struct fixture *f = *state;
	wait_for_no_requests(f);
	size_t before = open_descriptors();
	for (int i = 0; i < 20; i++) {
		int fd = dial(f->port);
		assert_true(send_text(fd, "GET /o/a/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"));
		struct answer a = read_head(fd);
		assert_int_equal(a.status, 200);
		answer_free(&a);
		close(fd);
	}
	wait_for_no_requests(f);
	/* What was kept open before may have been closed by now. */
	assert_in_range(open_descriptors(), 1, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several_ranges),
		cmocka_unit_test(test_ranges), cmocka_unit_test(test_conditions),  cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_signed), cmocka_unit_test(test_signed_again), cmocka_unit_test(test_kept_open),
		cmocka_unit_test(test_disconnects), cmocka_unit_test(test_without_fd),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
