/* The sink over Kinesis Video Streams: what comes from sessions is posted to the client's loop, where live/kvs_stream.h does the
 * rest. In the server process. */
#include "live/sink_kvs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "live/kvs_stream.h"

#define RETENTION_HOURS 1
#define RETENTION_MAX_HOURS 87600
#define COPY_HOURS 1
#define ROTATE_S (40 * 60) /* the service ends a connection after 45 minutes */
#define HURRY_MS 3000	   /* for what waits when the server stops */

struct kvs_entry;

struct kvs {
	struct sink sink; /* first */
	struct sink_kvs_opts opts;
	struct kvs_client *client;
	struct kvs_entry *entries;    /* of the loop */
	atomic_int_least64_t hurry_ms; /* from then on what waits is given up; 0: not */
};

struct kvs_entry {
	struct sink_stream stream; /* first */
	struct sink_stream_opts opts;
	struct kvs_stream *kvs; /* of the loop, as are next and prev */
	struct kvs_entry *next, *prev;
	pthread_mutex_t lock;
	/* protected by lock */
	uint32_t waiting;
	bool failed;
};

static struct kvs *sink_of(struct kvs_entry *en)
{
	return (struct kvs *)en->stream.sink;
}

/* ---- on the loop ---- */

static void on_stored(void *ctx, uint64_t sequence, const char *number)
{
	struct kvs_entry *en = ctx;
	(void)pthread_mutex_lock(&en->lock);
	en->waiting--;
	(void)pthread_mutex_unlock(&en->lock);
	en->opts.stored(en->opts.ctx, sequence, number);
}

static void on_failed(void *ctx, const struct err *why)
{
	struct kvs_entry *en = ctx;
	(void)pthread_mutex_lock(&en->lock);
	en->failed = true;
	(void)pthread_mutex_unlock(&en->lock);
	en->opts.failed(en->opts.ctx, why);
}

static void on_closed(void *ctx)
{
	struct kvs_entry *en = ctx;
	struct sink_stream_opts o = en->opts;
	if (en->prev)
		en->prev->next = en->next;
	else
		sink_of(en)->entries = en->next;
	if (en->next)
		en->next->prev = en->prev;
	(void)pthread_mutex_destroy(&en->lock);
	free(en);
	o.closed(o.ctx);
}

static void on_tick(void *ctx)
{
	struct kvs *k = ctx;
	int64_t now_ms = clock_mono_ms(), hurry_ms = atomic_load(&k->hurry_ms);
	for (struct kvs_entry *en = k->entries, *next; en; en = next) {
		next = en->next;
		kvs_stream_tick(en->kvs, now_ms, hurry_ms && now_ms >= hurry_ms);
	}
}

static void begin(void *arg)
{
	struct kvs_entry *en = arg;
	struct kvs *k = sink_of(en);
	en->next = k->entries;
	if (en->next)
		en->next->prev = en;
	k->entries = en;
}

struct appended {
	struct kvs_entry *entry;
	struct sink_fragment f;
};

static void append_now(void *arg)
{
	struct appended *a = arg;
	kvs_stream_append(a->entry->kvs, &a->f);
	free(a);
}

static void close_now(void *arg)
{
	struct kvs_entry *en = arg;
	kvs_stream_close(en->kvs);
}

/* ---- the interface ---- */

static struct sink_stream *kvs_open(struct sink *s, const struct sink_stream_opts *o)
{
	struct kvs *k = (struct kvs *)s;
	struct kvs_entry *en = mr_calloc(1, sizeof(*en));
	en->stream.sink = s;
	en->opts = *o;
	(void)pthread_mutex_init(&en->lock, NULL);
	en->kvs = kvs_stream_new(&(struct kvs_stream_opts){ .client = k->client,
							     .name = o->name,
							     .retention_hours = k->opts.retention_hours,
							     .rotate_ms = (int64_t)k->opts.rotate_s * 1000,
							     .stored = on_stored,
							     .failed = on_failed,
							     .closed = on_closed,
							     .ctx = en });
	exchange_loop_post(kvs_client_loop(k->client), begin, en);
	return &en->stream;
}

static bool kvs_append(struct sink_stream *stream, const struct sink_fragment *f)
{
	struct kvs_entry *en = (struct kvs_entry *)stream;
	(void)pthread_mutex_lock(&en->lock);
	bool ok = !en->failed && en->waiting < SINK_WAITING_MAX;
	en->waiting += ok;
	(void)pthread_mutex_unlock(&en->lock);
	if (!ok)
		return false;
	struct appended *a = mr_calloc(1, sizeof(*a));
	*a = (struct appended){ .entry = en, .f = *f };
	exchange_loop_post(kvs_client_loop(sink_of(en)->client), append_now, a);
	return true;
}

static void kvs_close(struct sink_stream *stream)
{
	struct kvs_entry *en = (struct kvs_entry *)stream;
	exchange_loop_post(kvs_client_loop(sink_of(en)->client), close_now, en);
}

static void kvs_interrupt(struct sink *s)
{
	struct kvs *k = (struct kvs *)s;
	atomic_store(&k->hurry_ms, clock_mono_ms() + HURRY_MS);
}

static void kvs_free(struct sink *s)
{
	struct kvs *k = (struct kvs *)s;
	kvs_client_stop(k->client);
	sink_kvs_opts_release(&k->opts);
	free(k);
}

int sink_kvs_new(const struct sink_kvs_opts *opts, struct sink **ret, struct err *e)
{
	struct kvs *k = mr_calloc(1, sizeof(*k));
	k->sink = (struct sink){
		.refuses_short = true,
		.open = kvs_open, .append = kvs_append, .close = kvs_close, .interrupt = kvs_interrupt, .free = kvs_free
	};
	k->opts = *opts;
	k->opts.region = mr_strdup(opts->region);
	k->opts.endpoint = opts->endpoint ? mr_strdup(opts->endpoint) : NULL;
	int r = kvs_client_start(&(struct kvs_client_opts){ .region = opts->region,
							    .endpoint = opts->endpoint,
							    .tick_ms = KVS_TICK_MS,
							    .tick = on_tick,
							    .ctx = k },
				 &k->client, e);
	if (r < 0) {
		kvs_free(&k->sink);
		return r;
	}
	*ret = &k->sink;
	return 0;
}

/* ---- how it is configured ---- */

void sink_kvs_opts_release(struct sink_kvs_opts *o)
{
	free(o->region);
	free(o->endpoint);
	*o = (struct sink_kvs_opts){ 0 };
}

static bool number_parse(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	char *end = NULL;
	if (!*text || strspn(text, "0123456789") != strlen(text))
		return false;
	unsigned long long v = strtoull(text, &end, 10);
	if (v < min || v > max)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool parameter_parse(char *text, struct sink_kvs_opts *o)
{
	char *value = strchr(text, '=');
	_cleanup_buf_ struct buf decoded;
	buf_init(&decoded, 2048);
	if (!value)
		return false;
	*value++ = '\0';
	if (!uri_decode(&decoded, value, strlen(value)) || !decoded.len)
		return false;
	if (strcmp(text, "retention") == 0)
		return number_parse(decoded.data, 1, RETENTION_MAX_HOURS, &o->retention_hours);
	if (strcmp(text, "rotate") == 0)
		return number_parse(decoded.data, 1, ROTATE_S, &o->rotate_s);
	if (strcmp(text, "copy") == 0)
		return number_parse(decoded.data, 0, RETENTION_MAX_HOURS, &o->copy_hours);
	bool http = strncmp(decoded.data, "http://", 7) == 0 || strncmp(decoded.data, "https://", 8) == 0;
	if (strcmp(text, "endpoint") != 0 || !http)
		return false;
	free(o->endpoint);
	o->endpoint = buf_steal(&decoded);
	return true;
}

int sink_kvs_parse(const char *url, struct sink_kvs_opts *ret, struct err *e)
{
	struct sink_kvs_opts o = { .retention_hours = RETENTION_HOURS, .rotate_s = ROTATE_S, .copy_hours = COPY_HOURS };
	size_t scheme = strlen(SINK_KVS_SCHEME);
	const char *rest = strncmp(url, SINK_KVS_SCHEME, scheme) == 0 ? url + scheme : "";
	size_t region = strspn(rest, "abcdefghijklmnopqrstuvwxyz0123456789-");
	if (!region || (rest[region] && rest[region] != '?'))
		return err_set(e, ERR_INVALID, "expected builtin or kvs://REGION[?endpoint=URL]");
	o.region = mr_strndup(rest, region);
	_cleanup_free_ char *query = mr_strdup(rest[region] ? rest + region + 1 : "");
	char *left = query;
	for (char *one = strsep(&left, "&"); one; one = strsep(&left, "&"))
		if (*one && !parameter_parse(one, &o)) {
			sink_kvs_opts_release(&o);
			return err_set(e, ERR_INVALID,
				       "\"%s\": expected endpoint=URL, retention=HOURS, rotate=SECONDS (at most %d) or copy=HOURS",
				       one, ROTATE_S);
		}
	*ret = o;
	return 0;
}
