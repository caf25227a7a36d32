/* The head of a PutMedia request: see put_head.h. In the server process, on its live threads. */
#include "live/put_head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define PATH "/putMedia"
#define SERVICE "kinesisvideo"
#define NAME_HEADER "x-amzn-stream-name"
#define ARN_HEADER "x-amzn-stream-arn"
#define SECONDS_MAX 100000000000 /* year 5138 */

void put_head_init(struct put_head *h)
{
	*h = (struct put_head) { 0 };
	buf_init(&h->url, 1024);
	buf_init(&h->text, PUT_HEAD_BYTES);
}

void put_head_release(struct put_head *h)
{
	buf_release(&h->url);
	buf_release(&h->text);
}

bool put_head_url(struct put_head *h, const char *data, size_t len)
{
	return buf_append(&h->url, data, len);
}

bool put_head_field(struct put_head *h, const char *data, size_t len)
{
	if (h->in_value || !h->count) {
		if (h->count == PUT_HEADERS_MAX)
			return false;
		if (h->count && !buf_append(&h->text, "", 1))
			return false;
		h->names[h->count] = h->text.len;
		h->values[h->count] = SIZE_MAX;
		h->count++;
		h->in_value = false;
	}
	return buf_append(&h->text, data, len);
}

bool put_head_value(struct put_head *h, const char *data, size_t len)
{
	if (!h->count)
		return false;
	if (!h->in_value) {
		if (!buf_append(&h->text, "", 1))
			return false;
		h->values[h->count - 1] = h->text.len;
		h->in_value = true;
	}
	return buf_append(&h->text, data, len);
}

static const char *value_at(const struct put_head *h, size_t i)
{
	return h->values[i] == SIZE_MAX ? "" : h->text.data + h->values[i];
}

const char *put_head_get(const struct put_head *h, const char *name)
{
	for (size_t i = 0; i < h->count; i++)
		if (strcasecmp(h->text.data + h->names[i], name) == 0)
			return value_at(h, i);
	return NULL;
}

/* ---- the signature ---- */

static bool is_signed(const char *authorization, const char *name)
{
	const char *list = strstr(authorization, "SignedHeaders=");
	size_t n = strlen(name), len = list ? strcspn(list, ", \t") : 0;
	for (const char *p = list ? list + strlen("SignedHeaders=") : ""; p < list + len; p++) {
		size_t one = strcspn(p, ";, \t");
		if (one == n && strncasecmp(p, name, n) == 0)
			return true;
		p += one;
	}
	return false;
}

static int verify_with_host(const struct put_head *h, const char *host, sigv4_lookup_fn lookup, void *ctx, int64_t now_ms,
			    struct sigv4_verified *ret, struct err *e)
{
	struct sigv4_pair headers[PUT_HEADERS_MAX];
	for (size_t i = 0; i < h->count; i++) {
		headers[i] = (struct sigv4_pair) { h->text.data + h->names[i], value_at(h, i) };
		if (strcasecmp(headers[i].name, "Host") == 0)
			headers[i].value = host;
	}
	const struct sigv4_request req = { .method = "POST", .path = PATH, .headers = headers, .header_count = h->count };
	return sigv4_verify_header(&req, SERVICE, lookup, ctx, now_ms, ret, e);
}

int put_head_verify(const struct put_head *h, sigv4_lookup_fn lookup, void *ctx, int64_t now_ms, struct sigv4_verified *ret,
		    struct err *e)
{
	const char *authorization = put_head_get(h, "Authorization"), *host = put_head_get(h, "Host");
	if (!authorization)
		return err_set_code(e, ERR_DENIED, "AccessDenied", "the request has no Authorization header");
	if (!host)
		return err_set(e, ERR_INVALID, "the Host header is missing");
	const char *naming = put_head_get(h, NAME_HEADER) ? NAME_HEADER : ARN_HEADER;
	if (put_head_get(h, naming) && !is_signed(authorization, naming))
		return err_set_code(e, ERR_DENIED, "AuthorizationHeaderMalformed", "%s must be signed", naming);
	int r = verify_with_host(h, host, lookup, ctx, now_ms, ret, e);
	if (r == 0 || !strchr(host, ':'))
		return r;
	_cleanup_free_ char *bare = mr_strndup(host, strcspn(host, ":"));
	return verify_with_host(h, bare, lookup, ctx, now_ms, ret, e);
}

/* ---- what it asks for ---- */

static bool digits_parse(const char **text, size_t max, int64_t *ret, size_t *ret_count)
{
	int64_t v = 0;
	size_t n = strspn(*text, "0123456789");
	for (size_t i = 0; i < n && i < max; i++)
		v = v * 10 + ((*text)[i] - '0');
	*ret = v;
	*ret_count = n;
	*text += n;
	return n > 0;
}

bool put_timestamp_parse(const char *text, int64_t *ret_ms)
{
	int64_t seconds, ms = 0;
	size_t count = 0;
	const char *p = text;
	if (strpbrk(text, "eE")) {
		char *end;
		double s = strtod(text, &end);
		if (*end || end == text || !(s >= 0) || s >= (double)SECONDS_MAX)
			return false;
		*ret_ms = llround(s * 1000);
		return true;
	}
	if (!digits_parse(&p, 12, &seconds, &count) || count > 12 || seconds >= SECONDS_MAX)
		return false;
	if (*p == '.') {
		p++;
		if (!digits_parse(&p, 3, &ms, &count))
			return false;
	}
	if (*p)
		return false;
	*ret_ms = seconds * 1000 + ms;
	return true;
}

static int read_stream(const struct put_head *h, struct put_target *t, struct err *e)
{
	const char *name = put_head_get(h, NAME_HEADER), *arn = put_head_get(h, ARN_HEADER);
	if (arn && !stream_arn_parse(arn, t->name, &t->created_ms))
		return err_set(e, ERR_INVALID, ARN_HEADER " is no stream's ARN");
	if (name && (!stream_name_valid(name) || (arn && strcmp(name, t->name) != 0)))
		return err_set(e, ERR_INVALID, NAME_HEADER " is no name of a stream, or names another than the ARN");
	if (!name && !arn)
		return err_set(e, ERR_INVALID, NAME_HEADER " or " ARN_HEADER " must be given");
	if (name)
		memcpy(t->name, name, strlen(name) + 1);
	return 0;
}

int put_head_read(const struct put_head *h, struct put_target *ret, struct err *e)
{
	struct put_target t = { .acknowledge = true };
	const char *type = put_head_get(h, "x-amzn-fragment-timecode-type");
	const char *start = put_head_get(h, "x-amzn-producer-start-timestamp");
	const char *acknowledge = put_head_get(h, "x-amzn-fragment-acknowledgment-required");
	const char *expect = put_head_get(h, "Expect");
	int r = read_stream(h, &t, e);
	if (r < 0)
		return r;
	if (!type || (strcmp(type, "ABSOLUTE") != 0 && strcmp(type, "RELATIVE") != 0))
		return err_set(e, ERR_INVALID, "x-amzn-fragment-timecode-type must be ABSOLUTE or RELATIVE");
	t.relative = strcmp(type, "RELATIVE") == 0;
	if (start ? !put_timestamp_parse(start, &t.start_ms) : t.relative)
		return err_set(e, ERR_INVALID, "x-amzn-producer-start-timestamp must be seconds since 1970");
	if (acknowledge)
		t.acknowledge = strcmp(acknowledge, "0") != 0 && strcasecmp(acknowledge, "false") != 0;
	t.expects_continue = expect && strcasecmp(expect, "100-continue") == 0;
	*ret = t;
	return 0;
}
