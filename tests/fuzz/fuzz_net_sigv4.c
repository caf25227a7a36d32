/* SigV4 on any request: nothing that a stranger writes is accepted or hurts, and what is signed here is accepted here,
 * with any path, host and query. The input is lines: method, path, Authorization header, host, then names and values of
 * the query.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "net/sigv4.h"

#define PAIRS_MAX 32
#define NOW_MS 1795250172000 /* 20261121T083612Z */

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static const struct sigv4_key key = {
	.access_key_id = "AKID/with/slashes",
	.secret = "secret",
	.region = "us-east-1",
	.service = "s3",
};

static bool lookup(void *ctx, const char *access_key_id, struct sigv4_key *ret_key)
{
	(void)ctx;
	(void)access_key_id;
	*ret_key = key;
	return true;
}

static const char *next_line(char **rest)
{
	return *rest ? strsep(rest, "\n") : "";
}

/* The pairs of "a=b&c=d", decoded in place of their own buffers. */
static size_t query_parse(char *query, struct sigv4_pair pairs[2 * PAIRS_MAX], struct buf *text)
{
	size_t offsets[4 * PAIRS_MAX], count = 0;
	for (char *pair; (pair = strsep(&query, "&")); count++) {
		expect(count < 2 * PAIRS_MAX);
		char *value = strchr(pair, '=');
		expect(value != NULL);
		offsets[2 * count] = text->len;
		expect(uri_decode(text, pair, (size_t)(value - pair)) && buf_append(text, "", 1));
		offsets[2 * count + 1] = text->len;
		expect(uri_decode(text, value + 1, strlen(value + 1)) && buf_append(text, "", 1));
	}
	for (size_t i = 0; i < count; i++)
		pairs[i] = (struct sigv4_pair) { text->data + offsets[2 * i], text->data + offsets[2 * i + 1] };
	return count;
}

static void round_trip(const struct sigv4_request *req, const char *host)
{
	for (size_t i = 0; i < req->query_count; i++)
		if (strncmp(req->query[i].name, "X-Amz-", 6) == 0)
			return;
	_cleanup_buf_ struct buf url, text, path;
	buf_init(&url, 1 << 20);
	buf_init(&text, 1 << 20);
	buf_init(&path, 1 << 20);
	if (sigv4_presign(&key, req->method, host, req->path, req->query, req->query_count, NOW_MS, 60, &url, NULL) < 0)
		return;
	char *question = strchr(url.data, '?');
	expect(question && uri_decode(&path, url.data, (size_t)(question - url.data)) &&
	       strcmp(path.data, req->path) == 0);
	struct sigv4_pair pairs[2 * PAIRS_MAX];
	const struct sigv4_request sent = {
		.method = req->method,
		.path = path.data,
		.query = pairs,
		.query_count = query_parse(question + 1, pairs, &text),
		.headers = &(struct sigv4_pair) { "host", host },
		.header_count = 1,
	};
	struct sigv4_verified verified;
	expect(sigv4_verify_query(&sent, "s3", lookup, NULL, NOW_MS, &verified, NULL) == 0);
	expect(sigv4_verify_query(&sent, "s3", lookup, NULL, NOW_MS + 60001, &verified, NULL) == -ERR_DENIED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = mr_strndup(size ? (const char *)data : "", size);
	char *rest = text;
	struct sigv4_request req = { 0 };
	req.method = next_line(&rest);
	req.path = next_line(&rest);
	const char *authorization = next_line(&rest);
	const char *host = next_line(&rest);
	struct sigv4_pair pairs[PAIRS_MAX];
	while (rest && req.query_count < PAIRS_MAX) {
		pairs[req.query_count].name = next_line(&rest);
		pairs[req.query_count++].value = next_line(&rest);
	}
	req.query = pairs;
	round_trip(&req, host);

	const struct sigv4_pair headers[] = {
		{ "Host", host },
		{ "Authorization", authorization },
		{ "x-amz-date", "20261121T083612Z" },
		{ "x-amz-content-sha256", SIGV4_UNSIGNED_PAYLOAD },
	};
	req.headers = headers;
	req.header_count = MR_ARRAY_SIZE(headers);
	struct sigv4_verified verified;
	expect(sigv4_verify_query(&req, "s3", lookup, NULL, NOW_MS, &verified, NULL) == -ERR_DENIED);
	expect(sigv4_verify_header(&req, "s3", lookup, NULL, NOW_MS, &verified, NULL) == -ERR_DENIED);
	return 0;
}
