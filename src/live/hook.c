/* Telling a webhook of fragments: see hook.h. Threads of the server process.
 *
 * One thread looks for what isn't told yet, the oldest fragment of each stream, and puts it in line; several send. A stream is
 * in line or being sent at most once, which keeps its order, and its mark is saved as soon as it was taken: so a crash has those
 * told again that were under way, and no more. A stream whose endpoint failed or took its time is slow until it is quick again.
 * Slow ones have half of the senders at most: what they can cost the others is one sender for one time-out each, once. */
#include "live/hook.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/stream.h"
#include "net/digest.h"
#include "net/post.h"
#include "os/thread.h"

#define TIMEOUT_S 10
#define POLL_MS 5000
#define ROUND_MS 50 /* between two searches at least: they cost a look at every stream */
#define REST_MIN_MS 500
#define REST_MAX_MS 60000
#define SLOW_MS 1000
#define SENDERS 8
#define SLOW_MAX (SENDERS / 2)
#define LINE_MAX 64
#define PAGE 200 /* streams */
#define LEASE_MS 12000	/* of telling: another front goes on after so long */
#define RENEW_MS (LEASE_MS / 2)
#define ANSWER_MAX_BYTES (64u << 10)

/* A stream that is in line or being sent, or slow. */
struct hook_stream {
	struct hook_stream *next;
	char id[UUID_SIZE];
	bool busy, slow;
	int64_t told; /* number of the last fragment that was taken, by which an old page of rows is known */
	int64_t rest_ms, not_before_ms; /* monotonic; after failures */
};

struct hook_sender {
	struct hook *hook;
	struct net_client *client;
	pthread_t thread;
};

struct hook {
	char *url, *secret;
	char holder[UUID_SIZE];
	struct repo *repo;
	struct bus *bus;
	struct bus_subscription *subscription;
	pthread_t thread;
	bool started;
	struct hook_sender senders[SENDERS];
	uint32_t sender_count;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* news, or room in the line */
	pthread_cond_t work;	/* something is in line */
	/* protected by lock */
	bool ending, news;
	int64_t held_until_ms; /* monotonic: others don't tell before, and we do not later */
	struct hook_stream *streams;
	uint32_t slow_busy;
	struct untold line[LINE_MAX];
	uint32_t line_len;
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

static int tell(struct hook *h, struct net_client *client, const struct untold *u, struct err *e)
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
	r = net_post(client,
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

/* ---- streams ---- */

static struct hook_stream *find_locked(struct hook *h, const char *id)
{
	struct hook_stream *st = h->streams;
	while (st && strcmp(st->id, id) != 0)
		st = st->next;
	return st;
}

/* Those that there is nothing to remember of, and those that nothing was found of any more: deleted, or expired. */
static void forget_locked(struct hook *h, int64_t now)
{
	for (struct hook_stream **at = &h->streams; *at;) {
		struct hook_stream *st = *at;
		if (st->busy || (st->slow && now - st->not_before_ms < REST_MAX_MS)) {
			at = &st->next;
			continue;
		}
		*at = st->next;
		free(st);
	}
}

static void put_in_line_locked(struct hook *h, const struct untold *u)
{
	struct hook_stream *st = find_locked(h, u->f.stream_id);
	if (!st) {
		st = mr_calloc(1, sizeof(*st));
		st->told = -1;
		memcpy(st->id, u->f.stream_id, sizeof(st->id));
		st->next = h->streams;
		h->streams = st;
	}
	st->busy = true;
	h->slow_busy += st->slow;
	h->line[h->line_len++] = *u;
	(void)pthread_cond_signal(&h->work);
}

static bool may_send_locked(struct hook *h, const struct untold *u, int64_t now, int64_t *next_ms)
{
	const struct hook_stream *st = find_locked(h, u->f.stream_id);
	if (!st)
		return true;
	if (st->busy || u->f.number <= st->told)
		return false;
	if (st->not_before_ms > now && st->not_before_ms < *next_ms)
		*next_ms = st->not_before_ms;
	return st->not_before_ms <= now && (!st->slow || h->slow_busy < SLOW_MAX);
}

static void done_locked(struct hook *h, const struct untold *u, bool told, int64_t took_ms)
{
	struct hook_stream *st = find_locked(h, u->f.stream_id);
	if (!st)
		return;
	h->slow_busy -= st->slow;
	st->busy = false;
	st->told = told ? u->f.number : st->told;
	st->slow = !told || took_ms > SLOW_MS;
	st->rest_ms = told ? 0 : st->rest_ms ? st->rest_ms * 2 : REST_MIN_MS;
	if (st->rest_ms > REST_MAX_MS)
		st->rest_ms = REST_MAX_MS;
	st->not_before_ms = clock_mono_ms() + st->rest_ms;
	h->news = true; /* there may be more of it */
	(void)pthread_cond_signal(&h->changed);
}

/* ---- threads ---- */

static bool is_held(struct hook *h)
{
	(void)pthread_mutex_lock(&h->lock);
	bool held = clock_mono_ms() < h->held_until_ms;
	(void)pthread_mutex_unlock(&h->lock);
	return held;
}

/* Takes the turn, or keeps it. What isn't known changes nothing. */
static bool take_turn(struct hook *h)
{
	struct err e;
	bool held = false;
	const int64_t now = clock_mono_ms();
	if (repo_telling_claim(h->repo, h->holder, LEASE_MS, &held, &e) < 0) {
		log_warn("webhook_turn_unknown", LOG_E(&e));
		return false;
	}
	(void)pthread_mutex_lock(&h->lock);
	if (held != (now < h->held_until_ms))
		log_info(held ? "webhook_tells" : "webhook_is_told_by_another");
	h->held_until_ms = held ? now + LEASE_MS : 0;
	(void)pthread_mutex_unlock(&h->lock);
	return held;
}

/* True: it was taken, and that is known for good. */
static bool send(struct hook_sender *sender, const struct untold *u)
{
	struct err e;
	/* A look through many streams of slow endpoints takes longer than a turn; or this process was paused. */
	if (!is_held(sender->hook) && !take_turn(sender->hook))
		return false;
	if (tell(sender->hook, sender->client, u, &e) < 0) {
		if (e.kind != ERR_CANCELED)
			log_warn("webhook_again", LOG_S("stream", u->name), LOG_E(&e));
		return false;
	}
	if (repo_told_save(sender->hook->repo, u, &e) < 0) {
		log_warn("webhook_mark_not_saved", LOG_S("stream", u->name), LOG_E(&e)); /* it will be told again */
		return false;
	}
	return true;
}

static void *sender_main(void *arg)
{
	struct hook_sender *sender = arg;
	struct hook *h = sender->hook;
	(void)pthread_mutex_lock(&h->lock);
	for (;;) {
		while (!h->ending && !h->line_len)
			(void)pthread_cond_wait(&h->work, &h->lock);
		if (h->ending)
			break;
		const struct untold u = h->line[0];
		h->line_len--;
		memmove(&h->line[0], &h->line[1], h->line_len * sizeof(h->line[0]));
		(void)pthread_mutex_unlock(&h->lock);
		const int64_t began_ms = clock_mono_ms();
		const bool told = send(sender, &u);
		(void)pthread_mutex_lock(&h->lock);
		done_locked(h, &u, told, clock_mono_ms() - began_ms);
	}
	(void)pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* Until then, or until there are news if these count. False: it ends. */
static bool rest(struct hook *h, int64_t until_ms, bool until_news)
{
	(void)pthread_mutex_lock(&h->lock);
	while (!h->ending && !(until_news && h->news) && cond_wait_until(&h->changed, &h->lock, until_ms)) {
	}
	bool go_on = !h->ending;
	(void)pthread_mutex_unlock(&h->lock);
	return go_on;
}

/* What may be sent of a page goes in line, and waits for room there. False: it ends. */
static bool put_page(struct hook *h, const struct untold *page, uint32_t count, int64_t *next_ms)
{
	(void)pthread_mutex_lock(&h->lock);
	for (uint32_t i = 0; i < count && !h->ending; i++) {
		while (!h->ending && h->line_len == LINE_MAX)
			(void)pthread_cond_wait(&h->changed, &h->lock);
		if (!h->ending && may_send_locked(h, &page[i], clock_mono_ms(), next_ms))
			put_in_line_locked(h, &page[i]);
	}
	bool go_on = !h->ending;
	(void)pthread_mutex_unlock(&h->lock);
	return go_on;
}

/* Whether it is this process that tells: asked again and again. */
static bool is_ours(struct hook *h, int64_t *renew_ms)
{
	const int64_t now = clock_mono_ms();
	if (now < *renew_ms)
		return is_held(h);
	bool held = take_turn(h);
	*renew_ms = now + (held ? RENEW_MS : POLL_MS);
	return held;
}

/* Once through all streams. False: it ends. */
static bool look(struct hook *h, int64_t *next_ms)
{
	_cleanup_free_ struct untold *page = mr_calloc(PAGE, sizeof(*page));
	char after[UUID_SIZE] = "";
	uint32_t count = PAGE;
	struct err e;
	bool go_on = true;
	while (go_on && count == PAGE) {
		(void)pthread_mutex_lock(&h->lock);
		forget_locked(h, clock_mono_ms());
		(void)pthread_mutex_unlock(&h->lock);
		if (repo_untold_list(h->repo, after, page, PAGE, &count, &e) < 0) {
			log_warn("webhook_rows_not_read", LOG_E(&e));
			*next_ms = clock_mono_ms() + REST_MIN_MS;
			return true;
		}
		if (count)
			memcpy(after, page[count - 1].f.stream_id, sizeof(after));
		go_on = put_page(h, page, count, next_ms);
	}
	return go_on;
}

static void *hook_main(void *arg)
{
	struct hook *h = arg;
	bool go_on = true;
	int64_t renew_ms = 0;
	while (go_on) {
		const int64_t began_ms = clock_mono_ms();
		int64_t next_ms = began_ms + POLL_MS;
		(void)pthread_mutex_lock(&h->lock);
		h->news = false;
		(void)pthread_mutex_unlock(&h->lock);
		if (is_ours(h, &renew_ms))
			go_on = look(h, &next_ms);
		go_on = go_on && rest(h, began_ms + ROUND_MS, false) && rest(h, next_ms, true);
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

/* ---- life ---- */

static int start_threads(struct hook *h, struct err *e)
{
	int failed = thread_start(&h->thread, "hook", hook_main, h);
	h->started = failed == 0;
	while (!failed && h->sender_count < SENDERS) {
		struct hook_sender *sender = &h->senders[h->sender_count];
		*sender = (struct hook_sender){ .hook = h, .client = net_client_new() };
		failed = thread_start(&sender->thread, "hook-send", sender_main, sender);
		if (failed)
			net_client_free(sender->client);
		else
			h->sender_count++;
	}
	return failed ? err_errno(e, failed, "start the webhook's threads") : 0;
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
	uuid7_new(h->holder);
	(void)pthread_mutex_init(&h->lock, NULL);
	cond_init_monotonic(&h->changed);
	(void)pthread_cond_init(&h->work, NULL);
	int r = bus_subscribe(h->bus, BUS_STREAM, on_news, h, &h->subscription, e);
	if (r == 0)
		r = start_threads(h, e);
	if (r < 0) {
		hook_stop(h);
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
	(void)pthread_cond_broadcast(&h->changed);
	(void)pthread_cond_broadcast(&h->work);
	(void)pthread_mutex_unlock(&h->lock);
	if (h->started)
		(void)pthread_join(h->thread, NULL);
	for (uint32_t i = 0; i < h->sender_count; i++) {
		(void)pthread_join(h->senders[i].thread, NULL);
		net_client_free(h->senders[i].client);
	}
	if (h->held_until_ms && repo_telling_leave(h->repo, h->holder, NULL) < 0)
		log_debug("webhook_turn_kept", LOG_I("ms", LEASE_MS));
	if (h->subscription)
		bus_unsubscribe(h->bus, h->subscription);
	while (h->streams) {
		struct hook_stream *st = h->streams;
		h->streams = st->next;
		free(st);
	}
	(void)pthread_mutex_destroy(&h->lock);
	(void)pthread_cond_destroy(&h->changed);
	(void)pthread_cond_destroy(&h->work);
	explicit_bzero(h->secret, strlen(h->secret));
	free(h->secret);
	free(h->url);
	free(h);
}
