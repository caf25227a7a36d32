/* A live session on its loop: its peer, its chunks, its life. Live threads of the server process. */
#include "live/session.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "live/session_internal.h"
#include "net/digest.h"

#define LEAVE_MS 30000
#define SAVE_EVERY_MS 10000
#define MESSAGE_MAX 1024

/* ---- what the speaker is told ---- */

void ingest_tell(struct ingest_session *s, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list args;
	if (!s->peer.text)
		return;
	va_start(args, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	assert(n > 0 && n < MESSAGE_MAX);
	s->peer.text(s->peer.ctx, text, (size_t)n);
}

void ingest_tell_error(struct ingest_session *s, const struct err *why)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, MESSAGE_MAX);
	if (live_error_format(&b, why, true) && s->peer.text)
		s->peer.text(s->peer.ctx, b.data, b.len);
}

void ingest_part(struct ingest_session *s, enum websocket_code code, const char *reason)
{
	struct live_peer peer = s->peer;
	s->peer = (struct live_peer){ 0 };
	if (peer.close)
		peer.close(peer.ctx, code, reason);
}

static void pause_peer(struct ingest_session *s, bool paused)
{
	if (s->peer_paused == paused)
		return;
	s->peer_paused = paused;
	if (s->peer.pause)
		s->peer.pause(s->peer.ctx, paused);
}

/* ---- chunks → decoder ---- */

static bool may_feed(const struct ingest_session *s)
{
	return s->decoding_count < DECODING_MAX && s->given_bytes - s->taken_bytes < DECODING_MAX_BYTES &&
	       s->storing_count < STORING_MAX;
}

static void note_loss(struct ingest_session *s, int64_t from, int64_t count)
{
	log_warn("chunks_lost", LOG_S("session", s->row.id), LOG_I("from", from), LOG_I("count", count));
	(void)atomic_fetch_add(&s->o.counters->lost_chunks, (uint64_t)count);
	ingest_tell(s, "{\"type\":\"gap\",\"sessionId\":\"%s\",\"fromChunkIndex\":%" PRId64 ",\"chunks\":%" PRId64 "}", s->row.id,
		    from, count);
}

/* Two recordings' first chunks are never the same: there is a random number in each, and a microphone's noise. */
static int64_t recording_of(const void *first_chunk, size_t len)
{
	uint8_t digest[SHA256_BYTES];
	uint64_t n = 0;
	sha256(first_chunk, len, digest);
	for (size_t i = 0; i < sizeof(n); i++)
		n = n << 8 | digest[i];
	return (int64_t)(n >> 1 | 1);
}

static void feed(struct ingest_session *s, const struct sound_chunk *c)
{
	if (c->index == 0)
		s->recording = recording_of(c->data, c->len);
	if (c->lost)
		note_loss(s, c->index - c->lost, c->lost);
	if (s->state > SESSION_FINISHING)
		return;
	if (!ingest_give_sound(s, c->data, c->len, c->lost && s->fed)) {
		note_loss(s, c->index, 1);
		return;
	}
	s->fed = true;
	s->given_bytes += c->len;
	s->decoding[s->decoding_count].index = c->index;
	s->decoding[s->decoding_count].recording = s->recording;
	s->decoding[s->decoding_count++].end = s->given_bytes;
}

void ingest_pump(struct ingest_session *s)
{
	struct sound_chunk c;
	if (s->state == SESSION_LIVE) {
		int64_t now = clock_mono_ms();
		while (may_feed(s) && chunk_window_take(&s->window, now, false, &c)) {
			feed(s, &c);
			free(c.data);
		}
		pause_peer(s, !may_feed(s));
	}
}

/* A new recording after a reconnect counts from 0 again; the same chunk 0 sent again is a double. */
static void begin_again(struct ingest_session *s, const void *data, size_t len)
{
	if (recording_of(data, len) == s->recording)
		return;
	log_info("recording_restarted", LOG_S("session", s->row.id), LOG_I("chunk", s->window.next));
	struct sound_chunk c;
	while (chunk_window_take(&s->window, 0, true, &c)) {
		if (may_feed(s))
			feed(s, &c);
		free(c.data);
	}
	chunk_window_init(&s->window, 0);
}

bool ingest_session_chunk(struct ingest_session *s, int64_t index, const void *data, size_t len)
{
	if (s->state != SESSION_LIVE)
		return true;
	if (s->fresh_peer && index == 0 && s->window.next > 0)
		begin_again(s, data, len);
	s->fresh_peer = false;
	enum chunk_verdict v = chunk_window_put(&s->window, index, data, len, clock_mono_ms());
	if (v == CHUNK_FULL)
		return false;
	(void)atomic_fetch_add(v == CHUNK_KEPT ? &s->o.counters->chunks : &s->o.counters->duplicates, 1);
	int64_t shown = index >= 0 ? index : s->window.last;
	ingest_tell(s, "{\"type\":\"ack\",\"chunkIndex\":%" PRId64 "%s}", shown, v == CHUNK_KEPT ? "" : ",\"duplicate\":true");
	ingest_pump(s);
	return true;
}

/* ---- life ---- */

int ingest_session_new(const struct ingest_session_opts *opts, const struct live_session_row *row, struct ingest_session **ret,
		     struct err *e)
{
	struct ingest_session *s = mr_calloc(1, sizeof(*s));
	s->o = *opts;
	if (!s->o.leave_ms)
		s->o.leave_ms = LEAVE_MS;
	s->row = *row;
	s->storing_tail = &s->storing;
	s->left_ms = s->saved_ms = clock_mono_ms();
	s->done_chunk = s->stored_chunk = row->next_chunk > 0 ? row->next_chunk - 1 : -1;
	s->recording = s->done_recording = row->recording;
	/* Without a state nothing can go on: it is a new recording, whatever its first number is. */
	chunk_window_init(&s->window, row->state_len ? row->next_chunk : 0);
	(void)pthread_mutex_init(&s->sound_lock, NULL);
	int r = ingest_open_sound(s, e);
	if (r < 0) {
		ingest_free(s);
		return r;
	}
	s->fragmenter = fragmenter_new(row->end_ms);
	ingest_open_stream(s);
	log_info("session_opened", LOG_S("session", row->id), LOG_S("user", row->user_id), LOG_I("resumed", row->state_len > 0));
	*ret = s;
	return 0;
}

const char *ingest_session_id(const struct ingest_session *s)
{
	return s->row.id;
}

const char *ingest_session_user(const struct ingest_session *s)
{
	return s->row.user_id;
}

bool ingest_session_is_ending(const struct ingest_session *s)
{
	return s->state != SESSION_LIVE;
}

void ingest_session_join(struct ingest_session *s, const struct live_peer *peer)
{
	if (s->peer.text) {
		struct err e;
		(void)err_set_code(&e, ERR_CONFLICT, "REPLACED", "the session goes on over another connection");
		ingest_tell_error(s, &e);
		ingest_part(s, WEBSOCKET_POLICY, "REPLACED");
	}
	s->peer = *peer;
	s->peer_paused = false;
	s->fresh_peer = true;
	ingest_tell(s,
		    "{\"type\":\"session\",\"sessionId\":\"%s\",\"stream\":\"" LIVE_STREAM_PREFIX "%s\",\"resumed\":%s,"
		    "\"nextChunkIndex\":%" PRId64 ",\"storedChunkIndex\":%" PRId64 "}",
		    s->row.id, s->row.id, s->fed || s->row.state_len ? "true" : "false", s->window.next, s->stored_chunk);
	ingest_pump(s);
}

void ingest_session_leave(struct ingest_session *s)
{
	s->peer = (struct live_peer){ 0 };
	s->left_ms = clock_mono_ms();
	if (s->state == SESSION_LIVE)
		ingest_save(s);
}

void ingest_session_stop(struct ingest_session *s, bool ended)
{
	struct sound_chunk c;
	if (s->state != SESSION_LIVE)
		return;
	while (chunk_window_take(&s->window, 0, true, &c)) {
		/* What the decoder can't take any more was never told to be stored. */
		if (s->decoding_count < DECODING_MAX)
			feed(s, &c);
		free(c.data);
	}
	ingest_note_state(s);
	ingest_finish_sound(s);
	s->ended = ended;
	s->state = SESSION_FINISHING;
}

void ingest_session_tick(struct ingest_session *s, int64_t now_ms)
{
	if (s->state != SESSION_LIVE)
		return;
	ingest_pump(s);
	if (!s->peer.text && now_ms - s->left_ms >= s->o.leave_ms)
		ingest_session_stop(s, false);
	else if (s->fed && now_ms - s->saved_ms >= SAVE_EVERY_MS)
		ingest_save(s);
}
