/* Telling a webhook of fragments. A thread of the server process; see hook.h. */
#include "live/hook.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/stream.h"
#include "net/digest.h"
#include "net/post.h"
#include "os/thread.h"

#define TIMEOUT_S 10
#define POLL_MS 5000
#define REST_MIN_MS 500
#define REST_MAX_MS 60000
#define AT_ONCE 200 /* streams */
#define ANSWER_MAX_BYTES (64u << 10)

struct hook {
	char *url, *secret;
	struct repo *repo;
	struct bus *bus;
	struct bus_subscription *subscription;
	struct net_client *client;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* protected by lock */
	bool ending, news;
};

static bool keep_going(void *ctx)
{
	struct hook *h = ctx;
	(void)pthread_mutex_lock(&h->lock);
	bool go_on = !h->ending;
	(void)pthread_mutex_unlock(&h->lock);
	return go_on;
}

/* ---- one fragment ---- */

static bool put_url(struct buf *out, const char *url, const struct untold *u)
{
	bool ok = true;
	while (ok && *url) {
		const char *value = strncmp(url, "{stream}", 8) == 0 ? u->name : strncmp(url, "{user}", 6) == 0 ? u->user_id : NULL;
		ok = value ? uri_encode(out, value, strlen(value), false) : buf_append(out, url, 1);
		url += value ? strcspn(url, "}") + 1 : 1;
	}
	return ok;
}

static void put_body(struct buf *out, const struct untold *u)
{
	char number[FRAGMENT_NUMBER_SIZE], producer[ISO8601_SIZE], server[ISO8601_SIZE];
	struct stream s = { .created_ms = u->created_ms };
	memcpy(s.id, u->f.stream_id, sizeof(s.id));
	fragment_number_format(&s, u->f.number, number);
	iso8601_format(u->f.producer_ms, producer);
	iso8601_format(u->f.server_ms, server);
	(void)buf_puts(out, "{\"stream\":");
	(void)json_quote(out, u->name, strlen(u->name));
	(void)buf_puts(out, ",\"user_id\":");
	(void)json_quote(out, u->user_id, strlen(u->user_id));
	(void)buf_printf(out,
			 ",\"fragment_number\":\"%s\",\"producer_timestamp\":\"%s\",\"server_timestamp\":\"%s\","
			 "\"duration\":%.12g,\"size\":%" PRIu64 "}",
			 number, producer, server, (double)u->f.length_ms / 1000, u->f.bytes);
}

static void put_signature(struct buf *out, const char *secret, const char *timestamp, const struct buf *body)
{
	_cleanup_buf_ struct buf text;
	uint8_t mac[SHA256_BYTES];
	char hex[SHA256_HEX_SIZE];
	buf_init(&text, 16384);
	(void)buf_printf(&text, "%s.", timestamp);
	(void)buf_append(&text, body->data, body->len);
	hmac_sha256(secret, strlen(secret), text.data, text.len, mac);
	hex_encode(mac, sizeof(mac), hex);
	(void)buf_printf(out, "sha256=%s", hex);
}

static int tell(struct hook *h, const struct untold *u, struct err *e)
{
	_cleanup_buf_ struct buf url, body, signature, answer;
	struct net_answer a = { 0 };
	char timestamp[24];
	buf_init(&url, 8192);
	buf_init(&body, 8192);
	buf_init(&signature, 128);
	buf_init(&answer, ANSWER_MAX_BYTES);
	put_body(&body, u);
	(void)snprintf(timestamp, sizeof(timestamp), "%" PRId64, clock_wall_ms() / 1000);
	int r = buf_finish(&body, e);
	if (r < 0 || !put_url(&url, h->url, u))
		return r < 0 ? r : buf_finish(&url, e);
	put_signature(&signature, h->secret, timestamp, &body);
	const struct sigv4_pair headers[] = { { "Millrace-Timestamp", timestamp }, { "Millrace-Signature", signature.data } };
	r = net_post(h->client,
		     &(struct net_post){ .url = url.data,
					 .content_type = "application/json",
					 .body = body.data,
					 .headers = headers,
					 .header_count = MR_ARRAY_SIZE(headers),
					 .timeout_s = TIMEOUT_S,
					 .keep_going = keep_going,
					 .ctx = h },
		     &answer, &a, e);
	if (r == 0 && (a.status < 200 || a.status >= 300))
		r = err_set(e, ERR_UNAVAILABLE, "HTTP %d", a.status);
	return r;
}

/* ---- the thread ---- */

/* The oldest untold fragment of each stream. Returns how many were taken; *ret_failed: how many not. */
static uint32_t tell_some(struct hook *h, uint32_t *ret_failed)
{
	_cleanup_free_ struct untold *some = mr_calloc(AT_ONCE, sizeof(*some));
	uint32_t count = 0, told = 0;
	struct err e;
	*ret_failed = 0;
	if (repo_untold_list(h->repo, some, AT_ONCE, &count, &e) < 0) {
		log_warn("webhook_rows_not_read", LOG_E(&e));
		*ret_failed = 1;
		return 0;
	}
	for (uint32_t i = 0; i < count && keep_going(h); i++) {
		if (tell(h, &some[i], &e) == 0) {
			some[told++] = some[i];
			continue;
		}
		if (e.kind != ERR_CANCELED)
			log_warn("webhook_again", LOG_S("stream", some[i].name), LOG_E(&e));
		++*ret_failed;
	}
	if (told && repo_told_save(h->repo, some, told, &e) < 0) {
		log_warn("webhook_mark_not_saved", LOG_E(&e)); /* they will be told again */
		return 0;
	}
	return told;
}

/* False: it ends. */
static bool rest(struct hook *h, int64_t ms, bool until_news)
{
	int64_t until_ms = clock_mono_ms() + ms;
	(void)pthread_mutex_lock(&h->lock);
	while (!h->ending && !(until_news && h->news) && cond_wait_until(&h->changed, &h->lock, until_ms)) {
	}
	h->news = false;
	bool go_on = !h->ending;
	(void)pthread_mutex_unlock(&h->lock);
	return go_on;
}

static void *hook_main(void *arg)
{
	struct hook *h = arg;
	int64_t rest_ms = REST_MIN_MS;
	bool go_on = true;
	while (go_on) {
		uint32_t failed = 0, told = tell_some(h, &failed);
		if (!failed)
			go_on = told ? keep_going(h) : rest(h, POLL_MS, true);
		else
			go_on = rest(h, rest_ms, false);
		rest_ms = told || !failed ? REST_MIN_MS : rest_ms * 2 < REST_MAX_MS ? rest_ms * 2 : REST_MAX_MS;
	}
	return NULL;
}

static void on_news(void *ctx, const struct bus_event *ev)
{
	struct hook *h = ctx;
	(void)ev;
	(void)pthread_mutex_lock(&h->lock);
	h->news = true;
	(void)pthread_cond_signal(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
}

static void hook_free(struct hook *h)
{
	if (h->subscription)
		bus_unsubscribe(h->bus, h->subscription);
	net_client_free(h->client);
	(void)pthread_mutex_destroy(&h->lock);
	(void)pthread_cond_destroy(&h->changed);
	explicit_bzero(h->secret, strlen(h->secret));
	free(h->secret);
	free(h->url);
	free(h);
}

int hook_start(const struct hook_opts *opts, struct hook **ret, struct err *e)
{
	if (strncmp(opts->url, "http://", 7) != 0 && strncmp(opts->url, "https://", 8) != 0)
		return err_set(e, ERR_INVALID, "--fragment-webhook: expected an http or https URL");
	if (!opts->secret || strlen(opts->secret) < HOOK_SECRET_MIN)
		return err_set(e, ERR_INVALID, "--fragment-webhook-secret: at least %d bytes are needed", HOOK_SECRET_MIN);
	struct hook *h = mr_calloc(1, sizeof(*h));
	h->url = mr_strdup(opts->url);
	h->secret = mr_strdup(opts->secret);
	h->repo = opts->repo;
	h->bus = opts->bus;
	h->client = net_client_new();
	(void)pthread_mutex_init(&h->lock, NULL);
	cond_init_monotonic(&h->changed);
	int r = bus_subscribe(h->bus, BUS_STREAM, on_news, h, &h->subscription, e);
	if (r == 0 && pthread_create(&h->thread, NULL, hook_main, h) != 0)
		r = err_set(e, ERR_UNAVAILABLE, "start the webhook's thread");
	if (r < 0) {
		hook_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void hook_stop(struct hook *h)
{
	if (!h)
		return;
	(void)pthread_mutex_lock(&h->lock);
	h->ending = true;
	(void)pthread_cond_signal(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
	(void)pthread_join(h->thread, NULL);
	hook_free(h);
}
