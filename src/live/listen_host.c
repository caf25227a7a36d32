/* A thread with a process that encodes for listeners: takes one fragment at a time of whichever session has something to do, has it
 * encoded, and puts the frames into the session's ring. In the server.
 *
 * Guarantees: what a process says is checked (proto/listen.h), and one that says nothing for SILENCE_MS is ended. The sessions of a
 * process that died are over, their listeners begin others; the fragment that it died of is silence from then on. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/flow.h"
#include "live/listen_internal.h"
#include "live/stream_reader.h"
#include "proto/channel.h"

#define SILENCE_S 20
#define MEMORY_BYTES (512ull << 20)
#define POLL_MS 1000
#define RETRY_MS 1000
#define IDLE_PROCESS_MS 60000
#define AHEAD_FRAMES 375 /* 8 s: so much is made beyond what was asked for */
#define PAD_FRAMES (LISTEN_TAIL_FRAMES + LISTEN_BEHIND_FRAMES + 4)

/* ---- the process ---- */

static int start_process(struct listen_host *h, struct err *e)
{
	const struct task_spec spec = { .kind = TASK_LISTEN };
	const struct task_limits limits = { .memory_bytes = MEMORY_BYTES };
	const struct timeval silence = { .tv_sec = SILENCE_S };
	if (h->running)
		return 0;
	if (clock_mono_ms() < h->start_at_ms)
		return err_set_code(e, ERR_UNAVAILABLE, "TASK_LOST", "no process to encode in");
	h->start_at_ms = clock_mono_ms() + RETRY_MS;
	int r = task_hold_start(h->listener->o.zygote, &spec, &limits, &h->process, e);
	if (r < 0)
		return r;
	(void)setsockopt(h->process.channel, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
	(void)setsockopt(h->process.channel, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
	h->running = true;
	return 0;
}

static void end_process(struct listen_host *h, const struct err *reason)
{
	char why[128];
	if (!h->running)
		return;
	(void)task_hold_end(&h->process, why, sizeof(why));
	h->running = false;
	if (reason)
		log_warn("listen_process_died", LOG_S("reason", reason->message), LOG_S("end", why));
}

/* ---- an order ---- */

static void take_frames(struct listen_session *s, const struct listen_frames *f, const uint8_t *bytes, size_t len)
{
	const uint8_t *at = bytes, *frame;
	uint32_t size;
	struct listener *l = s->host->listener;
	(void)pthread_mutex_lock(&l->lock);
	if (f->first < s->next_frame) /* the producer's clock went back */
		listen_session_clear_locked(s);
	s->channels = f->channels;
	for (int64_t i = f->first; listen_frame_next(&at, bytes + len, &frame, &size); i++) {
		struct listen_frame *to = &s->ring[i % RING_FRAMES];
		s->bytes += size;
		s->bytes -= to->len;
		free(to->data);
		to->data = mr_calloc(1, size);
		memcpy(to->data, frame, size);
		to->len = size;
		to->index = i;
		s->next_frame = i + 1;
	}
	listen_wake_locked(l, s);
	(void)pthread_mutex_unlock(&l->lock);
}

static int send_bytes(struct listen_host *h, const struct buf *bytes, struct err *e)
{
	int r = 0;
	for (size_t at = 0; r == 0 && at < bytes->len;) {
		const size_t left = bytes->len - at, n = left < LISTEN_MESSAGE_MAX_BYTES ? left : LISTEN_MESSAGE_MAX_BYTES;
		r = channel_send(h->process.channel, MSG_LISTEN_BYTES, bytes->data + at, n, e);
		at += n;
	}
	return r;
}

/* Returns what became of the process; what the order failed of is *ret_why (kind ERR_OK: nothing). */
static int carry_out(struct listen_host *h, struct listen_session *s, const struct listen_order *o, struct err *ret_why,
		     struct err *e)
{
	enum msg_type type = MSG_LISTEN_FRAMES;
	buf_clear(&h->out);
	int r = o->op == LISTEN_FRAGMENT ? send_bytes(h, &h->fragment, e) : 0;
	if (r == 0)
		r = listen_order_encode(o, &h->out, e);
	if (r == 0)
		r = channel_send(h->process.channel, MSG_LISTEN_ORDER, h->out.data, h->out.len, e);
	while (r == 0 && type == MSG_LISTEN_FRAMES) {
		struct listen_frames f;
		const uint8_t *bytes;
		size_t len;
		r = channel_recv(h->process.channel, &type, &h->in, e);
		if (r == 0 && type == MSG_LISTEN_FRAMES) {
			r = listen_frames_decode(h->in.data, h->in.len, &f, &bytes, &len, e);
			if (r == 0 && s)
				take_frames(s, &f, bytes, len);
		}
	}
	if (r == 0 && type != MSG_LISTEN_DONE)
		r = err_set(e, ERR_PROTOCOL, "message %d of a process that encodes for listeners", (int)type);
	return r == 0 && h->in.len ? task_failure_decode(h->in.data, h->in.len, ret_why, e) : r;
}

/* ---- a session ---- */

static void finish_locked(struct listen_session *s, const struct err *why)
{
	if (!s->over)
		s->why = *why;
	s->over = true;
}

static void all_over(struct listen_host *h, const struct err *why)
{
	(void)pthread_mutex_lock(&h->listener->lock);
	for (struct listen_session *s = h->sessions; s; s = s->next)
		finish_locked(s, why);
	(void)pthread_mutex_unlock(&h->listener->lock);
}

static void wait_for_more(struct listen_session *s, int64_t ms)
{
	(void)pthread_mutex_lock(&s->host->listener->lock);
	s->wait_until_ms = s->hinted ? 0 : clock_mono_ms() + ms;
	(void)pthread_mutex_unlock(&s->host->listener->lock);
}

static bool is_poison(const struct listen_host *h, const struct fragment *f)
{
	for (uint32_t i = 0; i < POISON_MAX; i++)
		if (h->poison[i].number == f->number && strcmp(h->poison[i].stream_id, f->stream_id) == 0)
			return true;
	return false;
}

static void poison(struct listen_host *h, const struct fragment *f)
{
	const uint32_t i = h->poisoned++ % POISON_MAX;
	memcpy(h->poison[i].stream_id, f->stream_id, sizeof(f->stream_id));
	h->poison[i].number = f->number;
}

/* The session's process does it, or has died of it. */
static void order(struct listen_host *h, struct listen_session *s, const struct listen_order *o, const struct fragment *f)
{
	struct err e = { 0 }, why = { 0 };
	int r = start_process(h, &e);
	const bool started = r == 0;
	if (started)
		r = carry_out(h, s, o, &why, &e);
	if (r < 0) {
		if (started && f)
			poison(h, f);
		end_process(h, &e);
		(void)err_set_code(&why, ERR_UNAVAILABLE, "TASK_LOST", "what encodes for listeners has ended");
		all_over(h, &why);
	} else if (why.kind != ERR_OK) {
		(void)pthread_mutex_lock(&h->listener->lock);
		finish_locked(s, &why);
		(void)pthread_mutex_unlock(&h->listener->lock);
	}
}

static void pad(struct listen_host *h, struct listen_session *s)
{
	const struct listen_order o = { .slot = s->slot,
					.op = LISTEN_PAD,
					.position = (s->last.producer_ms + s->last.length_ms) * (LISTEN_RATE / 1000),
					.length = PAD_FRAMES * LISTEN_FRAME_SAMPLES };
	s->padded = true;
	order(h, s, &o, NULL);
}

/* Into h->fragment. One that isn't there (any more) is silence. */
static int read_fragment(struct listen_host *h, const struct listen_session *s, const struct fragment *f, struct err *e)
{
	const struct listener_opts *o = &h->listener->o;
	buf_release(&h->fragment);
	if (is_poison(h, f) || f->bytes > LISTEN_FRAGMENT_MAX_BYTES)
		return 0;
	struct stream_reader *reader = stream_reader_new(&(struct stream_reader_opts){
		.repo = o->repo, .store = o->store, .stream = &s->stream, .only = &f->number, .only_count = 1 });
	_cleanup_buf_ struct buf piece;
	buf_init(&piece, HTTP_FLOW_BYTES);
	int r = HTTP_FLOW_MORE;
	while (r == HTTP_FLOW_MORE) {
		r = stream_reader_fill(reader, &piece, e);
		if (r >= 0 && piece.len && !buf_append(&h->fragment, piece.data, piece.len))
			r = buf_finish(&h->fragment, e);
		buf_clear(&piece);
	}
	stream_reader_free(reader);
	if (r == -ERR_NOT_FOUND)
		buf_release(&h->fragment);
	return r == -ERR_NOT_FOUND || r >= 0 ? 0 : r;
}

static void encode(struct listen_host *h, struct listen_session *s, const struct fragment *f)
{
	struct err e = { 0 };
	const bool joins = s->open && listen_joins(s->last.producer_ms + s->last.length_ms, f->producer_ms);
	const int64_t length = f->length_ms * (LISTEN_RATE / 1000);
	const struct listen_order o = { .slot = s->slot,
					.op = LISTEN_FRAGMENT,
					.restart = !joins || s->padded,
					.position = f->producer_ms * (LISTEN_RATE / 1000),
					.length = length < LISTEN_LENGTH_MAX ? length : LISTEN_LENGTH_MAX };
	if (read_fragment(h, s, f, &e) < 0) {
		log_warn("listen_read", LOG_S("stream", s->stream.name), LOG_E(&e));
		wait_for_more(s, RETRY_MS);
		return;
	}
	order(h, s, &o, f);
	buf_release(&h->fragment);
	s->last = *f;
	s->open = true;
	s->padded = false;
}

static void step(struct listen_host *h, struct listen_session *s)
{
	struct err e = { 0 };
	struct fragment f;
	uint32_t count = 0;
	bool over = false;
	const struct fragment_query q = { .stream_id = s->stream.id, .after = s->last.number };
	int r = repo_fragment_list(h->listener->o.repo, &q, &f, 1, &count, &e);
	if (r == 0 && count) {
		if (s->open && !s->padded && !listen_joins(s->last.producer_ms + s->last.length_ms, f.producer_ms))
			pad(h, s);
		else
			encode(h, s, &f);
		return;
	}
	if (r == 0 && s->open && !s->padded)
		r = listen_is_over(h->listener->o.repo, s->stream.id, &s->last, &over, &e);
	if (r < 0)
		log_warn("listen_rows", LOG_S("stream", s->stream.name), LOG_E(&e));
	if (r == 0 && over)
		pad(h, s);
	else
		wait_for_more(s, POLL_MS);
}

/* ---- the thread ---- */

static bool has_work(const struct listen_session *s, int64_t now)
{
	return !s->over && s->wait_until_ms <= now && (s->follow_until_ms > now || s->next_frame < s->wanted + AHEAD_FRAMES);
}

/* The one whose turn is longest ago: it moves to the list's end. */
static struct listen_session *pick_locked(struct listen_host *h, int64_t now)
{
	for (struct listen_session **at = &h->sessions; *at; at = &(*at)->next) {
		struct listen_session *s = *at;
		if (!has_work(s, now))
			continue;
		*at = s->next;
		while (*at)
			at = &(*at)->next;
		*at = s;
		s->next = NULL;
		return s;
	}
	return NULL;
}

static struct listen_session *unlink_idle_locked(struct listen_host *h, int64_t now)
{
	for (struct listen_session **at = &h->sessions; *at; at = &(*at)->next) {
		struct listen_session *s = *at;
		if (s->waiters || !(s->over || h->listener->stopping || now - s->used_ms > LISTEN_IDLE_MS))
			continue;
		*at = s->next;
		h->count--;
		return s;
	}
	return NULL;
}

static void close_session(struct listen_host *h, struct listen_session *s)
{
	const struct listen_order o = { .slot = s->slot, .op = LISTEN_CLOSE };
	struct err e = { 0 }, why = { 0 };
	if (h->running && carry_out(h, NULL, &o, &why, &e) < 0) {
		end_process(h, &e);
		(void)err_set_code(&why, ERR_UNAVAILABLE, "TASK_LOST", "what encodes for listeners has ended");
		all_over(h, &why);
	}
	(void)pthread_mutex_lock(&h->listener->lock);
	h->slots[s->slot] = false;
	(void)pthread_mutex_unlock(&h->listener->lock);
	listen_session_free(s);
}

/* False when all is over. Called and returns with the lock held. */
static bool turn_locked(struct listen_host *h)
{
	struct listener *l = h->listener;
	const int64_t now = clock_mono_ms();
	listen_wake_locked(l, NULL);
	struct listen_session *idle = unlink_idle_locked(h, now);
	struct listen_session *s = idle || l->stopping ? NULL : pick_locked(h, now);
	if (!idle && !s && l->stopping && !h->sessions)
		return false;
	if (h->count)
		h->idle_since_ms = now;
	const bool end = !h->count && h->running && now - h->idle_since_ms > IDLE_PROCESS_MS;
	if (!idle && !s && !end) {
		(void)cond_wait_until(&l->changed, &l->lock, now + POLL_MS / 2);
		return true;
	}
	if (s)
		s->hinted = false;
	(void)pthread_mutex_unlock(&l->lock);
	if (idle)
		close_session(h, idle);
	else if (s)
		step(h, s);
	else
		end_process(h, NULL);
	(void)pthread_mutex_lock(&l->lock);
	h->running_now = h->running;
	(void)pthread_cond_broadcast(&l->changed);
	return true;
}

void *listen_host_thread(void *host)
{
	struct listen_host *h = host;
	buf_init(&h->in, LISTEN_MESSAGE_MAX_BYTES);
	buf_init(&h->out, 256);
	buf_init(&h->fragment, LISTEN_FRAGMENT_MAX_BYTES);
	(void)pthread_mutex_lock(&h->listener->lock);
	while (turn_locked(h))
		;
	(void)pthread_mutex_unlock(&h->listener->lock);
	end_process(h, NULL);
	buf_release(&h->in);
	buf_release(&h->out);
	buf_release(&h->fragment);
	return NULL;
}
