/* What a PutMedia connection's split session says, stored and acknowledged. Events come on the decoder's threads and are
 * worked on by the server's pool, in order, one piece of work per connection at a time. In the server process. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "live/matroska_write.h"
#include "live/put_internal.h"

#define TAGS_MAX_BYTES (16u << 10)
#define ACK_BYTES 256
/* The service takes five fragments a second, however many wait: who sends more is read more slowly. */
#define FRAGMENT_EVERY_MS 200
#define FRAGMENTS_AHEAD_MS 1000
#define PRODUCER_MAX_MS INT64_C(100000000000000) /* year 5138 */

const char *put_error_code(uint32_t error_id)
{
	static const struct {
		uint32_t id;
		const char *code;
	} codes[] = {
		{ PUT_E_READ, "STREAM_READ_ERROR" },
		{ LIVE_E_SIZE, "MAX_FRAGMENT_SIZE_REACHED" },
		{ LIVE_E_DURATION, "MAX_FRAGMENT_DURATION_REACHED" },
		{ PUT_E_CONNECTION_AGE, "MAX_CONNECTION_DURATION_REACHED" },
		{ LIVE_E_TIMECODE_ORDER, "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS" },
		{ LIVE_E_MKV, "INVALID_MKV_DATA" },
		{ PUT_E_PRODUCER_TIME, "INVALID_PRODUCER_TIMESTAMP" },
		{ PUT_E_STREAM_NOT_ACTIVE, "STREAM_NOT_ACTIVE" },
		{ LIVE_E_METADATA, "FRAGMENT_METADATA_LIMIT_REACHED" },
		{ LIVE_E_TRACK_NUMBER, "TRACK_NUMBER_MISMATCH" },
		{ LIVE_E_FRAMES_MISSING, "FRAMES_MISSING_FOR_TRACK" },
		{ LIVE_E_TRACKS, "MORE_THAN_ALLOWED_TRACKS_FOUND" },
		{ PUT_E_ARCHIVAL, "ARCHIVAL_ERROR" },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(codes); i++)
		if (codes[i].id == error_id)
			return codes[i].code;
	return "INTERNAL_ERROR";
}

/* ---- acknowledgements ---- */

static void acknowledge(struct put_conn *c, const char *event)
{
	char line[ACK_BYTES];
	if (!c->target.acknowledge)
		return;
	(void)snprintf(line, sizeof(line),
		       "{\"EventType\":\"%s\",\"FragmentTimecode\":%" PRId64 ",\"FragmentNumber\":\"%s\"}\n", event,
		       c->to.timecode_ms, stream_fragment_number(c->to.fragment));
	put_conn_say(c, line);
}

static void say_error(struct put_conn *c, uint32_t error_id, int64_t timecode_ms)
{
	char line[ACK_BYTES], timecode[48] = "", number[80] = "";
	if (timecode_ms != PUT_TIMECODE_NONE)
		(void)snprintf(timecode, sizeof(timecode), ",\"FragmentTimecode\":%" PRId64, timecode_ms);
	if (c->to.fragment)
		(void)snprintf(number, sizeof(number), ",\"FragmentNumber\":\"%s\"", stream_fragment_number(c->to.fragment));
	(void)snprintf(line, sizeof(line), "{\"EventType\":\"ERROR\"%s%s,\"ErrorId\":%u,\"ErrorCode\":\"%s\"}\n", timecode,
		       number, error_id, put_error_code(error_id));
	log_info("put_media_refused", LOG_S("stream", c->to.stream.name), LOG_S("connection", c->id),
		 LOG_I("error_id", error_id), LOG_S("code", put_error_code(error_id)));
	put_conn_say(c, line);
}

/* ---- on the pool ---- */

/* Nothing more is taken of this connection. */
static void fail(struct put_conn *c, const struct err *e)
{
	uint32_t error_id = e->kind == ERR_LOST || e->kind == ERR_NOT_FOUND ? PUT_E_STREAM_NOT_ACTIVE : PUT_E_ARCHIVAL;
	if (c->to.failed)
		return;
	c->to.failed = true;
	log_warn("put_media_failed", LOG_S("stream", c->to.stream.name), LOG_S("connection", c->id), LOG_E(e));
	say_error(c, error_id, c->to.timecode_ms);
	stream_fragment_abort(c->to.fragment);
	c->to.fragment = NULL;
	put_stream_cut(c, 0);
}

static void begin_fragment(struct put_conn *c, int64_t timecode_ms)
{
	struct put_stream *s = &c->to;
	struct err e = { 0 };
	int64_t producer_ms = timecode_ms + (c->target.relative ? c->target.start_ms : 0);
	s->timecode_ms = timecode_ms;
	if (producer_ms < 0 || producer_ms > PRODUCER_MAX_MS) {
		s->failed = true;
		say_error(c, PUT_E_PRODUCER_TIME, timecode_ms);
		put_stream_cut(c, 0);
		return;
	}
	const struct stream_fragment_new n = {
		.header = s->header.data, .header_len = s->header.len, .producer_ms = producer_ms, .timecode_ms = timecode_ms
	};
	buf_clear(&s->tags);
	if (stream_fragment_begin(s->writer, &n, &s->fragment, &e) < 0)
		fail(c, &e);
	else
		acknowledge(c, "BUFFERING");
}

/* The producer's own tags, behind its cluster. */
static int write_tags(struct put_stream *s, struct err *e)
{
	struct mkv_tag tags[32];
	size_t count = 0;
	if (!s->tags.len)
		return 0;
	for (const char *p = s->tags.data; p < s->tags.data + s->tags.len && count < MR_ARRAY_SIZE(tags); count++) {
		tags[count].name = p;
		p += strlen(p) + 1;
		tags[count].value = p;
		p += strlen(p) + 1;
	}
	_cleanup_buf_ struct buf b;
	buf_init(&b, 2 * TAGS_MAX_BYTES);
	(void)mkv_write_tags(&b, tags, count);
	int r = buf_finish(&b, e);
	return r < 0 ? r : stream_fragment_write(s->fragment, b.data, b.len, e);
}

static void end_fragment(struct put_conn *c, int64_t duration_ms)
{
	struct put_stream *s = &c->to;
	struct err e = { 0 };
	char persisted[ACK_BYTES];
	int r = write_tags(s, &e);
	if (r < 0) {
		fail(c, &e);
		return;
	}
	acknowledge(c, "RECEIVED");
	(void)snprintf(persisted, sizeof(persisted),
		       "{\"EventType\":\"PERSISTED\",\"FragmentTimecode\":%" PRId64 ",\"FragmentNumber\":\"%s\"}\n",
		       s->timecode_ms, stream_fragment_number(s->fragment));
	r = stream_fragment_commit(s->fragment, duration_ms, NULL, &e);
	s->fragment = NULL;
	if (r < 0) {
		fail(c, &e);
		return;
	}
	c->fragments++;
	/* Where nothing is kept the service doesn't say that it is. */
	if (c->target.acknowledge && s->stream.retention_hours)
		put_conn_say(c, persisted);
}

static void end_session(struct put_conn *c, const struct put_item *it)
{
	struct put_stream *s = &c->to;
	(void)pthread_mutex_lock(&c->lock);
	uint32_t error_id = c->cut_error_id ? c->cut_error_id : it->error_id;
	(void)pthread_mutex_unlock(&c->lock);
	if (error_id && !s->failed)
		say_error(c, error_id, it->timecode_ms);
	stream_fragment_abort(s->fragment);
	s->fragment = NULL;
	stream_writer_close(s->writer);
	s->writer = NULL;
	log_info("put_media_ended", LOG_S("stream", s->stream.name), LOG_S("connection", c->id),
		 LOG_I("fragments", c->fragments));
	put_conn_say(c, NULL);
}

static void work_on(struct put_conn *c, const struct put_item *it)
{
	struct put_stream *s = &c->to;
	struct err e = { 0 };
	if (it->kind == PUT_ITEM_DONE)
		end_session(c, it);
	else if (s->failed)
		return;
	else if (it->kind == PUT_ITEM_BEGIN)
		begin_fragment(c, it->timecode_ms);
	else if (it->kind == PUT_ITEM_END && s->fragment)
		end_fragment(c, it->duration_ms);
	else if (it->kind == PUT_ITEM_DATA && s->fragment && stream_fragment_write(s->fragment, it->data, it->len, &e) < 0)
		fail(c, &e);
	else if (it->kind == PUT_ITEM_TAG)
		(void)buf_append(&s->tags, it->data, it->len);
	else if (it->kind == PUT_ITEM_HEADER) {
		buf_clear(&s->header);
		(void)buf_append(&s->header, it->data, it->len);
	}
}

/* The next item is a fragment that comes too early. */
static bool is_early_locked(struct put_conn *c)
{
	struct put_stream *s = &c->to;
	const int64_t now_ms = clock_mono_ms();
	if (!c->items || c->items->kind != PUT_ITEM_BEGIN || c->cut || s->failed)
		return false;
	if (now_ms < s->turn_ms - FRAGMENTS_AHEAD_MS)
		return true;
	s->turn_ms = (s->turn_ms > now_ms ? s->turn_ms : now_ms) + FRAGMENT_EVERY_MS;
	return false;
}

static void work(void *arg)
{
	struct put_conn *c = arg;
	for (;;) {
		(void)pthread_mutex_lock(&c->lock);
		c->early = is_early_locked(c);
		if (c->early) {
			(void)pthread_mutex_unlock(&c->lock);
			break;
		}
		struct put_item *it = c->items;
		if (it) {
			c->items = it->next;
			c->tail = c->items ? c->tail : &c->items;
			c->item_bytes -= it->len;
		}
		c->working = it != NULL;
		bool resume = c->slow && c->item_bytes < PUT_QUEUED_BYTES / 2;
		c->slow = c->slow && !resume;
		(void)pthread_mutex_unlock(&c->lock);
		if (resume)
			put_conn_resume(c);
		if (!it)
			break;
		work_on(c, it);
		free(it);
	}
	put_conn_unref(c);
}

static void go_on_locked(struct put_conn *c)
{
	/* The pool has room for one piece of work of every connection. */
	if (pool_submit(c->server->pool, work, put_conn_ref(c)) < 0)
		log_error("put_media_stuck", LOG_S("connection", c->id));
}

bool put_stream_check(struct put_conn *c)
{
	(void)pthread_mutex_lock(&c->lock);
	bool busy = c->working;
	if (c->early)
		go_on_locked(c);
	c->early = false;
	(void)pthread_mutex_unlock(&c->lock);
	return busy;
}

/* ---- from the decoder's threads ---- */

static struct put_item *item_new(enum put_item_kind kind, const void *data, size_t len)
{
	struct put_item *it = mr_calloc(1, sizeof(*it) + len);
	it->kind = kind;
	it->len = len;
	if (len)
		memcpy(it->data, data, len);
	return it;
}

static void push(struct put_conn *c, struct put_item *take)
{
	(void)pthread_mutex_lock(&c->lock);
	*c->tail = take;
	c->tail = &take->next;
	c->item_bytes += take->len;
	if (!c->working)
		go_on_locked(c);
	c->working = true;
	(void)pthread_mutex_unlock(&c->lock);
}

static void on_header(void *ctx, const struct live_header *h, const void *data, size_t len)
{
	(void)h;
	push(ctx, item_new(PUT_ITEM_HEADER, data, len));
}

static void on_begin(void *ctx, int64_t timecode_ms)
{
	struct put_item *it = item_new(PUT_ITEM_BEGIN, NULL, 0);
	it->timecode_ms = timecode_ms;
	push(ctx, it);
}

static void on_data(void *ctx, const void *data, size_t len)
{
	push(ctx, item_new(PUT_ITEM_DATA, data, len));
}

static void on_tag(void *ctx, const struct live_tag *t)
{
	char text[sizeof(t->name) + sizeof(t->value)];
	size_t name = strlen(t->name) + 1, value = strlen(t->value) + 1;
	memcpy(text, t->name, name);
	memcpy(text + name, t->value, value);
	push(ctx, item_new(PUT_ITEM_TAG, text, name + value));
}

static void on_end(void *ctx, const struct live_fragment *f)
{
	struct put_item *it = item_new(PUT_ITEM_END, NULL, 0);
	it->duration_ms = f->duration_ms;
	push(ctx, it);
}

static void on_writable(void *ctx)
{
	put_conn_resume(ctx);
}

static void on_done(void *ctx, uint32_t error_id, int64_t timecode_ms, const struct err *why)
{
	struct put_conn *c = ctx;
	struct put_item *it = item_new(PUT_ITEM_DONE, NULL, 0);
	it->timecode_ms = error_id && timecode_ms >= 0 ? timecode_ms : PUT_TIMECODE_NONE;
	it->error_id = error_id || !why || why->kind == ERR_CANCELED ? error_id : PUT_E_INTERNAL;
	(void)pthread_mutex_lock(&c->lock);
	c->split = NULL;
	(void)pthread_mutex_unlock(&c->lock);
	push(c, it);
	put_conn_unref(c); /* the session's */
}

/* ---- from the loop ---- */

static int open_session(struct put_conn *c, struct err *e)
{
	const struct live_split_handlers h = { .ctx = c,
					       .header = on_header,
					       .fragment_begin = on_begin,
					       .fragment_data = on_data,
					       .fragment_tag = on_tag,
					       .fragment_end = on_end,
					       .writable = on_writable,
					       .end = on_done };
	(void)put_conn_ref(c);
	(void)pthread_mutex_lock(&c->lock);
	int r = live_split_open(c->server->o.decoder, &h, &c->split, e);
	(void)pthread_mutex_unlock(&c->lock);
	if (r < 0)
		put_conn_unref(c);
	return r;
}

static int find_stream(struct put_conn *c, struct err *e)
{
	struct stream s = { 0 };
	int r = repo_stream_get(c->server->o.repo, c->user, c->target.name, &s, e);
	if (r < 0)
		return r;
	if (c->target.created_ms && c->target.created_ms != s.created_ms) {
		stream_release(&s);
		return err_set(e, ERR_NOT_FOUND, "there is no such stream");
	}
	c->to.stream = s;
	return 0;
}

void put_stream_admit(struct put_conn *c, struct err *e)
{
	struct put_stream *s = &c->to;
	buf_init(&s->header, LIVE_HEAD_MAX_BYTES);
	buf_init(&s->tags, TAGS_MAX_BYTES);
	int r = find_stream(c, e);
	if (r == 0)
		r = stream_writer_open(c->server->o.streams, &s->stream, &s->writer, e);
	if (r == 0)
		r = open_session(c, e);
	if (r < 0) {
		stream_writer_close(s->writer);
		s->writer = NULL;
	}
}

int put_stream_bytes(struct put_conn *c, const void *data, size_t len)
{
	struct err e;
	int r = -ERR_LOST;
	(void)pthread_mutex_lock(&c->lock);
	if (c->split && c->item_bytes >= PUT_QUEUED_BYTES) {
		c->slow = true;
		r = -ERR_BUSY;
	} else if (c->split) {
		r = live_split_bytes(c->split, data, len, &e);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return r;
}

void put_stream_finish(struct put_conn *c)
{
	(void)pthread_mutex_lock(&c->lock);
	if (c->split)
		live_split_finish(c->split);
	(void)pthread_mutex_unlock(&c->lock);
}

void put_stream_cut(struct put_conn *c, uint32_t error_id)
{
	(void)pthread_mutex_lock(&c->lock);
	if (!c->cut_error_id)
		c->cut_error_id = error_id;
	if (c->split)
		live_split_abandon(c->split);
	c->cut = true;
	if (c->early)
		go_on_locked(c);
	c->early = false;
	(void)pthread_mutex_unlock(&c->lock);
}

void put_stream_release(struct put_stream *s)
{
	buf_release(&s->header);
	buf_release(&s->tags);
	stream_release(&s->stream);
}
