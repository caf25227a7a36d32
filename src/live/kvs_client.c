/* Signed calls to Kinesis Video Streams. In the server process, on the client's loop. Source of what is signed: "AWS Signature
 * Version 4" and "PutMedia" (API Reference): the payload's hash of a PutMedia is that of nothing. */
#include "live/kvs_client.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/aws_credentials.h"
#include "net/digest.h"
#include "os/pool.h"

#define SERVICE "kinesisvideo"
#define CALL_MS 15000
#define HEADERS_MAX 10

struct kvs_client {
	char *region, *endpoint;
	struct exchange_loop *loop;
	struct aws_credentials *credentials;
	struct pool *pool; /* one thread, for credentials */
	char *key_id;	   /* that was signed with last */
	pthread_mutex_t lock;
	/* protected by lock */
	bool fetching;
	struct err failure; /* of the last fetch */
};

/* ---- credentials ---- */

static void fetch_keys(void *arg)
{
	struct kvs_client *c = arg;
	struct aws_keys k = { 0 };
	struct err e = { 0 };
	int r = aws_credentials_get(c->credentials, &k, &e);
	if (r < 0)
		log_warn("aws_credentials_failed", LOG_E(&e));
	aws_keys_release(&k);
	(void)pthread_mutex_lock(&c->lock);
	c->fetching = false;
	c->failure = r < 0 ? e : (struct err){ 0 };
	(void)pthread_mutex_unlock(&c->lock);
}

static bool get_keys(struct kvs_client *c, struct aws_keys *ret, struct err *e)
{
	bool due = false, have = aws_credentials_peek(c->credentials, ret, &due);
	(void)pthread_mutex_lock(&c->lock);
	if (e)
		*e = c->failure;
	if (due && !c->fetching)
		c->fetching = pool_submit(c->pool, fetch_keys, c) == 0;
	(void)pthread_mutex_unlock(&c->lock);
	if (!have)
		return false;
	free(c->key_id);
	c->key_id = mr_strdup(ret->access_key_id);
	return true;
}

void kvs_client_reject_keys(struct kvs_client *c)
{
	if (c->key_id)
		aws_credentials_reject(c->credentials, c->key_id);
}

/* ---- requests ---- */

struct request {
	struct sigv4_pair headers[HEADERS_MAX];
	size_t count;
	char *url, *host, *path;
	char date[AMZ_DATE_SIZE];
	struct buf authorization;
};

static void request_release(struct request *r)
{
	free(r->url);
	free(r->host);
	free(r->path);
	buf_release(&r->authorization);
}

static void add_header(struct request *r, const char *name, const char *value)
{
	if (r->count < HEADERS_MAX)
		r->headers[r->count++] = (struct sigv4_pair){ name, value };
}

/* Host as curl would send it: a scheme's own port is left out. */
static void split_url(struct request *r)
{
	const char *authority = strstr(r->url, "://");
	authority = authority ? authority + 3 : r->url;
	size_t len = strcspn(authority, "/");
	bool plain = strncmp(r->url, "http:", 5) == 0;
	r->host = mr_strndup(authority, len);
	r->path = mr_strdup(authority[len] ? authority + len : "/");
	char *port = strrchr(r->host, ':');
	if (port && strcmp(port, plain ? ":80" : ":443") == 0)
		*port = '\0';
}

static void request_init(struct request *r, const char *base, const char *path, const struct aws_keys *k)
{
	size_t n = strlen(base);
	*r = (struct request){ 0 };
	buf_init(&r->authorization, 4096);
	while (n && base[n - 1] == '/')
		n--;
	r->url = mr_asprintf("%.*s%s", (int)n, base, path);
	split_url(r);
	amz_date_format(clock_wall_ms(), r->date);
	add_header(r, "Host", r->host);
	add_header(r, "X-Amz-Date", r->date);
	if (k->session_token)
		add_header(r, "X-Amz-Security-Token", k->session_token);
}

/* All headers so far are signed. */
static int request_sign(struct request *r, const struct kvs_client *c, const struct aws_keys *k, const char *hash, struct err *e)
{
	const struct sigv4_key key = { .access_key_id = k->access_key_id,
				       .secret = k->secret,
				       .session_token = k->session_token,
				       .region = c->region,
				       .service = SERVICE };
	const struct sigv4_request req = { .method = "POST",
					   .path = r->path,
					   .headers = r->headers,
					   .header_count = r->count,
					   .payload_hash = hash };
	int64_t now_ms = 0;
	(void)amz_date_parse(r->date, &now_ms);
	int code = sigv4_authorization(&key, &req, now_ms, &r->authorization, e);
	if (code == 0)
		add_header(r, "Authorization", r->authorization.data);
	return code;
}

static struct exchange *request_start(struct kvs_client *c, const struct request *r, const char *body, const struct kvs_handlers *h)
{
	return exchange_start(c->loop, &(struct exchange_opts){ .url = r->url,
								.headers = r->headers,
								.header_count = r->count,
								.body = body,
								.body_len = body ? strlen(body) : 0,
								.read = h->read,
								.timeout_ms = body ? CALL_MS : 0,
								.head = h->head,
								.data = h->data,
								.done = h->done,
								.ctx = h->ctx });
}

struct exchange *kvs_client_call(struct kvs_client *c, const char *base, const char *path, const char *json,
				 const struct kvs_handlers *h, struct err *e)
{
	struct aws_keys k = { 0 };
	struct request r;
	struct exchange *x = NULL;
	char hash[SHA256_HEX_SIZE];
	if (!get_keys(c, &k, e))
		return NULL;
	sha256_hex(json, strlen(json), hash);
	request_init(&r, base ? base : c->endpoint, path, &k);
	if (request_sign(&r, c, &k, hash, e) == 0) {
		add_header(&r, "Content-Type", "application/json");
		x = request_start(c, &r, json, h);
	}
	request_release(&r);
	aws_keys_release(&k);
	return x;
}

struct exchange *kvs_client_put(struct kvs_client *c, const char *base, const char *stream, int64_t start_ms,
				const struct kvs_handlers *h, struct err *e)
{
	struct aws_keys k = { 0 };
	struct request r;
	struct exchange *x = NULL;
	char start[40];
	if (!get_keys(c, &k, e))
		return NULL;
	(void)snprintf(start, sizeof(start), "%" PRId64 ".%03d", start_ms / 1000, (int)(start_ms % 1000));
	request_init(&r, base, "/putMedia", &k);
	add_header(&r, "x-amzn-stream-name", stream);
	add_header(&r, "x-amzn-fragment-timecode-type", "ABSOLUTE");
	add_header(&r, "x-amzn-producer-start-timestamp", start);
	add_header(&r, "x-amzn-fragment-acknowledgment-required", "1");
	if (request_sign(&r, c, &k, NULL, e) == 0) {
		add_header(&r, "Content-Type", "");
		x = request_start(c, &r, NULL, h);
	}
	request_release(&r);
	aws_keys_release(&k);
	return x;
}

/* ---- life ---- */

struct exchange_loop *kvs_client_loop(struct kvs_client *c)
{
	return c->loop;
}

int kvs_client_start(const struct kvs_client_opts *opts, struct kvs_client **ret, struct err *e)
{
	struct kvs_client *c = mr_calloc(1, sizeof(*c));
	const char *ca_file = getenv("AWS_CA_BUNDLE"); /* as AWS's own tools have it */
	c->region = mr_strdup(opts->region);
	c->endpoint = opts->endpoint ? mr_strdup(opts->endpoint) :
				       mr_asprintf("https://kinesisvideo.%s.amazonaws.com", opts->region);
	c->credentials = aws_credentials_new(&(struct aws_credentials_opts){ .region = opts->region });
	(void)pthread_mutex_init(&c->lock, NULL);
	int r = pool_new("kvs-keys", 1, 4, &c->pool, e);
	if (r == 0)
		r = exchange_loop_start("kvs",
					&(struct exchange_loop_opts){ .tick_ms = opts->tick_ms,
								      .tick = opts->tick,
								      .ctx = opts->ctx,
								      .ca_file = ca_file && *ca_file ? ca_file : NULL },
					&c->loop, e);
	if (r < 0) {
		kvs_client_stop(c);
		return r;
	}
	(void)pthread_mutex_lock(&c->lock);
	c->fetching = pool_submit(c->pool, fetch_keys, c) == 0; /* so that they are there for the first session */
	(void)pthread_mutex_unlock(&c->lock);
	*ret = c;
	return 0;
}

void kvs_client_stop(struct kvs_client *c)
{
	if (!c)
		return;
	exchange_loop_stop(c->loop);
	pool_free(c->pool);
	aws_credentials_free(c->credentials);
	(void)pthread_mutex_destroy(&c->lock);
	free(c->key_id);
	free(c->region);
	free(c->endpoint);
	free(c);
}
