/* A Redis server's URL, taken apart by libcurl. */
#include "bus/redis_url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"

#define PREFIX_DEFAULT "millrace"
#define VALUE_MAX 4096

void redis_url_release(struct redis_url *u)
{
	free(u->host);
	free(u->port);
	free(u->user);
	free(u->password);
	free(u->db);
	free(u->prefix);
	free(u->ca);
	*u = (struct redis_url){ 0 };
}

/* NULL where the URL has no such part. */
static char *part(CURLU *h, CURLUPart which, unsigned flags)
{
	char *text = NULL, *copy = NULL;
	if (curl_url_get(h, which, &text, flags) == CURLUE_OK && *text)
		copy = mr_strdup(text);
	curl_free(text);
	return copy;
}

static int read_parameter(struct redis_url *u, const char *text, size_t len, struct err *e)
{
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals ? (size_t)(equals - text) : len;
	char **to = name_len == 6 && memcmp(text, "prefix", 6) == 0 ? &u->prefix
		    : name_len == 2 && memcmp(text, "ca", 2) == 0	? &u->ca
									: NULL;
	_cleanup_buf_ struct buf value;
	buf_init(&value, VALUE_MAX);
	if (!to || !equals || !uri_decode(&value, equals + 1, len - name_len - 1) || !value.len)
		return err_set(e, ERR_INVALID, "a Redis URL's parameters are prefix and ca");
	free(*to);
	*to = buf_steal(&value);
	return 0;
}

static int read_query(struct redis_url *u, const char *query, struct err *e)
{
	int r = 0;
	while (r == 0 && query && *query) {
		size_t len = strcspn(query, "&");
		if (len)
			r = read_parameter(u, query, len, e);
		query += len + (query[len] == '&');
	}
	return r;
}

static int read_db(struct redis_url *u, const char *path, struct err *e)
{
	if (!path || strcmp(path, "/") == 0)
		return 0;
	const char *p = path + 1;
	while (isdigit((unsigned char)*p))
		p++;
	if (*p || p - path > 6)
		return err_set(e, ERR_INVALID, "a Redis URL's path is the number of its database");
	u->db = mr_strdup(path + 1);
	return 0;
}

static bool prefix_ok(const char *s)
{
	for (const char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-_.:", *p))
			return false;
	return strlen(s) <= 64;
}

static int read_parts(CURLU *h, struct redis_url *u, struct err *e)
{
	_cleanup_free_ char *scheme = part(h, CURLUPART_SCHEME, 0), *path = part(h, CURLUPART_PATH, 0),
			    *query = part(h, CURLUPART_QUERY, 0);
	u->host = part(h, CURLUPART_HOST, 0);
	u->port = part(h, CURLUPART_PORT, 0);
	u->user = part(h, CURLUPART_USER, CURLU_URLDECODE);
	u->password = part(h, CURLUPART_PASSWORD, CURLU_URLDECODE);
	u->tls = scheme && strcmp(scheme, "rediss") == 0;
	if (!scheme || (!u->tls && strcmp(scheme, "redis") != 0) || !u->host)
		return err_set(e, ERR_INVALID, "expected local, redis://HOST or rediss://HOST");
	if (!u->port)
		u->port = mr_strdup("6379");
	size_t n = strlen(u->host);
	if (u->host[0] == '[' && n > 2) { /* an IPv6 address's brackets are the URL's */
		memmove(u->host, u->host + 1, n - 2);
		u->host[n - 2] = '\0';
	}
	int r = read_db(u, path, e);
	if (r == 0)
		r = read_query(u, query, e);
	if (!u->prefix)
		u->prefix = mr_strdup(PREFIX_DEFAULT);
	if (r == 0 && !prefix_ok(u->prefix))
		r = err_set(e, ERR_INVALID, "a Redis URL's prefix is up to 64 of A-Z a-z 0-9 - _ . :");
	return r;
}

int redis_url_parse(const char *url, struct redis_url *ret, struct err *e)
{
	struct redis_url u = { 0 };
	CURLU *h = curl_url();
	if (!h)
		return err_set(e, ERR_UNAVAILABLE, "libcurl");
	int r = 0;
	if (curl_url_set(h, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		r = err_set(e, ERR_INVALID, "expected local, redis://HOST or rediss://HOST");
	else
		r = read_parts(h, &u, e);
	curl_url_cleanup(h);
	if (r < 0) {
		redis_url_release(&u);
		return r;
	}
	*ret = u;
	return 0;
}
