/* A stream's PutMedia: header, clusters, acknowledgements. On the client's loop, in the server process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "live/fragmenter.h"
#include "live/kvs_stream_internal.h"
#include "live/matroska_write.h"

/* Five fragments a second are the service's limit: what waits after an outage isn't sent faster. */
#define FRAGMENT_EVERY_MS 220
#define OUT_MAX_BYTES (4u << 20)
#define ANSWER_MAX_BYTES (64u << 10)

static const struct mkv_pcm track = { .sample_rate = FRAGMENT_RATE, .channels = 1 };

/* ---- the body ---- */

/* The cluster, and the tag that ends the fragment: else the service would wait for the next one before it stores this. */
static bool put_fragment(struct kvs_stream *s, struct kvs_fragment *f)
{
	const struct mkv_tag end = { "AWS_KINESISVIDEO_END_OF_FRAGMENT", "" };
	(void)mkv_write_pcm_cluster(&s->out, &track, (uint64_t)f->f.timecode_ms, f->f.take_samples, f->f.count);
	(void)mkv_write_tags(&s->out, &end, 1);
	return !s->out.failed;
}

static struct kvs_fragment *next_unsent(const struct kvs_stream *s)
{
	struct kvs_fragment *f = s->fragments;
	while (f && (f->sent || f->persisted))
		f = f->next;
	return f;
}

/* False: there is nothing to send at the moment. */
static bool fill_out(struct kvs_stream *s)
{
	int64_t now_ms = clock_mono_ms();
	struct kvs_fragment *f = next_unsent(s);
	s->out_at = 0;
	buf_clear(&s->out);
	if (s->state != KVS_S_SENDING || !f || now_ms < s->next_fragment_ms || s->finish)
		return false;
	f->sent = put_fragment(s, f);
	f->sent_ms = s->busy_ms = now_ms;
	s->next_fragment_ms = now_ms + FRAGMENT_EVERY_MS;
	return f->sent;
}

static size_t on_read(void *ctx, char *out, size_t max)
{
	struct kvs_stream *s = ctx;
	if (s->out_at == s->out.len && !fill_out(s)) {
		buf_release(&s->out); /* a session is quiet most of the time */
		s->out_at = 0;
		return s->finish ? 0 : EXCHANGE_LATER;
	}
	size_t n = s->out.len - s->out_at < max ? s->out.len - s->out_at : max;
	memcpy(out, s->out.data + s->out_at, n);
	s->out_at += n;
	return n;
}

/* ---- the answer ---- */

static void on_ack(void *ctx, const struct kvs_ack *a)
{
	struct kvs_stream *s = ctx;
	struct err e;
	if (!s->media)
		return; /* one before has ended the connection */
	s->busy_ms = clock_mono_ms();
	if (a->event == KVS_ERROR) {
		(void)err_set_code(&e, ERR_UNAVAILABLE, a->error_code, "PutMedia: error %u %s", a->error_id, a->error_code);
		kvs_stream_failed(s, kvs_verdict_of_error(a->error_id), &e);
		return;
	}
	if (!a->has_timecode || a->event != (s->keeps ? KVS_PERSISTED : KVS_RECEIVED))
		return;
	for (struct kvs_fragment *f = s->fragments; f; f = f->next)
		if (f->sent && f->f.timecode_ms == a->timecode_ms) {
			kvs_stream_persisted(s, f, a->number);
			break;
		}
	kvs_stream_settle(s);
}

static void on_head(void *ctx, int status)
{
	struct kvs_stream *s = ctx;
	s->refused = status != 200;
	if (s->refused || s->state != KVS_S_CONNECTING)
		return;
	s->connected_ms = s->busy_ms = clock_mono_ms();
	log_info("kvs_connected", LOG_S("stream", s->name), LOG_I("tries", s->tries));
	kvs_stream_enter(s, KVS_S_SENDING);
	kvs_stream_step(s);
}

static void on_data(void *ctx, const char *data, size_t len)
{
	struct kvs_stream *s = ctx;
	struct err e;
	if (!s->media)
		return;
	if (s->refused)
		(void)buf_append(&s->answer, data, len);
	else if (kvs_acks_feed(&s->acks, data, len, on_ack, s, &e) < 0)
		kvs_stream_failed(s, KVS_AGAIN, &e);
}

static void on_done(void *ctx, const struct exchange_end *end)
{
	struct kvs_stream *s = ctx;
	struct err e = end->why;
	const char *type = exchange_header(s->media, "x-amzn-ErrorType");
	_cleanup_free_ char *named = type ? mr_strdup(type) : NULL;
	enum kvs_verdict v = KVS_AGAIN;
	bool over = e.kind == ERR_OK && !s->refused && s->finish;
	s->media = NULL;
	if (e.kind == ERR_OK && s->refused) {
		v = kvs_verdict_of_answer(end->status, named);
		(void)err_set_code(&e, v == KVS_END ? ERR_DENIED : ERR_UNAVAILABLE, "", "PutMedia: HTTP %d %s: %.200s", end->status,
				   named ? named : "", s->answer.data ? s->answer.data : "");
	} else if (e.kind == ERR_OK) {
		(void)err_set(&e, ERR_UNAVAILABLE, "PutMedia: the service ended it");
	} else {
		(void)err_wrap(&e, "PutMedia");
	}
	kvs_media_cut(s);
	if (!over) {
		kvs_stream_failed(s, v, &e);
		return;
	}
	log_info("kvs_connection_ended", LOG_S("stream", s->name));
	kvs_stream_enter(s, KVS_S_IDLE);
	kvs_stream_step(s);
}

/* ---- life ---- */

void kvs_media_connect(struct kvs_stream *s)
{
	struct err e = { 0 };
	const struct kvs_handlers h = { .read = on_read, .head = on_head, .data = on_data, .done = on_done, .ctx = s };
	kvs_media_cut(s);
	buf_init(&s->out, OUT_MAX_BYTES);
	kvs_acks_init(&s->acks);
	if (!s->answer.max)
		buf_init(&s->answer, ANSWER_MAX_BYTES);
	buf_clear(&s->answer);
	s->refused = s->finish = false;
	s->next_fragment_ms = 0;
	(void)mkv_write_pcm_header(&s->out, &track);
	kvs_stream_enter(s, KVS_S_CONNECTING);
	s->media = kvs_client_put(s->o.client, s->put.url, s->name, s->fragments->f.timecode_ms, &h, &e);
	if (!s->media)
		kvs_stream_failed(s, KVS_AGAIN, &e);
}

void kvs_media_cut(struct kvs_stream *s)
{
	if (s->media)
		exchange_cancel(s->media);
	s->media = NULL;
	buf_release(&s->out);
	s->out_at = 0;
	kvs_acks_release(&s->acks);
	for (struct kvs_fragment *f = s->fragments; f; f = f->next) {
		f->maybe |= f->sent && !f->persisted;
		f->sent = false;
	}
}

void kvs_media_end(struct kvs_stream *s)
{
	s->finish = true;
	kvs_stream_enter(s, KVS_S_ENDING);
	exchange_resume(s->media);
}
