/* Fetching by libcurl. In the server and worker process; never in a task. */
#include "net/fetch.h"

#include <curl/curl.h>
#include <pthread.h>

#include "net/curl_once.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Not thread-safe in old versions of libcurl, and needed before the first use: not paid by who never fetches. */
static void init(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_bytes(char *data, size_t size, size_t count, void *out)
{
	return buf_append(out, data, size * count) ? size * count : 0;
}

void net_curl_init(void)
{
	(void)pthread_once(&once, init);
}

static int handle_for(const char *url, CURL **ret, struct err *e)
{
	net_curl_init();
	CURL *c = curl_easy_init();
	if (!c)
		return err_set(e, ERR_UNAVAILABLE, "libcurl");
	(void)curl_easy_setopt(c, CURLOPT_URL, url);
	(void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	*ret = c;
	return 0;
}

int net_fetch(const char *url, long timeout_s, struct buf *out, struct err *e)
{
	CURL *c;
	int r = handle_for(url, &c, e);
	if (r < 0)
		return r;
	(void)curl_easy_setopt(c, CURLOPT_TIMEOUT, timeout_s);
	(void)curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
	CURLcode rc = curl_easy_perform(c);
	curl_easy_cleanup(c);
	if (rc != CURLE_OK)
		return err_set(e, ERR_UNAVAILABLE, "fetch %s: %s", url, curl_easy_strerror(rc));
	return 0;
}

int net_reach(const char *url, long timeout_ms, struct err *e)
{
	CURL *c;
	int r = handle_for(url, &c, e);
	if (r < 0)
		return r;
	(void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, timeout_ms);
	(void)curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
	CURLcode rc = curl_easy_perform(c);
	curl_easy_cleanup(c);
	return rc == CURLE_OK ? 0 : err_set(e, ERR_UNAVAILABLE, "connect to %s: %s", url, curl_easy_strerror(rc));
}
