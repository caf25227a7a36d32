/* The URL that names an S3 store: s3://bucket[/prefix]?name=value&… In every process that opens one; pure.
 *
 * Guarantees: what isn't known or doesn't fit is refused with its name, so that a misspelt option isn't a setting that
 * silently doesn't hold. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "store/s3.h"

#define SCHEME "s3://"
#define VALUE_MAX 1024
#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]"

static const char *const acls[] = {
	"private",       "public-read",       "public-read-write",        "authenticated-read",
	"aws-exec-read", "bucket-owner-read", "bucket-owner-full-control"
};

/* What the query says, before it is put together. */
struct query {
	char *endpoint, *path_style, *payload, *patience, *stall, *stale;
	struct s3_config *config;
};

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_INVALID, "the store's URL: %s", what);
}

static bool is_one_of(const char *value, const char *const *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(value, all[i]) == 0)
			return true;
	return false;
}

/* A header's value. */
static bool is_plain(const char *s)
{
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7F)
			return false;
	return true;
}

/* "Bucket naming rules" (Amazon S3 User Guide), as far as they are of use: it becomes a path or a host. */
static bool is_bucket(const char *s)
{
	size_t n = strlen(s);
	if (n < 3 || n > 63 || s[0] == '.' || s[0] == '-' || s[n - 1] == '.' || s[n - 1] == '-' || strstr(s, ".."))
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == n;
}

static int take_pair(struct query *q, const char *name, char *take_value, struct err *e)
{
	const struct {
		const char *name;
		char **to;
	} known[] = {
		{ "endpoint", &q->endpoint },
		{ "region", &q->config->region },
		{ "path_style", &q->path_style },
		{ "public_url", &q->config->public_url },
		{ "acl", &q->config->acl },
		{ "sse", &q->config->sse },
		{ "sse_kms_key", &q->config->sse_kms_key },
		{ "storage_class", &q->config->storage_class },
		{ "payload", &q->payload },
		{ "patience_seconds", &q->patience },
		{ "stall_seconds", &q->stall },
		{ "stale_hours", &q->stale },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(known); i++)
		if (strcmp(name, known[i].name) == 0) {
			free(*known[i].to);
			*known[i].to = take_value;
			return is_plain(take_value) && *take_value
				       ? 0
				       : err_set(e, ERR_INVALID, "the store's URL: %s has no value that it can have",
						 name);
		}
	free(take_value);
	return err_set(e, ERR_INVALID, "the store's URL: there is no option \"%.40s\"", name);
}

static int parse_query(struct query *q, const char *text, struct err *e)
{
	int r = 0;
	while (r == 0 && *text) {
		size_t len = strcspn(text, "&"), name_len = strcspn(text, "=&");
		_cleanup_free_ char *name = mr_strndup(text, name_len);
		_cleanup_buf_ struct buf value;
		buf_init(&value, VALUE_MAX);
		if (name_len == len || !uri_decode(&value, text + name_len + 1, len - name_len - 1))
			return bad(e, "options are name=value, percent-encoded, with '&' between them");
		r = take_pair(q, name, buf_steal(&value), e);
		text += len + (text[len] == '&');
	}
	return r;
}

static int parse_number(const char *text, uint32_t min, uint32_t max, uint32_t fallback, uint32_t *ret, struct err *e)
{
	char *end = NULL;
	unsigned long v = text ? strtoul(text, &end, 10) : fallback;
	if (text && end && (*text < '0' || *text > '9' || *end || v < min || v > max))
		return err_set(e, ERR_INVALID, "the store's URL: \"%.20s\" is not in %u–%u", text, min, max);
	*ret = (uint32_t)v;
	return 0;
}

/* "scheme://host[:port]", without the scheme's own port, which no Host header says. */
static int parse_endpoint(const char *text, char **ret_scheme, char **ret_host, struct err *e)
{
	bool https = strncmp(text, "https://", 8) == 0;
	if (!https && strncmp(text, "http://", 7) != 0)
		return bad(e, "endpoint: expected http://HOST[:PORT] or https://HOST[:PORT]");
	const char *host = text + (https ? 8 : 7), *own_port = https ? ":443" : ":80";
	size_t n = strlen(host);
	if (n && host[n - 1] == '/')
		n--;
	if (n == 0 || strspn(host, HOST_CHARACTERS) < n)
		return bad(e, "endpoint: expected http://HOST[:PORT] or https://HOST[:PORT], without a path");
	if (n > strlen(own_port) && strncmp(host + n - strlen(own_port), own_port, strlen(own_port)) == 0)
		n -= strlen(own_port);
	*ret_scheme = mr_strdup(https ? "https" : "http");
	*ret_host = mr_strndup(host, n);
	return 0;
}

/* A bucket can't be put before an address, nor, with a dot in it, before a host whose certificate is for one name
 * deeper. */
static bool needs_path_style(const char *host, const char *bucket, bool https)
{
	return strchr(host, '[') || strspn(host, "0123456789.:") == strlen(host) ||
	       strncmp(host, "localhost", 9) == 0 || strchr(bucket, '_') || (https && strchr(bucket, '.'));
}

static int place(struct s3_config *c, const struct query *q, const char *(*env)(const char *name), struct err *e)
{
	_cleanup_free_ char *scheme = NULL, *host = NULL;
	const char *region = env("AWS_REGION"), *endpoint = q->endpoint;
	region = region ? region : env("AWS_DEFAULT_REGION");
	endpoint = endpoint ? endpoint : env("AWS_ENDPOINT_URL_S3");
	endpoint = endpoint ? endpoint : env("AWS_ENDPOINT_URL");
	if (!c->region)
		c->region = mr_strdup(region ? region : "us-east-1");
	_cleanup_free_ char *aws = mr_asprintf("https://s3.%s.amazonaws.com", c->region);
	int r = parse_endpoint(endpoint ? endpoint : aws, &scheme, &host, e);
	if (r < 0 || !scheme || !host || !c->bucket)
		return r;
	bool https = strcmp(scheme, "https") == 0, path_style = needs_path_style(host, c->bucket, https);
	if (q->path_style && strcmp(q->path_style, "0") != 0 && strcmp(q->path_style, "1") != 0)
		return bad(e, "path_style: expected 0 or 1");
	if (q->path_style)
		path_style = q->path_style[0] == '1';
	c->base =
		path_style ? mr_asprintf("%s://%s", scheme, host) : mr_asprintf("%s://%s.%s", scheme, c->bucket, host);
	c->host = strstr(c->base, "://") + 3;
	c->root = path_style ? mr_asprintf("/%s", c->bucket) : mr_strdup("");
	if (q->payload && strcmp(q->payload, "signed") != 0 && strcmp(q->payload, "unsigned") != 0)
		return bad(e, "payload: expected signed or unsigned");
	c->sign_payload = q->payload ? strcmp(q->payload, "signed") == 0 : !https;
	return 0;
}

static int check_options(struct s3_config *c, struct err *e)
{
	if (c->acl && !is_one_of(c->acl, acls, MR_ARRAY_SIZE(acls)))
		return bad(e, "acl: there is no such canned ACL");
	if (c->sse && strcmp(c->sse, "AES256") != 0 && strcmp(c->sse, "aws:kms") != 0)
		return bad(e, "sse: expected AES256 or aws:kms");
	if (c->sse_kms_key && (!c->sse || strcmp(c->sse, "aws:kms") != 0))
		return bad(e, "sse_kms_key goes with sse=aws:kms");
	if (!c->public_url)
		return 0;
	if (strncmp(c->public_url, "http://", 7) != 0 && strncmp(c->public_url, "https://", 8) != 0)
		return bad(e, "public_url: expected http:// or https://");
	size_t n = strlen(c->public_url);
	if (c->public_url[n - 1] == '/')
		c->public_url[n - 1] = '\0';
	return 0;
}

/* "bucket[/prefix]", `len` bytes. */
static int parse_place(struct s3_config *c, const char *text, size_t len, struct err *e)
{
	_cleanup_buf_ struct buf plain;
	buf_init(&plain, STORE_KEY_MAX);
	if (!uri_decode(&plain, text, len) || !plain.data)
		return bad(e, "expected s3://BUCKET[/PREFIX][?OPTIONS]");
	char *slash = strchr(plain.data, '/');
	c->bucket = mr_strndup(plain.data, slash ? (size_t)(slash - plain.data) : plain.len);
	if (!is_bucket(c->bucket))
		return bad(e, "that is no bucket's name");
	size_t n = slash ? strlen(slash + 1) : 0;
	if (n && slash[n] == '/')
		slash[n--] = '\0';
	if (n && store_key_check(slash + 1, NULL) < 0)
		return bad(e, "that can't be a prefix of keys");
	c->prefix = n ? mr_asprintf("%s/", slash + 1) : mr_strdup("");
	return 0;
}

int s3_config_parse(const char *url, const char *(*env)(const char *name), struct s3_config *ret, struct err *e)
{
	struct s3_config c = { 0 };
	struct query q = { .config = &c };
	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0)
		return bad(e, "expected s3://BUCKET[/PREFIX][?OPTIONS]");
	url += strlen(SCHEME);
	size_t len = strcspn(url, "?");
	int r = parse_place(&c, url, len, e);
	if (r == 0)
		r = parse_query(&q, url[len] ? url + len + 1 : "", e);
	if (r == 0)
		r = place(&c, &q, env, e);
	if (r == 0)
		r = check_options(&c, e);
	if (r == 0)
		r = parse_number(q.patience, 1, 3600, S3_PATIENCE_S, &c.patience_s, e);
	if (r == 0)
		r = parse_number(q.stall, 1, 3600, S3_STALL_S, &c.stall_s, e);
	if (r == 0)
		r = parse_number(q.stale, 0, 24 * 365, 24, &c.stale_hours, e);
	free(q.endpoint);
	free(q.path_style);
	free(q.payload);
	free(q.patience);
	free(q.stall);
	free(q.stale);
	if (r < 0)
		s3_config_release(&c);
	else
		*ret = c;
	return r;
}

void s3_config_release(struct s3_config *c)
{
	free(c->bucket);
	free(c->prefix);
	free(c->base);
	free(c->root);
	free(c->region);
	free(c->public_url);
	free(c->acl);
	free(c->sse);
	free(c->sse_kms_key);
	free(c->storage_class);
	*c = (struct s3_config) { 0 };
}
