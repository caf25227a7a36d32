/* POST by libcurl. In the server and worker process; never in a task. */
#include "net/post.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/mem.h"
#include "net/curl_once.h"

#define CONNECT_TIMEOUT_S 10L
#define RETRY_AFTER_MAX_S 3600

struct net_client {
	CURL *curl;
};

struct net_client *net_client_new(void)
{
	net_curl_init();
	struct net_client *c = mr_calloc(1, sizeof(*c));
	c->curl = curl_easy_init();
	return c;
}

void net_client_free(struct net_client *c)
{
	if (!c)
		return;
	if (c->curl)
		curl_easy_cleanup(c->curl);
	free(c);
}

static size_t on_bytes(char *data, size_t size, size_t count, void *out)
{
	return buf_append(out, data, size * count) ? size * count : 0;
}

static int on_tick(void *ctx, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
	const struct net_post *p = ctx;
	(void)down_all;
	(void)down;
	(void)up_all;
	(void)up;
	return !p->keep_going || p->keep_going(p->ctx) ? 0 : 1;
}

static struct curl_slist *headers_of(const struct net_post *p)
{
	struct curl_slist *list = NULL;
	if (p->content_type) {
		_cleanup_free_ char *type = mr_asprintf("Content-Type: %s", p->content_type);
		list = curl_slist_append(list, type);
	}
	for (size_t i = 0; i < p->header_count; i++) {
		_cleanup_free_ char *line = mr_asprintf("%s: %s", p->headers[i].name, p->headers[i].value);
		list = curl_slist_append(list, line);
		explicit_bzero(line, strlen(line));
	}
	if (p->bearer) {
		_cleanup_free_ char *authorization = mr_asprintf("Authorization: Bearer %s", p->bearer);
		list = curl_slist_append(list, authorization);
		explicit_bzero(authorization, strlen(authorization));
	}
	return curl_slist_append(list, "Expect:"); /* the bodies are small: don't wait for leave to send them */
}

static void set_options(CURL *c, const struct net_post *p, struct curl_slist *headers, struct buf *body)
{
	curl_easy_reset(c);
	(void)curl_easy_setopt(c, CURLOPT_URL, p->url);
	(void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	(void)curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)p->timeout_s);
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	if (p->ca_file)
		(void)curl_easy_setopt(c, CURLOPT_CAINFO, p->ca_file);
	if (p->body)
		(void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, p->body);
	if (p->method)
		(void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, p->method);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, body);
	(void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_tick);
	(void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, (void *)(uintptr_t)p);
}

static void read_answer(CURL *c, struct net_answer *ret)
{
	long status = 0;
	curl_off_t after = 0;
	const char *type = NULL;
	*ret = (struct net_answer) { 0 };
	(void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &after);
	(void)curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
	ret->status = (int)status;
	ret->retry_after_ms = after <= 0 ? 0 : (after < RETRY_AFTER_MAX_S ? after : RETRY_AFTER_MAX_S) * 1000;
	for (size_t i = 0; type && type[i] && i + 1 < sizeof(ret->content_type); i++)
		ret->content_type[i] = (char)tolower((unsigned char)type[i]);
}

int net_post(struct net_client *c, const struct net_post *p, struct buf *body, struct net_answer *ret, struct err *e)
{
	if (!c->curl)
		return err_set(e, ERR_UNAVAILABLE, "libcurl");
	struct curl_slist *headers = headers_of(p);
	set_options(c->curl, p, headers, body);
	CURLcode rc = curl_easy_perform(c->curl);
	curl_slist_free_all(headers);
	switch (rc) {
	case CURLE_OK:
		read_answer(c->curl, ret);
		return 0;
	case CURLE_ABORTED_BY_CALLBACK:
		return err_set(e, ERR_CANCELED, "told to stop");
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, ERR_TIMEOUT, "no answer in time");
	case CURLE_WRITE_ERROR:
		return err_set(e, ERR_TOO_LARGE, "an answer of more than %zu bytes", body->max);
	default:
		return err_set(e, ERR_UNAVAILABLE, "%s", curl_easy_strerror(rc));
	}
}
